"""What a call runs over its arrays: load → the kernel → store, over each block."""

from functools import cache

from fastopt.kernels.arrays.kernels import KERNELS
from fastopt.kernels.runtime.jobs import Program
from fastopt.kernels.runtime.kernel import DTYPES, Kernel, address
from fastopt.kernels.runtime.storage import LOAD, STORE

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}  # an element of each float type
EACH = -1  # the output is the last input in every set of arrays


@cache
def build(kernel: Kernel, kinds: tuple[str, ...], target: str, checks: bool = False, shared: int = EACH) -> Program:
    """Return what runs on arrays of these float types.

    Parameters
    ----------
    kernel : Kernel
        Reads its buffers, or writes the last of them in place.
    kinds : tuple of str
        The type of each buffer's arrays, and behind them the output's if the kernel writes.
    target : str
    checks : bool
        Count the elements that were written and are not finite, as they were stored, in a partial sum.
    shared : int
        A bit for each buffer that may be the memory of the output, in some set of arrays; or EACH.
    """
    compute = "float64" if "float64" in kinds else "float32"
    which, scratch = DTYPES.index(compute), [0] * len(kinds)
    stages: list[tuple[int, tuple[int, ...], int, int, int]] = []

    def move(moves: dict[str, tuple[int, int]], slot: int, block: int) -> None:
        stages.append((moves[kinds[slot]][which], (slot, block), 1, 0, 0))

    def block() -> int:
        scratch.append(BYTES[compute])
        return len(scratch) - 1

    used = list(range(len(kernel.buffers)))
    out, packed = len(kinds) - 1, kinds[-1] == compute
    apart = 0 if shared == EACH or not kernel.written else shared  # the buffers to be kept apart from the output
    for slot in used[:-1] if kernel.written else used:
        if kinds[slot] != compute or apart >> slot & 1:
            used[slot] = block()
            move(LOAD, slot, used[slot])
    if kernel.written and not (packed and shared == EACH):
        used[-1] = out if packed else block()
        move(LOAD, len(kernel.buffers) - 1, used[-1])  # where the kernel is to write
    stages.append((address(kernel, compute, target), tuple(used), 1, 0, 0))
    if kernel.written and not packed:
        move(STORE, out, used[-1])
    if checks:
        if not packed:
            move(LOAD, out, used[-1])
        stages.append((address(KERNELS["not_finite"], compute, target), (used[-1],), 1, 0, 0))
    for slot, kind in enumerate(kinds):
        scratch[slot] = -BYTES[kind]  # bytes of an array, fetched a block ahead
    scratch += [0] * (slots(kernel) - len(scratch))
    return Program.of(stages, tuple(scratch), (out,) if kernel.written else ())


def slots(kernel: Kernel) -> int:
    """Return the slots of the pointer table: the arrays, and a block for each buffer."""
    return 2 * len(kernel.buffers) + len(kernel.written)
