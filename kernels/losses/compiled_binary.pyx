"""The binary losses, ahead of time. The formulas are those of rules.py, in the same order of operations."""
from libc.stdint cimport int64_t, uintptr_t

from kernels.losses.pieces cimport (
    PART, artanh_of, below, exp_nonpositive, exp_of, fetch_ahead, log1p_of, log_of, minus_size_of, size_of,
)
from kernels.runtime.abi cimport cloned_void, real


cdef cloned_void binary_crossentropy(real **buffers, const int64_t *dims, const double *scalars,
                                     int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real epsilon = <real> 1e-7
    cdef real high = <real> 0.9999999
    cdef real one = 1
    cdef real t, other, rest, p, q, slope
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = keep * y_true[i] + shift
            other = one - t
            rest = one - y_pred[i]
            p = epsilon if y_pred[i] < epsilon else y_pred[i]
            p = high if p > high else p
            q = epsilon if rest < epsilon else rest
            q = high if q > high else q
            slope = other / q - t / p
            slope = 0 if y_pred[i] < epsilon else slope
            slope = 0 if rest < epsilon else slope
            gradient[i] = scale * slope
            value[i] = -(t * log_of(p) + other * log_of(q))


cdef cloned_void binary_crossentropy_logits(real **buffers, const int64_t *dims, const double *scalars,
                                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real one = 1
    cdef real two = 2
    cdef real t, other, size, e, wrong, linear, part, less_likely
    cdef int64_t first, last, i
    for first in range(start, stop, 128):
        last = min(first + PART, stop)
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, last):    # a loop of its own: the chain of operations of both is longer than a CPU looks ahead
            value[i] = exp_nonpositive(minus_size_of(y_pred[i]))
        for i in range(first, last):
            t = keep * y_true[i] + shift
            other = one - t
            size = size_of(y_pred[i])
            e = value[i]
            wrong = other if y_pred[i] > 0 else t
            linear = size * wrong
            linear = 0 if wrong == 0 else linear
            part = e * (one / ((one + e) * (two + e)))
            less_likely = (two + e) * part      # e / (1 + e)
            gradient[i] = scale * (wrong - less_likely if y_pred[i] > 0 else less_likely - wrong)
            value[i] = linear + two * artanh_of((one + e) * part)   # log(1 + e) = 2 artanh(e / (2 + e))


cdef cloned_void hinge(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real slope = <real> scalars[1]
    cdef real offset = <real> scalars[2]
    cdef real one = 1
    cdef real t, margin, flat, steep
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = slope * y_true[i] + offset
            margin = one - t * y_pred[i]
            flat = 0 if margin <= 0 else margin
            steep = -(scale * t)
            gradient[i] = steep if margin > 0 else flat
            value[i] = flat


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


cdef cloned_void binary_crossentropy_logarithms(real **buffers, const int64_t *dims, const double *scalars,
                                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real one = 1
    cdef real least_log = -100
    cdef real least_spread = <real> 1e-12
    cdef real t, rest, of_one, of_zero, spread
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = keep * y_true[i] + shift
            rest = one - y_pred[i]
            of_one = log_of(y_pred[i])
            of_zero = log1p_of(-y_pred[i])
            of_one = least_log if of_one < least_log else of_one
            of_zero = least_log if of_zero < least_log else of_zero
            spread = y_pred[i] * rest
            spread = least_spread if spread < least_spread else spread
            gradient[i] = scale * ((y_pred[i] - t) / spread)
            value[i] = -(t * of_one + (one - t) * of_zero)


cdef cloned_void hinge_embedding(real **buffers, const int64_t *dims, const double *scalars,
                                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real slope = <real> scalars[1]
    cdef real offset = <real> scalars[2]
    cdef real margin = <real> scalars[3]
    cdef real one = 1
    cdef real t, rest, flat, unit, steep, near, far, pull, push
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = slope * y_true[i] + offset
            rest = margin - y_pred[i]
            flat = 0 if rest < 0 else rest      # NaN stays NaN
            unit = one if y_pred[i] == y_pred[i] else y_pred[i]
            steep = 0 if rest < 0 else -unit
            near = 0 if t == -1 else y_pred[i]
            far = 0 if t == 1 else flat
            pull = 0 if t == -1 else unit
            push = 0 if t == 1 else steep
            gradient[i] = scale * (pull + push)
            value[i] = near + far


KERNELS = {     # (float32, float64)
    "binary_crossentropy": (
        <uintptr_t> <void *> binary_crossentropy[float],
        <uintptr_t> <void *> binary_crossentropy[double]),
    "binary_crossentropy_logits": (
        <uintptr_t> <void *> binary_crossentropy_logits[float],
        <uintptr_t> <void *> binary_crossentropy_logits[double]),
    "hinge": (<uintptr_t> <void *> hinge[float], <uintptr_t> <void *> hinge[double]),
    "squared_hinge": (<uintptr_t> <void *> squared_hinge[float], <uintptr_t> <void *> squared_hinge[double]),
    "binary_focal_crossentropy": (
        <uintptr_t> <void *> binary_focal_crossentropy[float],
        <uintptr_t> <void *> binary_focal_crossentropy[double]),
    "binary_focal_crossentropy_logits": (
        <uintptr_t> <void *> binary_focal_crossentropy_logits[float],
        <uintptr_t> <void *> binary_focal_crossentropy_logits[double]),
    "exponential": (<uintptr_t> <void *> exponential[float], <uintptr_t> <void *> exponential[double]),
    "binary_crossentropy_logarithms": (
        <uintptr_t> <void *> binary_crossentropy_logarithms[float],
        <uintptr_t> <void *> binary_crossentropy_logarithms[double]),
    "hinge_embedding": (<uintptr_t> <void *> hinge_embedding[float], <uintptr_t> <void *> hinge_embedding[double]),
}
