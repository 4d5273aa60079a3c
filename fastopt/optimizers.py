"""Optimizers: one small class each. Names and defaults are PyTorch's; every step is one pass over memory.

All of them share `step(grads)`, `lr`, `steps`, `groups`, `state`, `state_dict()` and `load_state_dict()`:
see :class:`Optimizer`. `lr` may be a schedule, a callable that takes the number of steps taken and returns the
learning rate; nothing compiles anew when a hyper-parameter changes.
"""

from fastopt._optimizer import Optimizer
from fastopt._optimizers_basic import SGD, Adagrad, Adam, AdamW, Momentum, RMSprop
from fastopt._optimizers_papers import FTRL, AdamWScheduleFree, AdEMAMix, Lion
from fastopt._optimizers_torch import ASGD, Adadelta, Adamax, NAdam, RAdam, Rprop

__all__ = [
    "ASGD",
    "FTRL",
    "SGD",
    "AdEMAMix",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdamWScheduleFree",
    "Adamax",
    "Lion",
    "Momentum",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
]
