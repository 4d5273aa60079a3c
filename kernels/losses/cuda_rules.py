"""What of the losses is written otherwise for a GPU: what checks count, and what becomes of a row's sums.

The operations of compiled_categorical.pyx and compiled_rows.pyx, in the same order.
"""

# ruff: noqa: F821 (a kernel's module has its type `real`, and INFINITY)
# mypy: disable-error-code="name-defined"

from math import exp, log, sqrt
from math import exp as exp_nonpositive

import numpy as np

from fastopt.kernels.losses.pieces import below, clipped, inside
from fastopt.kernels.runtime.cuda_storage import bits_of, float_of


def outside_of(x, low, high):
    below = np.float64(1) if x < low else np.float64(0)
    return np.float64(1) if x > high else below


def is_nan(x):
    return np.float64(0) if x == x else np.float64(1)


def is_equal(x, y):
    return np.float64(1) if x == y else np.float64(0)


# ---- cross-entropies


def sparse_value(mass, top, picked, depths, keep, shift, z_loss):
    """A row's value, and what multiplies its probabilities in the gradient."""
    value = log(mass) - keep * picked
    smoothed = value - shift * depths
    value = smoothed if shift != 0.0 else value
    level = top + log(mass)
    held = value + z_loss * (level * level)
    pull = 1.0 + 2.0 * z_loss * level
    return held if z_loss != 0.0 else value, pull if z_loss != 0.0 else 1.0


def sparse_slope(x, top, factor, spread, taken, is_label):
    slope = factor * exp_nonpositive(below(x, top)) - spread
    lower = slope - taken
    return lower if is_label else slope


def dense_value(mass, top, targets, dot, z_loss):
    value = targets * log(mass) - dot
    level = top + log(mass)
    held = value + z_loss * (level * level)
    pull = targets + 2.0 * z_loss * level
    return held if z_loss != 0.0 else value, pull if z_loss != 0.0 else targets


def term_of(t, x, top):
    term = t * below(x, top)
    return 0.0 if t == 0.0 else term


def probability_slope(q, t):
    slope = t / clipped(q)
    return slope if inside(q) else 0.0


def one_if_inside(q):
    return 1.0 if inside(q) else 0.0


def kept_of(q, t):
    return t if inside(q) else 0.0


def generalized(p, q, scale):
    logarithm = log(p)
    return (1.0 - exp(q * logarithm)) / q, -(scale * exp((q - 1.0) * logarithm))


def focal_probability(p, t, mass, gamma):
    """A class's value, and its slope."""
    q = p / mass
    logarithm = log(clipped(q))
    power = exp(gamma * log(1.0 - clipped(q)))
    rest = 1.0 - clipped(q)
    slope = t * (gamma * (power / rest) * logarithm - power / clipped(q))
    slope = slope if inside(q) else 0.0
    return -(t * power * logarithm), slope


def focal_logit(x, e, t, top, mass, gamma):
    """A class's value, and q times its slope; `e` is exp(x - top)."""
    exponent = gamma * log(1.0 - e / mass)
    exponent = 0.0 if gamma == 0.0 else exponent
    power = exp(exponent)
    q = e / mass
    rest = 1.0 - q
    logarithm = below(x, top) - log(mass)
    ratio = logarithm / rest
    ratio = -1.0 if rest == 0.0 else ratio
    weighed = q * ratio
    weighed = 0.0 if q == 0.0 else weighed
    weighed = t * (gamma * power * weighed - power)
    value = -(t * power * logarithm)
    return 0.0 if t == 0.0 else value, 0.0 if t == 0.0 else weighed


# ---- angles, overlaps, margins


def power_below_float32(largest):
    """What brings a row's largest number near 1, if it is above."""
    inverse = np.uint32(np.uint32(np.uint32(255) - np.uint32(bits_of(largest) >> np.uint32(23))) << np.uint32(23))
    return float_of(inverse) if (largest > 1.0) & (largest < INFINITY) else 1.0


def power_below_float64(largest):
    bits = np.float64(largest).view(np.int64)
    inverse = np.int64((np.int64(2047) - (bits >> np.int64(52))) << np.int64(52)).view(np.float64)
    return inverse if (largest > 1.0) & (largest < INFINITY) else 1.0


def cosine(norm, length, product, of_true, of_pred, scale):
    """A row's cosine, and what multiplies y_true and y_pred in the gradient."""
    least = np.float64(1) / np.float64(10**7)
    norm, length = sqrt(norm), sqrt(length)
    norm = least * of_true if norm < least * of_true else norm
    back = 0.0 if length < least * of_pred else 1.0
    length = least * of_pred if length < least * of_pred else length
    cosine = product / norm / length
    towards = real(scale / (norm * length)) * of_pred
    return cosine, towards, back * real(scale * cosine / (length * length)) * of_pred


def hinge_of_margin(margin, scale):
    flat = real(0.0 if margin <= 0 else margin)
    return flat, scale if margin > 0 else flat


def hinge_slope(t, steep, is_best):
    slope = 0.0 - steep * t
    at_best = slope + steep * (1.0 - t)
    return at_best if is_best else slope


def overlap(common, of_true, of_pred, scale, missed, added, epsilon):
    """A row's value, and what multiplies y_true and what is added in the gradient; all in float64."""
    rest = (1 - missed) - added
    whole = ((rest * common + missed * of_true) + added * of_pred) + epsilon
    slope = scale * ((rest * common - whole) / (whole * whole))
    return 1 - common / whole, slope, scale * (added * common / (whole * whole))


def margin_of(x, own, margin, share, squared, is_label):
    """A class's value, and its slope; of the label itself both are 0."""
    short_of = margin - (own - x)
    short_of = 0.0 if short_of <= 0.0 else short_of
    steep = 1.0 if short_of > 0.0 else short_of
    slope = share * (2.0 * short_of if squared else steep)
    value = short_of * short_of if squared else short_of
    return 0.0 if is_label else value, 0.0 if is_label else slope


# ---- checks of rows


def is_no_share(t):
    return 0.0 if (t >= 0.0) & (t <= 1.0) else 1.0


def is_no_mass(mass):
    least, most = np.float64(999) / np.float64(1000), np.float64(1001) / np.float64(1000)
    return 1.0 if (mass < least) | (mass > most) else 0.0
