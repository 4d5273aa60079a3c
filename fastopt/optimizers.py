"""Optimizers: one small class each. Names and defaults are PyTorch's; a step is one pass over memory
(where it depends on a whole layer, one that measures comes before).

All of them share `step(grads)`, `lr`, `steps`, `groups`, `state`, `state_dict()` and `load_state_dict()`:
see :class:`Optimizer`. `lr` may be a schedule, a callable that takes the number of steps taken and returns the
learning rate; nothing compiles anew when a hyper-parameter changes.
"""

from fastopt._optimizer import Optimizer
from fastopt._optimizers_basic import SGD, Adagrad, Adam, AdamW, Momentum, RMSprop
from fastopt._optimizers_layers import LAMB, LARS, Adafactor, Muon
from fastopt._optimizers_papers import FTRL, AdamWScheduleFree, AdEMAMix, Lion
from fastopt._optimizers_torch import ASGD, Adadelta, Adamax, NAdam, RAdam, Rprop

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
