"""Every argument of every initializer, changed alone, changes the result or raises; 16-bit weights."""

import inspect

import ml_dtypes
import numpy as np
import pytest

import fastopt as fo

GOOD = {
    "shape": (4, 3), "seed": 1, "gain": 2.0, "layout": "out_in", "truncated": True, "mode": "fan_out",
    "dtype": "float64", "low": -1.0, "high": 1.0, "mean": 1.0, "std": 1.0,
}  # fmt: skip
BASE = {"shape": (2, 3, 5), "seed": 0}  # a matrix has the same average of fans, and is as orthogonal, in both layouts
NAMES = [name for name in fo.initializers.__all__ if getattr(fo.initializers, name).__name__ == name]


def alike(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_changed_alone_has_its_effect(name):
    function = getattr(fo.initializers, name)
    taken = inspect.signature(function).parameters
    base = {key: value for key, value in BASE.items() if key in taken}
    plain = function(**base)
    for argument in taken:
        if argument == "out":
            out = np.zeros(plain.shape, np.float32)
            assert function(**base, out=out) is out
            assert alike(out, plain)
            continue
        assert not alike(function(**{**base, argument: GOOD[argument]}), plain), argument


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_weights_are_those_of_float32_rounded(name, dtype):
    kind = np.dtype(getattr(ml_dtypes, dtype, np.float16))
    function = getattr(fo.initializers, name)
    given = {} if name in ("zeros", "ones") else {"seed": 3}
    wide = function((70, 50), **given)
    for target in ("cython", "numba", "reference"):
        out = np.zeros((70, 100), kind)[:, ::2]
        with fo.target(target):
            narrow = function((70, 50), dtype=dtype, **given)
            function((70, 50), dtype=kind, out=out, **given)
        assert narrow.dtype == kind
        np.testing.assert_array_equal(narrow, out)
        rounding = float(ml_dtypes.finfo(kind).eps)
        np.testing.assert_allclose(narrow.astype(float), wide, rtol=rounding, atol=1e-6)


@pytest.mark.parametrize("target", ["cython", "numba", "reference"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_uniform_16_bit_weight_stays_below_high(dtype, target):
    with fo.target(target):
        x = fo.initializers.uniform((5000,), 0, low=0.0, high=1.0, dtype=dtype)
    assert 0.9 < x.max() < 1.0


def test_a_standard_deviation_of_0_gives_the_mean():
    for name in ("normal", "truncated_normal"):
        assert (getattr(fo.initializers, name)((9,), 0, mean=0.5, std=0.0) == 0.5).all()
    with pytest.raises(ValueError, match="std: expected a scale that float16 can hold"):
        fo.initializers.normal((2,), 0, std=1e5, dtype="float16")
