"""One job through the launcher: kernels in a row, over arrays of any strides.

A strided array gets a gather stage in front and, if it is written, a scatter stage behind; an array of 16-bit numbers
is decoded and encoded in the same way. Kernels see packed blocks of their own type alone, and no array is copied as a
whole.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastopt.kernels.runtime.checks import are_packed, may_overlap, split
from fastopt.kernels.runtime.kernel import DTYPES, Kernel, address
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.stages import GATHER, SCATTER, STREAM, STREAMED_BYTES
from fastopt.kernels.runtime.storage import LOAD, STORE

GRAIN = 32768  # elements that one thread runs at a time
BLOCK = 1024  # elements that pass all stages before the next: small enough for L1, see kernels/README.md
STREAMED_BLOCK = 1 << 20  # bytes: what L2 holds until it is stored
LEAST_STREAMED = 128  # bytes: two cache lines, see stream_block in stream.h
make_pipeline = lru_cache(maxsize=1024)(Pipeline)


class Packed(NamedTuple):
    """An array that kernels see in blocks of scratch memory.

    `slot` is its own, `itemsize` a block's bytes an element, `per_unit` its elements in one unit, `offset` where its
    stages' dims begin (-1: it is contiguous, and needs none); it may be `read` before, its blocks may be stored around
    the cache (`streams`), and its elements may be `stored` as 16-bit numbers of that type.
    """

    slot: int
    itemsize: int
    per_unit: int
    offset: int
    read: bool = True
    streams: bool = False
    stored: str = ""


Stage = tuple[Kernel, Sequence[str], int] | tuple[Kernel, Sequence[str], int, int]


def run(
    stages: Sequence[Stage],
    slots: Mapping[str, np.ndarray | int],
    units: int,
    *,
    dtype: str,
    target: str,
    grain: int,
    block: int = 0,
    dims: Sequence[int] = (),
    scalars: Sequence[float] = (),
    partials: int = 0,
    per_grain: bool = False,
    staged: Sequence[str] = (),
    streamed: Sequence[str] = (),
) -> np.ndarray:
    """Run kernels one after the other over each block of one job, and return their partial sums.

    Parameters
    ----------
    stages : sequence of (kernel, slot names, kernel units in one unit of the job[, where its scalars begin])
        The plan is kept for the next call; a tuple of tuples finds it fastest.
    slots : mapping
        An array, or the bytes per unit of a block of scratch memory. An array that is not C-contiguous must hold
        the same number of elements in every unit, in C order.
    units : int
        Units of work in this job.
    dtype, target : str
        The kernels' type and who compiled them.
    grain, block : int
        Units that one thread runs at a time; units that pass all stages before the next begins (0: a grain).
    dims, scalars : sequences
        Every stage gets them all, scalars from where its own begin.
    partials, per_grain : int, bool
        Number of partial sums; each grain's own instead of their sum.
    staged : sequence of str
        Arrays that are written whole and never read, in scratch memory first, and stored when the block is done:
        such an output may be the memory of another slot. They too must hold each unit's elements in C order.
    streamed : sequence of str
        Arrays that are written whole and never read. Where one is large and packed, and shares no memory with another
        slot, and its blocks fit L2, it is staged too, and stored around the cache.

    Returns
    -------
    float64 array (partials,), or (grains, partials)
    """
    arrays, scratch, as_they_are = split(slots, STREAMED_BYTES if streamed else 0)
    if not isinstance(stages, tuple):
        stages = tuple([(stage[0], tuple(stage[1]), *stage[2:]) for stage in stages])
    if not as_they_are or staged:
        packed, dims = _packed(stages, slots, units, grain, block, tuple(dims), dtype, staged, streamed)
        if packed:
            block = block or block_of(max(array.per_unit for array in packed))
            arrays += [None] * sum(2 if array.stored and array.offset >= 0 else 1 for array in packed)
    else:
        packed = ()
    found = plan(stages, tuple(slots), scratch, packed, dtype, target)
    sums = found.run_one(arrays, units, grain, block, tuple(dims), tuple(scalars), partials, 0, per_grain)
    return sums if per_grain or not partials else sums[0]


def block_of(per_unit: int) -> int:
    """Return how many units of this many elements are a block: what L1 holds, or some long ones that L2 holds."""
    return max(1, BLOCK // per_unit, min(16, 16 * BLOCK // per_unit))


def run_kernel(
    kernel: Kernel,
    arrays: tuple[np.ndarray | None, ...],
    units: int,
    dtype: str,
    target: str,
    grain: int,
    block: int = 0,
    dims: tuple[int, ...] = (),
    scalars: tuple[float, ...] = (),
    partials: int = 0,
    per_grain: bool = False,
    streamed: Sequence[str] = (),
    scratch: tuple[int, ...] = (),
) -> np.ndarray:
    """Run one kernel over its buffers; the rest is as in `run`.

    A buffer that is None is a block of scratch memory, of as many bytes per unit as `scratch` says for it; 0, or no
    `scratch` at all, for one that the kernel won't touch.

    Arrays that are C-contiguous, and not to be streamed, go to the launcher without a look at each: for calls that are
    over in microseconds.
    """
    if are_packed(arrays, STREAMED_BYTES if streamed else 0):
        found = _alone(kernel, dtype, target, scratch)
        sums = found.run_one(list(arrays), units, grain, block, dims, scalars, partials, 0, per_grain)
        return sums if per_grain or not partials else sums[0]
    return run(
        ((kernel, kernel.buffers, 1),),
        {
            name: size if array is None else array
            for name, array, size in zip(kernel.buffers, arrays, scratch or (0,) * len(arrays), strict=True)
        },
        units,
        dtype=dtype,
        target=target,
        grain=grain,
        block=block,
        dims=dims,
        scalars=scalars,
        partials=partials,
        per_grain=per_grain,
        streamed=streamed,
    )


def _packed(
    stages: Sequence[Stage],
    slots: Mapping[str, np.ndarray | int],
    units: int,
    grain: int,
    block: int,
    dims: tuple[int, ...],
    dtype: str,
    staged: Sequence[str],
    streamed: Sequence[str],
) -> tuple[tuple[Packed, ...], tuple[int, ...]]:
    """Return which arrays go through scratch memory, and the dims with their strides behind."""
    packed: tuple[Packed, ...] = ()
    used = [(name, buffer, kernel) for kernel, names, *_ in stages for name, buffer in zip(names, kernel.buffers)]
    read = {name for name, buffer, kernel in used if buffer not in kernel.filled}
    moved = {name for name, _, kernel in used if kernel.code}  # by stages of the caller's, which decode by themselves
    for slot, (name, value) in enumerate(slots.items()):
        if not isinstance(value, np.ndarray):
            continue
        contiguous, whole, per_unit = value.flags.c_contiguous, name in staged, value.size // max(units, 1)
        stored = _stored(value.dtype)
        if stored and name not in moved:
            itemsize, before = np.dtype(dtype).itemsize, name in read and not whole
            packed += (Packed(slot, itemsize, per_unit, -1 if contiguous else len(dims), before, False, stored),)
            dims += () if contiguous else strides(value)
            continue
        streams = contiguous and not whole and name in streamed and value.nbytes >= STREAMED_BYTES
        if streams:
            others = [other for key, other in slots.items() if key != name]
            block_bytes = (block or block_of(per_unit)) * per_unit * value.itemsize
            streams = LEAST_STREAMED <= block_bytes <= STREAMED_BLOCK and not may_overlap(value, others)
        if not contiguous or streams or whole:
            before = name in read and not streams and not whole
            packed += (Packed(slot, value.itemsize, per_unit, len(dims), before, streams),)
            dims += (grain * per_unit, value.size) if streams else strides(value)
    return packed, dims


@cache
def _stored(dtype: np.dtype) -> str:
    """Return the storage type of 16-bit floating-point numbers, "" of all others; forming a dtype's name takes long."""
    return str(dtype) if dtype.itemsize == 2 and dtype.kind in "fV" and str(dtype) in LOAD else ""


