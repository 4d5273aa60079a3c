"""Kernels of the optimizers whose step depends on a whole layer, ahead of time: what measures it, then the rule.

Measuring kernels add up to `partials`; the rule's scalars follow from the sums. The formulas are those of rules.py and
jit.py, in the same order of operations.
"""
from libc.stdint cimport int64_t, uintptr_t

from kernels.optimizers.pieces cimport gradient, lamb_direction, root, squares
from kernels.runtime.abi cimport cloned_void, real
from kernels.runtime.lanes cimport folded


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


cdef inline real direction(real grad, real variance, real floor) noexcept nogil:
    return grad / root(floor if variance < floor else variance)


cdef cloned_void adafactor_vector_norms(real **buffers, const int64_t *dims, const double *scalars,
                                        int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef const real *variance = buffers[2]
    cdef real beta2 = <real> scalars[1]
    cdef real one_minus_beta2 = <real> scalars[2]
    cdef real floor = <real> scalars[3]
    cdef real grad_scale = <real> scalars[5]
    cdef double lanes[32]
    cdef double u
    cdef int64_t i, k
    for k in range(32):
        lanes[k] = 0
    for i in range(start, stop - 31, 32):
        for k in range(32):
            u = vector_direction(grad_scale * grad[i + k], variance[i + k], beta2, one_minus_beta2, floor)
            lanes[k] += u * u
    for i in range(stop - (stop - start) % 32, stop):
        u = vector_direction(grad_scale * grad[i], variance[i], beta2, one_minus_beta2, floor)
        lanes[0] += u * u
    partials[0] += squares(param + start, stop - start)
    partials[1] += folded(lanes)


cdef inline real vector_direction(real grad, real variance, real beta2, real one_minus_beta2, real floor) noexcept nogil:
    cdef real v = beta2 * variance + one_minus_beta2 * grad * grad
    return direction(grad, v, floor)


cdef cloned_void adafactor_vector(real **buffers, const int64_t *dims, const double *scalars,
                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *variance = buffers[2]
    cdef real step_size = <real> scalars[0]
    cdef real beta2 = <real> scalars[1]
    cdef real one_minus_beta2 = <real> scalars[2]
    cdef real floor = <real> scalars[3]
    cdef real decay = <real> scalars[4]
    cdef real grad_scale = <real> scalars[5]
    cdef real g, v
    cdef int64_t i
    for i in range(start, stop):
        g = grad_scale * grad[i]
        v = beta2 * variance[i] + one_minus_beta2 * g * g
        variance[i] = v
        v = floor if v < floor else v
        param[i] = decay * param[i] - step_size * (g / root(v))


cdef cloned_void adafactor_factors(real **buffers, const int64_t *dims, const double *scalars,
                                   int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Row averages; sums of the columns' squares go to partials[1:], or, where whole matrices pass, to col_next.

    A grain begins and ends with a row; a block need not.
    """
    cdef const real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef const real *row_var = buffers[2]
    cdef const real *col_var = buffers[3]
    cdef real *row_next = buffers[4]
    cdef real *col_next = buffers[5]
    cdef int64_t columns = dims[0]
    cdef int64_t rows = dims[1]
    cdef int64_t whole = dims[2]
    cdef real beta2 = <real> scalars[1]
    cdef double one_minus_beta2 = scalars[2]
    cdef real grad_scale = <real> scalars[5]
    cdef double *sums = partials + 1
    cdef int64_t i = start, k, row, column, count, first
    while i < stop:
        row = i // columns
        column = i - row * columns
        count = min(stop - i, columns - column)
        if column == 0:
            row_next[row] = beta2 * row_var[row]
        row_next[row] += <real> (
            one_minus_beta2 / columns * squared(grad + i, grad_scale, sums + column, count))
        i += count
        if whole and column + count == columns and (row + 1) % rows == 0:
            first = row // rows * columns
            for k in range(columns):
                col_next[first + k] = beta2 * col_var[first + k] + <real> (one_minus_beta2 / rows * sums[k])
                sums[k] = 0
    partials[0] += squares(param + start, stop - start)


cdef inline double squared(const real *grad, real grad_scale, double *sums, int64_t count) noexcept nogil:
    """Add the squares of a piece of a row to `sums`, and return their sum."""
    cdef double lanes[32]
    cdef double g
    cdef int64_t i, k
    for k in range(32):
        lanes[k] = 0
    for i in range(0, count - 31, 32):
        for k in range(32):
            g = grad_scale * grad[i + k]
            lanes[k] += g * g
            sums[i + k] += g * g
    for i in range(count - count % 32, count):
        g = grad_scale * grad[i]
        lanes[0] += g * g
        sums[i] += g * g
    return folded(lanes)


cdef cloned_void adafactor_norms(real **buffers, const int64_t *dims, const double *scalars,
                                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *grad = buffers[0]
    cdef const real *row_next = buffers[1]
    cdef const real *col_next = buffers[2]
    cdef const real *row_mean = buffers[3]
    cdef int64_t columns = dims[0]
    cdef int64_t rows = dims[1]
    cdef real floor = <real> scalars[3]
    cdef real grad_scale = <real> scalars[5]
    cdef double lanes[32]
    cdef real scale
    cdef double u
    cdef const real *col
    cdef int64_t i = start, j, k, row, column, count
    for k in range(32):
        lanes[k] = 0
    while i < stop:
        row = i // columns
        column = i - row * columns
        count = min(stop - i, columns - column)
        scale = row_next[row] / row_mean[row // rows]
        col = col_next + row // rows * columns + column
        for j in range(0, count - 31, 32):
            for k in range(j, j + 32):
                u = direction(grad_scale * grad[i + k], scale * col[k], floor)
                lanes[k - j] += u * u
        for k in range(count - count % 32, count):
            u = direction(grad_scale * grad[i + k], scale * col[k], floor)
            lanes[0] += u * u
        i += count
    partials[0] += folded(lanes)


cdef cloned_void adafactor(real **buffers, const int64_t *dims, const double *scalars,
                           int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The step, and the averages taken over: a row's with its first element, a matrix's columns' with its first row."""
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *row_var = buffers[2]
    cdef real *col_var = buffers[3]
    cdef const real *row_next = buffers[4]
    cdef const real *col_next = buffers[5]
    cdef const real *row_mean = buffers[6]
    cdef int64_t columns = dims[0]
    cdef int64_t rows = dims[1]
    cdef real step_size = <real> scalars[0]
    cdef real floor = <real> scalars[3]
    cdef real decay = <real> scalars[4]
    cdef real grad_scale = <real> scalars[5]
    cdef real scale
    cdef const real *col
    cdef int64_t i = start, k, row, column, count, first
    while i < stop:
        row = i // columns
        column = i - row * columns
        count = min(stop - i, columns - column)
        scale = row_next[row] / row_mean[row // rows]
        first = row // rows * columns + column
        col = col_next + first
        if column == 0:
            row_var[row] = row_next[row]
        if row % rows == 0:
            for k in range(count):
                col_var[first + k] = col[k]
        for k in range(count):
            param[i + k] = decay * param[i + k] - step_size * direction(grad_scale * grad[i + k], scale * col[k], floor)
        i += count


cdef cloned_void muon_direction(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *grad = buffers[0]
    cdef const real *momentum_buffer = buffers[1]
    cdef real *update = buffers[2]
    cdef real momentum = <real> scalars[1]
    cdef real one_minus_momentum = <real> scalars[2]
    cdef real nesterov = <real> scalars[3]
    cdef real grad_scale = <real> scalars[5]
    cdef real g, b
    cdef int64_t i
    for i in range(start, stop):
        g = grad_scale * grad[i]
        b = momentum * momentum_buffer[i] + one_minus_momentum * g
        update[i] = one_minus_momentum * g + momentum * b if nesterov != 0 else b


cdef cloned_void muon(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *param = buffers[0]
    cdef const real *grad = buffers[1]
    cdef real *momentum_buffer = buffers[2]
    cdef const real *update = buffers[3]
    cdef real step_size = <real> scalars[0]
    cdef real momentum = <real> scalars[1]
    cdef real one_minus_momentum = <real> scalars[2]
    cdef real decay = <real> scalars[4]
    cdef real grad_scale = <real> scalars[5]
    cdef int64_t i
    for i in range(start, stop):
        momentum_buffer[i] = momentum * momentum_buffer[i] + one_minus_momentum * (grad_scale * grad[i])
        param[i] = decay * param[i] - step_size * update[i]


KERNELS = {     # (float32, float64)
    "lars_norms": (<uintptr_t> <void *> lars_norms[float], <uintptr_t> <void *> lars_norms[double]),
    "lars": (<uintptr_t> <void *> lars[float], <uintptr_t> <void *> lars[double]),
    "lamb_norms": (<uintptr_t> <void *> lamb_norms[float], <uintptr_t> <void *> lamb_norms[double]),
    "lamb": (<uintptr_t> <void *> lamb[float], <uintptr_t> <void *> lamb[double]),
    "adafactor_vector_norms": (
        <uintptr_t> <void *> adafactor_vector_norms[float], <uintptr_t> <void *> adafactor_vector_norms[double]),
    "adafactor_vector": (<uintptr_t> <void *> adafactor_vector[float], <uintptr_t> <void *> adafactor_vector[double]),
    "adafactor_factors": (
        <uintptr_t> <void *> adafactor_factors[float], <uintptr_t> <void *> adafactor_factors[double]),
    "adafactor_norms": (<uintptr_t> <void *> adafactor_norms[float], <uintptr_t> <void *> adafactor_norms[double]),
    "adafactor": (<uintptr_t> <void *> adafactor[float], <uintptr_t> <void *> adafactor[double]),
    "muon_direction": (<uintptr_t> <void *> muon_direction[float], <uintptr_t> <void *> muon_direction[double]),
    "muon": (<uintptr_t> <void *> muon[float], <uintptr_t> <void *> muon[double]),
}
