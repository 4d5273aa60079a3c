"""Layer and RMS norm on a GPU: the checks of arrays there, and the room's way. Nothing waits for the device."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.device_arrays import output, place
from fastopt.kernels.normalization import cuda
from fastopt.kernels.runtime.cuda_arrays import DeviceArray, stream_of


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
