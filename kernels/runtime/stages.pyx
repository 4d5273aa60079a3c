"""Stages that any pipeline can hold: gather a strided block into scratch memory, scatter it back, or stream it.

They move bytes, so there is one for every size of element, not of type. A unit is an element, counted in C order.
dims: number of axes, then their lengths, then their strides in bytes (outermost first).
"""
from libc.stdint cimport int16_t, int32_t, int64_t, int8_t, uint16_t, uint32_t, uint64_t, uint8_t, uintptr_t
from libc.stdlib cimport llabs
from libc.string cimport memcpy

import numpy as np

from kernels.runtime.abi cimport NOT_A_LABEL

cdef extern from "stream.h" nogil:
    const int64_t STREAMED_BYTES_C "STREAMED_BYTES"
    void stream_block(void *target, void *block, int64_t start, int64_t stop, bint first, bint last) noexcept

STREAMED_BYTES = STREAMED_BYTES_C

cdef enum:
    MAX_AXES = 64

ctypedef fused item:
    int8_t
    int16_t
    int32_t
    int64_t

ctypedef fused label:
    int8_t
    int16_t
    int32_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t
    float
    double


cdef inline void turn(item *packed, char *strided, int64_t rows, int64_t columns, int64_t near, int64_t far,
                      bint store) noexcept nogil:
    """Copy packed rows from or to columns that lie together in memory: by columns, for whole cache lines of them."""
    cdef char *at
    cdef int64_t first, size, r, c
    for first in range(0, rows, 64):
        size = min(<int64_t> 64, rows - first)
        for c in range(columns):
            at = strided + first * near + c * far
            for r in range(size if store else 0):
                (<item *> (at + r * near))[0] = packed[(first + r) * columns + c]
            for r in range(0 if store else size):
                packed[(first + r) * columns + c] = (<item *> (at + r * near))[0]


cdef inline void walk(item *packed, char *strided, const int64_t *dims, int64_t start, int64_t stop,
                      bint store) noexcept nogil:
    """Copy elements start:stop between a packed block and a strided array: an innermost run at a time, or as many
    whole runs as there are side by side, where their elements are nearer to the next run's than to each other."""
    cdef int axes = <int> dims[0]
    cdef const int64_t *shape = dims + 1
    cdef const int64_t *strides = dims + 1 + axes
    cdef int64_t index[MAX_AXES]
    cdef int64_t rest = start, i = start, run, runs, k, step = strides[axes - 1]
    cdef bint turned = axes > 1 and llabs(strides[axes - 2]) < llabs(step)
    cdef int axis
    cdef char *at = strided
    for axis in range(axes - 1, -1, -1):
        index[axis] = rest % shape[axis]
        rest //= shape[axis]
        at += index[axis] * strides[axis]
    while i < stop:
        run = min(shape[axes - 1] - index[axes - 1], stop - i)
        runs = min(shape[axes - 2] - index[axes - 2], (stop - i) // run) if turned and run == shape[axes - 1] else 1
        if runs > 1:
            turn(packed + i, at, runs, run, strides[axes - 2], step, store)
            index[axes - 2] += runs - 1
            at += (runs - 1) * strides[axes - 2]
        elif step == sizeof(item):
            memcpy(at if store else <char *> (packed + i), <char *> (packed + i) if store else at, run * sizeof(item))
        elif store:
            for k in range(run):
                (<item *> (at + k * step))[0] = packed[i + k]
        else:
            for k in range(run):
                packed[i + k] = (<item *> (at + k * step))[0]
        i += runs * run
        at -= index[axes - 1] * step
        index[axes - 1] = 0
        for axis in range(axes - 2, -1, -1):    # carry, like an odometer
            index[axis] += 1
            at += strides[axis]
            if index[axis] < shape[axis]:
                break
            at -= shape[axis] * strides[axis]
            index[axis] = 0


cdef void gather(item **buffers, const int64_t *dims, const double *scalars,
                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    walk(buffers[1], <char *> buffers[0], dims, start, stop, False)


cdef void scatter(item **buffers, const int64_t *dims, const double *scalars,
                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    walk(buffers[1], <char *> buffers[0], dims, start, stop, True)


cdef void stream(item **buffers, const int64_t *dims, const double *scalars,
                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Store a block of a packed array around the cache. dims: elements of a grain, and of the array."""
    stream_block(buffers[0], buffers[1] + start, start * <int64_t> sizeof(item), stop * <int64_t> sizeof(item),
                 start % dims[0] == 0, stop % dims[0] == 0 or stop == dims[1])


cdef void widen(label **buffers, const int64_t *dims, const double *scalars,
                int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Labels of any type as int64; NOT_A_LABEL for what is no whole number or is too large."""
    cdef const label *labels = buffers[0]
    cdef int64_t *wide = <int64_t *> buffers[1]
    cdef int64_t i
    for i in range(start, stop):
        if label is float or label is double:
            wide[i] = NOT_A_LABEL
            if -4e18 < labels[i] < 4e18 and labels[i] == <label> <int64_t> labels[i]:
                wide[i] = <int64_t> labels[i]
        elif label is uint64_t:
            wide[i] = <int64_t> labels[i] if labels[i] < 1ULL << 62 else NOT_A_LABEL
        else:
            wide[i] = labels[i]


GATHER = {      # by bytes of an element; buffers: the strided array, the scratch block
    1: <uintptr_t> <void *> gather[int8_t],
    2: <uintptr_t> <void *> gather[int16_t],
    4: <uintptr_t> <void *> gather[int32_t],
    8: <uintptr_t> <void *> gather[int64_t],
}
SCATTER = {
    1: <uintptr_t> <void *> scatter[int8_t],
    2: <uintptr_t> <void *> scatter[int16_t],
    4: <uintptr_t> <void *> scatter[int32_t],
    8: <uintptr_t> <void *> scatter[int64_t],
}
STREAM = {      # as SCATTER, to a packed array
    1: <uintptr_t> <void *> stream[int8_t],
    2: <uintptr_t> <void *> stream[int16_t],
    4: <uintptr_t> <void *> stream[int32_t],
    8: <uintptr_t> <void *> stream[int64_t],
}
WIDEN = {       # by the labels' dtype (a bool is a byte of 0 or 1); buffers: packed labels, int64 scratch block
    np.dtype(np.bool_): <uintptr_t> <void *> widen[uint8_t],
    np.dtype(np.int8): <uintptr_t> <void *> widen[int8_t],
    np.dtype(np.int16): <uintptr_t> <void *> widen[int16_t],
    np.dtype(np.int32): <uintptr_t> <void *> widen[int32_t],
    np.dtype(np.uint8): <uintptr_t> <void *> widen[uint8_t],
    np.dtype(np.uint16): <uintptr_t> <void *> widen[uint16_t],
    np.dtype(np.uint32): <uintptr_t> <void *> widen[uint32_t],
    np.dtype(np.uint64): <uintptr_t> <void *> widen[uint64_t],
    np.dtype(np.float32): <uintptr_t> <void *> widen[float],
    np.dtype(np.float64): <uintptr_t> <void *> widen[double],
}
