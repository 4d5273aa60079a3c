"""What all initializers share: checks and fans."""

import math
import secrets
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.docstrings import filler
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.kinds import finfo
from fastopt.kernels.runtime.targets import way

Shape = tuple[int, ...]
LAYOUTS = ("in_out", "out_in")
MODES = ("fan_in", "fan_out")
CUT_STD = 0.87962566103423978  # standard deviation of the standard normal distribution cut at 2

filled = filler(
    dtype="""\
dtype : {"float32", "float64", "bfloat16", "float16"}, default "float32"
    Of the result. Numbers of 16 bits are float32's, rounded to nearest.""",
    result="""\
Returns
-------
array of this shape and dtype; `out` where it was given

Raises
------
TypeError, ValueError
    If an argument is outside its domain; nothing has been written then.""",
)


def weights_to_fill(shape: Any, dtype: Any, out: Any, axes: int = 0) -> tuple[Any, np.ndarray]:
    """Return the way for the target in force, if it has one, and the array to fill, after its checks."""
    by, lengths = way("initializers"), expect.shape(shape, "shape", axes)
    return by, output(by, out, lengths, expect.dtype(dtype, "dtype", expect.FLOATS))


def output(by: Any, out: Any, shape: Shape, dtype: np.dtype) -> Any:
    """Return `out`, checked, or a new array, where the way works."""
    if by.of_target != "cuda":
        return expect.output(out, "out", dtype=dtype, shape=shape, apart={})
    from fastopt.device_arrays import to_fill

    return to_fill(out, shape, dtype)


def dtype_of(weights: Any) -> np.dtype:
    """Return the dtype of an array to fill, a library's on a GPU too."""
    if isinstance(weights.dtype, np.dtype):
        return weights.dtype
    from fastopt.kernels.runtime.cuda_arrays import device_array

    return kinds.dtype(device_array(weights, "out").dtype)


def checked_seed(seed: Any) -> int:
    return secrets.randbits(64) if seed is None else expect.integer(seed, "seed", 0, 2**64)


def fans(shape: Shape, layout: Any) -> tuple[int, int]:
    """Return fan_in and fan_out, at least 1 each (an empty array has no use for them)."""
    expect.choice(layout, "layout", LAYOUTS)
    if len(shape) < 2:
        return max(1, *shape, 1), max(1, *shape, 1)
    *spatial, inputs, outputs = shape if layout == "in_out" else (*shape[2:], shape[1], shape[0])
    field = math.prod(spatial)
    return max(1, inputs * field), max(1, outputs * field)


def fill_uniform(by: Any, weights: np.ndarray, seed: int, low: float, high: float, name: str) -> np.ndarray:
    """Fill with U[low, high); `name` is the argument to blame if the dtype can't hold that."""
    dtype = dtype_of(weights)
    largest = float(finfo(dtype).max)
    if not max(high - low, abs(low), abs(high)) <= largest or not dtype.type(low) < dtype.type(high):
        raise ValueError(f"{name}: expected bounds that {dtype} can tell apart, got {low!r} and {high!r}")
    by.uniform(weights, seed, low, high)
    return weights


def fill_normal(
    by: Any, weights: np.ndarray, seed: int, mean: float, std: float, truncated: bool, name: str
) -> np.ndarray:
    """Fill with N(mean, std²), cut at 2 std if `truncated`; `name` is the argument to blame as above."""
    info = finfo(dtype_of(weights))
    if not abs(mean) + 10.0 * std <= float(info.max) or 0.0 < std < float(info.tiny):
        raise ValueError(f"{name}: expected a scale that {dtype_of(weights)} can hold, got mean {mean!r}, std {std!r}")
    by.normal(weights, seed, mean, std, truncated)
    return weights


def scaled(
    distribution: str, shape: Any, seed: Any, gain: Any, fan: str, truncated: Any, dtype: Any, layout: Any, out: Any
) -> np.ndarray:
    """Fill with values of mean 0 and standard deviation gain / √fan."""
    factor = expect.number(gain, "gain", expect.POSITIVE)
    truncated = expect.flag(truncated, "truncated")
    seed = checked_seed(seed)
    by, weights = weights_to_fill(shape, dtype, out)
    fan_in, fan_out = fans(weights.shape, layout)
    std = factor / math.sqrt({"fan_in": fan_in, "fan_out": fan_out, "average": (fan_in + fan_out) / 2}[fan])
    if distribution == "uniform":
        return fill_uniform(by, weights, seed, -math.sqrt(3.0) * std, math.sqrt(3.0) * std, "gain")
    return fill_normal(by, weights, seed, 0.0, std / CUT_STD if truncated else std, truncated, "gain")
