"""Every argument of every norm's function, changed alone, changes a result or raises."""

import inspect

import numpy as np
import pytest

from fastopt import normalization

SHAPE = (3, 4, 4)
RNG = np.random.default_rng(0)


ARRAYS = {name: RNG.normal(size=SHAPE) for name in ("x", "dy", "residual")}
STATISTICS = {"layer": SHAPE[:2], "rms": SHAPE[:2], "group": (3, 2), "instance": (3, 4), "batch": (4,)}
OTHER = {
    "eps": 0.5, "momentum": 0.7, "training": False, "channel_axis": 2, "biased": True, "count": 5,
    "num_groups": 4, "normalized_shape": (4, 4), "mask": np.arange(12).reshape(3, 4) % 3 > 0,
}  # fmt: skip
NAMES = [name for name in normalization.__all__ if "norm_" in name]


def base_of(name):
    """Return arguments of a good call, fresh."""
    kind, taken = name.split("_")[0], inspect.signature(getattr(normalization, name)).parameters
    rng = np.random.default_rng(1)
    base = {key: array.copy() for key, array in ARRAYS.items() if key in taken and key != "residual"}
    for key in ("gamma", "beta", "sum_dy", "sum_dy_xhat", "running_mean", "running_var", "variance"):
        if key in taken:
            base[key] = rng.uniform(0.5, 1.5, 4)
    if "activation" in taken and "forward" not in name:
        base["activation"] = "relu"  # else beta is not looked at
    if "forward" not in name:
        for key in ("mean", "invstd", "invrms"):
            if key in taken:
                base[key] = rng.uniform(0.5, 1.5, STATISTICS[kind])
    return base | {key: value for key, value in (("num_groups", 2), ("count", 12)) if key in taken}


def outcome(name, arguments):
    try:
        found = getattr(normalization, name)(**arguments)
    except (TypeError, ValueError) as error:
        return str(error)
    running = [arguments[key] for key in ("running_mean", "running_var") if key in arguments]
    return [np.asarray(part).tobytes() for part in (*(found if isinstance(found, tuple) else (found,)), *running)]


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_changed_alone_has_its_effect(name):
    plain = outcome(name, base_of(name))
    assert isinstance(plain, list), plain
    for argument in inspect.signature(getattr(normalization, name)).parameters:
        base = base_of(name)
        if argument.startswith("out"):
            continue  # where results go: the table's wrong calls, and the tests of memory
        if argument == "residual":
            base[argument] = ARRAYS["residual"]
        elif argument == "activation":
            base[argument] = None if argument in base else "relu"
        elif argument in OTHER:
            base[argument] = OTHER[argument]
        elif argument in base and isinstance(base[argument], np.ndarray):
            base[argument] = base[argument] * 1.5
        changed = outcome(name, base)
        assert changed != plain, argument
