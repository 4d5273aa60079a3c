"""Layer, RMS and group norm: their checks, and their way through the launcher.

A row is what is normalized by itself: the last axes of x, or a group of channels. Rows are the units of work, and
everything here depends on sizes alone, never on threads.
"""

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.normalization import reference
from fastopt.kernels.normalization.kernels import KERNELS
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.checks import all_fit, are_packed, narrow
from fastopt.kernels.runtime.settings import get_num_threads, get_target
from fastopt.kernels.runtime.stages import STREAMED_BYTES

GRAIN = 65536  # elements of a grain: small enough for the L2 cache
MOST = 128  # rows of a grain with sums, where rows are long: its sums are 1/32 of the float32 data then ...
PARTS = 16  # ... or fewer, so that some long rows still are several grains
STREAMED = 2048  # elements of a block of groups that goes around the cache: L1 holds them
IN_L2 = 1 << 21  # bytes of x; from here on, rows are fetched while those before them are worked on ...
FETCHED = 16384  # ... if they are no longer than this: L2 holds some of them twice
LARGE = ("y", "dx")  # of groups: what goes around the cache if it is large; kernels of rows do it themselves

Vector = np.ndarray | None


# ---- what the public functions take


def normalized(x: Any, gamma: Any, normalized_shape: Any) -> tuple[int, ...]:
    """Return the shape of a row: `normalized_shape`, or gamma's, or the last axis; x is checked on the way."""
    expect.not_empty(expect.array(x, "x"), "x")
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


def grouped(x: Any, num_groups: Any) -> int:
    """Return the number of groups; x is checked on the way."""
    expect.not_empty(expect.array(x, "x"), "x")
    if x.ndim < 2:
        raise ValueError(f"x: expected two or more axes, got shape {x.shape}")
    groups = expect.integer(num_groups, "num_groups", 1)
    if x.shape[1] % groups:
        raise ValueError(f"num_groups: expected a divisor of the {x.shape[1]} channels of x, got {groups}")
    return groups


def vectors(x: np.ndarray, shape: tuple[int, ...], **given: Any) -> None:
    """Check parameters, which may be None."""
    if not all_fit(given.values(), x.dtype, shape):
        for name, array in given.items():
            if array is not None:
                expect.array(array, name, dtype=x.dtype, shape=shape)


def slopes(dy: Any, x: np.ndarray, shape: tuple[int, ...], **statistics: Any) -> None:
    """Check what only a backward takes: dy, and the statistics that the forward returned."""
    expect.array(dy, "dy", dtype=x.dtype, shape=x.shape)
    expect.arrays(expect.FLOAT64, shape, **statistics)


def output(out: Any, x: np.ndarray, same: str, /, **apart: Vector) -> np.ndarray:
    """Return `out`, checked, or a new array in the memory layout of x."""
    if out is None:
        return np.empty_like(x, subok=False)
    return expect.output(out, "out", dtype=x.dtype, shape=x.shape, apart=apart, same=same)


# ---- what they run; every argument has been checked


def forward(
    name: str, x: np.ndarray, gamma: Vector, beta: Vector, y: np.ndarray, outer: tuple[int, ...], eps: float, **options
) -> tuple[np.ndarray, ...]:
    """Write y, which may be x; return the statistics, of shape `outer`: mean and invstd, or invrms."""
    parameters, target = (gamma,) if name == "rms" else (gamma, beta), get_target()
    if target == "reference":
        with np.errstate(all="ignore"):
            judge = getattr(reference, f"{name}_norm_forward")
            y[...], *found = judge(*_wide(x, *parameters), eps=eps, **options)
        return tuple(np.asarray(array) for array in found)
    statistics = (np.empty(outer),) if name == "rms" else (np.empty(outer), np.empty(outer))
    given = (x, *_packed(x, options, *parameters), y, *statistics)
    _run(f"{name}_forward", target, given, y, options, outer, (eps,))
    return statistics


