"""Rows of the table for the rest of the losses of regression, and of those with two classes."""

import numpy as np

from fastopt.table.losses import wrong
from fastopt.table.losses.cases import (
    LOG_TOLERANCE,
    LOGITS,
    REDUCING,
    REDUCTIONS,
    binary,
    normal,
    op,
    real,
    signs,
)
from fastopt.table.op import Wrong

# log1p and 1 / (1 + p) of numbers of order 1, squared; a percentage divides by |t|, of at least 0.5 here.
PERCENT_TOLERANCE = {"float32": (3e-6, 1e-4), "float64": (6e-15, 2e-13)}
# A power of the miss, whose logarithm is multiplied by gamma, and a slope that is a difference of such.
FOCAL_TOLERANCE = {"float32": (2e-5, 2e-5), "float64": (4e-14, 4e-14)}


def _square(array):
    """Return positive numbers that have the same bits on every CPU; those of NumPy's exp depend on it."""
    return array * array + array.dtype.type(0.125)


def _positive(rng, shape, dtype, options):
    return {name: _square(array) for name, array in real(rng, shape, dtype, options).items()}


def _far_from_zero(rng, shape, dtype, options):
    arrays = real(rng, shape, dtype, options)
    return {name: array + np.copysign(array.dtype.type(0.5), array) for name, array in arrays.items()}


def _counts(rng, shape, dtype, options):
    return {
        "y_true": np.asarray(rng.poisson(2.0, shape)).astype(dtype), "y_pred": _square(normal(rng, shape, dtype)),
    }  # fmt: skip


def _positive_targets(rng, shape, dtype, options):
    return {"y_true": _square(normal(rng, shape, dtype)), "y_pred": normal(rng, shape, dtype)}


def _labels_and_scores(rng, shape, dtype, options):
    return binary(rng, shape, dtype, {"from_logits": True}) | {"y_pred": normal(rng, shape, dtype)}


# exp of numbers up to 5 passes their rounding on, and a gradient is a difference of numbers up to 150.
EXP_TOLERANCE = {"float32": (3e-6, 3e-5), "float64": (6e-15, 6e-14)}

SMOOTH = (
    Wrong("beta negative", lambda o, a: o.update(beta=-1.0), ("beta", "≥ 0", "-1.0")),
    Wrong("beta a string", lambda o, a: o.update(beta="wide"), ("beta", "wide"), TypeError),
)
QUANTILE = (
    Wrong("quantile of 1", lambda o, a: o.update(quantile=1.0), ("quantile", "(0, 1)", "1.0")),
    Wrong("quantile a string", lambda o, a: o.update(quantile="median"), ("quantile", "median"), TypeError),
)
MARGIN = (Wrong("margin infinite", lambda o, a: o.update(margin=np.inf), ("margin", "finite", "inf")),)
FOCAL = (
    Wrong("alpha above 1", lambda o, a: o.update(alpha=1.5), ("alpha", "[0, 1]", "1.5")),
    Wrong("gamma negative", lambda o, a: o.update(gamma=-1.0), ("gamma", "≥ 0", "-1.0")),
    Wrong(
        "apply_class_balancing not a flag", lambda o, a: o.update(apply_class_balancing=1),
        ("apply_class_balancing", "True or False"), TypeError,
    ),
)  # fmt: skip
TWEEDIE = (
    Wrong("a power between 0 and 1", lambda o, a: o.update(power=0.5), ("power", "≤ 0 or ≥ 1", "0.5")),
    Wrong("a target below 0", lambda o, a: a["y_true"].fill(-1.0), ("y_true", "≥ 0", "-1.0")),
    Wrong("a target of 0", lambda o, a: (o.update(power=2.0), a["y_true"].fill(0.0)), ("y_true", "> 0", "0.0")),
)

