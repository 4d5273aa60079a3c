"""Whatever a user can reach is checked or can't be replaced; a step is done as a whole, one at a time."""

import copy
import gc
import pickle
import signal
import threading
import weakref
from contextlib import suppress

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.signals import signals_wait
from fastopt.kernels.runtime.turn import Turn
from fastopt.optimizers import LAMB, LARS, SGD, Adafactor, Adam, AdamW, Muon
from fastopt.optimizers.rule import Rate

TARGETS = ("cython", "reference")


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


# ---- overlaps, subclasses


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


# ---- a step is done as a whole


class Interrupted(Exception):
    pass


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


# ---- attributes and arguments


def test_attributes_that_can_be_set_have_their_effect():
    w = np.zeros(2)
    opt = SGD(w, lr=1.0)
    opt.clip_norm = 1.0
    opt.step(np.array([3.0, 4.0]))
    np.testing.assert_allclose(w, [-0.6, -0.8])
    opt.clip_norm, opt.clip_value = None, 0.5
    opt.step(np.array([3.0, 4.0]))
    np.testing.assert_allclose(w, [-1.1, -1.3])
    assert opt.clip_value == opt.options.clip_value == 0.5
    with pytest.raises(ValueError, match=r"^clip_norm: expected a finite number > 0"):
        opt.clip_norm = -1.0
    with pytest.raises(ValueError, match=r"^ema_decay: expected None, as at the optimizer's start"):
        opt.ema_decay = 0.5


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("learning_rate", "^learning_rate: expected one of lr, .*; did you mean 'lr'"),
        ("momentum", r"^momentum: set it in each group: for group in optimizer.groups: group\['momentum'\] = "),
        ("copy_to", "^copy_to: can't be set after"),
        ("carried", "^carried: can't be set after"),
        ("weight_deacy", "did you mean 'weight_decay'"),
    ],
)
def test_attributes_that_can_not_be_set_say_what_to_write(name, words):
    with pytest.raises(AttributeError, match=words):
        setattr(SGD(np.ones(2)), name, 0.5)


@pytest.mark.parametrize(
    ("name", "near"),
    [("weight_deacy", "weight_decay"), ("learning_rate", "lr"), ("beta_1", "betas"), ("epsilon", "eps"),
     ("clip_nrom", "clip_norm"), ("clipvalue", "clip_value")],
)  # fmt: skip
def test_misspelt_arguments_are_told_the_nearest(name, near):
    with pytest.raises(TypeError, match=f"^{name}: expected one of lr, betas, .*; did you mean '{near}'"):
        AdamW(np.ones(2), **{name: 0.1})


def test_repr_shows_what_was_given():
    told = repr(AdamW([{"params": np.ones(2)}, {"params": np.ones(2)}], lr=0.5, clip_norm=2.0))
    for part in ("2 parameters in 2 groups", "lr=0.5", "clip_norm=2.0", "steps=0"):
        assert part in told
    assert "clip_value" not in told


def test_a_hyper_parameter_without_a_domain_is_an_error_when_the_class_is_made():
    with pytest.raises(TypeError, match=r"^Bare: expected speed to be a bool or annotated with its domain"):

        class Bare(SGD):
            rule = SGD.rule

            def __init__(self, params, lr: Rate = 0.1, speed: float = 1.0):
                super().__init__(params, lr)


@pytest.mark.parametrize("make", [
    lambda w: Adam(w, eps=1e-46), lambda w: SGD(w, lr=1e300), lambda w: Adafactor(w, eps=(1e-30, 1e-3)),
])  # fmt: skip
def test_numbers_are_checked_in_the_type_that_they_are_used_in(make):
    with pytest.raises(ValueError, match="in float32"):
        make(np.ones(3, np.float32))
    make(np.ones(3))


def test_decoupled_decay_needs_a_decay():
    with pytest.raises(ValueError, match=r"^decoupled_weight_decay: expected False, as AdamWScheduleFree has"):
        fo.optimizers.AdamWScheduleFree(np.ones(2), decoupled_weight_decay=True)


# ---- numbers at the ends of their range


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_norms_are_right_over_the_whole_range(target, size):
    w = np.zeros(2)
    opt = SGD(w, lr=1.0, clip_norm=min(1.0, size))
    with fo.target(target):
        stats = opt.step(np.array([3.0, 4.0]) * size, return_stats=True)
    assert stats.gradient_norm == pytest.approx(5 * size, rel=1e-12)
    np.testing.assert_allclose(w, np.array([-0.6, -0.8]) * min(1.0, size), rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_single_gradients_are_clipped_over_the_whole_range(target, size):
    w = [np.zeros(2), np.zeros(2)]
    with fo.target(target):
        SGD(w, lr=1.0, clip_each=size).step([np.array([3.0, 4.0]) * size, np.array([0.3, 0.4]) * size])
    np.testing.assert_allclose(w[0], np.array([-0.6, -0.8]) * size, rtol=1e-12)
    np.testing.assert_allclose(w[1], np.array([-0.3, -0.4]) * size, rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [1e200, 1e-200])
@pytest.mark.parametrize(("made", "slope"), [
    (lambda w, size: LARS(w, weight_decay=0.1), True),
    (lambda w, size: LARS(w, weight_decay=0.1, clip_value=1.5 * size, decoupled_weight_decay=True), True),
    (lambda w, size: LAMB(w, lr=0.1), False),
    (lambda w, size: LAMB(w, lr=0.1, clip_value=1.5, state_dtype="bfloat16"), False),
    (lambda w, size: Adafactor(w, lr=0.1, eps=(1e-7, 0.0)), False),
])  # fmt: skip
def test_layers_are_measured_over_the_whole_range(made, slope, size, target):
    """A step of parameters (and gradients, where that is so) in another unit is the same step in that unit."""
    start, grad = np.array([[3.0, 4.0, -1.0]]), np.array([[1.0, -2.0, 0.5]])
    w, plain = start * size, start.copy()
    with fo.target(target):
        made(w, size).step(grad * size if slope else grad)
        made(plain, 1.0).step(grad)
    np.testing.assert_allclose(w / size, plain, rtol=1e-12)
    assert (plain != start).all()


def test_muon_of_huge_momentum():
    w, small = np.zeros((3, 3), np.float32), np.zeros((3, 3), np.float32)
    grad = np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32)
    Muon(w, lr=1.0).step(grad * np.float32(1e25))
    Muon(small, lr=1.0).step(grad)
    np.testing.assert_allclose(w, small, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_adafactor_keeps_no_bound_that_nan_has_passed(target):
    w = np.ones((2, 2), np.float32)
    with fo.target(target):
        Adafactor(w, lr=0.1).step(np.array([[1e20, 1.0], [1.0, 1.0]], np.float32))
    assert np.isnan(w).all() if target == "cython" else np.isfinite(w).all()  # 1e40 is no float32


# ---- copies and averages of parameters that were overwritten


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
