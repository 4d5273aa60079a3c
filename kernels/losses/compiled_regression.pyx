"""The losses of regression, and the rest of the binary ones, ahead of time; compiled.pyx has the foundation's. The
formulas are those of rules.py, in the same order of operations."""
from libc.stdint cimport int64_t, uintptr_t

from kernels.losses.pieces cimport PART, artanh_of, exp_nonpositive, exp_of, fetch_ahead, log_of
from kernels.runtime.abi cimport cloned_void, real

cdef extern from "simd.h" nogil:
    float log1p_float(float)
    double log1p_double(double)


cdef inline real log1p_of(real x) noexcept nogil:
    if real is float:
        return log1p_float(x)
    else:
        return log1p_double(x)


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


cdef cloned_void squared_hinge(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real slope = <real> scalars[1]
    cdef real offset = <real> scalars[2]
    cdef real one = 1
    cdef real two = 2
    cdef real t, margin, flat
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = slope * y_true[i] + offset
            margin = one - t * y_pred[i]
            flat = 0 if margin <= 0 else margin  # NaN stays NaN
            gradient[i] = -(scale * (two * t * flat))
            value[i] = flat * flat


cdef cloned_void binary_focal_crossentropy(real **buffers, const int64_t *dims, const double *scalars,
                                           int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real gamma = <real> scalars[3]
    cdef real of_zero = <real> scalars[4]
    cdef real tilt = <real> scalars[5]
    cdef real one = 1
    cdef real epsilon = <real> 1e-7
    cdef real high = <real> 0.9999999
    cdef real t, other, weight, rest, p, q, entropy, miss, power, factor, slope
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = keep * y_true[i] + shift
            other = one - t
            weight = of_zero + tilt * t
            rest = one - y_pred[i]
            p = epsilon if y_pred[i] < epsilon else y_pred[i]
            p = high if p > high else p
            q = epsilon if rest < epsilon else rest
            q = high if q > high else q
            entropy = -(t * log_of(p) + other * log_of(q))
            miss = t * q + other * p
            power = exp_of((gamma - one) * log_of(miss))
            factor = miss * power
            slope = factor * (other / q - t / p) + gamma * power * (other - t) * entropy
            slope = 0 if y_pred[i] < epsilon else slope
            slope = 0 if rest < epsilon else slope
            gradient[i] = scale * (weight * slope)
            value[i] = weight * (factor * entropy)


cdef cloned_void binary_focal_crossentropy_logits(real **buffers, const int64_t *dims, const double *scalars,
                                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real gamma = <real> scalars[3]
    cdef real of_zero = <real> scalars[4]
    cdef real tilt = <real> scalars[5]
    cdef real one = 1
    cdef real two = 2
    cdef real t, other, weight, size, e, wrong, right, linear, inverse, less, more, half_log, entropy, above, below
    cdef real slope, miss, exponent, factor, share, turning
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = keep * y_true[i] + shift
            other = one - t
            weight = of_zero + tilt * t
            size = -y_pred[i] if y_pred[i] < 0 else y_pred[i]
            e = exp_nonpositive(-size)
            wrong = other if y_pred[i] > 0 else t
            linear = size * wrong
            linear = 0 if wrong == 0 else linear  # an infinite logit on the right side costs nothing
            inverse = one / ((one + e) * (two + e))
            less = e * (two + e) * inverse  # e / (1 + e)
            more = (two + e) * inverse
            half_log = artanh_of(e * (one + e) * inverse)  # log(1 + e) = 2 artanh(e / (2 + e))
            entropy = linear + two * half_log
            above = other - less
            below = less - t
            slope = above if y_pred[i] > 0 else below
            right = t if y_pred[i] > 0 else other
            miss = wrong * more + right * less
            exponent = gamma * log_of(miss)
            exponent = 0 if gamma == 0 else exponent
            factor = exp_of(exponent)
            share = less * more / miss  # p (1 - p) to miss; 0 / 0 where the logit is far on the right side
            turning = gamma * (other - t) * share * entropy
            turning = 0 if less == 0 else turning
            gradient[i] = scale * (weight * (factor * (slope + turning)))
            value[i] = weight * (factor * entropy)


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


cdef cloned_void kullback_leibler_logarithms(real **buffers, const int64_t *dims, const double *scalars,
                                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real own
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            own = y_true[i] * log_of(y_true[i])
            own = 0 if y_true[i] == 0 else own
            gradient[i] = -(scale * y_true[i])
            value[i] = own - y_true[i] * y_pred[i]


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


cdef cloned_void exponential(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real one = 1
    cdef real other, of_one, of_zero
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            other = one - y_true[i]
            of_one = y_true[i] * exp_of(-y_pred[i])
            of_one = 0 if y_true[i] == 0 else of_one
            of_zero = other * exp_of(y_pred[i])
            of_zero = 0 if other == 0 else of_zero
            gradient[i] = scale * (of_zero - of_one)
            value[i] = of_one + of_zero


KERNELS = {     # (float32, float64)
    "mean_squared_logarithmic_error": (
        <uintptr_t> <void *> mean_squared_logarithmic_error[float],
        <uintptr_t> <void *> mean_squared_logarithmic_error[double]),
    "mean_absolute_percentage_error": (
        <uintptr_t> <void *> mean_absolute_percentage_error[float],
        <uintptr_t> <void *> mean_absolute_percentage_error[double]),
    "log_cosh": (
        <uintptr_t> <void *> log_cosh[float],
        <uintptr_t> <void *> log_cosh[double]),
    "smooth_l1": (
        <uintptr_t> <void *> smooth_l1[float],
        <uintptr_t> <void *> smooth_l1[double]),
    "quantile": (
        <uintptr_t> <void *> quantile[float],
        <uintptr_t> <void *> quantile[double]),
    "poisson": (
        <uintptr_t> <void *> poisson[float],
        <uintptr_t> <void *> poisson[double]),
    "squared_hinge": (
        <uintptr_t> <void *> squared_hinge[float],
        <uintptr_t> <void *> squared_hinge[double]),
    "binary_focal_crossentropy": (
        <uintptr_t> <void *> binary_focal_crossentropy[float],
        <uintptr_t> <void *> binary_focal_crossentropy[double]),
    "binary_focal_crossentropy_logits": (
        <uintptr_t> <void *> binary_focal_crossentropy_logits[float],
        <uintptr_t> <void *> binary_focal_crossentropy_logits[double]),
    "poisson_log_rates": (
        <uintptr_t> <void *> poisson_log_rates[float],
        <uintptr_t> <void *> poisson_log_rates[double]),
    "kullback_leibler_logarithms": (
        <uintptr_t> <void *> kullback_leibler_logarithms[float],
        <uintptr_t> <void *> kullback_leibler_logarithms[double]),
    "gamma_log_means": (
        <uintptr_t> <void *> gamma_log_means[float],
        <uintptr_t> <void *> gamma_log_means[double]),
    "exponential": (
        <uintptr_t> <void *> exponential[float],
        <uintptr_t> <void *> exponential[double]),
}
