"""A kernel's own text on the CPU: over blocks, warps and lanes, compiled by Numba."""

import ctypes

import numpy as np

from fastopt.kernels.runtime import cuda_compile, cuda_elements, jit

POINTER_TABLES = 4  # the table of pointers is passed once for each type


def tables(spec, jobs, scalars, rows=None, words=(5, 6)):
    """Return the arguments of a kernel as arrays, but the pointer table, and the number of blocks.

    jobs : list of dict of arrays, by column
    scalars : (rows, width); rows : each job's, default 0
    """
    sizes = np.array([job[spec.table[0]].size for job in jobs], np.int64)
    chunks = [(k, c) for k, n in enumerate(sizes.tolist()) for c in range(-(-n // cuda_elements.CHUNK))]
    count = len(chunks)
    rest = (
        sizes,
        np.array(chunks, np.int32).reshape(-1, 2),
        np.zeros(len(jobs), np.int32) if rows is None else np.asarray(rows, np.int32),
        np.arange(len(jobs), dtype=np.uint32),
        np.array(words, np.uint32),
        np.asarray(scalars, np.float64).astype(spec.real),
        np.zeros((count, max(1, len(spec.sums)))),
    )
    return rest, count


def function(spec):
    """Return the C function of a kernel's host module: f(blocks, the kernel's arguments)."""
    text = spec.text("host")
    key = cuda_compile.key(text)
    module = jit._import(jit._write(jit.cache_folder() / "cuda_host" / f"{spec.name[:60]}_{key}", text), f"host_{key}")
    arguments = [ctypes.c_double if code == "d" else ctypes.c_uint64 for code in spec.codes]
    return ctypes.CFUNCTYPE(None, ctypes.c_int64, *arguments)(module.kernel.address)


def run_rows(spec, arrays, rows, columns, dims, scalars):
    """Run a kernel of rows over arrays, in place; None stands for one that it doesn't read."""
    pointers = [0 if array is None else array.ctypes.data for array in arrays]
    function(spec)(1, *pointers, rows, 1, *[dim & (2**64 - 1) for dim in dims], *scalars)


def run(spec, jobs, scalars, **options):
    """Run a kernel over jobs, in place; return its sums, chunk by chunk."""
    rest, blocks = tables(spec, jobs, scalars, **options)
    pointers = np.array([[job[name].ctypes.data for name in spec.table] for job in jobs], np.uint64)
    function(spec)(blocks, *[array.ctypes.data for array in (*[pointers] * POINTER_TABLES, *rest)])
    return rest[-1]
