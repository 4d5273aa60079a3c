"""Learning-rate schedules: small callables, steps taken so far -> learning rate.

Any of them works as `lr=` of any optimizer, which calls it with 0 before its first step. They hold no state: the same
step gives the same rate. Names are Keras's; `lr` is the rate at step 0. All are frozen dataclasses, so they compare,
print, hash and pickle.
"""

from fastopt.schedules.cosine import CosineDecay, CosineDecayRestarts, LinearWarmup
from fastopt.schedules.decay import ExponentialDecay, InverseTimeDecay, PolynomialDecay
from fastopt.schedules.steps import Constant, PiecewiseConstant, StepDecay

__all__ = [
    "Constant", "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LinearWarmup",
    "PiecewiseConstant", "PolynomialDecay", "StepDecay",
]  # fmt: skip
