"""Compiles every Numba kernel into the cache, on all CPUs, so that the tests' workers find them there.

Otherwise each worker would compile nearly all of them for itself.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter

from fastopt.kernels.runtime.kernel import DTYPES, Kernel, module
from fastopt.table import OPS


def load(number: int, dtype: str) -> None:
    module(kernels()[number], dtype)


def kernels() -> list[Kernel]:
    """Return the table's kernels, those with loops of their own first: they take longest."""
    found = {(kernel.family, kernel.name): kernel for op in OPS for kernel in op.kernels if not kernel.code}
    return sorted(found.values(), key=lambda kernel: kernel.rule)


def main() -> None:
    begin = perf_counter()
    work = [(number, dtype) for number in range(len(kernels())) for dtype in DTYPES]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        list(pool.map(load, *zip(*work, strict=True)))
    print(f"{len(work)} Numba kernels are in the cache, after {perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
