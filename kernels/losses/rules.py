"""Losses of one element: plain Python that Numba compiles for every target.

A rule takes an element of `y_true` and of `y_pred` and the loss's scalars, and returns the gradient with respect to
`y_pred` (times `scale`, which holds the factors of the mean) and the value. NaN travels from predictions to both.
Labels are smoothed as keep * y_true + shift. Row losses are in jit.py.
"""

from math import atanh as artanh
from math import exp, log, log1p, tanh
from math import exp as exp_nonpositive

EPSILON = 1e-7  # probabilities are clipped to [EPSILON, HIGH], as in Keras
HIGH = 0.9999999
LOG_2 = 0.6931471805599453
LEAST_LOG = -100.0  # logarithms of probabilities are clipped to it, and p (1 - p) to LEAST_SPREAD, as in torch
LEAST_SPREAD = 1e-12


def mean_squared_error(y_true, y_pred, scale):
    error = y_pred - y_true
    return scale * (2.0 * error), error * error


def mean_absolute_error(y_true, y_pred, scale):
    error = y_pred - y_true
    sign = -1.0 if error < 0.0 else error  # 0 stays 0, and NaN stays NaN
    sign = 1.0 if error > 0.0 else sign
    return scale * sign, -error if error < 0.0 else error


def huber(y_true, y_pred, scale, delta):
    error = y_pred - y_true
    size = -error if error < 0.0 else error
    square = 0.5 * error * error
    linear = delta * (size - 0.5 * delta)
    slope = delta if error > delta else error
    slope = -delta if error < -delta else slope
    return scale * slope, square if size <= delta else linear


def binary_crossentropy(y_true, y_pred, scale, keep, shift):
    t = keep * y_true + shift
    other = 1.0 - t
    rest = 1.0 - y_pred
    p = EPSILON if y_pred < EPSILON else y_pred
    p = HIGH if p > HIGH else p
    q = EPSILON if rest < EPSILON else rest
    q = HIGH if q > HIGH else q
    slope = other / q - t / p
    slope = 0.0 if y_pred < EPSILON else slope
    slope = 0.0 if rest < EPSILON else slope
    return scale * slope, -(t * log(p) + other * log(q))


def binary_crossentropy_logits(y_true, y_pred, scale, keep, shift):
    t = keep * y_true + shift
    size = abs(y_pred)
    e = exp_nonpositive(-size)
    wrong = 1.0 - t if y_pred > 0.0 else t
    linear = size * wrong
    linear = 0.0 if wrong == 0.0 else linear  # an infinite logit on the right side costs nothing
    part = e * (1.0 / ((1.0 + e) * (2.0 + e)))
    less_likely = (2.0 + e) * part  # e / (1 + e)
    above, below = wrong - less_likely, less_likely - wrong
    half_log = artanh((1.0 + e) * part)  # log(1 + e) = 2 artanh(e / (2 + e))
    return scale * (above if y_pred > 0.0 else below), linear + 2.0 * half_log


def hinge(y_true, y_pred, scale, slope, offset):
    t = slope * y_true + offset
    margin = 1.0 - t * y_pred
    flat = 0.0 if margin <= 0.0 else margin  # NaN stays NaN
    steep = -(scale * t)
    return steep if margin > 0.0 else flat, flat


def kullback_leibler_divergence(y_true, y_pred, scale):
    t = EPSILON if y_true < EPSILON else y_true
    p = EPSILON if y_pred < EPSILON else y_pred
    ratio = t / p
    slope = -(scale * ratio)
    return 0.0 if y_pred < EPSILON else slope, t * log(ratio)


def weigh_values(weight, values):
    return weight * values


# ---- regression, and the rest of the binary losses


