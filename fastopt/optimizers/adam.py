"""Adam and its kin: steps along averages of gradients, divided by the root of an average of squares."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Unpack

import numpy as np

from fastopt import expect
from fastopt.expect import FRACTION, INSIDE, NOT_NEGATIVE, POSITIVE
from fastopt.kernels.optimizers import reference, scalars
from fastopt.kernels.runtime.signals import signals_wait
from fastopt.optimizers.base import Optimizer
from fastopt.optimizers.options import Stats, StepOptions
from fastopt.optimizers.rule import BETAS, Group, Pair, Rate, Rule, Triple


def _adam_kernel(group: Group) -> str:
    return "adam_amsgrad" if group["amsgrad"] else "adam"


def _z_from_param(name: str, group: Group, param: np.ndarray) -> float | np.ndarray:
    return param if name == "z" else 0.0


def _weights(group: Group, step: int) -> dict[str, float]:
    """Return the sum of the steps' weights, and the largest lr so far."""
    try:
        carried = scalars.schedule_free_carried(group, step)
    except OverflowError:
        carried = {"weight_sum": np.inf}
    if not carried["weight_sum"] < np.inf:
        r, power = group["r"], group["weight_lr_power"]
        raise ValueError(
            f"r: expected finite weights of the steps, got {step}^{r} {group['lr']}^{power} at step {step}"
        )
    return carried


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
    params, maximize, **options
        As in :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        As in :class:`Optimizer`.

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
    params, maximize, **options
        As in :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        As in :class:`Optimizer`.

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
    params, maximize, **options
        As in :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        As in :class:`Optimizer`.

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
    params, maximize, **options
        As in :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        As in :class:`Optimizer`.

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
    params, maximize, **options
        As in :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        As in :class:`Optimizer`.

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
    params, maximize, **options
        As in :class:`Optimizer`.

    Raises
    ------
    TypeError, ValueError
        As in :class:`Optimizer`.

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


