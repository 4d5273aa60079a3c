"""A pytest plugin: Keras's own tests, as installed, meet fastopt.keras wherever they ask for a name it has.

`python -m pytest -p plugin --pyargs keras.src.losses.losses_test` with this folder on the path. A test module's classes
are replaced by ours, and modules that it takes them from (`losses.Huber`) by ones that answer with ours, and with
Keras's where we have none. `optimizers.get("adam")` gives ours, too.
"""

import importlib.util
import sys
import types

import keras
import pytest

import fastopt.keras as ours

ROOMS = ("initializers", "layers", "losses", "metrics", "optimizers")
OWN = {
    id(getattr(getattr(keras, room), name)): getattr(getattr(ours, room), name)
    for room in ROOMS
    for name in getattr(ours, room).__all__
}


def skip_if_backend(name, reason):
    return pytest.mark.skipif(keras.backend.backend() == name, reason=reason)


def swapped(names):
    return {name: OWN[id(one)] for name, one in names.items() if id(one) in OWN and not name.startswith("__")}


def stand_in(theirs):
    module = types.ModuleType(theirs.__name__)
    module.__dict__.update({name: one for name, one in vars(theirs).items() if not name.startswith("__")})
    module.__dict__.update(swapped(vars(theirs)))
    if theirs is sys.modules["keras.src.optimizers"]:
        module.get = lambda identifier: own_optimizer(theirs.get(identifier))
    return module


def own_optimizer(found):
    """Return ours in the place of an optimizer of Keras's that was made by name."""
    own = getattr(ours.optimizers, type(found).__name__, None)
    return found if own is None or isinstance(found, own) else own.from_config(found.get_config())


def pytest_configure(config):
    config.addinivalue_line("markers", "requires_trainable_backend: for a backend that has gradients")
    theirs = types.ModuleType("conftest")  # Keras's own, which its wheel leaves out
    theirs.skip_if_backend = skip_if_backend
    sys.modules.setdefault("conftest", theirs)
    for name in config.args:
        module = importlib.import_module(name)
        vars(module).update(swapped(vars(module)))
        for key, one in list(vars(module).items()):
            if isinstance(one, types.ModuleType) and one.__name__.startswith("keras.src.") and swapped(vars(one)):
                setattr(module, key, stand_in(one))


def pytest_collection_modifyitems(items):
    numpy = keras.backend.backend() == "numpy"
    for item in items:
        name = f"{item.cls.__name__}.{item.name}"
        reason = None
        if numpy and item.get_closest_marker("requires_trainable_backend"):
            reason = "the numpy backend trains nothing"
        elif numpy and name == "CircleTest.test_dtype_arg":
            reason = "a loss of Keras's alone, which fails under NumPy 2.4: it asks NumPy for a subtype of bfloat16"
        elif "tensorboard" in name and importlib.util.find_spec("tensorflow") is None:
            reason = "TensorBoard's files are written by TensorFlow, which is not installed"
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
