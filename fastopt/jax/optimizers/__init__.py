"""Optimizers for JAX: optax's names, arguments and semantics, and one operation for many leaves.

Each function returns an optax.GradientTransformation with one function more: `apply(params, state, grads)` returns the
new parameters and the new state. Donate both, and they are updated in place, in one pass over memory:

    step = jax.jit(optimizer.apply, donate_argnums=(0, 1))
    params, state = step(params, state, grads)

`update` gives what optax's does, what is to be added to the parameters, for chains of transformations. Adding it is a
pass over memory more. There is one for each optimizer of fastopt.optimizers; those that optax lacks (`asgd`, `ftrl`,
`momentum`) have fastopt's arguments.
"""

from fastopt.jax.optimizers.adam import adam, adamax, adamaxw, adamw, ademamix, nadam, nadamw, radam
from fastopt.jax.optimizers.adaptive import adadelta, adagrad, ftrl, rmsprop
from fastopt.jax.optimizers.descent import asgd, lion, momentum, rprop, sgd
from fastopt.jax.optimizers.layers import adafactor, lamb, lars, muon
from fastopt.jax.optimizers.schedule_free import schedule_free_adamw, schedule_free_eval_params

__all__ = [
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamaxw", "adamw", "ademamix", "asgd", "ftrl", "lamb",
    "lars", "lion", "momentum", "muon", "nadam", "nadamw", "radam", "rmsprop", "rprop", "schedule_free_adamw",
    "schedule_free_eval_params", "sgd",
]  # fmt: skip