class AdamWScheduleFree(Optimizer):
    """AdamW whose steps need no schedule of lr: gradients are taken between its iterate z and the average x of all z.

    v ← β₂ v + (1 − β₂) g²;  d = g / (√v̂ + eps) + weight_decay y;  z ← z − lr d;
    x ← (1 − c) x + c z;  y ← (1 − β₁) z + β₁ x, with v̂ = v / (1 − β₂ᵗ) and c = wₜ / (w₁ + … + wₜ),
    wₜ = tʳ (largest lr so far)^weight_lr_power.

    While training, the parameters hold y, where gradients are to be taken; `eval()` turns them into x, to be
    measured and kept, and `train()` back into y.

    Parameters
    ----------
    lr : float ≥ 0 or callable(steps) -> float, default 2.5e-3
        Bound of z's step, in the parameter's units.
    betas : two floats in (0, 1) and [0, 1), default (0.9, 0.999)
        Share of x in y; share of the old average of squares kept.
    eps : float > 0, default 1e-8
        Added to the root, outside it.
    weight_decay : float ≥ 0, default 0
        Decoupled decay, taken at y, per step and unit of lr.
    warmup_steps : float ≥ 0, default 0.0
        Steps over which lr grows linearly from 0.
    r : float ≥ 0, default 0.0
        Power of the step's number in its weight.
    weight_lr_power : float ≥ 0, default 2.0
        Power of the largest lr so far in a step's weight.
    params, maximize, **options
        As in :class:`Optimizer`.

    Attributes
    ----------
    training : bool
        Whether the parameters hold y.

    Raises
    ------
    TypeError, ValueError
        As in :class:`Optimizer`.

    Notes
    -----
    State: `exp_avg_sq`, `z`, of the parameter's shape; the groups carry `weight_sum` and `lr_max`. x is not
    kept: it is (y − (1 − β₁) z) / β₁, so eval() and train() are right up to rounding, and betas[0] must not change
    between them. The authors' package `schedulefree` is the same. Their Algorithm 1 has √(1 − β₂ᵗ) in lr, which differs
    in c: early steps weigh less there. torch and Keras have no such class.

    References
    ----------
    Defazio et al., "The road less scheduled", NeurIPS 2024, Algorithm 1. https://arxiv.org/abs/2405.15682

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> w = np.ones(1)
    >>> opt = fo.optimizers.AdamWScheduleFree(w, lr=0.5, betas=(0.75, 0.999))
    >>> for _ in range(3):
    ...     opt.step(np.ones(1))
    >>> w.round(6), opt.state[0]["z"].round(6)  # y and z
    (array([-0.125]), array([-0.5]))
    >>> opt.eval()
    >>> w.round(6)  # x, the average of 0.5, 0 and -0.5
    array([0.])
    """

    rule = Rule(
        "schedule_free_adamw", scalars.schedule_free_adamw, reference.adamwschedulefree, start=_z_from_param,
        carries={"weight_sum": 0.0, "lr_max": 0.0}, carry=_weights, decays=False,
    )  # fmt: skip

    def __init__(
        self,
        params: Any,
        lr: Rate = 2.5e-3,
        betas: Annotated[Pair, (INSIDE, FRACTION)] = (0.9, 0.999),
        eps: Annotated[float, POSITIVE] = 1e-8,
        weight_decay: Annotated[float, NOT_NEGATIVE] = 0.0,
        warmup_steps: Annotated[float, NOT_NEGATIVE] = 0.0,
        r: Annotated[float, NOT_NEGATIVE] = 0.0,
        weight_lr_power: Annotated[float, NOT_NEGATIVE] = 2.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        self._training = True
        super().__init__(
            params,
            options,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            warmup_steps=warmup_steps,
            r=r,
            weight_lr_power=weight_lr_power,
            maximize=maximize,
        )

    @property
    def training(self) -> bool:
        """Whether the parameters hold y."""
        return self._training

    def step(self, grads: Any, *args: Any, **kwargs: Any) -> Stats | None:
        """Update every parameter, and its state, in place, in one pass: see :meth:`Optimizer.step`.

        Raises
        ------
        TypeError, ValueError
            As there, and after `eval()`. Nothing has been written then.
        """
        self._expect_training("step")
        return super().step(grads, *args, **kwargs)

    def step_rows(self, index: int, rows: np.ndarray, values: np.ndarray, *args: Any, **kwargs: Any) -> Stats | None:
        """Update some rows of one parameter: see :meth:`Optimizer.step_rows`, and :meth:`step`."""
        self._expect_training("step_rows")
        return super().step_rows(index, rows, values, *args, **kwargs)

    def _expect_training(self, name: str) -> None:
        if not self._training:
            raise ValueError(f"{name}: expected parameters as train() leaves them, got them as eval() does")

    def eval(self) -> None:
        """Turn the parameters from y into the average x, in place, to be measured or kept; nothing if they are."""
        self._move(lambda beta1: 1.0 - 1.0 / beta1, training=False)

    def train(self) -> None:
        """Turn the parameters from x back into y, in place, to go on training; nothing if they are."""
        self._move(lambda beta1: 1.0 - beta1, training=True)

    def _move(self, share: Callable[[float], float], training: bool) -> None:
        """Move every parameter by a share of its way to z."""
        store = self._store
        with self._turn:
            if self._training == training:
                return
            store.check_params()
            weights = [share(group["betas"][0]) for group in store.digested()]
            with signals_wait():
                store.door().interpolate(
                    store.params, [state["z"] for state in store.state], [weights[k] for k in store.group_of]
                )
                self._training = training

    def state_dict(self) -> dict[str, Any]:
        """Return what :meth:`Optimizer.state_dict` does, and whether the parameters were y."""
        return {**super().state_dict(), "training": self._training}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; the parameters are y or x as they were there.

        Raises
        ------
        TypeError, ValueError
            As :meth:`Optimizer.load_state_dict`, or if "training" is missing; nothing has been changed then.
        """
        if not isinstance(state_dict, Mapping) or "training" not in state_dict:
            raise ValueError(f"state_dict: expected the key 'training', got {expect.describe(state_dict)}")
        training = expect.flag(state_dict["training"], "state_dict['training']")
        super().load_state_dict(state_dict)
        self._training = training
