"""Keras's optimizers, stepped by fastopt's kernels: all variables, clipping, decay and averages in one pass.

A class is Keras's of the same name, with its arguments, configuration, errors and variables: what `keras` saved loads
here, and the other way round. `LossScaleOptimizer` and `MultiOptimizer` are Keras's alone, and take these inside.

On the torch backend the kernels work on the tensors where they lie; on the numpy backend on copies, a copy of every
variable before the step and one after it. Everything else is left to Keras's own code: other backends, devices other
than the CPU, sparse gradients, `stateless_apply` under torch, hyper-parameters that the kernels refuse (`epsilon=0`),
and `update_step` of a single variable.

Arithmetic is Keras's, with bias corrections in double precision. Where a result differs by more than rounding, the
class says so.
"""

from fastopt.keras.optimizers.classes import (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    Lamb,
    Lion,
    Muon,
    Nadam,
    RMSprop,
    ScheduleFreeAdamW,
)

__all__ = [
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Muon",
    "Nadam",
    "RMSprop",
    "SGD",
    "ScheduleFreeAdamW",
]
