"""Layer, RMS and group norm: gradients by finite differences, torch as outside judge, hard statistics, layers."""

import numpy as np
import pytest

import fastopt as fo
from fastopt import normalization
from fastopt.normalization import GroupNorm, LayerNorm, RMSNorm

torch = pytest.importorskip("torch")
COMPILED = ("cython", "numba")
TARGETS = (*COMPILED, "reference")
KINDS = ("layer", "rms", "group")
for_each_target = pytest.mark.parametrize("target", TARGETS)
for_each_kind = pytest.mark.parametrize("kind", KINDS)


def close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-11)


def problem(shape, inner, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(1.0, 2.0, shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    gamma, beta = rng.uniform(0.5, 1.5, inner).astype(dtype), rng.normal(size=inner).astype(dtype)
    return x, dy, gamma, beta


def forward(kind, x, gamma, beta, **options):
    if kind == "rms":
        return normalization.rms_norm_forward(x, gamma, **options)
    options = {"num_groups": 2} | options if kind == "group" else options
    return getattr(normalization, f"{kind}_norm_forward")(x, gamma=gamma, beta=beta, **options)


def backward(kind, dy, x, gamma, *statistics, **options):
    before = (dy, x, 2) if kind == "group" else (dy, x)
    return getattr(normalization, f"{kind}_norm_backward")(*before, gamma, *statistics, **options)


# ---- right


@for_each_kind
@pytest.mark.parametrize("eps", [1e-5, 0.5])
@pytest.mark.parametrize("plain", [False, True])
def test_gradients_agree_with_finite_differences(kind, eps, plain):
    shape = (3, 4, 5)
    x, dy, gamma, beta = problem(shape, shape[1] if kind == "group" else shape[-1])
    if plain:
        gamma = beta = None

    def loss():
        return float((forward(kind, x, gamma, beta, eps=eps)[0] * dy).sum())

    _, *statistics = forward(kind, x, gamma, beta, eps=eps)
    dx, *gradients = backward(kind, dy, x, gamma, *statistics)
    for values, gradient in zip((x, gamma, beta), (dx, *gradients)):
        if values is None:
            continue
        numeric = np.empty_like(values)
        for index in np.ndindex(values.shape):
            value, step = values[index], 1e-6
            values[index] = value + step
            above = loss()
            values[index] = value - step
            numeric[index] = (above - loss()) / (2 * step)
            values[index] = value
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)


@for_each_target
@pytest.mark.parametrize(
    ("layer", "judge", "shape"),
    [
        (LayerNorm(7, dtype="float64"), torch.nn.LayerNorm(7), (5, 7)),
        (LayerNorm((3, 7), eps=0.1, dtype="float64"), torch.nn.LayerNorm((3, 7), eps=0.1), (4, 5, 3, 7)),
        (LayerNorm(7, bias=False, dtype="float64"), torch.nn.LayerNorm(7, bias=False), (40, 3, 7)),
        (LayerNorm(7, affine=False, dtype="float64"), torch.nn.LayerNorm(7, elementwise_affine=False), (2, 7)),
        (LayerNorm(1500, dtype="float64"), torch.nn.LayerNorm(1500), (300, 1500)),
        (LayerNorm(30, dtype="float64"), torch.nn.LayerNorm(30), (30,)),
        (RMSNorm(7, dtype="float64"), torch.nn.RMSNorm(7), (5, 7)),
        (RMSNorm((3, 7), eps=0.1, dtype="float64"), torch.nn.RMSNorm((3, 7), eps=0.1), (4, 5, 3, 7)),
        (RMSNorm(7, affine=False, dtype="float64"), torch.nn.RMSNorm(7, elementwise_affine=False), (2, 7)),
        (RMSNorm(1500, dtype="float64"), torch.nn.RMSNorm(1500), (300, 1500)),
        (GroupNorm(2, 6, dtype="float64"), torch.nn.GroupNorm(2, 6), (5, 6)),
        (GroupNorm(3, 6, eps=0.1, dtype="float64"), torch.nn.GroupNorm(3, 6, eps=0.1), (4, 6, 7)),
        (GroupNorm(1, 6, dtype="float64"), torch.nn.GroupNorm(1, 6), (4, 6, 5, 5)),
        (GroupNorm(6, 6, affine=False, dtype="float64"), torch.nn.GroupNorm(6, 6, affine=False), (4, 6, 2, 3, 4)),
        (GroupNorm(4, 64, dtype="float64"), torch.nn.GroupNorm(4, 64), (20, 64, 33, 5)),
    ],
    ids=lambda part: repr(part) if isinstance(part, tuple) else type(part).__name__,
)  # fmt: skip
def test_torch_agrees(layer, judge, shape, target):
    judge = judge.double()
    x, dy, *_ = problem(shape, 1)
    for name, ours in (("weight", layer.gamma), ("bias", layer.beta)):
        if ours is not None:
            ours[...] = np.random.default_rng(1).uniform(0.5, 1.5, ours.shape)
            with torch.no_grad():
                getattr(judge, name).copy_(torch.from_numpy(ours))
    given = torch.from_numpy(x).requires_grad_()
    judge.zero_grad()
    wanted = judge(given)
    wanted.backward(torch.from_numpy(dy))
    with fo.target(target):
        close(layer.forward(x), wanted.detach().numpy())
        close(layer.backward(dy), given.grad.numpy())
    for name, ours in (("weight", layer.grad_gamma), ("bias", layer.grad_beta)):
        if ours is None:
            assert getattr(judge, name, None) is None
        else:
            close(ours, getattr(judge, name).grad.numpy())


@for_each_target
def test_the_eps_of_rms_is_that_of_the_dtype(target):
    with fo.target(target):
        for dtype in ("float32", "float64"):
            _, invrms = normalization.rms_norm_forward(np.zeros((2, 3), dtype))
            np.testing.assert_allclose(invrms, float(np.finfo(dtype).eps) ** -0.5, rtol=1e-12)


@pytest.mark.parametrize("target", COMPILED)
@pytest.mark.parametrize("kind", ["layer", "group"])
@pytest.mark.parametrize("shape", [(3, 4, 2048), (5, 4, 33)])
def test_a_large_mean_with_a_small_spread_is_normalized_right(shape, kind, target):
    x = (1e4 + 1e-2 * np.random.default_rng(0).normal(size=shape)).astype(np.float32)
    rows = x.astype(np.float64).reshape((3 if shape[0] == 3 else 5, 2, -1) if kind == "group" else (-1, shape[-1]))
    mean, variance = rows.mean(axis=-1, keepdims=True), rows.var(axis=-1, keepdims=True)
    with fo.target(target):
        y, got_mean, invstd = forward(kind, x, None, None)
    np.testing.assert_allclose(got_mean.ravel(), mean.ravel(), rtol=1e-10)
    np.testing.assert_allclose(invstd.ravel(), 1 / np.sqrt(variance + 1e-5).ravel(), rtol=1e-6)
    np.testing.assert_allclose(y, ((rows - mean) / np.sqrt(variance + 1e-5)).reshape(shape), rtol=1e-5, atol=2e-6)


@for_each_target
@for_each_kind
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_stays_in_its_row(bad, kind, target):
    shape = (4, 6, 40)
    x, dy, *_ = problem(shape, 1)
    clean, *_ = forward(kind, x, None, None)
    x[2, 1, 3] = bad
    with fo.target(target):
        y, *statistics = forward(kind, x, None, None)
        dx, *_ = backward(kind, dy, x, None, *statistics)
    spoilt = np.zeros(shape, bool)
    spoilt[2, : 3 if kind == "group" else 2, :] = True
    if kind != "group":
        spoilt[2, 0] = False
    close(y[~spoilt], clean[~spoilt])
    assert np.isfinite(dx[~spoilt]).all()
    assert np.isnan(y[2, 1, 3])
    assert np.isnan(dx[spoilt]).all() or kind == "rms"  # 1 / Inf is 0: an RMS row of Inf has gradients of 0


@for_each_target
def test_a_row_of_one_value_becomes_beta(target):
    x, beta = np.array([[3.0], [-1e4]]), np.array([0.25])
    with fo.target(target):
        y, mean, invstd = normalization.layer_norm_forward(x, np.ones(1), beta)
        dx, dgamma, dbeta = normalization.layer_norm_backward(np.ones((2, 1)), x, np.ones(1), mean, invstd)
    assert (y == 0.25).all()
    assert (dx == 0).all()
    assert (dgamma, dbeta) == (0.0, 2.0)


# ---- memory


@pytest.mark.parametrize("target", COMPILED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@for_each_kind
@pytest.mark.parametrize("shape", [(5, 4, 300), (400, 40), (3, 4000)])
def test_in_place_gives_the_same_bits(shape, kind, dtype, target):
    x, dy, gamma, beta = problem(shape, shape[1] if kind == "group" else shape[-1], dtype)
    with fo.target(target):
        y, *statistics = forward(kind, x, gamma, beta)
        dx, *gradients = backward(kind, dy, x, gamma, *statistics)
        got, *others = backward(kind, dy, x, gamma, *statistics, out=dy)
        assert got is dy
        np.testing.assert_array_equal(got, dx)
        for one, other in zip(others, gradients, strict=True):
            np.testing.assert_array_equal(one, other)
        got, *_ = forward(kind, x, gamma, beta, out=x)
        assert got is x
        np.testing.assert_array_equal(got, y)


@pytest.mark.parametrize("target", COMPILED)
@for_each_kind
def test_mixed_layouts_are_right(kind, target):
    x, dy, gamma, beta = problem((6, 4, 50), 4 if kind == "group" else 50)
    y, *statistics = forward(kind, x, gamma, beta)
    dx, *gradients = backward(kind, dy, x, gamma, *statistics)
    turned = np.ascontiguousarray(x.T).T
    with fo.target(target):
        for a, b in ((turned, dy), (x, np.ascontiguousarray(dy.T).T), (turned, np.repeat(dy, 2, axis=-1)[..., ::2])):
            got, *found = forward(kind, a, gamma, beta)
            assert got.strides == a.strides
            close(got, y)
            for one, other in zip(backward(kind, b, a, gamma, *found), (dx, *gradients), strict=True):
                close(one, other)


# ---- the layers


def test_gradients_are_written_where_they_were():
    x, dy, *_ = problem((6, 4), 4)
    for layer in (LayerNorm(4, dtype="float64"), RMSNorm(4, dtype="float64"), GroupNorm(2, 4, dtype="float64")):
        kept = layer.grad_gamma
        layer.forward(x)
        layer.backward(dy)
        assert layer.grad_gamma is kept
        assert (kept != 0).all()
        assert repr(layer).startswith(type(layer).__name__ + "(")


def test_backward_needs_a_forward_that_left_x():
    x, dy, *_ = problem((6, 3), 3)
    layer = LayerNorm(3, dtype="float64")
    with pytest.raises(ValueError, match="backward: expected a forward before it"):
        layer.backward(dy)
    layer.forward(x)
    layer.forward(x, out=x[:])
    with pytest.raises(ValueError, match="other than x"):
        layer.backward(dy)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LayerNorm(0), ValueError, "normalized_shape: expected an integer ≥ 1, got 0"),
        (lambda: LayerNorm(()), ValueError, "normalized_shape: expected 1 axes or more"),
        (lambda: LayerNorm((3, 0)), ValueError, "normalized_shape: expected lengths of 1 or more"),
        (lambda: LayerNorm(3.5), TypeError, "normalized_shape: expected an integer"),
        (lambda: LayerNorm(3, eps=0), ValueError, "eps: expected a finite number > 0"),
        (lambda: LayerNorm(3, affine=1), TypeError, "affine: expected True or False"),
        (lambda: LayerNorm(3, bias=None), TypeError, "bias: expected True or False"),
        (lambda: RMSNorm(3, eps=-1.0), ValueError, "eps: expected a finite number > 0"),
        (lambda: RMSNorm(3, dtype="int8"), ValueError, "dtype: expected one of"),
        (lambda: GroupNorm(0, 4), ValueError, "num_groups: expected an integer ≥ 1"),
        (lambda: GroupNorm(3, 4), ValueError, "num_groups: expected a divisor of features, 4, got 3"),
        (lambda: GroupNorm(2, 2.0), TypeError, "features: expected an integer"),
        (lambda: LayerNorm(3).forward(np.ones((2, 3))), TypeError, "x: expected float32, got float64"),
        (lambda: LayerNorm(3).forward(np.ones((3, 2), "f4")), ValueError, "normalized_shape: expected the shape of"),
        (lambda: GroupNorm(2, 4).forward(np.ones((3, 6), "f4")), ValueError, "x: expected 4 channels on axis 1"),
    ],
)
def test_a_layer_refuses_what_it_cannot_be(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("target", ["cython", "numba"])
@pytest.mark.parametrize("name", ["layer", "rms", "group", "batch"])
def test_results_that_go_around_the_cache_have_the_bits_of_those_in_place(name, target):
    x, dy = np.random.default_rng(6).standard_normal((2, 4099, 1032), dtype=np.float32)  # more than 16 MiB each
    n = fo.normalization
    gamma, beta = np.linspace(-1, 2, 1032, dtype=np.float32), np.linspace(3, -1, 1032, dtype=np.float32)
    before, found = fo.get_num_threads(), []
    with fo.target(target):
        for threads, in_place in ((1, True), (2, False), (7, False)):
            fo.set_num_threads(threads)
            y, dx = (x.copy(), dy.copy()) if in_place and name != "batch" else (None, dy.copy() if in_place else None)
            if name == "layer":
                y, *kept = n.layer_norm_forward(x if y is None else y, gamma, beta, out=y)
                gradients = n.layer_norm_backward(dy if dx is None else dx, x, gamma, *kept, out=dx)
            elif name == "rms":
                y, kept = n.rms_norm_forward(x if y is None else y, gamma, out=y)
                gradients = n.rms_norm_backward(dy if dx is None else dx, x, gamma, kept, out=dx)
            elif name == "group":
                y, *kept = n.group_norm_forward(x if y is None else y, 8, gamma, beta, out=y)
                gradients = n.group_norm_backward(dy if dx is None else dx, x, 8, gamma, *kept, out=dx)
            else:
                y, *kept = n.batch_norm_forward(x, gamma, beta)
                gradients = n.batch_norm_backward(dy if dx is None else dx, x, gamma, *kept, out=dx)
            found.append((y, *gradients))
    fo.set_num_threads(before)
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
