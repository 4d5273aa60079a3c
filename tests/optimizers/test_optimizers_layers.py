"""LARS, LAMB, Adafactor, Muon: trajectories worked out by hand, torch as judge, and what layers bring with them."""

import math
import tracemalloc

import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.kernels.optimizers import layers
from fastopt.kernels.runtime.pipeline import GRAIN
from fastopt.optimizers import LAMB, LARS, Adafactor, Muon

TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", TARGETS)

# ---- golden trajectories: the papers' formulas on plain numbers, a vector of two, three gradients

START = (3.0, 4.0)
GRADIENTS = ((0.5, -1.0), (2.0, 0.25), (-0.125, 1.0))


def lars():
    (x, y), b, c = START, 0.0, 0.0
    for g, h in GRADIENTS:
        rate = 0.1 * math.hypot(x, y) / (math.hypot(g, h) + 0.2 * math.hypot(x, y) + 0.5)
        b, c = 0.9 * b + 2.0 * rate * (g + 0.2 * x), 0.9 * c + 2.0 * rate * (h + 0.2 * y)
        x, y = x - b, y - c
        yield x, y


def lars_with_nesterov():
    (x, y), b, c = START, 0.0, 0.0
    for g, h in GRADIENTS:
        rate = 0.001 * math.hypot(x, y) / math.hypot(g, h)
        b, c = 0.5 * b - rate * g, 0.5 * c - rate * h
        x, y = x - (0.5 * b - rate * g), y - (0.5 * c - rate * h)
        yield x, y


def lamb():
    (x, y), (m, n), (v, w) = START, (0.0, 0.0), (0.0, 0.0)
    for t, (g, h) in enumerate(GRADIENTS, start=1):
        m, n = 0.9 * m + 0.1 * g, 0.9 * n + 0.1 * h
        v, w = 0.999 * v + 0.001 * g * g, 0.999 * w + 0.001 * h * h
        r = m / (1 - 0.9**t) / (math.sqrt(v / (1 - 0.999**t)) + 1e-6) + 0.2 * x
        s = n / (1 - 0.9**t) / (math.sqrt(w / (1 - 0.999**t)) + 1e-6) + 0.2 * y
        ratio = math.hypot(x, y) / math.hypot(r, s)
        x, y = x - 0.1 * ratio * r, y - 0.1 * ratio * s
        yield x, y


def adafactor():
    (x, y), (v, w) = START, (0.0, 0.0)
    for t, (g, h) in enumerate(GRADIENTS, start=1):
        share = t**-0.8
        v, w = (1 - share) * v + share * g * g, (1 - share) * w + share * h * h
        a, b = g / math.sqrt(v), h / math.sqrt(w)
        alpha = min(0.1, 1 / math.sqrt(t)) * max(1e-3, math.hypot(x, y) / math.sqrt(2))
        rms = max(1.0, math.hypot(a, b) / math.sqrt(2) / 1.5)
        x, y = (1 - 0.1 * 0.2) * x - alpha * a / rms, (1 - 0.1 * 0.2) * y - alpha * b / rms
        yield x, y


def muon():
    """For a matrix of one row, X Xᵀ is a number: its square length."""
    (x, y), b, c = START, 0.0, 0.0
    for g, h in GRADIENTS:
        b, c = 0.95 * b + 0.05 * g, 0.95 * c + 0.05 * h
        u, v = 0.95 * b + 0.05 * g, 0.95 * c + 0.05 * h
        s = 1.0
        for _ in range(5):
            s = s * (3.4445 - 4.775 * s**2 + 2.0315 * s**4)
        u, v = s * u / math.hypot(u, v), s * v / math.hypot(u, v)
        x, y = (1 - 0.1 * 0.1) * x - 0.1 * u, (1 - 0.1 * 0.1) * y - 0.1 * v
        yield x, y


