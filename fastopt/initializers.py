"""Initial weights: a function per initializer, named as in Keras, with torch's names beside them.

Random numbers are counter-based (Philox4x32-10): a value depends on the seed, the dtype and its index in C order
alone, never on the number of threads, the target (cython and numba give the same bits) or the memory layout of `out`.
So a flat array begins with the values of a shorter one of the same seed. It also means that **arrays of the same seed
hold the same random numbers**: give every layer a seed of its own, `seed + layer` will do.

Shared arguments
    shape: tuple of int ≥ 0. A size of 0 gives an empty array. `layout` says where its fans are: "in_out" (default:
    x @ W, Keras) for (in, out) and (spatial..., in, out), "out_in" (PyTorch) for (out, in) and (out, in, spatial...).
    fan_in = in · spatial size, fan_out = out · spatial size. A vector (n,) has fan_in = fan_out = n, as in Keras (torch
    refuses it); a 0-d shape has no fans and is refused where they count.
    seed: integer in [0, 2^64), or None (default) for fresh entropy of the operating system.
    dtype: "float32" (default) or "float64". They use different numbers of random bits: other weights, same statistics.
    out: array of that shape and dtype, any strides, filled in place and returned; by default a new array.
"""

import math
import secrets
from typing import Any

import numpy as np

from fastopt import _check
from fastopt._config import get_num_threads, get_target
from fastopt.kernels.initializers import reference
from fastopt.kernels.initializers.table import KERNELS
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.kernel import Kernel

