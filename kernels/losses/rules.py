"""Losses of one element: plain Python that Numba compiles for every target.

A rule takes an element of `y_true` and of `y_pred` and the loss's scalars, and returns the gradient with respect to
`y_pred` (times `scale`, which holds the factors of the mean) and the value. NaN travels from predictions to both.
Labels are smoothed as keep * y_true + shift. Row losses are in jit.py.
"""

from math import atanh as artanh
from math import exp, log

EPSILON = 1e-7  # probabilities are clipped to [EPSILON, HIGH], as in Keras
HIGH = 0.9999999


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
    other = 1.0 - t
    size = -y_pred if y_pred < 0.0 else y_pred
    e = exp(-size)
    wrong = other if y_pred > 0.0 else t
    linear = size * wrong
    linear = 0.0 if wrong == 0.0 else linear  # an infinite logit on the right side costs nothing
    inverse = 1.0 / ((1.0 + e) * (2.0 + e))
    less_likely = e * (2.0 + e) * inverse  # e / (1 + e)
    above = other - less_likely
    below = less_likely - t
    half_log = artanh(e * (1.0 + e) * inverse)  # log(1 + e) = 2 artanh(e / (2 + e))
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
