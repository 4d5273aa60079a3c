"""What is begun is done: steps, loads and moves of parameters, whatever fails on the way and whatever signals come."""

import sys

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.optimizers import by_reference, cpu
from fastopt.optimizers import Adam, AdamWScheduleFree, base, checkpoint, copies, store

TARGETS = ("cython", "reference")


# ---- what is written is written by C alone, so that no signal's handler runs in between

WRITERS = (base, by_reference, checkpoint, copies, cpu, store)
GRADS = [np.ones(3), np.ones((4, 2))]


def adam():
    return Adam([np.ones(3), np.ones((4, 2))], lr=0.1, ema_decay=0.5, copy_to="float16")


def schedule_free():
    return AdamWScheduleFree([np.ones(3, np.float32), np.ones((4, 2), np.float16)], lr=0.1)


def averaged(optimizer):
    with optimizer.averaged():
        pass


CALLS = {
    "step": (adam, lambda optimizer: optimizer.step(GRADS)),
    "step_rows": (adam, lambda optimizer: optimizer.step_rows(1, np.array([0, 2]), np.ones((2, 2)))),
    "refresh": (adam, lambda optimizer: optimizer.refresh()),
    "averaged": (adam, averaged),
    "load_state_dict": (adam, lambda optimizer: optimizer.load_state_dict(optimizer.state_dict())),
    "load_torch_state_dict": (adam, lambda optimizer: optimizer.load_torch_state_dict(optimizer.torch_state_dict())),
    "add_group": (adam, lambda optimizer: optimizer.add_group({"params": np.ones(2)})),
    "eval": (schedule_free, lambda optimizer: optimizer.eval()),
    "load a schedule-free one": (
        schedule_free, lambda optimizer: optimizer.load_state_dict(optimizer.state_dict())
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("target", TARGETS)
def test_no_python_runs_between_two_writes(name, target, monkeypatch):
    make, call = CALLS[name]
    optimizer, entered, times = make(), [], 0
    whole = base.whole

    def watched(calls):
        nonlocal times
        times += 1
        before = sys.getprofile()
        sys.setprofile(lambda frame, event, argument: entered.append(frame.f_code.co_name) if event == "call" else 0)
        try:
            return whole(calls)
        finally:
            sys.setprofile(before)

    with fo.target(target):
        optimizer.step(GRADS)  # what is built at first use is there then
        for module in WRITERS:
            if hasattr(module, "whole"):
                monkeypatch.setattr(module, "whole", watched)
        call(optimizer)
    assert times > 0
    assert entered == []


# ---- what fails on the way has changed nothing


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_no_memory_in_the_middle_of_eval_moves_no_parameter(at, target, monkeypatch):
    params = [np.ones(3, np.float32), np.ones(4, np.float32), np.ones(2, np.float16)]
    optimizer = AdamWScheduleFree(params, lr=0.1)
    for _ in range(2):
        optimizer.step([np.ones(param.shape) for param in params])
    before, calls = [param.copy() for param in params], 0
    door, name = (by_reference, "interpolated") if target == "reference" else (cpu, "_interpolated")
    works = getattr(door, name)

    def fails(*arguments):
        nonlocal calls
        calls += 1
        if calls > at:
            raise MemoryError
        return works(*arguments)

    with fo.target(target):
        monkeypatch.setattr(door, name, fails)
        with pytest.raises(MemoryError):
            optimizer.eval()
        np.testing.assert_equal(params, before)
        assert optimizer.training
        monkeypatch.undo()
        optimizer.eval()
    assert not optimizer.training
    assert all((param != old).all() for param, old in zip(params, before, strict=True))


@pytest.mark.parametrize("spoil", [
    lambda params, lent: lent[1].resize(7, refcheck=False),
    lambda params, lent: lent[1].setflags(write=False),
    lambda params, lent: params[1].resize(7, refcheck=False),
])  # fmt: skip
def test_a_load_whose_copies_can_not_be_written_changes_nothing(spoil):
    params, lent = [np.ones(3), np.ones(2)], [np.zeros(3, np.float16), np.zeros(2, np.float16)]
    optimizer = Adam(params, lr=0.1, copies=lent)
    saved = optimizer.state_dict()
    optimizer.step([np.ones(3), np.ones(2)])
    before = optimizer.state_dict()
    spoil(params, lent)
    with pytest.raises(ValueError, match=r"^(copies|params)\[1\]: expected (shape|a writable)"):
        optimizer.load_state_dict(saved)
    np.testing.assert_equal(optimizer.state_dict(), before)
