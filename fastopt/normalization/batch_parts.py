"""Batch normalization in parts, for a batch that several processes share: what each does, and what they agree on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.normalization.views import parameter_type
from fastopt.kernels.runtime.targets import way
from fastopt.normalization import batch
from fastopt.normalization.batch import Activation

Statistics = tuple[np.ndarray, np.ndarray, int]


@expect.nearest
def batch_norm_stats(x: np.ndarray, *, channel_axis: int = 1) -> Statistics:
    """Return mean, biased variance and number of values of every channel.

    Parameters
    ----------
    x : array (N, C, ...), float32, float64, bfloat16 or float16
        Any strides; at least two axes. Not written.
    channel_axis : int, default 1
        Which axis of x is C.

    Returns
    -------
    mean, variance : float64 arrays (C,)
    count : int
        Values of each channel in x; 1 is enough here.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type or shape, or empty.

    Notes
    -----
    One pass, in parts that are merged: stable for any data, as :func:`batch_norm_forward` is. torch has
    ``batch_norm_stats`` for CUDA alone, which returns invstd instead of the variance; Keras has nothing alike.

    References
    ----------
    Chan, Golub and LeVeque, "Algorithms for computing the sample variance: analysis and recommendations", The American
    Statistician 37, 1983.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.normalization.batch_norm_stats(np.array([[1.0, 10.0], [3.0, 10.0]]))
    (array([ 2., 10.]), array([1., 0.]), 2)
    """
    axis, channels = batch.geometry(x, channel_axis)
    return *way("normalization").batch_statistics(x, axis=axis), x.size // channels


@expect.nearest
def merge_stats(stats: Sequence[Statistics]) -> Statistics:
    """Return the statistics of a whole batch from those of its parts.

    Parameters
    ----------
    stats : sequence of (mean, variance, count)
        As :func:`batch_norm_stats` returns them: what an all-gather brings together. Counts may differ. The order of
        parts matters to the last bit, so every process should have the same.

    Returns
    -------
    mean, variance : float64 arrays (C,)
    count : int

    Raises
    ------
    TypeError, ValueError
        If there are no parts, or one is of another type or shape.

    Notes
    -----
    Deviations of the parts' means from the whole's come on top of the deviations within the parts. torch's
    ``batch_norm_gather_stats_with_counts`` does the same, on CUDA.

    References
    ----------
    Chan, Golub and LeVeque 1983.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> x = np.arange(12.0).reshape(6, 2)
    >>> parts = [fo.normalization.batch_norm_stats(part) for part in (x[:2], x[2:])]
    >>> fo.normalization.merge_stats(parts)
    (array([5., 6.]), array([11.66666667, 11.66666667]), 6)
    """
    if not isinstance(stats, list | tuple) or not stats:
        raise ValueError(f"stats: expected one or more triples of mean, variance and count, got {expect.shown(stats)}")
    for k, part in enumerate(stats):
        if not isinstance(part, tuple) or len(part) != 3:
            raise TypeError(f"stats[{k}]: expected a triple of mean, variance and count, got {expect.describe(part)}")
        mean = expect.array(part[0], f"stats[{k}] mean", dtype=np.dtype(np.float64))
        channels = stats[0][0].shape if k else mean.shape
        for name, array in (("mean", mean), ("variance", part[1])):
            expect.array(array, f"stats[{k}] {name}", dtype=np.dtype(np.float64), shape=channels)
        expect.integer(part[2], f"stats[{k}] count", 1)
    counts = np.array([part[2] for part in stats], np.float64).reshape(-1, *(1,) * len(channels))
    means, variances = np.stack([part[0] for part in stats]), np.stack([part[1] for part in stats])
    total = counts.sum()
    with np.errstate(invalid="ignore", over="ignore"):  # Inf makes NaN here, as it should
        mean = (means * (counts / total)).sum(axis=0)
        variance = ((variances + (means - mean) ** 2) * (counts / total)).sum(axis=0)
    return mean, variance, int(total)


@expect.nearest
def batch_norm_apply(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    eps: float = 1e-5,
    channel_axis: int = 1,
    activation: Activation = None,
    residual: np.ndarray | None = None,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Normalize x by given statistics: y = gamma (x − mean) / √(variance + eps) + beta, a residual added, and ReLU.

    Parameters
    ----------
    x : array (N, C, ...), float32, float64, bfloat16 or float16
        Any strides; at least two axes.
    gamma, beta : arrays (C,), dtype of x: float32 where that is of 16 bits
        Scale and shift, in units of y.
    mean, variance : float64 arrays (C,)
        Of the whole batch: what :func:`merge_stats` returned.
    eps : float > 0, default 1e-5
        Added to the variance, in squared units of x.
    channel_axis, activation, residual
        As in :func:`batch_norm_forward`.
    out : array like x, or None
        Where y goes; may be x itself, where no backward follows.

    Returns
    -------
    y : array like x
        `out`, or a new array laid out in memory as x is.
    invstd : float64 array (C,)
        1 / √(variance + eps), the backward's argument.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, overlaps an output, or is outside its
        domain. Nothing has been written then.

    Notes
    -----
    torch's ``batch_norm_elemt`` is the same, on CUDA.

    References
    ----------
    Ioffe and Szegedy 2015, Algorithm 1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> x = np.array([[1.0, 10.0], [3.0, 10.0]])
    >>> mean, variance, count = fo.normalization.batch_norm_stats(x)
    >>> y, invstd = fo.normalization.batch_norm_apply(x, np.ones(2), np.zeros(2), mean, variance)
    >>> y.round(3)
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    axis, channels = batch.geometry(x, channel_axis)
    expect.arrays(parameter_type(x), (channels,), gamma=gamma, beta=beta)
    expect.arrays(expect.FLOAT64, (channels,), mean=mean, variance=variance)
    parts = {"x": x, "gamma": gamma, "beta": beta, "mean": mean, "variance": variance, "residual": residual}
    options = {
        "eps": expect.eps(eps, x.dtype),
        "axis": axis,
        "activation": batch.activation_of(activation),
        "residual": batch.residual_of(residual, x),
    }
    y = batch.output(out, x, parts, same="x")
    return y, way("normalization").batch_normalize(x, gamma, beta, mean, variance, y, **options)


@expect.nearest
def batch_norm_gradient_sums(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray,
    mean: np.ndarray,
    invstd: np.ndarray,
    *,
    beta: np.ndarray | None = None,
    channel_axis: int = 1,
    activation: Activation = None,
    residual: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for every channel, the sum of dy as the activation lets it through, and of dy x̂.

    Parameters
    ----------
    dy, x : arrays (N, C, ...), float32, float64, bfloat16 or float16
        The loss's gradient with respect to y, and the forward's input.
    gamma, mean, invstd, beta, channel_axis, activation, residual
        As in :func:`batch_norm_backward`; the statistics are those of the whole batch.

    Returns
    -------
    sum_dy, sum_dy_xhat : float64 arrays (C,)
        Summed over all processes they are the gradients of beta and of gamma, and what
        :func:`batch_norm_gradient_apply` takes.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, or missing.

    Notes
    -----
    torch's ``batch_norm_backward_reduce`` does the same on CUDA, but for the factor invstd of its second sum.

    References
    ----------
    Ioffe and Szegedy 2015, section 3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> x, gamma = np.array([[1.0], [3.0], [5.0]]), np.ones(1)
    >>> mean, variance, count = fo.normalization.batch_norm_stats(x)
    >>> invstd = 1 / np.sqrt(variance + 1e-5)
    >>> sums = fo.normalization.batch_norm_gradient_sums(np.ones((3, 1)), x, gamma, mean, invstd)
    >>> np.round(sums, 6)
    array([[3.],
           [0.]])
    """
    axis = batch.slopes(dy, x, gamma, mean, invstd, beta, channel_axis, activation)
    residual = batch.residual_of(residual, x)
    options: dict[str, Any] = {"axis": axis, "activation": activation, "residual": residual}
    sums = way("normalization").batch_gradient_sums(dy, x, gamma, beta, mean, invstd, **options)
    return sums[0], sums[1]


