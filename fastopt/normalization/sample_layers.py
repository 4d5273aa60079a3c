"""Layer, RMS and group norm as layers, which keep their parameters and gradients."""

from fastopt import expect
from fastopt.normalization.across_layers import RowNorm, row_shape
from fastopt.normalization.sample import (
    group_norm_backward,
    group_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
    rms_norm_backward,
    rms_norm_forward,
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
        self.eps = expect.number(eps, "eps", expect.POSITIVE)
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
        self.eps = None if eps is None else expect.number(eps, "eps", expect.POSITIVE)
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
        self.num_groups = expect.integer(num_groups, "num_groups", 1)
        self.features = expect.integer(features, "features", 1)
        if self.features % self.num_groups:
            raise ValueError(f"num_groups: expected a divisor of features, {features}, got {num_groups}")
        self.eps = expect.number(eps, "eps", expect.POSITIVE)
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
