"""Layer, RMS and group norm: their checks, and their way through the launcher.

A row is what is normalized by itself: the last axes of x, or a group of channels. Rows are the units of work, and
everything here depends on sizes alone, never on threads.
"""

from math import prod
from typing import Any

import numpy as np

from fastopt import _check
from fastopt._config import get_num_threads, get_target
from fastopt.kernels.normalization import reference
from fastopt.kernels.normalization.kernels import KERNELS
from fastopt.kernels.runtime import pipeline

GRAIN = 65536  # elements of a grain: small enough for the L2 cache
MOST = 128  # rows of a grain with sums, where rows are long: its sums are 1/32 of the float32 data then ...
PARTS = 16  # ... or fewer, so that some long rows still are several grains

Vector = np.ndarray | None


# ---- what the public functions take


def normalized(x: Any, gamma: Any, normalized_shape: Any) -> tuple[int, ...]:
    """Return the shape of a row: `normalized_shape`, or gamma's, or the last axis; x is checked on the way."""
    _check.not_empty(_check.array(x, "x"), "x")
    if normalized_shape is not None:
        whole = isinstance(normalized_shape, int | np.integer) and not isinstance(normalized_shape, bool)
        name, shape = (
            "normalized_shape",
            _check.shape((normalized_shape,) if whole else normalized_shape, "normalized_shape"),
        )
    elif gamma is not None:
        name, shape = "gamma", _check.array(gamma, "gamma").shape
    else:
        name, shape = "x", x.shape[-1:]
    if not 1 <= len(shape) <= x.ndim or x.shape[x.ndim - len(shape) :] != shape:
        raise ValueError(f"{name}: expected the shape of the last axes of x, {x.shape}, got {shape}")
    return shape


def grouped(x: Any, num_groups: Any) -> int:
    """Return the number of groups; x is checked on the way."""
    _check.not_empty(_check.array(x, "x"), "x")
    if x.ndim < 2:
        raise ValueError(f"x: expected two or more axes, got shape {x.shape}")
    groups = _check.integer(num_groups, "num_groups", 1)
    if x.shape[1] % groups:
        raise ValueError(f"num_groups: expected a divisor of the {x.shape[1]} channels of x, got {groups}")
    return groups


def vectors(x: np.ndarray, shape: tuple[int, ...], **given: Any) -> None:
    """Check parameters, which may be None."""
    for name, array in given.items():
        if array is not None:
            _check.array(array, name, dtype=x.dtype, shape=shape)


def slopes(dy: Any, x: np.ndarray, shape: tuple[int, ...], **statistics: Any) -> None:
    """Check what only a backward takes: dy, and the statistics that the forward returned."""
    _check.array(dy, "dy", dtype=x.dtype, shape=x.shape)
    for name, array in statistics.items():
        _check.array(array, name, dtype=np.dtype(np.float64), shape=shape)


def output(out: Any, x: np.ndarray, same: str, /, **apart: Vector) -> np.ndarray:
    """Return `out`, checked, or a new array in the memory layout of x."""
    if out is None:
        return np.empty_like(x, subok=False)
    return _check.output(out, "out", dtype=x.dtype, shape=x.shape, apart=apart, same=same)


# ---- what they run; every argument has been checked


def forward(
    name: str, x: np.ndarray, gamma: Vector, beta: Vector, y: np.ndarray, outer: tuple[int, ...], eps: float, **options
) -> tuple[np.ndarray, ...]:
    """Write y, which may be x; return the statistics, of shape `outer`: mean and invstd, or invrms."""
    parameters = (gamma,) if name == "rms" else (gamma, beta)
    if get_target() == "reference":
        with np.errstate(all="ignore"):
            judge = getattr(reference, f"{name}_norm_forward")
            y[...], *found = judge(*_wide(x, *parameters), eps=eps, **options)
        return tuple(np.asarray(array) for array in found)
    statistics = {part: np.empty(outer) for part in (("invrms",) if name == "rms" else ("mean", "invstd"))}
    small = dict(zip(("gamma", "beta"), _packed(x, options, *parameters)))
    _run(f"{name}_forward", {"x": x, "y": y}, small | statistics, options, outer, scalars=(eps,))
    return tuple(statistics.values())


def backward(
    name: str, dy: np.ndarray, x: np.ndarray, gamma: Vector, statistics: tuple[np.ndarray, ...], dx: np.ndarray,
    shape: tuple[int, ...], **options,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Write dx, which may be dy; return gradients of parameters, of this shape: dgamma, and dbeta but for RMS."""
    gradients = tuple(np.empty((1 if name == "rms" else 2, *shape), x.dtype))
    if get_target() == "reference":
        with np.errstate(all="ignore"):
            judge = getattr(reference, f"{name}_norm_backward")
            dx[...], *found = judge(*_wide(dy, x, gamma, *statistics), **options)
        for gradient, value in zip(gradients, found, strict=True):
            gradient[...] = value
        return gradients
    names = ("invrms",) if name == "rms" else ("mean", "invstd")
    small = {"gamma": _packed(x, options, gamma)[0], **dict(zip(names, statistics, strict=True))}
    sums = _run(
        f"{name}_backward", {"dy": dy, "x": x, "dx": dx}, small, options, statistics[0].shape,
        partials=len(gradients) * prod(shape),
    )  # fmt: skip
    for gradient, value in zip(reversed(gradients), sums.reshape(len(gradients), *shape), strict=True):
        gradient[...] = value
    return gradients


def _run(
    name: str, large: dict, small: dict, options: dict, outer: tuple[int, ...], scalars: tuple = (), partials: int = 0
) -> np.ndarray:
    """Run a kernel. A grain with sums is one block, so that strided arrays are summed as packed ones are."""
    kernel, x = KERNELS[name], large["x"]
    rows, groups = prod(outer), options.get("num_groups")
    columns = x.size // rows
    width = x.shape[1] // groups if groups else 0
    grain = max(1, GRAIN // columns)
    if partials:
        grain = max(grain, min(MOST, -(-rows // PARTS)))
    return pipeline.run(
        ((kernel, kernel.buffers, 1),),
        large | small,
        rows,
        dtype="float32" if x.itemsize == 4 else "float64",
        target=get_target(),
        threads=get_num_threads(),
        grain=grain,
        block=grain if partials else 0,
        dims=(groups, width, columns // width) if groups else (columns,),
        scalars=scalars,
        partials=partials,
    )


def _packed(x: np.ndarray, options: dict, gamma: Vector, *beta: Vector) -> list[np.ndarray]:
    """Return the parameters in C order, which kernels index by column: ones and zeros where there are none."""
    if "num_groups" in options:
        shape: tuple[int, ...] = x.shape[1:2]
    else:
        shape = options["normalized_shape"]
    filled = [np.ones(shape, x.dtype) if gamma is None else gamma]
    filled += [np.zeros(shape, x.dtype) if array is None else array for array in beta]
    return [np.ascontiguousarray(array) for array in filled]


def _wide(*arrays) -> list:
    return [None if array is None else array.astype(np.float64) for array in arrays]
