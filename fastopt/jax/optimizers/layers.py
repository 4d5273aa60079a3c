"""Steps that depend on a whole leaf: its norms, its rows and columns, its directions."""

from math import sqrt
from typing import Any

import jax
import numpy as np

from fastopt import expect
from fastopt.jax import digests, stepping
from fastopt.jax.optimizers.adam import are_moments
from fastopt.jax.transformation import Fused, Mask, Rate, Rule, Shape, are_numbers, decoupled, one_pass, transformation


def lars(
    learning_rate: Rate, weight_decay: float = 0.0, weight_decay_mask: Mask = True, trust_coefficient: float = 0.001,
    eps: float = 0.0, trust_ratio_mask: Mask = True, momentum: float = 0.9, nesterov: bool = False,
) -> Fused:  # fmt: skip
    """LARS: optax.lars on fastopt's kernels; otherwise as in :func:`sgd`.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`
    weight_decay : float ≥ 0
        Coupled decay: added to the gradient, which costs a pass over memory where it isn't 0.
    weight_decay_mask, trust_ratio_mask : tree of bools, callable (params) -> tree of bools, or bool
        Which leaves decay, and which have a rate that follows from their norms.
    trust_coefficient : float > 0
        Rate per length of the parameter and length of the gradient.
    eps : float ≥ 0
        Added to the gradient's length.
    momentum : float in [0, 1)
        Share of the old direction kept.
    nesterov : bool
        Look ahead along the new direction.
    """
    are_numbers(weight_decay=weight_decay, trust_coefficient=trust_coefficient, eps=eps, momentum=momentum)
    expect.flag(nesterov, "nesterov")
    step = stepping.lars(momentum, nesterov, weight_decay, trust_coefficient, eps)
    masks = {"mask": weight_decay_mask, "second": trust_ratio_mask}
    return transformation(Rule(step, learning_rate, ("momentum_buffer",), reads=True, **masks))


def lamb(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-6, *, weight_decay: float = 0.0,
    mask: Mask = None,
) -> Fused:  # fmt: skip
    """LAMB: optax.lamb on fastopt's kernels, without `eps_root`; otherwise as in :func:`adamw`."""
    are_moments(b1, b2, eps=eps, weight_decay=weight_decay)
    step = stepping.lamb(b1, b2, eps, weight_decay)
    return transformation(Rule(step, learning_rate, ("exp_avg", "exp_avg_sq"), mask=mask, reads=True))


def adafactor(
    learning_rate: Rate | None = None, min_dim_size_to_factor: int = 128, decay_rate: float = 0.8,
    decay_offset: int = 0, multiply_by_parameter_scale: bool = True, clipping_threshold: float | None = 1.0, *,
    weight_decay_rate: float | None = None, eps: float = 1e-30, factored: bool = True, weight_decay_mask: Mask = None,
) -> Fused:  # fmt: skip
    """Adafactor: optax.adafactor on fastopt's kernels, without `momentum`; otherwise as in :func:`sgd`.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`, or None
        Per unit of the parameter's scale; None: 1.
    min_dim_size_to_factor : int
        Leaves with two axes as long as this keep averages of rows and columns of the two longest; others an average for
        each element. Other axes than the last two cost copies.
    decay_rate, decay_offset : float in (0, 1), int
        The t-th new square has a share of (t − decay_offset)^−decay_rate.
    multiply_by_parameter_scale : bool
        Multiply steps by the root mean square of the parameter, at least 1e-3.
    clipping_threshold : float or None
        Largest root mean square of a step.
    weight_decay_rate : float or None
        Share of a parameter taken away per step.
    eps : float > 0
        The least average of squares. Optax adds it to each square, which is the same as long as it is tiny.
    factored : bool
        Whether there are averages of rows and columns at all.
    weight_decay_mask : as `mask` of :func:`adamw`

    Notes
    -----
    optax.chain(adafactor(...), optax.ema(momentum, debias=False)) adds momentum, where there is no decay.
    """
    expect.flag(multiply_by_parameter_scale, "multiply_by_parameter_scale")
    expect.flag(factored, "factored")
    least = expect.integer(min_dim_size_to_factor, "min_dim_size_to_factor", 0)
    are_numbers(decay_rate=decay_rate, decay_offset=decay_offset, eps=eps)
    if clipping_threshold is not None:
        are_numbers(clipping_threshold=clipping_threshold)
    if weight_decay_rate is not None:
        are_numbers(weight_decay_rate=weight_decay_rate)
    digest = digests.adafactor(decay_rate, decay_offset, eps)
    kept = 1.0 if weight_decay_rate is None else 1.0 - weight_decay_rate
    scale = 1e-3 if multiply_by_parameter_scale else None
    steps = stepping.Factored(digest, scale, clipping_threshold, eps, kept)

    def is_matrix(shape: Shape) -> bool:
        return factored and len(shape) > 1 and sorted(shape)[-2] >= least

    def shape_of(name: str, shape: Shape) -> Shape:
        first, second = stepping.longest(shape)
        rest = tuple([length for axis, length in enumerate(shape) if axis not in (first, second)])
        return (*rest, shape[first], 1) if name == "row_var" else (*rest, 1, shape[second])

    rate = 1.0 if learning_rate is None else learning_rate
    reads = multiply_by_parameter_scale or weight_decay_rate is not None
    return transformation(
        Rule(steps.matrices, rate, ("row_var", "col_var"), {}, weight_decay_mask, None, is_matrix, shape_of, reads),
        Rule(steps.vectors, rate, ("variance",), mask=weight_decay_mask, reads=reads),
    )


