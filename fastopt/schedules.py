"""Learning-rate schedules: small callables, steps taken so far -> learning rate.

Any of them works as `lr=` of any optimizer, which calls it with 0 before its first step. They hold no state: the same
step gives the same rate. Names are Keras's; `lr` is the rate at step 0. All are frozen dataclasses, so they compare,
print, hash and pickle.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastopt import expect

__all__ = [
    "Constant", "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LinearWarmup",
    "PiecewiseConstant", "PolynomialDecay", "StepDecay",
]  # fmt: skip

SHARE = expect.Domain(lambda x: 0 < x <= 1, "a number in (0, 1]")
GROWTH = expect.Domain(lambda x: 1 <= x < math.inf, "a finite number ≥ 1")


def _step(step: int) -> int:
    return expect.integer(step, "step", 0)


class _Checked:
    """Base that checks the fields named in a class's domains, and keeps them as floats and ints."""

    def _numbers(self, **domains: expect.Domain) -> None:
        for name, domain in domains.items():
            object.__setattr__(self, name, expect.number(getattr(self, name), name, domain))

    def _counts(self, *names: str) -> None:
        for name in names:
            object.__setattr__(self, name, expect.integer(getattr(self, name), name, 1))


@dataclass(frozen=True)
class Constant(_Checked):
    """The same rate at every step: lr.

    Parameters
    ----------
    lr : float ≥ 0
        The rate.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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
        _step(step)
        return self.lr


@dataclass(frozen=True)
class PiecewiseConstant(_Checked):
    """values[k] from step boundaries[k − 1] on, until step boundaries[k].

    Parameters
    ----------
    boundaries : sequence of n int ≥ 1
        Steps at which the rate changes, increasing.
    values : sequence of n + 1 float ≥ 0
        The rates.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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
        return self.values[bisect_right(self.boundaries, _step(step))]


