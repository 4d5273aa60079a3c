"""The losses of regression, ahead of time. The formulas are those of rules.py, in the same order of operations.

A literal in a formula is a double in C, and would widen it: constants have the kernel's type (`one`, `two`).
"""
from libc.stdint cimport int64_t, uintptr_t

from kernels.losses.pieces cimport PART, below, exp_nonpositive, exp_of, fetch_ahead, log1p_of, log_of
from kernels.runtime.abi cimport cloned_void, real


cdef cloned_void mean_squared_error(real **buffers, const int64_t *dims, const double *scalars,
                                    int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real two = 2
    cdef real error
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            error = y_pred[i] - y_true[i]
            gradient[i] = scale * (two * error)
            value[i] = error * error


cdef cloned_void mean_absolute_error(real **buffers, const int64_t *dims, const double *scalars,
                                     int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real error, sign
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            error = y_pred[i] - y_true[i]
            sign = -1 if error < 0 else error
            sign = 1 if error > 0 else sign
            gradient[i] = scale * sign
            value[i] = -error if error < 0 else error


cdef cloned_void huber(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real delta = <real> scalars[1]
    cdef real half = <real> 0.5
    cdef real error, size, square, linear, slope
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            error = y_pred[i] - y_true[i]
            size = -error if error < 0 else error
            square = half * error * error
            linear = delta * (size - half * delta)
            slope = delta if error > delta else error
            slope = -delta if error < -delta else slope
            gradient[i] = scale * slope
            value[i] = square if size <= delta else linear


cdef cloned_void mean_squared_logarithmic_error(real **buffers, const int64_t *dims, const double *scalars,
                                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real one = 1
    cdef real two = 2
    cdef real epsilon = <real> 1e-7
    cdef real t, p, grown, difference, ratio, infinite, error, slope
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = epsilon if y_true[i] < epsilon else y_true[i]
            p = epsilon if y_pred[i] < epsilon else y_pred[i]
            grown = one + t
            difference = p - t
            ratio = difference / grown
            infinite = -1 if difference < 0 else difference  # what the ratio is to an infinite target
            ratio = infinite if one / grown == 0 else ratio
            error = log1p_of(ratio)  # log(1 + p) - log(1 + t), without their rounding
            slope = two * error / (one + p)
            slope = 0 if y_pred[i] < epsilon else slope
            gradient[i] = scale * slope
            value[i] = error * error


cdef cloned_void mean_absolute_percentage_error(real **buffers, const int64_t *dims, const double *scalars,
                                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real hundred = 100
    cdef real epsilon = <real> 1e-7
    cdef real error, size, percent, sign
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            error = y_pred[i] - y_true[i]
            size = -y_true[i] if y_true[i] < 0 else y_true[i]
            size = epsilon if size < epsilon else size
            percent = hundred / size
            sign = -1 if error < 0 else error
            sign = 1 if error > 0 else sign
            gradient[i] = scale * (sign * percent)
            value[i] = (-error if error < 0 else error) * percent


cdef cloned_void log_cosh(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real log_2 = <real> 0.6931471805599453
    cdef real near_zero = <real> 0.7
    cdef real half = <real> 0.5
    cdef real one = 1
    cdef real two = 2
    cdef real error, size, e, lost, near, tanh, below, logarithm, small, large
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            error = y_pred[i] - y_true[i]
            size = -error if error < 0 else error
            e = exp_nonpositive(-two * size)
            lost = one - e
            near = lost * (two * size) / -log_of(e)     # 1 - exp(-2 size) where it cancels, after Kahan
            near = two * size if lost == 0 else near
            near = near if size < near_zero else lost
            tanh = near / (one + e)
            below = -tanh * tanh if size < near_zero else e
            logarithm = log1p_of(below)
            small = -half * logarithm  # cosh^2 = 1 / (1 - tanh^2)
            large = (size - log_2) + logarithm
            gradient[i] = scale * (-tanh if error < 0 else tanh)
            value[i] = small if size < near_zero else large


cdef cloned_void smooth_l1(real **buffers, const int64_t *dims, const double *scalars,
                           int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real beta = <real> scalars[1]
    cdef real half = <real> 0.5
    cdef real error, size, inner, square, sign
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            error = y_pred[i] - y_true[i]
            size = -error if error < 0 else error
            inner = error / beta
            square = half * error * inner
            sign = -1 if error < 0 else error
            sign = 1 if error > 0 else sign
            gradient[i] = scale * (inner if size < beta else sign)
            value[i] = square if size < beta else size - half * beta


cdef cloned_void quantile(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real below = <real> scalars[1]
    cdef real above = <real> scalars[2]
    cdef real error, slope
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            error = y_pred[i] - y_true[i]
            slope = -below if error < 0 else error  # 0 stays 0, and NaN stays NaN
            slope = above if error > 0 else slope
            gradient[i] = scale * slope
            value[i] = error * slope


cdef cloned_void poisson(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real one = 1
    cdef real epsilon = <real> 1e-7
    cdef real p
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            p = y_pred[i] + epsilon
            gradient[i] = scale * (one - y_true[i] / p)
            value[i] = y_pred[i] - y_true[i] * log_of(p)


cdef cloned_void poisson_log_rates(real **buffers, const int64_t *dims, const double *scalars,
                                   int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real rate
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            rate = exp_of(y_pred[i])
            gradient[i] = scale * (rate - y_true[i])
            value[i] = rate - y_true[i] * y_pred[i]


cdef cloned_void gamma_log_means(real **buffers, const int64_t *dims, const double *scalars,
                                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real one = 1
    cdef real ratio
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            ratio = y_true[i] * exp_of(-y_pred[i])
            gradient[i] = scale * (one - ratio)
            value[i] = y_pred[i] + ratio


cdef cloned_void tweedie_log_means(real **buffers, const int64_t *dims, const double *scalars,
                                   int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real low = <real> scalars[1]
    cdef real high = <real> scalars[2]
    cdef real lower, upper
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            lower = y_true[i] * exp_of(low * y_pred[i])
            lower = 0 if y_true[i] == 0 else lower
            upper = exp_of(high * y_pred[i])
            gradient[i] = scale * (upper - lower)
            value[i] = upper / high - lower / low


KERNELS = {     # (float32, float64)
    "mean_squared_error": (
        <uintptr_t> <void *> mean_squared_error[float],
        <uintptr_t> <void *> mean_squared_error[double]),
    "mean_absolute_error": (
        <uintptr_t> <void *> mean_absolute_error[float],
        <uintptr_t> <void *> mean_absolute_error[double]),
    "huber": (<uintptr_t> <void *> huber[float], <uintptr_t> <void *> huber[double]),
    "mean_squared_logarithmic_error": (
        <uintptr_t> <void *> mean_squared_logarithmic_error[float],
        <uintptr_t> <void *> mean_squared_logarithmic_error[double]),
    "mean_absolute_percentage_error": (
        <uintptr_t> <void *> mean_absolute_percentage_error[float],
        <uintptr_t> <void *> mean_absolute_percentage_error[double]),
    "log_cosh": (<uintptr_t> <void *> log_cosh[float], <uintptr_t> <void *> log_cosh[double]),
    "smooth_l1": (<uintptr_t> <void *> smooth_l1[float], <uintptr_t> <void *> smooth_l1[double]),
    "quantile": (<uintptr_t> <void *> quantile[float], <uintptr_t> <void *> quantile[double]),
    "poisson": (<uintptr_t> <void *> poisson[float], <uintptr_t> <void *> poisson[double]),
    "poisson_log_rates": (
        <uintptr_t> <void *> poisson_log_rates[float],
        <uintptr_t> <void *> poisson_log_rates[double]),
    "gamma_log_means": (<uintptr_t> <void *> gamma_log_means[float], <uintptr_t> <void *> gamma_log_means[double]),
    "tweedie_log_means": (
        <uintptr_t> <void *> tweedie_log_means[float],
        <uintptr_t> <void *> tweedie_log_means[double]),
}
