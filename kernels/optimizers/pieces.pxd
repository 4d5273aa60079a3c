"""What the optimizer kernels share. All inline: a kernel's clones hold them."""
from libc.math cimport fabs, sqrt
from libc.stdint cimport int64_t

from kernels.runtime.abi cimport real
from kernels.runtime.lanes cimport folded

cdef extern from "<math.h>" nogil:
    float fabsf(float)
    float sqrtf(float)

cdef extern from "simd.h" nogil:
    float exp_float(float)
    float log_float(float)
    double exp_double(double)
    double log_double(double)


cdef inline real root(real x) noexcept nogil:
    return sqrtf(x) if real is float else sqrt(x)


cdef inline real power_of(real n, real power) noexcept nogil:
    """n to a power ≥ 0, of n ≥ 0; 1 where that is 0."""
    cdef real found
    if real is float:
        found = exp_float(power * log_float(n))
    else:
        found = exp_double(power * log_double(n))
    return <real> 1 if power == 0 else found


cdef inline real magnitude(real x) noexcept nogil:
    return fabsf(x) if real is float else fabs(x)


cdef inline real sign(real x) noexcept nogil:
    cdef real below = <real> -1 if x < 0 else x
    return <real> 1 if x > 0 else below


cdef inline real gradient(real param, real grad, real weight_decay, real grad_scale) noexcept nogil:
    grad = grad_scale * grad
    if weight_decay != 0:
        grad = grad + weight_decay * param
    return grad


cdef inline real lamb_direction(real param, real exp_avg, real exp_avg_sq, real correction, real root_correction,
                                real eps, real weight_decay) noexcept nogil:
    cdef real direction = correction * exp_avg / (root(exp_avg_sq) * root_correction + eps)
    if weight_decay != 0:
        direction = direction + weight_decay * param
    return direction


cdef inline double squares(const real *values, int64_t count) noexcept nogil:
    """The sum of squares."""
    cdef double lanes[32]
    cdef double x
    cdef int64_t i, k
    for k in range(32):
        lanes[k] = 0
    for i in range(0, count - 31, 32):
        for k in range(32):
            x = values[i + k]
            lanes[k] += x * x
    for i in range(count - count % 32, count):
        x = values[i]
        lanes[0] += x * x
    return folded(lanes)
