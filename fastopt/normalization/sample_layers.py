"""Layer, RMS, group and instance norm as layers, which keep their parameters and gradients."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.normalization import batch
from fastopt.normalization.groups import (
    group_norm_backward,
    group_norm_forward,
    instance_norm_backward,
    instance_norm_forward,
)
from fastopt.normalization.layer import Layer
from fastopt.normalization.rows import (
    layer_norm_backward,
    layer_norm_forward,
    rms_norm_backward,
    rms_norm_forward,
)


class SampleNorm(Layer):
    """A layer over a forward and a backward function, which a subclass calls."""

    _kept: tuple[Any, ...] | None

    def forward(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the normalized x, and keep what `backward` needs: x itself, not a copy.

        Parameters
        ----------
        x : array of the layer's dtype
            Not written; must stay as it is until `backward`.
        out : array like x, or None
            Where the result goes. It may be x itself; no backward can follow then.

        Raises
        ------
        TypeError, ValueError
            As the function of the layer's name. The layer is as it was then.
        """
        batch.expect_layers(x, self.dtype)
        y, *statistics = self._forward(x, out)
        lost = out is not None and np.may_share_memory(x, y)
        vars(self)["_kept"] = None if lost else (x, *statistics)
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
            As the function of the layer's name, and if no forward has kept its x. The layer is as it was then.
        """
        dx, *gradients = self._backward(dy, *self._last_forward(), out)
        self._write_gradients(*gradients)
        return dx

    def _forward(self, x: np.ndarray, out: np.ndarray | None) -> tuple[np.ndarray, ...]:
        raise NotImplementedError

    def _backward(self, dy: np.ndarray, *kept: Any) -> tuple[np.ndarray, ...]:
        raise NotImplementedError


def _row_shape(normalized_shape: Any) -> tuple[int, ...]:
    """Return a row's shape as a tuple of one or more lengths, each at least 1."""
    if not isinstance(normalized_shape, tuple | list):
        return (expect.integer(normalized_shape, "normalized_shape", 1),)
    shape = expect.shape(normalized_shape, "normalized_shape", 1)
    if 0 in shape:
        raise ValueError(f"normalized_shape: expected lengths of 1 or more, got {shape}")
    return shape


class LayerNorm(SampleNorm):
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
    dtype : {"float32", "float64", "bfloat16", "float16"}
        Of inputs and results; parameters are float32 where it is one of 16 bits.

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

    normalized_shape: tuple[int, ...]
    bias: bool

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        dtype: str = "float32",
    ):
        shape = _row_shape(normalized_shape)
        super().__init__(shape, affine, bias, dtype, {"normalized_shape": shape, "bias": bias}, eps=(eps, self._eps))

    def _forward(self, x, out):
        shape = self.normalized_shape
        return layer_norm_forward(x, self.gamma, self.beta, normalized_shape=shape, eps=self.eps, out=out)

    def _backward(self, dy, x, mean, invstd, out):
        shape = self.normalized_shape
        return layer_norm_backward(dy, x, self.gamma, mean, invstd, normalized_shape=shape, out=out)

    def __repr__(self) -> str:
        return (
            f"LayerNorm({self.normalized_shape}, eps={self.eps}, affine={self.affine}, bias={self.bias}, "
            f"dtype={str(self.dtype)!r})"
        )


