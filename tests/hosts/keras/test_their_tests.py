"""Keras's own tests pass with our names in the place of theirs (see plugin.py), on each backend that kernels read."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("keras", "torch", "absl"):  # found, not imported: Keras's backend is each run's own
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'fastopt[hosts]'", allow_module_level=True)
HERE = Path(__file__).parent
OPTIMIZERS = [
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion", "loss_scale_optimizer",
    "multi_optimizer", "muon", "nadam", "optimizer", "rmsprop", "schedule_free_adamw", "sgd",
]  # fmt: skip
NORMS = ["batch", "group", "layer", "rms"]
ROOMS = {  # modules, and how many tests pass under torch and NumPy, the rest being skipped with a reason
    "losses": (["losses.losses_test"], 165, 165),
    "initializers": (["initializers.random_initializers_test"], 14, 14),
    "metrics": (["metrics.confusion_metrics_test"], 130, 127),
    "layers": ([f"layers.normalization.{name}_normalization_test" for name in NORMS], 56, 50),
    "optimizers": ([f"optimizers.{name}_test" for name in OPTIMIZERS], 188, 177),
}


@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize("room", ROOMS)
def test_their_tests_pass(room, backend, tmp_path):
    modules, *at_least = ROOMS[room]
    path = os.pathsep.join((str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])))
    command = [sys.executable, "-m", "pytest", "-p", "plugin", "-p", "no:cacheprovider", "-q", "--pyargs"]
    environment = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [*command, *(f"keras.src.{module}" for module in modules)], cwd=tmp_path, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    last = done.stdout.strip().splitlines()[-20:]
    assert done.returncode == 0, "\n".join(last)
    passed = re.search(r"(\d+) passed", last[-1])  # the line that counts
    assert passed is not None, "\n".join(last)
    assert int(passed[1]) >= at_least[backend == "numpy"], "\n".join(last)
