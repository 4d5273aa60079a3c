"""Keras's optimizers go the way of ours, with the arguments that our docstrings name for it."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")  # before keras is imported; NumPy's backend trains nothing

import keras
import numpy as np
import pytest

import fastopt as fo

AS_IN_KERAS = [
    ("SGD", {}, "SGD", {}),
    ("SGD", {"momentum": 0.9, "lr_in_momentum": True}, "SGD", {"momentum": 0.9}),
    (
        "SGD", {"momentum": 0.9, "nesterov": True, "lr_in_momentum": True},
        "SGD", {"momentum": 0.9, "nesterov": True},
    ),
    ("Adam", {"eps": 1e-3, "eps_hat": True}, "Adam", {"epsilon": 1e-3}),
    ("Adam", {"eps": 1e-3, "eps_hat": True, "amsgrad": True}, "Adam", {"epsilon": 1e-3, "amsgrad": True}),
    (
        "AdamW", {"eps": 1e-3, "eps_hat": True, "weight_decay": 0.1},
        "AdamW", {"epsilon": 1e-3, "weight_decay": 0.1},
    ),
    (
        "Adam", {"eps": 1e-7, "eps_hat": True, "weight_decay": 0.1, "decoupled_weight_decay": True, "clip_norm": 1.0},
        "Adam", {"weight_decay": 0.1, "global_clipnorm": 1.0},
    ),
    ("RMSprop", {"alpha": 0.9, "eps": 1e-3, "eps_in_root": True}, "RMSprop", {"epsilon": 1e-3}),
    (
        "RMSprop",
        {"alpha": 0.9, "eps": 1e-2, "eps_in_root": True, "lr_in_momentum": True, "momentum": 0.5, "centered": True},
        "RMSprop", {"epsilon": 1e-2, "momentum": 0.5, "centered": True},
    ),
    (
        "Adagrad", {"eps": 1e-2, "eps_in_root": True, "initial_accumulator_value": 0.1},
        "Adagrad", {"epsilon": 1e-2},
    ),
    ("Adamax", {"eps": 1e-2, "eps_in_divisor": True}, "Adamax", {"epsilon": 1e-2}),
    ("NAdam", {"eps": 1e-7, "momentum_decay": 1.0}, "Nadam", {}),
    ("Adadelta", {"rho": 0.95, "eps": 1e-7}, "Adadelta", {}),
    ("Lion", {}, "Lion", {}),
    ("FTRL", {"beta": 0.0, "initial_accumulator_value": 0.1, "l2": 0.5}, "Ftrl", {"l2_regularization_strength": 0.25}),
    (
        "FTRL", {"beta": 0.5, "initial_accumulator_value": 0.1, "lr_power": -0.8, "l2_shrinkage": 0.2, "l1": 0.1},
        "Ftrl",
        {"beta": 0.5, "learning_rate_power": -0.8, "l2_shrinkage_regularization_strength": 0.1,
         "l1_regularization_strength": 0.1},
    ),
    ("LAMB", {"eps": 1e-7}, "Lamb", {}),
    ("Adafactor", {"eps": (1e-15, 1e-3)}, "Adafactor", {}),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # within Keras's Nadam
@pytest.mark.parametrize(("name", "ours", "keras_name", "theirs"), AS_IN_KERAS)
def test_keras_goes_the_same_way(name, ours, keras_name, theirs):
    rng = np.random.default_rng(0)
    param = rng.standard_normal((6, 5)).astype(np.float32)
    variable = keras.Variable(param.copy())
    rates = [0.1, 0.1, 0.05, 0.2, 0.01] * 4  # where lr stands shows when it changes
    optimizer = getattr(fo.optimizers, name)([param], lr=lambda step: rates[step], **ours)
    judge = getattr(keras.optimizers, keras_name)(learning_rate=0.1, **theirs)
    judge.build([variable])
    for rate in rates:
        grad = rng.standard_normal((6, 5)).astype(np.float32)
        judge.learning_rate = rate
        judge.apply([keras.ops.convert_to_tensor(grad)])
        optimizer.step([grad])
    expected = variable.value.detach().numpy()
    np.testing.assert_allclose(param, expected, rtol=2e-4, atol=2e-5)