class RMSNorm(SampleNorm):
    """An RMS norm layer: its parameter and the gradient, over :func:`rms_norm_forward`.

    Parameters
    ----------
    normalized_shape : int ≥ 1, or tuple of such
        The last axes of the input, which make a row.
    eps : float > 0 or None, default None
        Added to the mean square, in squared units of x. None: the distance from 1 to the next number of the dtype.
    affine : bool, default True
        Scale by gamma. Without it gamma is None, and so is its gradient.
    dtype
        As in :class:`LayerNorm`.

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

    normalized_shape: tuple[int, ...]

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        affine: bool = True,
        dtype: str = "float32",
    ):
        shape = _row_shape(normalized_shape)
        super().__init__(shape, affine, False, dtype, {"normalized_shape": shape}, eps=(eps, self._eps))

    def _eps(self, value, name):
        return None if value is None else super()._eps(value, name)

    def _forward(self, x, out):
        return rms_norm_forward(x, self.gamma, normalized_shape=self.normalized_shape, eps=self.eps, out=out)

    def _backward(self, dy, x, invrms, out):
        return rms_norm_backward(dy, x, self.gamma, invrms, normalized_shape=self.normalized_shape, out=out)

    def __repr__(self) -> str:
        return f"RMSNorm({self.normalized_shape}, eps={self.eps}, affine={self.affine}, dtype={str(self.dtype)!r})"


class GroupNorm(SampleNorm):
    """A group norm layer: parameters and their gradients, over :func:`group_norm_forward`.

    Parameters
    ----------
    num_groups : int ≥ 1
        Groups of neighbouring channels; divides `features`.
    features : int ≥ 1
        Channels of the input.
    eps : float > 0, default 1e-5
        Added to the variance, in squared units of x.
    affine : bool, default True
        Scale by gamma and shift by beta. Without them both are None, and so are their gradients.
    dtype
        As in :class:`LayerNorm`.
    channel_axis : int, default 1
        Which axis of the input holds the channels; -1 for channels-last.

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
    torch.nn.GroupNorm is the same (`features` is its num_channels). Keras's channels are the last axis, its epsilon is
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

    num_groups: int
    features: int
    channel_axis: int

    def __init__(
        self,
        num_groups: int,
        features: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: str = "float32",
        channel_axis: int = 1,
    ):
        made = {
            "num_groups": expect.integer(num_groups, "num_groups", 1),
            "features": expect.integer(features, "features", 1),
            "channel_axis": batch.channel_axis_of(channel_axis),
        }
        if made["features"] % made["num_groups"]:
            raise ValueError(f"num_groups: expected a divisor of features, {features}, got {num_groups}")
        super().__init__((made["features"],), affine, True, dtype, made, eps=(eps, self._eps))

    def _forward(self, x, out):
        batch.expect_layers(x, self.dtype, self.channel_axis, self.features)
        options = {"eps": self.eps, "channel_axis": self.channel_axis, "out": out}
        return group_norm_forward(x, self.num_groups, self.gamma, self.beta, **options)

    def _backward(self, dy, x, mean, invstd, out):
        options = {"channel_axis": self.channel_axis, "out": out}
        return group_norm_backward(dy, x, self.num_groups, self.gamma, mean, invstd, **options)

    def __repr__(self) -> str:
        return (
            f"GroupNorm({self.num_groups}, {self.features}, eps={self.eps}, affine={self.affine}, "
            f"dtype={str(self.dtype)!r}, channel_axis={self.channel_axis})"
        )


class InstanceNorm(SampleNorm):
    """An instance norm layer: parameters and their gradients, over :func:`instance_norm_forward`.

    Parameters
    ----------
    features : int ≥ 1
        Channels of the input.
    eps : float > 0, default 1e-5
        Added to the variance, in squared units of x.
    affine : bool, default False
        Scale by gamma and shift by beta. Without them both are None, and so are their gradients.
    dtype, channel_axis
        As in :class:`GroupNorm`.

    Attributes
    ----------
    gamma, beta, grad_gamma, grad_beta : arrays (features,)
        As in :class:`GroupNorm`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    torch.nn.InstanceNorm1d to 3d are the same without track_running_stats. Keras has GroupNormalization with groups=-1.

    References
    ----------
    Ulyanov, Vedaldi and Lempitsky, "Instance normalization: the missing ingredient for fast stylization", 2016.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> layer = fo.normalization.InstanceNorm(2, dtype="float64")
    >>> layer.forward(np.array([[[1.0, 3.0], [10.0, 30.0]]])).round(3)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """

    features: int
    channel_axis: int

    def __init__(
        self, features: int, eps: float = 1e-5, affine: bool = False, dtype: str = "float32", channel_axis: int = 1
    ):
        made = {
            "features": expect.integer(features, "features", 1),
            "channel_axis": batch.channel_axis_of(channel_axis),
        }
        super().__init__((made["features"],), affine, True, dtype, made, eps=(eps, self._eps))

    def _forward(self, x, out):
        batch.expect_layers(x, self.dtype, self.channel_axis, self.features)
        options = {"eps": self.eps, "channel_axis": self.channel_axis, "out": out}
        return instance_norm_forward(x, self.gamma, self.beta, **options)

    def _backward(self, dy, x, mean, invstd, out):
        options = {"channel_axis": self.channel_axis, "out": out}
        return instance_norm_backward(dy, x, self.gamma, mean, invstd, **options)

    def __repr__(self) -> str:
        return (
            f"InstanceNorm({self.features}, eps={self.eps}, affine={self.affine}, dtype={str(self.dtype)!r}, "
            f"channel_axis={self.channel_axis})"
        )
