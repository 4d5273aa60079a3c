"""The examples run, in a small form, and both ways come to the same loss."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "torch"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_digits(tmp_path, capsys):
    plot = tmp_path / "curves.png"
    curves = load("digits").main(["--epochs", "1", "--plot", str(plot)])
    assert plot.exists()
    assert "ms a step" in capsys.readouterr().out
    assert curves["fastopt"][0] == pytest.approx(curves["torch"][0], rel=1e-3)
    assert curves["fastopt"][-1] < 0.5 * curves["fastopt"][0]