@dataclass(frozen=True)
class StepDecay(_Checked):
    """lr · gamma^⌊step / step_size⌋.

    Parameters
    ----------
    lr : float ≥ 0
        Rate at step 0.
    step_size : int ≥ 1
        Steps between two drops.
    gamma : float in (0, 1], default 0.1
        Factor of a drop.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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
        self._numbers(lr=expect.NOT_NEGATIVE, gamma=SHARE)
        self._counts("step_size")

    def __call__(self, step: int) -> float:
        return self.lr * self.gamma ** (_step(step) // self.step_size)


@dataclass(frozen=True)
class ExponentialDecay(_Checked):
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

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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
        self._numbers(lr=expect.NOT_NEGATIVE, decay_rate=SHARE)
        self._counts("decay_steps")
        expect.flag(self.staircase, "staircase")

    def __call__(self, step: int) -> float:
        periods = _step(step) // self.decay_steps if self.staircase else _step(step) / self.decay_steps
        return self.lr * self.decay_rate**periods


@dataclass(frozen=True)
class InverseTimeDecay(_Checked):
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

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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
        periods = _step(step) // self.decay_steps if self.staircase else _step(step) / self.decay_steps
        return self.lr / (1.0 + self.decay_rate * periods)


@dataclass(frozen=True)
class PolynomialDecay(_Checked):
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

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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
        step, steps = _step(step), self.decay_steps
        if self.cycle:
            steps *= max(1, -(-step // steps))
        share = 1.0 - min(step, steps) / steps
        return self.end + (self.lr - self.end) * share**self.power


@dataclass(frozen=True)
class CosineDecay(_Checked):
    """end + (lr − end) (1 + cos(π step / decay_steps)) / 2, and end from decay_steps on.

    Parameters
    ----------
    lr : float ≥ 0
        Rate at step 0.
    decay_steps : int ≥ 1
        Steps to the end.
    end : float ≥ 0, default 0.0
        Rate from there on.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    Keras has alpha = end / lr, and a warmup inside: here :class:`LinearWarmup` goes around any schedule. torch's
    `CosineAnnealingLR` (end is eta_min) climbs again after decay_steps.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation 5.

    Examples
    --------
    >>> import fastopt as fo
    >>> rate = fo.schedules.CosineDecay(1.0, decay_steps=10)
    >>> rate(0), round(rate(5), 6), rate(10), rate(11)
    (1.0, 0.5, 0.0, 0.0)
    """

    lr: float
    decay_steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        self._numbers(lr=expect.NOT_NEGATIVE, end=expect.NOT_NEGATIVE)
        self._counts("decay_steps")

    def __call__(self, step: int) -> float:
        share = min(_step(step), self.decay_steps) / self.decay_steps
        return self.end + (self.lr - self.end) * 0.5 * (1.0 + math.cos(math.pi * share))


@dataclass(frozen=True)
class CosineDecayRestarts(_Checked):
    """Cosine decay that starts again: end + (lr − end) m_mul^k (1 + cos(π s / T)) / 2 at step s of period k.

    Period k has T = first_decay_steps · t_mul^k steps.

    Parameters
    ----------
    lr : float ≥ 0
        Rate at step 0.
    first_decay_steps : int ≥ 1
        Steps of the first period.
    t_mul : float ≥ 1, default 2.0
        Each period is longer than the last by this factor.
    m_mul : float in (0, 1], default 1.0
        Each period starts lower by this factor.
    end : float ≥ 0, default 0.0
        Rate that each period falls to.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    Keras has alpha = end / lr. torch's `CosineAnnealingWarmRestarts` has t_mul 1 by default, and no m_mul.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation 5.

    Examples
    --------
    >>> import fastopt as fo
    >>> rate = fo.schedules.CosineDecayRestarts(1.0, first_decay_steps=10)
    >>> rate(0), round(rate(5), 6), rate(10), round(rate(20), 6)
    (1.0, 0.5, 1.0, 0.5)
    """

    lr: float
    first_decay_steps: int
    t_mul: float = 2.0
    m_mul: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        self._numbers(lr=expect.NOT_NEGATIVE, t_mul=GROWTH, m_mul=SHARE, end=expect.NOT_NEGATIVE)
        self._counts("first_decay_steps")

    def __call__(self, step: int) -> float:
        rest, period, k = float(_step(step)), float(self.first_decay_steps), 0
        if self.t_mul == 1.0:
            k, rest = int(rest // period), rest % period
        while rest >= period:
            rest, period, k = rest - period, period * self.t_mul, k + 1
        height = (self.lr - self.end) * self.m_mul**k
        return self.end + height * 0.5 * (1.0 + math.cos(math.pi * rest / period))


@dataclass(frozen=True)
class LinearWarmup(_Checked):
    """A straight line from start to the schedule's first rate, then the schedule, from its own step 0.

    start + (schedule(0) − start) · step / warmup_steps before step warmup_steps, then schedule(step − warmup_steps).

    Parameters
    ----------
    schedule : float ≥ 0 or callable(steps) -> float
        What follows: a rate, or any schedule.
    warmup_steps : int ≥ 1
        Steps of the line.
    start : float ≥ 0, default 0.0
        Rate at step 0; a step of rate 0 moves nothing.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    torch: `SequentialLR` of `LinearLR` and the schedule. Keras: `warmup_steps` and `warmup_target` of `CosineDecay`.

    References
    ----------
    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017, section 2.2.

    Examples
    --------
    >>> import fastopt as fo
    >>> rate = fo.schedules.LinearWarmup(fo.schedules.CosineDecay(1.0, decay_steps=100), warmup_steps=10)
    >>> rate(0), rate(5), rate(10), round(rate(60), 6), rate(110)
    (0.0, 0.5, 1.0, 0.5, 0.0)
    """

    schedule: float | Callable[[int], float]
    warmup_steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        if not callable(self.schedule):
            object.__setattr__(self, "schedule", expect.number(self.schedule, "schedule", expect.NOT_NEGATIVE))
        self._numbers(start=expect.NOT_NEGATIVE)
        self._counts("warmup_steps")

    def __call__(self, step: int) -> float:
        later = _step(step) - self.warmup_steps
        target = self.schedule(max(later, 0)) if callable(self.schedule) else self.schedule
        return target if later >= 0 else self.start + (target - self.start) * step / self.warmup_steps
