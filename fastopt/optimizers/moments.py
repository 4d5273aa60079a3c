"""Adam along other averages: Nesterov's momentum, a divisor that waits, and a second, slow average."""

from typing import Annotated, Any, Unpack

from fastopt.expect import FRACTION, NOT_NEGATIVE, POSITIVE
from fastopt.kernels.optimizers import reference, scalars
from fastopt.optimizers.base import Optimizer, filled
from fastopt.optimizers.options import StepOptions
from fastopt.optimizers.rule import BETAS, Pair, Rate, Rule, Triple


@filled
class NAdam(Optimizer):
    """Adam with Nesterov's momentum, whose strength μ grows with the steps.

    μₜ = β₁ (1 − ½ 0.96^(t momentum_decay));  m and v as in :class:`Adam`;
    θ ← θ − lr (μₜ₊₁ m / (1 − μ₁…μₜ₊₁) + (1 − μₜ) g / (1 − μ₁…μₜ)) / (√v̂ + eps).

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 2e-3
        Rough bound of a step, in the parameter's units.
    betas : two floats in [0, 1), default (0.9, 0.999)
        Shares of the old averages kept; the first is also where μ ends.
    eps : float > 0, default 1e-8
        Added to the root, outside it.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step; decoupled with the option of that name.
    momentum_decay : float ≥ 0, default 4e-3
        How fast μ grows from β₁ / 2 to β₁; 1 is the paper's schedule with its 250 left out.
    {shared}

    Notes
    -----
    State: `exp_avg`, `exp_avg_sq`, of the parameter's shape; `mu_product`, the product of all μ so far, is
    carried by the group in double precision, so it stays right if betas change between steps. torch is the same,
    but for its `mu_product` in float32. Keras is momentum_decay=1, with an epsilon of 1e-7 and decoupled decay.

    References
    ----------
    Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop, 2016, Algorithm 2.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(2)
    >>> opt = fo.optimizers.NAdam(w, lr=0.5)
    >>> opt.step(np.array([1.0, -3.0]))
    >>> w.round(3), round(opt.carried[0]["mu_product"], 4)
    (array([0.472, 1.528]), 0.4501)
    """

    rule = Rule(
        "nadam", scalars.nadam, reference.nadam, carries={"mu_product": 1.0}, carry=scalars.nadam_carried
    )  # fmt: skip

    def __init__(
        self,
        params: Any,
        lr: Rate = 2e-3,
        betas: Annotated[Pair, BETAS] = (0.9, 0.999),
        eps: Annotated[float, POSITIVE] = 1e-8,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        momentum_decay: Annotated[float, NOT_NEGATIVE] = 4e-3,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params,
            options,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            momentum_decay=momentum_decay,
            maximize=maximize,
        )


@filled
class RAdam(Optimizer):
    """Adam that waits until its divisor can be trusted, and shortens its steps by how far it can.

    m and v as in :class:`Adam`;  ρ∞ = 2 / (1 − β₂) − 1,  ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ). Where ρ > 5:
    r = √((ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ)) and θ ← θ − lr r m̂ √(1 − β₂ᵗ) / (√v + eps); before, θ ← θ − lr m̂.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-3
        Bound of a rectified step, in the parameter's units; step per unit of averaged gradient before.
    betas : two floats in [0, 1), default (0.9, 0.999)
        Shares of the old averages kept.
    eps : float > 0, default 1e-8
        Added to √v, outside the root and before its correction.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step; decoupled with the option of that name.
    {shared}

    Notes
    -----
    State: `exp_avg`, `exp_avg_sq`, of the parameter's shape. torch is the same. The paper rectifies from
    ρ > 4 on, has no epsilon, and its authors' code decouples the decay. Keras has no such class.

    References
    ----------
    Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020, Algorithm 2.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(2)
    >>> fo.optimizers.RAdam(w, lr=0.5).step(np.array([1.0, -3.0]))
    >>> w.round(6)
    array([0.5, 2.5])
    """

    rule = Rule("radam", scalars.radam, reference.radam)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        betas: Annotated[Pair, BETAS] = (0.9, 0.999),
        eps: Annotated[float, POSITIVE] = 1e-8,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params,
            options,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            maximize=maximize,
        )


@filled
class AdEMAMix(Optimizer):
    """AdamW along two averages of the gradient at once: a fast one, and a slow one that remembers thousands of steps.

    m₁ ← β₁ m₁ + (1 − β₁) g;  m₂ ← β₃ m₂ + (1 − β₃) g;  v ← β₂ v + (1 − β₂) g²;
    θ ← (1 − lr weight_decay) θ − lr (m̂₁ + α m₂) / (√v̂ + eps), with m̂₁ = m₁ / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ).

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-3
        Bound of the fast average's part of a step, in the parameter's units.
    betas : three floats in [0, 1), default (0.9, 0.999, 0.9999)
        Shares of the old averages kept: of the fast one, of the squares, of the slow one.
    alpha : float ≥ 0, default 5.0
        Weight of the slow average.
    beta3_warmup, alpha_warmup : float ≥ 0, default 0.0
        Steps over which β₃ comes from β₁ (its half-life growing linearly) and α from 0; the paper takes all of the
        training's. 0: at once.
    eps : float > 0, default 1e-8
        Added to the root, outside it.
    weight_decay : float ≥ 0, default 0
        Decoupled decay: share of the parameter taken away per step and unit of lr.
    {shared}

    Notes
    -----
    State: `exp_avg_fast`, `exp_avg_slow`, `exp_avg_sq`, of the parameter's shape. The authors' code is the
    same, with an alpha of 2. torch and Keras have no such class.

    References
    ----------
    Pagliardini, Ablin and Grangier, "The AdEMAMix optimizer: better, faster, older", 2024, Algorithm 1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(2)
    >>> fo.optimizers.AdEMAMix(w, lr=0.5, betas=(0.9, 0.999, 0.5), alpha=1.0).step(np.array([1.0, -3.0]))
    >>> w.round(6)
    array([0.25, 1.75])
    """

    rule = Rule("ademamix", scalars.ademamix, reference.ademamix)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        betas: Annotated[Triple, (FRACTION, FRACTION, FRACTION)] = (0.9, 0.999, 0.9999),
        alpha: Annotated[float, NOT_NEGATIVE] = 5.0,
        beta3_warmup: Annotated[float, NOT_NEGATIVE] = 0.0,
        alpha_warmup: Annotated[float, NOT_NEGATIVE] = 0.0,
        eps: Annotated[float, POSITIVE] = 1e-8,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params,
            options,
            lr=lr,
            betas=betas,
            alpha=alpha,
            beta3_warmup=beta3_warmup,
            alpha_warmup=alpha_warmup,
            eps=eps,
            weight_decay=weight_decay,
            maximize=maximize,
        )
