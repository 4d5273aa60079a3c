"""The work on many arrays, ahead of time. The same operations as rules.py and jit.py, in the same order."""
from libc.stdint cimport int32_t, int64_t, uintptr_t

from kernels.runtime.abi cimport cloned_void, real
from kernels.runtime.lanes cimport LANES, folded


cdef cloned_void scale(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *x = buffers[0]
    cdef real factor = <real> scalars[0]
    cdef int64_t i
    for i in range(start, stop):
        x[i] = factor * x[i]


cdef cloned_void axpby(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef real *y = buffers[1]
    cdef real a = <real> scalars[0]
    cdef real b = <real> scalars[1]
    cdef int64_t i
    for i in range(start, stop):
        y[i] = a * x[i] + b * y[i]


cdef cloned_void squares(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Add the sum of squares to the first partial sum, and 0 (NaN, if an element is not finite) to the second."""
    cdef const real *x = buffers[0]
    cdef double lanes[LANES]
    cdef double zeros[LANES]
    cdef double value
    cdef int64_t i, k
    for k in range(LANES):
        lanes[k] = zeros[k] = 0
    for i in range(start, stop - LANES + 1, 32):
        for k in range(LANES):
            value = x[i + k]
            lanes[k] += value * value
            zeros[k] += value * 0
    for i in range(stop - (stop - start) % LANES, stop):
        value = x[i]
        lanes[0] += value * value
        zeros[0] += value * 0
    partials[0] += folded(lanes)
    partials[1] += folded(zeros)


cdef cloned_void not_finite(real **buffers, const int64_t *dims, const double *scalars,
                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Add to the partial sum how many elements are NaN or infinite: 0 times those is not 0."""
    cdef const real *x = buffers[0]
    cdef real zero = 0
    cdef int32_t count = 0
    cdef int64_t i
    for i in range(start, stop):
        count += x[i] * zero != zero
    partials[0] += count


KERNELS = {     # name -> addresses (float32, float64)
    "scale": (<uintptr_t> <void *> scale[float], <uintptr_t> <void *> scale[double]),
    "axpby": (<uintptr_t> <void *> axpby[float], <uintptr_t> <void *> axpby[double]),
    "squares": (<uintptr_t> <void *> squares[float], <uintptr_t> <void *> squares[double]),
    "not_finite": (<uintptr_t> <void *> not_finite[float], <uintptr_t> <void *> not_finite[double]),
}
