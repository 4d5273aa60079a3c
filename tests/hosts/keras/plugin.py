"""A pytest plugin: Keras's own tests, as installed, meet fastopt.keras wherever they ask for a name it has.

`python -m pytest -p plugin --pyargs keras.src.losses.losses_test` with this folder on the path. The tests take their
classes from a module (`losses.Huber`): a module in its place answers with ours, and with Keras's where we have none.
"""

import importlib
import sys
import types

import keras
import pytest

import fastopt.keras

ROOMS = {
    "keras.src.losses.losses_test": ("losses", fastopt.keras.losses),
    "keras.src.initializers.random_initializers_test": ("initializers", fastopt.keras.initializers),
}


def skip_if_backend(name, reason):
    return pytest.mark.skipif(keras.backend.backend() == name, reason=reason)


def stand_in(theirs, ours):
    module = types.ModuleType(theirs.__name__)
    module.__dict__.update({name: one for name, one in vars(theirs).items() if not name.startswith("__")})
    module.__dict__.update({name: getattr(ours, name) for name in ours.__all__})
    return module


def pytest_configure(config):
    theirs = types.ModuleType("conftest")  # Keras's own, which its wheel leaves out
    theirs.skip_if_backend = skip_if_backend
    sys.modules.setdefault("conftest", theirs)
    for name, (room, ours) in ROOMS.items():
        module = importlib.import_module(name)
        setattr(module, room, stand_in(getattr(module, room), ours))
