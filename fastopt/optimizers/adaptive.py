"""Steps of each element by its own rate, from squares of its gradients: RMSprop, Adagrad, Adadelta, FTRL."""

from typing import Annotated, Any, Unpack

import numpy as np

from fastopt.expect import FRACTION, NOT_NEGATIVE, NOT_POSITIVE, POSITIVE
from fastopt.kernels.optimizers import reference, scalars
from fastopt.optimizers.base import Optimizer, filled
from fastopt.optimizers.options import StepOptions
from fastopt.optimizers.rule import Group, Rate, Rule, Schedule


def _rmsprop_kernel(group: Group) -> str:
    return "rmsprop" + ("_centered" if group["centered"] else "") + ("_momentum" if group["momentum"] else "")


def _accumulated(name: str, group: Group, param: np.ndarray) -> float:
    return group["initial_accumulator_value"] if name in ("sum_of_squares", "n") else 0.0


@filled
class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient; centered and with momentum if asked.

    s ← α s + (1 − α) g²;  θ ← θ − lr g / (√s + eps). Centered: a ← α a + (1 − α) g and √(s − a²) in place of √s.
    With momentum: b ← momentum b + g / (√s + eps);  θ ← θ − lr b.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-2
        Step per unit of scaled gradient.
    alpha : float in [0, 1), default 0.99
        Share of the old averages kept.
    eps : float > 0, default 1e-8
        Added to the root, outside it.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step.
    momentum : float in [0, 1), default 0
        Share of the old direction kept; 0 keeps no direction.
    centered : bool, default False
        Divide by the standard deviation instead.
    eps_in_root : bool, default False
        Add eps inside the root, as Keras and optax do.
    lr_in_momentum : bool, default False
        Let the buffer hold steps, b ← momentum b + lr g / …, as Keras does: lr then weighs gradients as they come.
    {shared}

    Notes
    -----
    State: `square_avg`, then `grad_avg` if centered, then `momentum_buffer` with momentum; of the parameter's shape
    and dtype. torch is the same, but for s − a² below zero by rounding, which it turns into NaN and fastopt into 0.
    Keras and optax add epsilon inside the root (`eps_in_root=True`), and Keras's buffer holds steps
    (`lr_in_momentum=True`).

    References
    ----------
    Tieleman and Hinton, "Lecture 6.5: rmsprop", Coursera, 2012. Graves, "Generating sequences with recurrent neural
    networks", 2013, equations 38 to 45.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(1)
    >>> fo.optimizers.RMSprop(w, lr=0.1, alpha=0.75).step(np.ones(1))
    >>> w.round(6)
    array([0.8])
    """

    rule = Rule(_rmsprop_kernel, scalars.rmsprop, reference.rmsprop)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        alpha: Annotated[float, FRACTION] = 0.99,
        eps: Annotated[float, POSITIVE] = 1e-8,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        momentum: Annotated[float, FRACTION] = 0.0,
        centered: bool = False,
        maximize: bool = False,
        eps_in_root: bool = False,
        lr_in_momentum: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params,
            options,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            maximize=maximize,
            eps_in_root=eps_in_root,
            lr_in_momentum=lr_in_momentum,
        )


@filled
class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far.

    s ← s + g²;  θ ← θ − lr / (1 + (t − 1) lr_decay) · g / (√s + eps).

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-2
        Step per unit of scaled gradient.
    lr_decay : float ≥ 0, default 0
        Growth of lr's divisor per step.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step.
    initial_accumulator_value : float ≥ 0, default 0
        Where s starts, in squared units of the gradient.
    eps : float > 0, default 1e-10
        Added to the root, outside it.
    eps_in_root : bool, default False
        Add eps inside the root, as Keras and optax do.
    {shared}

    Notes
    -----
    State: `sum_of_squares`, of the parameter's shape and dtype (torch calls it `sum`). torch is the same; Keras and
    optax start s at 0.1, and add epsilon inside the root (`eps_in_root=True`).

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR
    12, 2011, Figure 1 (diagonal matrices).

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(1)
    >>> fo.optimizers.Adagrad(w, lr=0.5).step(np.full(1, 3.0))
    >>> w.round(6)
    array([0.5])
    """

    rule = Rule(
        "adagrad", scalars.adagrad, reference.adagrad, start=_accumulated, only_at_start=("initial_accumulator_value",)
    )  # fmt: skip

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        lr_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        initial_accumulator_value: Annotated[float, NOT_NEGATIVE] = 0.0,
        eps: Annotated[float, POSITIVE] = 1e-10,
        maximize: bool = False,
        eps_in_root: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params,
            options,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
            eps_in_root=eps_in_root,
        )


