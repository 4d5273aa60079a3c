"""Adam and its kin."""

from numbers import Real
from typing import Any

from fastopt import expect
from fastopt.jax import digests
from fastopt.jax.transformation import Fused, Mask, Rate, are_numbers, decoupled, one_pass, transformation


def adam(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, *, nesterov: bool = False
) -> Fused:
    """Adam: optax.adam on fastopt's kernel, without `eps_root` and `mu_dtype`; otherwise as in :func:`sgd`.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`
    b1, b2 : float in [0, 1)
        Shares of the old averages kept.
    eps : float > 0
        Added to the root of the corrected second moment.
    nesterov : bool
        Look ahead along the new direction: :func:`nadam`.

    Raises
    ------
    ValueError
        If `b2` is above 1: the second moment would be below 0.
    """
    are_moments(b1, b2, eps=eps)
    if expect.flag(nesterov, "nesterov"):
        return nadam(learning_rate, b1, b2, eps)
    return transformation(one_pass("adam", digests.adam(b1, b2, eps), learning_rate))


def adamw(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, *, weight_decay: float = 1e-4,
    mask: Mask = None, nesterov: bool = False,
) -> Fused:  # fmt: skip
    """Adam with decoupled decay: optax.adamw on fastopt's kernel; otherwise as in :func:`adam`.

    Parameters
    ----------
    weight_decay : float ≥ 0
        Share of a parameter taken away per step and unit of the learning rate.
    mask : tree of bools, callable (params) -> tree of bools, or None
        Which leaves decay; None: all. A bool in the place of a branch is that of all its leaves.
    """
    are_moments(b1, b2, eps=eps, weight_decay=weight_decay)
    if expect.flag(nesterov, "nesterov"):
        return nadamw(learning_rate, b1, b2, eps, weight_decay=weight_decay, mask=mask)
    return transformation(
        one_pass("adam", digests.adam(b1, b2, eps), learning_rate, decoupled(weight_decay), mask=mask)
    )


def adamax(learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Fused:
    """Adam with the infinity norm: optax.adamax on fastopt's kernel; otherwise as in :func:`adam`."""
    return adamaxw(learning_rate, b1, b2, eps, weight_decay=0.0)


def adamaxw(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, weight_decay: float = 1e-4,
    mask: Mask = None,
) -> Fused:  # fmt: skip
    """Adamax with decoupled decay: optax.adamaxw on fastopt's kernel; otherwise as in :func:`adamw`."""
    are_numbers(b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)
    kept = decoupled(weight_decay)
    return transformation(one_pass("adamax", digests.adamax(b1, b2, eps), learning_rate, kept, staged=True, mask=mask))


def nadam(learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Fused:
    """Adam with Nesterov's momentum: optax.nadam on fastopt's kernel; otherwise as in :func:`adam`.

    torch.optim.NAdam warms its momentum up; optax, and this, don't.
    """
    return nadamw(learning_rate, b1, b2, eps, weight_decay=0.0)


def nadamw(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, *, weight_decay: float = 1e-4,
    mask: Mask = None,
) -> Fused:  # fmt: skip
    """NAdam with decoupled decay: optax.nadamw on fastopt's kernel; otherwise as in :func:`adamw`."""
    are_moments(b1, b2, eps=eps, weight_decay=weight_decay)
    kept = decoupled(weight_decay)
    return transformation(one_pass("nadam", digests.nadam(b1, b2, eps), learning_rate, kept, staged=True, mask=mask))


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
    return transformation(one_pass("radam", digests.radam(b1, b2, eps, threshold), learning_rate))


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
    are_moments(b1, b2, eps=eps, weight_decay=weight_decay, **fixed)
    digest = digests.ademamix(b1, b2, b3, alpha, eps)
    return transformation(one_pass("ademamix", digest, learning_rate, decoupled(weight_decay), mask=mask))


def are_moments(b1: Any, b2: Any, **others: Any) -> None:
    """Raise if one is no number, or if `b2` makes the corrected second moment's parts negative, which have no root."""
    are_numbers(b1=b1, b2=b2, **others)
    if isinstance(b2, Real) and float(b2) > 1:
        raise ValueError(f"b2: expected a number of 1 at the most, got {b2!r}")