def mean_squared_logarithmic_error(y_true, y_pred, scale):
    t = EPSILON if y_true < EPSILON else y_true
    p = EPSILON if y_pred < EPSILON else y_pred
    grown = 1.0 + t
    difference = p - t
    ratio = difference / grown
    infinite = -1.0 if difference < 0.0 else difference  # what the ratio is to an infinite target
    ratio = infinite if 1.0 / grown == 0.0 else ratio
    error = log1p(ratio)  # log(1 + p) - log(1 + t), without their rounding
    slope = 2.0 * error / (1.0 + p)
    slope = 0.0 if y_pred < EPSILON else slope
    return scale * slope, error * error


def mean_absolute_percentage_error(y_true, y_pred, scale):
    error = y_pred - y_true
    size = -y_true if y_true < 0.0 else y_true
    size = EPSILON if size < EPSILON else size
    percent = 100.0 / size
    sign = -1.0 if error < 0.0 else error
    sign = 1.0 if error > 0.0 else sign
    return scale * (sign * percent), (-error if error < 0.0 else error) * percent


def log_cosh(y_true, y_pred, scale):
    error = y_pred - y_true
    size = -error if error < 0.0 else error
    e = exp_nonpositive(-2.0 * size)
    lost = 1.0 - e
    near = lost * (2.0 * size) / -log(e)  # 1 - exp(-2 size) where it cancels, after Kahan: the rounding of e is in both
    near = 2.0 * size if lost == 0.0 else near
    near = near if size < 0.7 else lost
    tanh = near / (1.0 + e)
    below = -tanh * tanh if size < 0.7 else e
    logarithm = log1p(below)
    small = -0.5 * logarithm  # cosh^2 = 1 / (1 - tanh^2)
    large = (size - LOG_2) + logarithm
    return scale * (-tanh if error < 0.0 else tanh), small if size < 0.7 else large


def smooth_l1(y_true, y_pred, scale, beta):
    error = y_pred - y_true
    size = -error if error < 0.0 else error
    inner = error / beta
    square = 0.5 * error * inner
    sign = -1.0 if error < 0.0 else error
    sign = 1.0 if error > 0.0 else sign
    return scale * (inner if size < beta else sign), square if size < beta else size - 0.5 * beta


def quantile(y_true, y_pred, scale, below, above):
    error = y_pred - y_true
    slope = -below if error < 0.0 else error  # 0 stays 0, and NaN stays NaN
    slope = above if error > 0.0 else slope
    return scale * slope, error * slope


def poisson(y_true, y_pred, scale):
    p = y_pred + EPSILON
    return scale * (1.0 - y_true / p), y_pred - y_true * log(p)


def squared_hinge(y_true, y_pred, scale, slope, offset):
    t = slope * y_true + offset
    margin = 1.0 - t * y_pred
    flat = 0.0 if margin <= 0.0 else margin  # NaN stays NaN
    return -(scale * (2.0 * t * flat)), flat * flat


def binary_focal_crossentropy(y_true, y_pred, scale, keep, shift, gamma, of_zero, tilt):
    t = keep * y_true + shift
    other = 1.0 - t
    weight = of_zero + tilt * t
    rest = 1.0 - y_pred
    p = EPSILON if y_pred < EPSILON else y_pred
    p = HIGH if p > HIGH else p
    q = EPSILON if rest < EPSILON else rest
    q = HIGH if q > HIGH else q
    entropy = -(t * log(p) + other * log(q))
    miss = t * q + other * p
    power = exp((gamma - 1.0) * log(miss))
    factor = miss * power
    slope = factor * (other / q - t / p) + gamma * power * (other - t) * entropy
    slope = 0.0 if y_pred < EPSILON else slope
    slope = 0.0 if rest < EPSILON else slope
    return scale * (weight * slope), weight * (factor * entropy)


