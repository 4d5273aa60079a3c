"""Normalization in NumPy, from the papers: slow, obvious, the judge of every kernel.

Written from the papers alone. Computes in the type of its arguments; the tests give float64.
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
    activation=None, residual=None, mask=None, biased=False,
):  # fmt: skip
    """Algorithm 1 (training) and step 11 of Algorithm 2 (inference).

    With a mask (x's shape without the channels) the batch is what it keeps, and all of x is normalized.
    Returns y, mean, 1 / sqrt(variance + eps), and the new running mean and variance (None where there were none).
    """
    wide = _wide(x, channel_axis)
    if training:
        kept, axis = (x, channel_axis) if mask is None else (_kept(x, mask, channel_axis), 1)
        count = kept.size // gamma.size
        mean, variance = batch_norm_stats(kept, channel_axis=axis)
        if running_mean is not None:
            running_mean = (1 - momentum) * running_mean + momentum * mean
        if running_var is not None:
            fresh = variance if biased else variance * count / (count - 1)
            running_var = (1 - momentum) * running_var + momentum * fresh
    else:
        mean, variance = running_mean, running_var
    invstd = 1 / np.sqrt(variance + eps)
    y = gamma.reshape(wide) * ((x - mean.reshape(wide)) * invstd.reshape(wide)) + beta.reshape(wide)
    if residual is not None:
        y = y + residual
    if activation == "relu":
        y = np.maximum(y, 0)
    return y, mean, invstd, running_mean, running_var


def _kept(x, mask, channel_axis):
    return np.moveaxis(x, channel_axis, -1)[np.asarray(mask, bool)]


def batch_norm_backward(
    dy, x, gamma, mean, invstd, beta=None, *, training=True, channel_axis=1, activation=None, residual=None, mask=None
):  # fmt: skip
    """The chain rule of section 3. Returns dx, dgamma, dbeta, and the gradient of the residual.

    With x̂ = (x - mean) invstd, x reaches y directly, through the mean (d mean/dx = 1/m) and through the variance
    (d invstd/dx = -x̂ invstd^2 / m): dx = gamma invstd (dy - sum(dy)/m - x̂ sum(dy x̂)/m). Constant statistics leave the
    direct path alone, and so does a mask where it is not set: the mean and the variance don't depend on that x.
    """
    given = {"channel_axis": channel_axis, "activation": activation, "residual": residual}
    dbeta, dgamma = batch_norm_gradient_sums(dy, x, gamma, mean, invstd, beta, **given)
    count = x.size // gamma.size if mask is None else np.sum(mask)
    dx, dresidual = batch_norm_gradient_apply(dy, x, gamma, mean, invstd, dbeta, dgamma, count, beta, **given)
    constant = (gamma * invstd).reshape(_wide(x, channel_axis)) * dresidual
    if not training:
        dx = constant
    elif mask is not None:
        dx = np.where(np.expand_dims(np.asarray(mask, bool), channel_axis % x.ndim), dx, constant)
    return dx, dgamma, dbeta, dresidual


def batch_norm_stats(x, *, channel_axis=1):
    """Mean and biased variance of every channel."""
    count = x.size // x.shape[channel_axis]
    mean = _sum(x, channel_axis) / count
    return mean, _sum((x - mean.reshape(_wide(x, channel_axis))) ** 2, channel_axis) / count


def batch_norm_apply(
    x, gamma, beta, mean, variance, *, eps=1e-5, channel_axis=1, activation=None, residual=None
):  # fmt: skip
    """Returns y and 1 / sqrt(variance + eps)."""
    options = {"eps": eps, "channel_axis": channel_axis, "activation": activation, "residual": residual}
    y, _, invstd, *_ = batch_norm_forward(x, gamma, beta, mean, variance, training=False, **options)
    return y, invstd


def batch_norm_gradient_sums(
    dy, x, gamma, mean, invstd, beta=None, *, channel_axis=1, activation=None, residual=None
):  # fmt: skip
    """The sum of dy as the activation lets it through, and of dy x̂."""
    xhat, dy = _xhat_and_slope(dy, x, gamma, mean, invstd, beta, channel_axis, activation, residual)
    return _sum(dy, channel_axis), _sum(dy * xhat, channel_axis)


def batch_norm_gradient_apply(
    dy, x, gamma, mean, invstd, sum_dy, sum_dy_xhat, count, beta=None, *, channel_axis=1, activation=None, residual=None
):  # fmt: skip
    """Returns dx, by sums over `count` values of which x may be a part, and the gradient of the residual."""
    wide = _wide(x, channel_axis)
    xhat, dy = _xhat_and_slope(dy, x, gamma, mean, invstd, beta, channel_axis, activation, residual)
    direct = dy - sum_dy.reshape(wide) / count - xhat * sum_dy_xhat.reshape(wide) / count
    return (gamma * invstd).reshape(wide) * direct, dy


def _xhat_and_slope(dy, x, gamma, mean, invstd, beta, channel_axis, activation, residual):
    wide = _wide(x, channel_axis)
    xhat = (x - mean.reshape(wide)) * invstd.reshape(wide)
    if activation == "relu":
        z = gamma.reshape(wide) * xhat + beta.reshape(wide)
        z = z if residual is None else z + residual
        dy = np.where(z <= 0, 0.0, dy)
    return xhat, dy


def _rows(x, gamma, normalized_shape):
    """The normalized shape, and x as rows of so many elements."""
    if normalized_shape is None:
        normalized_shape = x.shape[-1:] if gamma is None else gamma.shape
    normalized_shape = (normalized_shape,) if np.ndim(normalized_shape) == 0 else tuple(normalized_shape)
    return normalized_shape, x.reshape(-1, int(np.prod(normalized_shape)))


def layer_norm_forward(x, gamma=None, beta=None, *, normalized_shape=None, eps=1e-5):
    """Ba, Kiros and Hinton 2016, section 3. Returns y, mean, 1 / sqrt(variance + eps)."""
    shape, rows = _rows(x, gamma, normalized_shape)
    mean = rows.mean(axis=1)
    centered = rows - mean[:, None]
    invstd = 1 / np.sqrt((centered**2).mean(axis=1) + eps)
    y = (centered * invstd[:, None]).reshape(x.shape)
    y = y if gamma is None else y * gamma
    y = y if beta is None else y + beta
    outer = x.shape[: x.ndim - len(shape)]
    return y, mean.reshape(outer), invstd.reshape(outer)


def layer_norm_backward(dy, x, gamma, mean, invstd, *, normalized_shape=None):
    """The chain rule for a row, with g = gamma dy: dx = invstd (g - mean(g) - x̂ mean(g x̂)). Also dgamma, dbeta."""
    shape, rows = _rows(x, gamma, normalized_shape)
    slope = dy.reshape(rows.shape)
    xhat = (rows - mean.reshape(-1, 1)) * invstd.reshape(-1, 1)
    g = slope if gamma is None else slope * gamma.ravel()
    mean_slope, mean_product = g.mean(axis=1, keepdims=True), (g * xhat).mean(axis=1, keepdims=True)
    dx = invstd.reshape(-1, 1) * (g - mean_slope - xhat * mean_product)
    return dx.reshape(x.shape), (slope * xhat).sum(axis=0).reshape(shape), slope.sum(axis=0).reshape(shape)


def rms_norm_forward(x, gamma=None, *, normalized_shape=None, eps=None):
    """Zhang and Sennrich 2019, equation 4. Returns y, 1 / sqrt(mean(x^2) + eps)."""
    shape, rows = _rows(x, gamma, normalized_shape)
    eps = np.finfo(x.dtype).eps if eps is None else eps
    invrms = 1 / np.sqrt((rows**2).mean(axis=1) + eps)
    y = (rows * invrms[:, None]).reshape(x.shape)
    return y if gamma is None else y * gamma, invrms.reshape(x.shape[: x.ndim - len(shape)])


def rms_norm_backward(dy, x, gamma, invrms, *, normalized_shape=None):
    """The chain rule for a row: d invrms/dx = -x invrms^3 / n. Returns dx, dgamma."""
    shape, rows = _rows(x, gamma, normalized_shape)
    slope = dy.reshape(rows.shape)
    xhat = rows * invrms.reshape(-1, 1)
    g = slope if gamma is None else slope * gamma.ravel()
    dx = invrms.reshape(-1, 1) * (g - xhat * (g * xhat).mean(axis=1, keepdims=True))
    return dx.reshape(x.shape), (slope * xhat).sum(axis=0).reshape(shape)


def group_norm_forward(x, gamma=None, beta=None, *, num_groups, eps=1e-5, channel_axis=1):
    """Wu and He 2018, equations 1 to 7. Returns y, mean, 1 / sqrt(variance + eps), the latter two (N, groups)."""
    first = np.moveaxis(x, channel_axis, 1)
    groups = first.reshape(len(x), num_groups, -1)
    mean = groups.mean(axis=2)
    centered = groups - mean[..., None]
    invstd = 1 / np.sqrt((centered**2).mean(axis=2) + eps)
    y = (centered * invstd[..., None]).reshape(first.shape)
    y = y if gamma is None else y * gamma.reshape(_wide(first, 1))
    y = y if beta is None else y + beta.reshape(_wide(first, 1))
    return np.moveaxis(y, 1, channel_axis), mean, invstd


def group_norm_backward(dy, x, gamma, mean, invstd, *, num_groups, channel_axis=1):
    """The chain rule for a group, as for a row of layer norm. Returns dx, dgamma, dbeta."""
    dy, x = np.moveaxis(dy, channel_axis, 1), np.moveaxis(x, channel_axis, 1)
    shape = len(x), num_groups, -1
    xhat = (x.reshape(shape) - mean[..., None]) * invstd[..., None]
    g = (dy if gamma is None else dy * gamma.reshape(_wide(x, 1))).reshape(shape)
    mean_slope, mean_product = g.mean(axis=2, keepdims=True), (g * xhat).mean(axis=2, keepdims=True)
    dx = (invstd[..., None] * (g - mean_slope - xhat * mean_product)).reshape(x.shape)
    return np.moveaxis(dx, 1, channel_axis), _sum(dy * xhat.reshape(x.shape), 1), _sum(dy, 1)


def instance_norm_forward(x, gamma=None, beta=None, *, eps=1e-5, channel_axis=1):
    """Ulyanov, Vedaldi and Lempitsky 2016: each channel of a sample is a group."""
    return group_norm_forward(x, gamma, beta, num_groups=x.shape[channel_axis], eps=eps, channel_axis=channel_axis)


def instance_norm_backward(dy, x, gamma, mean, invstd, *, channel_axis=1):
    """The chain rule for a channel of a sample. Returns dx, dgamma, dbeta."""
    groups = x.shape[channel_axis]
    return group_norm_backward(dy, x, gamma, mean, invstd, num_groups=groups, channel_axis=channel_axis)
