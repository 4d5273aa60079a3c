"""The example runs, in a small form, and both ways go the same way."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "keras"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_digits(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("digits", FOLDER / "digits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plot = tmp_path / "curves.png"
    curves = module.main(["--epochs", "2", "--plot", str(plot)])
    assert plot.exists()
    assert "ms a step" in capsys.readouterr().out
    assert curves["fastopt"] == pytest.approx(curves["keras"], rel=1e-4)
    assert curves["fastopt"][-1] < 0.5 * curves["fastopt"][0]
