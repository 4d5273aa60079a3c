"""Optimizer kernels, ahead of time. The formulas are those of rules.py, in the same order of operations."""
from libc.stdint cimport int64_t, uintptr_t

from kernels.optimizers.pieces cimport gradient, root
from kernels.runtime.abi cimport cloned_void, real

from fastopt.kernels.optimizers import compiled_field, compiled_layers, compiled_matrix


cdef cloned_void sgd(real **buffers, const int64_t *dims, const double *scalars,
                     int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real lr = <real> scalars[0]
    cdef real weight_decay = <real> scalars[1]
    cdef real grad_scale = <real> scalars[2]
    cdef int64_t i
    for i in range(start, stop):
        param[i] = param[i] - lr * gradient(param[i], grad[i], weight_decay, grad_scale)


cdef cloned_void sgd_momentum(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *momentum_buffer = buffers[2]
    cdef real lr = <real> scalars[0]
    cdef real momentum = <real> scalars[1]
    cdef real one_minus_dampening = <real> scalars[2]
    cdef real nesterov = <real> scalars[3]
    cdef real weight_decay = <real> scalars[4]
    cdef real lr_inside = <real> scalars[5]
    cdef real grad_scale = <real> scalars[6]
    cdef real g, b
    cdef int64_t i
    for i in range(start, stop):
        g = lr_inside * gradient(param[i], grad[i], weight_decay, grad_scale)
        b = momentum * momentum_buffer[i] + one_minus_dampening * g
        momentum_buffer[i] = b
        param[i] = param[i] - lr * (g + momentum * b if nesterov != 0 else b)


cdef cloned_void momentum(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *velocity = buffers[2]
    cdef real lr = <real> scalars[0]
    cdef real beta = <real> scalars[1]
    cdef real one_minus_beta = <real> scalars[2]
    cdef real weight_decay = <real> scalars[3]
    cdef real grad_scale = <real> scalars[4]
    cdef real v
    cdef int64_t i
    for i in range(start, stop):
        v = beta * velocity[i] + one_minus_beta * gradient(param[i], grad[i], weight_decay, grad_scale)
        velocity[i] = v
        param[i] = param[i] - lr * v


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


KERNELS = {     # (float32, float64)
    "sgd": (<uintptr_t> <void *> sgd[float], <uintptr_t> <void *> sgd[double]),
    "sgd_momentum": (<uintptr_t> <void *> sgd_momentum[float], <uintptr_t> <void *> sgd_momentum[double]),
    "momentum": (<uintptr_t> <void *> momentum[float], <uintptr_t> <void *> momentum[double]),
    "adam": (<uintptr_t> <void *> adam[float], <uintptr_t> <void *> adam[double]),
    "adam_amsgrad": (<uintptr_t> <void *> adam_amsgrad[float], <uintptr_t> <void *> adam_amsgrad[double]),
    "rmsprop": (<uintptr_t> <void *> rmsprop[float], <uintptr_t> <void *> rmsprop[double]),
    "rmsprop_momentum": (
        <uintptr_t> <void *> rmsprop_momentum[float], <uintptr_t> <void *> rmsprop_momentum[double]),
    "rmsprop_centered": (
        <uintptr_t> <void *> rmsprop_centered[float], <uintptr_t> <void *> rmsprop_centered[double]),
    "rmsprop_centered_momentum": (
        <uintptr_t> <void *> rmsprop_centered_momentum[float],
        <uintptr_t> <void *> rmsprop_centered_momentum[double]),
    "adagrad": (<uintptr_t> <void *> adagrad[float], <uintptr_t> <void *> adagrad[double]),
} | compiled_field.KERNELS | compiled_layers.KERNELS | compiled_matrix.KERNELS
