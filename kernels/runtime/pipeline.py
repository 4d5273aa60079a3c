"""One job through the launcher: kernels in a row, over arrays of any strides.

A strided array gets a gather stage in front and, if it is written, a scatter stage behind: kernels see packed
blocks alone, and no array is copied as a whole.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from fastopt.kernels.runtime.kernel import Kernel, address
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.launch import address as data_address
from fastopt.kernels.runtime.stages import GATHER, SCATTER

GRAIN = 32768  # elements that one thread runs at a time
BLOCK = 1024  # elements that pass all stages before the next: small enough for L1, see kernels/README.md
make_pipeline = lru_cache(maxsize=1024)(Pipeline)


def run(
    stages: Sequence[tuple[Kernel, Sequence[str], int]],
    slots: Mapping[str, np.ndarray | int],
    units: int,
    *,
    dtype: str,
    target: str,
    threads: int,
    grain: int,
    block: int = 0,
    dims: Sequence[int] = (),
    scalars: Sequence[float] = (),
    partials: int = 0,
    per_grain: bool = False,
) -> np.ndarray:
    """Run kernels one after the other over each block of one job, and return their partial sums.

    Parameters
    ----------
    stages : sequence of (kernel, slot names, kernel units in one unit of the job)
    slots : mapping
        An array, or the bytes per unit of a block of scratch memory. An array that is not C-contiguous must hold
        the same number of elements in every unit, in C order.
    units : int
        Units of work in this job.
    dtype, target, threads : str, str, int
        The kernels' type and who compiled them; at most this many threads.
    grain, block : int
        Units that one thread runs at a time; units that pass all stages before the next begins (0: a grain).
    dims, scalars : sequences
        Every stage gets them all.
    partials, per_grain : int, bool
        Number of partial sums; each grain's own instead of their sum.

    Returns
    -------
    float64 array (partials,), or (grains, partials)
    """
    index = {name: k for k, name in enumerate(slots)}
    calls = [
        (address(kernel, dtype, target), [index[name] for name in used], per_unit) for kernel, used, per_unit in stages
    ]
    offsets = [0] * len(calls)
    scratch = [0 if isinstance(value, np.ndarray) else value for value in slots.values()]
    pointers = [data_address(value) if isinstance(value, np.ndarray) else 0 for value in slots.values()]
    sizes = list(dims)
    for name, array in slots.items():
        if isinstance(array, np.ndarray) and not array.flags.c_contiguous:
            slot, packed, per_unit = index[name], len(scratch), array.size // max(units, 1)
            pointers.append(0)
            scratch.append(per_unit * array.itemsize)
            for _, used, _ in calls:
                used[:] = [packed if k == slot else k for k in used]
            calls.insert(0, (GATHER[array.itemsize], [slot, packed], per_unit))
            offsets.insert(0, len(sizes))
            if any(name == used[kernel.buffers.index(b)] for kernel, used, _ in stages for b in kernel.written):
                calls.append((SCATTER[array.itemsize], [slot, packed], per_unit))
                offsets.append(len(sizes))
            sizes += strides(array)
            block = block or max(1, BLOCK // per_unit)
    plan = make_pipeline(
        tuple(
            (at, tuple(used), per_unit, offset, 0) for (at, used, per_unit), offset in zip(calls, offsets, strict=True)
        ),
        tuple(scratch),
    )
    sums = plan.run(
        np.array([pointers], np.uintp),
        np.array([units], np.int64),
        grain,
        block,
        dims=np.array([sizes], np.int64),
        scalars=np.array([scalars], np.float64),
        partials=partials,
        threads=threads,
        per_grain=per_grain,
    )
    return sums if per_grain or not partials else sums[0]


def strides(array: np.ndarray) -> list[int]:
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
    return [len(shape), *shape, *steps]
