"""Keras's own tests pass with our names in the place of theirs (see plugin.py), on each backend that kernels read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras")
pytest.importorskip("absl")
HERE = Path(__file__).parent
MODULES = {"keras.src.losses.losses_test": 165, "keras.src.initializers.random_initializers_test": 14}


@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize(("module", "at_least"), list(MODULES.items()))
def test_their_tests_pass(module, at_least, backend, tmp_path):
    path = os.pathsep.join((str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])))
    command = [sys.executable, "-m", "pytest", "-p", "plugin", "--pyargs", module, "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": backend}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    last = done.stdout.strip().splitlines()[-20:]
    assert done.returncode == 0, "\n".join(last)
    passed = next(int(word.split()[0]) for line in last for word in line.split(", ") if word.endswith("passed"))
    assert passed >= at_least, "\n".join(last)
