"""Descent along the gradient, its average or its sign."""

from numbers import Real

from fastopt import expect
from fastopt.jax import digests
from fastopt.jax.transformation import Fused, Mask, Rate, are_numbers, decoupled, one_pass, transformation


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
    expect.flag(nesterov, "nesterov")
    if momentum is None or (isinstance(momentum, Real) and momentum == 0):
        return transformation(one_pass("sgd", digests.sgd(), learning_rate))
    are_numbers(momentum=momentum)
    return transformation(one_pass("sgd_momentum", digests.sgd_momentum(momentum, nesterov), learning_rate))


def momentum(learning_rate: Rate, beta: float = 0.9) -> Fused:
    """Descent along a running average, v ← β v + (1 − β) g: :class:`fastopt.optimizers.Momentum`; otherwise as in
    :func:`sgd`. Optax has no such function.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`
    beta : float in [0, 1)
        Share of the old average kept.
    """
    are_numbers(beta=beta)
    return transformation(one_pass("momentum", digests.momentum(beta), learning_rate))


def lion(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.99, *, weight_decay: float = 1e-3, mask: Mask = None
) -> Fused:
    """Lion: optax.lion on fastopt's kernel; `weight_decay` and `mask` as in :func:`adamw`."""
    are_numbers(b1=b1, b2=b2, weight_decay=weight_decay)
    return transformation(one_pass("lion", digests.lion(b1, b2), learning_rate, decoupled(weight_decay), mask=mask))


def rprop(
    learning_rate: float, eta_minus: float = 0.5, eta_plus: float = 1.2, min_step_size: float = 1e-6,
    max_step_size: float = 50.0,
) -> Fused:  # fmt: skip
    """Steps along the gradient's sign, of a length of their own for each element: :class:`fastopt.optimizers.Rprop`.

    Parameters
    ----------
    learning_rate : float > 0
        The first length; no schedule.
    eta_minus, eta_plus : float in (0, 1), float > 1
        What a length is multiplied by where the sign changes, and where it stays.
    min_step_size, max_step_size : float > 0
        Bounds of the lengths.

    Notes
    -----
    The arguments are optax.rprop's, the steps are those of the paper and of torch: optax's applies each of them one
    call later. Otherwise as in :func:`sgd`.
    """
    are_numbers(learning_rate=learning_rate, eta_minus=eta_minus, eta_plus=eta_plus)
    are_numbers(min_step_size=min_step_size, max_step_size=max_step_size)
    digest = digests.rprop(eta_minus, eta_plus, min_step_size, max_step_size)
    return transformation(one_pass("rprop", digest, learning_rate, begin={"step_size": learning_rate}))


def asgd(learning_rate: Rate, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6) -> Fused:
    """Averaged gradient descent: :class:`fastopt.optimizers.ASGD`; otherwise as in :func:`sgd`.

    Optax has no such function. The average of the parameters is `state.buffers["ax"]`, a tree like them.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`
    lambd, alpha, t0 : float ≥ 0
        Decay per step; the power by which steps shorten; steps before averaging begins.
    """
    are_numbers(lambd=lambd, alpha=alpha, t0=t0)
    return transformation(one_pass("asgd", digests.asgd(lambd, alpha, t0), learning_rate, adds=False))
