"""Kernels that divide by a root of squares, ahead of time. The formulas are those of rules.py, in the same order of operations."""
from libc.stdint cimport int64_t, uintptr_t

from kernels.optimizers.pieces cimport gradient, magnitude, power_of, root, sign
from kernels.runtime.abi cimport cloned_void, real


cdef cloned_void rmsprop(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *square_avg = buffers[2]
    cdef real lr = <real> scalars[0]
    cdef real alpha = <real> scalars[1]
    cdef real one_minus_alpha = <real> scalars[2]
    cdef real eps = <real> scalars[3]
    cdef real weight_decay = <real> scalars[4]
    cdef real eps_in_root = <real> scalars[5]
    cdef real grad_scale = <real> scalars[6]
    cdef real g, s
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        s = alpha * square_avg[i] + one_minus_alpha * g * g
        square_avg[i] = s
        param[i] = param[i] - lr * g / (root(s + eps_in_root) + eps)


cdef cloned_void rmsprop_momentum(real **buffers, const int64_t *dims, const double *scalars,
                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *square_avg = buffers[2]
    cdef real *momentum_buffer = buffers[3]
    cdef real lr = <real> scalars[0]
    cdef real alpha = <real> scalars[1]
    cdef real one_minus_alpha = <real> scalars[2]
    cdef real eps = <real> scalars[3]
    cdef real momentum = <real> scalars[4]
    cdef real weight_decay = <real> scalars[5]
    cdef real eps_in_root = <real> scalars[6]
    cdef real lr_inside = <real> scalars[7]
    cdef real grad_scale = <real> scalars[8]
    cdef real g, s, b
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        s = alpha * square_avg[i] + one_minus_alpha * g * g
        b = momentum * momentum_buffer[i] + lr_inside * g / (root(s + eps_in_root) + eps)
        square_avg[i] = s
        momentum_buffer[i] = b
        param[i] = param[i] - lr * b


cdef inline real centered_root(real square_avg, real grad_avg, real eps_in_root) noexcept nogil:
    cdef real variance = square_avg - grad_avg * grad_avg
    return root((<real> 0 if variance < 0 else variance) + eps_in_root)


cdef cloned_void rmsprop_centered(real **buffers, const int64_t *dims, const double *scalars,
                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *square_avg = buffers[2]
    cdef real *grad_avg = buffers[3]
    cdef real lr = <real> scalars[0]
    cdef real alpha = <real> scalars[1]
    cdef real one_minus_alpha = <real> scalars[2]
    cdef real eps = <real> scalars[3]
    cdef real weight_decay = <real> scalars[4]
    cdef real eps_in_root = <real> scalars[5]
    cdef real grad_scale = <real> scalars[6]
    cdef real g, s, a
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        s = alpha * square_avg[i] + one_minus_alpha * g * g
        a = alpha * grad_avg[i] + one_minus_alpha * g
        square_avg[i] = s
        grad_avg[i] = a
        param[i] = param[i] - lr * g / (centered_root(s, a, eps_in_root) + eps)


cdef cloned_void rmsprop_centered_momentum(real **buffers, const int64_t *dims, const double *scalars,
                                           int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *square_avg = buffers[2]
    cdef real *grad_avg = buffers[3]
    cdef real *momentum_buffer = buffers[4]
    cdef real lr = <real> scalars[0]
    cdef real alpha = <real> scalars[1]
    cdef real one_minus_alpha = <real> scalars[2]
    cdef real eps = <real> scalars[3]
    cdef real momentum = <real> scalars[4]
    cdef real weight_decay = <real> scalars[5]
    cdef real eps_in_root = <real> scalars[6]
    cdef real lr_inside = <real> scalars[7]
    cdef real grad_scale = <real> scalars[8]
    cdef real g, s, a, b
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        s = alpha * square_avg[i] + one_minus_alpha * g * g
        a = alpha * grad_avg[i] + one_minus_alpha * g
        b = momentum * momentum_buffer[i] + lr_inside * g / (centered_root(s, a, eps_in_root) + eps)
        square_avg[i] = s
        grad_avg[i] = a
        momentum_buffer[i] = b
        param[i] = param[i] - lr * b


cdef cloned_void adagrad(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *sum_of_squares = buffers[2]
    cdef real lr = <real> scalars[0]
    cdef real eps = <real> scalars[1]
    cdef real weight_decay = <real> scalars[2]
    cdef real eps_in_root = <real> scalars[3]
    cdef real grad_scale = <real> scalars[4]
    cdef real g, s
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        s = sum_of_squares[i] + g * g
        sum_of_squares[i] = s
        param[i] = param[i] - lr * g / (root(s + eps_in_root) + eps)


cdef cloned_void adadelta(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *square_avg = buffers[2]
    cdef real *acc_delta = buffers[3]
    cdef real lr = <real> scalars[0]
    cdef real rho = <real> scalars[1]
    cdef real one_minus_rho = <real> scalars[2]
    cdef real eps = <real> scalars[3]
    cdef real weight_decay = <real> scalars[4]
    cdef real grad_scale = <real> scalars[5]
    cdef real g, s, d
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        s = rho * square_avg[i] + one_minus_rho * g * g
        d = root(acc_delta[i] + eps) / root(s + eps) * g
        square_avg[i] = s
        acc_delta[i] = rho * acc_delta[i] + one_minus_rho * d * d
        param[i] = param[i] - lr * d


cdef cloned_void ftrl(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *z = buffers[2]
    cdef real *n = buffers[3]
    cdef real inverse_lr = <real> scalars[0]
    cdef real beta = <real> scalars[1]
    cdef real l1 = <real> scalars[2]
    cdef real l2 = <real> scalars[3]
    cdef real l2_shrinkage = <real> scalars[4]
    cdef real weight_decay = <real> scalars[5]
    cdef real grad_scale = <real> scalars[6]
    cdef real g, before, after, linear, w
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        before = root(n[i])
        n[i] = n[i] + g * g
        after = root(n[i])
        g = gradient(param[i], g, l2_shrinkage, <real> 1)
        linear = z[i] + g - (after - before) * inverse_lr * param[i]
        w = -(linear - l1 * sign(linear)) / ((beta + after) * inverse_lr + l2)
        z[i] = linear
        param[i] = <real> 0 if magnitude(linear) <= l1 else w


cdef cloned_void ftrl_power(real **buffers, const int64_t *dims, const double *scalars,
                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *z = buffers[2]
    cdef real *n = buffers[3]
    cdef real inverse_lr = <real> scalars[0]
    cdef real beta = <real> scalars[1]
    cdef real l1 = <real> scalars[2]
    cdef real l2 = <real> scalars[3]
    cdef real l2_shrinkage = <real> scalars[4]
    cdef real power = <real> scalars[5]
    cdef real weight_decay = <real> scalars[6]
    cdef real grad_scale = <real> scalars[7]
    cdef real g, before, after, linear, w
    cdef int64_t i
    for i in range(start, stop):
        g = gradient(param[i], grad[i], weight_decay, grad_scale)
        before = power_of(n[i], power)
        n[i] = n[i] + g * g
        after = power_of(n[i], power)
        g = gradient(param[i], g, l2_shrinkage, <real> 1)
        linear = z[i] + g - (after - before) * inverse_lr * param[i]
        w = -(linear - l1 * sign(linear)) / ((beta + after) * inverse_lr + l2)
        z[i] = linear
        param[i] = <real> 0 if magnitude(linear) <= l1 else w


KERNELS = {     # (float32, float64)
    "rmsprop": (<uintptr_t> <void *> rmsprop[float], <uintptr_t> <void *> rmsprop[double]),
    "rmsprop_momentum": (<uintptr_t> <void *> rmsprop_momentum[float], <uintptr_t> <void *> rmsprop_momentum[double]),
    "rmsprop_centered": (<uintptr_t> <void *> rmsprop_centered[float], <uintptr_t> <void *> rmsprop_centered[double]),
    "rmsprop_centered_momentum": (
        <uintptr_t> <void *> rmsprop_centered_momentum[float], <uintptr_t> <void *> rmsprop_centered_momentum[double]),
    "adagrad": (<uintptr_t> <void *> adagrad[float], <uintptr_t> <void *> adagrad[double]),
    "adadelta": (<uintptr_t> <void *> adadelta[float], <uintptr_t> <void *> adadelta[double]),
    "ftrl": (<uintptr_t> <void *> ftrl[float], <uintptr_t> <void *> ftrl[double]),
    "ftrl_power": (<uintptr_t> <void *> ftrl_power[float], <uintptr_t> <void *> ftrl_power[double]),
}
