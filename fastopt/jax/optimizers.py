"""Optimizers for JAX: optax's names, arguments and semantics, and one operation for many leaves.

Each function returns an optax.GradientTransformation with one function more: `apply(params, state, grads)` returns the
new parameters and the new state. Donate both, and they are updated in place, in one pass over memory:

    step = jax.jit(optimizer.apply, donate_argnums=(0, 1))
    params, state = step(params, state, grads)

`update` gives what optax's does, the difference of new and old parameters, for chains of transformations. That is a
pass over memory more, and another when it is added.
"""

from numbers import Real
from typing import Any

from fastopt.jax import digests
from fastopt.jax.transformation import Fused, Mask, Rate, Rule, are_numbers, transformation

__all__ = [
    "adadelta", "adagrad", "adam", "adamax", "adamw", "ademamix", "lion", "nadam", "radam", "rmsprop", "sgd",
]  # fmt: skip


def sgd(learning_rate: Rate, momentum: float | None = None, nesterov: bool = False) -> Fused:
    """Gradient descent: optax.sgd on fastopt's kernel.

    Parameters
    ----------
    learning_rate : float, array, or callable (steps taken) -> float
    momentum : float in [0, 1) or None
        Share of the old direction kept.
    nesterov : bool
        Look ahead along the new direction.

    Returns
    -------
    optax.GradientTransformation, with `apply`
        Parameters of float32, float64, bfloat16 or float16; gradients of any of these. State is float32 (float64 for
        float64 parameters).

    Raises
    ------
    TypeError
        If an argument is no number where one is expected.
    TypeError, ValueError
        From its functions, if a tree, shape or type is not as it should be.

    Notes
    -----
    As optax's, without `accumulator_dtype`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastopt.jax
    >>> optimizer = fastopt.jax.optimizers.sgd(0.5)
    >>> params, state = optimizer.apply(jnp.zeros(2), optimizer.init(jnp.zeros(2)), jnp.ones(2))
    >>> print(params)
    [-0.5 -0.5]
    """
    if momentum is None or (isinstance(momentum, Real) and momentum == 0):
        return transformation(Rule("sgd", digests.sgd(), learning_rate, {}))
    are_numbers(momentum=momentum)
    return transformation(Rule("sgd_momentum", digests.sgd_momentum(momentum, nesterov), learning_rate, {}))