@lru_cache(maxsize=1024)
def _alone(kernel: Kernel, dtype: str, target: str, scratch: tuple[int, ...]) -> Pipeline:
    """Return the pipeline of one kernel over packed arrays."""
    scratch = scratch or (0,) * len(kernel.buffers)
    return plan(((kernel, kernel.buffers, 1),), kernel.buffers, scratch, (), dtype, target)


@lru_cache(maxsize=1024)
def plan(
    stages: tuple[Stage, ...],
    names: tuple[str, ...],
    scratch: tuple[int, ...],
    packed: tuple[Packed, ...],
    dtype: str,
    target: str,
) -> Pipeline:
    """Return the pipeline of these stages, with scratch blocks in the place of the arrays to be packed."""
    index = {name: k for k, name in enumerate(names)}
    calls = [
        (address(kernel, dtype, target), tuple([index[name] for name in used]), n, 0, *(scalars_at or (0,)))
        for kernel, used, n, *scalars_at in stages
    ]
    written = {
        index[name] for kernel, used, *_ in stages for name, b in zip(used, kernel.buffers) if b in kernel.written
    }
    return Pipeline(*through_blocks(calls, scratch, written, packed))


def through_blocks(
    calls: Sequence[tuple[Any, ...]],
    scratch: tuple[int, ...],
    written: Collection[int],
    packed: Sequence[Packed],
) -> tuple[list[tuple[Any, ...]], tuple[int, ...]]:
    """Return calls and scratch of a pipeline in which scratch blocks stand for the arrays to be packed.

    A gather stage fills each block in front of the calls where the array is read; a scatter or stream stage stores it
    behind them where the slot is `written`. Numbers stored in 16 bits pass a load stage behind the gather stage, and a
    store stage in front of the scatter stage. A call is what `Pipeline` takes.
    """
    changed = list(calls)
    for slot, itemsize, per_unit, offset, read, streams, stored in packed:
        block = len(scratch)
        scratch += (per_unit * itemsize,)
        changed = [(at, tuple([block if k == slot else k for k in used]), *rest) for at, used, *rest in changed]
        ends = slot, block  # what gather and scatter stages have between them
        if stored:
            width, codes = DTYPES.index("float32" if itemsize == 4 else "float64"), slot
            if offset >= 0:
                codes, itemsize = block + 1, 2
                ends = slot, codes
                scratch += (2 * per_unit,)
            if read:
                changed.insert(0, (LOAD[stored][width], (codes, block), per_unit, 0, 0))
            if slot in written:
                changed.append((STORE[stored][width], (codes, block), per_unit, 0, 0))
        if offset >= 0 and read:
            changed.insert(0, (GATHER[itemsize], ends, per_unit, offset, 0))
        if offset >= 0 and slot in written:
            store = STREAM if streams else SCATTER
            changed.append((store[itemsize], ends, per_unit, offset, 0))
    return changed, scratch


def strides(array: np.ndarray) -> tuple[int, ...]:
    """Return the dims of the gather and scatter stages: axes, shape, strides, with neighbours merged."""
    shape, steps = [1], [0]
    for length, step in zip(array.shape, array.strides, strict=True):
        if length == 1:
            continue
        if steps[-1] == length * step or shape[-1] == 1:
            shape[-1], steps[-1] = shape[-1] * length, step
        else:
            shape.append(length)
            steps.append(step)
    return len(shape), *shape, *steps
