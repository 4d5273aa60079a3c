"""Optimizers: one small class each. Names and defaults are PyTorch's; a step is one pass over memory
(where it depends on a whole layer, one that measures comes before).

All of them share `step(grads)`, `lr`, `steps`, `groups`, `state`, `state_dict()` and `load_state_dict()`:
see :class:`Optimizer`. `lr` may be a schedule, a callable that takes the number of steps taken and returns the
learning rate; nothing compiles anew when a hyper-parameter changes. `overrides` has ready ones for the option of that
name: no decay for biases, rates by layer.
"""

from fastopt.optimizers import overrides as overrides
from fastopt.optimizers.adam import Adam, Adamax, AdamW
from fastopt.optimizers.adaptive import FTRL, Adadelta, Adagrad, RMSprop
from fastopt.optimizers.base import Optimizer
from fastopt.optimizers.descent import ASGD, SGD, Lion, Momentum, Rprop
from fastopt.optimizers.layers import LAMB, LARS, Adafactor, Muon
from fastopt.optimizers.moments import AdEMAMix, NAdam, RAdam
from fastopt.optimizers.schedule_free import AdamWScheduleFree

__all__ = [
    "ASGD",
    "FTRL",
    "LAMB",
    "LARS",
    "SGD",
    "AdEMAMix",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdamWScheduleFree",
    "Adamax",
    "Lion",
    "Momentum",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
]
