"""Whatever a user can reach is checked or can't be replaced; calls take turns, and keep no gradient."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime.turn import Turn
from fastopt.optimizers import SGD, Adam

# ---- state


def test_state_can_be_written_and_not_replaced():
    opt = SGD([np.ones(8)], lr=1.0, momentum=0.9)
    opt.step([np.ones(8)])
    opt.state[0]["momentum_buffer"][...] = 0.0
    opt.step([np.zeros(8)])
    np.testing.assert_array_equal(opt.state[0]["momentum_buffer"], 0.0)
    for change in (
        lambda state: state.__setitem__("momentum_buffer", np.ones(2, np.float32)),
        lambda state: state.update(momentum_buffer=np.ones(2)),
        lambda state: state.pop("momentum_buffer"),
        lambda state: state.clear(),
    ):
        with pytest.raises(TypeError, match=r"^state: .* write into one"):
            change(opt.state[0])
    with pytest.raises(AttributeError, match=r"^state: can't be set"):
        opt.state = []


def test_state_has_memory_that_nobody_can_resize_or_free():
    opt = SGD([np.ones(8)], lr=1.0, momentum=0.9)
    array = opt.state[0]["momentum_buffer"]
    array.shape = (2, 4)
    assert opt.state[0]["momentum_buffer"].shape == (8,)
    base = array
    while isinstance(base, np.ndarray):
        with pytest.raises(ValueError, match="resize"):
            base.resize((1,), refcheck=False)
        base = base.base
    assert not [name for name in dir(base) if name[0] != "_"]  # nothing to call
    opt.step([np.ones(8)])
    np.testing.assert_array_equal(opt.state[0]["momentum_buffer"], 1.0)


def test_copies_and_pickles_have_memory_of_their_own():
    opt = Adam([np.ones(5)], ema_decay=0.5, copy_to="float16")
    opt.step([np.ones(5)])
    for other in (copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))):
        np.testing.assert_equal(other.state_dict(), opt.state_dict())
        other.step([np.ones(5)])
        assert (other.steps, opt.steps) == (2, 1)
        assert not np.shares_memory(other.state[0]["exp_avg"], opt.state[0]["exp_avg"])
        assert not np.array_equal(other.copies[0], opt.copies[0])


def test_refresh_begins_copies_and_averages_anew():
    w = np.ones(3, np.float32)
    opt = SGD(w, lr=0.1, ema_decay=0.5, copy_to="float16")
    opt.step(np.ones(3, np.float32))
    w[:] = 7.0
    opt.refresh()
    np.testing.assert_array_equal(opt.copies, 7.0)
    np.testing.assert_array_equal(opt.averages, 7.0)
    saved = opt.state_dict()
    w[:] = 5.0
    opt.load_state_dict(saved)
    np.testing.assert_array_equal(opt.copies, 5.0)
    np.testing.assert_array_equal(opt.averages, 7.0)


# ---- overlaps, subclasses, gradients of None


@pytest.mark.parametrize("name", ["exp_avg", "average"])
def test_a_gradient_may_not_be_the_optimizers_own_memory(name):
    opt = Adam([np.ones(4)], ema_decay=0.5, copy_to="float16")
    with pytest.raises(ValueError, match=rf"^grads\[0\]: .*optimizer's own, got an overlap with the '{name}'"):
        opt.step([opt.state[0][name]])
    with pytest.raises(ValueError, match=r"^grads\[0\]: .*'copy' of params\[0\]"):
        opt.step(opt.copies)
    with pytest.raises(ValueError, match=r"^values: .*overlap"):
        opt.step_rows(0, np.arange(4), opt.state[0][name])
    assert opt.steps == 0


def test_parameters_may_not_overlap_themselves():
    window = np.lib.stride_tricks.sliding_window_view(np.ones(10), 3, writeable=True)
    with pytest.raises(ValueError, match=r"^params: .*a view whose elements overlap"):
        SGD(window)
    interleaved = np.lib.stride_tricks.as_strided(np.ones(8), (2, 3), (24, 16))  # 0 2 4, 3 5 7
    SGD(interleaved, lr=1.0).step(np.ones((2, 3)))
    np.testing.assert_array_equal(interleaved, 0.0)


def test_masked_arrays_are_refused_and_memmaps_taken(tmp_path):
    masked = np.ma.masked_array(np.ones(3), [True, False, False])
    with pytest.raises(TypeError, match="masked"):
        SGD(masked)
    opt = SGD(np.ones(3), lr=1.0)
    with pytest.raises(TypeError, match="masked"):
        opt.step(masked)
    table = Adam([np.ones((4, 2))])
    rows = np.ma.masked_array([0, 1], [True, False])
    with pytest.raises(TypeError, match=r"^rows: .*masked"):
        table.step_rows(0, rows, np.ones((2, 2)))
    on_disk = np.memmap(tmp_path / "weights", np.float64, "w+", shape=(3,))
    SGD(on_disk, lr=1.0).step(on_disk.copy() + 1.0)
    np.testing.assert_array_equal(on_disk, -1.0)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_gradient_of_none_is_refused_in_any_step(steps):
    w = [np.zeros(3), np.zeros(2)]
    opt = SGD(w, lr=1.0)
    for _ in range(steps):
        opt.step([np.ones(3), np.ones(2)])
    for grads in ([None, np.ones(2)], [None, None]):
        with pytest.raises(
            ValueError, match=r"^grads\[0\]: expected a gradient for every parameter, got None; skip_mis"
        ):
            opt.step(grads)
    opt.step([None, np.ones(2)], skip_missing=True)
    with pytest.raises(ValueError, match=r"^grads\[0\]: expected a gradient for every parameter, got None"):
        opt.step([None, np.ones(2)])
    np.testing.assert_array_equal(w[0], -steps)
    np.testing.assert_array_equal(w[1], -steps - 1)


@pytest.mark.parametrize("options", [{}, {"clip_norm": 5.0}, {"state_dtype": "bfloat16"}])
def test_a_gradient_that_is_missing_in_a_later_step_is_refused_as_in_the_first(options):
    params = [np.ones((4, 6)), np.ones(3)]
    optimizer = fo.optimizers.SGD(params, lr=0.1, momentum=0.9, **options)
    grads = [np.ones((4, 6)), np.ones(3)]
    for _ in range(2):
        optimizer.step(grads)
        before = [param.copy() for param in params]
        for k in range(2):
            spoilt = [None if i == k else grad for i, grad in enumerate(grads)]
            with pytest.raises(ValueError, match=rf"^grads\[{k}\]: expected a gradient for every parameter, got None"):
                optimizer.step(spoilt)
            np.testing.assert_equal(params, before)
        optimizer.step([grads[0], None], skip_missing=True)
    assert optimizer.steps == 4


# ---- calls take turns, and keep no gradient


def test_two_threads_may_step_one_optimizer_with_gradients_of_several_kinds():
    w = np.zeros(1000)
    opt = SGD([w], lr=1.0)
    kinds = [np.ones(1000), np.ones(1000, np.float32), np.ones(2000)[::2], np.ones(1000, np.float16)]

    def work(k):
        for step in range(200):
            opt.step([kinds[(k + step) % 4]])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opt.steps == 800
    np.testing.assert_array_equal(w, -800.0)


def test_a_call_within_a_call_is_refused():
    opt = SGD(np.ones(2), lr=lambda steps: 0.1)
    opt.groups[0]["lr"] = lambda steps: opt.step(np.ones(2))
    with pytest.raises(RuntimeError, match="one after the other"):
        opt.step(np.ones(2))
    opt.lr = 0.5
    opt.step(np.ones(2))
    turn = Turn()
    with turn, pytest.raises(RuntimeError), turn:
        pass
    with turn:
        pass


def test_gradients_are_let_go_and_plans_are_few():
    class Watched(np.ndarray):
        pass

    params = [np.ones(50, np.float32) for _ in range(6)]
    opt = SGD(params, lr=0.1)
    memory = np.ones(50, np.float32)
    opt.step([memory[:] for _ in params])
    gone = weakref.ref(memory)
    del memory
    gc.collect()
    assert gone() is None
    rng = np.random.default_rng(0)
    for _ in range(60):
        opt.step([np.ones(50, rng.choice(["float32", "float64", "float16"])) for _ in params])
    assert len(opt._store._batches) <= 8
