"""The examples run, in a small form, and both ways come to the same loss."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "torch"
EXAMPLES = {
    "digits": ["--epochs", "1"],
    "language_model": ["--steps", "12", "--width", "32", "--layers", "1"],
    "embedding": ["--steps", "25", "--rows", "5000"],
}


def load(name, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", EXAMPLES, ids=str)
def test_an_example(name, tmp_path, capsys, monkeypatch):
    plot = tmp_path / "curves.png"
    curves = load(name, monkeypatch).main([*EXAMPLES[name], "--plot", str(plot)])
    assert plot.exists()
    assert "ms a step" in capsys.readouterr().out
    assert curves["fastopt"][0] == pytest.approx(curves["torch"][0], rel=1e-3)
    assert curves["fastopt"][-1] == pytest.approx(curves["torch"][-1], rel=0.05)
    assert curves["fastopt"][-1] < 0.9 * curves["fastopt"][0]
