# Sums run in 32 lanes side by side, which are folded in halves: the same bits on every instruction set. lanes.py is the
# same for Numba.
from kernels.runtime.abi cimport real

cdef enum:
    LANES = 32


cdef inline double folded(real *lanes) noexcept nogil:
    """Halve the lanes until one is left, in their own type; loops of a known length are single instructions."""
    cdef int k
    for k in range(16):
        lanes[k] = lanes[k] + lanes[16 + k]
    for k in range(8):
        lanes[k] = lanes[k] + lanes[8 + k]
    for k in range(4):
        lanes[k] = lanes[k] + lanes[4 + k]
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])