@expect.nearest
def batch_norm_gradient_apply(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray,
    mean: np.ndarray,
    invstd: np.ndarray,
    sum_dy: np.ndarray,
    sum_dy_xhat: np.ndarray,
    count: int,
    *,
    beta: np.ndarray | None = None,
    channel_axis: int = 1,
    activation: Activation = None,
    residual: np.ndarray | None = None,
    out: np.ndarray | None = None,
    out_residual: np.ndarray | None = None,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Return the gradient of x, from sums over the whole batch: gamma invstd (dy − sum_dy / n − x̂ sum_dy_xhat / n).

    Parameters
    ----------
    dy, x : arrays (N, C, ...), float32, float64, bfloat16 or float16
        The loss's gradient with respect to y, and the forward's input.
    gamma, mean, invstd
        As in :func:`batch_norm_backward`; the statistics are those of the whole batch.
    sum_dy, sum_dy_xhat : float64 arrays (C,)
        What :func:`batch_norm_gradient_sums` returned, summed over all processes.
    count : int ≥ 1
        Values of each channel in the whole batch: n.
    beta, channel_axis, activation, residual, out, out_residual
        As in :func:`batch_norm_backward`.

    Returns
    -------
    dx : array like x
        `out`, or a new array laid out in memory as x is.
    dresidual : array like x
        Only where a residual was given, as from :func:`batch_norm_backward`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another type, dtype or shape, empty, read-only, overlaps an output, or is outside its
        domain. Nothing has been written then.

    Notes
    -----
    torch's ``batch_norm_backward_elemt`` does the same, on CUDA.

    References
    ----------
    Ioffe and Szegedy 2015, section 3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> x, dy, gamma = np.array([[1.0], [3.0], [5.0]]), np.ones((3, 1)), np.ones(1)
    >>> mean, variance, count = fo.normalization.batch_norm_stats(x)
    >>> invstd = 1 / np.sqrt(variance + 1e-5)
    >>> sums = fo.normalization.batch_norm_gradient_sums(dy, x, gamma, mean, invstd)
    >>> fo.normalization.batch_norm_gradient_apply(dy, x, gamma, mean, invstd, *sums, count).ravel().round(6)
    array([0., 0., 0.])
    """
    axis = batch.slopes(dy, x, gamma, mean, invstd, beta, channel_axis, activation)
    expect.arrays(expect.FLOAT64, gamma.shape, sum_dy=sum_dy, sum_dy_xhat=sum_dy_xhat)
    count = expect.integer(count, "count", 1)
    residual = batch.residual_of(residual, x)
    parts = {"dy": dy, "x": x, "gamma": gamma, "beta": beta, "mean": mean, "invstd": invstd, "residual": residual}
    parts |= {"sum_dy": sum_dy, "sum_dy_xhat": sum_dy_xhat}
    dx = batch.output(out, x, parts, same="dy")
    dresidual = batch.residual_output(out_residual, dy, dx, residual, activation, parts)
    options: dict[str, Any] = {"axis": axis, "activation": activation, "residual": residual, "training": True}
    kept = dresidual if activation else None
    sums = sum_dy, sum_dy_xhat
    way("normalization").batch_gradient(dy, x, gamma, beta, mean, invstd, sums, count, dx, kept, **options)
    return dx if dresidual is None else (dx, dresidual)
