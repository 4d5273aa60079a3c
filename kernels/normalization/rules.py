"""Normalization of one element, in plain Python: what the loops of jit.py are made of.

`center` is the mean in the kernel's type, `rest` what that rounding left of it, `inv` is 1 / √(variance +
eps). NaN stays NaN in every rule.
"""


def residual(mean, center):
    """What the center leaves of the mean, which is wider; an infinite mean leaves nothing."""
    rest = mean - center
    return rest if rest - rest == 0.0 else 0.0


def correction(mean, center, factor):
    """What the center leaves of the mean, times a factor; nothing where that is no number."""
    rest = residual(mean, center) * factor
    return rest if rest - rest == 0.0 else 0.0


def standardized(x, center, rest, inv):
    """x̂: exact up to the product wherever x is near the mean."""
    return ((x - center) - rest) * inv


def passed(value, z):
    """What ReLU lets through where its input is z: of z itself, or of a gradient."""
    return 0.0 if z <= 0.0 else value


def direction(dy, xhat, mean_dy, mean_product):
    """dx up to gamma invstd, where the statistics depend on x."""
    return (dy - mean_dy) - xhat * mean_product
