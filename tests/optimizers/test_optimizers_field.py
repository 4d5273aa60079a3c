"""The rest of the field: trajectories worked out by hand, minima, torch as judge, and what only one of them has."""

import math

import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.optimizers import ASGD, FTRL, Adadelta, Adamax, AdamWScheduleFree, AdEMAMix, Lion, NAdam, RAdam, Rprop

CPU_TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", CPU_TARGETS)
# ---- golden trajectories: the papers' formulas on plain numbers, one parameter, five gradients

START = 1.5
GRADIENTS = (0.5, -1.0, 2.0, 0.25, -0.125)


def adamax():
    w, m, u = START, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        m = 0.8 * m + 0.2 * g
        u = max(0.9 * u, abs(g) + 1e-3)
        w = w - 0.1 / (1 - 0.8**t) * m / u
        yield w


def adamax_decayed_and_maximizing():
    w, m, u = START, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        g = -g + 0.2 * w
        m = 0.9 * m + 0.1 * g
        u = max(0.999 * u, abs(g) + 1e-8)
        w = w - 0.1 / (1 - 0.9**t) * m / u
        yield w


def nadam():
    w, m, v, product = START, 0.0, 0.0, 1.0
    for t, g in enumerate(GRADIENTS, start=1):
        mu, mu_next = 0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)), 0.9 * (1 - 0.5 * 0.96 ** ((t + 1) * 0.004))
        product = product * mu
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        m_bar = (1 - mu) * g / (1 - product) + mu_next * m / (1 - product * mu_next)
        w = w - 0.1 * m_bar / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield w


def nadam_as_in_keras():
    w, m, v, product = START, 0.0, 0.0, 1.0
    for t, g in enumerate(GRADIENTS, start=1):
        mu, mu_next = 0.9 * (1 - 0.5 * 0.96**t), 0.9 * (1 - 0.5 * 0.96 ** (t + 1))
        product = product * mu
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        m_bar = (1 - mu) * g / (1 - product) + mu_next * m / (1 - product * mu_next)
        w = w - 0.1 * 0.2 * w  # Keras decays first
        w = w - 0.1 * m_bar / (math.sqrt(v / (1 - 0.999**t)) + 1e-7)
        yield w


def radam():
    w, m, v = START, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):  # rho is below 5 all the time
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w = w - 0.1 * m / (1 - 0.9**t)
        yield w


def radam_rectified():
    w, m, v = START, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=8):  # the optimizer is told that it took 7 steps
        m = 0.9 * m + 0.1 * g
        v = 0.9 * v + 0.1 * g * g
        rho = 19 - 2 * t * 0.9**t / (1 - 0.9**t)
        r = math.sqrt((rho - 4) * (rho - 2) * 19 / (15 * 17 * rho))
        w = w - 0.1 * r * m / (1 - 0.9**t) * math.sqrt(1 - 0.9**t) / (math.sqrt(v) + 1e-8)
        yield w


def adadelta():
    w, s, a = START, 0.0, 0.0
    for g in GRADIENTS:
        s = 0.9 * s + 0.1 * g * g
        delta = math.sqrt(a + 1e-6) / math.sqrt(s + 1e-6) * g
        a = 0.9 * a + 0.1 * delta * delta
        w = w - 0.1 * delta
        yield w


def rprop():
    # signs + - + + -: each change of sign halves the step and rests; the next gradient finds nothing to agree with
    w = START - 0.1  # 0.5: the first step is lr
    yield w
    yield w  # -1: 0.1 becomes 0.05, and the gradient counts as 0
    w = w - 0.05  # 2: nothing to agree with
    yield w
    w = w - 0.05 * 1.2  # 0.25: agrees with 2
    yield w
    yield w  # -0.125: changes again


def asgd():
    w = START
    for t, g in enumerate(GRADIENTS, start=1):
        eta = 0.1 / (1 + 0.5 * 0.1 * (t - 1)) ** 0.75
        w = w - 0.5 * eta * w - eta * g
        yield w


