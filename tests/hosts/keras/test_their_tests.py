"""Keras's own tests pass with our names in the place of theirs (see plugin.py), on each backend that kernels read."""

import importlib.util
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
NORMS = ["batch", "group", "layer", "rms", "unit"]
ROOMS = {  # modules, and how many tests pass under torch and NumPy, the rest being skipped with a reason
    "losses": (["losses.losses_test"], 165, 165),
    "initializers": (["initializers.random_initializers_test"], 14, 14),
    "metrics": (["metrics.confusion_metrics_test"], 130, 127),
    "layers": ([f"layers.normalization.{name}_normalization_test" for name in NORMS], 56, 50),
    "optimizers": ([f"optimizers.{name}_test" for name in OPTIMIZERS], 188, 177),
}


@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize("room", ROOMS)
def test_their_tests_pass(room, backend, their_tests):
    modules, *at_least = ROOMS[room]
    passed = their_tests(HERE, [f"keras.src.{module}" for module in modules], KERAS_BACKEND=backend)
    assert passed >= at_least[backend == "numpy"]
