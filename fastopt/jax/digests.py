"""A step's scalars as JAX traces them: what kernels/optimizers/scalars.py says, of a learning rate and a step that may
be traced.

Each function takes an optimizer's fixed numbers and returns a digest, (lr, step, decays) -> the kernel's scalars in its
order. `step` counts from 1; both are float64, since 1 − float32(0.999) is already off by 1.3e-5.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

Digest = Callable[[Any, Any, bool], tuple[Any, ...]]
GRADIENTS = 1.0  # factor of the gradients: none


def sgd() -> Digest:
    return lambda lr, step, decays: (lr, 0.0, GRADIENTS)


def sgd_momentum(momentum: float, nesterov: bool) -> Digest:
    return lambda lr, step, decays: (lr, momentum, 1.0, float(bool(nesterov)), 0.0, 1.0, GRADIENTS)


def adam(b1: float, b2: float, eps: float, weight_decay: float) -> Digest:
    def digest(lr: Any, step: Any, decays: bool) -> tuple[Any, ...]:
        root = 1.0 / jnp.sqrt(1.0 - b2**step)
        kept = 1.0 - lr * weight_decay if decays else 1.0
        return lr / (1.0 - b1**step), b1, 1.0 - b1, b2, 1.0 - b2, root, eps, 0.0, kept, GRADIENTS

    return digest


def adamax(b1: float, b2: float, eps: float) -> Digest:
    return lambda lr, step, decays: (lr / (1.0 - b1**step), b1, 1.0 - b1, b2, eps, 0.0, 0.0, GRADIENTS)


def nadam(b1: float, b2: float, eps: float) -> Digest:
    def digest(lr: Any, step: Any, decays: bool) -> tuple[Any, ...]:
        of_gradient, of_average = lr * (1.0 - b1) / (1.0 - b1**step), lr * b1 / (1.0 - b1 ** (step + 1.0))
        root = 1.0 / jnp.sqrt(1.0 - b2**step)
        return of_gradient, of_average, b1, 1.0 - b1, b2, 1.0 - b2, root, eps, 0.0, GRADIENTS

    return digest


def radam(b1: float, b2: float, eps: float, threshold: float) -> Digest:
    """The kernel adds eps to the root before its correction, as torch does; optax adds it behind."""
    longest = 2.0 / (1.0 - b2) - 1.0

    def digest(lr: Any, step: Any, decays: bool) -> tuple[Any, ...]:
        left = 1.0 - b2**step
        length = longest - 2.0 * step * b2**step / left
        rectified = length >= threshold
        shorter = (length - 4.0) * (length - 2.0) * longest
        factor = jnp.sqrt(left * shorter / ((longest - 4.0) * (longest - 2.0) * length))
        step_size = lr / (1.0 - b1**step) * jnp.where(rectified, factor, 1.0)
        return step_size, b1, 1.0 - b1, b2, 1.0 - b2, rectified, eps * jnp.sqrt(left), 0.0, GRADIENTS

    return digest


def ademamix(b1: float, b2: float, b3: Any, alpha: Any, eps: float, weight_decay: float) -> Digest:
    def digest(lr: Any, step: Any, decays: bool) -> tuple[Any, ...]:
        slow, share = (each(step - 1.0) if callable(each) else each for each in (b3, alpha))
        kept = 1.0 - lr * weight_decay if decays else 1.0
        root = 1.0 / jnp.sqrt(1.0 - b2**step)
        return (
            lr / (1.0 - b1**step), lr * share, b1, 1.0 - b1, b2, 1.0 - b2, slow, 1.0 - slow, root, eps, kept, GRADIENTS,
        )  # fmt: skip

    return digest


def rmsprop(decay: float, eps: float, eps_in_sqrt: bool) -> Digest:
    inside, outside = (eps, 0.0) if eps_in_sqrt else (0.0, eps)
    return lambda lr, step, decays: (lr, decay, 1.0 - decay, outside, 0.0, inside, GRADIENTS)


def adagrad(eps: float) -> Digest:
    return lambda lr, step, decays: (lr, 0.0, 0.0, eps, GRADIENTS)


def adadelta(rho: float, eps: float) -> Digest:
    return lambda lr, step, decays: (lr, rho, 1.0 - rho, eps, 0.0, GRADIENTS)


def lion(b1: float, b2: float, weight_decay: float) -> Digest:
    def digest(lr: Any, step: Any, decays: bool) -> tuple[Any, ...]:
        return lr, b1, 1.0 - b1, b2, 1.0 - b2, 1.0 - lr * weight_decay if decays else 1.0, GRADIENTS

    return digest
