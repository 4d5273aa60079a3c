"""Batch normalization in NumPy, from Ioffe and Szegedy 2015: slow, obvious, the judge of every kernel.

Written from the paper alone. Computes in the type of its arguments; the tests give float64.
"""

import numpy as np


def _wide(x, channel_axis):
    """The shape in which a vector of channels broadcasts against x."""
    return [-1 if k == channel_axis % x.ndim else 1 for k in range(x.ndim)]


def _sum(x, channel_axis):
    """The sum of each channel. NumPy adds in pairs along a contiguous axis only, and one by one along others."""
    channels = np.moveaxis(x, channel_axis, 0)
    return np.ascontiguousarray(channels).reshape(len(channels), -1).sum(axis=1)


def batch_norm_forward(
    x, gamma, beta, running_mean=None, running_var=None, *, momentum=0.1, eps=1e-5, training=True, channel_axis=1,
    activation=None,
):  # fmt: skip
    """Algorithm 1 (training) and step 11 of Algorithm 2 (inference).

    Returns y, mean, 1 / sqrt(variance + eps), and the new running mean and variance (None where there were none).
    """
    wide = _wide(x, channel_axis)
    if training:
        count = x.size // gamma.size
        mean = _sum(x, channel_axis) / count
        centered = x - mean.reshape(wide)
        variance = _sum(centered**2, channel_axis) / count
        if running_mean is not None:
            running_mean = (1 - momentum) * running_mean + momentum * mean
        if running_var is not None:
            running_var = (1 - momentum) * running_var + momentum * variance * count / (count - 1)
    else:
        mean, variance = running_mean, running_var
        centered = x - mean.reshape(wide)
    invstd = 1 / np.sqrt(variance + eps)
    y = gamma.reshape(wide) * (centered * invstd.reshape(wide)) + beta.reshape(wide)
    if activation == "relu":
        y = np.maximum(y, 0)
    return y, mean, invstd, running_mean, running_var


def batch_norm_backward(
    dy, x, gamma, mean, invstd, beta=None, *, training=True, channel_axis=1, activation=None
):  # fmt: skip
    """The chain rule of section 3. Returns dx, dgamma, dbeta.

    With x̂ = (x - mean) invstd, x reaches y directly, through the mean (d mean/dx = 1/m) and through the variance
    (d invstd/dx = -x̂ invstd^2 / m): dx = gamma invstd (dy - sum(dy)/m - x̂ sum(dy x̂)/m). Constant statistics leave the
    direct path alone.
    """
    wide = _wide(x, channel_axis)
    xhat = (x - mean.reshape(wide)) * invstd.reshape(wide)
    if activation == "relu":
        z = gamma.reshape(wide) * xhat + beta.reshape(wide)
        dy = np.where(z <= 0, 0.0, dy)
    dbeta = _sum(dy, channel_axis)
    dgamma = _sum(dy * xhat, channel_axis)
    scale = (gamma * invstd).reshape(wide)
    if not training:
        return scale * dy, dgamma, dbeta
    count = x.size // gamma.size
    return scale * (dy - dbeta.reshape(wide) / count - xhat * dgamma.reshape(wide) / count), dgamma, dbeta
