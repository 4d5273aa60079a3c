"""Rates of their own for each element, from sums or averages of squares."""

from numbers import Real
from typing import Any

from fastopt import expect
from fastopt.jax import digests
from fastopt.jax.transformation import Fused, Rate, are_numbers, one_pass, transformation


def rmsprop(
    learning_rate: Rate, decay: float = 0.9, eps: float = 1e-8, initial_scale: float = 0.0, eps_in_sqrt: bool = True,
    centered: bool = False, momentum: float | None = None,
) -> Fused:  # fmt: skip
    """RMSprop: optax.rmsprop on fastopt's kernels, without `nesterov` and `bias_correction`.

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
    centered : bool
        Divide by the root of the variance instead of the mean square.
    momentum : float in [0, 1) or None
        Share of the old direction kept.
    """
    are_numbers(decay=decay, eps=eps, initial_scale=initial_scale)
    expect.flag(eps_in_sqrt, "eps_in_sqrt")
    kernel = "rmsprop_centered" if expect.flag(centered, "centered") else "rmsprop"
    if momentum is not None:
        are_numbers(momentum=momentum)
        kernel += "_momentum"
    digest = digests.rmsprop(decay, eps, eps_in_sqrt, momentum)
    return transformation(one_pass(kernel, digest, learning_rate, begin={"square_avg": initial_scale}))


def adagrad(learning_rate: Rate, initial_accumulator_value: float = 0.1, eps: float = 1e-7) -> Fused:
    """Adagrad: optax.adagrad on fastopt's kernel, with `eps` inside the root; otherwise as in :func:`sgd`.

    Raises
    ------
    ValueError
        If `initial_accumulator_value`, what the sums of squares begin with, is negative.
    """
    are_numbers(eps=eps)
    begin = {"sum_of_squares": _accumulated(initial_accumulator_value)}
    return transformation(one_pass("adagrad", digests.adagrad(eps), learning_rate, begin=begin))


def adadelta(learning_rate: Rate = 1.0, rho: float = 0.9, eps: float = 1e-6) -> Fused:
    """Adadelta: optax.adadelta on fastopt's kernel, without `weight_decay`; otherwise as in :func:`sgd`."""
    are_numbers(rho=rho, eps=eps)
    return transformation(one_pass("adadelta", digests.adadelta(rho, eps), learning_rate))


def ftrl(
    learning_rate: Rate, beta: float = 1.0, l1: float = 0.0, l2: float = 0.0, initial_accumulator_value: float = 0.0,
    lr_power: float = -0.5, l2_shrinkage: float = 0.0,
) -> Fused:  # fmt: skip
    """Follow the regularized leader: :class:`fastopt.optimizers.FTRL`; otherwise as in :func:`sgd`.

    Optax has no such function.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`; above 0
    beta, l1, l2, initial_accumulator_value, l2_shrinkage : float ≥ 0
    lr_power : float ≤ 0
        As in :class:`fastopt.optimizers.FTRL`; `lr_power` may not be traced.
    """
    are_numbers(beta=beta, l1=l1, l2=l2, l2_shrinkage=l2_shrinkage)
    lr_power = expect.number(lr_power, "lr_power", expect.NOT_POSITIVE)
    kernel, power = ("ftrl", ()) if lr_power == -0.5 else ("ftrl_power", (-lr_power,))
    begin = {"n": _accumulated(initial_accumulator_value)}
    digest = digests.ftrl(beta, l1, l2, l2_shrinkage, power)
    return transformation(one_pass(kernel, digest, learning_rate, begin=begin, adds=False))


def _accumulated(value: Any) -> Any:
    are_numbers(initial_accumulator_value=value)
    if isinstance(value, Real) and float(value) < 0:
        raise ValueError(f"initial_accumulator_value: expected a number ≥ 0, got {value!r}")
    return value
