"""Refusals that batch norm's functions and its layer share."""

from typing import Any, Literal

import numpy as np

from fastopt import expect

Activation = Literal["relu"] | None


def channel_axis_of(channel_axis: Any) -> int:
    if isinstance(channel_axis, bool) or not isinstance(channel_axis, int | np.integer):
        raise TypeError(f"channel_axis: expected an integer, got {expect.describe(channel_axis)}")
    return int(channel_axis)


def geometry(x: Any, channel_axis: Any) -> tuple[int, int]:
    """Return the channel axis, counted from the front, and the number of channels."""
    expect.not_empty(expect.array(x, "x"), "x")
    axis, shape = channel_axis_of(channel_axis), x.shape
    if len(shape) < 2:
        raise ValueError(f"x: expected two or more axes, got shape {shape}")
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"channel_axis: expected an axis of x with shape {shape}, got {channel_axis}")
    return axis % len(shape), shape[axis]


def activation_of(activation: Any) -> Activation:
    if activation is None:
        return None
    if not isinstance(activation, str) or activation != "relu":
        raise ValueError(f"activation: expected None or 'relu', got {activation!r}")
    return "relu"


def residual_of(residual: Any, x: np.ndarray) -> np.ndarray | None:
    return None if residual is None else expect.array(residual, "residual", dtype=x.dtype, shape=x.shape)


def slopes(dy: Any, x: Any, gamma: Any, mean: Any, invstd: Any, beta: Any, channel_axis: Any, activation: Any) -> int:
    """Check what a backward takes; return the channel axis, counted from the front."""
    axis, channels = geometry(x, channel_axis)
    expect.array(gamma, "gamma", dtype=x.dtype, shape=(channels,))
    expect.array(dy, "dy", dtype=x.dtype, shape=x.shape)
    expect.arrays(expect.FLOAT64, (channels,), mean=mean, invstd=invstd)
    if activation_of(activation) is not None or beta is not None:
        expect.array(beta, "beta", dtype=x.dtype, shape=(channels,))
    return axis


def output(out: Any, x: np.ndarray, apart: Any, same: str = "") -> np.ndarray:
    """Return `out`, checked, or a new array in the memory layout of x; it may be `same`."""
    if out is None:
        return np.empty_like(x, subok=False)
    return expect.output(out, "out", dtype=x.dtype, shape=x.shape, apart=apart, same=same)


def residual_output(
    out: Any, dy: np.ndarray, dx: np.ndarray, residual: Any, activation: Activation, parts: dict[str, Any]
) -> np.ndarray | None:
    """Return where the residual's gradient goes, checked: a new array if none was given, dy itself where it is dy."""
    if residual is None or activation is None:
        if out is not None:
            wanted = "a residual and an activation with it" if residual is None else "an activation with it"
            raise ValueError(f"out_residual: expected {wanted}, got an array that nothing would be written to")
        return None if residual is None else dy
    if out is None:
        return np.empty_like(dy, subok=False)
    same = "" if dx is dy else "dy"
    return expect.output(out, "out_residual", dtype=dy.dtype, shape=dy.shape, apart=parts | {"out": dx}, same=same)
