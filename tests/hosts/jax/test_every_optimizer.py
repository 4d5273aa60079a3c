"""Every optimizer of fastopt has its function under JAX, with fastopt's own steps where the arguments are the same."""

import inspect

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fastopt as fo
from fastopt.jax import optimizers

OTHER_NAMES = {"AdamWScheduleFree": "schedule_free_adamw"}
CLASSES = sorted(set(fo.optimizers.__all__) - {"Optimizer"})

# The function's options, and fastopt's for the same steps. NAdam has none: fastopt's momentum begins with half of it.
SAME = {
    "ASGD": ({"lambd": 0.1, "t0": 2.0}, {"lambd": 0.1, "t0": 2.0}),
    "Adadelta": ({}, {}),
    "Adafactor": ({"min_dim_size_to_factor": 2}, {"eps": (1e-15, 1e-3)}),
    "Adagrad": ({}, {"initial_accumulator_value": 0.1, "eps": 1e-7, "eps_in_root": True}),
    "Adam": ({}, {}),
    "AdamW": ({"weight_decay": 0.1}, {"weight_decay": 0.1}),
    "AdamWScheduleFree": ({"weight_decay": 0.1}, {"weight_decay": 0.1}),
    "Adamax": ({}, {"eps_in_divisor": False}),
    "AdEMAMix": ({}, {"weight_decay": 0.0}),
    "FTRL": ({"l1": 0.1, "l2": 0.1, "lr_power": -0.7}, {"l1": 0.1, "l2": 0.1, "lr_power": -0.7}),
    "LAMB": ({"weight_decay": 0.1}, {"weight_decay": 0.1}),
    "LARS": ({}, {}),
    "Lion": ({"weight_decay": 0.1}, {"weight_decay": 0.1}),
    "Momentum": ({"beta": 0.8}, {"beta": 0.8}),
    "Muon": ({"nesterov": False}, {"nesterov": False, "weight_decay": 0.0}),
    "RAdam": ({"b2": 0.6}, {"betas": (0.9, 0.6)}),
    "RMSprop": ({"eps_in_sqrt": False, "momentum": 0.5}, {"alpha": 0.9, "momentum": 0.5, "lr_in_momentum": True}),
    "Rprop": ({}, {}),
    "SGD": ({"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "nesterov": True}),
}


def function_of(name):
    return getattr(optimizers, OTHER_NAMES.get(name, name.lower()))


def test_every_class_is_listed_here():
    assert sorted([*SAME, "NAdam"]) == CLASSES


def test_every_function_is_of_a_class_or_of_optaxs():
    known = {OTHER_NAMES.get(name, name.lower()) for name in CLASSES}
    rest = set(optimizers.__all__) - known - {"schedule_free_eval_params"}
    assert all(hasattr(optax, name) for name in rest), rest


@pytest.mark.parametrize("name", CLASSES)
def test_optaxs_arguments_stand_in_its_order(name):
    own = function_of(name)
    theirs = getattr(optax, own.__name__, None) or getattr(optax.contrib, own.__name__, None)
    if theirs is None:
        pytest.skip("optax has no such function")
    names = [p.name for p in inspect.signature(own).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert names == list(inspect.signature(theirs).parameters)[: len(names)]
    defaults = {p.name: p.default for p in inspect.signature(theirs).parameters.values()}
    for name, parameter in inspect.signature(own).parameters.items():
        assert parameter.default == defaults[name] or (name, defaults[name]) == ("learning_rate", None), name


@pytest.mark.parametrize("name", SAME)
def test_steps_are_fastopts(name, jit):
    rng = np.random.default_rng(0)
    start = rng.standard_normal((40, 40)).astype(np.float32)
    grads = [rng.standard_normal((40, 40)).astype(np.float32) for _ in range(4)]
    options, own = SAME[name]
    wanted = start.copy()
    optimizer = getattr(fo.optimizers, name)(wanted, lr=0.01, **own)
    ours = function_of(name)(0.01, **options)
    step = jit(ours.apply)
    params, state = jnp.asarray(start), ours.init(start)
    for grad in grads:
        optimizer.step(grad)
        params, state = step(params, state, grad)
    np.testing.assert_allclose(params, wanted, rtol=2e-6, atol=2e-6)
