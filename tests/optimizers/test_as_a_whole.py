"""What is begun is done: steps, loads and moves of parameters, whatever fails on the way and whatever signals come."""

import gc
import signal
import sys
from contextlib import suppress

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.optimizers import by_reference, cpu
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.signals import signals_wait
from fastopt.optimizers import (
    LAMB,
    LARS,
    SGD,
    Adafactor,
    Adam,
    AdamW,
    AdamWScheduleFree,
    Muon,
    base,
    checkpoint,
    copies,
    joining,
)

TARGETS = ("cython", "reference")


# ---- interrupted, or with an error on the way


class Interrupted(Exception):
    pass


@pytest.fixture
def no_collector():
    """Collect no garbage: what a handler raises in a callback of the collector's, as hypothesis has one, is lost."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.filterwarnings("ignore:fo.target")  # interrupted before it was entered: true, and not the subject
@pytest.mark.parametrize("made", [lambda p: AdamW(p), lambda p: LAMB(p), lambda p: Muon(p)])
@pytest.mark.parametrize("target", TARGETS)
def test_an_interrupted_step_is_counted_if_it_was_done(made, target):
    """The parameters and the count say the same, whenever the signal comes."""

    def interrupt(number, frame):
        raise Interrupted

    params = [np.ones((20, 20), np.float32), np.ones((20, 20), np.float32)]
    grads = [np.ones((20, 20), np.float32), np.ones((20, 20))]  # two batches
    opt, plain = made(params), made([np.ones((20, 20), np.float32) for _ in range(2)])
    expected = {0: [np.ones((20, 20), np.float32)] * 2}
    for step in range(1, 120):
        plain.step(grads)
        expected[step] = [param.copy() for param in plain._store.params]
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for trial in range(100):
            signal.setitimer(signal.ITIMER_REAL, 2e-5 + trial * 1e-5)
            try:
                with fo.target(target):
                    opt.step(grads)
            except Interrupted:
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            for param, right in zip(params, expected[opt.steps], strict=True):
                np.testing.assert_allclose(param, right, rtol=1e-4)
    except Interrupted:  # between the step and the timer's end: nothing is claimed of that moment
        pass
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("made", [LARS, LAMB, Adafactor, Muon])
@pytest.mark.parametrize("target", TARGETS)
def test_an_error_in_the_middle_of_a_step_leaves_everything(made, target, monkeypatch):
    """Whatever fails on the way, at the first array or the last: nothing was written, and the next step is the same."""
    rng = np.random.default_rng(0)
    shapes = ((4, 6), (300, 200), (2, 3)) if made is Muon else ((4, 6), (300, 200), (7,), (2, 3, 4))
    params, grads = ([rng.standard_normal(shape) for shape in shapes] for _ in range(2))
    grads[1] = grads[1].astype(np.float32)  # two batches
    opt, plain = made(params), made([param.copy() for param in params])
    for each in (opt, plain, plain):
        each.step(grads)
    before, calls = everything(opt), 0
    owner, name = (kinds, "write") if target == "reference" else (type(made.rule.layers), "settle")
    works = getattr(owner, name)

    def fails(*arguments):
        nonlocal calls
        calls += 1
        if calls == at:
            raise MemoryError
        return works(*arguments)

    monkeypatch.setattr(owner, name, fails)
    at = 0
    with fo.target(target):
        while everything(opt) == before:
            calls, at = 0, at + 1
            with suppress(MemoryError):
                opt.step(grads)
    assert at > len(shapes)  # in the last trial nothing failed
    assert opt.steps == 2
    for param, right in zip(params, plain._store.params, strict=True):
        np.testing.assert_allclose(param, right, rtol=1e-12)


def everything(optimizer):
    arrays = [*optimizer._store.params, *(array for state in optimizer.state for array in state.values())]
    return optimizer.steps, [array.tobytes() for array in arrays]


def test_signals_wait_for_the_end_of_a_block():
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append("handler"))
    try:
        with signals_wait():
            signal.raise_signal(signal.SIGUSR1)
            seen.append("work")
        assert seen == ["work", "handler"]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_averages_go_in_and_out_as_a_whole():
    params = [np.ones(2), np.full(2, 3.0)]
    opt = SGD(params, lr=1.0, ema_decay=0.5)
    opt.step([np.ones(2)] * 2)
    params[1].flags.writeable = False
    with pytest.raises(ValueError, match="writable"), opt.averaged():
        pass
    np.testing.assert_array_equal(params[0], 0.0)
    params[1].flags.writeable = True
    with np.errstate(all="raise"), opt.averaged():
        np.testing.assert_array_equal(params[0], 0.5)
    small = [np.ones(2, np.float16), np.full(2, 6e4, np.float16)]
    opt = SGD(small, lr=1.0, ema_decay=0.5)
    opt.state[1]["average"][...] = 1e6  # beyond float16
    with np.errstate(all="raise"), opt.averaged():
        assert np.isinf(small[1]).all()
    np.testing.assert_array_equal(small[0], 1.0)


# ---- what is written is written by C alone, so that no signal's handler runs in between

WRITERS = (base, by_reference, checkpoint, copies, cpu, joining)
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
