"""What of normalization is written otherwise for a GPU: statistics of a row's sums, and rows out of a type's range."""

# ruff: noqa: F821 (a kernel's module has its type `real`)
# mypy: disable-error-code="name-defined"

from math import sqrt

import numpy as np

from fastopt.kernels.normalization.rules import residual, standardized


def moments(average, center, moved, squares, columns, eps):
    """Mean and 1 / √(variance + eps), from a row's deviations from the center; as `statistics` in sample.py."""
    delta = moved / columns
    mean = np.float64(center) + delta if delta - delta == 0.0 else average
    spread = (squares - moved * delta) / columns
    spread = np.float64(0) if spread < 0.0 else spread
    return mean, 1 / sqrt(spread + eps)


def square(x):
    return x * x


# ---- rows whose squares a type can't hold, done again in float64 with scale; as extremes.py


def power_of_exponent(e):
    """2 to the power of −e."""
    return np.int64((np.int64(1023) - e) << np.int64(52)).view(np.float64)


def exponent_of(x):
    """The power of two above a number; 0 of 0, NaN and Inf."""
    e = np.int64(((np.float64(x).view(np.int64) >> np.int64(52)) & np.int64(2047)) - np.int64(1022))
    e = e if (x > 0.0) & (x - x == 0.0) else np.int64(0)
    e = e if e < np.int64(1000) else np.int64(1000)
    return e if e > np.int64(-1000) else np.int64(-1000)


def power_down(largest):
    return power_of_exponent(exponent_of(largest))


def finite_or_zero(x):
    return x if x - x == 0.0 else np.float64(0)


def again(spread, power, eps):
    """What scaled deviations are multiplied by, and 1 / √(variance + eps)."""
    total = spread + eps * (power * power)
    none = total == 0.0
    inverse = np.float64(0) if none else 1 / sqrt(total)
    return inverse, 1 / sqrt(eps) if none else inverse * power


def power_of(inverse, lowest):
    """What brings a row to the order of 1 whose gradients would leave the type's normal numbers; else 1."""
    far = (inverse > 0.0) & (inverse < lowest)
    return power_of_exponent(-exponent_of(inverse)) if far else np.float64(1)


def xhat_of(x, mean, inverse, lowest):
    power = power_of(inverse, lowest)
    mean = mean * power
    center = real(mean)
    return standardized(x * real(power), center, real(residual(mean, center)), real(inverse / power))
