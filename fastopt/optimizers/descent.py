"""Descent along the gradient, an average of it, or its sign: SGD, Momentum, Rprop, ASGD, Lion."""

from typing import Annotated, Any, Unpack

import numpy as np

from fastopt.expect import FRACTION, INSIDE, NOT_NEGATIVE, POSITIVE, UNIT, Domain
from fastopt.kernels.optimizers import reference, scalars
from fastopt.optimizers.base import Optimizer, filled
from fastopt.optimizers.options import StepOptions
from fastopt.optimizers.rule import BETAS, Group, Pair, Rate, Rule

ABOVE_ONE = Domain(lambda x: 1 < x < np.inf, "a finite number > 1")


def _sgd_kernel(group: Group) -> str:
    return "sgd" if group["momentum"] == 0 else "sgd_momentum"


def _nesterov_fits(group: Group, compute: str) -> None:
    if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
        raise ValueError(
            "nesterov: expected momentum > 0 and dampening 0 with it, got "
            f"momentum {group['momentum']} and dampening {group['dampening']}"
        )


def _step_sizes_fit(group: Group, compute: str) -> None:
    if group["step_sizes"][0] > group["step_sizes"][1]:
        raise ValueError(f"step_sizes: expected the shortest before the longest, got {group['step_sizes']}")


def _first_step_size(name: str, group: Group, param: np.ndarray) -> float:
    return group["lr"] if name == "step_size" else 0.0