@filled
class Adadelta(Optimizer):
    """Steps in the parameter's own units: the gradient times the root mean square of steps over that of gradients.

    s ← ρ s + (1 − ρ) g²;  Δ = √(a + eps) / √(s + eps) · g;  a ← ρ a + (1 − ρ) Δ²;  θ ← θ − lr Δ.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1.0
        Factor of the step; the paper has 1.
    rho : float in [0, 1), default 0.9
        Share of the old averages kept.
    eps : float > 0, default 1e-6
        Added inside both roots: how the first steps begin.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step.
    {shared}

    Notes
    -----
    State: `square_avg`, `acc_delta`, of the parameter's shape. torch is the same. Keras has the same rule
    with other defaults: lr 1e-3, rho 0.95, eps 1e-7.

    References
    ----------
    Zeiler, "ADADELTA: an adaptive learning rate method", 2012, Algorithm 1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(1)
    >>> fo.optimizers.Adadelta(w, rho=0.75, eps=0.25).step(np.full(1, 2.0))
    >>> w.round(6)
    array([0.105573])
    """

    rule = Rule("adadelta", scalars.adadelta, reference.adadelta)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1.0,
        rho: Annotated[float, FRACTION] = 0.9,
        eps: Annotated[float, POSITIVE] = 1e-6,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, options, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)


@filled
class FTRL(Optimizer):
    """Follow the regularized leader, proximal: per-coordinate rates, and weights that are exactly 0 where l1 says so.

    σ = (√(n + g²) − √n) / lr;  z ← z + g + l2_shrinkage θ − σ θ;  n ← n + g²;
    θ ← 0 where |z| ≤ l1, else −(z − l1 sign(z)) / ((beta + √n) / lr + l2), with n^−lr_power for √n.

    Parameters
    ----------
    params
        As in :class:`Optimizer`. Begin at 0: z knows nothing of other starts, so beta, l1 and l2 draw them to 0.
    lr : float > 0 or callable(steps) -> float, default 1e-2
        Step per unit of scaled gradient; the paper's α.
    beta : float ≥ 0, default 1.0
        Added to √n: how much the first steps are shortened.
    l1 : float ≥ 0, default 0
        Strength of the L1 norm, in units of the gradient's sum.
    l2 : float ≥ 0, default 0
        Strength of the squared L2 norm.
    initial_accumulator_value : float ≥ 0, default 0
        Where n starts, in squared units of the gradient.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step: added to the gradient.
    lr_power : float ≤ 0, default -0.5
        Power of n by which rates shrink; 0 keeps them.
    l2_shrinkage : float ≥ 0, default 0
        Strength of a squared L2 norm whose gradient n does not see.
    maximize, **options
        As in :class:`Optimizer`.

    {raises}

    Notes
    -----
    State: `z`, `n`, of the parameter's shape. Keras calls them `linear` and `accumulator`, starts n at 0.1,
    has a beta of 0, and an l2 and l2_shrinkage of half ours; its learning_rate_power is `lr_power`. torch has no such
    class.

    References
    ----------
    McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013, Algorithm 1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.zeros(3)
    >>> fo.optimizers.FTRL(w, lr=0.5, l1=1.0).step(np.array([3.0, 1.0, -1.5]))
    >>> w
    array([-0.25,  0.  ,  0.1 ])
    """

    rule = Rule(
        lambda group: "ftrl" if group["lr_power"] == -0.5 else "ftrl_power", scalars.ftrl, reference.ftrl,
        start=_accumulated, only_at_start=("initial_accumulator_value",),
    )  # fmt: skip

    def __init__(
        self,
        params: Any,
        lr: Annotated[float | Schedule, POSITIVE] = 1e-2,
        beta: Annotated[float, NOT_NEGATIVE] = 1.0,
        l1: Annotated[float, NOT_NEGATIVE] = 0.0,
        l2: Annotated[float, NOT_NEGATIVE] = 0.0,
        initial_accumulator_value: Annotated[float, NOT_NEGATIVE] = 0.0,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        lr_power: Annotated[float, NOT_POSITIVE] = -0.5,
        l2_shrinkage: Annotated[float, NOT_NEGATIVE] = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params,
            options,
            lr=lr,
            beta=beta,
            l1=l1,
            l2=l2,
            initial_accumulator_value=initial_accumulator_value,
            weight_decay=weight_decay,
            lr_power=lr_power,
            l2_shrinkage=l2_shrinkage,
            maximize=maximize,
        )
