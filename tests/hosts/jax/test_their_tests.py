"""Optax's own tests pass with our names in the place of theirs (see plugin.py)."""

import importlib.util
from pathlib import Path

import pytest

for package in ("optax", "absl"):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'fastopt[hosts]'", allow_module_level=True)
HERE = Path(__file__).parent
# What takes minutes, thousands of steps of each optimizer, is left out: `-k test_optimization` runs it.
CHOSEN = "extra_args or preserve_dtype or learning_rate or ScheduleFree or SoftmaxCrossEntropy"
ROOMS = {  # modules, and how many tests pass, the rest being skipped with a reason
    "aliases": (["_src.alias_test"], 54),
    "losses": (["losses._classification_test", "contrib._schedule_free_test"], 18),
}


@pytest.mark.parametrize("room", ROOMS)
def test_their_tests_pass(room, their_tests):
    modules, at_least = ROOMS[room]
    chosen = {"PYTEST_ADDOPTS": f"-k '{CHOSEN}'", "JAX_PLATFORMS": "cpu"}
    assert their_tests(HERE, [f"optax.{module}" for module in modules], **chosen) >= at_least
