"""What a call runs over its arrays: load → the kernel → store, over each block."""

from functools import cache

from fastopt.kernels.arrays.table import KERNELS
from fastopt.kernels.runtime.jobs import Program
from fastopt.kernels.runtime.kernel import DTYPES, Kernel, address
from fastopt.kernels.runtime.storage import LOAD, STORE

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}  # an element of each float type
SUMS_BLOCK = 2048  # elements: each adds its folded lanes, so the block is part of the result, whatever the layout


@cache
def build(kernel: Kernel, kinds: tuple[str, ...], target: str, checks: bool = False, shared: int = 0) -> Program:
    """Return what runs on arrays of these float types, one for each of the kernel's buffers.

    Parameters
    ----------
    kernel, kinds, target : Kernel, tuple of str, str
        An output is the last buffer.
    checks : bool
        Count the elements that were written and are not finite, as they were stored, in a partial sum.
    shared : int
        A bit for each input that is the output in some set of arrays. It is copied to a block first: compilers' vector
        loops give way to plain ones where two buffers are the same memory.
    """
    compute = computes_in(kinds)
    which, before, after, used = DTYPES.index(compute), [], [], []
    scratch = [0] * len(kinds)
    for slot, (name, kind) in enumerate(zip(kernel.buffers, kinds, strict=True)):
        if kind == compute and not shared >> slot & 1:
            used.append(slot)
            continue
        block = len(scratch)
        scratch.append(BYTES[compute])
        scratch[slot] = -BYTES[kind]  # bytes of an array, fetched a block ahead
        used.append(block)
        if name not in kernel.written:
            before.append((LOAD[kind][which], (slot, block), 1, 0, 0))
            continue
        after.append((STORE[kind][which], (slot, block), 1, 0, 0))
        if checks:
            after.append((LOAD[kind][which], (slot, block), 1, 0, 0))
    stages = [*before, (address(kernel, compute, target), tuple(used), 1, 0, 0), *after]
    if checks:
        stages.append((address(KERNELS["not_finite"], compute, target), (used[-1],), 1, 0, 0))
    written = [kernel.buffers.index(name) for name in kernel.written]
    scratch += [0] * (slots(kernel) - len(scratch))
    return Program.of(stages, tuple(scratch), written, None if written else SUMS_BLOCK)


def slots(kernel: Kernel) -> int:
    """Return the slots of the pointer table: an array for each buffer, and a block for each at the most."""
    return 2 * len(kernel.buffers)


def computes_in(kinds: tuple[str, ...]) -> str:
    """Return the type that a kernel computes in: float64 if one of its arrays is of that type."""
    return "float64" if "float64" in kinds else "float32"
