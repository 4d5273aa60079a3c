"""Batch normalization through the launcher: which kernels run over which view of the arrays.

Everything here depends on shapes and strides alone, never on threads.
"""

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

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
        self, name: str, large: Mapping[str, np.ndarray], small: Mapping[str, np.ndarray], scalars=(), per_grain=False
    ):
        """Run a kernel; `large` arrays have the shape of x, `small` ones an entry or two for each channel.

        Blocks are whole grains, so that strided arrays are summed as packed ones are, but where rows are merely
        normalized.
        """
        kernel, elementwise = KERNELS[name], name in ("row_normalize", "row_gradient")
        slots = {key: array if self.order is None else array.transpose(self.order) for key, array in large.items()}
        return pipeline.run(
            [(kernel, kernel.buffers, 1)],
            {**slots, **small},
            self.values if self.by_rows else self.channels,
            dtype="float32" if slots["x"].itemsize == 4 else "float64",
            target=get_target(),
            threads=get_num_threads(),
            grain=self.grain,
            block=0 if elementwise else self.grain,
            dims=self.dims,
            scalars=scalars,
            partials=2 * self.channels if name in ("row_moments", "row_sums", "row_backward") else 0,
            per_grain=per_grain,
        )


def plan(axis: int, x: np.ndarray, *others: np.ndarray) -> Plan:
    """Choose the kernels: by x's shape, but for arrays that lie in memory with the channel last (torch's
    channels_last), which are walked as they lie."""
    shape = x.shape
    channels, batch, inner = shape[axis], prod(shape[:axis]), prod(shape[axis + 1 :])
    rest = tuple(k for k in range(x.ndim) if k != axis)
    contiguous = x.flags.c_contiguous
    if inner == 1 or (not contiguous and x.transpose(*rest, axis).flags.c_contiguous):
        return Plan(True, (*rest, axis), channels, batch * inner, (channels, batch * inner))
    if contiguous and all(array.flags.c_contiguous for array in others):
        return Plan(False, None, channels, batch * inner, (batch, inner, channels * inner, inner))
    return Plan(False, (axis, *rest), channels, batch * inner, (batch, inner, inner, batch * inner))


# ---- what the public functions call; every argument has been checked


def forward(
    x, gamma, beta, y, running_mean, running_var, *, momentum, eps, axis, activation
) -> tuple[np.ndarray, np.ndarray]:
    """Normalize x by its own statistics into y, update the running ones; return mean and 1 / √(variance + eps)."""
    if get_target() == "reference":
        wide = _wide(x, gamma, beta, running_mean, running_var)
        options = {"momentum": momentum, "eps": eps, "channel_axis": axis, "activation": activation}
        with np.errstate(all="ignore"):
            y[...], mean, invstd, *fresh = reference.batch_norm_forward(*wide, **options)
        for array, value in zip((running_mean, running_var), fresh):
            if array is not None:
                array[...] = value
        return mean, invstd
    way = plan(axis, x, y)
    if way.by_rows and not way.whole:
        mean, variance = merge(way.run("row_moments", {"x": x}, {}, per_grain=True), way.grain, way.values)
        invstd = 1.0 / np.sqrt(variance + eps)
        way.run("row_normalize", {"x": x, "y": y}, _small(gamma, beta, mean, invstd), [activation == "relu"])
    else:
        mean, variance, invstd = np.empty((3, way.channels))
        small = _small(gamma, beta, mean, invstd) | {"variance": variance}
        name = "row_forward" if way.by_rows else "channel_forward"
        way.run(name, {"x": x, "y": y}, small, [eps, activation == "relu"])
    if running_mean is not None:
        running_mean[...] = (1 - momentum) * running_mean.astype(np.float64) + momentum * mean
    if running_var is not None:
        unbiased = variance * (way.values / (way.values - 1))
        running_var[...] = (1 - momentum) * running_var.astype(np.float64) + momentum * unbiased
    return mean, invstd


def infer(x, gamma, beta, y, running_mean, running_var, *, eps, axis, activation) -> tuple[np.ndarray, np.ndarray]:
    """Normalize x by the running statistics into y, which may be x; return mean and 1 / √(variance + eps)."""
    if get_target() == "reference":
        wide = _wide(x, gamma, beta, running_mean, running_var)
        options = {"eps": eps, "training": False, "channel_axis": axis, "activation": activation}
        with np.errstate(all="ignore"):
            y[...], mean, invstd, *_ = reference.batch_norm_forward(*wide, **options)
        return mean, invstd
    way = plan(axis, x, y)
    mean = running_mean.astype(np.float64)
    with np.errstate(invalid="ignore"):  # a negative variance has no root: NaN
        invstd = 1.0 / np.sqrt(running_var.astype(np.float64) + eps)
    name = "row_normalize" if way.by_rows else "channel_normalize"
    way.run(name, {"x": x, "y": y}, _small(gamma, beta, mean, invstd), [activation == "relu"])
    return mean, invstd


def backward(dy, x, gamma, beta, mean, invstd, dx, *, training, axis, activation) -> tuple[np.ndarray, np.ndarray]:
    """Write dx, which may be dy; return dgamma and dbeta."""
    dgamma, dbeta = np.empty((2, *gamma.shape), x.dtype)
    if get_target() == "reference":
        options = {"training": training, "channel_axis": axis, "activation": activation}
        with np.errstate(all="ignore"):
            wide = _wide(dy, x, gamma, mean, invstd, beta)
            dx[...], dgamma[...], dbeta[...] = reference.batch_norm_backward(*wide, **options)
        return dgamma, dbeta
    way = plan(axis, x, dy, dx)
    small = _small(gamma, gamma if beta is None else beta, mean, invstd)
    scalars = [training, activation == "relu"]
    if way.by_rows and not way.whole:
        sums = way.run("row_sums", {"dy": dy, "x": x}, small, scalars[1:])
        dbeta[...], dgamma[...] = sums[: way.channels], sums[way.channels :]
        way.run("row_gradient", {"dy": dy, "x": x, "dx": dx}, small | {"sums": sums}, scalars)
    else:
        name = "row_backward" if way.by_rows else "channel_backward"
        way.run(name, {"dy": dy, "x": x, "dx": dx}, small | {"dgamma": dgamma, "dbeta": dbeta}, scalars)
    return dgamma, dbeta


def _small(gamma, beta, mean, invstd) -> dict[str, np.ndarray]:
    """Return the arrays with an entry for each channel, packed: kernels index them by channel, not by unit."""
    arrays = {"gamma": gamma, "beta": beta, "mean": mean, "invstd": invstd}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _wide(*arrays) -> list:
    return [None if array is None else array.astype(np.float64) for array in arrays]


def merge(partials: np.ndarray, grain: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance from each grain's sums and squared deviations from its own mean.

    Chan, Golub and LeVeque 1983, for many parts at once: the deviations of the parts' means from the whole's come on
    top of the deviations within the parts.
    """
    channels = partials.shape[1] // 2
    sums, squares = partials[:, :channels], partials[:, channels:]
    with np.errstate(invalid="ignore", over="ignore"):  # Inf in x makes NaN here, as it should
        mean = sums.sum(axis=0) / rows
        total = squares.sum(axis=0)
        if len(partials) > 1:
            counts = np.full((len(partials), 1), float(grain))
            counts[-1] = rows - grain * (len(partials) - 1)
            total += (counts * (sums / counts - mean) ** 2).sum(axis=0)
        return mean, np.maximum(total / rows, 0.0)
