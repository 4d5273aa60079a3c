"""AdamW without a schedule of its learning rate: gradients between an iterate and the average of all iterates."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Unpack

import numpy as np

from fastopt import expect
from fastopt.expect import FRACTION, INSIDE, NOT_NEGATIVE, POSITIVE
from fastopt.kernels.optimizers import reference, scalars
from fastopt.kernels.runtime.jobs import Call
from fastopt.optimizers import checkpoint
from fastopt.optimizers.base import Optimizer, filled
from fastopt.optimizers.options import Stats, StepOptions
from fastopt.optimizers.rule import Group, Pair, Rate, Rule


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


@filled
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

    {raises}

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
        """Turn the parameters from y into the average x, in place, to be measured or kept; nothing if they are.

        All of them, or none where memory for as many numbers is missing. Copies and averages stay as they are.
        """
        self._move(lambda beta1: 1.0 - 1.0 / beta1, training=False)

    def train(self) -> None:
        """Turn the parameters from x back into y, in place, to go on training, as `eval` does; nothing if they are."""
        self._move(lambda beta1: 1.0 - beta1, training=True)

    def _move(self, share: Callable[[float], float], training: bool) -> None:
        """Move every parameter by a share of its way to z."""
        store = self._store
        with self._turn:
            if self._training == training:
                return
            store.check_params()
            weights = [share(group["betas"][0]) for group in store.digested()]
            store.door().interpolate(
                store.params,
                [state["z"] for state in store.state],
                [weights[k] for k in store.group_of],
                [self._remember(training)],
            )

    def _remember(self, training: bool) -> Call:
        """Return the call that says what the parameters hold: of C alone, as `setattr` of an optimizer isn't."""
        return vars(self).update, ({"_training": training},), {}

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
        with self._turn:
            checkpoint.load_state_dict(self._store, state_dict, [self._remember(training)])