__all__ = [
    "fan_in_uniform", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "kaiming_normal",
    "kaiming_uniform", "lecun_normal", "lecun_uniform", "normal", "ones", "orthogonal", "truncated_normal", "uniform",
    "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip

Shape = tuple[int, ...]
LAYOUTS = ("in_out", "out_in")
MODES = ("fan_in", "fan_out")
CUT = 2.0  # truncated: standard deviations of the whole distribution
TAIL = 0.5 * math.erfc(CUT / math.sqrt(2.0))  # of the normal distribution, behind the cut
CUT_STD = 0.87962566103423978  # standard deviation of the standard normal distribution cut at 2
BITS = {"float32": 31, "float64": 62}  # of the tail probability of a normal value


def _weights(shape: Any, dtype: Any, out: Any, axes: int = 0) -> np.ndarray:
    """Return the array to fill, after its checks."""
    lengths = _check.shape(shape, "shape", axes)
    return _check.output(out, "out", dtype=_check.dtype(dtype, "dtype"), shape=lengths, apart={})


def _seed(seed: Any) -> int:
    return secrets.randbits(64) if seed is None else _check.integer(seed, "seed", 0, 2**64)


def _fans(shape: Shape, layout: Any) -> tuple[int, int]:
    """Return fan_in and fan_out, at least 1 each (an empty array has no use for them)."""
    _check.choice(layout, "layout", LAYOUTS)
    if len(shape) == 1:
        return max(1, shape[0]), max(1, shape[0])
    *spatial, inputs, outputs = shape if layout == "in_out" else (*shape[2:], shape[1], shape[0])
    field = math.prod(spatial)
    return max(1, inputs * field), max(1, outputs * field)


def _fill(kernel: Kernel, weights: np.ndarray, seed: int, scalars: tuple[float, ...]) -> np.ndarray:
    pipeline.run(
        [(kernel, kernel.buffers, 1)],
        {"weights": weights},
        weights.size,
        dtype=weights.dtype.name,
        target=get_target(),
        threads=get_num_threads(),
        grain=pipeline.GRAIN,
        dims=(seed & 0xFFFFFFFF, seed >> 32),
        scalars=scalars,
    )
    return weights


def _uniform(weights: np.ndarray, seed: int, low: float, high: float, name: str) -> np.ndarray:
    """Fill with U[low, high); `name` is the argument to blame if the dtype can't hold that."""
    dtype = weights.dtype.type
    if not high - low <= float(np.finfo(dtype).max) or not dtype(low) < dtype(high):
        raise ValueError(f"{name}: expected bounds that {weights.dtype} can tell apart, got {low!r} and {high!r}")
    if get_target() == "reference":
        weights[...] = reference.uniform(weights.shape, seed, low, high, weights.dtype.name)
        return weights
    limit = np.nextafter(dtype(high), dtype(-np.inf))
    return _fill(KERNELS["uniform"], weights, seed, (low, high - low, float(limit)))


def _normal(weights: np.ndarray, seed: int, mean: float, std: float, truncated: bool, name: str) -> np.ndarray:
    """Fill with N(mean, std²), cut at 2 std if `truncated`; `name` is the argument to blame as above."""
    info = np.finfo(weights.dtype)
    if not abs(mean) + 10.0 * std <= float(info.max) or not std >= float(info.tiny):
        raise ValueError(f"{name}: expected a scale that {weights.dtype} can hold, got mean {mean!r}, std {std!r}")
    if get_target() == "reference":
        weights[...] = reference.normal(weights.shape, seed, mean, std, weights.dtype.name, truncated)
        return weights
    tail, bound = (TAIL, CUT) if truncated else (0.0, math.inf)
    scale = (0.5 - tail) / 2.0 ** BITS[weights.dtype.name]
    return _fill(KERNELS["normal"], weights, seed, (mean, std, tail, scale, bound))


def _scaled(
    distribution: str, shape: Any, seed: Any, gain: Any, fan: str, truncated: Any, dtype: Any, layout: Any, out: Any
) -> np.ndarray:
    """Fill with values of mean 0 and standard deviation gain / √fan."""
    factor = _check.number(gain, "gain", _check.POSITIVE)
    truncated = _check.flag(truncated, "truncated")
    seed = _seed(seed)
    weights = _weights(shape, dtype, out, axes=1)
    fan_in, fan_out = _fans(weights.shape, layout)
    std = factor / math.sqrt({"fan_in": fan_in, "fan_out": fan_out, "average": (fan_in + fan_out) / 2}[fan])
    if distribution == "uniform":
        return _uniform(weights, seed, -math.sqrt(3.0) * std, math.sqrt(3.0) * std, "gain")
    return _normal(weights, seed, 0.0, std / CUT_STD if truncated else std, truncated, "gain")


def glorot_uniform(
    shape: Shape,
    seed: int | None = None,
    *,
    gain: float = 1.0,
    dtype: Any = "float32",
    layout: str = "in_out",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """U[−a, a) with a = gain √(6 / (fan_in + fan_out)): for layers with tanh or no activation.

    Parameters
    ----------
    shape : tuple of int
        At least one axis; `layout` says where the fans are.
    seed : int in [0, 2^64) or None, default None
        None: fresh entropy of the operating system.
    gain : float > 0, default 1
        Multiplies the standard deviation.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    layout : {"in_out", "out_in"}, default "in_out"
        (spatial..., in, out) as in Keras, or (out, in, spatial...) as in PyTorch; a vector's fans are its length.
    out : array, optional
        Filled in place: of this shape and dtype, any strides.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

    Notes
    -----
    torch's `xavier_uniform_` and Keras's `glorot_uniform` draw from the same distribution. Alias: `xavier_uniform`.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equations 12 and 16.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.glorot_uniform((784, 256), seed=0).shape
    (784, 256)
    """
    return _scaled("uniform", shape, seed, gain, "average", False, dtype, layout, out)


def glorot_normal(
    shape: Shape,
    seed: int | None = None,
    *,
    gain: float = 1.0,
    truncated: bool = False,
    dtype: Any = "float32",
    layout: str = "in_out",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """N(0, std²) with std = gain √(2 / (fan_in + fan_out)): for layers with tanh or no activation.

    Parameters
    ----------
    shape, seed, gain, layout, out
        As in :func:`glorot_uniform`.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    truncated : bool, default False
        Cut at 2 standard deviations, and widen by 1 / 0.8796 so that the standard deviation stays: Keras's form.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

    Notes
    -----
    torch's is the plain normal distribution, which is the default here; Keras's is truncated. Alias: `xavier_normal`.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equations 12 and 16.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.glorot_normal((784, 256), seed=0, truncated=True).shape
    (784, 256)
    """
    return _scaled("normal", shape, seed, gain, "average", truncated, dtype, layout, out)


def he_uniform(
    shape: Shape,
    seed: int | None = None,
    *,
    gain: float = math.sqrt(2.0),
    mode: str = "fan_in",
    dtype: Any = "float32",
    layout: str = "in_out",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """U[−a, a) with a = gain √(3 / fan): for layers with ReLU.

    Parameters
    ----------
    shape, seed, layout, out
        As in :func:`glorot_uniform`.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    gain : float > 0; √2 if not given
        Multiplies the standard deviation: √2 for ReLU, √(2 / (1 + a²)) for leaky ReLU of slope a, 1 for linear layers,
        5/3 for tanh, as torch's calculate_gain.
    mode : {"fan_in", "fan_out"}, default "fan_in"
        Keep the variance of activations (fan_in) or of gradients (fan_out).

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

    Notes
    -----
    torch's `kaiming_uniform_` takes `a` and `nonlinearity` in place of `gain`; Keras's `he_uniform` has the defaults
    alone. Alias: `kaiming_uniform`.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015, equations 10 (fan_in) and 14 (fan_out).

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.he_uniform((256, 784), seed=0, layout="out_in").shape
    (256, 784)
    """
    return _scaled("uniform", shape, seed, gain, _check.choice(mode, "mode", MODES), False, dtype, layout, out)


def he_normal(
    shape: Shape,
    seed: int | None = None,
    *,
    gain: float = math.sqrt(2.0),
    mode: str = "fan_in",
    truncated: bool = False,
    dtype: Any = "float32",
    layout: str = "in_out",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """N(0, std²) with std = gain / √fan: for layers with ReLU.

    Parameters
    ----------
    shape, seed, layout, out
        As in :func:`glorot_uniform`.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    gain, mode
        As in :func:`he_uniform`.
    truncated : bool, default False
        As in :func:`glorot_normal`.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

    Notes
    -----
    torch's is the plain normal distribution, which is the default here; Keras's is truncated. Alias:
    `kaiming_normal`.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015, equations 10 (fan_in) and 14 (fan_out).

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.he_normal((3, 3, 16, 32), seed=0).shape
    (3, 3, 16, 32)
    """
    return _scaled("normal", shape, seed, gain, _check.choice(mode, "mode", MODES), truncated, dtype, layout, out)


def lecun_uniform(
    shape: Shape,
    seed: int | None = None,
    *,
    dtype: Any = "float32",
    layout: str = "in_out",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """U[−a, a) with a = √(3 / fan_in): variance 1 / fan_in, for self-normalizing (SELU) and linear layers.

    Parameters
    ----------
    shape, seed, layout, out
        As in :func:`glorot_uniform`.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

    Notes
    -----
    Keras's `lecun_uniform`; torch has none.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", in Neural networks: tricks of the trade, 1998, equation 16.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.lecun_uniform((784, 256), seed=0).shape
    (784, 256)
    """
    return _scaled("uniform", shape, seed, 1.0, "fan_in", False, dtype, layout, out)


def lecun_normal(
    shape: Shape,
    seed: int | None = None,
    *,
    truncated: bool = False,
    dtype: Any = "float32",
    layout: str = "in_out",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """N(0, 1 / fan_in), for self-normalizing (SELU) and linear layers.

    Parameters
    ----------
    shape, seed, layout, out
        As in :func:`glorot_uniform`.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    truncated : bool, default False
        As in :func:`glorot_normal`.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

    Notes
    -----
    Keras's `lecun_normal` is truncated; torch has none.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", in Neural networks: tricks of the trade, 1998, equation 16.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.lecun_normal((784, 256), seed=0).shape
    (784, 256)
    """
    return _scaled("normal", shape, seed, 1.0, "fan_in", truncated, dtype, layout, out)


def fan_in_uniform(
    shape: Shape,
    seed: int | None = None,
    *,
    dtype: Any = "float32",
    layout: str = "in_out",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """U[−a, a) with a = 1 / √fan_in: what PyTorch's linear and convolution layers start from.

    Parameters
    ----------
    shape, seed, layout, out
        As in :func:`glorot_uniform`.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

    Notes
    -----
    torch writes it as `kaiming_uniform_(a=√5)`; its biases have the bound of their weights: `uniform` with low = −a,
    high = a. Keras's default is `glorot_uniform`.

    References
    ----------
    torch.nn.Linear.reset_parameters; its variance is 1 / (3 fan_in).

    Examples
    --------
    >>> import fastopt as fo
    >>> w = fo.initializers.fan_in_uniform((100, 10), seed=0)
    >>> bool(abs(w).max() <= 0.1)
    True
    """
    return _scaled("uniform", shape, seed, 1.0 / math.sqrt(3.0), "fan_in", False, dtype, layout, out)


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
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    out : array, optional
        Filled in place: of this shape and dtype, any strides.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

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
    low, high = _check.number(low, "low", _check.FINITE), _check.number(high, "high", _check.FINITE)
    if not low < high:
        raise ValueError(f"high: expected a number > low = {low!r}, got {high!r}")
    seed = _seed(seed)
    return _uniform(_weights(shape, dtype, out), seed, low, high, "high")


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
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    mean : float (finite), default 0.0
        Of the distribution.
    std : float > 0, default 0.05
        Its standard deviation. At least the dtype's smallest normal number.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

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
    mean, std = _check.number(mean, "mean", _check.FINITE), _check.number(std, "std", _check.POSITIVE)
    seed = _seed(seed)
    return _normal(_weights(shape, dtype, out), seed, mean, std, False, "std")


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
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    mean : float (finite), default 0.0
        Of the distribution.
    std : float > 0, default 0.05
        Of the whole distribution: what is left has 0.8796 std. At least the dtype's smallest normal number.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

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
    mean, std = _check.number(mean, "mean", _check.FINITE), _check.number(std, "std", _check.POSITIVE)
    seed = _seed(seed)
    return _normal(_weights(shape, dtype, out), seed, mean, std, True, "std")


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
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    gain : float > 0, default 1
        Multiplies the matrix.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

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
    factor = _check.number(gain, "gain", _check.POSITIVE)
    seed = _seed(seed)
    weights = _weights(shape, dtype, out, axes=2)
    _check.choice(layout, "layout", LAYOUTS)
    if not factor <= float(np.finfo(weights.dtype).max):
        raise ValueError(f"gain: expected a number that {weights.dtype} can hold, got {factor!r}")
    if weights.size == 0:
        return weights
    if get_target() == "reference":
        weights[...] = reference.orthogonal(weights.shape, seed, factor, layout)
        return weights
    rows = weights.size // weights.shape[-1] if layout == "in_out" else weights.shape[0]
    columns = weights.size // rows
    q, r = np.linalg.qr(_normal(np.empty((max(rows, columns), min(rows, columns))), seed, 0.0, 1.0, False, "std"))
    q *= np.where(np.diagonal(r) < 0.0, -factor, factor)
    weights[...] = (q if rows >= columns else q.T).reshape(weights.shape)
    return weights


def zeros(shape: Shape, *, dtype: Any = "float32", out: np.ndarray | None = None) -> np.ndarray:
    """All 0: for biases, and batch normalization's beta.

    Parameters
    ----------
    shape, out
        As in :func:`uniform`.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

    References
    ----------
    The same in torch and Keras.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.zeros((2,))
    array([0., 0.], dtype=float32)
    """
    weights = _weights(shape, dtype, out)
    weights[...] = 0
    return weights


def ones(shape: Shape, *, dtype: Any = "float32", out: np.ndarray | None = None) -> np.ndarray:
    """All 1: for batch normalization's gamma.

    Parameters
    ----------
    shape, out
        As in :func:`uniform`.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.
    dtype : {"float32", "float64"}, default "float32"
        Of the result.

    Returns
    -------
    array of this shape and dtype; `out` where it was given

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain; nothing has been written then.

    References
    ----------
    The same in torch and Keras.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.initializers.ones((2,))
    array([1., 1.], dtype=float32)
    """
    weights = _weights(shape, dtype, out)
    weights[...] = 1
    return weights


xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal
