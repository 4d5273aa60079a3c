"""The optimizers that everybody starts with: gradient descent, momentum, Adam, RMSprop, Adagrad."""

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np

from fastopt.kernels.optimizers import reference, scalars
from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.optimizers.base import Group, Optimizer
from fastopt.optimizers.options import StepOptions

Rate = float | Callable[[int], float]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's acceleration.

    g ← ±grad + weight_decay θ;  b ← momentum b + (1 − dampening) g  (b ← g at the first step);
    θ ← θ − lr b, or θ ← θ − lr (g + momentum b) with nesterov.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
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
    maximize : bool, default False
        Ascend instead.
    lr_in_momentum : bool, default False
        Let the buffer hold steps, b ← momentum b + lr g, as Keras does: lr then weighs gradients as they come.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.sgd)
    _scalars = staticmethod(scalars.sgd)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
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

    def _checked(self, group: Group) -> Group:
        group = super()._checked(group)
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(
                "nesterov: expected momentum > 0 and dampening 0 with it, got "
                f"momentum {group['momentum']} and dampening {group['dampening']}"
            )
        return group

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["sgd" if group["momentum"] == 0 else "sgd_momentum"]


class Momentum(Optimizer):
    """Gradient descent along a running average of gradients.

    v ← beta v + (1 − beta) g;  θ ← θ − lr v, from v = 0.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
    lr : float ≥ 0 or callable(steps) -> float, default 1e-2
        Step per unit of averaged gradient.
    beta : float in [0, 1), default 0.9
        Share of the old average kept.
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

    _reference = staticmethod(reference.momentum)
    _scalars = staticmethod(scalars.momentum)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        beta: float = 0.9,
        weight_decay: float = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, options, lr=lr, beta=beta, weight_decay=weight_decay, maximize=maximize)

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["momentum"]


class Adam(Optimizer):
    """Adam: steps scaled by running averages of the gradient and its square; AMSGrad if asked.

    m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;  θ ← θ − lr m̂ / (√v̂ + eps), with m̂ = m / (1 − β₁ᵗ) and
    v̂ = v / (1 − β₂ᵗ). With amsgrad, the largest v so far takes v's place.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
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
    maximize : bool, default False
        Ascend instead.
    eps_hat : bool, default False
        Add eps before the correction of v, as Keras does: √v + eps, all of it corrected.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.adam)
    _scalars = staticmethod(scalars.adam)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
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

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["adam_amsgrad" if group["amsgrad"] else "adam"]


class AdamW(Adam):
    """Adam with decoupled weight decay: θ ← (1 − lr weight_decay) θ − lr m̂ / (√v̂ + eps).

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
    lr, betas, eps, amsgrad, maximize, eps_hat
        As in :class:`Adam`, with the same defaults, domains and units.
    weight_decay : float ≥ 0, default 0.01
        Decoupled decay: share of the parameter taken away per step and unit of lr.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.adamw)
    _scalars = staticmethod(scalars.adamw)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        maximize: bool = False,
        eps_hat: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize, eps_hat, **options)


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient; centered and with momentum if asked.

    s ← α s + (1 − α) g²;  θ ← θ − lr g / (√s + eps). Centered: a ← α a + (1 − α) g and √(s − a²) in place of √s.
    With momentum: b ← momentum b + g / (√s + eps);  θ ← θ − lr b.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
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
    maximize : bool, default False
        Ascend instead.
    eps_in_root : bool, default False
        Add eps inside the root, as Keras and optax do.
    lr_in_momentum : bool, default False
        Let the buffer hold steps, b ← momentum b + lr g / …, as Keras does: lr then weighs gradients as they come.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.rmsprop)
    _scalars = staticmethod(scalars.rmsprop)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
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

    @staticmethod
    def _kernel(group: Group):
        name = "rmsprop" + ("_centered" if group["centered"] else "") + ("_momentum" if group["momentum"] else "")
        return KERNELS[name]


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far.

    s ← s + g²;  θ ← θ − lr / (1 + (t − 1) lr_decay) · g / (√s + eps).

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
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
    maximize : bool, default False
        Ascend instead.
    eps_in_root : bool, default False
        Add eps inside the root, as Keras and optax do.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.adagrad)
    _scalars = staticmethod(scalars.adagrad)
    _only_at_start = ("initial_accumulator_value",)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
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

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["adagrad"]

    def _initial(self, name: str, group: Group, param: np.ndarray) -> float:
        return group["initial_accumulator_value"]
