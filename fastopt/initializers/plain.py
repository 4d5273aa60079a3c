"""Initializers that are told their numbers, and orthogonal ones."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.initializers.base import (
    LAYOUTS,
    Shape,
    checked_seed,
    fill_normal,
    fill_uniform,
    filled,
    output,
    weights_to_fill,
)
from fastopt.kernels.runtime.kinds import finfo
from fastopt.kernels.runtime.targets import way


@expect.nearest
@filled
def uniform(
    shape: Shape,
    seed: int | None = None,
    *,
    low: float = -0.05,
    high: float = 0.05,
    dtype: Any = "float32",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """U[low, high): low + u (high − low), with u a multiple of 2^-24 (float32) or 2^-53 (float64).

    Parameters
    ----------
    shape : tuple of int
        () gives a 0-d array.
    seed : int in [0, 2^64) or None, default None
        None: fresh entropy of the operating system.
    low : float < high, default -0.05
        Finite; may come out.
    high : float > low, default 0.05
        Finite, and above low in this dtype too; never comes out.
    {dtype}
    out : array, optional
        Filled in place: of this shape and dtype, any strides.

    {result}

    Notes
    -----
    The default bounds are Keras's (`RandomUniform`); torch's `uniform_` has 0 and 1.

    References
    ----------
    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10).

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.uniform((2, 3), seed=0, low=0.0, high=1.0).shape
    (2, 3)
    """
    low, high = expect.number(low, "low", expect.FINITE), expect.number(high, "high", expect.FINITE)
    if not low < high:
        raise ValueError(f"high: expected a number > low = {low!r}, got {high!r}")
    seed = checked_seed(seed)
    return fill_uniform(*weights_to_fill(shape, dtype, out), seed, low, high, "high")


@expect.nearest
@filled
def normal(
    shape: Shape,
    seed: int | None = None,
    *,
    mean: float = 0.0,
    std: float = 0.05,
    dtype: Any = "float32",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """N(mean, std²), by the inverse of the distribution: one value per random number, none drawn again.

    Parameters
    ----------
    shape, seed, out
        As in :func:`uniform`.
    {dtype}
    mean : float (finite), default 0.0
        Of the distribution.
    std : float ≥ 0, default 0.05
        Its standard deviation: 0, or at least the dtype's smallest normal number.

    {result}

    Notes
    -----
    Tails reach 6.3 std in float32 (31 bits of tail probability) and 9.1 in float64 (62 bits). The defaults are
    Keras's (`RandomNormal`); torch's `normal_` has std 1.

    References
    ----------
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10). Wichura, "Algorithm AS 241:
    the percentage points of the normal distribution", Applied Statistics 37, 1988.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.normal((2, 3), seed=0, std=1.0).shape
    (2, 3)
    """
    mean, std = expect.number(mean, "mean", expect.FINITE), expect.number(std, "std", expect.NOT_NEGATIVE)
    seed = checked_seed(seed)
    return fill_normal(*weights_to_fill(shape, dtype, out), seed, mean, std, False, "std")


@expect.nearest
@filled
def truncated_normal(
    shape: Shape,
    seed: int | None = None,
    *,
    mean: float = 0.0,
    std: float = 0.05,
    dtype: Any = "float32",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """N(mean, std²) cut at mean ± 2 std: one value per random number, none drawn again.

    Parameters
    ----------
    shape, seed, out
        As in :func:`uniform`.
    {dtype}
    mean : float (finite), default 0.0
        Of the distribution.
    std : float ≥ 0, default 0.05
        Of the whole distribution: what is left has 0.8796 std. 0, or at least the dtype's smallest normal number.

    {result}

    Notes
    -----
    Keras's `TruncatedNormal`. torch's `trunc_normal_` cuts at absolute numbers, ±2 by default.

    References
    ----------
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10). Wichura, "Algorithm AS 241:
    the percentage points of the normal distribution", Applied Statistics 37, 1988.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.truncated_normal((2, 3), seed=0, std=1.0).shape
    (2, 3)
    """
    mean, std = expect.number(mean, "mean", expect.FINITE), expect.number(std, "std", expect.NOT_NEGATIVE)
    seed = checked_seed(seed)
    return fill_normal(*weights_to_fill(shape, dtype, out), seed, mean, std, True, "std")


@expect.nearest
@filled
def orthogonal(
    shape: Shape,
    seed: int | None = None,
    *,
    gain: float = 1.0,
    dtype: Any = "float32",
    layout: str = "in_out",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """A (semi-)orthogonal matrix, gain times: QᵀQ = 1 for a tall one, QQᵀ = 1 for a wide one.

    Parameters
    ----------
    shape : tuple of int
        Two axes or more. As a matrix: (all but the last, last) in layout "in_out", (first, all others) in "out_in".
    seed, layout, out
        As in :func:`glorot_uniform`.
    {dtype}
    gain : float > 0, default 1
        Multiplies the matrix.

    {result}

    Notes
    -----
    The Q of the QR decomposition of a normal matrix, its columns' signs chosen so that R has a positive diagonal,
    which makes Q uniform over all such matrices; as in torch and Keras. Made in float64 whatever the dtype, with
    `numpy.linalg`: the last bits are those of the BLAS that NumPy uses, and its threads are not fastopt's. Allocates
    the matrix, and what QR needs.

    References
    ----------
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", ICLR 2014. Mezzadri, "How to generate random matrices from the classical compact groups", 2007.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> q = fo.initializers.orthogonal((64, 32), seed=0)
    >>> bool(abs(q.T @ q - np.eye(32)).max() < 1e-5)
    True
    """
    factor = expect.number(gain, "gain", expect.POSITIVE)
    seed = checked_seed(seed)
    by, weights = weights_to_fill(shape, dtype, out, axes=2)
    expect.choice(layout, "layout", LAYOUTS)
    if not factor <= float(finfo(weights.dtype).max):
        raise ValueError(f"gain: expected a number that {weights.dtype} can hold, got {factor!r}")
    if weights.size:
        by.orthogonal(weights, seed, factor, layout)
    return weights


@expect.nearest
@filled
def zeros(shape: Shape, *, dtype: Any = "float32", out: np.ndarray | None = None) -> np.ndarray:
    """All 0: for biases, and batch normalization's beta.

    Parameters
    ----------
    shape, out
        As in :func:`uniform`.
    {dtype}

    {result}

    References
    ----------
    The same in torch and Keras.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.zeros((2,))
    array([0., 0.], dtype=float32)
    """
    return _filled(np.zeros, shape, dtype, out)


@expect.nearest
@filled
def ones(shape: Shape, *, dtype: Any = "float32", out: np.ndarray | None = None) -> np.ndarray:
    """All 1: for batch normalization's gamma.

    Parameters
    ----------
    shape, out
        As in :func:`uniform`.
    {dtype}

    {result}

    References
    ----------
    The same in torch and Keras.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.ones((2,))
    array([1., 1.], dtype=float32)
    """
    return _filled(np.ones, shape, dtype, out)


def _filled(make: Callable[..., np.ndarray], shape: Any, dtype: Any, out: Any) -> np.ndarray:
    """Return what NumPy makes, or `out` filled with it; raises where the target in force has no way for it."""
    by = way("initializers")
    lengths, dtype = expect.shape(shape, "shape"), expect.dtype(dtype, "dtype", expect.FLOATS)
    if by.of_target == "cuda":
        weights = output(by, out, lengths, dtype)
        by.constant(weights, float(make(())))
        return weights
    if out is None:
        return make(lengths, dtype)
    expect.output(out, "out", dtype=dtype, shape=lengths, apart={})
    out[...] = make((), dtype)
    return out
