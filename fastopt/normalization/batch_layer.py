"""Batch normalization as a layer, which keeps its parameters, statistics and gradients."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.normalization import batch
from fastopt.normalization.batch import Activation, batch_norm_backward, batch_norm_forward
from fastopt.normalization.layer import Layer


class BatchNorm(Layer):
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
    dtype : {"float32", "float64", "bfloat16", "float16"}
        Of inputs and results; parameters and statistics are float32 where it is one of 16 bits.
    biased : bool, default False
        The running variance takes the biased variance of a batch, as Keras's does.

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
    epsilon is 1e-3, and the moving variance is biased: give momentum=0.01, eps=1e-3, biased=True.

    Assigning to an array (`bn.gamma = new`) copies into it; `momentum`, `eps` and `num_batches_tracked` may be set too.

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

    features: int
    channel_axis: int
    activation: Activation
    biased: bool
    running_mean: np.ndarray
    running_var: np.ndarray
    momentum: float | None
    num_batches_tracked: int
    _saved = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

    def __init__(
        self,
        features: int,
        momentum: float | None = 0.1,
        eps: float = 1e-5,
        channel_axis: int = 1,
        affine: bool = True,
        activation: Activation = None,
        dtype: str = "float32",
        biased: bool = False,
    ):
        if isinstance(features, bool) or not isinstance(features, int | np.integer) or not 1 <= features < expect.MOST:
            raise ValueError(f"features: expected an integer from 1 to 2**59 - 1, got {expect.shown(features)}")
        made: dict[str, Any] = {
            "features": int(features),
            "channel_axis": batch.channel_axis_of(channel_axis),
            "activation": batch.activation_of(activation),
            "biased": expect.flag(biased, "biased"),
        }
        numbers = {"momentum": (momentum, _momentum), "eps": (eps, self._eps), "num_batches_tracked": (0, _count)}
        super().__init__((int(features),), affine, True, dtype, made, **numbers)
        ones, zeros = np.ones(features, self._parameter_dtype), np.zeros(features, self._parameter_dtype)
        vars(self).update(running_mean=zeros.copy(), running_var=ones.copy())
        self._plain = ones, zeros

    def forward(
        self,
        x: np.ndarray,
        training: bool = True,
        residual: np.ndarray | None = None,
        out: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the normalized x, and keep what `backward` needs: x itself, not a copy.

        Parameters
        ----------
        x : array, `features` long on `channel_axis`, of the layer's dtype
            Not written; must stay as it is until `backward`.
        training : bool, default True
            Normalize by the statistics of x and update the running ones, or normalize by those.
        residual : array like x, or None
            Added before the activation; must stay as it is until `backward`.
        out : array like x, or None
            Where the result goes. In inference it may be x itself; no backward can follow then.
        mask : bool array, or None
            As in :func:`batch_norm_forward`, in training; must stay as it is until `backward`.

        Raises
        ------
        TypeError, ValueError
            As :func:`batch_norm_forward`. The layer is as it was then.
        """
        batch.expect_layers(x, self.dtype, self.channel_axis, self.features)
        y, mean, invstd = batch_norm_forward(
            x,
            *self._parameters(),
            running_mean=self.running_mean,
            running_var=self.running_var,
            momentum=1.0 / (self.num_batches_tracked + 1) if self.momentum is None else self.momentum,
            eps=self.eps,
            training=training,
            channel_axis=self.channel_axis,
            activation=self.activation,
            residual=residual,
            out=out,
            mask=mask,
            biased=self.biased,
        )
        lost = out is not None and np.may_share_memory(x, y)
        own = vars(self)
        own["num_batches_tracked"] += bool(training)
        own["_kept"] = None if lost else (x, mean, invstd, training, residual, mask)
        return y

    def backward(self, dy: np.ndarray, out: np.ndarray | None = None, out_residual: np.ndarray | None = None) -> Any:
        """Return the gradient with respect to the last forward's x, and write `grad_gamma` and `grad_beta`.

        Where the forward had a residual, return a pair: the residual's gradient comes second.

        Parameters
        ----------
        dy : array like x
            The loss's gradient with respect to what `forward` returned.
        out : array like x, or None
            Where the result goes; may be dy itself.
        out_residual : array like x, or None
            Where the residual's gradient goes, with an activation; without one it is dy itself.

        Raises
        ------
        TypeError, ValueError
            As :func:`batch_norm_backward`, and if no forward has kept its x. The layer is as it was then.
        """
        x, mean, invstd, training, residual, mask = self._last_forward()
        gamma, beta = self._parameters()
        dx, dgamma, dbeta, *dresidual = batch_norm_backward(
            dy,
            x,
            gamma,
            mean,
            invstd,
            beta=beta,
            training=training,
            channel_axis=self.channel_axis,
            activation=self.activation,
            residual=residual,
            out=out,
            out_residual=out_residual,
            mask=mask,
        )
        self._write_gradients(dgamma, dbeta)
        return (dx, *dresidual) if dresidual else dx

    def _parameters(self) -> tuple[np.ndarray, np.ndarray]:
        return self._plain if self.gamma is None or self.beta is None else (self.gamma, self.beta)

    def __repr__(self) -> str:
        return (
            f"BatchNorm({self.features}, momentum={self.momentum}, eps={self.eps}, channel_axis={self.channel_axis}, "
            f"affine={self.affine}, activation={self.activation!r}, dtype={str(self.dtype)!r}, biased={self.biased})"
        )


def _momentum(value: Any, name: str) -> float | None:
    return None if value is None else expect.number(value, name, expect.UNIT)


def _count(value: Any, name: str) -> int:
    return expect.integer(value, name, 0)
