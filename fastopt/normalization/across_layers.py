"""What the layers LayerNorm, RMSNorm and GroupNorm share: parameters, their gradients, and what a backward needs."""

from typing import Any

import numpy as np

from fastopt import expect


class RowNorm:
    """A layer over a forward and a backward function, which a subclass calls.

    Parameters
    ----------
    shape : tuple of int
        Of each parameter.
    affine, bias : bool
        Whether there is a gamma, and with it a beta.
    dtype : {"float32", "float64"}
        Of inputs and parameters.
    """

    gamma: np.ndarray | None = None
    beta: np.ndarray | None = None
    grad_gamma: np.ndarray | None = None
    grad_beta: np.ndarray | None = None

    def __init__(self, shape: tuple[int, ...], affine: Any, bias: Any, dtype: Any):
        self.dtype = np.dtype(expect.choice(str(dtype), "dtype", ("float32", "float64")))
        affine, bias = expect.flag(affine, "affine"), expect.flag(bias, "bias")
        if affine:
            self.gamma, self.grad_gamma = np.ones(shape, self.dtype), np.zeros(shape, self.dtype)
        if affine and bias:
            self.beta, self.grad_beta = np.zeros((2, *shape), self.dtype)
        self._kept: tuple | None = None

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
        expect.array(x, "x", dtype=self.dtype)
        y, *statistics = self._forward(x, out)
        self._kept = None if np.may_share_memory(x, y) else (x, *statistics)
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
        if self._kept is None:
            raise ValueError("backward: expected a forward before it, with an `out` other than x, got none")
        dx, *gradients = self._backward(dy, *self._kept, out)
        for mine, gradient in zip((self.grad_gamma, self.grad_beta), gradients):
            if mine is not None:
                mine[...] = gradient
        return dx

    def _forward(self, x: np.ndarray, out: np.ndarray | None) -> tuple[np.ndarray, ...]:
        raise NotImplementedError

    def _backward(self, dy: np.ndarray, *kept: Any) -> tuple[np.ndarray, ...]:
        raise NotImplementedError


def row_shape(normalized_shape: Any) -> tuple[int, ...]:
    """Return a row's shape as a tuple of one or more lengths, each at least 1."""
    if not isinstance(normalized_shape, tuple | list):
        return (expect.integer(normalized_shape, "normalized_shape", 1),)
    shape = expect.shape(normalized_shape, "normalized_shape", 1)
    if 0 in shape:
        raise ValueError(f"normalized_shape: expected lengths of 1 or more, got {shape}")
    return shape