def lion():
    w, m = START, 0.0
    for g in GRADIENTS:
        direction = math.copysign(1, 0.9 * m + 0.1 * g)
        m = 0.99 * m + 0.01 * g
        w = w - 0.1 * (direction + 0.2 * w)
        yield w


def ademamix():
    w, m1, m2, v = START, 0.0, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        m1 = 0.9 * m1 + 0.1 * g
        m2 = 0.9999 * m2 + 0.0001 * g
        v = 0.999 * v + 0.001 * g * g
        w = w - 0.1 * ((m1 / (1 - 0.9**t) + 5 * m2) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8) + 0.2 * w)
        yield w


def ademamix_warming_up():
    w, m1, m2, v = START, 0.0, 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        alpha, beta3 = 2 * t / 8, 0.9999
        if t < 4:  # the paper's schedule of beta3, from 0.9 at 0 to 0.9999 at 4
            ln, ln3 = math.log(0.9), math.log(0.9999)
            beta3 = math.exp(ln * ln3 / ((1 - t / 4) * ln3 + t / 4 * ln))
        m1 = 0.9 * m1 + 0.1 * g
        m2 = beta3 * m2 + (1 - beta3) * g
        v = 0.999 * v + 0.001 * g * g
        w = w - 0.1 * (m1 / (1 - 0.9**t) + alpha * m2) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
        yield w


def ftrl():
    w, z, n = START, 0.0, 0.0
    for g in GRADIENTS:
        sigma = (math.sqrt(n + g * g) - math.sqrt(n)) / 0.1
        z = z + g - sigma * w
        n = n + g * g
        w = 0.0 if abs(z) <= 0.75 else -(z - math.copysign(0.75, z)) / ((1 + math.sqrt(n)) / 0.1 + 0.5)
        yield w


def ftrl_as_in_keras():
    w, linear, accumulator = START, 0.0, 0.1
    for g in GRADIENTS:
        fresh = accumulator + g * g
        linear = linear + g - (math.sqrt(fresh) - math.sqrt(accumulator)) / 0.1 * w
        quadratic = math.sqrt(fresh) / 0.1 + 2 * 0.25
        w = (min(max(linear, -0.01), 0.01) - linear) / quadratic
        accumulator = fresh
        yield w


def schedule_free():
    x = y = z = START
    v = 0.0
    for t, g in enumerate(GRADIENTS, start=1):  # lr is the same at every step, so x is the plain mean of all z
        v = 0.999 * v + 0.001 * g * g
        z = z - 0.1 * (g / (math.sqrt(v / (1 - 0.999**t)) + 1e-8) + 0.2 * y)
        x = (1 - 1 / t) * x + z / t
        y = 0.1 * z + 0.9 * x
        yield y


def schedule_free_warming_up():
    x = y = z = START
    v = total = 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        lr = 0.1 * min(t / 4, 1)
        total += t * lr**2
        c = t * lr**2 / total
        v = 0.9 * v + 0.1 * g * g
        z = z - lr * g / (math.sqrt(v / (1 - 0.9**t)) + 1e-8)
        x = (1 - c) * x + c * z
        y = 0.5 * z + 0.5 * x
        yield y


