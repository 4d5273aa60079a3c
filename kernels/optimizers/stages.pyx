"""What one step can do besides the rule, for every optimizer: stages that run before and after it in each block.

They work on the block while it is in L1, so none of them costs another pass over memory.
"""
from libc.stdint cimport int16_t, int32_t, int64_t, uintptr_t

from kernels.runtime.abi cimport cloned_void, real
from kernels.runtime.lanes cimport folded

ctypedef fused item:
    int16_t
    int32_t
    int64_t


cdef cloned_void clip(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The scaled gradient with every element within ±clip_value; NaN stays NaN."""
    cdef const real *grad = buffers[0]
    cdef real *clipped = buffers[1]
    cdef real grad_scale = <real> scalars[0]
    cdef real clip_value = <real> scalars[1]
    cdef real g
    cdef int64_t i
    for i in range(start, stop):
        g = grad_scale * grad[i]
        g = clip_value if g > clip_value else g
        clipped[i] = -clip_value if g < -clip_value else g


cdef cloned_void decay(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Decoupled decay, before the update."""
    cdef real *param = buffers[0]
    cdef real kept = <real> scalars[0]
    cdef int64_t i
    for i in range(start, stop):
        param[i] = kept * param[i]


cdef cloned_void average(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The running average of the parameters, after the update."""
    cdef const real *param = buffers[0]
    cdef real *averaged = buffers[1]
    cdef real kept = <real> scalars[0]
    cdef real added = <real> scalars[1]
    cdef int64_t i
    for i in range(start, stop):
        averaged[i] = kept * averaged[i] + added * param[i]


cdef cloned_void copy(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *param = buffers[0]
    cdef real *before = buffers[1]
    cdef int64_t i
    for i in range(start, stop):
        before[i] = param[i]


cdef cloned_void change(real **buffers, const int64_t *dims, const double *scalars,
                        int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Add the squared length of the update to the partial sum: 32 lanes a block, folded in halves."""
    cdef const real *param = buffers[0]
    cdef const real *before = buffers[1]
    cdef double lanes[32]
    cdef double d
    cdef int64_t i, k
    for k in range(32):
        lanes[k] = 0
    for i in range(start, stop - 31, 32):
        for k in range(32):
            d = <double> param[i + k] - <double> before[i + k]
            lanes[k] += d * d
    for i in range(stop - (stop - start) % 32, stop):
        d = <double> param[i] - <double> before[i]
        lanes[0] += d * d
    partials[0] += folded(lanes)


cdef void zero(item **buffers, const int64_t *dims, const double *scalars,
               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef item *grad = buffers[0]
    cdef int64_t i
    for i in range(start, stop):
        grad[i] = 0


CLIP = (<uintptr_t> <void *> clip[float], <uintptr_t> <void *> clip[double])     # (float32, float64)
DECAY = (<uintptr_t> <void *> decay[float], <uintptr_t> <void *> decay[double])
AVERAGE = (<uintptr_t> <void *> average[float], <uintptr_t> <void *> average[double])
COPY = (<uintptr_t> <void *> copy[float], <uintptr_t> <void *> copy[double])
CHANGE = (<uintptr_t> <void *> change[float], <uintptr_t> <void *> change[double])
ZERO = {        # by bytes of an element
    2: <uintptr_t> <void *> zero[int16_t],
    4: <uintptr_t> <void *> zero[int32_t],
    8: <uintptr_t> <void *> zero[int64_t],
}
