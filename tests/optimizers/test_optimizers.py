"""Optimizers: trajectories worked out by hand, known minima, torch as judge, and the class around the kernels."""

import math

import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.optimizers import SGD, Adagrad, Adam, AdamW, Momentum, RMSprop

CPU_TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", CPU_TARGETS)
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