GOLDEN = [
    (lars, LARS, {"lr": 2.0, "weight_decay": 0.2, "trust_coefficient": 0.1, "eps": 0.5}),
    (lars_with_nesterov, LARS, {"momentum": 0.5, "nesterov": True, "maximize": True}),
    (lamb, LAMB, {"lr": 0.1, "weight_decay": 0.2}),
    (adafactor, Adafactor, {"lr": 0.1, "weight_decay": 0.2, "d": 1.5}),
    (muon, Muon, {"lr": 0.1}),
]


@for_each_target
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 4e-6), ("float64", 1e-13)])
@pytest.mark.parametrize(("golden", "public", "options"), [pytest.param(*case, id=case[0].__name__) for case in GOLDEN])
def test_golden_trajectories(golden, public, options, dtype, rtol, target):
    w = np.array([START] if public is Muon else START, dtype)
    optimizer = public(w, **options)
    with fo.target(target):
        for g, expected in zip(GRADIENTS, golden(), strict=True):
            optimizer.step(np.array([g] if public is Muon else g, dtype))
            np.testing.assert_allclose(w.ravel(), expected, rtol=rtol)


# ---- torch

SHAPES = ((), (50,), (40, 30), (2, 5, 7), (64, 32, 3, 3), (70, 50), (2, 30, 40))  # larger ones: the table's
ADAFACTORS = (
    {},
    {"lr": 0.1, "weight_decay": 0.1, "maximize": True, "d": 1.5},
    {"beta2_decay": -0.5, "eps": (0.1, 0.5)},
)


@pytest.mark.parametrize("options", ADAFACTORS)
def test_torchs_adafactor_goes_the_same_way(options):
    rng = np.random.default_rng(0)
    ours = [rng.standard_normal(shape) for shape in SHAPES]
    theirs = [torch.nn.Parameter(torch.tensor(param)) for param in ours]
    options = {"eps": (1e-7, 1e-3), **options}  # torch's own default is the type's
    optimizer, judge = Adafactor(ours, **options), torch.optim.Adafactor(theirs, **options)
    for _ in range(100):
        grads = [rng.standard_normal(shape) for shape in SHAPES]
        for param, grad in zip(theirs, grads, strict=True):
            param.grad = torch.tensor(grad)
        optimizer.step(grads)
        judge.step()
    for own, param, state in zip(ours, theirs, optimizer.state, strict=True):
        np.testing.assert_allclose(own, param.detach().numpy(), rtol=1e-9, atol=1e-9)
        for name, array in state.items():
            np.testing.assert_allclose(array, judge.state[param][name].numpy(), rtol=1e-9, err_msg=name)


MUONS = ({}, {"lr": 0.01, "nesterov": False, "weight_decay": 0.5, "adjust_lr_fn": "match_rms_adamw"})


@pytest.mark.parametrize("shape", [(40, 30), (30, 60)])
@pytest.mark.parametrize("options", MUONS)
def test_torchs_muon_goes_the_same_way_to_the_digits_of_bfloat16(options, shape):
    rng = np.random.default_rng(0)
    own = rng.standard_normal(shape).astype(np.float32)
    start, param = own.copy(), torch.nn.Parameter(torch.tensor(own.copy()))
    optimizer, judge = Muon(own, **options), torch.optim.Muon([param], **options)
    for _ in range(100):
        grad = rng.standard_normal(shape).astype(np.float32)
        param.grad = torch.tensor(grad)
        optimizer.step(grad)
        judge.step()
    way = param.detach().numpy() - start
    assert np.linalg.norm(own - start - way) <= 0.05 * np.linalg.norm(way)  # 15 products, each off by up to 2^-8


# ---- what whole layers bring with them


@for_each_target
@pytest.mark.parametrize("public", [LARS, LAMB, Adafactor])
def test_every_array_is_measured_by_itself(public, target):
    rng = np.random.default_rng(0)
    params = [rng.standard_normal(n) for n in (3, 70_000, 5)]
    grads = [rng.standard_normal(param.shape) for param in params]
    alone = [param.copy() for param in params]
    with fo.target(target):
        public(params).step(grads)
        for param, grad in zip(alone, grads, strict=True):
            public(param).step(grad)
    for param, own in zip(params, alone, strict=True):
        np.testing.assert_array_equal(param, own)


