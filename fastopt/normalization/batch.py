"""Batch normalization as two functions, and the checks that everything about it shares."""

from typing import Any, Literal

import numpy as np

from fastopt import expect
from fastopt.kernels.normalization.views import parameter_type
from fastopt.kernels.runtime.targets import way

Activation = Literal["relu"] | None


@expect.nearest
def batch_norm_forward(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    *,
    running_mean: np.ndarray | None = None,
    running_var: np.ndarray | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
    training: bool = True,
    channel_axis: int = 1,
    activation: Activation = None,
    residual: np.ndarray | None = None,
    out: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    biased: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize every channel: y = gamma (x − mean) / √(variance + eps) + beta, a residual added, and ReLU, if asked.

    Parameters
    ----------
    x : array (N, C, ...), float32, float64, bfloat16 or float16
        Any strides; at least two axes. Not written.
    gamma, beta : arrays (C,), dtype of x: float32 where that is of 16 bits
        Scale and shift, in units of y.
    running_mean, running_var : arrays (C,), dtype of gamma, or None
        In training: updated in place, where given. In inference: the statistics that x is normalized by, required.
    momentum : float in [0, 1], default 0.1
        Weight of this batch in the running statistics: running ← (1 − momentum) running + momentum batch.
    eps : float > 0, default 1e-5
        Added to the variance, in squared units of x.
    training : bool, default True
        Normalize by the statistics of x, which needs two or more values per channel; else by the running ones.
    channel_axis : int, default 1
        Which axis of x is C.
    activation : {None, "relu"}
        Applied to y in the same pass, last.
    residual : array like x, or None
        Added to y in the same pass, before the activation: a block's shortcut.
    out : array like x, or None
        Where y goes. In inference it may be x itself; in training it may not, for the backward needs x.
    mask : bool array of x's shape without C, or None
        Only in training: statistics are taken of the values where it is True, two or more of a channel, which are
        copied once. All of x is normalized.
    biased : bool, default False
        The running variance takes the biased variance of this batch, not m / (m − 1) times that.

    Returns
    -------
    y : array like x
        `out`, or a new array laid out in memory as x is.
    mean, invstd : float64 arrays (C,)
        What x was normalized by, 1 / √(variance + eps) being `invstd`: the backward's arguments.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, overlaps an output, or is outside its
        domain. Nothing has been written then.

    Notes
    -----
    The variance is taken about a center that follows the mean, in one pass; a mean of 1e4 with a spread of 1e-2 is
    normalized right. x is normalized by the biased variance, while the running variance takes the unbiased one, times
    m / (m − 1) for m values: torch is the same. Keras's momentum (0.99) weighs the old value, its moving variance is
    `biased`, and in inference it ignores a mask. A NaN or Inf in x makes its channel NaN, and no other. ReLU leaves
    NaN as it is.

    References
    ----------
    Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", ICML 2015, Algorithms 1 and 2.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> x = np.array([[1.0, 10.0], [3.0, 10.0]])
    >>> y, mean, invstd = fo.normalization.batch_norm_forward(x, np.ones(2), np.zeros(2))
    >>> y.round(3)
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> mean
    array([ 2., 10.])
    """
    axis, channels = geometry(x, channel_axis)
    dtype = parameter_type(x)
    expect.arrays(dtype, (channels,), gamma=gamma, beta=beta)
    eps, momentum = expect.eps(eps, x.dtype), expect.number(momentum, "momentum", expect.UNIT)
    biased = expect.flag(biased, "biased")
    options: dict[str, Any] = {
        "axis": axis,
        "activation": activation_of(activation),
        "residual": residual_of(residual, x),
    }
    apart = {"x": x, "residual": residual, "gamma": gamma, "beta": beta, "mask": mask}
    running = {"running_mean": running_mean, "running_var": running_var}
    if not expect.flag(training, "training"):
        expect.arrays(dtype, (channels,), **running)
        if mask is not None:
            raise ValueError("mask: expected None in inference, whose statistics are given, got an array")
        y = output(out, x, apart | running, same="x")
        mean, variance = (array.astype(np.float64) for array in (running_mean, running_var))  # type: ignore[union-attr]
        return y, mean, way("normalization").batch_normalize(x, gamma, beta, mean, variance, y, eps=eps, **options)
    if x.size == channels:
        raise ValueError(f"x: expected two or more values per channel in training, got shape {x.shape}")
    for name, array in running.items():
        if array is not None:
            apart[name] = expect.output(array, name, dtype=dtype, shape=(channels,), apart=apart)
    y = output(out, x, apart)
    options.update(momentum=momentum, eps=eps, biased=biased)
    if mask is not None:
        options["mask"] = mask_of(mask, x, axis)
    mean, invstd = way("normalization").batch_forward(x, gamma, beta, y, running_mean, running_var, **options)
    return y, mean, invstd


@expect.nearest
def batch_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray,
    mean: np.ndarray,
    invstd: np.ndarray,
    *,
    beta: np.ndarray | None = None,
    training: bool = True,
    channel_axis: int = 1,
    activation: Activation = None,
    residual: np.ndarray | None = None,
    out: np.ndarray | None = None,
    out_residual: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> tuple[Any, ...]:
    """Return the gradients of batch norm: dx = gamma invstd (dy − mean(dy) − x̂ mean(dy x̂)), dgamma, dbeta.

    Parameters
    ----------
    dy : array like x
        The loss's gradient with respect to y. Any strides.
    x : array (N, C, ...), float32, float64, bfloat16 or float16
        The forward's input, as it was.
    gamma : array (C,)
        The forward's scale, as it was.
    mean, invstd : float64 arrays (C,)
        What the forward returned.
    beta : array (C,), or None
        The forward's shift; required with activation="relu".
    training, channel_axis, activation
        As in the forward. With training=False the statistics are constants: dx = gamma invstd dy.
    residual : array like x, or None
        The forward's residual, as it was, where it had one.
    out : array like x, or None
        Where dx goes; may be dy itself.
    out_residual : array like x, or None
        Where the residual's gradient goes, with an activation; may be dy itself, if `out` isn't.
    mask : bool array, or None
        The forward's.

    Returns
    -------
    dx : array like x
        `out`, or a new array laid out in memory as x is.
    dgamma, dbeta : arrays (C,), dtype of gamma
    dresidual : array like x
        Only where a residual was given: dy as the activation lets it through. Without an activation it is dy itself.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, overlaps `out`, or is missing. Nothing
        has been written then.

    Notes
    -----
    Which values ReLU let through is found anew from x, by the forward's own arithmetic, so no array is kept for it. At
    NaN the gradient passes. Sums run in 32 lanes of the arrays' type and go on in float64. torch and Keras give the
    same gradients; torch keeps mean and invstd in the type of x, whose rounding shows where the mean is large.

    References
    ----------
    Ioffe and Szegedy 2015, section 3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> x, gamma = np.array([[1.0], [3.0], [5.0]]), np.ones(1)
    >>> y, mean, invstd = fo.normalization.batch_norm_forward(x, gamma, np.zeros(1))
    >>> dx, dgamma, dbeta = fo.normalization.batch_norm_backward(np.ones((3, 1)), x, gamma, mean, invstd)
    >>> dx.ravel().round(6), dbeta
    (array([0., 0., 0.]), array([3.]))
    """
    axis = slopes(dy, x, gamma, mean, invstd, beta, channel_axis, activation)
    parts = {"dy": dy, "x": x, "gamma": gamma, "beta": beta, "mean": mean, "invstd": invstd, "residual": residual}
    parts["mask"] = mask
    training = expect.flag(training, "training")
    options: dict[str, Any] = {"axis": axis, "activation": activation, "residual": residual_of(residual, x)}
    dx = output(out, x, parts, same="dy")
    dresidual = residual_output(out_residual, dy, dx, residual, activation, parts)
    kept = dresidual if activation else None
    if mask is not None:
        if not training:
            raise ValueError("mask: expected None with constant statistics, got an array")
        options["mask"] = mask_of(mask, x, axis)
    options["training"] = training
    gradients = way("normalization").batch_backward(dy, x, gamma, beta, mean, invstd, dx, kept, **options)
    return (dx, *gradients) if residual is None else (dx, *gradients, dresidual)


# ---- checks


def channel_axis_of(channel_axis: Any) -> int:
    if isinstance(channel_axis, bool) or not isinstance(channel_axis, int | np.integer):
        raise TypeError(f"channel_axis: expected an integer, got {expect.describe(channel_axis)}")
    return int(channel_axis)


def geometry(x: Any, channel_axis: Any) -> tuple[int, int]:
    """Return the channel axis, counted from the front, and the number of channels."""
    expect.not_empty(expect.array(x, "x", among=expect.FLOATS), "x")
    axis, shape = channel_axis_of(channel_axis), x.shape
    if len(shape) < 2:
        raise ValueError(f"x: expected two or more axes, got shape {shape}")
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"channel_axis: expected an axis of x with shape {shape}, got {channel_axis}")
    return axis % len(shape), shape[axis]


def expect_layers(x: Any, dtype: np.dtype, axis: int | None = None, features: int = 0) -> None:
    """Check what a layer alone knows of its input: dtype, and number of channels. The function checks the rest."""
    if isinstance(x, np.ndarray) and x.dtype != dtype:
        raise TypeError(f"x: expected {dtype}, got {x.dtype}; convert it with astype({str(dtype)!r})")
    has_axis = axis is not None and isinstance(x, np.ndarray) and x.ndim > 1 and -x.ndim <= axis < x.ndim
    if has_axis and x.shape[axis] != features:
        raise ValueError(f"x: expected {features} channels on axis {axis % x.ndim}, got shape {x.shape}")


def activation_of(activation: Any) -> Activation:
    if activation is None:
        return None
    if not isinstance(activation, str) or activation != "relu":
        raise ValueError(f"activation: expected None or 'relu', got {expect.shown(activation)}")
    return "relu"


def residual_of(residual: Any, x: np.ndarray) -> np.ndarray | None:
    return None if residual is None else expect.array(residual, "residual", dtype=x.dtype, shape=x.shape)


def mask_of(mask: Any, x: np.ndarray, axis: int) -> np.ndarray:
    wanted = x.shape[:axis] + x.shape[axis + 1 :]
    if not isinstance(mask, np.ndarray) or mask.dtype != bool:
        raise TypeError(f"mask: expected a bool array of shape {wanted}, got {expect.describe(mask)}")
    if mask.shape != wanted:
        raise ValueError(f"mask: expected shape {wanted}, that of x without its channels, got {mask.shape}")
    if np.count_nonzero(mask) < 2:
        raise ValueError(f"mask: expected two or more values per channel, got {np.count_nonzero(mask)}")
    return mask


def slopes(dy: Any, x: Any, gamma: Any, mean: Any, invstd: Any, beta: Any, channel_axis: Any, activation: Any) -> int:
    """Check what a backward takes; return the channel axis, counted from the front."""
    axis, channels = geometry(x, channel_axis)
    dtype = parameter_type(x)
    expect.array(gamma, "gamma", dtype=dtype, shape=(channels,))
    expect.array(dy, "dy", dtype=x.dtype, shape=x.shape)
    expect.arrays(expect.FLOAT64, (channels,), mean=mean, invstd=invstd)
    if activation_of(activation) is not None or beta is not None:
        expect.array(beta, "beta", dtype=dtype, shape=(channels,))
    return axis


def output(out: Any, x: np.ndarray, apart: Any, same: str = "") -> np.ndarray:
    """Return `out`, checked, or a new array in the memory layout of x; it may be `same`."""
    if out is None:
        return np.empty_like(x, subok=False)
    return expect.output(out, "out", dtype=x.dtype, shape=x.shape, apart=apart, same=same)


def residual_output(
    out: Any, dy: np.ndarray, dx: np.ndarray, residual: Any, activation: Activation, parts: dict[str, Any]
) -> np.ndarray | None:
    """Return where the residual's gradient goes, checked: a new array if none was given, dy itself where it is dy."""
    if residual is None or activation is None:
        if out is not None:
            wanted = "a residual and an activation with it" if residual is None else "an activation with it"
            raise ValueError(f"out_residual: expected {wanted}, got an array that nothing would be written to")
        return None if residual is None else dy
    if out is None:
        return np.empty_like(dy, subok=False)
    same = "" if dx is dy else "dy"
    return expect.output(out, "out_residual", dtype=dy.dtype, shape=dy.shape, apart=parts | {"out": dx}, same=same)
