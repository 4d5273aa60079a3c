"""Batch normalization through the launcher: which kernels run over which view of the arrays.

Everything here depends on shapes and strides alone, never on threads.
"""

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from fastopt.kernels.normalization import reference
from fastopt.kernels.normalization.kernels import KERNELS
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.checks import are_packed, narrow
from fastopt.kernels.runtime.settings import get_num_threads, get_target
from fastopt.kernels.runtime.stages import STREAMED_BYTES

GRAIN = 65536  # elements of a grain: small enough for the L2 cache, which its later passes find it in
ROWS = 128  # rows of a grain at the least: partial results are 1/32 of the float32 data then
LARGE = ("x", "y", "dy", "dx", "added", "dadded")  # buffers of the shape of x
SUMMED = ("row_moments", "row_sums")
MAPPED = ("row_normalize", "row_gradient")  # no sums


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
    whole, large : bool
        Whether all rows are one grain of so few elements that one call does every pass; whether results of rows are so
        large that they go around the cache.
    grain : int
        Units that one thread runs at a time.
    """

    by_rows: bool
    order: tuple[int, ...] | None
    channels: int
    values: int
    dims: tuple[int, ...]
    whole: bool
    large: bool
    grain: int

    def run(self, name: str, arrays: tuple[np.ndarray | None, ...], scalars=(), per_grain=False) -> np.ndarray:
        """Run a kernel over its buffers; those in LARGE have the shape of x, all others an entry for each channel.

        Blocks are whole grains, so that strided arrays are summed as packed ones are, but where rows are merely
        normalized.
        """
        kernel = KERNELS[name]
        if self.order is not None:
            named = zip(kernel.buffers, arrays)
            arrays = tuple([a.transpose(self.order) if key in LARGE and a is not None else a for key, a in named])
        dims = (*self.dims, self.large and are_packed(arrays, 0)) if name in MAPPED else self.dims
        return pipeline.run_kernel(
            kernel,
            arrays,
            self.values if self.by_rows else self.channels,
            "float32" if arrays[0].itemsize == 4 else "float64",  # type: ignore[union-attr]
            get_target(),
            get_num_threads(),
            self.grain,
            0 if name in MAPPED else self.grain,
            dims,
            scalars,
            2 * self.channels if name in SUMMED else 0,
            per_grain,
        )


def plan(axis: int, x: np.ndarray, *others: np.ndarray | None) -> Plan:
    """Choose the kernels: by x's shape, but for arrays that lie in memory with the channel last (torch's
    channels_last), which are walked as they lie."""
    if are_packed((x, *others), 0):
        return _packed_plan(x.shape, x.itemsize, axis)
    shape = x.shape
    channels, batch, inner = shape[axis], prod(shape[:axis]), prod(shape[axis + 1 :])
    rest = tuple(k for k in range(x.ndim) if k != axis)
    if inner == 1 or (not x.flags.c_contiguous and x.transpose(*rest, axis).flags.c_contiguous):
        return _by_rows((*rest, axis), channels, batch * inner, x.itemsize)
    return _by_channels((axis, *rest), channels, batch * inner, (batch, inner, inner, batch * inner))


@lru_cache(maxsize=1024)
def _packed_plan(shape: tuple[int, ...], itemsize: int, axis: int) -> Plan:
    channels, batch, inner = shape[axis], prod(shape[:axis]), prod(shape[axis + 1 :])
    if inner == 1:
        rest = tuple(k for k in range(len(shape)) if k != axis)
        return _by_rows(None if axis == len(shape) - 1 else (*rest, axis), channels, batch * inner, itemsize)
    return _by_channels(None, channels, batch * inner, (batch, inner, channels * inner, inner))


def _by_rows(order: tuple[int, ...] | None, channels: int, values: int, itemsize: int) -> Plan:
    whole, large = values * channels <= GRAIN, values * channels * itemsize >= STREAMED_BYTES
    grain = values if whole else max(ROWS, GRAIN // channels)
    return Plan(True, order, channels, values, (channels,), whole, large, grain)


def _by_channels(order: tuple[int, ...] | None, channels: int, values: int, dims: tuple[int, ...]) -> Plan:
    return Plan(False, order, channels, values, dims, False, False, max(1, GRAIN // values))


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
    way = plan(axis, x, y, residual)
    with np.errstate(invalid="ignore"):  # a negative variance has no root: NaN
        invstd = 1.0 / np.sqrt(variance + eps)
    name = "row_normalize" if way.by_rows else "channel_normalize"
    flags = (activation == "relu", residual is not None)
    way.run(name, (x, *_packed(gamma, beta, mean, invstd), residual, y), flags)
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
    way = plan(axis, x, y, residual)
    gamma, beta = _packed(gamma, beta)
    flags = (activation == "relu", residual is not None)
    if way.by_rows and not way.whole:
        mean, variance = _moments(way, x)
        invstd = 1.0 / np.sqrt(variance + eps)
        way.run("row_normalize", (x, gamma, beta, mean, invstd, residual, y), flags)
    else:
        mean, variance, invstd = np.empty(way.channels), np.empty(way.channels), np.empty(way.channels)
        name = "row_forward" if way.by_rows else "channel_forward"
        way.run(name, (x, gamma, beta, residual, y, mean, variance, invstd), (eps, *flags))
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
    way = plan(axis, x, dy, residual)
    given = (dy, x, *_packed(gamma, gamma if beta is None else beta, mean, invstd), residual)
    flags = (activation == "relu", residual is not None)
    if way.by_rows:
        return way.run("row_sums", given, flags).reshape(2, -1)
    sums = np.empty((2, way.channels))
    way.run("channel_sums", (*given, *sums), flags)
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
    way = plan(axis, x, dy, residual, dx, dresidual)
    given = (dy, x, *_packed(gamma, gamma if beta is None else beta, mean, invstd), residual)
    name = "row_gradient" if way.by_rows else "channel_gradient"
    flags = (training, activation == "relu", residual is not None, count)
    way.run(name, (*given, *_packed(*sums), dx, dresidual), flags)


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
        way = plan(axis, x, dy, residual, dx, dresidual)
        given = (dy, x, *_packed(gamma, gamma if beta is None else beta, mean, invstd), residual)
        flags = (training, activation == "relu", residual is not None)
        if way.by_rows and not way.whole:
            sums = way.run("row_sums", given, flags[1:]).reshape(2, -1)
            way.run("row_gradient", (*given, *sums, dx, dresidual), (*flags, way.values))
        else:
            sums = np.empty((2, way.channels))
            way.run("row_backward" if way.by_rows else "channel_backward", (*given, dx, dresidual, *sums), flags)
    dbeta, dgamma = narrow(sums, x.dtype, gamma.shape)
    return dgamma, dbeta


# ---- what they share


def _moments(way: Plan, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and biased variance, over grains of rows that are merged, or channel by channel."""
    mean, variance = np.empty((2, way.channels))
    if not way.by_rows:
        way.run("channel_moments", (x, mean, variance))
        return mean, variance
    parts = way.run("row_moments", (x,), per_grain=True)
    kernel = KERNELS["merge_moments"]
    pipeline.run_kernel(
        kernel,
        (parts.reshape(-1), mean, variance),
        way.channels,
        "float64",
        get_target(),
        get_num_threads(),
        grain=max(8, GRAIN // len(parts)),
        dims=(way.channels, way.grain, way.values),
    )
    return mean, variance


def _packed(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return arrays with an entry for each channel in C order: kernels index them by channel, not by unit."""
    return arrays if are_packed(arrays, 0) else tuple([np.ascontiguousarray(array) for array in arrays])


def _wide(*arrays) -> list:
    return [None if array is None else array.astype(np.float64) for array in arrays]
