"""Normalization: batch, layer, RMS and group norm, each as two functions, and as a layer that keeps its parameters,
statistics and gradients.

Semantics are PyTorch's. Batch norm's channel is axis 1 unless `channel_axis` says otherwise, and every other axis is
reduced: (N, C), (N, C, L), (N, C, H, W) and (N, C, D, H, W), or channels-last with channel_axis=-1.
"""

from typing import Any

import numpy as np

from fastopt import _across, _batch_checks, _check, _normalization
from fastopt._across_layers import RowNorm, row_shape
from fastopt._batch_checks import Activation

__all__ = [
    "BatchNorm", "GroupNorm", "LayerNorm", "RMSNorm", "batch_norm_backward", "batch_norm_forward",
    "group_norm_backward", "group_norm_forward", "layer_norm_backward", "layer_norm_forward", "rms_norm_backward",
    "rms_norm_forward",
]  # fmt: skip


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
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize every channel: y = gamma (x − mean) / √(variance + eps) + beta, and ReLU of it if asked.

    Parameters
    ----------
    x : array (N, C, ...), float32 or float64
        Any strides; at least two axes. Not written.
    gamma, beta : arrays (C,), dtype of x
        Scale and shift, in units of y.
    running_mean, running_var : arrays (C,), dtype of x, or None
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
        Applied to y in the same pass.
    out : array like x, or None
        Where y goes. In inference it may be x itself; in training it may not, for the backward needs x.

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
    The variance is taken about the mean, in two passes; a mean of 1e4 with a spread of 1e-2 is normalized right.
    x is normalized by the biased variance, while the running variance takes the unbiased one, times
    m / (m − 1) for m values: torch is the same. Keras's momentum (0.99) weighs the old value, and its moving variance
    is biased. A NaN or Inf in x makes its channel NaN, and no other. ReLU leaves NaN as it is.

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
    axis, channels = _batch_checks.geometry(x, channel_axis)
    vectors: dict[str, Any] = {"gamma": gamma, "beta": beta}
    _batch_checks.vectors(x, channels, **vectors)
    running = {"running_mean": running_mean, "running_var": running_var}
    options = {
        "eps": _check.number(eps, "eps", _check.POSITIVE),
        "axis": axis,
        "activation": _batch_checks.activation_of(activation),
    }
    momentum = _check.number(momentum, "momentum", _check.UNIT)
    if not _check.flag(training, "training"):
        _batch_checks.vectors(x, channels, **running)
        y = _batch_checks.output(out, x, {"x": x, **vectors, **running}, same="x")
        return y, *_normalization.infer(x, gamma, beta, y, running_mean, running_var, **options)
    if x.size == channels:
        raise ValueError(f"x: expected two or more values per channel in training, got shape {x.shape}")
    apart = {"x": x, **vectors}
    for name, array in running.items():
        if array is not None:
            apart[name] = _check.output(array, name, dtype=x.dtype, shape=(channels,), apart=apart)
    y = _batch_checks.output(out, x, apart)
    return y, *_normalization.forward(x, gamma, beta, y, running_mean, running_var, momentum=momentum, **options)


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
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of batch norm: dx = gamma invstd (dy − mean(dy) − x̂ mean(dy x̂)), dgamma, dbeta.

    Parameters
    ----------
    dy : array like x
        The loss's gradient with respect to y. Any strides.
    x : array (N, C, ...), float32 or float64
        The forward's input, as it was.
    gamma : array (C,), dtype of x
        The forward's scale, as it was.
    mean, invstd : float64 arrays (C,)
        What the forward returned.
    beta : array (C,), dtype of x, or None
        The forward's shift; required with activation="relu".
    training, channel_axis, activation
        As in the forward. With training=False the statistics are constants: dx = gamma invstd dy.
    out : array like x, or None
        Where dx goes; may be dy itself.

    Returns
    -------
    dx : array like x
        `out`, or a new array laid out in memory as x is.
    dgamma, dbeta : arrays (C,), dtype of x

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, overlaps `out`, or is missing. Nothing
        has been written then.

    Notes
    -----
    The same gradients as torch's and Keras's.

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
    axis, channels = _batch_checks.geometry(x, channel_axis)
    _batch_checks.vectors(x, channels, gamma=gamma)
    _check.array(dy, "dy", dtype=x.dtype, shape=x.shape)
    for name, array in (("mean", mean), ("invstd", invstd)):
        _check.array(array, name, dtype=np.dtype(np.float64), shape=(channels,))
    if _batch_checks.activation_of(activation) is not None or beta is not None:
        _batch_checks.vectors(x, channels, beta=beta)
    parts = {"dy": dy, "x": x, "gamma": gamma, "beta": beta, "mean": mean, "invstd": invstd}
    options = {"training": _check.flag(training, "training"), "axis": axis, "activation": activation}
    dx = _batch_checks.output(out, x, parts, same="dy")
    return dx, *_normalization.backward(dy, x, gamma, beta, mean, invstd, dx, **options)


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
    x : array (N, ..., D), float32 or float64
        Any strides. Not written.
    gamma, beta : arrays of a row's shape, dtype of x, or None
        Scale and shift, in units of y; None: 1 and 0.
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
    shape = _across.normalized(x, gamma, normalized_shape)
    _across.vectors(x, shape, gamma=gamma, beta=beta)
    eps = _check.number(eps, "eps", _check.POSITIVE)
    y = _across.output(out, x, "x", x=x, gamma=gamma, beta=beta)
    outer = x.shape[: x.ndim - len(shape)]
    mean, invstd = _across.forward("layer", x, gamma, beta, y, outer, eps, normalized_shape=shape)
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
    x : array (N, ..., D), float32 or float64
        The forward's input, as it was.
    gamma : array of a row's shape, dtype of x, or None
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
    dgamma, dbeta : arrays of a row's shape, dtype of x
        Also where the forward had no gamma or no beta.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, or overlaps `out`. Nothing has been
        written then.

    Notes
    -----
    One pass over memory: a row's sums, its dx and its share of dgamma and dbeta are made while it is in cache. Sums
    over rows run in the type of x for 16 rows and go on in float64. torch and Keras give the same gradients.

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
    shape = _across.normalized(x, gamma, normalized_shape)
    _across.vectors(x, shape, gamma=gamma)
    _across.slopes(dy, x, x.shape[: x.ndim - len(shape)], mean=mean, invstd=invstd)
    dx = _across.output(out, x, "dy", dy=dy, x=x, gamma=gamma, mean=mean, invstd=invstd)
    dgamma, dbeta = _across.backward("layer", dy, x, gamma, (mean, invstd), dx, shape, normalized_shape=shape)
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
    x : array (N, ..., D), float32 or float64
        Any strides. Not written.
    gamma : array of a row's shape, dtype of x, or None
        Scale, in units of y; None: 1.
    normalized_shape : int, tuple of int, or None
        A row's shape: x's last axes. None: the shape of gamma, or else the last axis.
    eps : float > 0 or None, default None
        Added to the mean square, in squared units of x. None: the distance from 1 to the next number of x's dtype.
    out : array like x, or None
        Where y goes. May be x itself, where no backward follows.

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
    Squares are summed in the type of x: a row whose squares overflow it becomes 0, as in torch, whose
    torch.nn.functional.rms_norm is the same. Keras's epsilon is 1e-6.

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
    shape = _across.normalized(x, gamma, normalized_shape)
    _across.vectors(x, shape, gamma=gamma)
    eps = float(np.finfo(x.dtype).eps) if eps is None else _check.number(eps, "eps", _check.POSITIVE)
    y = _across.output(out, x, "x", x=x, gamma=gamma)
    outer = x.shape[: x.ndim - len(shape)]
    (invrms,) = _across.forward("rms", x, gamma, None, y, outer, eps, normalized_shape=shape)
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
    x : array (N, ..., D), float32 or float64
        The forward's input, as it was.
    gamma : array of a row's shape, dtype of x, or None
        The forward's scale, as it was.
    invrms : float64 array (N, ...), x's other axes
        What the forward returned.
    normalized_shape : int, tuple of int, or None
        As in the forward.
    out : array like x, or None
        Where dx goes; may be dy itself.

    Returns
    -------
    dx : array like x
        `out`, or a new array laid out in memory as x is.
    dgamma : array of a row's shape, dtype of x
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
    shape = _across.normalized(x, gamma, normalized_shape)
    _across.vectors(x, shape, gamma=gamma)
    _across.slopes(dy, x, x.shape[: x.ndim - len(shape)], invrms=invrms)
    dx = _across.output(out, x, "dy", dy=dy, x=x, gamma=gamma, invrms=invrms)
    (dgamma,) = _across.backward("rms", dy, x, gamma, (invrms,), dx, shape, normalized_shape=shape)
    return dx, dgamma