def adam(learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Fused:
    """Adam: optax.adam on fastopt's kernel, without `eps_root`, `mu_dtype` and `nesterov`; otherwise as in :func:`sgd`.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`
    b1, b2 : float in [0, 1)
        Shares of the old averages kept.
    eps : float > 0
        Added to the root of the corrected second moment.

    Raises
    ------
    ValueError
        If `b2` is above 1: the second moment would be below 0.
    """
    _are_moments(b1, b2, eps=eps)
    return transformation(Rule("adam", digests.adam(b1, b2, eps, 0.0), learning_rate, {}))


def adamw(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, *, weight_decay: float = 1e-4,
    mask: Mask = None,
) -> Fused:  # fmt: skip
    """Adam with decoupled decay: optax.adamw on fastopt's kernel; otherwise as in :func:`adam`.

    Parameters
    ----------
    weight_decay : float ≥ 0
        Share of a parameter taken away per step and unit of the learning rate.
    mask : tree of bools, callable (params) -> tree of bools, or None
        Which leaves decay; None: all. A bool in the place of a branch is that of all its leaves.
    """
    _are_moments(b1, b2, eps=eps, weight_decay=weight_decay)
    return transformation(Rule("adam", digests.adam(b1, b2, eps, weight_decay), learning_rate, {}, mask))


def adamax(learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Fused:
    """Adam with the infinity norm: optax.adamax on fastopt's kernel; otherwise as in :func:`adam`."""
    are_numbers(b1=b1, b2=b2, eps=eps)
    return transformation(Rule("adamax", digests.adamax(b1, b2, eps), learning_rate, {}))


def nadam(learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Fused:
    """Adam with Nesterov's momentum: optax.nadam on fastopt's kernel; otherwise as in :func:`adam`.

    torch.optim.NAdam warms its momentum up; optax, and this, don't.
    """
    _are_moments(b1, b2, eps=eps)
    return transformation(Rule("nadam", digests.nadam(b1, b2, eps), learning_rate, {}))


def radam(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, *, threshold: float = 5.0
) -> Fused:
    """Rectified Adam: optax.radam on fastopt's kernel, without `eps_root` and `nesterov`; otherwise as in :func:`adam`.

    Parameters
    ----------
    threshold : float ≥ 4
        Steps adapt from this length of the average of squares on.
    """
    are_numbers(b1=b1, b2=b2, eps=eps, threshold=threshold)
    return transformation(Rule("radam", digests.radam(b1, b2, eps, threshold), learning_rate, {}))


def ademamix(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, b3: Any = 0.9999, alpha: Any = 5.0, eps: float = 1e-8, *,
    weight_decay: float = 0.0, mask: Mask = None,
) -> Fused:  # fmt: skip
    """Adam with a second, slow average: optax.contrib.ademamix on fastopt's kernel; otherwise as in :func:`adamw`.

    Parameters
    ----------
    b3 : float in [0, 1), or callable (steps taken) -> float
        Share of the slow average kept.
    alpha : float ≥ 0, or callable (steps taken) -> float
        Weight of the slow average.
    """
    fixed = {name: value for name, value in {"b3": b3, "alpha": alpha}.items() if not callable(value)}
    _are_moments(b1, b2, eps=eps, weight_decay=weight_decay, **fixed)
    digest = digests.ademamix(b1, b2, b3, alpha, eps, weight_decay)
    return transformation(Rule("ademamix", digest, learning_rate, {}, mask))


def rmsprop(
    learning_rate: Rate, decay: float = 0.9, eps: float = 1e-8, initial_scale: float = 0.0, eps_in_sqrt: bool = True
) -> Fused:
    """RMSprop: optax.rmsprop on fastopt's kernel, without `centered`, `momentum` and `bias_correction`.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`
    decay : float in [0, 1)
        Share of the old average kept.
    eps : float > 0
        Added inside the root, or to the root.
    initial_scale : float ≥ 0
        What the average of squares begins with.
    eps_in_sqrt : bool
        Where `eps` is added.
    """
    are_numbers(decay=decay, eps=eps, initial_scale=initial_scale)
    digest = digests.rmsprop(decay, eps, eps_in_sqrt)
    return transformation(Rule("rmsprop", digest, learning_rate, {"square_avg": initial_scale}))


def adagrad(learning_rate: Rate, initial_accumulator_value: float = 0.1, eps: float = 1e-7) -> Fused:
    """Adagrad: optax.adagrad on fastopt's kernel, with `eps` inside the root; otherwise as in :func:`sgd`.

    Raises
    ------
    ValueError
        If `initial_accumulator_value`, what the sums of squares begin with, is negative.
    """
    are_numbers(initial_accumulator_value=initial_accumulator_value, eps=eps)
    if isinstance(initial_accumulator_value, Real) and float(initial_accumulator_value) < 0:
        raise ValueError(f"initial_accumulator_value: expected a number ≥ 0, got {initial_accumulator_value!r}")
    begin = {"sum_of_squares": initial_accumulator_value}
    return transformation(Rule("adagrad", digests.adagrad(eps), learning_rate, begin))


def adadelta(learning_rate: Rate = 1.0, rho: float = 0.9, eps: float = 1e-6) -> Fused:
    """Adadelta: optax.adadelta on fastopt's kernel, without `weight_decay`; otherwise as in :func:`sgd`."""
    are_numbers(rho=rho, eps=eps)
    return transformation(Rule("adadelta", digests.adadelta(rho, eps), learning_rate, {}))


def lion(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.99, *, weight_decay: float = 1e-3, mask: Mask = None
) -> Fused:
    """Lion: optax.lion on fastopt's kernel; `weight_decay` and `mask` as in :func:`adamw`."""
    are_numbers(b1=b1, b2=b2, weight_decay=weight_decay)
    return transformation(Rule("lion", digests.lion(b1, b2, weight_decay), learning_rate, {}, mask))


def _are_moments(b1: Any, b2: Any, **others: Any) -> None:
    """Raise if one is no number, or if `b2` makes the corrected second moment's parts negative, which have no root."""
    are_numbers(b1=b1, b2=b2, **others)
    if isinstance(b2, Real) and float(b2) > 1:
        raise ValueError(f"b2: expected a number of 1 at the most, got {b2!r}")
