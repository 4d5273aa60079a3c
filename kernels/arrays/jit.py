"""The sums over arrays, for Numba: the operations of compiled.pyx, in the same order, LANES sums folded in halves."""

# ruff: noqa: F821 (the generated module has the kernel's type `real`, `carray` and memory on the stack)

import numpy as np

from fastopt.kernels.runtime.lanes import LANES, folded

PIECES = ()  # modules of this room whose text stands in front of the loops


def squares(x, dims, scalars, start, stop, partials):
    lanes, zeros = carray(doubles_on_stack(32), LANES), carray(doubles_on_stack(32), LANES)
    for k in range(LANES):
        lanes[k] = np.float64(0)
        zeros[k] = np.float64(0)
    x = x[start:stop]
    count = stop - start
    for i in range(count // LANES):
        part = x[i * LANES : i * LANES + LANES]
        for k in range(LANES):
            value = np.float64(part[k])
            lanes[k] += value * value
            zeros[k] += value * np.float64(0)
    for i in range(count // LANES * LANES, count):
        value = np.float64(x[i])
        lanes[0] += value * value
        zeros[0] += value * np.float64(0)
    partials[0] += folded(lanes)
    partials[1] += folded(zeros)


def not_finite(x, dims, scalars, start, stop, partials):
    x = x[start:stop]
    count = np.int32(0)
    for i in range(stop - start):
        count += np.int32(x[i] * 0.0 != 0.0)
    partials[0] += count