@for_each_target
@pytest.mark.parametrize(("public", "expected"), [(LARS, 0.5), (LAMB, 0.5)])
def test_a_parameter_of_zeros_moves_at_the_plain_rate(public, expected, target):
    w = np.zeros(4)
    with fo.target(target):
        public(w, lr=0.5).step(np.ones(4))
    np.testing.assert_allclose(w, -expected, rtol=1e-5)


@for_each_target
@pytest.mark.parametrize("public", [LARS, LAMB, Adafactor])
def test_a_gradient_of_zeros_leaves_everything_finite(public, target):
    w = np.ones((3, 4))
    with fo.target(target):
        public(w).step(np.zeros((3, 4)))
    np.testing.assert_array_equal(w, 1.0)


@pytest.mark.parametrize("public", [LARS, LAMB, Adafactor, Muon])
def test_a_step_needs_no_memory_that_grows_with_the_parameter(public):
    shape = (1500, 2000)
    grad = np.ones(shape, np.float32)
    optimizer = public(np.ones(shape, np.float32))
    optimizer.step(grad)
    tracemalloc.start()
    optimizer.step(grad)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Muon's products of matrices need their results.
    assert peak <= (4 * grad.nbytes if public is Muon else 2 << 20), peak


def test_wide_tables_of_sums_stay_small():
    """A grain holds the sums of all its columns: long rows make long grains."""
    for shape in ((50_000, 100), (3, 400_000), (1000, 70_000), (400_000, 3), (30_000, 1, 5)):
        sums, grain = layers.Adafactor().extent(0, shape)
        size = math.prod(shape)
        assert sums == shape[-1] + 1
        assert grain >= min(size, GRAIN)
        assert grain % shape[-1] == 0
        assert -(-size // grain) * sums * 8 <= max(1 << 20, 16 * sums)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_muon_makes_updates_orthogonal(dtype):
    rng = np.random.default_rng(0)
    w = np.zeros((30, 50), dtype)
    Muon(w, lr=1.0, ns_coefficients=(1.5, -0.5, 0.0), ns_steps=60).step(rng.standard_normal((30, 50)).astype(dtype))
    np.testing.assert_allclose(w @ w.T, np.eye(30), atol=1e-5 if dtype == "float32" else 1e-12)


def test_muon_takes_matrices_alone():
    with pytest.raises(ValueError, match=r"^params\[1\]: expected a matrix, got shape \(3,\)$"):
        Muon([np.ones((2, 3)), np.ones(3)])


@for_each_target
def test_muon_and_nan(target):
    w = np.ones((3, 4))
    with fo.target(target):
        Muon(w).step(np.full((3, 4), np.nan))
    assert np.isnan(w).all()


@pytest.mark.parametrize("public", [LARS, LAMB, Adafactor, Muon])
def test_a_saved_state_goes_on_to_the_bit(public, tmp_path):
    rng = np.random.default_rng(0)
    w = rng.standard_normal((70, 500)).astype(np.float32)
    grads = [rng.standard_normal(w.shape).astype(np.float32) for _ in range(4)]
    one = public(w, lr=0.1)
    for grad in grads[:2]:
        one.step(grad)
    one.save(tmp_path / "state")
    copy = w.copy()
    other = public(copy, lr=0.1)
    other.load(tmp_path / "state")
    for grad in grads[2:]:
        one.step(grad)
        other.step(grad)
    np.testing.assert_array_equal(w, copy)


@pytest.mark.parametrize("public", [LARS, LAMB, Adafactor, Muon])
def test_a_step_that_is_skipped_changes_nothing(public):
    w = np.ones((5, 6), np.float32)
    optimizer = public(w)
    before = optimizer.state_dict()
    grad = np.full(w.shape, np.inf, np.float32)
    assert optimizer.step(grad, skip_nonfinite=True, return_stats=True).skipped
    np.testing.assert_array_equal(w, 1.0)
    assert optimizer.steps == 0
    for name, array in optimizer.state[0].items():
        np.testing.assert_array_equal(array, before["state"]["params"][name])
