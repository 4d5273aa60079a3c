"""Optimizers with the names, arguments and state of `torch.optim`, and some that torch lacks, on fastopt's kernels."""

from fastopt.torch.optim.base import Fused
from fastopt.torch.optim.classes import (
    ASGD,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    SparseAdam,
)
from fastopt.torch.optim.extra import FTRL, LAMB, LARS, AdamWScheduleFree, AdEMAMix, Lion, Momentum
from fastopt.torch.optim.memory import StepInBackward, decay_groups, layerwise_rates, step_in_backward

__all__ = [
    "ASGD",
    "AdEMAMix",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdamWScheduleFree",
    "Adamax",
    "FTRL",
    "Fused",
    "LAMB",
    "LARS",
    "Lion",
    "Momentum",
    "Muon",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
    "StepInBackward",
    "decay_groups",
    "layerwise_rates",
    "step_in_backward",
]
