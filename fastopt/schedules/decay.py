"""Schedules that fall by a law: exponential, by inverse time, polynomial."""

from dataclasses import dataclass

from fastopt import expect
from fastopt.schedules.base import Checked, checked_step, filled


@filled
@dataclass(frozen=True)
class ExponentialDecay(Checked):
    """lr · decay_rate^(step / decay_steps), the exponent rounded down with staircase.

    Parameters
    ----------
    lr : float ≥ 0
        Rate at step 0.
    decay_steps : int ≥ 1
        Steps in which the rate is multiplied by decay_rate once.
    decay_rate : float in (0, 1]
        That factor.
    staircase : bool, default False
        Change every decay_steps steps alone.

    {raises}

    Notes
    -----
    Keras is the same; torch's `ExponentialLR` has decay_steps = 1.

    References
    ----------
    keras.optimizers.schedules.ExponentialDecay; torch.optim.lr_scheduler.ExponentialLR.

    Examples
    --------
    >>> import fastopt as fo
    >>> rate = fo.schedules.ExponentialDecay(1.0, decay_steps=10, decay_rate=0.25)
    >>> rate(0), rate(5), rate(10)
    (1.0, 0.5, 0.25)
    """

    lr: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __post_init__(self) -> None:
        self._numbers(lr=expect.NOT_NEGATIVE, decay_rate=expect.SHARE)
        self._counts("decay_steps")
        expect.flag(self.staircase, "staircase")

    def __call__(self, step: int) -> float:
        periods = checked_step(step) // self.decay_steps if self.staircase else checked_step(step) / self.decay_steps
        return self.lr * self.decay_rate**periods


@filled
@dataclass(frozen=True)
class InverseTimeDecay(Checked):
    """lr / (1 + decay_rate · step / decay_steps), the quotient rounded down with staircase.

    Parameters
    ----------
    lr : float ≥ 0
        Rate at step 0.
    decay_steps : int ≥ 1
        Steps in which the divisor grows by decay_rate.
    decay_rate : float ≥ 0
        That growth.
    staircase : bool, default False
        Change every decay_steps steps alone.

    {raises}

    Notes
    -----
    Keras is the same; torch has none but `lr_decay` of Adagrad.

    References
    ----------
    Robbins and Monro, "A stochastic approximation method", 1951. keras.optimizers.schedules.InverseTimeDecay.

    Examples
    --------
    >>> import fastopt as fo
    >>> rate = fo.schedules.InverseTimeDecay(1.0, decay_steps=10, decay_rate=1.0)
    >>> rate(0), rate(10), rate(30)
    (1.0, 0.5, 0.25)
    """

    lr: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __post_init__(self) -> None:
        self._numbers(lr=expect.NOT_NEGATIVE, decay_rate=expect.NOT_NEGATIVE)
        self._counts("decay_steps")
        expect.flag(self.staircase, "staircase")

    def __call__(self, step: int) -> float:
        periods = checked_step(step) // self.decay_steps if self.staircase else checked_step(step) / self.decay_steps
        return self.lr / (1.0 + self.decay_rate * periods)


@filled
@dataclass(frozen=True)
class PolynomialDecay(Checked):
    """end + (lr − end) (1 − step / decay_steps)^power, and end from decay_steps on. Linear with power 1.

    Parameters
    ----------
    lr : float ≥ 0
        Rate at step 0.
    decay_steps : int ≥ 1
        Steps to the end.
    end : float ≥ 0, default 0.0
        Rate from there on.
    power : float > 0, default 1.0
        Of the polynomial.
    cycle : bool, default False
        Instead of staying at end, start again: decay_steps becomes its next multiple beyond the step.

    {raises}

    Notes
    -----
    Keras is the same, with end 0.0001; torch's `PolynomialLR` has end 0.

    References
    ----------
    keras.optimizers.schedules.PolynomialDecay; torch.optim.lr_scheduler.PolynomialLR.

    Examples
    --------
    >>> import fastopt as fo
    >>> rate = fo.schedules.PolynomialDecay(1.0, decay_steps=10, power=2.0)
    >>> rate(0), rate(5), rate(10), rate(11)
    (1.0, 0.25, 0.0, 0.0)
    """

    lr: float
    decay_steps: int
    end: float = 0.0
    power: float = 1.0
    cycle: bool = False

    def __post_init__(self) -> None:
        self._numbers(lr=expect.NOT_NEGATIVE, end=expect.NOT_NEGATIVE, power=expect.POSITIVE)
        self._counts("decay_steps")
        expect.flag(self.cycle, "cycle")

    def __call__(self, step: int) -> float:
        step, steps = checked_step(step), self.decay_steps
        if self.cycle:
            steps *= max(1, -(-step // steps))
        share = 1.0 - min(step, steps) / steps
        return self.end + (self.lr - self.end) * share**self.power
