"""Cosine decay, once or again and again, and the warmup that goes before any schedule."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from fastopt import expect
from fastopt.schedules.base import GROWTH, Checked, checked_step, filled


@filled
@dataclass(frozen=True)
class CosineDecay(Checked):
    """end + (lr − end) (1 + cos(π step / decay_steps)) / 2, and end from decay_steps on.

    Parameters
    ----------
    lr : float ≥ 0
        Rate at step 0.
    decay_steps : int ≥ 1
        Steps to the end.
    end : float ≥ 0, default 0.0
        Rate from there on.

    {raises}

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
        share = min(checked_step(step), self.decay_steps) / self.decay_steps
        return self.end + (self.lr - self.end) * 0.5 * (1.0 + math.cos(math.pi * share))


@filled
@dataclass(frozen=True)
class CosineDecayRestarts(Checked):
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

    {raises}

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
        self._numbers(lr=expect.NOT_NEGATIVE, t_mul=GROWTH, m_mul=expect.SHARE, end=expect.NOT_NEGATIVE)
        self._counts("first_decay_steps")

    def __call__(self, step: int) -> float:
        rest, period, k = float(checked_step(step)), float(self.first_decay_steps), 0
        if self.t_mul == 1.0:
            k, rest = int(rest // period), rest % period
        while rest >= period:
            rest, period, k = rest - period, period * self.t_mul, k + 1
        height = (self.lr - self.end) * self.m_mul**k
        return self.end + height * 0.5 * (1.0 + math.cos(math.pi * rest / period))


@filled
@dataclass(frozen=True)
class LinearWarmup(Checked):
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

    {raises}

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
        later = checked_step(step) - self.warmup_steps
        target = self.schedule(max(later, 0)) if callable(self.schedule) else self.schedule
        return target if later >= 0 else self.start + (target - self.start) * step / self.warmup_steps