def muon(
    learning_rate: Rate, ns_coeffs: Any = (3.4445, -4.7750, 2.0315), ns_steps: int = 5, beta: float = 0.95,
    eps: float = 1e-8, weight_decay: float = 0.0, weight_decay_mask: Mask = None, *, nesterov: bool = True,
    adam_b1: float = 0.9, adam_b2: float = 0.999, adam_weight_decay: float = 0.0,
    adam_learning_rate: Rate | None = None, consistent_rms: float | None = None,
) -> Fused:  # fmt: skip
    """Muon for matrices, AdamW for other leaves: optax.contrib.muon; otherwise as in :func:`sgd`.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`
    ns_coeffs : three floats, or a sequence of them
        Coefficients of the iteration that makes a matrix orthogonal, of all its steps or of each.
    ns_steps : int ≥ 1
        How many; not used where `ns_coeffs` has some for each.
    beta : float in [0, 1)
        Share of the old average kept.
    eps : float > 0
        Added to a matrix' length; AdamW's, too.
    weight_decay, weight_decay_mask : as in :func:`adamw`
        Of matrices.
    nesterov : bool
        Look ahead along the new direction, AdamW too.
    adam_b1, adam_b2, adam_weight_decay, adam_learning_rate
        AdamW's; None: the rate of matrices.
    consistent_rms : float or None
        Rates are multiplied by consistent_rms √max(n, m) for an n × m matrix; None: by √max(1, m / n).

    Notes
    -----
    The products of matrices are JAX's. Without `adaptive`, `mu_dtype`, `adam_eps_root`, other `preconditioning` than
    'frobenius', and `muon_weight_dimension_numbers`: optax.multi_transform says which leaves are whose.
    """
    are_moments(adam_b1, adam_b2, beta=beta, eps=eps, weight_decay=weight_decay, adam_weight_decay=adam_weight_decay)
    expect.flag(nesterov, "nesterov")
    if consistent_rms is not None:
        are_numbers(consistent_rms=consistent_rms)
    coefficients = _coefficients(ns_coeffs, ns_steps)
    kept = decoupled(weight_decay)

    def factor(rows: int, columns: int) -> Any:
        if consistent_rms is not None:
            return sqrt(max(rows, columns)) * consistent_rms
        return sqrt(max(1.0, columns / max(1, rows)))

    step = stepping.muon(beta, nesterov, coefficients, eps, kept or (lambda lr: 1.0), factor)
    matrices = Rule(
        step, learning_rate, ("momentum_buffer",), mask=weight_decay_mask, takes=lambda shape: len(shape) == 2,
        reads=kept is not None,
    )  # fmt: skip
    kernel, digest = ("nadam", digests.nadam) if nesterov else ("adam", digests.adam)
    rate = learning_rate if adam_learning_rate is None else adam_learning_rate
    others = one_pass(kernel, digest(adam_b1, adam_b2, eps), rate, decoupled(adam_weight_decay), staged=bool(nesterov))
    return transformation(matrices, others)


def _coefficients(given: Any, steps: int) -> np.ndarray:
    count = expect.integer(steps, "ns_steps", 1)
    if isinstance(given, jax.core.Tracer | str):
        raise TypeError(f"ns_coeffs: expected three numbers, or rows of three, got {expect.describe(given)}")
    found = np.asarray(given, np.float64)
    if found.ndim not in (1, 2) or found.shape[-1] != 3 or not found.size:
        raise ValueError(f"ns_coeffs: expected three numbers, or rows of three, got shape {found.shape}")
    return np.tile(found, (count, 1)) if found.ndim == 1 else found
