"""How kernels see the arrays of a call: which axes are units, how many of them make a grain, and the kernels' dims.

Everything here depends on shapes and strides alone, never on threads.
"""

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from fastopt.kernels.normalization.kernels import KERNELS
from fastopt.kernels.runtime.checks import are_packed
from fastopt.kernels.runtime.stages import STREAMED_BYTES

GRAIN = 65536  # elements of a grain: small enough for the L2 cache, which its later passes find it in
ROWS = 128  # rows of a grain with sums at the least: its sums are 1/32 of the float32 data then ...
PARTS = 16  # ... but fewer of a sample's rows, so that some long ones still are several grains
STREAMED = 2048  # elements of a block of groups that goes around the cache: L1 holds them
IN_L2 = 1 << 21  # bytes of x; from here on, rows are fetched while those before them are worked on ...
FETCHED = 16384  # ... if they are no longer than this: L2 holds some of them twice


FLOAT32 = np.dtype(np.float32)


def parameter_type(x: np.ndarray) -> np.dtype:
    """Return the dtype of gamma and beta: that of x, or float32 for 16-bit numbers."""
    return x.dtype if x.itemsize > 2 else FLOAT32


class Channels(NamedTuple):
    """How batch norm's kernels see the arrays of a call.

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


def channels_of(axis: int, x: np.ndarray, *others: np.ndarray | None) -> Channels:
    """Choose the kernels: by x's shape, but for arrays that lie in memory with the channel last (torch's
    channels_last), which are walked as they lie."""
    if are_packed((x, *others), 0):
        return _packed(x.shape, x.itemsize, axis)
    shape = x.shape
    channels, batch, inner = shape[axis], prod(shape[:axis]), prod(shape[axis + 1 :])
    rest = tuple(k for k in range(x.ndim) if k != axis)
    if inner == 1 or (not x.flags.c_contiguous and x.transpose(*rest, axis).flags.c_contiguous):
        return _by_rows((*rest, axis), channels, batch * inner, x.itemsize)
    return _by_channels((axis, *rest), channels, batch * inner, (batch, inner, inner, batch * inner))


@lru_cache(maxsize=1024)
def _packed(shape: tuple[int, ...], itemsize: int, axis: int) -> Channels:
    channels, batch, inner = shape[axis], prod(shape[:axis]), prod(shape[axis + 1 :])
    if inner == 1:
        rest = tuple(k for k in range(len(shape)) if k != axis)
        return _by_rows(None if axis == len(shape) - 1 else (*rest, axis), channels, batch * inner, itemsize)
    return _by_channels(None, channels, batch * inner, (batch, inner, channels * inner, inner))


def _by_rows(order: tuple[int, ...] | None, channels: int, values: int, itemsize: int) -> Channels:
    whole, large = values * channels <= GRAIN, values * channels * itemsize >= STREAMED_BYTES
    grain = values if whole else max(ROWS, GRAIN // channels)
    return Channels(True, order, channels, values, (channels,), whole, large, grain)


def _by_channels(order: tuple[int, ...] | None, channels: int, values: int, dims: tuple[int, ...]) -> Channels:
    return Channels(False, order, channels, values, dims, False, False, max(1, GRAIN // values))


class Rows(NamedTuple):
    """How layer, RMS and group norm's kernels see the arrays of a call: `rows` units, `scratch` bytes of each."""

    rows: int
    grain: int
    block: int
    dims: tuple[int, ...]
    scratch: tuple[int, ...]


@lru_cache(maxsize=1024)
def rows_of(name: str, shape: tuple[int, ...], itemsize: int, outer: tuple[int, ...], groups: int, large: bool) -> Rows:
    """Cut arrays of x's shape into rows, of which there are as many as `outer` has elements, for a kernel.

    A grain of rows with sums is one block: strided arrays are summed as packed ones are.
    """
    rows, nbytes, sums = prod(outer), prod(shape) * itemsize, name.endswith("_backward")
    columns = prod(shape) // rows
    grain = max(1, GRAIN // columns)
    if sums:
        grain = max(grain, min(ROWS, -(-rows // PARTS)))
    block = grain if sums else 0
    if groups:
        block = max(1, STREAMED // columns) if large else block
        width = shape[1] // groups
        return Rows(rows, grain, block, (groups, width, columns // width), ())
    dims = (columns, nbytes >= IN_L2 and columns <= FETCHED, large)
    if not sums:
        return Rows(rows, grain, block, dims, ())
    lanes = -(-2 * columns // grain)  # of each row: all together are two for each column
    return Rows(rows, grain, block, (*dims, lanes), (*(0 for _ in KERNELS[name].buffers[1:]), lanes * max(4, itemsize)))
