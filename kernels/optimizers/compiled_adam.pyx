"""Kernels of Adam's kin, ahead of time. The formulas are those of rules.py, in the same order of operations."""
from libc.stdint cimport int64_t, uintptr_t

from kernels.optimizers.pieces cimport gradient, magnitude, root
from kernels.runtime.abi cimport cloned_void, real


cdef cloned_void adam(real **buffers, const int64_t *dims, const double *scalars,
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
    cdef real root_correction = <real> scalars[5]
    cdef real eps = <real> scalars[6]
    cdef real weight_decay = <real> scalars[7]
    cdef real decay = <real> scalars[8]
    cdef real grad_scale = <real> scalars[9]
    cdef real g, m, v
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        m = beta1 * exp_avg[i] + one_minus_beta1 * g
        v = beta2 * exp_avg_sq[i] + one_minus_beta2 * g * g
        exp_avg[i] = m
        exp_avg_sq[i] = v
        param[i] = decay * param[i] - step_size * m / (root(v) * root_correction + eps)


cdef cloned_void adam_amsgrad(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *exp_avg = buffers[2]
    cdef real *exp_avg_sq = buffers[3]
    cdef real *max_exp_avg_sq = buffers[4]
    cdef real step_size = <real> scalars[0]
    cdef real beta1 = <real> scalars[1]
    cdef real one_minus_beta1 = <real> scalars[2]
    cdef real beta2 = <real> scalars[3]
    cdef real one_minus_beta2 = <real> scalars[4]
    cdef real root_correction = <real> scalars[5]
    cdef real eps = <real> scalars[6]
    cdef real weight_decay = <real> scalars[7]
    cdef real decay = <real> scalars[8]
    cdef real grad_scale = <real> scalars[9]
    cdef real g, m, v, largest
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        m = beta1 * exp_avg[i] + one_minus_beta1 * g
        v = beta2 * exp_avg_sq[i] + one_minus_beta2 * g * g
        largest = max_exp_avg_sq[i] if max_exp_avg_sq[i] > v else v
        exp_avg[i] = m
        exp_avg_sq[i] = v
        max_exp_avg_sq[i] = largest
        param[i] = decay * param[i] - step_size * m / (root(largest) * root_correction + eps)


cdef cloned_void adamax(real **buffers, const int64_t *dims, const double *scalars,
                        int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *exp_avg = buffers[2]
    cdef real *exp_inf = buffers[3]
    cdef real step_size = <real> scalars[0]
    cdef real beta1 = <real> scalars[1]
    cdef real one_minus_beta1 = <real> scalars[2]
    cdef real beta2 = <real> scalars[3]
    cdef real eps = <real> scalars[4]
    cdef real weight_decay = <real> scalars[5]
    cdef real eps_in_divisor = <real> scalars[6]
    cdef real grad_scale = <real> scalars[7]
    cdef real g, m, faded, fresh, u
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        m = beta1 * exp_avg[i] + one_minus_beta1 * g
        faded = beta2 * exp_inf[i]
        fresh = magnitude(g) + eps
        u = faded if faded > fresh else fresh
        u = faded if faded != faded else u      # once NaN, for ever NaN
        exp_avg[i] = m
        exp_inf[i] = u
        param[i] = param[i] - step_size * m / (u + eps_in_divisor)


cdef cloned_void nadam(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *exp_avg = buffers[2]
    cdef real *exp_avg_sq = buffers[3]
    cdef real grad_step = <real> scalars[0]
    cdef real step_size = <real> scalars[1]
    cdef real beta1 = <real> scalars[2]
    cdef real one_minus_beta1 = <real> scalars[3]
    cdef real beta2 = <real> scalars[4]
    cdef real one_minus_beta2 = <real> scalars[5]
    cdef real root_correction = <real> scalars[6]
    cdef real eps = <real> scalars[7]
    cdef real weight_decay = <real> scalars[8]
    cdef real grad_scale = <real> scalars[9]
    cdef real g, m, v
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        m = beta1 * exp_avg[i] + one_minus_beta1 * g
        v = beta2 * exp_avg_sq[i] + one_minus_beta2 * g * g
        exp_avg[i] = m
        exp_avg_sq[i] = v
        param[i] = param[i] - (grad_step * g + step_size * m) / (root(v) * root_correction + eps)


cdef cloned_void radam(real **buffers, const int64_t *dims, const double *scalars,
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
    cdef real rectified = <real> scalars[5]
    cdef real eps = <real> scalars[6]
    cdef real weight_decay = <real> scalars[7]
    cdef real grad_scale = <real> scalars[8]
    cdef real g, m, v, scaled
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        m = beta1 * exp_avg[i] + one_minus_beta1 * g
        v = beta2 * exp_avg_sq[i] + one_minus_beta2 * g * g
        scaled = m / (root(v) + eps)
        exp_avg[i] = m
        exp_avg_sq[i] = v
        param[i] = param[i] - step_size * (scaled if rectified != 0 else m)


cdef cloned_void ademamix(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *exp_avg_fast = buffers[2]
    cdef real *exp_avg_slow = buffers[3]
    cdef real *exp_avg_sq = buffers[4]
    cdef real step_size = <real> scalars[0]
    cdef real slow_step_size = <real> scalars[1]
    cdef real beta1 = <real> scalars[2]
    cdef real one_minus_beta1 = <real> scalars[3]
    cdef real beta2 = <real> scalars[4]
    cdef real one_minus_beta2 = <real> scalars[5]
    cdef real beta3 = <real> scalars[6]
    cdef real one_minus_beta3 = <real> scalars[7]
    cdef real root_correction = <real> scalars[8]
    cdef real eps = <real> scalars[9]
    cdef real decay = <real> scalars[10]
    cdef real grad_scale = <real> scalars[11]
    cdef real g, fast, slow, v
    cdef int64_t i
    for i in range(start, stop):
        g = grad_scale * grad[i]
        fast = beta1 * exp_avg_fast[i] + one_minus_beta1 * g
        slow = beta3 * exp_avg_slow[i] + one_minus_beta3 * g
        v = beta2 * exp_avg_sq[i] + one_minus_beta2 * g * g
        exp_avg_fast[i] = fast
        exp_avg_slow[i] = slow
        exp_avg_sq[i] = v
        param[i] = decay * param[i] - (step_size * fast + slow_step_size * slow) / (root(v) * root_correction + eps)


cdef cloned_void schedule_free_adamw(real **buffers, const int64_t *dims, const double *scalars,
                                     int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *exp_avg_sq = buffers[2]
    cdef real *z = buffers[3]
    cdef real lr = <real> scalars[0]
    cdef real averaging = <real> scalars[1]
    cdef real step_size = <real> scalars[2]
    cdef real beta2 = <real> scalars[3]
    cdef real one_minus_beta2 = <real> scalars[4]
    cdef real root_correction = <real> scalars[5]
    cdef real eps = <real> scalars[6]
    cdef real weight_decay = <real> scalars[7]
    cdef real grad_scale = <real> scalars[8]
    cdef real g, v, d
    cdef int64_t i
    for i in range(start, stop):
        g = grad_scale * grad[i]
        v = beta2 * exp_avg_sq[i] + one_minus_beta2 * g * g
        d = g / (root(v) * root_correction + eps)
        if weight_decay != 0:
            d = d + weight_decay * param[i]
        exp_avg_sq[i] = v
        param[i] = param[i] + averaging * (z[i] - param[i]) - step_size * d
        z[i] = z[i] - lr * d


cdef cloned_void interpolate(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *end = buffers[1]
    cdef real weight = <real> scalars[0]
    cdef int64_t i
    for i in range(start, stop):
        param[i] = param[i] + weight * (end[i] - param[i])


KERNELS = {     # (float32, float64)
    "adam": (<uintptr_t> <void *> adam[float], <uintptr_t> <void *> adam[double]),
    "adam_amsgrad": (<uintptr_t> <void *> adam_amsgrad[float], <uintptr_t> <void *> adam_amsgrad[double]),
    "adamax": (<uintptr_t> <void *> adamax[float], <uintptr_t> <void *> adamax[double]),
    "nadam": (<uintptr_t> <void *> nadam[float], <uintptr_t> <void *> nadam[double]),
    "radam": (<uintptr_t> <void *> radam[float], <uintptr_t> <void *> radam[double]),
    "ademamix": (<uintptr_t> <void *> ademamix[float], <uintptr_t> <void *> ademamix[double]),
    "schedule_free_adamw": (
        <uintptr_t> <void *> schedule_free_adamw[float], <uintptr_t> <void *> schedule_free_adamw[double]),
    "interpolate": (<uintptr_t> <void *> interpolate[float], <uintptr_t> <void *> interpolate[double]),
}
