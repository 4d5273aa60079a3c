"""Optimizers: trajectories worked out by hand, known minima, torch as judge, and the class around the kernels."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.optimizers import SGD, Adagrad, Adam, AdamW, Momentum, RMSprop

CPU_TARGETS = ("cython", "numba", "reference")
DTYPES = ("float32", "float64")
for_each_target = pytest.mark.parametrize("target", CPU_TARGETS)
for_each_dtype = pytest.mark.parametrize("dtype", DTYPES)

# ---- golden trajectories: the papers' formulas on plain numbers, one parameter, five gradients

START = 1.5
GRADIENTS = (0.5, -1.0, 2.0, 0.25, -0.125)


def sgd():
    w = START
    for g in GRADIENTS:
        w = w - 0.1 * g
        yield w


def sgd_decayed_and_maximizing():
    w = START
    for g in GRADIENTS:
        w = w - 0.1 * (-g + 0.2 * w)
        yield w


def sgd_momentum():
    w, b = START, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        b = g if t == 1 else 0.9 * b + (1 - 0.25) * g
        w = w - 0.1 * b
        yield w


def sgd_nesterov():
    w, b = START, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        b = g if t == 1 else 0.9 * b + g
        w = w - 0.1 * (g + 0.9 * b)
        yield w


def momentum():
    w, v = START, 0.0
    for g in GRADIENTS:
        v = 0.8 * v + 0.2 * g
        w = w - 0.1 * v
        yield w


def adam():
    w, m, v = START, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g * g
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.99**t)
        w = w - 0.1 * m_hat / (math.sqrt(v_hat) + 1e-3)
        yield w


def adam_decayed():
    w, m, v = START, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        g = g + 0.2 * w
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w = w - 0.1 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield w


def adam_amsgrad():
    w, m, v, largest = START, 0.0, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        m = 0.5 * m + 0.5 * g
        v = 0.6 * v + 0.4 * g * g
        largest = max(largest, v)
        w = w - 0.1 * (m / (1 - 0.5**t)) / (math.sqrt(largest / (1 - 0.6**t)) + 1e-8)
        yield w


def adamw():
    w, m, v = START, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w = w - 0.1 * 0.2 * w - 0.1 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield w


def rmsprop():
    w, s = START, 0.0
    for g in GRADIENTS:
        s = 0.9 * s + 0.1 * g * g
        w = w - 0.1 * g / (math.sqrt(s) + 1e-8)
        yield w


def rmsprop_momentum():
    w, s, b = START, 0.0, 0.0
    for g in GRADIENTS:
        s = 0.9 * s + 0.1 * g * g
        b = 0.5 * b + g / (math.sqrt(s) + 1e-8)
        w = w - 0.1 * b
        yield w


def rmsprop_centered():
    w, s, a = START, 0.0, 0.0
    for g in GRADIENTS:
        s = 0.9 * s + 0.1 * g * g
        a = 0.9 * a + 0.1 * g
        w = w - 0.1 * g / (math.sqrt(s - a * a) + 1e-8)
        yield w


def rmsprop_centered_momentum():
    w, s, a, b = START, 0.0, 0.0, 0.0
    for g in GRADIENTS:
        s = 0.9 * s + 0.1 * g * g
        a = 0.9 * a + 0.1 * g
        b = 0.5 * b + g / (math.sqrt(s - a * a) + 1e-8)
        w = w - 0.1 * b
        yield w


def adagrad():
    w, s = START, 0.0
    for g in GRADIENTS:
        s = s + g * g
        w = w - 0.1 * g / (math.sqrt(s) + 1e-10)
        yield w


def adagrad_decaying():
    w, s = START, 0.25
    for t, g in enumerate(GRADIENTS, start=1):
        s = s + g * g
        w = w - 0.1 / (1 + (t - 1) * 0.5) * g / (math.sqrt(s) + 1e-10)
        yield w


GOLDEN = [
    (sgd, SGD, {}),
    (sgd_decayed_and_maximizing, SGD, {"weight_decay": 0.2, "maximize": True}),
    (sgd_momentum, SGD, {"momentum": 0.9, "dampening": 0.25}),
    (sgd_nesterov, SGD, {"momentum": 0.9, "nesterov": True}),
    (momentum, Momentum, {"beta": 0.8}),
    (adam, Adam, {"betas": (0.9, 0.99), "eps": 1e-3}),
    (adam_decayed, Adam, {"weight_decay": 0.2}),
    (adam_amsgrad, Adam, {"betas": (0.5, 0.6), "amsgrad": True}),
    (adamw, AdamW, {"weight_decay": 0.2}),
    (rmsprop, RMSprop, {"alpha": 0.9}),
    (rmsprop_momentum, RMSprop, {"alpha": 0.9, "momentum": 0.5}),
    (rmsprop_centered, RMSprop, {"alpha": 0.9, "centered": True}),
    (rmsprop_centered_momentum, RMSprop, {"alpha": 0.9, "momentum": 0.5, "centered": True}),
    (adagrad, Adagrad, {}),
    (adagrad_decaying, Adagrad, {"lr_decay": 0.5, "initial_accumulator_value": 0.25}),
]


@for_each_target
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 2e-6), ("float64", 4e-15)])
@pytest.mark.parametrize(("golden", "public", "options"), [pytest.param(*case, id=case[0].__name__) for case in GOLDEN])
def test_golden_trajectories(golden, public, options, dtype, rtol, target):
    w = np.full(3, START, dtype)  # three alike, so that a vector loop's remainder is not all there is
    optimizer = public(w, lr=0.1, **options)
    with fo.target(target):
        for g, expected in zip(GRADIENTS, golden(), strict=True):
            optimizer.step(np.full(3, g, dtype))
            np.testing.assert_allclose(w, np.full(3, expected), rtol=rtol)
    assert optimizer.steps == len(GRADIENTS)


def test_golden_trajectories_cover_every_optimizer():
    assert {public.__name__ for _, public, _ in GOLDEN} == {"SGD", "Momentum", "Adam", "AdamW", "RMSprop", "Adagrad"}


# ---- minima

SETTINGS = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (Momentum, {"lr": 0.2}),
    (Adam, {"lr": lambda step: 0.5 * 0.99**step}),
    (AdamW, {"lr": lambda step: 0.5 * 0.99**step, "weight_decay": 0.0}),
    (RMSprop, {"lr": lambda step: 0.2 * 0.985**step}),
    (Adagrad, {"lr": 2.0}),
]


@for_each_target
@pytest.mark.parametrize(("public", "options"), SETTINGS)
def test_a_parabola_is_descended(public, options, target):
    bottom = np.array([3.0, -2.0, 0.5])
    w = np.array([-1.0, 1.0, 10.0])
    optimizer = public(w, **options)
    with fo.target(target):
        for _ in range(800):
            optimizer.step(2 * (w - bottom))
    np.testing.assert_allclose(w, bottom, atol=1e-3)


@pytest.mark.parametrize(
    ("public", "options", "steps"),
    [
        (SGD, {"lr": 1e-3, "momentum": 0.9}, 6000),
        (SGD, {"lr": 1e-3, "momentum": 0.9, "nesterov": True}, 6000),
        (Momentum, {"lr": 2e-3}, 20_000),
        (Adam, {"lr": 0.02}, 6000),
        (AdamW, {"lr": 0.02, "weight_decay": 0.0}, 6000),
        (RMSprop, {"lr": lambda step: 5e-3 / (1 + step / 1000)}, 20_000),
        (Adagrad, {"lr": 0.5}, 20_000),
    ],
)
def test_rosenbrock_is_descended(public, options, steps):
    w = np.array([-1.2, 1.0])
    optimizer = public(w, **options)
    for _ in range(steps):
        x, y = w
        optimizer.step(np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)]))
    np.testing.assert_allclose(w, [1.0, 1.0], atol=0.05)


def test_maximize_climbs():
    w = np.array([5.0])
    optimizer = Adam(w, lr=0.1, maximize=True)
    for _ in range(300):
        optimizer.step(-2 * (w - 1.0))  # of -(w - 1)²
    np.testing.assert_allclose(w, 1.0, atol=0.05)


# ---- torch

TORCH = [
    (SGD, {}),
    (SGD, {"weight_decay": 0.1, "maximize": True}),
    (SGD, {"momentum": 0.9}),
    (SGD, {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    (SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True}),
    (Adam, {}),
    (Adam, {"weight_decay": 0.1, "betas": (0.8, 0.9), "eps": 1e-4}),
    (Adam, {"amsgrad": True, "maximize": True}),
    (AdamW, {}),
    (AdamW, {"weight_decay": 0.1, "amsgrad": True}),
    (AdamW, {"maximize": True, "betas": (0.5, 0.6)}),
    (RMSprop, {}),
    (RMSprop, {"alpha": 0.8, "weight_decay": 0.1}),
    (RMSprop, {"momentum": 0.9, "maximize": True}),
    (RMSprop, {"centered": True, "eps": 1e-3}),
    (RMSprop, {"centered": True, "momentum": 0.5, "eps": 1e-3, "weight_decay": 0.1}),
    (Adagrad, {}),
    (Adagrad, {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
]


# Hundreds of roundings of numbers of order 1 and a divisor that may be small: 100 steps of 6e-8 and 1.1e-16 each.
# One target is enough: the others agree with it, see test_table.py.
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-5), ("float64", 1e-12)])
@pytest.mark.parametrize(("public", "options"), TORCH)
def test_torch_goes_the_same_way(public, options, dtype, tolerance):
    rng = np.random.default_rng(0)
    ours = [rng.standard_normal(shape).astype(dtype) for shape in ((7,), (5, 3), ())]
    theirs = [torch.nn.Parameter(torch.tensor(param)) for param in ours]
    optimizer = public(ours, lr=0.01, **options)
    judge = getattr(torch.optim, public.__name__)(theirs, lr=0.01, **options)
    for _ in range(100):
        grads = [np.asarray(rng.standard_normal(param.shape), dtype) for param in ours]
        for param, grad in zip(theirs, grads, strict=True):
            param.grad = torch.tensor(grad)
        judge.step()
        optimizer.step(grads)
    for param, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(param, other.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("public", [SGD, Adam, AdamW, RMSprop, Adagrad])
def test_defaults_are_torchs(public):
    judge = getattr(torch.optim, public.__name__)([torch.nn.Parameter(torch.zeros(1))]).defaults
    for name, value in public(np.zeros(1)).groups[0].items():
        assert value == judge.get(name, False), name  # what torch has not is off


# ---- the shape of params and grads


def stepped(params, grads, target="cython", **options):
    with fo.target(target):
        optimizer = AdamW(params, **{"lr": 0.1, **options})
        for _ in range(3):
            optimizer.step(grads)
    return optimizer


def alone(param, grad, **options):
    """Return what a parameter becomes by itself."""
    param = np.array(param)
    stepped(param, np.array(grad), **options)
    return param


@for_each_target
def test_every_structure_of_parameters_gives_the_same(target):
    rng = np.random.default_rng(0)
    params = [rng.standard_normal(shape) for shape in ((3, 4), (5,))]
    grads = [rng.standard_normal(param.shape) for param in params]
    expected = [alone(param, grad, target=target) for param, grad in zip(params, grads, strict=True)]
    for make in (list, tuple, lambda arrays: dict(zip("ab", arrays, strict=True))):
        copies = [param.copy() for param in params]
        stepped(make(copies), make(grads), target)
        for param, value in zip(copies, expected, strict=True):
            np.testing.assert_array_equal(param, value)
    copies = [param.copy() for param in params]
    stepped({"a": copies[0], "b": copies[1]}, {"b": grads[1], "a": grads[0]}, target)  # keys, not places, decide
    np.testing.assert_array_equal(copies[0], expected[0])
    np.testing.assert_array_equal(copies[1], expected[1])


@for_each_target
def test_groups_have_their_own_settings(target):
    params = [np.full(4, 1.0), np.full(3, 2.0, np.float32), np.full((2, 2), 3.0), np.full((), 4.0)]
    grads = [np.full(param.shape, 0.5, param.dtype) for param in params]
    settings = [{"lr": 0.5}, {"weight_decay": 0.0, "amsgrad": True}, {"betas": (0.5, 0.5), "maximize": True}]
    groups = [
        {"params": params[0], **settings[0]},
        {"params": [params[1]], **settings[1]},
        {"params": {"w": params[2], "b": params[3]}, **settings[2]},
    ]
    starts = [param.copy() for param in params]
    optimizer = stepped(groups, [grads[0], [grads[1]], {"b": grads[3], "w": grads[2]}], target)
    for param, start, grad, k in zip(params, starts, grads, (0, 1, 2, 2), strict=True):
        np.testing.assert_array_equal(param, alone(start, grad, target=target, **settings[k]))
    assert [group["lr"] for group in optimizer.groups] == [0.5, 0.1, 0.1]
    assert optimizer.steps == 3


@for_each_target
def test_dtypes_mix_and_sizes_may_be_0_or_0_d(target):
    params = [np.ones(3, np.float32), np.ones(()), np.ones((0, 4)), np.ones((2, 3)), np.ones((), np.float32)]
    grads = [np.full(param.shape, 0.5, param.dtype) for param in params]
    expected = [alone(param, grad, target=target) for param, grad in zip(params, grads, strict=True)]
    stepped(params, grads, target)
    for param, value in zip(params, expected, strict=True):
        np.testing.assert_array_equal(param, value)
        assert param.dtype == value.dtype


def test_no_elements_at_all():
    w = np.ones((0,))
    assert stepped(w, np.ones((0,))).steps == 3


STRIDED = {
    "transposed": lambda a: a.T,
    "every other": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: a[::-1, ::-1],
    "rows apart": lambda a: np.repeat(a, 3, axis=0)[::3],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "one row of a block": lambda a: np.stack([a, a, a])[1],
}


@for_each_target
@for_each_dtype
@pytest.mark.parametrize("layout", STRIDED)
def test_strided_parameters_and_gradients(layout, dtype, target):
    rng = np.random.default_rng(0)
    view = STRIDED[layout]
    size = (60, 60)
    start, grad = (rng.standard_normal(size).astype(dtype) for _ in range(2))
    expected = alone(np.ascontiguousarray(view(start)), np.ascontiguousarray(view(grad)), target=target)
    if layout != "broadcast":
        param = view(start.copy())
        stepped(param, view(grad), target)
        np.testing.assert_array_equal(param, expected)
    param = np.array(view(start))
    stepped(param, view(grad), target)
    np.testing.assert_array_equal(param, expected)


@for_each_target
def test_parameters_may_interleave_but_not_overlap(target):
    memory = np.arange(24.0).reshape(4, 6)
    expected = memory.copy()
    even, odd = memory[:, ::2], memory[:, 1::2]
    grads = [np.full((4, 3), 0.5), np.full((4, 3), -2.0)]
    expected[:, ::2], expected[:, 1::2] = alone(even, grads[0], target=target), alone(odd, grads[1], target=target)
    stepped([even, odd], grads, target)
    np.testing.assert_array_equal(memory, expected)
    with pytest.raises(
        ValueError, match=r"^params\[1\]: expected memory apart from every other parameter, got an overlap"
    ):
        AdamW([memory[:, :3], memory[:, 2:]])
    with pytest.raises(ValueError, match=r"overlap with params\[0\]"):
        AdamW([memory, memory])


def test_gradients_in_the_gaps_of_a_parameter_are_welcome():
    memory = np.arange(12.0)
    expected = alone(memory[::2], memory[1::2])
    stepped(memory[::2], memory[1::2])
    np.testing.assert_array_equal(memory[::2], expected)
    np.testing.assert_array_equal(memory[1::2], np.arange(1.0, 12.0, 2))


@pytest.mark.parametrize("where", [slice(0, 6), slice(3, 9), slice(5, 11), slice(None, None, 2)])
def test_a_gradient_that_reaches_into_a_parameter_is_refused(where):
    memory = np.arange(12.0)
    grad = memory[where]
    param = memory[:6] if where != slice(5, 11) else memory[4:10]
    other = np.ones(3)
    optimizer = AdamW([other, param])
    before = memory.copy()
    with pytest.raises(ValueError, match=r"^grads\[1\]: expected memory apart from the parameters, got an overlap"):
        optimizer.step([np.ones(3), grad[:6]])
    np.testing.assert_array_equal(memory, before)
    np.testing.assert_array_equal(other, np.ones(3))


def test_a_gradient_may_serve_two_parameters():
    params, grad = [np.ones(5), np.ones(5)], np.full(5, 0.5)
    stepped(params, [grad, grad])
    np.testing.assert_array_equal(params[0], params[1])


# ---- the learning rate


@for_each_target
def test_lr_may_be_a_schedule(target):
    seen = []

    def schedule(step):
        seen.append(step)
        return 0.5 / (step + 1)

    w = np.zeros(2)
    optimizer = SGD(w, lr=schedule)
    with fo.target(target):
        for _ in range(3):
            optimizer.step(np.ones(2))
    np.testing.assert_allclose(w, -(0.5 + 0.5 / 2 + 0.5 / 3), rtol=1e-15)
    assert seen == [0, 1, 2]
    assert optimizer.lr == 0.5 / 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, "fast", None, True, 1j, np.ones(1)])
def test_a_schedule_that_returns_nonsense_changes_nothing(value):
    w = np.ones(3)
    optimizer = Adam(w, lr=lambda step: value if step == 1 else 0.1)
    optimizer.step(np.ones(3))
    before, state = w.copy(), optimizer.state_dict()
    with pytest.raises((TypeError, ValueError), match=r"^lr at step 1: expected a finite number ≥ 0, got "):
        optimizer.step(np.ones(3))
    np.testing.assert_equal((w, optimizer.state_dict()), (before, state))


def test_a_schedule_that_raises_changes_nothing():
    w = np.ones(3)
    optimizer = Adam(w, lr={0: 0.1}.__getitem__)
    optimizer.step(np.ones(3))
    before, state = w.copy(), optimizer.state_dict()
    with pytest.raises(KeyError):
        optimizer.step(np.ones(3))
    np.testing.assert_equal((w, optimizer.state_dict()), (before, state))


def test_a_schedule_may_return_a_numpy_number():
    w = np.zeros(1)
    SGD(w, lr=lambda step: np.float32(0.5)).step(np.ones(1))
    assert w == -0.5


def test_lr_can_be_set_for_all_groups():
    a, b = np.zeros(1), np.zeros(1)
    optimizer = SGD([{"params": a, "lr": 0.1}, {"params": b}], lr=0.2)
    assert optimizer.lr == 0.1
    optimizer.lr = 0.5
    optimizer.step([np.ones(1), np.ones(1)])
    assert (a[0], b[0]) == (-0.5, -0.5)
    for wrong in (-1.0, float("nan"), "fast", None):
        with pytest.raises((TypeError, ValueError), match=r"^lr: expected a finite number ≥ 0, got "):
            optimizer.lr = wrong
    assert [group["lr"] for group in optimizer.groups] == [0.5, 0.5]


# ---- groups that change between steps


def test_hyper_parameters_may_change_between_steps():
    w = np.ones(2)
    optimizer = SGD(w, lr=0.1, momentum=0.5)
    optimizer.step(np.ones(2))
    optimizer.groups[0]["lr"] = 1.0
    optimizer.groups[0]["momentum"] = 0.25
    optimizer.groups[0]["weight_decay"] = 0.5
    optimizer.step(np.ones(2))
    first = 1.0 - 0.1
    np.testing.assert_allclose(w, first - (0.25 * 1.0 + 1.0 + 0.5 * first), rtol=1e-15)


def _delete(groups):
    del groups[0]["eps"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda groups: groups[0].update(lr=-1.0), "lr: expected a finite number ≥ 0, got -1.0"),
        (lambda groups: groups[0].update(lr=float("nan")), "lr: expected a finite number ≥ 0, got nan"),
        (lambda groups: groups[0].update(lr="fast"), "lr: expected a finite number ≥ 0, got str 'fast'"),
        (lambda groups: groups[0].update(lr=None), "lr: expected a finite number ≥ 0, got NoneType None"),
        (lambda groups: groups[0].update(betas=(0.9,)), "betas: expected two numbers"),
        (lambda groups: groups[0].update(betas=(0.9, 1.5)), r"betas\[1\]: expected a number in \[0, 1\), got 1.5"),
        (lambda groups: groups[0].update(betas=np.array([0.9, 0.99])), "betas: expected two numbers"),
        (lambda groups: groups[0].update(eps=np.zeros(2)), "eps: expected a finite number > 0, got "),
        (
            lambda groups: groups[0].update(amsgrad=True),
            r"groups\[0\]: expected options that keep the optimizer's state",
        ),
        (lambda groups: groups[0].update(momentum=0.9), r"groups\[0\]: expected the keys .*, got .*'momentum'"),
        (_delete, r"groups\[0\]: expected the keys .*'eps'.*, got "),
        (lambda groups: groups.append(dict(groups[0])), "groups: expected 2 groups, got 3"),
        (lambda groups: groups.clear(), "groups: expected 2 groups, got 0"),
        (lambda groups: groups.__setitem__(0, None), r"groups\[0\]: expected the keys .*, got NoneType None"),
    ],
)
def test_groups_spoilt_between_steps_change_nothing(change, words):
    params = [np.ones(3), np.ones(3)]
    optimizer = Adam([{"params": param} for param in params])
    good = [np.ones(3), np.ones(3)]
    optimizer.step(good)
    before = copy.deepcopy((params, optimizer.state, optimizer.steps))
    groups = [dict(group) for group in optimizer.groups]
    change(optimizer.groups)
    for _ in range(2):  # it stays refused
        with pytest.raises((TypeError, ValueError), match="^" + words):
            optimizer.step(good)
        np.testing.assert_equal((params, optimizer.state, optimizer.steps), before)
    optimizer.groups[:] = groups
    optimizer.step(good)
    assert optimizer.steps == 2


def test_a_wrong_second_group_leaves_the_first_as_it_was():
    optimizer = SGD([{"params": np.ones(2)}, {"params": np.ones(2)}], lr=0.5)
    optimizer.groups[0]["lr"] = 0.25
    optimizer.groups[1]["lr"] = -1.0
    with pytest.raises(ValueError, match=r"^lr: "):
        optimizer.step([np.ones(2)] * 2)
    assert optimizer.groups[0]["lr"] == 0.25


# ---- parameters that change between steps


def _reshape(w):
    w.shape = (4, 3)


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
@for_each_target
@pytest.mark.parametrize(
    ("spoil", "grad", "words"),
    [
        (lambda w: w.setflags(write=False), (3, 4), "params: expected a writable array, got a read-only one"),
        (lambda w: w.resize((1, 4), refcheck=False), (1, 4), r"params: expected shape \(3, 4\), got \(1, 4\)"),
        (lambda w: w.resize((1, 4), refcheck=False), (3, 4), r"params: expected shape \(3, 4\), got \(1, 4\)"),
        (lambda w: w.resize((6, 400), refcheck=False), (6, 400), r"params: expected shape \(3, 4\), got \(6, 400\)"),
        (_reshape, (4, 3), r"params: expected shape \(3, 4\), got \(4, 3\)"),
    ],
)
def test_a_parameter_spoilt_between_steps_is_refused(spoil, grad, words, target):
    w = np.ones((3, 4))
    optimizer = Adam(w)
    with fo.target(target):
        optimizer.step(np.ones((3, 4)))
        spoil(w)
        before, state = w.copy(), optimizer.state_dict()
        with pytest.raises(ValueError, match="^" + words):
            optimizer.step(np.ones(grad))
    np.testing.assert_equal((w, optimizer.state_dict()), (before, state))


@for_each_target
def test_a_parameter_whose_memory_moved_is_followed(target):
    w, expected = np.ones(6), np.ones(6)
    optimizer, other = Adam(w), Adam(expected)
    with fo.target(target):
        optimizer.step(np.ones(6))
        w.resize(100_000, refcheck=False)  # may move, and comes back
        w.resize(6, refcheck=False)
        optimizer.step(np.full(6, 2.0))
        other.step(np.ones(6))
        other.step(np.full(6, 2.0))
    np.testing.assert_array_equal(w, expected)


# ---- gradients of another structure


@pytest.mark.parametrize(
    ("params", "grads", "words"),
    [
        ([np.ones(2), np.ones(3)], [np.ones(2)], "grads: expected a list of 2 gradients, got 1"),
        ([np.ones(2)], [np.ones(2), np.ones(2)], "grads: expected a list of 1 gradients, got 2"),
        ([np.ones(2)], np.ones(2), "grads: expected a list of 1 gradients, got float64"),
        ([np.ones(2)], None, "grads: expected a list of 1 gradients, got NoneType None"),
        ([np.ones(2)], [None], r"grads\[0\]: expected a gradient for every parameter, got None"),
        (np.ones(2), None, "grads: expected a gradient for every parameter, got None"),
        (np.ones(2), [1.0, 2.0], "grads: expected a NumPy array, got list"),
        (np.ones(2), {"w": np.ones(2)}, "grads: expected a NumPy array, got dict"),
        ({"w": np.ones(2)}, {"v": np.ones(2)}, r"grads: expected the keys \['w'\], got the keys \['v'\]"),
        ({"w": np.ones(2)}, {}, r"grads: expected the keys \['w'\], got the keys \[\]"),
        ({"w": np.ones(2)}, [np.ones(2)], r"grads: expected the keys \['w'\], got list"),
        ({"w": np.ones(2)}, {"w": None}, r"grads\['w'\]: expected a gradient for every parameter, got None"),
        ([{"params": np.ones(2)}], np.ones(2), "grads: expected a list of 1 groups, got float64"),
        ([{"params": [np.ones(2)]}], [np.ones(2)], r"grads\[0\]: expected a list of 1 gradients, got float64"),
        ([{"params": [np.ones(2)]}], [[np.ones(3)]], r"grads\[0\]\[0\]: expected shape \(2,\), got \(3,\)"),
        ([{"params": {"w": np.ones(2)}}], [{"w": np.ones(3)}], r"grads\[0\]\['w'\]: expected shape \(2,\), got \(3,\)"),
        (np.ones(2), np.ones((2, 1)), r"grads: expected shape \(2,\), got \(2, 1\)"),
        (np.ones(2), np.ones(2, np.int64), "grads: expected float32, float64, bfloat16 or float16, got int64"),
        (np.ones(2), np.ones(17, np.uint8)[1:].view("f8"), "grads: expected memory aligned to its 8-byte elements"),
        (np.ones(2), np.ones(2, ">f8"), "grads: expected float32, float64, bfloat16 or float16, got >f8"),
    ],
)
def test_gradients_of_another_structure_are_refused(params, grads, words):
    optimizer = Adam(params)
    before = optimizer.state_dict()
    with pytest.raises((TypeError, ValueError), match="^" + words):
        optimizer.step(grads)
    np.testing.assert_equal(optimizer.state_dict(), before)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ([], "params: expected at least one array, got none"),
        ({}, "params: expected at least one array, got none"),
        ([{"params": []}], "params: expected at least one array, got none"),
        (None, "params: expected a NumPy array, got NoneType None"),
        (3.0, "params: expected a NumPy array, got float 3.0"),
        ([[1.0, 2.0]], r"params\[0\]: expected a NumPy array, got list"),
        ([np.ones(2), {"params": np.ones(2)}], r"params\[0\]: expected a group with the key 'params', got float64"),
        ([{"lr": 0.1}], r"params\[0\]: expected a group with the key 'params', got dict"),
        ([{"params": np.ones(2), "speed": 1}], r"params\[0\]: expected one of .*lr.*, got 'speed'"),
        (np.ones(2, ">f8"), "params: expected float32, float64, bfloat16 or float16, got >f8"),
        (np.ones(2, np.longdouble), "params: expected float32, float64, bfloat16 or float16, got "),
        (np.ones(17, np.uint8)[1:].view("f8"), "params: expected memory aligned to its 8-byte elements"),
        (np.broadcast_to(1.0, (3,)), "params: expected a writable array, got a read-only one"),
    ],
)
def test_parameters_that_can_not_be_trained_are_refused(params, words):
    with pytest.raises((TypeError, ValueError), match="^" + words):
        Adam(params)


# ---- state that outlives the process

STATEFUL = [
    (SGD, {"momentum": 0.9}),
    (Momentum, {}),
    (Adam, {"amsgrad": True}),
    (AdamW, {}),
    (RMSprop, {"centered": True, "momentum": 0.9}),
    (Adagrad, {"initial_accumulator_value": 0.1, "lr_decay": 0.1}),
    (SGD, {}),
]


def params_and_grads(seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"w": (5, 4), "b": (), "empty": (0,)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    params = {name: np.asarray(param) for name, param in params.items()}
    grads = [{name: np.asarray(rng.standard_normal(shape)) for name, shape in shapes.items()} for _ in range(6)]
    return params, grads


@for_each_target
@pytest.mark.parametrize(("public", "options"), STATEFUL)
def test_a_saved_state_goes_on_to_the_bit(public, options, target):
    with fo.target(target):
        params, grads = params_and_grads()
        whole = public(params, lr=0.1, **options)
        for grad in grads[:3]:
            whole.step(grad)
        saved = pickle.loads(pickle.dumps(whole.state_dict()))
        resumed_params = {name: param.copy() for name, param in params.items()}
        resumed = public(resumed_params, lr=0.7, **options)
        resumed.load_state_dict(saved)
        assert (resumed.steps, resumed.groups) == (3, whole.groups)
        for grad in grads[3:]:
            whole.step(grad)
            resumed.step(grad)
    np.testing.assert_equal((resumed_params, resumed.state_dict()), (params, whole.state_dict()))


def test_a_saved_state_is_a_copy():
    w = np.ones(3)
    optimizer = Adam(w)
    optimizer.step(np.ones(3))
    saved = optimizer.state_dict()
    kept = copy.deepcopy(saved)
    optimizer.step(np.ones(3))
    optimizer.groups[0]["lr"] = 0.5
    np.testing.assert_equal(saved, kept)
    optimizer.load_state_dict(saved)
    optimizer.step(np.ones(3))
    optimizer.groups[0]["betas"] = (0.5, 0.5)
    np.testing.assert_equal(saved, kept)


def test_a_schedule_is_kept_when_a_state_is_loaded():
    schedule = {0: 0.1, 1: 0.2, 2: 0.3}.__getitem__
    optimizer = SGD(np.ones(1), lr=schedule)
    optimizer.step(np.ones(1))
    saved = optimizer.state_dict()
    assert saved["groups"][0]["lr"] is None
    other = SGD(np.ones(1), lr=schedule)
    other.load_state_dict(saved)
    assert other.lr == 0.2


def changed(**parts):
    return lambda saved: {**saved, **parts}


def without(key):
    return lambda saved: {name: value for name, value in saved.items() if name != key}


def with_array(array):
    return lambda saved: {**saved, "state": {"params": {**saved["state"]["params"], "exp_avg": array}}}


def with_group(**parts):
    return lambda saved: {**saved, "groups": [{**saved["groups"][0], **parts}]}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (changed(optimizer="SGD"), "state_dict: expected the state of Adam, got 'SGD'"),
        (changed(optimizer=None), "state_dict: expected the state of Adam, got None"),
        (changed(steps=-1), r"state_dict\['steps'\]: expected an integer ≥ 0, got -1"),
        (changed(steps=1.0), r"state_dict\['steps'\]: expected an integer ≥ 0, got 1.0"),
        (changed(steps=True), r"state_dict\['steps'\]: expected an integer ≥ 0, got True"),
        (changed(groups=[]), r"state_dict\['groups'\]: expected 1 groups, got list \[\]"),
        (changed(groups=None), r"state_dict\['groups'\]: expected 1 groups, got NoneType"),
        (changed(groups=[{"lr": 0.1}]), r"state_dict\['groups'\]\[0\]: expected the keys .*, got "),
        (with_group(lr=-1.0), "lr: expected a finite number ≥ 0, got -1.0"),
        (with_group(betas=(0.9, 2.0)), r"betas\[1\]: expected a number in \[0, 1\), got 2.0"),
        (
            with_group(amsgrad=True),
            r"state_dict\['groups'\]\[0\]: expected options that keep the optimizer's state, got ",
        ),
        (changed(state={}), r"state_dict\['state'\]: expected the parameters \['params'\], got "),
        (changed(state={"other": {}}), r"state_dict\['state'\]: expected the parameters \['params'\], got "),
        (changed(state=[1]), r"state_dict\['state'\]: expected the parameters \['params'\], got "),
        (
            changed(state={"params": {}}),
            r"state_dict\['state'\]\['params'\]: expected the keys .*'exp_avg'.*, got dict {}",
        ),
        (
            changed(state={"params": None}),
            r"state_dict\['state'\]\['params'\]: expected the keys .*'exp_avg'.*, got NoneType",
        ),
        (with_array(np.zeros(4)), r"state_dict\['state'\]\['params'\]\['exp_avg'\]: expected shape \(3,\), got \(4,\)"),
        (
            with_array(np.zeros(3, "f4")),
            r"state_dict\['state'\]\['params'\]\['exp_avg'\]: expected float64, got float32",
        ),
        (with_array([0.0] * 3), r"state_dict\['state'\]\['params'\]\['exp_avg'\]: expected a NumPy array, got list"),
        (without("steps"), r"state_dict: expected the keys .*, got "),
        (lambda saved: None, r"state_dict: expected the keys .*, got NoneType None"),
        (lambda saved: [saved], r"state_dict: expected the keys .*, got list"),
    ],
)
def test_a_wrong_state_is_refused_and_nothing_changed(spoil, words):
    w = np.ones(3)
    optimizer = Adam(w, lr=0.1)
    optimizer.step(np.ones(3))
    saved = optimizer.state_dict()
    optimizer.step(np.full(3, 2.0))
    before, groups = copy.deepcopy((optimizer.state, optimizer.steps)), copy.deepcopy(optimizer.groups)
    with pytest.raises((TypeError, ValueError), match="^" + words):
        optimizer.load_state_dict(spoil(saved))
    np.testing.assert_equal((optimizer.state, optimizer.steps), before)
    assert optimizer.groups == groups


def test_loading_a_state_into_a_strided_view_of_itself_is_the_same():
    w = np.ones(4)
    optimizer = Adam(w)
    optimizer.step(np.arange(4.0))
    saved = optimizer.state_dict()
    loaded = {name: np.repeat(array, 2)[::2] for name, array in saved["state"]["params"].items()}
    other = Adam(np.ones(4))
    other.load_state_dict({**saved, "state": {"params": loaded}})
    np.testing.assert_equal(other.state_dict(), saved)


@for_each_target
def test_a_nan_in_a_saved_state_travels(target):
    w = np.ones(3)
    optimizer = Adam(w)
    saved = optimizer.state_dict()
    saved["state"]["params"]["exp_avg"][1] = np.nan
    optimizer.load_state_dict(saved)
    with fo.target(target):
        optimizer.step(np.ones(3))
    np.testing.assert_array_equal(np.isnan(w), [False, True, False])


def test_repr_says_what_it_is():
    optimizer = SGD([np.ones(2), np.ones(3)], lr=0.5)
    optimizer.step([np.ones(2), np.ones(3)])
    assert repr(optimizer).startswith("SGD(2 parameters, lr=0.5, momentum=0.0")
    assert "steps=1" in repr(optimizer)


def test_a_copy_of_an_optimizer_trains_a_copy():
    w = np.ones(3)
    optimizer = Adam(w, lr=0.1)
    optimizer.step(np.ones(3))
    before = w.copy()
    for clone in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        clone.step(np.ones(3))
        assert clone.steps == 2
        np.testing.assert_array_equal(w, before)
        expected = before.copy()
        other = Adam(expected, lr=0.1)
        other.load_state_dict(optimizer.state_dict())
        other.step(np.ones(3))
        np.testing.assert_array_equal(clone._store.params[0], expected)
