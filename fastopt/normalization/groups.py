"""Group and instance norm, each as two functions. A group of channels of a sample is normalized by itself."""

import numpy as np

from fastopt import expect
from fastopt.kernels.runtime.settings import get_target
from fastopt.kernels.runtime.targets import way_of
from fastopt.normalization.sample import channels, divisor, output, slopes, vectors


@expect.nearest
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
    target = get_target()
    if target == "cuda":
        from fastopt.normalization import device

        return device.group_forward(x, num_groups, gamma, beta, channel_axis, eps, out)
    axis = channels(x, channel_axis)
    return _group_forward(target, x, axis, divisor(num_groups, x.shape[axis]), gamma, beta, eps, out)


@expect.nearest
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
    target = get_target()
    if target == "cuda":
        from fastopt.normalization import device

        return device.group_backward(dy, x, num_groups, gamma, mean, invstd, channel_axis, out)
    axis = channels(x, channel_axis)
    return _group_backward(target, dy, x, axis, divisor(num_groups, x.shape[axis]), gamma, mean, invstd, out)


@expect.nearest
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
    target = get_target()
    if target == "cuda":
        from fastopt.normalization import device

        return device.group_forward(x, None, gamma, beta, channel_axis, eps, out)
    axis = channels(x, channel_axis)
    return _group_forward(target, x, axis, x.shape[axis], gamma, beta, eps, out)


@expect.nearest
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
    target = get_target()
    if target == "cuda":
        from fastopt.normalization import device

        return device.group_backward(dy, x, None, gamma, mean, invstd, channel_axis, out)
    axis = channels(x, channel_axis)
    return _group_backward(target, dy, x, axis, x.shape[axis], gamma, mean, invstd, out)


def _group_forward(target, x, axis, groups, gamma, beta, eps, out):
    outer, shape = (len(x), groups), (x.shape[axis],)
    vectors(x, shape, gamma=gamma, beta=beta)
    eps = expect.eps(eps, x.dtype)
    y = output(out, x, "x", x=x, gamma=gamma, beta=beta)
    seen, result = (x, y) if axis == 1 else (np.moveaxis(x, axis, 1), np.moveaxis(y, axis, 1))
    by = way_of("normalization", target)
    mean, invstd = by.sample_forward("group", seen, gamma, beta, result, outer, shape, groups, eps)
    return y, mean, invstd


def _group_backward(target, dy, x, axis, groups, gamma, mean, invstd, out):
    outer, shape = (len(x), groups), (x.shape[axis],)
    vectors(x, shape, gamma=gamma)
    slopes(dy, x, outer, mean=mean, invstd=invstd)
    dx = output(out, x, "dy", dy=dy, x=x, gamma=gamma, mean=mean, invstd=invstd)
    arrays = dy, x, dx
    slope, seen, result = arrays if axis == 1 else [np.moveaxis(array, axis, 1) for array in arrays]
    statistics = mean, invstd
    by = way_of("normalization", target)
    dgamma, dbeta = by.sample_backward("group", slope, seen, gamma, statistics, result, shape, groups)
    return dx, dgamma, dbeta
