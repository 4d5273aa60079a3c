"""The numbers that fastopt has set itself, measured beside the peer, call by call in turn."""

import numpy as np
import pytest

from fastopt.cli.bench.cases import Case
from fastopt.cli.bench.clock import interleave
from fastopt.cli.bench.command import candidates, verify
from fastopt.cli.bench.goals import IMPORT_GOAL, LARGE_GOAL, MANY_GOAL, import_times
from fastopt.table import OPS

ADAMW = next(op for op in OPS if op.name == "adamw")


def times_faster_than_torch(case: Case) -> float:
    """Return the median, over the rounds, of torch's time over ours."""
    pytest.importorskip("torch")
    _, wrong = verify(case.smaller(), "float32", peers=True)
    assert not wrong
    jobs = candidates(case, case.inputs("float32"), peers=True)
    ours, torch = interleave([jobs["cython"], jobs["torch"]], rounds=15)
    return float(np.median(torch / ours))


def test_many_small_arrays():
    assert times_faster_than_torch(Case(ADAMW, {}, (1000,), 1000)) >= MANY_GOAL


def test_one_large_array():
    assert times_faster_than_torch(Case(ADAMW, {}, (20_000_000,))) >= 1 / LARGE_GOAL


def test_import():
    _, ours, numba = import_times()
    assert ours <= IMPORT_GOAL
    assert not numba, "a step on the cython target imported Numba"
