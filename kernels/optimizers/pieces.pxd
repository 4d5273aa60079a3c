"""What the optimizer kernels share. All inline: a kernel's clones hold them."""
from libc.math cimport fabs, sqrt

from kernels.runtime.abi cimport real

cdef extern from "<math.h>" nogil:
    float fabsf(float)
    float sqrtf(float)


cdef inline real root(real x) noexcept nogil:
    return sqrtf(x) if real is float else sqrt(x)


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
