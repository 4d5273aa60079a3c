"""Layer and RMS norm, each as two functions. A row, the last axes of x, is normalized by itself."""

import numpy as np

from fastopt import expect
from fastopt.kernels.normalization.views import parameter_type
from fastopt.kernels.runtime.settings import get_target
from fastopt.kernels.runtime.targets import way_of
from fastopt.normalization.sample import normalized, output, slopes, vectors


@expect.nearest
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
    target = get_target()
    if target == "cuda":
        from fastopt.normalization import device

        return device.forward("layer", x, gamma, beta, normalized_shape, eps, out)
    shape = normalized(x, gamma, normalized_shape)
    vectors(x, shape, gamma=gamma, beta=beta)
    eps = expect.eps(eps, x.dtype)
    y = output(out, x, "x", x=x, gamma=gamma, beta=beta)
    outer = x.shape[: x.ndim - len(shape)]
    mean, invstd = way_of("normalization", target).sample_forward("layer", x, gamma, beta, y, outer, shape, 0, eps)
    return y, mean, invstd


@expect.nearest
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
    target = get_target()
    if target == "cuda":
        from fastopt.normalization import device

        return device.backward("layer", dy, x, gamma, {"mean": mean, "invstd": invstd}, normalized_shape, out)
    shape = normalized(x, gamma, normalized_shape)
    vectors(x, shape, gamma=gamma)
    slopes(dy, x, x.shape[: x.ndim - len(shape)], mean=mean, invstd=invstd)
    dx = output(out, x, "dy", dy=dy, x=x, gamma=gamma, mean=mean, invstd=invstd)
    dgamma, dbeta = way_of("normalization", target).sample_backward("layer", dy, x, gamma, (mean, invstd), dx, shape, 0)
    return dx, dgamma, dbeta


@expect.nearest
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
    target = get_target()
    if target == "cuda":
        from fastopt.normalization import device

        return device.forward("rms", x, gamma, None, normalized_shape, eps, out)
    shape = normalized(x, gamma, normalized_shape)
    vectors(x, shape, gamma=gamma)
    eps = float(np.finfo(parameter_type(x)).eps) if eps is None else expect.eps(eps, x.dtype)
    y = output(out, x, "x", x=x, gamma=gamma)
    outer = x.shape[: x.ndim - len(shape)]
    (invrms,) = way_of("normalization", target).sample_forward("rms", x, gamma, None, y, outer, shape, 0, eps)
    return y, invrms


@expect.nearest
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
    target = get_target()
    if target == "cuda":
        from fastopt.normalization import device

        return device.backward("rms", dy, x, gamma, {"invrms": invrms}, normalized_shape, out)
    shape = normalized(x, gamma, normalized_shape)
    vectors(x, shape, gamma=gamma)
    slopes(dy, x, x.shape[: x.ndim - len(shape)], invrms=invrms)
    dx = output(out, x, "dy", dy=dy, x=x, gamma=gamma, invrms=invrms)
    (dgamma,) = way_of("normalization", target).sample_backward("rms", dy, x, gamma, (invrms,), dx, shape, 0)
    return dx, dgamma
