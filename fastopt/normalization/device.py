"""Layer, RMS, group and instance norm on a GPU: the checks of arrays there, and the room's way."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.device_arrays import output, place
from fastopt.kernels.normalization import cuda, cuda_groups
from fastopt.kernels.runtime.cuda_arrays import DeviceArray, stream_of
from fastopt.normalization.batch import channel_axis_of
from fastopt.normalization.sample import divisor


def forward(
    norm: str, x: Any, gamma: Any, beta: Any, normalized_shape: Any, eps: Any, out: Any
) -> tuple[Any, ...]:  # fmt: skip
    """Return y and the statistics, on the device; eps of None is that of the type computed in."""
    values, shape = _rows(x, gamma, normalized_shape)
    weights = {name: _parameter(array, name, values, shape) for name, array in (("gamma", gamma), ("beta", beta))}
    real = np.dtype(cuda.real_of(values))
    eps = float(np.finfo(real).eps) if eps is None else expect.eps(eps, real)
    y, at = output(out, ("x", values), weights)
    outer = values.shape[: len(values.shape) - len(shape)]
    statistics = cuda.row_forward(norm, values, weights["gamma"], weights["beta"], at, outer, eps, stream_of(x))
    return y, *statistics


def backward(
    norm: str, dy: Any, x: Any, gamma: Any, statistics: dict[str, Any], normalized_shape: Any, out: Any
) -> tuple[Any, ...]:  # fmt: skip
    """Return dx and gradients of parameters, on the device."""
    values, shape = _rows(x, gamma, normalized_shape)
    weight = _parameter(gamma, "gamma", values, shape)
    beside, outer = ("x", values), values.shape[: len(values.shape) - len(shape)]
    slope = place(dy, "dy", (values.dtype,), shape=values.shape, beside=beside)
    given = {name: place(a, name, ("float64",), shape=outer, beside=beside) for name, a in statistics.items()}
    dx, at = output(out, ("dy", slope), {"x": values, "gamma": weight, **given})
    found = cuda.row_backward(norm, slope, values, weight, tuple(given.values()), at, shape, stream_of(x))
    return dx, *found


def group_forward(
    x: Any, num_groups: Any, gamma: Any, beta: Any, channel_axis: Any, eps: Any, out: Any
) -> tuple[Any, ...]:  # fmt: skip
    """Return y, mean and invstd, on the device; `num_groups` of None: as many as channels."""
    values, groups = _groups(x, num_groups, channel_axis)
    shape = values.shape[1:2]
    weights = {name: _parameter(array, name, values, shape) for name, array in (("gamma", gamma), ("beta", beta))}
    eps = expect.eps(eps, np.dtype(cuda.real_of(values)))
    y, at = output(out, ("x", values), weights)
    found = cuda_groups.group_forward(values, weights["gamma"], weights["beta"], at, groups, eps, stream_of(x))
    return y, *found


def group_backward(
    dy: Any, x: Any, num_groups: Any, gamma: Any, mean: Any, invstd: Any, channel_axis: Any, out: Any
) -> tuple[Any, ...]:  # fmt: skip
    """Return dx, dgamma and dbeta, on the device."""
    values, groups = _groups(x, num_groups, channel_axis)
    weight, beside = _parameter(gamma, "gamma", values, values.shape[1:2]), ("x", values)
    slope = place(dy, "dy", (values.dtype,), shape=values.shape, beside=beside)
    named, outer = {"mean": mean, "invstd": invstd}, (values.shape[0], groups)
    given = {name: place(a, name, ("float64",), shape=outer, beside=beside) for name, a in named.items()}
    dx, at = output(out, ("dy", slope), {"x": values, "gamma": weight, **given})
    found = cuda_groups.group_backward(slope, values, weight, given["mean"], given["invstd"], at, groups, stream_of(x))
    return dx, *found


def _groups(x: Any, num_groups: Any, channel_axis: Any) -> tuple[DeviceArray, int]:
    """Return where x is, and its number of groups."""
    values = place(x, "x")
    if not values.size or len(values.shape) < 2:
        raise ValueError(f"x: expected two or more axes and at least one element, got shape {values.shape}")
    if channel_axis_of(channel_axis) % len(values.shape) != 1:
        raise NotImplementedError(
            f"channel_axis: target 'cuda' takes channels along axis 1 alone, as yet, got {channel_axis}"
        )
    return values, values.shape[1] if num_groups is None else divisor(num_groups, values.shape[1])


def _rows(x: Any, gamma: Any, normalized_shape: Any) -> tuple[DeviceArray, tuple[int, ...]]:
    """Return where x is, and the shape of a row: `normalized_shape`, or gamma's, or the last axis."""
    values = place(x, "x")
    if not values.size:
        raise ValueError(f"x: expected at least one element, got shape {values.shape}")
    name, shape = "x", values.shape[-1:]
    if normalized_shape is not None:
        whole = isinstance(normalized_shape, int | np.integer) and not isinstance(normalized_shape, bool)
        name = "normalized_shape"
        shape = expect.shape((normalized_shape,) if whole else normalized_shape, name)
    elif gamma is not None:
        name, shape = "gamma", place(gamma, "gamma", (cuda.real_of(values),), beside=("x", values)).shape
    if not 1 <= len(shape) <= len(values.shape) or values.shape[len(values.shape) - len(shape) :] != shape:
        raise ValueError(f"{name}: expected the shape of the last axes of x, {values.shape}, got {shape}")
    return values, shape


def _parameter(value: Any, name: str, values: DeviceArray, shape: tuple[int, ...]) -> DeviceArray | None:
    if value is None:
        return None
    return place(value, name, (cuda.real_of(values),), shape=shape, beside=("x", values))
