"""A pytest plugin: optax's own tests, as installed, meet fastopt.jax wherever they ask for a name it has.

`python -m pytest -p plugin --pyargs optax._src.alias_test` with this folder on the path. Of the tests that are made for
each optimizer, those of other optimizers are left out.
"""

import importlib
import re
import sys

import optax.contrib
import pytest

from fastopt.jax import losses, optimizers
from fastopt.jax.transformation import State

THEIRS = optax.contrib.schedule_free_eval_params
OWN = {
    **{name: getattr(optimizers, name) for name in optimizers.__all__},
    **{name: getattr(losses, name) for name in losses.__all__},
}
OWN["schedule_free_eval_params"] = lambda state, params: (
    optimizers.schedule_free_eval_params if isinstance(state, State) else THEIRS
)(state, params)
del OWN["rprop"]  # its steps are not optax's
NOT_HERE = {
    "complex": "there are no kernels for complex numbers",
    "::SoftmaxCrossEntropy.*test_gradient": "cross-entropies have no `where`",
    "mask": "cross-entropies have no `where`",
    "test_axes": "cross-entropies have no axes in a tuple",
    "state_dtype": "state is kept in float32, or in float64: there is no mu_dtype, accumulator_dtype or state_dtype",
}


def pytest_configure(config):
    for module in [module for name, module in sys.modules.items() if name.startswith("optax")]:
        for name, one in OWN.items():
            if callable(getattr(module, name, None)):
                setattr(module, name, one)
    for name in config.args:
        importlib.import_module(name)


def pytest_collection_modifyitems(config, items):
    kept, others = [], []
    for item in items:
        given = getattr(item.function, "__x_params_repr__", "")
        asked = re.search(r"opt_name='(\w+)'", given)
        of_others = asked[1] not in OWN if asked else not re.search("ScheduleFree|SoftmaxCrossEntropy", item.nodeid)
        (others if of_others else kept).append(item)
        for word, reason in NOT_HERE.items():
            if word in given or re.search(word, item.nodeid):
                item.add_marker(pytest.mark.skip(reason))
    items[:] = kept
    config.hook.pytest_deselected(items=others)
