"""Group norm as two functions."""

import numpy as np

from fastopt import expect
from fastopt.normalization import across


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
    groups = across.grouped(x, num_groups)
    across.vectors(x, x.shape[1:2], gamma=gamma, beta=beta)
    eps = expect.number(eps, "eps", expect.POSITIVE)
    y = across.output(out, x, "x", x=x, gamma=gamma, beta=beta)
    mean, invstd = across.forward("group", x, gamma, beta, y, (len(x), groups), eps, num_groups=groups)
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
    groups = across.grouped(x, num_groups)
    across.vectors(x, x.shape[1:2], gamma=gamma)
    across.slopes(dy, x, (len(x), groups), mean=mean, invstd=invstd)
    dx = across.output(out, x, "dy", dy=dy, x=x, gamma=gamma, mean=mean, invstd=invstd)
    dgamma, dbeta = across.backward("group", dy, x, gamma, (mean, invstd), dx, x.shape[1:2], num_groups=groups)
    return dx, dgamma, dbeta
