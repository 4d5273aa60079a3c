"""No argument is accepted and ignored: changed alone, it changes a result or is refused, or it is said here why not."""

import inspect
from itertools import product

import numpy as np
import pytest

import fastopt as fo
from fastopt.table import OPS

STRINGS = (
    "sum", "none", "out_in", "fan_out", "fan_avg", "relu", "float64", "match_rms_adamw", "macro", "bfloat16", "8bit",
)  # fmt: skip
OTHER_VALUES = {
    bool: lambda value: [not value],
    int: lambda value: [value + 1, 2, 1, 0, -2],
    float: lambda value: [0.5, 0.25, 0.9, 2.0, 1e-3, 3, -0.25],
    str: lambda value: [one for one in STRINGS if one != value],
    tuple: lambda value: [(0.5, 0.6), (0.25, 0.5), (1e-3, 0.5), (0.5, 0.6, 0.7)],
    type(None): lambda value: [0.5, 1, 2, True, *STRINGS],
}
ONE_AXIS = "the table's samples have one axis; tests/losses/test_arguments.py has more"
ELEMENTWISE = (
    "mean_squared_error", "mean_absolute_error", "huber", "binary_crossentropy", "hinge", "log_cosh", "smooth_l1",
    "mean_squared_logarithmic_error", "mean_absolute_percentage_error", "quantile", "poisson", "squared_hinge",
    "binary_focal_crossentropy", "gaussian_nll",
)  # fmt: skip
LAST_AXIS = "the table's labels lie along the last axis, and are refused along others; tests/losses has more"
ROWS = (
    "categorical_crossentropy", "sparse_categorical_crossentropy", "kullback_leibler_divergence", "categorical_hinge",
    "multi_margin", "categorical_generalized_cross_entropy", "categorical_focal_crossentropy",
)  # fmt: skip
WITHOUT_EFFECT = {  # (op, argument): why no change shows
    **{(name, "axis"): ONE_AXIS for name in ELEMENTWISE},
    **{(name, "axis"): LAST_AXIS for name in ROWS},
    ("linear_cross_entropy", "max_bytes"): "it bounds memory; tests/losses/test_linear_cross_entropy.py measures that",
    ("batch_norm_gradient_apply", "count"): "the table counts x; tests/normalization shares a batch",
    ("fbeta_score", "zero_division"): "the table divides nothing by 0; tests/metrics does",
    ("fbeta_score", "num_classes"): "the table's labels are all there; tests/metrics leaves some out",
}
ARRAYS = {
    "params",
    "arrays",
    "out",
    "out_var",
    "out_residual",
}  # test_table.py and the rooms' tests look where results are written


def public(op):
    module = getattr(fo, op.family)
    name = op.name if op.name in module.__all__ else next(name for name in module.__all__ if name.lower() == op.name)
    return getattr(module, name)


def arguments():
    for op in OPS:
        for name, parameter in inspect.signature(public(op)).parameters.items():
            given = op.inputs(np.random.default_rng(0), shape_of(op), "float32", op.options[0])
            if name not in given and name not in ARRAYS and parameter.kind is not parameter.VAR_KEYWORD:
                yield pytest.param(op, name, parameter.default, id=f"{op.family}.{op.name}-{name}")


def shape_of(op):
    return next(shape for shape in op.shapes if np.prod(shape) > 6)


def shapes_of(op):
    """Return a shape of middle size, and those of several axes: of one axis alone, not every argument can show."""
    few = [shape for shape in op.shapes if len(set(shape)) > 1 and 6 < np.prod(shape) <= 5000]
    return dict.fromkeys([shape_of(op), *few])


def outcome(op, options, arrays):
    """Return what a call's results are to the bit, or None where it is refused."""
    try:
        with np.errstate(all="ignore"):
            results = op.call(options, {name: array.copy() for name, array in arrays.items()})
    except (ValueError, TypeError):
        return None
    return {name: (str(np.asarray(v).dtype), np.shape(v), np.asarray(v).tobytes()) for name, v in results.items()}


@pytest.mark.parametrize(("op", "name", "default"), list(arguments()))
def test_no_argument_is_accepted_and_ignored(op, name, default):
    accepted = []
    for base, shape in product(op.options, shapes_of(op)):
        arrays = op.inputs(np.random.default_rng(0), shape, "float32", base)
        before = outcome(op, dict(base), arrays)
        own = base.get(name, None if default is inspect.Parameter.empty else default)
        others = OTHER_VALUES.get(type(own), OTHER_VALUES[type(None)])(own)
        for value in [other for other in others if other != own]:
            after = outcome(op, {**base, name: value}, arrays)
            if after is not None:
                accepted.append(value)
                if after != before:
                    return
    assert not accepted or (op.name, name) in WITHOUT_EFFECT, f"{name}: {accepted[:20]} changed nothing"