def binary_focal_crossentropy_logits(y_true, y_pred, scale, keep, shift, gamma, of_zero, tilt):
    t = keep * y_true + shift
    other = 1.0 - t
    weight = of_zero + tilt * t
    size = -y_pred if y_pred < 0.0 else y_pred
    e = exp_nonpositive(-size)
    wrong = other if y_pred > 0.0 else t
    linear = size * wrong
    linear = 0.0 if wrong == 0.0 else linear  # an infinite logit on the right side costs nothing
    inverse = 1.0 / ((1.0 + e) * (2.0 + e))
    less = e * (2.0 + e) * inverse  # e / (1 + e)
    more = (2.0 + e) * inverse
    half_log = artanh(e * (1.0 + e) * inverse)  # log(1 + e) = 2 artanh(e / (2 + e))
    entropy = linear + 2.0 * half_log
    above = other - less
    below = less - t
    slope = above if y_pred > 0.0 else below
    right = t if y_pred > 0.0 else other
    miss = wrong * more + right * less
    exponent = gamma * log(miss)
    exponent = 0.0 if gamma == 0.0 else exponent
    factor = exp(exponent)
    share = less * more / miss  # p (1 - p) to miss; 0 / 0 where the logit is far on the right side
    turning = gamma * (other - t) * share * entropy
    turning = 0.0 if less == 0.0 else turning
    return scale * (weight * (factor * (slope + turning))), weight * (factor * entropy)


def poisson_log_rates(y_true, y_pred, scale):
    rate = exp(y_pred)
    return scale * (rate - y_true), rate - y_true * y_pred


def kullback_leibler_logarithms(y_true, y_pred, scale):
    own = y_true * log(y_true)
    own = 0.0 if y_true == 0.0 else own
    return -(scale * y_true), own - y_true * y_pred


def gamma_log_means(y_true, y_pred, scale):
    ratio = y_true * exp(-y_pred)
    return scale * (1.0 - ratio), y_pred + ratio


def tweedie_log_means(y_true, y_pred, scale, low, high):
    lower = y_true * exp(low * y_pred)
    lower = 0.0 if y_true == 0.0 else lower
    upper = exp(high * y_pred)
    return scale * (upper - lower), upper / high - lower / low


def exponential(y_true, y_pred, scale):
    other = 1.0 - y_true
    of_one = y_true * exp(-y_pred)
    of_one = 0.0 if y_true == 0.0 else of_one
    of_zero = other * exp(y_pred)
    of_zero = 0.0 if other == 0.0 else of_zero
    return scale * (of_zero - of_one), of_one + of_zero


def binary_crossentropy_logarithms(y_true, y_pred, scale, keep, shift):
    t = keep * y_true + shift
    rest = 1.0 - y_pred
    of_one = log(y_pred)
    of_zero = log1p(-y_pred)
    of_one = LEAST_LOG if of_one < LEAST_LOG else of_one
    of_zero = LEAST_LOG if of_zero < LEAST_LOG else of_zero
    spread = y_pred * rest
    spread = LEAST_SPREAD if spread < LEAST_SPREAD else spread
    return scale * ((y_pred - t) / spread), -(t * of_one + (1.0 - t) * of_zero)


def hinge_embedding(y_true, y_pred, scale, slope, offset, margin):
    t = slope * y_true + offset
    rest = margin - y_pred
    flat = 0.0 if rest < 0.0 else rest  # NaN stays NaN
    unit = 1.0 if y_pred == y_pred else y_pred
    steep = 0.0 if rest < 0.0 else -unit
    near = 0.0 if t == -1.0 else y_pred
    far = 0.0 if t == 1.0 else flat
    pull = 0.0 if t == -1.0 else unit
    push = 0.0 if t == 1.0 else steep
    return scale * (pull + push), near + far


def gaussian_likelihood(y_true, y_pred, var, scale, eps, constant):
    error = y_pred - y_true
    v = eps if var < eps else var
    ratio = error / v
    return scale * ratio, scale * (0.5 * (1.0 / v - ratio * ratio)), 0.5 * (log(v) + error * ratio) + constant


def soft_cap(y_pred, cap):
    return cap * tanh(y_pred / cap)


def uncap(capped, gradient, cap):
    ratio = capped / cap
    return gradient * (1.0 - ratio * ratio)
