"""Initializers that take their scale from the fans: Glorot, He, LeCun, and U(±1/√fan_in)."""

import math
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.initializers.base import MODES, Shape, filled, scaled


@expect.nearest
@filled
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
        `layout` says where the fans are; they are 1 for a 0-d array.
    seed : int in [0, 2^64) or None, default None
        None: fresh entropy of the operating system.
    gain : float > 0, default 1
        Multiplies the standard deviation.
    {dtype}
    layout : {"in_out", "out_in"}, default "in_out"
        (spatial..., in, out) as in Keras, or (out, in, spatial...) as in PyTorch; a vector's fans are its length.
    out : array, optional
        Filled in place: of this shape and dtype, any strides.

    {result}

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
    return scaled("uniform", shape, seed, gain, "average", False, dtype, layout, out)


@expect.nearest
@filled
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
    {dtype}
    truncated : bool, default False
        Cut at 2 standard deviations, and widen by 1 / 0.8796 so that the standard deviation stays: Keras's form.

    {result}

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
    return scaled("normal", shape, seed, gain, "average", truncated, dtype, layout, out)


@expect.nearest
@filled
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
    {dtype}
    gain : float > 0; √2 if not given
        Multiplies the standard deviation: √2 for ReLU, √(2 / (1 + a²)) for leaky ReLU of slope a, 1 for linear layers,
        5/3 for tanh, as torch's calculate_gain.
    mode : {"fan_in", "fan_out"}, default "fan_in"
        Keep the variance of activations (fan_in) or of gradients (fan_out).

    {result}

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
    return scaled("uniform", shape, seed, gain, expect.choice(mode, "mode", MODES), False, dtype, layout, out)


@expect.nearest
@filled
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
    {dtype}
    gain, mode
        As in :func:`he_uniform`.
    truncated : bool, default False
        As in :func:`glorot_normal`.

    {result}

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
    return scaled("normal", shape, seed, gain, expect.choice(mode, "mode", MODES), truncated, dtype, layout, out)


@expect.nearest
@filled
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
    {dtype}

    {result}

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
    return scaled("uniform", shape, seed, 1.0, "fan_in", False, dtype, layout, out)


@expect.nearest
@filled
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
    {dtype}
    truncated : bool, default False
        As in :func:`glorot_normal`.

    {result}

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
    return scaled("normal", shape, seed, 1.0, "fan_in", truncated, dtype, layout, out)


@expect.nearest
@filled
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
    {dtype}

    {result}

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
    return scaled("uniform", shape, seed, 1.0 / math.sqrt(3.0), "fan_in", False, dtype, layout, out)


# ---- torch's names

xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal
