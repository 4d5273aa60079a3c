"""The rest of torch.optim's elementwise optimizers: Adamax, NAdam, RAdam, Adadelta, Rprop, ASGD."""

from collections.abc import Callable
from typing import Any, ClassVar, Unpack

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers import reference, scalars
from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.optimizers.base import Group, Optimizer
from fastopt.optimizers.options import StepOptions

Rate = float | Callable[[int], float]


class Adamax(Optimizer):
    """Adam with the infinity norm: steps divided by the largest gradient, old ones fading.

    m ← β₁ m + (1 − β₁) g;  u ← max(β₂ u, |g| + eps);  θ ← θ − lr / (1 − β₁ᵗ) · m / u.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
    lr : float ≥ 0 or callable(steps) -> float, default 2e-3
        Bound of a step, in the parameter's units.
    betas : two floats in [0, 1), default (0.9, 0.999)
        Share of the old average kept; share of the old maximum left after a step.
    eps : float > 0, default 1e-8
        Added to the gradient's size.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step.
    maximize : bool, default False
        Ascend instead.
    eps_in_divisor : bool, default False
        Add eps to u where it divides, as Keras does, rather than to |g|.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.adamax)
    _scalars = staticmethod(scalars.adamax)

    def __init__(
        self,
        params: Any,
        lr: Rate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
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

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["adamax"]


class NAdam(Optimizer):
    """Adam with Nesterov's momentum, whose strength μ grows with the steps.

    μₜ = β₁ (1 − ½ 0.96^(t momentum_decay));  m and v as in :class:`Adam`;
    θ ← θ − lr (μₜ₊₁ m / (1 − μ₁…μₜ₊₁) + (1 − μₜ) g / (1 − μ₁…μₜ)) / (√v̂ + eps).

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
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
    maximize : bool, default False
        Ascend instead.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.nadam)
    _scalars = staticmethod(scalars.nadam)
    _carry = staticmethod(scalars.nadam_carried)
    _carries: ClassVar = {"mu_product": 1.0}

    def __init__(
        self,
        params: Any,
        lr: Rate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
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

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["nadam"]


class RAdam(Optimizer):
    """Adam that waits until its divisor can be trusted, and shortens its steps by how far it can.

    m and v as in :class:`Adam`;  ρ∞ = 2 / (1 − β₂) − 1,  ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ). Where ρ > 5:
    r = √((ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ)) and θ ← θ − lr r m̂ √(1 − β₂ᵗ) / (√v + eps); before, θ ← θ − lr m̂.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
    lr : float ≥ 0 or callable(steps) -> float, default 1e-3
        Bound of a rectified step, in the parameter's units; step per unit of averaged gradient before.
    betas : two floats in [0, 1), default (0.9, 0.999)
        Shares of the old averages kept.
    eps : float > 0, default 1e-8
        Added to √v, outside the root and before its correction.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step; decoupled with the option of that name.
    maximize : bool, default False
        Ascend instead.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.radam)
    _scalars = staticmethod(scalars.radam)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
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

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["radam"]


class Adadelta(Optimizer):
    """Steps in the parameter's own units: the gradient times the root mean square of steps over that of gradients.

    s ← ρ s + (1 − ρ) g²;  Δ = √(a + eps) / √(s + eps) · g;  a ← ρ a + (1 − ρ) Δ²;  θ ← θ − lr Δ.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
    lr : float ≥ 0 or callable(steps) -> float, default 1.0
        Factor of the step; the paper has 1.
    rho : float in [0, 1), default 0.9
        Share of the old averages kept.
    eps : float > 0, default 1e-6
        Added inside both roots: how the first steps begin.
    weight_decay : float ≥ 0, default 0
        Coupled (L2) decay, per step.
    maximize : bool, default False
        Ascend instead.
    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.adadelta)
    _scalars = staticmethod(scalars.adadelta)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, options, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["adadelta"]


class Rprop(Optimizer):
    """Steps by the gradient's sign alone, each element's length growing while the sign stays.

    Where g agrees in sign with the last one, its step grows by η₊; where it doesn't, the step shrinks by η₋ and g
    counts as 0, this time and as the last one next time; then θ ← θ − step sign(g). For full batches, not for
    noisy gradients.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
    lr : float ≥ 0 or callable(steps) -> float, default 1e-2
        Length of the first step, in the parameter's units; what it becomes later changes nothing.
    etas : two floats in (0, 1) and > 1, default (0.5, 1.2)
        Factors η₋ and η₊ of the step.
    step_sizes : two floats > 0, default (1e-6, 50)
        Shortest and longest step, in the parameter's units.
    maximize : bool, default False
        Ascend instead.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

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

    _reference = staticmethod(reference.rprop)
    _scalars = staticmethod(scalars.rprop)
    _only_at_start = ("lr",)
    _domains: ClassVar = {
        "etas": [expect.INSIDE, (lambda x: 1 < x < np.inf, "a finite number > 1")],
        "step_sizes": [expect.POSITIVE, expect.POSITIVE],
    }

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, options, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize)

    def _checked(self, group: Group) -> Group:
        group = super()._checked(group)
        if group["step_sizes"][0] > group["step_sizes"][1]:
            raise ValueError(f"step_sizes: expected the shortest before the longest, got {group['step_sizes']}")
        return group

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["rprop"]

    def _initial(self, name: str, group: Group, param: np.ndarray) -> float:
        return self._lr(group) if name == "step_size" else 0.0


class ASGD(Optimizer):
    """Gradient descent with ever shorter steps, and the average of the parameters beside it.

    ηₜ = lr / (1 + lambd lr (t − 1))^alpha;  θ ← (1 − lambd ηₜ) θ − ηₜ g;  ā ← ā + μₜ (θ − ā), with
    μₜ = 1 / max(1, t − 1 − t0). The average ā is in `state` as `ax`; use it where the training is done.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
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
    maximize : bool, default False
        Ascend instead.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.asgd)
    _scalars = staticmethod(scalars.asgd)
    _domains: ClassVar = {"alpha": expect.NOT_NEGATIVE}

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(
            params, options, lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, maximize=maximize
        )

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["asgd"]
