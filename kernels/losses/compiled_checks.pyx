"""Checks ahead of time: how many elements, rows or labels are not as they must be."""
from libc.stdint cimport int64_t, uintptr_t

from kernels.losses.pieces cimport CHUNK, PART, fetch_ahead, row_sum
from kernels.runtime.abi cimport cloned_void, real


cdef cloned_void outside(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *value = buffers[0]
    cdef real low = <real> scalars[0]
    cdef real high = <real> scalars[1]
    cdef int64_t first, i
    cdef int out, nan       # as wide as a float, so that it is counted in as many lanes
    for first in range(start, stop, 128):
        fetch_ahead(value + first, NULL)
        out = nan = 0
        for i in range(first, min(first + PART, stop)):
            out += (value[i] < low) | (value[i] > high)
            nan += value[i] != value[i]
        partials[0] += out
        partials[1] += nan


cdef cloned_void signs(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef int64_t first, i
    cdef int ones, zeros, minus_ones
    for first in range(start, stop, 1024):
        ones = zeros = minus_ones = 0
        for i in range(first, min(first + CHUNK, stop)):
            ones += y_true[i] == 1
            zeros += y_true[i] == 0
            minus_ones += y_true[i] == -1
        partials[0] += ones
        partials[1] += zeros
        partials[2] += minus_ones


cdef cloned_void not_distributions(real **buffers, const int64_t *dims, const double *scalars,
                                   int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef int64_t columns = dims[0]
    cdef int64_t r, first, i, wrong = 0
    cdef int outside
    cdef double sum
    for first in range(start * columns, stop * columns, 1024):
        outside = 0
        for i in range(first, min(first + CHUNK, stop * columns)):
            outside += not ((y_true[i] >= 0) & (y_true[i] <= 1))
        wrong += outside
    for r in range(start, stop):
        sum = row_sum(y_true + r * columns, columns)
        wrong += (sum < 0.999) | (sum > 1.001)
    partials[0] += wrong


cdef cloned_void labels_outside(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *labels = <const int64_t *> buffers[0]
    cdef int64_t columns = dims[0]
    cdef int64_t ignore_class = dims[1]
    cdef int64_t i, out = 0, ignored = 0
    for i in range(start, stop):
        out += ((labels[i] < 0) | (labels[i] >= columns)) & (labels[i] != ignore_class)
        ignored += labels[i] == ignore_class
    partials[0] += out
    partials[1] += ignored


KERNELS = {     # (float32, float64)
    "outside": (<uintptr_t> <void *> outside[float], <uintptr_t> <void *> outside[double]),
    "signs": (<uintptr_t> <void *> signs[float], <uintptr_t> <void *> signs[double]),
    "not_distributions": (
        <uintptr_t> <void *> not_distributions[float],
        <uintptr_t> <void *> not_distributions[double]),
    "labels_outside": (<uintptr_t> <void *> labels_outside[float], <uintptr_t> <void *> labels_outside[double]),
}
