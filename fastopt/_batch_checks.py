"""Refusals that batch norm's functions and its layer share."""

from typing import Any, Literal

import numpy as np

from fastopt import _check

Activation = Literal["relu"] | None


def channel_axis_of(channel_axis: Any) -> int:
    if isinstance(channel_axis, bool) or not isinstance(channel_axis, int | np.integer):
        raise TypeError(f"channel_axis: expected an integer, got {_check.describe(channel_axis)}")
    return int(channel_axis)


def geometry(x: Any, channel_axis: Any) -> tuple[int, int]:
    """Return the channel axis, counted from the front, and the number of channels."""
    _check.not_empty(_check.array(x, "x"), "x")
    axis = channel_axis_of(channel_axis)
    if x.ndim < 2:
        raise ValueError(f"x: expected two or more axes, got shape {x.shape}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"channel_axis: expected an axis of x with shape {x.shape}, got {channel_axis}")
    return axis % x.ndim, x.shape[axis]


def vectors(x: np.ndarray, channels: int, **vectors: Any) -> None:
    for name, vector in vectors.items():
        _check.array(vector, name, dtype=x.dtype, shape=(channels,))


def activation_of(activation: Any) -> Activation:
    if activation is None:
        return None
    if not isinstance(activation, str) or activation != "relu":
        raise ValueError(f"activation: expected None or 'relu', got {activation!r}")
    return "relu"


def output(out: Any, x: np.ndarray, apart: Any, same: str = "") -> np.ndarray:
    """Return `out`, checked, or a new array in the memory layout of x."""
    if out is None:
        return np.empty_like(x, subok=False)
    return _check.output(out, "out", dtype=x.dtype, shape=x.shape, apart=apart, same=same)