GOLDEN = [
    (adamax, Adamax, {"betas": (0.8, 0.9), "eps": 1e-3}),
    (adamax_decayed_and_maximizing, Adamax, {"weight_decay": 0.2, "maximize": True}),
    (nadam, NAdam, {}),
    (
        nadam_as_in_keras,
        NAdam,
        {"momentum_decay": 1.0, "eps": 1e-7, "weight_decay": 0.2, "decoupled_weight_decay": True},
    ),
    (radam, RAdam, {}),
    (radam_rectified, RAdam, {"betas": (0.9, 0.9)}),
    (adadelta, Adadelta, {}),
    (rprop, Rprop, {}),
    (asgd, ASGD, {"lambd": 0.5}),
    (lion, Lion, {"weight_decay": 0.2}),
    (ademamix, AdEMAMix, {"weight_decay": 0.2}),
    (ademamix_warming_up, AdEMAMix, {"alpha": 2.0, "alpha_warmup": 8, "beta3_warmup": 4}),
    (ftrl, FTRL, {"l1": 0.75, "l2": 0.5}),
    (ftrl_as_in_keras, FTRL, {"beta": 0.0, "l1": 0.01, "l2": 0.5, "initial_accumulator_value": 0.1}),
    (schedule_free, AdamWScheduleFree, {"weight_decay": 0.2}),
    (schedule_free_warming_up, AdamWScheduleFree, {"betas": (0.5, 0.9), "warmup_steps": 4, "r": 1.0}),
]


@for_each_target
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 4e-6), ("float64", 1e-14)])
@pytest.mark.parametrize(("golden", "public", "options"), [pytest.param(*case, id=case[0].__name__) for case in GOLDEN])
def test_golden_trajectories(golden, public, options, dtype, rtol, target):
    w = np.full(3, START, dtype)
    optimizer = public(w, lr=0.1, **options)
    optimizer.steps = 7 if golden is radam_rectified else 0
    with fo.target(target):
        for g, expected in zip(GRADIENTS, golden(), strict=True):
            optimizer.step(np.full(3, g, dtype))
            np.testing.assert_allclose(w, np.full(3, expected), rtol=rtol, atol=rtol / 10)


def test_golden_trajectories_cover_every_optimizer():
    classes = {getattr(fo.optimizers, name) for name in fo.optimizers.__all__} - {fo.optimizers.Optimizer}
    elsewhere = {"SGD", "Momentum", "Adam", "AdamW", "RMSprop", "Adagrad", "LARS", "LAMB", "Adafactor", "Muon"}
    assert {public for _, public, _ in GOLDEN} == {found for found in classes if found.__name__ not in elsewhere}


# ---- minima

