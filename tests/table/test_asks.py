"""A public call asks once which target is in force: whoever has asked hands the room's way on."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime.settings import get_target
from fastopt.table import OPS

ROOT = Path(__file__).parents[2]
HOUSE = tuple(str(ROOT / folder) + "/" for folder in ("fastopt", "kernels"))
TABLE = str(ROOT / "fastopt" / "table") + "/"
TARGETS = ("cython", "numba", "reference")
CASES = [pytest.param(op, options, id=f"{op.name}-{k}") for op in OPS for k, options in enumerate(op.options)]


def is_ours(frame):
    """Whether a frame is of the house, and not of the table, which calls it as anybody does."""
    path = frame.f_code.co_filename
    return path.startswith(HOUSE) and not path.startswith(TABLE)


def is_called_by_ours(frame):
    while (frame := frame.f_back) is not None:
        if is_ours(frame):
            return True
    return False


def asks(work):
    """Return every public call that the work makes, with how often it asks for the target."""
    calls = []

    def look(frame, event, argument):
        if event != "call" or not is_ours(frame):
            return
        if not is_called_by_ours(frame):
            calls.append([frame.f_code.co_qualname, 0])
        if frame.f_code is get_target.__code__:
            calls[-1][1] += 1

    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(("op", "options"), CASES)
def test_a_call_asks_for_the_target_once(op, options):
    shape = min((shape for shape in op.shapes if np.prod(shape) > 6), key=np.prod)
    arrays = op.inputs(np.random.default_rng(0), shape, "float32", options)
    op.call(options, {name: array.copy() for name, array in arrays.items()})  # what is imported at first use is over
    found = asks(lambda: op.call(options, arrays))
    assert sum(count for _, count in found) >= 1
    assert [call for call in found if call[1] > 1] == []


@pytest.mark.parametrize("target", TARGETS)
def test_a_step_asks_once_whatever_it_is_asked_for(target):
    w, grad = np.ones((8, 4), np.float32), np.full((8, 4), 0.5, np.float32)
    settings = {"clip_norm": 0.1, "clip_each": 0.1, "clip_value": 1.0, "ema_decay": 0.9}
    with fo.target(target):
        plain, whole = fo.optimizers.AdamW(w), fo.optimizers.LAMB(w.copy(), **settings)
        rows, free = fo.optimizers.Adam(w.copy(), clip_norm=1.0), fo.optimizers.AdamWScheduleFree(w.copy())
        for optimizer in (plain, whole, free):
            optimizer.step(grad)
        for work in (
            lambda: plain.step(grad),
            lambda: plain.step(grad, return_stats=True, skip_nonfinite=True, zero_grads=True),
            lambda: whole.step(grad.copy(), return_stats=True),
            lambda: rows.step_rows(0, np.array([1, 3]), grad[:2], return_stats=True),
            lambda: free.eval(),
        ):
            assert [count for _, count in asks(work) if count] == [1]
