"""What layer, RMS, group and instance norm ask of their arguments."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.normalization.views import parameter_type
from fastopt.kernels.runtime.checks import all_fit
from fastopt.normalization.batch import channel_axis_of


def normalized(x: Any, gamma: Any, normalized_shape: Any) -> tuple[int, ...]:
    """Return the shape of a row: `normalized_shape`, or gamma's, or the last axis; x is checked on the way."""
    expect.not_empty(expect.array(x, "x", among=expect.FLOATS), "x")
    if normalized_shape is not None:
        whole = isinstance(normalized_shape, int | np.integer) and not isinstance(normalized_shape, bool)
        name, shape = (
            "normalized_shape",
            expect.shape((normalized_shape,) if whole else normalized_shape, "normalized_shape"),
        )
    elif gamma is not None:
        name, shape = "gamma", expect.array(gamma, "gamma").shape
    else:
        name, shape = "x", x.shape[-1:]
    if not 1 <= len(shape) <= x.ndim or x.shape[x.ndim - len(shape) :] != shape:
        raise ValueError(f"{name}: expected the shape of the last axes of x, {x.shape}, got {shape}")
    return shape


def channels(x: Any, channel_axis: Any) -> int:
    """Return the channel axis, counted from the front; x is checked on the way."""
    expect.not_empty(expect.array(x, "x", among=expect.FLOATS), "x")
    axis = channel_axis_of(channel_axis)
    if x.ndim < 2:
        raise ValueError(f"x: expected two or more axes, got shape {x.shape}")
    if not -x.ndim <= axis < x.ndim or axis % x.ndim == 0:
        raise ValueError(f"channel_axis: expected an axis of x behind its first, of {x.ndim}, got {channel_axis}")
    return axis % x.ndim


def divisor(num_groups: Any, channels: int) -> int:
    groups = expect.integer(num_groups, "num_groups", 1)
    if channels % groups:
        raise ValueError(f"num_groups: expected a divisor of the {channels} channels of x, got {groups}")
    return groups


def vectors(x: np.ndarray, shape: tuple[int, ...], **given: Any) -> None:
    """Check parameters, which may be None."""
    dtype = parameter_type(x)
    if not all_fit(given.values(), dtype, shape):
        for name, array in given.items():
            if array is not None:
                expect.array(array, name, dtype=dtype, shape=shape)


def slopes(dy: Any, x: np.ndarray, shape: tuple[int, ...], **statistics: Any) -> None:
    """Check what only a backward takes: dy, and the statistics that the forward returned."""
    expect.array(dy, "dy", dtype=x.dtype, shape=x.shape)
    expect.arrays(expect.FLOAT64, shape, **statistics)


def output(out: Any, x: np.ndarray, same: str, /, **apart: np.ndarray | None) -> np.ndarray:
    """Return `out`, checked, or a new array in the memory layout of x."""
    if out is None:
        return np.empty_like(x, subok=False)
    return expect.output(out, "out", dtype=x.dtype, shape=x.shape, apart=apart, same=same)
