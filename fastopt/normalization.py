"""Normalization: batch norm as two functions, and as a layer that keeps its parameters, statistics and gradients.

Semantics are PyTorch's. The channel is axis 1 unless `channel_axis` says otherwise, and every other axis is reduced:
(N, C), (N, C, L), (N, C, H, W) and (N, C, D, H, W), or channels-last with channel_axis=-1.
"""

from typing import Any, Literal

import numpy as np

from fastopt import _check, _normalization

__all__ = ["BatchNorm", "batch_norm_backward", "batch_norm_forward"]

Activation = Literal["relu"] | None


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
    axis, channels = _geometry(x, channel_axis)
    vectors: dict[str, Any] = {"gamma": gamma, "beta": beta}
    _check_vectors(x, channels, **vectors)
    running = {"running_mean": running_mean, "running_var": running_var}
    options = {"eps": _check.number(eps, "eps", _check.POSITIVE), "axis": axis, "activation": _checked(activation)}
    momentum = _check.number(momentum, "momentum", _check.UNIT)
    if not _check.flag(training, "training"):
        _check_vectors(x, channels, **running)
        y = _output(out, x, {"x": x, **vectors, **running}, same="x")
        return y, *_normalization.infer(x, gamma, beta, y, running_mean, running_var, **options)
    if x.size == channels:
        raise ValueError(f"x: expected two or more values per channel in training, got shape {x.shape}")
    apart = {"x": x, **vectors}
    for name, array in running.items():
        if array is not None:
            apart[name] = _check.output(array, name, dtype=x.dtype, shape=(channels,), apart=apart)
    y = _output(out, x, apart)
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
    axis, channels = _geometry(x, channel_axis)
    _check_vectors(x, channels, gamma=gamma)
    _check.array(dy, "dy", dtype=x.dtype, shape=x.shape)
    for name, array in (("mean", mean), ("invstd", invstd)):
        _check.array(array, name, dtype=np.dtype(np.float64), shape=(channels,))
    if _checked(activation) is not None or beta is not None:
        _check_vectors(x, channels, beta=beta)
    parts = {"dy": dy, "x": x, "gamma": gamma, "beta": beta, "mean": mean, "invstd": invstd}
    options = {"training": _check.flag(training, "training"), "axis": axis, "activation": activation}
    dx = _output(out, x, parts, same="dy")
    return dx, *_normalization.backward(dy, x, gamma, beta, mean, invstd, dx, **options)


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
        self.features, self.channel_axis = int(features), _checked_axis(channel_axis)
        self.momentum = None if momentum is None else _check.number(momentum, "momentum", _check.UNIT)
        self.eps = _check.number(eps, "eps", _check.POSITIVE)
        self.affine = _check.flag(affine, "affine")
        self.activation = _checked(activation)
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
        axis, channels = _geometry(x, self.channel_axis)
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


# ---- refusals that the two functions share


def _checked_axis(channel_axis: Any) -> int:
    if isinstance(channel_axis, bool) or not isinstance(channel_axis, int | np.integer):
        raise TypeError(f"channel_axis: expected an integer, got {_check.describe(channel_axis)}")
    return int(channel_axis)


def _geometry(x: Any, channel_axis: Any) -> tuple[int, int]:
    """Return the channel axis, counted from the front, and the number of channels."""
    _check.not_empty(_check.array(x, "x"), "x")
    axis = _checked_axis(channel_axis)
    if x.ndim < 2:
        raise ValueError(f"x: expected two or more axes, got shape {x.shape}")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"channel_axis: expected an axis of x with shape {x.shape}, got {channel_axis}")
    return axis % x.ndim, x.shape[axis]


def _check_vectors(x: np.ndarray, channels: int, **vectors: Any) -> None:
    for name, vector in vectors.items():
        _check.array(vector, name, dtype=x.dtype, shape=(channels,))


def _checked(activation: Any) -> Activation:
    if activation is None:
        return None
    if not isinstance(activation, str) or activation != "relu":
        raise ValueError(f"activation: expected None or 'relu', got {activation!r}")
    return "relu"


def _output(out: Any, x: np.ndarray, apart: Any, same: str = "") -> np.ndarray:
    """Return `out`, checked, or a new array in the memory layout of x."""
    if out is None:
        return np.empty_like(x, subok=False)
    return _check.output(out, "out", dtype=x.dtype, shape=x.shape, apart=apart, same=same)