SETTINGS = [
    (Adamax, {"lr": lambda step: 0.5 * 0.99**step, "betas": (0.9, 0.9)}),
    (NAdam, {"lr": lambda step: 0.5 * 0.99**step}),
    (RAdam, {"lr": lambda step: 0.5 * 0.99**step, "betas": (0.9, 0.9)}),
    (Adadelta, {"lr": lambda step: 30.0 * 0.99**step, "eps": 1e-4}),
    (Rprop, {"lr": 0.1}),
    (ASGD, {"lr": 0.1, "lambd": 1e-6}),
    (Lion, {"lr": lambda step: 0.5 * 0.985**step}),
    (AdEMAMix, {"lr": lambda step: 0.5 * 0.99**step, "alpha": 1.0, "betas": (0.9, 0.99, 0.99)}),
    (FTRL, {"lr": 5.0, "beta": 0.0}),
    (AdamWScheduleFree, {"lr": 0.2}),
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
        if public is AdamWScheduleFree:
            optimizer.eval()
    np.testing.assert_allclose(w, bottom, atol=0.05 if public is AdamWScheduleFree else 1e-3)


# ---- torch

TORCH = [
    (Adamax, {}),
    (Adamax, {"betas": (0.8, 0.9), "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    (NAdam, {}),
    (NAdam, {"betas": (0.8, 0.9), "momentum_decay": 0.1, "weight_decay": 0.1, "maximize": True}),
    (NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (RAdam, {}),
    (RAdam, {"betas": (0.8, 0.9), "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    (RAdam, {"betas": (0.8, 0.6), "weight_decay": 0.1, "decoupled_weight_decay": True}),  # rho never reaches 5
    (Adadelta, {"lr": 1.0}),
    (Adadelta, {"lr": 1.0, "rho": 0.5, "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    (Rprop, {}),
    (Rprop, {"etas": (0.25, 1.5), "step_sizes": (1e-3, 0.02), "maximize": True}),
    (ASGD, {}),
    (ASGD, {"lambd": 0.1, "alpha": 0.6, "t0": 10, "weight_decay": 0.1, "maximize": True}),
]


# Hundreds of roundings of numbers of order 1 and a divisor that may be small, as for the first six.
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-5), ("float64", 1e-12)])
@pytest.mark.parametrize(("public", "options"), TORCH)
def test_torch_goes_the_same_way(public, options, dtype, tolerance):
    rng = np.random.default_rng(0)
    options = {"lr": 0.01, **options}
    ours = [rng.standard_normal(shape).astype(dtype) for shape in ((7,), (5, 3), ())]
    optimizer = public(ours, **options)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # of torch's own scalars: eta, mu_product
    try:
        theirs = [torch.nn.Parameter(torch.tensor(param)) for param in ours]
        judge = getattr(torch.optim, public.__name__)(theirs, **options)
        for _ in range(100):
            grads = [np.asarray(rng.standard_normal(param.shape), dtype) for param in ours]
            for param, grad in zip(theirs, grads, strict=True):
                param.grad = torch.tensor(grad)
            judge.step()
            optimizer.step(grads)
    finally:
        torch.set_default_dtype(before)
    for param, state, other in zip(ours, optimizer.state, theirs, strict=True):
        named = {"param": other.detach(), **{name: judge.state[other][name] for name in state}}
        for name, array in {"param": param, **state}.items():
            np.testing.assert_allclose(array, named[name].numpy(), rtol=tolerance, atol=tolerance, err_msg=name)
        for name, number in optimizer.carried[0].items():
            np.testing.assert_allclose(number, judge.state[other][name].item(), rtol=1e-12)


@pytest.mark.parametrize("public", [Adamax, NAdam, RAdam, Adadelta, Rprop, ASGD])
def test_defaults_are_torchs(public):
    judge = getattr(torch.optim, public.__name__)([torch.nn.Parameter(torch.zeros(1))]).defaults
    for name, value in public(np.zeros(1)).groups[0].items():
        assert value == judge.get(name, False), name  # what torch has not is off


# ---- what else only one of them has


@for_each_target
def test_ftrl_writes_exact_zeros(target):
    w = np.zeros(4)
    with fo.target(target):
        FTRL(w, lr=0.5, l1=1.0).step(np.array([0.5, -0.5, 1.0, 3.0]))
    np.testing.assert_array_equal(w == 0, [True, True, True, False])


@for_each_target
def test_asgd_averages_after_t0(target):
    w, seen = np.ones(3), []
    optimizer = ASGD(w, lr=0.1, t0=2)
    with fo.target(target):
        for t in range(1, 8):
            optimizer.step(np.full(3, 0.5))
            seen = [w.copy()] if t <= 3 else [*seen, w.copy()]  # mu is 1 at step 3, then 1, 1/2, 1/3
            if t == 4:
                seen = [w.copy()]
            np.testing.assert_allclose(optimizer.state[0]["ax"], np.mean(seen, axis=0), rtol=1e-14)


def test_rprops_first_step_may_come_from_a_schedule():
    w = np.zeros(1)
    optimizer = Rprop(w, lr=lambda step: 0.5 / (step + 1))
    optimizer.step(np.ones(1))
    optimizer.step(np.ones(1))
    np.testing.assert_allclose(w, -0.5 - 0.5 * 1.2)


def test_step_sizes_that_cross_later_are_refused():
    optimizer = Rprop(np.ones(1))
    optimizer.groups[0]["step_sizes"] = (2.0, 1.0)
    with pytest.raises(ValueError, match="step_sizes: expected the shortest"):
        optimizer.step(np.ones(1))


def test_ademamix_with_both_betas_zero_remembers_nothing():
    w = np.ones(1)
    optimizer = AdEMAMix(w, betas=(0.0, 0.5, 0.0), beta3_warmup=5)
    optimizer.step(np.ones(1))
    assert optimizer.state[0]["exp_avg_slow"] == 1.0
