"""Keras's own tests pass with our names in the place of theirs (see plugin.py), on each backend that kernels read."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("keras", "torch", "absl"):  # found, not imported: Keras's backend is each run's own
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'fastopt[hosts]'", allow_module_level=True)
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
