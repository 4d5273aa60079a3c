"""Adam, AdamW and Adamax: steps along an average of gradients, divided by what is known of their size."""

from typing import Annotated, Any, Unpack

from fastopt.expect import NOT_NEGATIVE, POSITIVE
from fastopt.kernels.optimizers import reference, scalars
from fastopt.optimizers.base import Optimizer, filled
from fastopt.optimizers.options import StepOptions
from fastopt.optimizers.rule import BETAS, Group, Pair, Rate, Rule


def _adam_kernel(group: Group) -> str:
    return "adam_amsgrad" if group["amsgrad"] else "adam"


@filled
class Adam(Optimizer):
    """Adam: steps scaled by running averages of the gradient and its square; AMSGrad if asked.

    m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  θ ← θ − lr m̂ / (√v̂ + eps), with m̂ = m / (1 − β₁ᵗ) and
    v̂ = v / (1 − β₂ᵗ). With amsgrad, the largest v so far takes v's place.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-3
        Bound of a step, in the parameter's units.
    betas : two floats in [0, 1), default (0.9, 0.999)
        Shares of the old averages kept.
    eps : float > 0, default 1e-8
        Added to the root, outside it.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step: added to the gradient.
    amsgrad : bool, default False
        Divide by the largest average so far.
    eps_hat : bool, default False
        Add eps before the correction of v, as Keras does: √v + eps, all of it corrected.
    {shared}

    Notes
    -----
    State: `exp_avg`, `exp_avg_sq` (and `max_exp_avg_sq`), of the parameter's shape and dtype. torch is the same.
    Keras's epsilon (default 1e-7) is the paper's "epsilon hat" of section 2 (`eps_hat=True`), and its weight_decay is
    decoupled.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, Algorithm 1. Reddi, Kale and Kumar,
    "On the convergence of Adam and beyond", ICLR 2018, Algorithm 2.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(2)
    >>> fo.optimizers.Adam(w, lr=0.5).step(np.array([1.0, -3.0]))
    >>> w.round(6)
    array([0.5, 1.5])
    """

    rule = Rule(_adam_kernel, scalars.adam, reference.adam)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        betas: Annotated[Pair, BETAS] = (0.9, 0.999),
        eps: Annotated[float, POSITIVE] = 1e-8,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        amsgrad: bool = False,
        maximize: bool = False,
        eps_hat: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params,
            options,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
            eps_hat=eps_hat,
        )


@filled
class AdamW(Adam):
    """Adam with decoupled weight decay: θ ← (1 − lr weight_decay) θ − lr m̂ / (√v̂ + eps).

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-3
        Bound of a step, in the parameter's units.
    betas : two floats in [0, 1), default (0.9, 0.999)
        Shares of the old averages kept.
    eps : float > 0, default 1e-8
        Added to the root, outside it.
    weight_decay : float ≥ 0, default 0.01
        Decoupled decay: share of the parameter taken away per step and unit of lr.
    amsgrad : bool, default False
        Divide by the largest average so far.
    eps_hat : bool, default False
        Add eps before the correction of v, as Keras does: √v + eps, all of it corrected.
    {shared}

    Notes
    -----
    State: as in :class:`Adam`. torch is the same; Keras (default 0.004) differs in epsilon as for
    Adam (`eps_hat=True`).

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, Algorithm 2.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(2)
    >>> fo.optimizers.AdamW({"w": w}, lr=0.5, weight_decay=0.1).step({"w": np.array([1.0, -3.0])})
    >>> w.round(6)
    array([0.45, 1.45])
    """

    rule = Rule(_adam_kernel, scalars.adamw, reference.adamw)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        betas: Annotated[Pair, BETAS] = (0.9, 0.999),
        eps: Annotated[float, POSITIVE] = 1e-8,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 1e-2,
        amsgrad: bool = False,
        maximize: bool = False,
        eps_hat: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize, eps_hat, **options)


@filled
class Adamax(Optimizer):
    """Adam with the infinity norm: steps divided by the largest gradient, old ones fading.

    m ← β₁ m + (1 − β₁) g;  u ← max(β₂ u, |g| + eps);  θ ← θ − lr / (1 − β₁ᵗ) · m / u.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 2e-3
        Bound of a step, in the parameter's units.
    betas : two floats in [0, 1), default (0.9, 0.999)
        Share of the old average kept; share of the old maximum left after a step.
    eps : float > 0, default 1e-8
        Added to the gradient's size.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step.
    eps_in_divisor : bool, default False
        Add eps to u where it divides, as Keras does, rather than to |g|.
    {shared}

    Notes
    -----
    State: `exp_avg`, `exp_inf`, of the parameter's shape. torch is the same. The paper has no epsilon;
    Keras adds it (1e-7) to u where it divides: `eps_in_divisor=True`.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, Algorithm 2.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(2)
    >>> fo.optimizers.Adamax(w, lr=0.5).step(np.array([1.0, -3.0]))
    >>> w.round(6)
    array([0.5, 1.5])
    """

    rule = Rule("adamax", scalars.adamax, reference.adamax)

    def __init__(
        self,
        params: Any,
        lr: Rate = 2e-3,
        betas: Annotated[Pair, BETAS] = (0.9, 0.999),
        eps: Annotated[float, POSITIVE] = 1e-8,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        maximize: bool = False,
        eps_in_divisor: bool = False,
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
            eps_in_divisor=eps_in_divisor,
        )