def group_norm_forward(
    x: np.ndarray,
    num_groups: int,
    gamma: np.ndarray | None = None,
    beta: np.ndarray | None = None,
    *,
    eps: float = 1e-5,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize every group of channels of every sample, then scale and shift by channel.

    Parameters
    ----------
    x : array (N, C, ...), float32 or float64
        Any strides; at least two axes. Not written.
    num_groups : int ≥ 1
        Neighbouring channels make C / num_groups a group; it divides C. 1 normalizes whole samples, C each channel of
        a sample by itself (instance norm).
    gamma, beta : arrays (C,), dtype of x, or None
        Scale and shift, in units of y; None: 1 and 0.
    eps : float > 0, default 1e-5
        Added to the variance, in squared units of x.
    out : array like x, or None
        Where y goes. May be x itself, where no backward follows.

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
    group of one value becomes beta. torch.nn.functional.group_norm is the same; Keras has the channels last, and its
    epsilon is 1e-3.

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
    groups = _across.grouped(x, num_groups)
    _across.vectors(x, x.shape[1:2], gamma=gamma, beta=beta)
    eps = _check.number(eps, "eps", _check.POSITIVE)
    y = _across.output(out, x, "x", x=x, gamma=gamma, beta=beta)
    mean, invstd = _across.forward("group", x, gamma, beta, y, (len(x), groups), eps, num_groups=groups)
    return y, mean, invstd


def group_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    num_groups: int,
    gamma: np.ndarray | None,
    mean: np.ndarray,
    invstd: np.ndarray,
    *,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of group norm: dx = invstd (g − mean(g) − x̂ mean(g x̂)) with g = gamma dy, dgamma, dbeta.

    Parameters
    ----------
    dy : array like x
        The loss's gradient with respect to y. Any strides.
    x : array (N, C, ...), float32 or float64
        The forward's input, as it was.
    num_groups : int ≥ 1
        As in the forward.
    gamma : array (C,), dtype of x, or None
        The forward's scale, as it was.
    mean, invstd : float64 arrays (N, num_groups)
        What the forward returned.
    out : array like x, or None
        Where dx goes; may be dy itself.

    Returns
    -------
    dx : array like x
        `out`, or a new array laid out in memory as x is.
    dgamma, dbeta : arrays (C,), dtype of x
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
    groups = _across.grouped(x, num_groups)
    _across.vectors(x, x.shape[1:2], gamma=gamma)
    _across.slopes(dy, x, (len(x), groups), mean=mean, invstd=invstd)
    dx = _across.output(out, x, "dy", dy=dy, x=x, gamma=gamma, mean=mean, invstd=invstd)
    dgamma, dbeta = _across.backward("group", dy, x, gamma, (mean, invstd), dx, x.shape[1:2], num_groups=groups)
    return dx, dgamma, dbeta


class BatchNorm:
    """A batch norm layer: parameters, running statistics, and gradients, over :func:`batch_norm_forward`.

    Parameters
    ----------
    features : int ≥ 1
        Channels of the input.
    momentum : float in [0, 1] or None, default 0.1
        Weight of a new batch in the running statistics; None averages all batches alike.
    eps : float > 0, default 1e-5
        Added to the variance, in squared units of x.
    channel_axis : int, default 1
        Which axis of the input holds the channels; -1 for channels-last.
    affine : bool, default True
        Scale by gamma and shift by beta. Without them both are None, and so are their gradients.
    activation : {None, "relu"}
        Applied to the output in the same pass, and undone in the backward.
    dtype : {"float32", "float64"}
        Of inputs, parameters and statistics.

    Attributes
    ----------
    gamma, beta : arrays (features,)
        Start at 1 and 0; give them to an optimizer.
    grad_gamma, grad_beta : arrays (features,)
        Written in place by every `backward`, not added up.
    running_mean, running_var : arrays (features,)
        Start at 0 and 1; written in place by `forward` in training.
    num_batches_tracked : int
        Batches that the running statistics have seen.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    torch's BatchNorm1d to 3d with track_running_stats is the same. In Keras momentum (0.99) weighs the old value,
    epsilon is 1e-3, and the moving variance is biased: give momentum=0.01, eps=1e-3.

    To train on frozen statistics, call `forward(x, training=False)`: its backward takes them for constants.

    References
    ----------
    Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", ICML 2015.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> bn = fo.normalization.BatchNorm(2, activation="relu", dtype="float64")
    >>> bn.forward(np.array([[1.0, 10.0], [3.0, 10.0]])).round(3)
    array([[0., 0.],
           [1., 0.]])
    >>> bn.running_mean
    array([0.2, 1. ])
    >>> bn.backward(np.ones((2, 2))).shape, bn.grad_beta
    ((2, 2), array([1., 0.]))
    """

    def __init__(
        self,
        features: int,
        momentum: float | None = 0.1,
        eps: float = 1e-5,
        channel_axis: int = 1,
        affine: bool = True,
        activation: Activation = None,
        dtype: str = "float32",
    ):
        if isinstance(features, bool) or not isinstance(features, int | np.integer) or features < 1:
            raise ValueError(f"features: expected an integer of at least 1, got {features!r}")
        self.features, self.channel_axis = int(features), _batch_checks.channel_axis_of(channel_axis)
        self.momentum = None if momentum is None else _check.number(momentum, "momentum", _check.UNIT)
        self.eps = _check.number(eps, "eps", _check.POSITIVE)
        self.affine = _check.flag(affine, "affine")
        self.activation = _batch_checks.activation_of(activation)
        self.dtype = np.dtype(_check.choice(str(dtype), "dtype", ("float32", "float64")))
        self._parameters = np.ones(features, self.dtype), np.zeros(features, self.dtype)
        self.gamma, self.beta, self.grad_gamma, self.grad_beta = (
            (*self._parameters, *np.zeros((2, features), self.dtype)) if affine else (None,) * 4
        )
        self.running_mean, self.running_var = np.zeros(features, self.dtype), np.ones(features, self.dtype)
        self.num_batches_tracked = 0
        self._kept: tuple | None = None

    def forward(self, x: np.ndarray, training: bool = True, out: np.ndarray | None = None) -> np.ndarray:
        """Return the normalized x, and keep what `backward` needs: x itself, not a copy.

        Parameters
        ----------
        x : array, `features` long on `channel_axis`, of the layer's dtype
            Not written; must stay as it is until `backward`.
        training : bool, default True
            Normalize by the statistics of x and update the running ones, or normalize by those.
        out : array like x, or None
            Where the result goes. In inference it may be x itself; no backward can follow then.

        Raises
        ------
        TypeError, ValueError
            As :func:`batch_norm_forward`. The layer is as it was then.
        """
        _check.array(x, "x", dtype=self.dtype)
        axis, channels = _batch_checks.geometry(x, self.channel_axis)
        if channels != self.features:
            raise ValueError(f"x: expected {self.features} channels on axis {axis}, got shape {x.shape}")
        gamma, beta = self._parameters
        y, mean, invstd = batch_norm_forward(
            x,
            gamma,
            beta,
            running_mean=self.running_mean,
            running_var=self.running_var,
            momentum=1.0 / (self.num_batches_tracked + 1) if self.momentum is None else self.momentum,
            eps=self.eps,
            training=training,
            channel_axis=axis,
            activation=self.activation,
            out=out,
        )
        self.num_batches_tracked += bool(training)
        self._kept = None if out is x else (x, mean, invstd, training)
        return y

    def backward(self, dy: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the gradient with respect to the last forward's x, and write `grad_gamma` and `grad_beta`.

        Parameters
        ----------
        dy : array like x
            The loss's gradient with respect to what `forward` returned.
        out : array like x, or None
            Where the result goes; may be dy itself.

        Raises
        ------
        TypeError, ValueError
            As :func:`batch_norm_backward`, and if no forward has kept its x. The layer is as it was then.
        """
        if self._kept is None:
            raise ValueError("backward: expected a forward before it, with an `out` other than x, got none")
        x, mean, invstd, training = self._kept
        gamma, beta = self._parameters
        dx, dgamma, dbeta = batch_norm_backward(
            dy,
            x,
            gamma,
            mean,
            invstd,
            beta=beta,
            training=training,
            channel_axis=self.channel_axis,
            activation=self.activation,
            out=out,
        )
        if self.grad_gamma is not None and self.grad_beta is not None:
            self.grad_gamma[...], self.grad_beta[...] = dgamma, dbeta
        return dx

    def __repr__(self) -> str:
        return (
            f"BatchNorm({self.features}, momentum={self.momentum}, eps={self.eps}, channel_axis={self.channel_axis}, "
            f"affine={self.affine}, activation={self.activation!r}, dtype={str(self.dtype)!r})"
        )


class LayerNorm(RowNorm):
    """A layer norm layer: parameters and their gradients, over :func:`layer_norm_forward`.

    Parameters
    ----------
    normalized_shape : int ≥ 1, or tuple of such
        The last axes of the input, which make a row.
    eps : float > 0, default 1e-5
        Added to the variance, in squared units of x.
    affine : bool, default True
        Scale by gamma and shift by beta. Without them both are None, and so are their gradients.
    bias : bool, default True
        False: gamma alone.
    dtype : {"float32", "float64"}
        Of inputs and parameters.

    Attributes
    ----------
    gamma, beta : arrays of a row's shape
        Start at 1 and 0; give them to an optimizer.
    grad_gamma, grad_beta : arrays of a row's shape
        Written in place by every `backward`, not added up.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    torch.nn.LayerNorm is the same (`affine` is its elementwise_affine). Keras's epsilon is 1e-3.

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", 2016.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> layer = fo.normalization.LayerNorm(2, dtype="float64")
    >>> layer.forward(np.array([[1.0, 3.0], [10.0, 30.0]])).round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    >>> layer.backward(np.ones((2, 2))).round(3), layer.grad_beta
    (array([[0., 0.],
           [0., 0.]]), array([2., 2.]))
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        dtype: str = "float32",
    ):
        self.normalized_shape = row_shape(normalized_shape)
        self.eps = _check.number(eps, "eps", _check.POSITIVE)
        super().__init__(self.normalized_shape, affine, bias, dtype)

    def _forward(self, x, out):
        shape = self.normalized_shape
        return layer_norm_forward(x, self.gamma, self.beta, normalized_shape=shape, eps=self.eps, out=out)

    def _backward(self, dy, x, mean, invstd, out):
        shape = self.normalized_shape
        return layer_norm_backward(dy, x, self.gamma, mean, invstd, normalized_shape=shape, out=out)

    def __repr__(self) -> str:
        affine, bias = self.gamma is not None, self.beta is not None
        return (
            f"LayerNorm({self.normalized_shape}, eps={self.eps}, affine={affine}, bias={bias}, "
            f"dtype={str(self.dtype)!r})"
        )


class RMSNorm(RowNorm):
    """An RMS norm layer: its parameter and the gradient, over :func:`rms_norm_forward`.

    Parameters
    ----------
    normalized_shape : int ≥ 1, or tuple of such
        The last axes of the input, which make a row.
    eps : float > 0 or None, default None
        Added to the mean square, in squared units of x. None: the distance from 1 to the next number of the dtype.
    affine : bool, default True
        Scale by gamma. Without it gamma is None, and so is its gradient.
    dtype : {"float32", "float64"}
        Of inputs and parameters.

    Attributes
    ----------
    gamma : array of a row's shape
        Starts at 1; give it to an optimizer.
    grad_gamma : array of a row's shape
        Written in place by every `backward`, not added up.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    torch.nn.RMSNorm is the same (`affine` is its elementwise_affine). Keras's epsilon is 1e-6.

    References
    ----------
    Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> layer = fo.normalization.RMSNorm(2, dtype="float64")
    >>> layer.forward(np.array([[2.0, -2.0], [1.0, 7.0]])).round(3)
    array([[ 1. , -1. ],
           [ 0.2,  1.4]])
    >>> layer.backward(np.ones((2, 2))).shape, layer.grad_gamma.round(3)
    ((2, 2), array([1.2, 0.4]))
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        affine: bool = True,
        dtype: str = "float32",
    ):
        self.normalized_shape = row_shape(normalized_shape)
        self.eps = None if eps is None else _check.number(eps, "eps", _check.POSITIVE)
        super().__init__(self.normalized_shape, affine, False, dtype)

    def _forward(self, x, out):
        return rms_norm_forward(x, self.gamma, normalized_shape=self.normalized_shape, eps=self.eps, out=out)

    def _backward(self, dy, x, invrms, out):
        return rms_norm_backward(dy, x, self.gamma, invrms, normalized_shape=self.normalized_shape, out=out)

    def __repr__(self) -> str:
        affine = self.gamma is not None
        return f"RMSNorm({self.normalized_shape}, eps={self.eps}, affine={affine}, dtype={str(self.dtype)!r})"


class GroupNorm(RowNorm):
    """A group norm layer: parameters and their gradients, over :func:`group_norm_forward`.

    Parameters
    ----------
    num_groups : int ≥ 1
        Groups of neighbouring channels; divides `features`.
    features : int ≥ 1
        Channels of the input, its axis 1.
    eps : float > 0, default 1e-5
        Added to the variance, in squared units of x.
    affine : bool, default True
        Scale by gamma and shift by beta. Without them both are None, and so are their gradients.
    dtype : {"float32", "float64"}
        Of inputs and parameters.

    Attributes
    ----------
    gamma, beta : arrays (features,)
        Start at 1 and 0; give them to an optimizer.
    grad_gamma, grad_beta : arrays (features,)
        Written in place by every `backward`, not added up.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    torch.nn.GroupNorm is the same (`features` is its num_channels). Keras has the channels last, and its epsilon is
    1e-3.

    References
    ----------
    Wu and He, "Group normalization", ECCV 2018.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> layer = fo.normalization.GroupNorm(2, 4, dtype="float64")
    >>> layer.forward(np.array([[1.0, 3.0, 10.0, 30.0]])).round(3)
    array([[-1.,  1., -1.,  1.]])
    >>> layer.backward(np.ones((1, 4))).shape, layer.grad_gamma.round(3)
    ((1, 4), array([-1.,  1., -1.,  1.]))
    """

    def __init__(self, num_groups: int, features: int, eps: float = 1e-5, affine: bool = True, dtype: str = "float32"):
        self.num_groups = _check.integer(num_groups, "num_groups", 1)
        self.features = _check.integer(features, "features", 1)
        if self.features % self.num_groups:
            raise ValueError(f"num_groups: expected a divisor of features, {features}, got {num_groups}")
        self.eps = _check.number(eps, "eps", _check.POSITIVE)
        super().__init__((self.features,), affine, True, dtype)

    def _forward(self, x, out):
        if x.ndim < 2 or x.shape[1] != self.features:
            raise ValueError(f"x: expected {self.features} channels on axis 1, got shape {x.shape}")
        return group_norm_forward(x, self.num_groups, self.gamma, self.beta, eps=self.eps, out=out)

    def _backward(self, dy, x, mean, invstd, out):
        return group_norm_backward(dy, x, self.num_groups, self.gamma, mean, invstd, out=out)

    def __repr__(self) -> str:
        affine = self.gamma is not None
        return (
            f"GroupNorm({self.num_groups}, {self.features}, eps={self.eps}, affine={affine}, dtype={str(self.dtype)!r})"
        )
