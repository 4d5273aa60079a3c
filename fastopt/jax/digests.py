"""A step's scalars as JAX traces them: what kernels/optimizers/scalars.py says, of a learning rate and a step that may
be traced.

Each function takes an optimizer's fixed numbers and returns a digest, (lr, step, kept) -> the kernel's scalars in its
order. `step` counts from 1; both are float64, since 1 − float32(0.999) is already off by 1.3e-5. `kept` is the share of
a parameter that its decay leaves. The rates of rules that measure layers come in later, in the first place.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

Digest = Callable[..., tuple[Any, ...]]
GRADIENTS = 1.0  # factor of the gradients: none


def sgd() -> Digest:
    return lambda lr, step, kept: (lr, 0.0, GRADIENTS)


def sgd_momentum(momentum: float, nesterov: bool) -> Digest:
    return lambda lr, step, kept: (lr, momentum, 1.0, float(bool(nesterov)), 0.0, 1.0, GRADIENTS)


def adam(b1: float, b2: float, eps: float) -> Digest:
    def digest(lr: Any, step: Any, kept: Any) -> tuple[Any, ...]:
        root = 1.0 / jnp.sqrt(1.0 - b2**step)
        return lr / (1.0 - b1**step), b1, 1.0 - b1, b2, 1.0 - b2, root, eps, 0.0, kept, GRADIENTS

    return digest


def adamax(b1: float, b2: float, eps: float) -> Digest:
    return lambda lr, step, kept: (lr / (1.0 - b1**step), b1, 1.0 - b1, b2, eps, 0.0, 0.0, GRADIENTS)


def nadam(b1: float, b2: float, eps: float) -> Digest:
    def digest(lr: Any, step: Any, kept: Any) -> tuple[Any, ...]:
        of_gradient, of_average = lr * (1.0 - b1) / (1.0 - b1**step), lr * b1 / (1.0 - b1 ** (step + 1.0))
        root = 1.0 / jnp.sqrt(1.0 - b2**step)
        return of_gradient, of_average, b1, 1.0 - b1, b2, 1.0 - b2, root, eps, 0.0, GRADIENTS

    return digest


def radam(b1: float, b2: float, eps: float, threshold: float) -> Digest:
    """The kernel adds eps to the root before its correction, as torch does; optax adds it behind."""
    longest = 2.0 / (1.0 - b2) - 1.0

    def digest(lr: Any, step: Any, kept: Any) -> tuple[Any, ...]:
        left = 1.0 - b2**step
        length = longest - 2.0 * step * b2**step / left
        rectified = length >= threshold
        shorter = (length - 4.0) * (length - 2.0) * longest
        factor = jnp.sqrt(left * shorter / ((longest - 4.0) * (longest - 2.0) * length))
        step_size = lr / (1.0 - b1**step) * jnp.where(rectified, factor, 1.0)
        return step_size, b1, 1.0 - b1, b2, 1.0 - b2, rectified, eps * jnp.sqrt(left), 0.0, GRADIENTS

    return digest


def ademamix(b1: float, b2: float, b3: Any, alpha: Any, eps: float) -> Digest:
    def digest(lr: Any, step: Any, kept: Any) -> tuple[Any, ...]:
        slow, share = (each(step - 1.0) if callable(each) else each for each in (b3, alpha))
        root = 1.0 / jnp.sqrt(1.0 - b2**step)
        return (
            lr / (1.0 - b1**step), lr * share, b1, 1.0 - b1, b2, 1.0 - b2, slow, 1.0 - slow, root, eps, kept, GRADIENTS,
        )  # fmt: skip

    return digest


def rmsprop(decay: float, eps: float, eps_in_sqrt: bool, momentum: float | None) -> Digest:
    inside, outside = (eps, 0.0) if eps_in_sqrt else (0.0, eps)
    if momentum is None:
        return lambda lr, step, kept: (lr, decay, 1.0 - decay, outside, 0.0, inside, GRADIENTS)
    return lambda lr, step, kept: (1.0, decay, 1.0 - decay, outside, momentum, 0.0, inside, lr, GRADIENTS)


def adagrad(eps: float) -> Digest:
    return lambda lr, step, kept: (lr, 0.0, 0.0, eps, GRADIENTS)


def adadelta(rho: float, eps: float) -> Digest:
    return lambda lr, step, kept: (lr, rho, 1.0 - rho, eps, 0.0, GRADIENTS)


def lion(b1: float, b2: float) -> Digest:
    return lambda lr, step, kept: (lr, b1, 1.0 - b1, b2, 1.0 - b2, kept, GRADIENTS)


def momentum(beta: float) -> Digest:
    return lambda lr, step, kept: (lr, beta, 1.0 - beta, 0.0, GRADIENTS)


def rprop(eta_minus: float, eta_plus: float, smallest: float, largest: float) -> Digest:
    return lambda lr, step, kept: (eta_minus, eta_plus, smallest, largest, GRADIENTS)


def asgd(lambd: float, alpha: float, t0: float) -> Digest:
    def digest(lr: Any, step: Any, kept: Any) -> tuple[Any, ...]:
        eta = lr * (1.0 + lambd * lr * (step - 1.0)) ** -alpha
        return eta, 1.0 - lambd * eta, 1.0 / jnp.maximum(1.0, step - 1.0 - t0), 0.0, GRADIENTS

    return digest


def ftrl(beta: float, l1: float, l2: float, shrinkage: float, power: tuple[float, ...]) -> Digest:
    return lambda lr, step, kept: (1.0 / lr, beta, l1, l2, shrinkage, *power, 0.0, GRADIENTS)


def schedule_free_adamw(b1: float, b2: float, eps: float, weight_decay: float) -> Digest:
    def digest(lr: Any, step: Any, kept: Any, weight: Any, weight_sum: Any, **_: Any) -> tuple[Any, ...]:
        averaging = jnp.where(weight_sum > 0.0, weight / weight_sum, 0.0).astype(np.float64)
        root = 1.0 / jnp.sqrt(1.0 - b2**step)
        moved = lr * (1.0 - b1 * (1.0 - averaging))
        return lr, averaging, moved, b2, 1.0 - b2, root, eps, weight_decay, GRADIENTS

    return digest


def lars(momentum: float, nesterov: bool) -> Digest:
    return lambda lr, step, kept: (0.0, momentum, float(bool(nesterov)), 0.0, GRADIENTS)


def lamb(b1: float, b2: float, eps: float) -> Digest:
    """Its `kept` is the decay itself, which is part of the direction."""

    def digest(lr: Any, step: Any, kept: Any) -> tuple[Any, ...]:
        root = 1.0 / jnp.sqrt(1.0 - b2**step)
        return 0.0, b1, 1.0 - b1, b2, 1.0 - b2, 1.0 / (1.0 - b1**step), root, eps, kept, GRADIENTS

    return digest


def adafactor(decay_rate: float, offset: float, floor: float) -> Digest:
    def digest(lr: Any, step: Any, kept: Any) -> tuple[Any, ...]:
        fresh = (step - offset) ** -decay_rate
        return lr, 1.0 - fresh, fresh, floor, kept, GRADIENTS

    return digest


def muon(beta: float) -> Digest:
    return lambda lr, step, kept: (0.0, beta, 1.0 - beta, 0.0, kept, GRADIENTS)


def muon_direction(beta: float, nesterov: bool) -> Digest:
    """Of the pass that mixes the average and the gradient: optax corrects both of their beginning at zero."""

    def digest(lr: Any, step: Any, kept: Any) -> tuple[Any, ...]:
        left = 1.0 - beta**step
        average, fresh = (beta / (1.0 - beta ** (step + 1.0)), (1.0 - beta) / left) if nesterov else (1.0 / left, 0.0)
        return 0.0, average * beta, average * (1.0 - beta) + fresh, 0.0, 1.0, GRADIENTS

    return digest
