"""Layer, RMS, group and instance norm, each as two functions.

A row is what is normalized by itself: the last axes of x, or a group of channels of a sample.
"""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.normalization.views import parameter_type
from fastopt.kernels.runtime.checks import all_fit
from fastopt.kernels.runtime.targets import way
from fastopt.normalization.batch import channel_axis_of


def layer_norm_forward(
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    *,
    normalized_shape: int | tuple[int, ...] | None = None,
    eps: float = 1e-5,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize every row: y = gamma (x − mean) / √(variance + eps) + beta, a row being the last axes of x.

    Parameters
    ----------
    x : array (N, ..., D), float32, float64, bfloat16 or float16
        Any strides. Not written.
    gamma, beta : arrays of a row's shape, or None
        Scale and shift, in units of y, of the dtype of x: float32 where that is of 16 bits. None: 1 and 0.
    normalized_shape : int, tuple of int, or None
        A row's shape: x's last axes. None: the shape of gamma, or else the last axis.
    eps : float > 0, default 1e-5
        Added to the variance, in squared units of x.
    out : array like x, or None
        Where y goes. May be x itself, where no backward follows.

    Returns
    -------
    y : array like x
        `out`, or a new array laid out in memory as x is.
    mean, invstd : float64 arrays (N, ...), x's other axes
        What rows were normalized by, 1 / √(variance + eps) being `invstd`: the backward's arguments.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, overlaps an output, or is outside its
        domain. Nothing has been written then.

    Notes
    -----
    The biased variance, taken about the mean in two passes. A NaN or Inf in x makes its row NaN, and no other.
    torch.nn.functional.layer_norm is the same; Keras's epsilon is 1e-3.

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", 2016, section 3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> y, mean, invstd = fo.normalization.layer_norm_forward(np.array([[1.0, 3.0], [10.0, 30.0]]))
    >>> y.round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    >>> mean
    array([ 2., 20.])
    """
    shape = _normalized(x, gamma, normalized_shape)
    _vectors(x, shape, gamma=gamma, beta=beta)
    eps = expect.eps(eps, x.dtype)
    y = _output(out, x, "x", x=x, gamma=gamma, beta=beta)
    outer = x.shape[: x.ndim - len(shape)]
    mean, invstd = way("normalization").sample_forward("layer", x, gamma, beta, y, outer, shape, 0, eps)
    return y, mean, invstd


def layer_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None,
    mean: np.ndarray,
    invstd: np.ndarray,
    *,
    normalized_shape: int | tuple[int, ...] | None = None,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of layer norm: dx = invstd (g − mean(g) − x̂ mean(g x̂)) with g = gamma dy, dgamma, dbeta.

    Parameters
    ----------
    dy : array like x
        The loss's gradient with respect to y. Any strides.
    x : array (N, ..., D), float32, float64, bfloat16 or float16
        The forward's input, as it was.
    gamma : array of a row's shape, or None
        The forward's scale, as it was.
    mean, invstd : float64 arrays (N, ...), x's other axes
        What the forward returned.
    normalized_shape : int, tuple of int, or None
        As in the forward.
    out : array like x, or None
        Where dx goes; may be dy itself.

    Returns
    -------
    dx : array like x
        `out`, or a new array laid out in memory as x is.
    dgamma, dbeta : arrays of a row's shape, dtype of gamma
        Also where the forward had no gamma or no beta.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, or overlaps `out`. Nothing has been
        written then.

    Notes
    -----
    One pass over memory: a row's sums, its dx and its share of dgamma and dbeta are made while it is in cache. Sums
    over rows run in the type of x for 32 rows and go on in float64. torch and Keras give the same gradients.

    References
    ----------
    Ba, Kiros and Hinton 2016, section 3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> x = np.array([[1.0, 3.0], [10.0, 30.0]])
    >>> y, mean, invstd = fo.normalization.layer_norm_forward(x)
    >>> dx, dgamma, dbeta = fo.normalization.layer_norm_backward(np.ones((2, 2)), x, None, mean, invstd)
    >>> dgamma.round(3), dbeta
    (array([-2.,  2.]), array([2., 2.]))
    """
    shape = _normalized(x, gamma, normalized_shape)
    _vectors(x, shape, gamma=gamma)
    _slopes(dy, x, x.shape[: x.ndim - len(shape)], mean=mean, invstd=invstd)
    dx = _output(out, x, "dy", dy=dy, x=x, gamma=gamma, mean=mean, invstd=invstd)
    dgamma, dbeta = way("normalization").sample_backward("layer", dy, x, gamma, (mean, invstd), dx, shape, 0)
    return dx, dgamma, dbeta


def rms_norm_forward(
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    *,
    normalized_shape: int | tuple[int, ...] | None = None,
    eps: float | None = None,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Scale every row to a root mean square of 1: y = gamma x / √(mean(x²) + eps), a row being the last axes of x.

    Parameters
    ----------
    x : array (N, ..., D), float32, float64, bfloat16 or float16
        Any strides. Not written.
    gamma, normalized_shape, out
        As in :func:`layer_norm_forward`.
    eps : float > 0 or None, default None
        Added to the mean square, in squared units of x. None: the distance from 1 to the next number of gamma's dtype.

    Returns
    -------
    y : array like x
        `out`, or a new array laid out in memory as x is.
    invrms : float64 array (N, ...), x's other axes
        1 / √(mean(x²) + eps), the backward's argument.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, overlaps an output, or is outside its
        domain. Nothing has been written then.

    Notes
    -----
    torch.nn.functional.rms_norm is the same, but that rows whose squares overflow become 0. Keras's epsilon is 1e-6.

    References
    ----------
    Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019, equation 4.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> y, invrms = fo.normalization.rms_norm_forward(np.array([[2.0, -2.0], [1.0, 7.0]]))
    >>> y.round(3)
    array([[ 1. , -1. ],
           [ 0.2,  1.4]])
    >>> invrms.round(3)
    array([0.5, 0.2])
    """
    shape = _normalized(x, gamma, normalized_shape)
    _vectors(x, shape, gamma=gamma)
    eps = float(np.finfo(parameter_type(x)).eps) if eps is None else expect.eps(eps, x.dtype)
    y = _output(out, x, "x", x=x, gamma=gamma)
    outer = x.shape[: x.ndim - len(shape)]
    (invrms,) = way("normalization").sample_forward("rms", x, gamma, None, y, outer, shape, 0, eps)
    return y, invrms


def rms_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None,
    invrms: np.ndarray,
    *,
    normalized_shape: int | tuple[int, ...] | None = None,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of RMS norm: dx = invrms (g − x̂ mean(g x̂)) with g = gamma dy and x̂ = x invrms, and dgamma.

    Parameters
    ----------
    dy : array like x
        The loss's gradient with respect to y. Any strides.
    x : array (N, ..., D), float32, float64, bfloat16 or float16
        The forward's input, as it was.
    gamma, normalized_shape, out
        As in :func:`layer_norm_backward`.
    invrms : float64 array (N, ...), x's other axes
        What the forward returned.

    Returns
    -------
    dx : array like x
        `out`, or a new array laid out in memory as x is.
    dgamma : array of a row's shape, dtype of gamma
        Also where the forward had no gamma.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, or overlaps `out`. Nothing has been
        written then.

    Notes
    -----
    One pass over memory, as in :func:`layer_norm_backward`. torch and Keras give the same gradients.

    References
    ----------
    Zhang and Sennrich 2019, equation 4.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> x = np.array([[2.0, -2.0], [1.0, 7.0]])
    >>> y, invrms = fo.normalization.rms_norm_forward(x)
    >>> dx, dgamma = fo.normalization.rms_norm_backward(np.ones((2, 2)), x, None, invrms)
    >>> dx.round(3), dgamma.round(3)
    (array([[ 0.5  ,  0.5  ],
           [ 0.168, -0.024]]), array([1.2, 0.4]))
    """
    shape = _normalized(x, gamma, normalized_shape)
    _vectors(x, shape, gamma=gamma)
    _slopes(dy, x, x.shape[: x.ndim - len(shape)], invrms=invrms)
    dx = _output(out, x, "dy", dy=dy, x=x, gamma=gamma, invrms=invrms)
    (dgamma,) = way("normalization").sample_backward("rms", dy, x, gamma, (invrms,), dx, shape, 0)
    return dx, dgamma


def group_norm_forward(
    x: np.ndarray,
    num_groups: int,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize every group of channels of every sample, then scale and shift by channel.

    Parameters
    ----------
    x : array (N, C, ...), float32, float64, bfloat16 or float16
        Any strides; at least two axes. Not written.
    num_groups : int ≥ 1
        Neighbouring channels make C / num_groups a group; it divides C. 1 normalizes whole samples, C each channel of
        a sample by itself (instance norm).
    gamma, beta : arrays (C,), or None
        Of the dtype that :func:`layer_norm_forward` wants.
    eps, out
        As in :func:`layer_norm_forward`.
    channel_axis : int, default 1
        Which axis of x is C: any but the first.

    Returns
    -------
    y : array like x
        `out`, or a new array laid out in memory as x is.
    mean, invstd : float64 arrays (N, num_groups)
        What groups were normalized by, 1 / √(variance + eps) being `invstd`: the backward's arguments.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, overlaps an output, or is outside its
        domain. Nothing has been written then.

    Notes
    -----
    The biased variance, taken about the mean in two passes. A NaN or Inf in x makes its group NaN, and no other. A
    group of one value becomes beta. torch.nn.functional.group_norm is the same; Keras's channels are the last axis, and
    its epsilon is 1e-3.

    References
    ----------
    Wu and He, "Group normalization", ECCV 2018, equations 1 to 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> y, mean, invstd = fo.normalization.group_norm_forward(np.array([[1.0, 3.0, 10.0, 30.0]]), 2)
    >>> y.round(3), mean
    (array([[-1.,  1., -1.,  1.]]), array([[ 2., 20.]]))
    """
    axis = _channels(x, channel_axis)
    return _group_forward(x, axis, _divisor(num_groups, x.shape[axis]), gamma, beta, eps, out)


def group_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    num_groups: int,
    gamma: np.ndarray | None,
    mean: np.ndarray,
    invstd: np.ndarray,
    *,
    channel_axis: int = 1,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of group norm: dx = invstd (g − mean(g) − x̂ mean(g x̂)) with g = gamma dy, dgamma, dbeta.

    Parameters
    ----------
    dy : array like x
        The loss's gradient with respect to y. Any strides.
    x : array (N, C, ...), float32, float64, bfloat16 or float16
        The forward's input, as it was.
    num_groups, channel_axis : int
        As in the forward: num_groups ≥ 1.
    gamma : array (C,), or None
        The forward's scale, as it was.
    mean, invstd : float64 arrays (N, num_groups)
        What the forward returned.
    out : array like x, or None
        Where dx goes; may be dy itself.

    Returns
    -------
    dx : array like x
        `out`, or a new array laid out in memory as x is.
    dgamma, dbeta : arrays (C,), dtype of gamma
        Also where the forward had no gamma or no beta.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, or overlaps `out`. Nothing has been
        written then.

    Notes
    -----
    A group is in cache between its two passes. torch and Keras give the same gradients.

    References
    ----------
    Wu and He 2018, equations 1 to 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> x = np.array([[1.0, 3.0, 10.0, 30.0]])
    >>> y, mean, invstd = fo.normalization.group_norm_forward(x, 2)
    >>> dx, dgamma, dbeta = fo.normalization.group_norm_backward(np.ones((1, 4)), x, 2, None, mean, invstd)
    >>> dgamma.round(3), dbeta
    (array([-1.,  1., -1.,  1.]), array([1., 1., 1., 1.]))
    """
    axis = _channels(x, channel_axis)
    return _group_backward(dy, x, axis, _divisor(num_groups, x.shape[axis]), gamma, mean, invstd, out)


def instance_norm_forward(
    x: np.ndarray,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize each channel of each sample by itself, then scale and shift by channel: group norm with C groups.

    Parameters
    ----------
    x : array (N, C, ...), float32, float64, bfloat16 or float16
        As in :func:`group_norm_forward`.
    gamma, beta, eps, channel_axis, out
        As in :func:`group_norm_forward`.

    Returns
    -------
    y, mean, invstd
        As from :func:`group_norm_forward`; the statistics are (N, C).

    Raises
    ------
    TypeError, ValueError
        As :func:`group_norm_forward`.

    Notes
    -----
    torch.nn.functional.instance_norm is the same where it keeps no running statistics.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, "Instance normalization: the missing ingredient for fast stylization", 2016.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> y, mean, invstd = fo.normalization.instance_norm_forward(np.array([[[1.0, 3.0], [10.0, 30.0]]]))
    >>> mean
    array([[ 2., 20.]])
    """
    axis = _channels(x, channel_axis)
    return _group_forward(x, axis, x.shape[axis], gamma, beta, eps, out)


def instance_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None,
    mean: np.ndarray,
    invstd: np.ndarray,
    *,
    channel_axis: int = 1,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of instance norm: those of group norm with C groups.

    Parameters
    ----------
    dy, x : arrays (N, C, ...), float32, float64, bfloat16 or float16
        As in :func:`group_norm_backward`.
    gamma, channel_axis, out
        As in :func:`group_norm_backward`.
    mean, invstd : float64 arrays (N, C)
        What the forward returned.

    Returns
    -------
    dx, dgamma, dbeta
        As from :func:`group_norm_backward`.

    Raises
    ------
    TypeError, ValueError
        As :func:`group_norm_backward`.

    Notes
    -----
    torch gives the same gradients.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky 2016.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> x = np.array([[[1.0, 3.0], [10.0, 30.0]]])
    >>> y, mean, invstd = fo.normalization.instance_norm_forward(x)
    >>> dx, dgamma, dbeta = fo.normalization.instance_norm_backward(np.ones_like(x), x, None, mean, invstd)
    >>> dbeta
    array([2., 2.])
    """
    axis = _channels(x, channel_axis)
    return _group_backward(dy, x, axis, x.shape[axis], gamma, mean, invstd, out)


def _group_forward(x, axis, groups, gamma, beta, eps, out):
    outer, shape = (len(x), groups), (x.shape[axis],)
    _vectors(x, shape, gamma=gamma, beta=beta)
    eps = expect.eps(eps, x.dtype)
    y = _output(out, x, "x", x=x, gamma=gamma, beta=beta)
    seen, result = (x, y) if axis == 1 else (np.moveaxis(x, axis, 1), np.moveaxis(y, axis, 1))
    mean, invstd = way("normalization").sample_forward("group", seen, gamma, beta, result, outer, shape, groups, eps)
    return y, mean, invstd


def _group_backward(dy, x, axis, groups, gamma, mean, invstd, out):
    outer, shape = (len(x), groups), (x.shape[axis],)
    _vectors(x, shape, gamma=gamma)
    _slopes(dy, x, outer, mean=mean, invstd=invstd)
    dx = _output(out, x, "dy", dy=dy, x=x, gamma=gamma, mean=mean, invstd=invstd)
    arrays = dy, x, dx
    slope, seen, result = arrays if axis == 1 else [np.moveaxis(array, axis, 1) for array in arrays]
    statistics = mean, invstd
    dgamma, dbeta = way("normalization").sample_backward("group", slope, seen, gamma, statistics, result, shape, groups)
    return dx, dgamma, dbeta


# ---- checks


def _normalized(x: Any, gamma: Any, normalized_shape: Any) -> tuple[int, ...]:
    """Return the shape of a row: `normalized_shape`, or gamma's, or the last axis; x is checked on the way."""
    expect.not_empty(expect.array(x, "x", among=expect.FLOATS), "x")
    if normalized_shape is not None:
        whole = isinstance(normalized_shape, int | np.integer) and not isinstance(normalized_shape, bool)
        name, shape = (
            "normalized_shape",
            expect.shape((normalized_shape,) if whole else normalized_shape, "normalized_shape"),
        )
    elif gamma is not None:
        name, shape = "gamma", expect.array(gamma, "gamma").shape
    else:
        name, shape = "x", x.shape[-1:]
    if not 1 <= len(shape) <= x.ndim or x.shape[x.ndim - len(shape) :] != shape:
        raise ValueError(f"{name}: expected the shape of the last axes of x, {x.shape}, got {shape}")
    return shape


def _channels(x: Any, channel_axis: Any) -> int:
    """Return the channel axis, counted from the front; x is checked on the way."""
    expect.not_empty(expect.array(x, "x", among=expect.FLOATS), "x")
    axis = channel_axis_of(channel_axis)
    if x.ndim < 2:
        raise ValueError(f"x: expected two or more axes, got shape {x.shape}")
    if not -x.ndim <= axis < x.ndim or axis % x.ndim == 0:
        raise ValueError(f"channel_axis: expected an axis of x behind its first, of {x.ndim}, got {channel_axis}")
    return axis % x.ndim


def _divisor(num_groups: Any, channels: int) -> int:
    groups = expect.integer(num_groups, "num_groups", 1)
    if channels % groups:
        raise ValueError(f"num_groups: expected a divisor of the {channels} channels of x, got {groups}")
    return groups


def _vectors(x: np.ndarray, shape: tuple[int, ...], **given: Any) -> None:
    """Check parameters, which may be None."""
    dtype = parameter_type(x)
    if not all_fit(given.values(), dtype, shape):
        for name, array in given.items():
            if array is not None:
                expect.array(array, name, dtype=dtype, shape=shape)


def _slopes(dy: Any, x: np.ndarray, shape: tuple[int, ...], **statistics: Any) -> None:
    """Check what only a backward takes: dy, and the statistics that the forward returned."""
    expect.array(dy, "dy", dtype=x.dtype, shape=x.shape)
    expect.arrays(expect.FLOAT64, shape, **statistics)


def _output(out: Any, x: np.ndarray, same: str, /, **apart: np.ndarray | None) -> np.ndarray:
    """Return `out`, checked, or a new array in the memory layout of x."""
    if out is None:
        return np.empty_like(x, subok=False)
    return expect.output(out, "out", dtype=x.dtype, shape=x.shape, apart=apart, same=same)