OPS = (
    op(
        "mean_squared_logarithmic_error", f"mean_squared_logarithmic_error {REDUCING}", "Tofallis 2015", _positive,
        REDUCTIONS[:4], wrong.DENSE, LOG_TOLERANCE,
    ),
    op(
        "mean_absolute_percentage_error", f"mean_absolute_percentage_error {REDUCING}",
        "Makridakis 1993", _far_from_zero, REDUCTIONS[1:4], wrong.DENSE, PERCENT_TOLERANCE,
    ),
    op("log_cosh", f"log_cosh {REDUCING}", "Green 1990", real, REDUCTIONS[:4], wrong.DENSE, LOG_TOLERANCE),
    op(
        "smooth_l1", f"smooth_l1 {REDUCING}", "Girshick 2015, equation 3", real,
        ({}, {"beta": 0.3, "reduction": "sum"}, {"beta": 0.0, "weighted": True}), (*wrong.DENSE, *SMOOTH),
    ),
    op(
        "quantile", f"quantile {REDUCING}", "Koenker and Bassett 1978, equation 2.1", real,
        ({}, {"quantile": 0.9, "weighted": True}, {"quantile": 0.1, "reduction": "none"}),
        (*wrong.DENSE, *QUANTILE),
    ),
    op(
        "poisson", f"poisson poisson_log_rates {REDUCING}", "Nelder and Wedderburn 1972", _counts,
        (*REDUCTIONS[:4], {"from_logarithms": True, "weighted": True}), wrong.DENSE,
        LOG_TOLERANCE,
    ),
    op(
        "squared_hinge", f"squared_hinge signs {REDUCING}", "Rosasco et al. 2004", signs, REDUCTIONS[1:4],
        (*wrong.DENSE, *wrong.SIGN), LOG_TOLERANCE,
    ),
    op(
        "binary_focal_crossentropy",
        f"binary_focal_crossentropy binary_focal_crossentropy_logits {REDUCING}", "Lin et al. 2017, equations 4 and 5",
        binary,
        (
            {}, LOGITS, {**LOGITS, "label_smoothing": 0.1, "apply_class_balancing": True, "alpha": 0.4},
            {"gamma": 0.5, "apply_class_balancing": True, "weighted": True, "reduction": "none"},
            {**LOGITS, "gamma": 0.0, "reduction": "sum"},
        ),
        (*wrong.DENSE, *wrong.BINARY, *wrong.PROBABILITY, *wrong.SMOOTHING, *wrong.LOGITS, *FOCAL),
        FOCAL_TOLERANCE, bench=((LOGITS, (100,)), (LOGITS, (10_000_000,))),
    ),
    op(
        "gamma", f"gamma_log_means {REDUCING}", "Nelder and Wedderburn 1972", _positive_targets, REDUCTIONS[:4],
        (*wrong.DENSE, Wrong("a target of 0", lambda o, a: a["y_true"].fill(0.0), ("y_true", "> 0", "0.0"))),
        EXP_TOLERANCE,
    ),
    op(
        "tweedie", f"tweedie_log_means poisson_log_rates gamma_log_means {REDUCING}", "Jørgensen 1987",
        _positive_targets,
        (
            {}, {"power": 1.0, "reduction": "sum"}, {"power": 2.0, "weighted": True, "reduction": "none"},
            {"power": 0.0}, {"power": 3.0, "weighted": True},
        ),
        (*wrong.DENSE, *TWEEDIE), EXP_TOLERANCE,
    ),
    op(
        "exponential", f"exponential {REDUCING}", "Friedman et al. 2000", _labels_and_scores, REDUCTIONS[:4],
        (*wrong.DENSE, *wrong.BINARY), EXP_TOLERANCE,
    ),
    op(
        "hinge_embedding", f"hinge_embedding signs {REDUCING}", "Hadsell et al. 2006", signs,
        ({"margin": 0.5, "reduction": "sum"}, {"reduction": "none"}, {"margin": -0.5, "weighted": True}),
        (*wrong.DENSE, *wrong.SIGN, *MARGIN),
    ),
)  # fmt: skip
