"""Normalization by the reference: the functions of cpu.py over reference.py, in float64."""

import numpy as np

from fastopt.kernels.normalization import reference
from fastopt.kernels.normalization.views import parameter_type

quietly = np.errstate(all="ignore")  # NaN and Inf travel as the formula says


@quietly
def batch_statistics(x, *, axis):
    return reference.batch_norm_stats(_wide(x), channel_axis=axis)


@quietly
def batch_normalize(x, gamma, beta, mean, variance, y, *, eps, axis, activation, residual):
    options = {"eps": eps, "channel_axis": axis, "activation": activation, "residual": _wide(residual)}
    wide = map(_wide, (x, gamma, beta, mean, variance))
    y[...], invstd = reference.batch_norm_apply(*wide, **options)
    return invstd


@quietly
def batch_forward(
    x, gamma, beta, y, running_mean, running_var, *, momentum, eps, axis, activation, residual, mask=None, biased=False
):
    options = {"momentum": momentum, "eps": eps, "channel_axis": axis, "activation": activation}
    options |= {"mask": mask, "biased": biased}
    wide = map(_wide, (x, gamma, beta, running_mean, running_var))
    y[...], mean, invstd, *fresh = reference.batch_norm_forward(*wide, residual=_wide(residual), **options)
    for array, value in zip((running_mean, running_var), fresh, strict=True):
        if array is not None:
            array[...] = value
    return mean, invstd


@quietly
def batch_gradient_sums(dy, x, gamma, beta, mean, invstd, *, axis, activation, residual):
    options = {"channel_axis": axis, "activation": activation, "residual": _wide(residual)}
    return np.stack(reference.batch_norm_gradient_sums(*map(_wide, (dy, x, gamma, mean, invstd, beta)), **options))


@quietly
def batch_gradient(
    dy, x, gamma, beta, mean, invstd, sums, count, dx, dresidual, *, training, axis, activation, residual
):  # fmt: skip
    options = {"channel_axis": axis, "activation": activation, "residual": _wide(residual)}
    dy, x, gamma, mean, invstd, beta = map(_wide, (dy, x, gamma, mean, invstd, beta))
    if training:
        found = reference.batch_norm_gradient_apply(dy, x, gamma, mean, invstd, *sums, count, beta, **options)
        dx[...], passed = found
    else:
        found = reference.batch_norm_backward(dy, x, gamma, mean, invstd, beta, training=False, **options)
        dx[...], passed = found[0], found[3]
    if dresidual is not None:
        dresidual[...] = passed


@quietly
def batch_backward(
    dy, x, gamma, beta, mean, invstd, dx, dresidual, *, training, axis, activation, residual, mask=None
):  # fmt: skip
    options = {"channel_axis": axis, "activation": activation, "residual": _wide(residual), "mask": mask}
    wide = map(_wide, (dy, x, gamma, mean, invstd, beta))
    dx[...], dgamma, dbeta, passed = reference.batch_norm_backward(*wide, training=training, **options)
    if dresidual is not None:
        dresidual[...] = passed
    return dgamma.astype(gamma.dtype), dbeta.astype(gamma.dtype)


@quietly
def sample_forward(norm, x, gamma, beta, y, outer, shape, groups, eps):
    parameters = (gamma,) if norm == "rms" else (gamma, beta)
    function = getattr(reference, f"{norm}_norm_forward")
    y[...], *found = function(*map(_wide, (x, *parameters)), eps=eps, **_named(shape, groups))
    return tuple(np.asarray(array) for array in found)


@quietly
def sample_backward(norm, dy, x, gamma, statistics, dx, shape, groups):
    function = getattr(reference, f"{norm}_norm_backward")
    dx[...], *found = function(*map(_wide, (dy, x, gamma, *statistics)), **_named(shape, groups))
    return tuple(np.asarray(value).astype(parameter_type(x)).reshape(shape) for value in found)


def _named(shape, groups):
    return {"num_groups": groups} if groups else {"normalized_shape": shape}


def _wide(array):
    return None if array is None else array.astype(np.float64)