def backward(
    name: str, dy: np.ndarray, x: np.ndarray, gamma: Vector, statistics: tuple[np.ndarray, ...], dx: np.ndarray,
    shape: tuple[int, ...], **options,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Write dx, which may be dy; return gradients of parameters, of this shape: dgamma, and dbeta but for RMS."""
    target = get_target()
    if target == "reference":
        with np.errstate(all="ignore"):
            judge = getattr(reference, f"{name}_norm_backward")
            dx[...], *found = judge(*_wide(dy, x, gamma, *statistics), **options)
            return tuple(np.asarray(value).astype(x.dtype).reshape(shape) for value in found)
    count = 1 if name == "rms" else 2  # gradients
    statistics = statistics if are_packed(statistics, 0) else tuple(map(np.ascontiguousarray, statistics))
    given = (dy, x, *_packed(x, options, gamma), *statistics, dx)
    sums = _run(f"{name}_backward", target, given, dx, options, statistics[0].shape, partials=count * prod(shape))
    return tuple(narrow(sums, x.dtype, shape)[::-1])


def _run(
    name: str,
    target: str,
    arrays: tuple,
    result: np.ndarray,
    options: dict,
    outer: tuple[int, ...],
    scalars: tuple = (),
    partials: int = 0,
) -> np.ndarray:
    """Run a kernel. A grain of rows with sums is one block: strided arrays are summed as packed ones are."""
    x = arrays[0]
    large = x.nbytes >= STREAMED_BYTES and result.flags.c_contiguous
    rows, grain, block, dims, scratch = _cut(name, x.shape, x.itemsize, outer, options.get("num_groups", 0), large)
    return pipeline.run_kernel(
        KERNELS[name],
        (*arrays, None) if scratch else arrays,
        rows,
        "float32" if x.itemsize == 4 else "float64",
        target,
        get_num_threads(),
        grain,
        block,
        dims,
        scalars,
        partials,
        streamed=LARGE if "num_groups" in options else (),
        scratch=scratch,
    )


@lru_cache(maxsize=1024)
def _cut(
    name: str, shape: tuple[int, ...], itemsize: int, outer: tuple[int, ...], groups: int, large: bool
) -> tuple[int, int, int, tuple[int, ...], tuple[int, ...]]:
    """Return the number of rows, the grain, the block, the kernel's dims, and its bytes of scratch memory per row."""
    rows, nbytes, sums = prod(outer), prod(shape) * itemsize, name.endswith("_backward")
    columns = prod(shape) // rows
    grain = max(1, GRAIN // columns)
    if sums:
        grain = max(grain, min(MOST, -(-rows // PARTS)))
    block = grain if sums else 0
    if groups:
        block = max(1, STREAMED // columns) if large else block
        width = shape[1] // groups
        return rows, grain, block, (groups, width, columns // width), ()
    dims = (columns, nbytes >= IN_L2 and columns <= FETCHED, large)
    if not sums:
        return rows, grain, block, dims, ()
    lanes = -(-2 * columns // grain)  # of each row: all together are two for each column
    return rows, grain, block, (*dims, lanes), (*(0 for _ in KERNELS[name].buffers[1:]), lanes * itemsize)


def _packed(x: np.ndarray, options: dict, *parameters: Vector) -> tuple[np.ndarray, ...]:
    """Return gamma, and beta, in C order, which kernels index by column: ones and zeros where there are none."""
    if all_fit(parameters, x.dtype, None) and are_packed(parameters, 0):
        return parameters  # type: ignore[return-value]
    shape: tuple[int, ...] = x.shape[1:2] if "num_groups" in options else options["normalized_shape"]
    filled = [np.full(shape, 1 - k, x.dtype) if array is None else array for k, array in enumerate(parameters)]
    return tuple(map(np.ascontiguousarray, filled))


def _wide(*arrays) -> list:
    return [None if array is None else array.astype(np.float64) for array in arrays]
