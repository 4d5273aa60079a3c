"""Rows and channels whose squares a type can't hold, done again with scale.

Kernels sum squares in the type of x: above 1e19 (float32) they overflow, and where eps is tiny they may vanish. It
shows in 1 / √(variance + eps), which is 0, NaN or enormous then. Those rows alone are done again in double precision,
scaled by a power of two: nothing is slower where nothing overflows. Rows with NaN or Inf go the same way, and stay so.
"""

from typing import Any

import numpy as np

from fastopt.kernels.normalization import reference

HIGHEST = {
    4: 1e16,
    8: 1e150,
}  # of 1 / √(variance + eps), by bytes of the type computed in: squares are exact enough below
LOWEST = {4: 1e-30, 8: 1e-280}  # below, a gradient's products leave the type's normal numbers


def highest(x: np.ndarray) -> float:
    return HIGHEST[max(4, x.itemsize)]


def lost(inverse: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return where the statistics are no use."""
    return ~((inverse > 0) & (inverse < highest(x)))


def standardized(rows: np.ndarray, eps: float, centered: bool = True) -> tuple[np.ndarray, ...]:
    """Return (x − mean) / √(variance + eps) of float64 rows, mean, variance, and 1 / √(variance + eps)."""
    exponents = np.frexp(np.abs(rows).max(axis=1))[1]
    scale = np.ldexp(1.0, -np.clip(exponents, -1000, 1000))
    scaled = rows * scale[:, None]
    first = scaled[:, 0] if centered else np.zeros(len(rows))  # equal values leave no rounding behind
    first = np.where(np.isfinite(first), first, 0.0)  # the mean of a row with Inf is Inf, wherever that stands
    deviations = scaled - first[:, None]
    rest = deviations.mean(axis=1) if centered else first
    deviations = deviations - rest[:, None]
    variance = (deviations**2).mean(axis=1)
    total = variance + eps * scale**2
    inverse = np.where(total == 0, 0.0, 1 / np.sqrt(total))
    original = np.where(total == 0, np.float64(eps) ** -0.5, inverse * scale)
    return deviations * inverse[:, None], (first + rest) / scale, variance / scale**2, original


def channels_again(
    x: np.ndarray,
    gamma: Any,
    beta: Any,
    residual: Any,
    y: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    inverse: np.ndarray,
    *,
    eps: float,
    axis: int,
    activation: str | None,
) -> None:
    """Write y of the channels that are lost, and their statistics."""
    with np.errstate(all="ignore"):
        which = np.flatnonzero(lost(inverse, x))
        values = np.moveaxis(x, axis, 0)[which].astype(np.float64)
        shape = (-1, *(1,) * (x.ndim - 1))
        found, mean[which], variance[which], inverse[which] = standardized(values.reshape(len(which), -1), eps)
        found = gamma[which].reshape(shape) * found.reshape(values.shape) + beta[which].reshape(shape)
        if residual is not None:
            found = found + np.moveaxis(residual, axis, 0)[which]
        if activation == "relu":
            found = np.where(found <= 0, 0.0, found)
        np.moveaxis(y, axis, 0)[which] = found.astype(y.dtype)


def rows_again(norm: str, y: np.ndarray, gamma: Any, beta: Any, statistics: Any, groups: int, eps: float) -> None:
    """Write y of the rows that are lost, where the kernel left x, and their statistics."""
    inverse = statistics[-1]
    with np.errstate(all="ignore"):
        which: tuple[Any, ...] = np.nonzero(lost(inverse, y)) if inverse.ndim else (...,)
        at = which
        if groups:
            width = y.shape[1] // groups
            channels = which[1][:, None] * width + np.arange(width)
            at = which[0][:, None], channels
            gamma, beta = (_aligned(array, channels, y.ndim) for array in (gamma, beta))
        values = y[at].astype(np.float64)
        count = inverse[which].size
        found, mean, _, again = standardized(values.reshape(count, -1), eps, norm != "rms")
        found = found.reshape(values.shape)
        found = found if gamma is None else found * gamma
        y[at] = (found if beta is None else found + beta).astype(y.dtype)
        inverse[which] = again if inverse.ndim else again[0]
        if norm != "rms":
            statistics[0][which] = mean if inverse.ndim else mean[0]


def _aligned(array, channels, axes):
    return None if array is None else array[channels].reshape(*channels.shape, *(1,) * (axes - 2))


# ---- backward


def too_small(inverse: np.ndarray, x: np.ndarray) -> bool:
    return bool(((inverse > 0) & (inverse < LOWEST[max(4, x.itemsize)])).any())


def batch_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: Any,
    beta: Any,
    mean: np.ndarray,
    inverse: np.ndarray,
    dx: np.ndarray,
    dresidual: Any,
    *,
    axis: int,
    residual: Any,
    **options: Any,
) -> tuple[Any, ...]:
    """Write dx and dresidual, and return dgamma and dbeta, as cpu.py's function does."""
    scale = _scale(inverse)
    wide = scale.reshape([-1 if k == axis else 1 for k in range(x.ndim)])
    with np.errstate(all="ignore"):
        given = dy.astype(np.float64), x * wide, gamma, mean * scale, inverse / scale, beta
        options |= {"channel_axis": axis, "residual": residual}
        found, dgamma, dbeta, passed = reference.batch_norm_backward(*given, **options)
        dx[...] = (found * wide).astype(dx.dtype)
        if dresidual is not None:
            dresidual[...] = passed
        return dgamma.astype(gamma.dtype), dbeta.astype(gamma.dtype)


def sample_backward(
    norm: str,
    dy: np.ndarray,
    x: np.ndarray,
    gamma: Any,
    statistics: Any,
    dx: np.ndarray,
    shape: Any,
    groups: int,
    dtype: np.dtype,
) -> tuple[Any, ...]:
    """Write dx, and return gradients of parameters, as cpu.py's function does."""
    scale = _scale(statistics[-1])
    if groups:
        wide = np.repeat(scale, x.shape[1] // groups, axis=1).reshape(*x.shape[:2], *(1,) * (x.ndim - 2))
    else:
        wide = scale.reshape(*scale.shape, *(1,) * len(shape))
    means = [mean * scale for mean in statistics[:-1]]
    options = {"num_groups": groups} if groups else {"normalized_shape": shape}
    with np.errstate(all="ignore"):
        function = getattr(reference, f"{norm}_norm_backward")
        given = dy.astype(np.float64), x * wide, gamma, *means, statistics[-1] / scale
        found, *gradients = function(*given, **options)
        dx[...] = (found * wide).astype(dx.dtype)
        return tuple(np.asarray(gradient).astype(dtype).reshape(shape) for gradient in gradients)


def _scale(inverse: np.ndarray) -> np.ndarray:
    """Return powers of two that bring these to the order of 1."""
    exponents = np.frexp(np.where(np.isfinite(inverse), inverse, 1.0))[1]
    return np.ldexp(1.0, np.clip(exponents, -1000, 1000))
