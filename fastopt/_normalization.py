"""Batch normalization through the launcher: which kernels run over which view of the arrays.

Everything here depends on shapes and strides alone, never on threads.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastopt._config import get_num_threads, get_target
from fastopt.kernels.normalization import reference
from fastopt.kernels.normalization.kernels import KERNELS
from fastopt.kernels.runtime import pipeline

GRAIN = 65536  # elements of a grain: small enough for the L2 cache, which its later passes find it in
ROWS = 128  # rows of a grain at the least: partial results are 1/32 of the float32 data then


class Plan(NamedTuple):
    """How the kernels see the arrays of a call.

    Parameters
    ----------
    by_rows : bool
        The channel is the last axis and rows are the units; else channels are.
    order : tuple of int or None
        The transposition that brings an array into this form.
    channels, values : int
        Channels, and values of each.
    dims : tuple of int
        The kernels' dims.
    """

    by_rows: bool
    order: tuple[int, ...] | None
    channels: int
    values: int
    dims: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether all rows are one grain of so few elements that one call does every pass."""
        return self.by_rows and self.values * self.channels <= GRAIN

    @property
    def grain(self) -> int:
        """Units that one thread runs at a time."""
        if self.by_rows:
            return self.values if self.whole else max(ROWS, GRAIN // self.channels)
        return max(1, GRAIN // self.values)

    def run(
        self, name: str, large: Mapping[str, Any], small: Mapping[str, np.ndarray], scalars=(), per_grain=False
    ):  # fmt: skip
        """Run a kernel; `large` arrays have the shape of x, or are None; `small` ones have an entry for each channel.

        Blocks are whole grains, so that strided arrays are summed as packed ones are, but where rows are merely
        normalized.
        """
        kernel, elementwise = KERNELS[name], name in ("row_normalize", "row_gradient")
        slots = {key: self._turned(array) for key, array in large.items()}
        return pipeline.run(
            ((kernel, kernel.buffers, 1),),
            {**slots, **small},
            self.values if self.by_rows else self.channels,
            dtype="float32" if slots["x"].itemsize == 4 else "float64",
            target=get_target(),
            threads=get_num_threads(),
            grain=self.grain,
            block=0 if elementwise else self.grain,
            dims=self.dims,
            scalars=scalars,
            partials=2 * self.channels if name in ("row_moments", "row_sums") else 0,
            per_grain=per_grain,
        )

    def _turned(self, array: np.ndarray | None) -> Any:
        """Return an array as the kernels see it; one that isn't there takes no memory."""
        if array is None:
            return 0
        return array if self.order is None else array.transpose(self.order)


def plan(axis: int, x: np.ndarray, *others: np.ndarray) -> Plan:
    """Choose the kernels: by x's shape, but for arrays that lie in memory with the channel last (torch's
    channels_last), which are walked as they lie."""
    shape = x.shape
    channels, batch, inner = shape[axis], prod(shape[:axis]), prod(shape[axis + 1 :])
    rest = tuple(k for k in range(x.ndim) if k != axis)
    contiguous = x.flags.c_contiguous
    if inner == 1 or (not contiguous and x.transpose(*rest, axis).flags.c_contiguous):
        return Plan(True, (*rest, axis), channels, batch * inner, (channels,))
    if contiguous and all(array.flags.c_contiguous for array in others):
        return Plan(False, None, channels, batch * inner, (batch, inner, channels * inner, inner))
    return Plan(False, (axis, *rest), channels, batch * inner, (batch, inner, inner, batch * inner))


# ---- what the public functions call; every argument has been checked


def statistics(x, *, axis) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and biased variance of every channel."""
    if get_target() == "reference":
        with np.errstate(all="ignore"):
            return reference.batch_norm_stats(x.astype(np.float64), channel_axis=axis)
    return _moments(plan(axis, x), x)


def normalize(x, gamma, beta, mean, variance, y, *, eps, axis, activation, residual) -> np.ndarray:
    """Normalize x by these statistics into y, which may be x; return 1 / √(variance + eps)."""
    if get_target() == "reference":
        wide = _wide(x, gamma, beta, mean, variance)
        options = {"eps": eps, "channel_axis": axis, "activation": activation, "residual": _wide(residual)[0]}
        with np.errstate(all="ignore"):
            y[...], _, invstd, *_ = reference.batch_norm_forward(*wide, training=False, **options)
        return invstd
    way = plan(axis, x, y) if residual is None else plan(axis, x, y, residual)
    with np.errstate(invalid="ignore"):  # a negative variance has no root: NaN
        invstd = 1.0 / np.sqrt(variance + eps)
    name = "row_normalize" if way.by_rows else "channel_normalize"
    small = _small(gamma, beta, mean, invstd)
    way.run(name, {"x": x, "y": y, "added": residual}, small, (activation == "relu", residual is not None))
    return invstd


def forward(
    x, gamma, beta, y, running_mean, running_var, *, momentum, eps, axis, activation, residual
) -> tuple[np.ndarray, np.ndarray]:
    """Normalize x by its own statistics into y, update the running ones; return mean and 1 / √(variance + eps)."""
    if get_target() == "reference":
        wide = _wide(x, gamma, beta, running_mean, running_var)
        options = {"momentum": momentum, "eps": eps, "channel_axis": axis, "activation": activation}
        with np.errstate(all="ignore"):
            y[...], mean, invstd, *fresh = reference.batch_norm_forward(*wide, residual=_wide(residual)[0], **options)
        for array, value in zip((running_mean, running_var), fresh):
            if array is not None:
                array[...] = value
        return mean, invstd
    way = plan(axis, x, y) if residual is None else plan(axis, x, y, residual)
    flags = (activation == "relu", residual is not None)
    if way.by_rows and not way.whole:
        mean, variance = _moments(way, x)
        invstd = 1.0 / np.sqrt(variance + eps)
        way.run("row_normalize", {"x": x, "y": y, "added": residual}, _small(gamma, beta, mean, invstd), flags)
    else:
        mean, variance, invstd = np.empty((3, way.channels))
        small = _small(gamma, beta, mean, invstd) | {"variance": variance}
        name = "row_forward" if way.by_rows else "channel_forward"
        way.run(name, {"x": x, "y": y, "added": residual}, small, (eps, *flags))
    if running_mean is not None:
        running_mean[...] = (1 - momentum) * running_mean.astype(np.float64) + momentum * mean
    if running_var is not None:
        unbiased = variance * (way.values / (way.values - 1))
        running_var[...] = (1 - momentum) * running_var.astype(np.float64) + momentum * unbiased
    return mean, invstd


def gradient_sums(dy, x, gamma, beta, mean, invstd, *, axis, activation, residual) -> np.ndarray:
    """Return, for every channel, the sum of dy as the activation lets it through, and of dy x̂: an array (2, C)."""
    if get_target() == "reference":
        options = {"channel_axis": axis, "activation": activation, "residual": _wide(residual)[0]}
        with np.errstate(all="ignore"):
            return np.stack(reference.batch_norm_gradient_sums(*_wide(dy, x, gamma, mean, invstd, beta), **options))
    way = plan(axis, *(array for array in (x, dy, residual) if array is not None))
    small, flags = (
        _small(gamma, gamma if beta is None else beta, mean, invstd),
        (activation == "relu", residual is not None),
    )
    large = {"dy": dy, "x": x, "added": residual}
    if way.by_rows:
        return way.run("row_sums", large, small, flags).reshape(2, -1)
    sums = np.empty((2, way.channels))
    way.run("channel_sums", large, small | dict(zip(("sums", "products"), sums)), flags)
    return sums


def gradient(
    dy, x, gamma, beta, mean, invstd, sums, count, dx, dresidual, *, training, axis, activation, residual
) -> None:  # fmt: skip
    """Write dx, which may be dy, from the sums over `count` values a channel; and dresidual, where there is one."""
    if get_target() == "reference":
        options = {"channel_axis": axis, "activation": activation, "residual": _wide(residual)[0]}
        with np.errstate(all="ignore"):
            wide = _wide(dy, x, gamma, mean, invstd)
            if training:
                dx[...], passed = reference.batch_norm_gradient_apply(*wide, *sums, count, *_wide(beta), **options)
            else:
                dx[...], _, _, passed = reference.batch_norm_backward(*wide, *_wide(beta), training=False, **options)
        if dresidual is not None:
            dresidual[...] = passed
        return
    way, large, small, flags = _slopes(
        dy, x, gamma, beta, mean, invstd, dx, dresidual, training, axis, activation, residual
    )
    name = "row_gradient" if way.by_rows else "channel_gradient"
    packed = dict(zip(("sums", "products"), map(np.ascontiguousarray, sums)))
    way.run(name, large, small | packed, (*flags, count))


def backward(
    dy, x, gamma, beta, mean, invstd, dx, dresidual, *, training, axis, activation, residual
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Write dx, which may be dy, and dresidual, where there is one; return dgamma and dbeta."""
    if get_target() == "reference":
        options = {"axis": axis, "activation": activation, "residual": residual}
        sums = gradient_sums(dy, x, gamma, beta, mean, invstd, **options)
        count = x.size // x.shape[axis]
        gradient(dy, x, gamma, beta, mean, invstd, sums, count, dx, dresidual, training=training, **options)
    else:
        way, large, small, flags = _slopes(
            dy, x, gamma, beta, mean, invstd, dx, dresidual, training, axis, activation, residual
        )  # fmt: skip
        if way.by_rows and not way.whole:
            read = {name: large[name] for name in ("dy", "x", "added")}
            sums = way.run("row_sums", read, small, flags[1:]).reshape(2, -1)
            way.run("row_gradient", large, small | dict(zip(("sums", "products"), sums)), (*flags, way.values))
        else:
            sums = np.empty((2, way.channels))
            name = "row_backward" if way.by_rows else "channel_backward"
            way.run(name, large, small | dict(zip(("sums", "products"), sums)), flags)
    dgamma, dbeta = np.empty((2, *gamma.shape), x.dtype)
    with np.errstate(over="ignore"):
        dbeta[...], dgamma[...] = sums
    return dgamma, dbeta


# ---- what they share


def _slopes(dy, x, gamma, beta, mean, invstd, dx, dresidual, training, axis, activation, residual):
    """Return the plan of a backward, its large arrays, its small ones, and the kernels' flags."""
    large = {"dy": dy, "x": x, "added": residual, "dx": dx, "dadded": dresidual}
    way = plan(axis, x, *(array for array in large.values() if array is not None))
    small = _small(gamma, gamma if beta is None else beta, mean, invstd)
    return way, large, small, (training, activation == "relu", residual is not None)


def _moments(way: Plan, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and biased variance, over grains of rows that are merged, or channel by channel."""
    mean, variance = np.empty((2, way.channels))
    if not way.by_rows:
        way.run("channel_moments", {"x": x}, {"mean": mean, "variance": variance})
        return mean, variance
    parts = way.run("row_moments", {"x": x}, {}, per_grain=True)
    kernel = KERNELS["merge_moments"]
    pipeline.run(
        ((kernel, kernel.buffers, 1),),
        {"parts": parts.reshape(-1), "mean": mean, "variance": variance},
        way.channels,
        dtype="float64",
        target=get_target(),
        threads=get_num_threads(),
        grain=max(8, GRAIN // len(parts)),
        dims=(way.channels, way.grain, way.values),
    )
    return mean, variance


def _small(gamma, beta, mean, invstd) -> dict[str, np.ndarray]:
    """Return the arrays with an entry for each channel, packed: kernels index them by channel, not by unit."""
    arrays = {"gamma": gamma, "beta": beta, "mean": mean, "invstd": invstd}
    return {name: a if a.flags.c_contiguous else np.ascontiguousarray(a) for name, a in arrays.items()}


def _wide(*arrays) -> list:
    return [None if array is None else array.astype(np.float64) for array in arrays]
