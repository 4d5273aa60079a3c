"""Schedules that stay, or change at once: a constant, and steps down."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from fastopt import expect
from fastopt.schedules.base import Checked, checked_step, filled


@filled
@dataclass(frozen=True)
class Constant(Checked):
    """The same rate at every step: lr.

    Parameters
    ----------
    lr : float ≥ 0
        The rate.

    {raises}

    References
    ----------
    The same as a plain number for `lr`, in torch and Keras too.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.schedules.Constant(0.1)(1000)
    0.1
    """

    lr: float

    def __post_init__(self) -> None:
        self._numbers(lr=expect.NOT_NEGATIVE)

    def __call__(self, step: int) -> float:
        checked_step(step)
        return self.lr


@filled
@dataclass(frozen=True)
class PiecewiseConstant(Checked):
    """values[k] from step boundaries[k − 1] on, until step boundaries[k].

    Parameters
    ----------
    boundaries : sequence of n int ≥ 1
        Steps at which the rate changes, increasing.
    values : sequence of n + 1 float ≥ 0
        The rates.

    {raises}

    Notes
    -----
    The new value holds at the boundary itself, as in torch's `MultiStepLR`; in Keras's `PiecewiseConstantDecay` it
    begins one step later.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, section 3.4.

    Examples
    --------
    >>> import fastopt as fo
    >>> rate = fo.schedules.PiecewiseConstant([10, 20], [1.0, 0.5, 0.1])
    >>> rate(9), rate(10), rate(25)
    (1.0, 0.5, 0.1)
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        for name in ("boundaries", "values"):
            if not isinstance(getattr(self, name), list | tuple):
                raise TypeError(f"{name}: expected a list of numbers, got {expect.describe(getattr(self, name))}")
        boundaries = [expect.integer(step, f"boundaries[{k}]", 1) for k, step in enumerate(self.boundaries)]
        values = [expect.number(lr, f"values[{k}]", expect.NOT_NEGATIVE) for k, lr in enumerate(self.values)]
        if sorted(set(boundaries)) != boundaries:
            raise ValueError(f"boundaries: expected increasing steps, got {boundaries}")
        if len(values) != len(boundaries) + 1:
            raise ValueError(
                f"values: expected {len(boundaries) + 1} rates, one more than boundaries, got {len(values)}"
            )
        object.__setattr__(self, "boundaries", tuple(boundaries))
        object.__setattr__(self, "values", tuple(values))

    def __call__(self, step: int) -> float:
        return self.values[bisect_right(self.boundaries, checked_step(step))]


@filled
@dataclass(frozen=True)
class StepDecay(Checked):
    """lr · gamma^⌊step / step_size⌋.

    Parameters
    ----------
    lr : float ≥ 0
        Rate at step 0.
    step_size : int ≥ 1
        Steps between two drops.
    gamma : float in (0, 1], default 0.1
        Factor of a drop.

    {raises}

    Notes
    -----
    torch's `StepLR`; Keras's `ExponentialDecay` with staircase.

    References
    ----------
    torch.optim.lr_scheduler.StepLR.

    Examples
    --------
    >>> import fastopt as fo
    >>> rate = fo.schedules.StepDecay(1.0, step_size=10, gamma=0.5)
    >>> rate(9), rate(10), rate(20)
    (1.0, 0.5, 0.25)
    """

    lr: float
    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        self._numbers(lr=expect.NOT_NEGATIVE, gamma=expect.SHARE)
        self._counts("step_size")

    def __call__(self, step: int) -> float:
        return self.lr * self.gamma ** (checked_step(step) // self.step_size)
