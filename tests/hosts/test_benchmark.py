"""The benchmark of the hosts runs in a small form, in which both ways return the same."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "hosts.py"


def run(*options):
    alone = os.environ | dict.fromkeys(("FASTOPT_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return subprocess.run([sys.executable, SCRIPT, *options], env=alone, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("host", ["sklearn", "keras", "jax"])
def test_a_table_is_printed(host):
    if find_spec(host) is None:  # found, not imported: Keras's backend is the script's own
        pytest.skip(f"{host} is not installed: pip install 'fastopt[{host}]'")
    done = run("--host", host, "--small", "--rounds", "1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "faster by" in done.stdout


def test_small_sizes_are_not_written_to_the_docs():
    done = run("--small", "--docs", ".")
    assert done.returncode != 0
    assert "expected none with --docs" in " ".join(done.stderr.split())
