"""Descent, ahead of time: SGD, Momentum, Rprop, ASGD and Lion."""
from libc.stdint cimport int64_t, uintptr_t

from kernels.optimizers.pieces cimport gradient, sign
from kernels.runtime.abi cimport cloned_void, real


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


cdef cloned_void rprop(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *prev = buffers[2]
    cdef real *step_size = buffers[3]
    cdef real eta_minus = <real> scalars[0]
    cdef real eta_plus = <real> scalars[1]
    cdef real smallest = <real> scalars[2]
    cdef real largest = <real> scalars[3]
    cdef real grad_scale = <real> scalars[4]
    cdef real g, agreement, factor, step
    cdef int64_t i
    for i in range(start, stop):
        g = grad_scale * grad[i]
        agreement = g * prev[i]
        factor = eta_minus if agreement < 0 else <real> 1
        factor = eta_plus if agreement > 0 else factor
        step = step_size[i] * factor
        step = smallest if step < smallest else step
        step = largest if step > largest else step
        g = <real> 0 if agreement < 0 else g
        prev[i] = g
        step_size[i] = step
        param[i] = param[i] - step * sign(g)


cdef cloned_void asgd(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *ax = buffers[2]
    cdef real eta = <real> scalars[0]
    cdef real decay = <real> scalars[1]
    cdef real mu = <real> scalars[2]
    cdef real weight_decay = <real> scalars[3]
    cdef real grad_scale = <real> scalars[4]
    cdef real w, average
    cdef int64_t i
    for i in range(start, stop):
        w = decay * param[i] - eta * gradient(param[i], grad[i], weight_decay, grad_scale)
        average = ax[i] + mu * (w - ax[i])
        param[i] = w
        ax[i] = w if mu == 1 else average


cdef cloned_void lion(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *exp_avg = buffers[2]
    cdef real lr = <real> scalars[0]
    cdef real beta1 = <real> scalars[1]
    cdef real one_minus_beta1 = <real> scalars[2]
    cdef real beta2 = <real> scalars[3]
    cdef real one_minus_beta2 = <real> scalars[4]
    cdef real decay = <real> scalars[5]
    cdef real grad_scale = <real> scalars[6]
    cdef real g, direction
    cdef int64_t i
    for i in range(start, stop):
        g = grad_scale * grad[i]
        direction = sign(beta1 * exp_avg[i] + one_minus_beta1 * g)
        exp_avg[i] = beta2 * exp_avg[i] + one_minus_beta2 * g
        param[i] = decay * param[i] - lr * direction


KERNELS = {     # (float32, float64)
    "sgd": (<uintptr_t> <void *> sgd[float], <uintptr_t> <void *> sgd[double]),
    "sgd_momentum": (<uintptr_t> <void *> sgd_momentum[float], <uintptr_t> <void *> sgd_momentum[double]),
    "momentum": (<uintptr_t> <void *> momentum[float], <uintptr_t> <void *> momentum[double]),
    "rprop": (<uintptr_t> <void *> rprop[float], <uintptr_t> <void *> rprop[double]),
    "asgd": (<uintptr_t> <void *> asgd[float], <uintptr_t> <void *> asgd[double]),
    "lion": (<uintptr_t> <void *> lion[float], <uintptr_t> <void *> lion[double]),
}
