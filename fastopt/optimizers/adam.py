"""Optimizers that torch.optim lacks, from their papers: Lion, AdEMAMix, FTRL, schedule-free AdamW."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Unpack

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers import reference, scalars
from fastopt.kernels.optimizers.kernels import INTERPOLATE, KERNELS
from fastopt.kernels.optimizers.plan import FLOATS, Recipe
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.settings import get_num_threads, get_target
from fastopt.optimizers.base import Group, Optimizer
from fastopt.optimizers.options import Stats, StepOptions

Rate = float | Callable[[int], float]


class Lion(Optimizer):
    """Steps of one length, along the sign of an average that leans towards the new gradient.

    θ ← (1 − lr weight_decay) θ − lr sign(β₁ m + (1 − β₁) g);  then m ← β₂ m + (1 − β₂) g.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
    lr : float ≥ 0 or callable(steps) -> float, default 1e-4
        Length of every element's step, in the parameter's units; a third to a tenth of AdamW's.
    betas : two floats in [0, 1), default (0.9, 0.99)
        Shares of the old average: in the direction, and kept.
    weight_decay : float ≥ 0, default 0
        Decoupled decay: share of the parameter taken away per step and unit of lr.
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

    _reference = staticmethod(reference.lion)
    _scalars = staticmethod(scalars.lion)

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        super().__init__(params, options, lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["lion"]


class AdEMAMix(Optimizer):
    """AdamW along two averages of the gradient at once: a fast one, and a slow one that remembers thousands of steps.

    m₁ ← β₁ m₁ + (1 − β₁) g;  m₂ ← β₃ m₂ + (1 − β₃) g;  v ← β₂ v + (1 − β₂) g²;
    θ ← (1 − lr weight_decay) θ − lr (m̂₁ + α m₂) / (√v̂ + eps), with m̂₁ = m₁ / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ).

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
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

    _reference = staticmethod(reference.ademamix)
    _scalars = staticmethod(scalars.ademamix)
    _domains: ClassVar = {"betas": [expect.FRACTION] * 3, "alpha": expect.NOT_NEGATIVE}

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 5.0,
        beta3_warmup: float = 0.0,
        alpha_warmup: float = 0.0,
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
            alpha=alpha,
            beta3_warmup=beta3_warmup,
            alpha_warmup=alpha_warmup,
            eps=eps,
            weight_decay=weight_decay,
            maximize=maximize,
        )

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["ademamix"]


class FTRL(Optimizer):
    """Follow the regularized leader, proximal: per-coordinate rates, and weights that are exactly 0 where l1 says so.

    σ = (√(n + g²) − √n) / lr;  z ← z + g − σ θ;  n ← n + g²;
    θ ← 0 where |z| ≤ l1, else −(z − l1 sign(z)) / ((beta + √n) / lr + l2).

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place. Begin at 0: z knows nothing of
        other starts, so beta, l1 and l2 draw them to 0.
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
    State: `z`, `n`, of the parameter's shape. Keras calls them `linear` and `accumulator`, starts n at 0.1,
    has a beta of 0, and an l2 of half ours; its learning_rate_power is −½ here. torch has no such class.

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

    _reference = staticmethod(reference.ftrl)
    _scalars = staticmethod(scalars.ftrl)
    _only_at_start = ("initial_accumulator_value",)
    _lr_domain = expect.POSITIVE
    _domains: ClassVar = {"beta": expect.NOT_NEGATIVE}

    def __init__(
        self,
        params: Any,
        lr: Rate = 1e-2,
        beta: float = 1.0,
        l1: float = 0.0,
        l2: float = 0.0,
        initial_accumulator_value: float = 0.0,
        weight_decay: float = 0.0,
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
            maximize=maximize,
        )

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["ftrl"]

    def _initial(self, name: str, group: Group, param: np.ndarray) -> float:
        return group["initial_accumulator_value"] if name == "n" else 0.0


class AdamWScheduleFree(Optimizer):
    """AdamW whose steps need no schedule of lr: gradients are taken between its iterate z and the average x of all z.

    v ← β₂ v + (1 − β₂) g²;  d = g / (√v̂ + eps) + weight_decay y;  z ← z − lr d;
    x ← (1 − c) x + c z;  y ← (1 − β₁) z + β₁ x, with v̂ = v / (1 − β₂ᵗ) and c = wₜ / (w₁ + … + wₜ),
    wₜ = tʳ (largest lr so far)^weight_lr_power.

    While training, the parameters hold y, where gradients are to be taken; `eval()` turns them into x, to be
    measured and kept, and `train()` back into y.

    Parameters
    ----------
    params : array, sequence or mapping of arrays, or list of groups
        float32, float64, bfloat16 or float16, any shape and strides; updated in place.
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
    maximize : bool, default False
        Ascend instead.

    **options
        Clipping, averages, storage and more: see :class:`Optimizer`.

    Attributes
    ----------
    training : bool
        Whether the parameters hold y.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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

    _reference = staticmethod(reference.adamwschedulefree)
    _scalars = staticmethod(scalars.schedule_free_adamw)
    _carries: ClassVar = {"weight_sum": 0.0, "lr_max": 0.0}
    _domains: ClassVar = {"betas": [expect.INSIDE, expect.FRACTION]}

    def __init__(
        self,
        params: Any,
        lr: Rate = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: float = 0.0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        maximize: bool = False,
        **options: Unpack[StepOptions],
    ):
        self.training = True
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

    @staticmethod
    def _kernel(group: Group):
        return KERNELS["schedule_free_adamw"]

    @staticmethod
    def _carry(group: Group, step: int) -> dict[str, float]:
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

    def _initial(self, name: str, group: Group, param: np.ndarray) -> float | np.ndarray:
        return param if name == "z" else 0.0

    def recipe(self, i: int, grad: str) -> Recipe:
        """Return what :meth:`Optimizer.recipe` does; the decay is decoupled as it is, and z must have its share."""
        return replace(super().recipe(i, grad), decay=False)

    def step(self, grads: Any, *args: Any, **kwargs: Any) -> Stats | None:
        """Update every parameter, and its state, in place, in one pass: see :meth:`Optimizer.step`.

        Raises
        ------
        TypeError, ValueError
            As there, and after `eval()`. Nothing has been written then.
        """
        if not self.training:
            raise ValueError("step: expected parameters as train() leaves them, got them as eval() does")
        return super().step(grads, *args, **kwargs)

    def eval(self) -> None:
        """Turn the parameters from y into the average x, in place, to be measured or kept; nothing if they are."""
        if self.training:
            self._move(lambda beta1: 1.0 - 1.0 / beta1)
        self.training = False

    def train(self) -> None:
        """Turn the parameters from x back into y, in place, to go on training; nothing if they are."""
        if not self.training:
            self._move(lambda beta1: 1.0 - beta1)
        self.training = True

    def _move(self, share: Callable[[float], float]) -> None:
        """Move every parameter by a share of its way to z."""
        for name, param, shape in zip(self._names, self._params, self._shapes):
            expect.writable(expect.array(param, name, shape=shape, among=FLOATS), name)
        weights = [share(group["betas"][0]) for group in self._digested()]
        for param, state, k in zip(self._params, self.state, self._group_of):
            if get_target() == "reference" or param.dtype not in expect.DTYPES:  # 16 bits: in NumPy
                wide, end = param.astype(np.float64), state["z"].astype(np.float64)
                param[...] = (1.0 - weights[k]) * wide + weights[k] * end
                continue
            pipeline.run(
                ((INTERPOLATE, INTERPOLATE.buffers, 1),),
                {"param": param, "end": state["z"]},
                param.size,
                dtype=str(param.dtype),
                target=get_target(),
                threads=get_num_threads(),
                grain=pipeline.GRAIN,
                scalars=(weights[k],),
            )

    def state_dict(self) -> dict[str, Any]:
        """Return what :meth:`Optimizer.state_dict` does, and whether the parameters were y."""
        return {**super().state_dict(), "training": self.training}

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
        self.training = training