@filled
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's acceleration.

    g ← ±grad + weight_decay θ;  b ← momentum b + (1 − dampening) g  (b ← g at the first step);
    θ ← θ − lr b, or θ ← θ − lr (g + momentum b) with nesterov.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-3
        Step per unit of gradient.
    momentum : float in [0, 1), default 0
        Share of the old direction kept; 0 keeps no state.
    dampening : float in [0, 1], default 0
        Share of the new gradient left out of the direction; must be 0 with `nesterov`.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step.
    nesterov : bool, default False
        Needs momentum > 0.
    lr_in_momentum : bool, default False
        Let the buffer hold steps, b ← momentum b + lr g, as Keras does: lr then weighs gradients as they come.
    {shared}

    Notes
    -----
    State: `momentum_buffer`, of the parameter's shape and dtype. torch is the same. Keras keeps m ← momentum m − lr g
    (`lr_in_momentum=True`), which differs when lr changes: there lr weighs gradients as they came, here as they are
    used.

    References
    ----------
    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep learning",
    ICML 2013, equations 1 to 4.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(2)
    >>> opt = fo.optimizers.SGD(w, lr=0.5)
    >>> opt.step(np.array([1.0, 2.0]))
    >>> w
    array([0.5, 0. ])
    """

    rule = Rule(_sgd_kernel, scalars.sgd, reference.sgd, check=_nesterov_fits)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        momentum: Annotated[float, FRACTION] = 0.0,
        dampening: Annotated[float, UNIT] = 0.0,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
        lr_in_momentum: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params,
            options,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            lr_in_momentum=lr_in_momentum,
        )


@filled
class Momentum(Optimizer):
    """Gradient descent along a running average of gradients.

    v ← beta v + (1 − beta) g;  θ ← θ − lr v, from v = 0.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-2
        Step per unit of averaged gradient.
    beta : float in [0, 1), default 0.9
        Share of the old average kept.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step.
    {shared}

    Notes
    -----
    State: `velocity`, of the parameter's shape and dtype. The same path as torch's SGD with momentum=beta and
    dampening=beta but for torch's first step, which takes the gradient whole. Keras has no such class.

    References
    ----------
    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; in this form Ng, "Deep
    Learning", course 2, week 2, 2017.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(1)
    >>> fo.optimizers.Momentum(w, lr=1.0, beta=0.5).step(np.ones(1))
    >>> w
    array([0.5])
    """

    rule = Rule("momentum", scalars.momentum, reference.momentum)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        beta: Annotated[float, FRACTION] = 0.9,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, options, lr=lr, beta=beta, weight_decay=weight_decay, maximize=maximize)


class Rprop(Optimizer):
    """Steps by the gradient's sign alone, each element's length growing while the sign stays.

    Where g agrees in sign with the last one, its step grows by η₊; where it doesn't, the step shrinks by η₋ and g
    counts as 0, this time and as the last one next time; then θ ← θ − step sign(g). For full batches, not for
    noisy gradients.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-2
        Length of the first step, in the parameter's units; what it becomes later changes nothing.
    etas : two floats in (0, 1) and > 1, default (0.5, 1.2)
        Factors η₋ and η₊ of the step.
    step_sizes : two floats > 0, default (1e-6, 50)
        Shortest and longest step, in the parameter's units.
    params, maximize, **options
        As in :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain, or the shortest step is longer than the longest.

    Notes
    -----
    State: `prev`, the last gradient, and `step_size`, of the parameter's shape. A NaN in the gradient makes
    the parameter NaN. torch is the same; there is no way back after a change of sign, as in what Igel and Hüsken
    call iRprop−. Keras has no such class.

    References
    ----------
    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", ICNN
    1993. Igel and Hüsken, "Improving the Rprop learning algorithm", NC 2000.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(2)
    >>> opt = fo.optimizers.Rprop(w, lr=0.25)
    >>> opt.step(np.array([5.0, -0.1])); w
    array([0.75, 1.25])
    >>> opt.step(np.array([5.0, 0.1])); w
    array([0.45, 1.25])
    """

    rule = Rule(
        "rprop", scalars.rprop, reference.rprop, start=_first_step_size, only_at_start=("lr",), check=_step_sizes_fit,
        decays=False,
    )  # fmt: skip

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        etas: Annotated[Pair, (INSIDE, ABOVE_ONE)] = (0.5, 1.2),
        step_sizes: Annotated[Pair, (POSITIVE, POSITIVE)] = (1e-6, 50),
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, options, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize)


@filled
class ASGD(Optimizer):
    """Gradient descent with ever shorter steps, and the average of the parameters beside it.

    ηₜ = lr / (1 + lambd lr (t − 1))^alpha;  θ ← (1 − lambd ηₜ) θ − ηₜ g;  ā ← ā + μₜ (θ − ā), with
    μₜ = 1 / max(1, t − 1 − t0). The average ā is in `state` as `ax`; use it where the training is done.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-2
        Step per unit of gradient, at first.
    lambd : float ≥ 0, default 1e-4
        Decay: share of the parameter taken away per step and unit of η; and how fast η falls.
    alpha : float ≥ 0, default 0.75
        Power by which η falls.
    t0 : float ≥ 0, default 1e6
        Steps before averaging begins.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step.
    {shared}

    Notes
    -----
    State: `ax`, of the parameter's shape. torch is the same while lr stays; when lr changes, torch uses the
    new one a step later, as it computes η after its step. Keras has no such class.

    References
    ----------
    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 30, 1992,
    equation 2; step lengths as in Bottou, "Stochastic gradient descent tricks", 2012.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(1)
    >>> opt = fo.optimizers.ASGD(w, lr=0.5, lambd=0.0, t0=0)
    >>> for _ in range(3):
    ...     opt.step(np.ones(1))
    >>> w, opt.state[0]["ax"]
    (array([-0.5]), array([-0.25]))
    """

    rule = Rule("asgd", scalars.asgd, reference.asgd)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        lambd: Annotated[float, NOT_NEGATIVE] = 1e-4,
        alpha: Annotated[float, NOT_NEGATIVE] = 0.75,
        t0: Annotated[float, NOT_NEGATIVE] = 1e6,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params, options, lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, maximize=maximize
        )


@filled
class Lion(Optimizer):
    """Steps of one length, along the sign of an average that leans towards the new gradient.

    θ ← (1 − lr weight_decay) θ − lr sign(β₁ m + (1 − β₁) g);  then m ← β₂ m + (1 − β₂) g.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 1e-4
        Length of every element's step, in the parameter's units; a third to a tenth of AdamW's.
    betas : two floats in [0, 1), default (0.9, 0.99)
        Shares of the old average: in the direction, and kept.
    weight_decay : float ≥ 0, default 0
        Decoupled decay: share of the parameter taken away per step and unit of lr.
    {shared}

    Notes
    -----
    State: `exp_avg`, of the parameter's shape: half of Adam's. A NaN in the gradient makes the parameter NaN.
    The authors' code and optax are the same (optax's weight_decay is 1e-3); Keras too, with an lr of 1e-3. torch
    has no such class.

    References
    ----------
    Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, Algorithm 2.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(3)
    >>> fo.optimizers.Lion(w, lr=0.5).step(np.array([0.01, -3.0, 0.0]))
    >>> w
    array([0.5, 1.5, 1. ])
    """

    rule = Rule("lion", scalars.lion, reference.lion)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-4,
        betas: Annotated[Pair, BETAS] = (0.9, 0.99),
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, options, lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)
