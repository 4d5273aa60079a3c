"""Numbers whose squares their type can't hold: right over the whole range, in place and strided, both ways."""

import numpy as np
import pytest

import fastopt as fo

TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", TARGETS)
for_each_kind = pytest.mark.parametrize("kind", ["layer", "rms", "group", "instance", "batch", "batch of planes"])
SCALES = {"float32": (1e20, 3e37, 1.0), "float64": (1e200, 1e307, 1.0)}
n = fo.normalization


def forward(kind, x, **options):
    if kind.startswith("batch"):
        ones = np.ones(x.shape[1], x.dtype)
        return n.batch_norm_forward(x, ones, 0 * ones, **options)
    more = (2,) if kind == "group" else ()
    return getattr(n, f"{kind}_norm_forward")(x, *more, **options)


def backward(kind, dy, x, *statistics):
    if kind.startswith("batch"):
        return n.batch_norm_backward(dy, x, np.ones(x.shape[1], x.dtype), *statistics)
    more = (2, None) if kind == "group" else (None,)
    return getattr(n, f"{kind}_norm_backward")(dy, x, *more, *statistics)


def shape_of(kind):
    return {"batch": (8, 3), "layer": (3, 8), "rms": (3, 8)}.get(kind, (3, 4, 8))


@for_each_kind
@pytest.mark.parametrize(
    ("target", "dtype"),  # the judge computes in float64, so it can't be asked about float64 beyond its squares
    [(target, dtype) for target in TARGETS for dtype in SCALES if (target, dtype) != ("reference", "float64")],
)
def test_a_large_factor_changes_nothing(dtype, kind, target):
    """x̂ does not depend on a factor of x, and dx is divided by it; eps is too small to be seen."""
    base = np.arange(1, 1 + np.prod(shape_of(kind)), dtype=dtype).reshape(shape_of(kind)) % 7 + 1
    dy = np.cos(base * base).astype(dtype)
    rtol, atol = (2e-5, 2e-6) if dtype == "float32" else (1e-12, 1e-13)
    with fo.target(target):
        y, *statistics = forward(kind, base, eps=1e-60)
        dx, *gradients = backward(kind, dy, base, *statistics)
        for factor in SCALES[dtype]:
            x = base * base.dtype.type(factor)
            got, *found = forward(kind, x, eps=1e-60)
            np.testing.assert_allclose(got, y, rtol=rtol, atol=atol)
            np.testing.assert_allclose(found[-1] * factor, statistics[-1], rtol=rtol)
            slope, *others = backward(kind, dy, x, *found)
            with np.errstate(under="ignore"):
                np.testing.assert_allclose(slope * base.dtype.type(factor), dx, rtol=rtol, atol=10 * atol)
            for one, other in zip(others, gradients, strict=True):
                np.testing.assert_allclose(one, other, rtol=rtol, atol=10 * atol)


@for_each_target
@pytest.mark.parametrize("kind", ["layer", "rms", "group", "instance"])
@pytest.mark.parametrize("strided", [False, True])
def test_one_large_row_among_others_in_place(strided, kind, target):
    shape = shape_of(kind)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    x[1] *= np.float32(1e25)
    with fo.target("reference"):
        wanted, *_ = forward(kind, x)
    room = np.zeros((*shape[:-1], 2 * shape[-1]), np.float32)
    inside = room[..., ::2] if strided else np.empty(shape, np.float32)
    inside[...] = x
    with fo.target(target):
        got, *_ = forward(kind, inside, out=inside)
    assert got is inside
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)


@for_each_target
def test_squares_that_vanish_beside_a_tiny_eps(target):
    x = np.float32(1e-25) * np.arange(1, 9, dtype=np.float32).reshape(1, 8)
    with fo.target(target):
        y, *_ = n.layer_norm_forward(x, eps=1e-70)
        same, *_ = n.layer_norm_forward(np.full((2, 8), 3.0, np.float32), eps=1e-70)
    np.testing.assert_allclose(y[0], (np.arange(8) - 3.5) / 5.25**0.5, rtol=1e-5)
    assert (same == 0).all()


@for_each_target
def test_a_masked_batch_and_the_statistics_alone(target):
    x = np.float32(1e20) * np.arange(1, 17, dtype=np.float32).reshape(8, 2)
    mask = np.arange(8) < 6
    wide = x.astype(np.float64)
    with fo.target(target):
        mean, variance, _ = n.batch_norm_stats(x)
        y, *_ = n.batch_norm_forward(x, np.ones(2, np.float32), np.zeros(2, np.float32), mask=mask)
    np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, wide.var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(y, (wide - wide[:6].mean(axis=0)) / wide[:6].std(axis=0), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_eps_that_the_type_cannot_use_is_refused(dtype):
    x = np.zeros((2, 3), dtype)
    if dtype == "float32":
        with pytest.raises(
            ValueError, match=r"eps: expected a finite number > 0, of 1e-76 or more in float32, got 1e-77"
        ):
            n.layer_norm_forward(x, eps=1e-77)
        with pytest.raises(ValueError, match="eps: expected"):
            n.BatchNorm(3).eps = 1e-77
    else:
        assert (n.layer_norm_forward(x, eps=1e-300)[0] == 0).all()
