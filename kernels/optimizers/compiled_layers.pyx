"""Kernels of the optimizers whose rates depend on a whole layer, ahead of time: what measures it, then the rule.

Measuring kernels add up to `partials`; the rule's scalars follow from the sums. The formulas are those of rules.py and
jit.py, in the same order of operations.
"""
from libc.stdint cimport int64_t, uintptr_t

from kernels.optimizers.pieces cimport folded, gradient, lamb_direction
from kernels.runtime.abi cimport cloned_void, real


cdef cloned_void lars_norms(real **buffers, const int64_t *dims, const double *scalars,
                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real grad_scale = <real> scalars[4]
    cdef double params[32]
    cdef double grads[32]
    cdef double p, g
    cdef int64_t i, k
    for k in range(32):
        params[k] = grads[k] = 0
    for i in range(start, stop - 31, 32):
        for k in range(32):
            p = param[i + k]
            g = grad_scale * grad[i + k]
            params[k] += p * p
            grads[k] += g * g
    for i in range(stop - (stop - start) % 32, stop):
        p = param[i]
        g = grad_scale * grad[i]
        params[0] += p * p
        grads[0] += g * g
    partials[0] += folded(params)
    partials[1] += folded(grads)


cdef cloned_void lars(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *momentum_buffer = buffers[2]
    cdef real rate = <real> scalars[0]
    cdef real momentum = <real> scalars[1]
    cdef real nesterov = <real> scalars[2]
    cdef real weight_decay = <real> scalars[3]
    cdef real grad_scale = <real> scalars[4]
    cdef real g, b
    cdef int64_t i
    for i in range(start, stop):
        g = rate * gradient(param[i], grad[i], weight_decay, grad_scale)
        b = momentum * momentum_buffer[i] + g
        momentum_buffer[i] = b
        param[i] = param[i] - (g + momentum * b if nesterov != 0 else b)


cdef cloned_void lamb_norms(real **buffers, const int64_t *dims, const double *scalars,
                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef const real *exp_avg = buffers[2]
    cdef const real *exp_avg_sq = buffers[3]
    cdef real beta1 = <real> scalars[1]
    cdef real one_minus_beta1 = <real> scalars[2]
    cdef real beta2 = <real> scalars[3]
    cdef real one_minus_beta2 = <real> scalars[4]
    cdef real correction = <real> scalars[5]
    cdef real root_correction = <real> scalars[6]
    cdef real eps = <real> scalars[7]
    cdef real weight_decay = <real> scalars[8]
    cdef real grad_scale = <real> scalars[9]
    cdef double params[32]
    cdef double updates[32]
    cdef real g, m, v
    cdef double p, u
    cdef int64_t i, k
    for k in range(32):
        params[k] = updates[k] = 0
    for i in range(start, stop - 31, 32):
        for k in range(32):
            g = grad_scale * grad[i + k]
            m = beta1 * exp_avg[i + k] + one_minus_beta1 * g
            v = beta2 * exp_avg_sq[i + k] + one_minus_beta2 * g * g
            u = lamb_direction(param[i + k], m, v, correction, root_correction, eps, weight_decay)
            p = param[i + k]
            params[k] += p * p
            updates[k] += u * u
    for i in range(stop - (stop - start) % 32, stop):
        g = grad_scale * grad[i]
        m = beta1 * exp_avg[i] + one_minus_beta1 * g
        v = beta2 * exp_avg_sq[i] + one_minus_beta2 * g * g
        u = lamb_direction(param[i], m, v, correction, root_correction, eps, weight_decay)
        p = param[i]
        params[0] += p * p
        updates[0] += u * u
    partials[0] += folded(params)
    partials[1] += folded(updates)


cdef cloned_void lamb(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *exp_avg = buffers[2]
    cdef real *exp_avg_sq = buffers[3]
    cdef real step_size = <real> scalars[0]
    cdef real beta1 = <real> scalars[1]
    cdef real one_minus_beta1 = <real> scalars[2]
    cdef real beta2 = <real> scalars[3]
    cdef real one_minus_beta2 = <real> scalars[4]
    cdef real correction = <real> scalars[5]
    cdef real root_correction = <real> scalars[6]
    cdef real eps = <real> scalars[7]
    cdef real weight_decay = <real> scalars[8]
    cdef real grad_scale = <real> scalars[9]
    cdef real g, m, v
    cdef int64_t i
    for i in range(start, stop):
        g = grad_scale * grad[i]
        m = beta1 * exp_avg[i] + one_minus_beta1 * g
        v = beta2 * exp_avg_sq[i] + one_minus_beta2 * g * g
        exp_avg[i] = m
        exp_avg_sq[i] = v
        param[i] = param[i] - step_size * lamb_direction(
            param[i], m, v, correction, root_correction, eps, weight_decay)


KERNELS = {     # (float32, float64)
    "lars_norms": (<uintptr_t> <void *> lars_norms[float], <uintptr_t> <void *> lars_norms[double]),
    "lars": (<uintptr_t> <void *> lars[float], <uintptr_t> <void *> lars[double]),
    "lamb_norms": (<uintptr_t> <void *> lamb_norms[float], <uintptr_t> <void *> lamb_norms[double]),
    "lamb": (<uintptr_t> <void *> lamb[float], <uintptr_t> <void *> lamb[double]),
}
