"""Compiles every Numba kernel into the cache, on all CPUs, so that the tests' workers find them there.

Otherwise each worker would compile nearly all of them for itself.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter

from fastopt.kernels.runtime.kernel import DTYPES, Kernel, module
from fastopt.table import FAMILIES, OPS


def load(family: str, dtype: str) -> int:
    """Compile a room's kernels of a type, in one process: what they call is compiled once. Return how many they are."""
    found = kernels(family)
    for kernel in found:
        module(kernel, dtype)
    return len(found)


def kernels(family: str) -> list[Kernel]:
    found = (kernel for op in OPS if op.family == family for kernel in op.kernels if not kernel.code)
    return list(dict.fromkeys(found))


def main() -> None:
    begin = perf_counter()
    rooms = sorted(FAMILIES, key=lambda family: -len(kernels(family)))  # the longest work first
    work = [(family, dtype) for family in rooms for dtype in DTYPES]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        made = sum(pool.map(load, *zip(*work, strict=True)))
    print(f"{made} Numba kernels are in the cache, after {perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
