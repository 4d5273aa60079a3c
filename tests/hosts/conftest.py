"""What the hosts' folders share."""

import os
import re
import subprocess
import sys

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")  # before keras is imported


@pytest.fixture
def their_tests(tmp_path):
    """Run modules of a host's own tests, as installed, with the plugin of a folder; return how many pass.

    One that fails fails this test.
    """

    def run(folder, modules, **environment):
        path = os.pathsep.join((str(folder), *filter(None, [os.environ.get("PYTHONPATH")])))
        command = [sys.executable, "-m", "pytest", "-p", "plugin", "-p", "no:cacheprovider", "-q", "--pyargs", *modules]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path, **environment}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        last = done.stdout.strip().splitlines()[-20:]
        assert done.returncode == 0, "\n".join(last)
        passed = re.search(r"(\d+) passed", last[-1])  # the line that counts
        assert passed is not None, "\n".join(last)
        return int(passed[1])

    return run
