"""The example runs, in a small form, and both ways go the same way."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'fastopt[sklearn]'")
FOLDER = Path(__file__).parents[3] / "examples" / "jax"


def test_digits(capsys):
    spec = importlib.util.spec_from_file_location("digits_of_jax", FOLDER / "digits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    curves = module.main(["--epochs", "2"])
    assert "ms a step" in capsys.readouterr().out
    first = slice(10)  # rounding grows from step to step
    assert curves["fastopt"][first] == pytest.approx(curves["optax"][first], rel=1e-4)
    assert curves["fastopt"][-1] < 0.5 * curves["fastopt"][0]
