"""Rows of the table for further losses that couple the elements of a row, and for the Gaussian likelihood."""

import numpy as np

from fastopt.table.losses import wrong
from fastopt.table.losses.cases import (
    ELEMENT_SHAPES,
    LOG_TOLERANCE,
    LOGITS,
    REDUCING,
    REDUCTIONS,
    ROW_SHAPES,
    TOLERANCE,
    distributions,
    labels,
    normal,
    op,
    real,
)
from fastopt.table.op import Bench, Wrong

# A power of 1 - p, whose logarithm is multiplied by gamma, and a slope that is a difference of such over p of 0.02 and
# more: rounding shows 50 times as large.
FOCAL_TOLERANCE = {"float32": (2e-5, 2e-5), "float64": (4e-14, 4e-14)}


def _sets(rng, shape, dtype, options):
    """Some elements in the set, some half; probabilities."""
    return {
        "y_true": rng.choice([0.0, 0.5, 1.0], shape).astype(dtype),
        "y_pred": np.asarray(rng.random(shape)).astype(dtype),
    }  # fmt: skip


def _scores(rng, shape, dtype, options):
    """Distributions, and scores of any sign without equal maxima."""
    return distributions(rng, shape, dtype, {}) | {"y_pred": normal(rng, shape, dtype)}


def _labels_and_scores(rng, shape, dtype, options):
    return labels(rng, shape, dtype, {}) | {"y_pred": normal(rng, shape, dtype)}


def _variances(rng, shape, dtype, options):
    return real(rng, shape, dtype, options) | {"var": np.asarray(0.3 + rng.random(shape)).astype(dtype)}


TWO_SETS = (
    Wrong("a label above 1", lambda o, a: a["y_true"].fill(2.0), ("y_true", "[0, 1]", "2.0")),
    Wrong("a label NaN", lambda o, a: a["y_true"].fill(np.nan), ("y_true", "[0, 1]", "nan")),
)
TVERSKY = (
    Wrong("alpha negative", lambda o, a: o.update(alpha=-1.0), ("alpha", "≥ 0", "-1.0")),
    Wrong("beta a string", lambda o, a: o.update(beta="some"), ("beta", "some"), TypeError),
)
MARGIN = (
    Wrong("p of 3", lambda o, a: o.update(p=3), ("p", "1 or 2", "3")),
    Wrong("p of 0", lambda o, a: o.update(p=0), ("p", "≥ 1", "0")),
    Wrong("p a float", lambda o, a: o.update(p=1.0), ("p", "integer", "1.0"), TypeError),
    Wrong("margin NaN", lambda o, a: o.update(margin=np.nan), ("margin", "finite", "nan")),
)
GENERALIZED = (
    Wrong("q of 1", lambda o, a: o.update(q=1.0), ("q", "(0, 1)", "1.0")),
    Wrong("q a string", lambda o, a: o.update(q="half"), ("q", "half"), TypeError),
)
FOCAL = (
    Wrong("alpha negative", lambda o, a: o.update(alpha=-0.5), ("alpha", "≥ 0", "-0.5")),
    Wrong("gamma negative", lambda o, a: o.update(gamma=-1.0), ("gamma", "≥ 0", "-1.0")),
)
GAUSSIAN = (
    Wrong("eps zero", lambda o, a: o.update(eps=0.0), ("eps", "> 0", "0.0")),
    Wrong("full not a flag", lambda o, a: o.update(full=1), ("full", "True or False"), TypeError),
    Wrong("a variance below 0", lambda o, a: a["var"].fill(-1.0), ("var", "≥ 0", "-1.0")),
    Wrong("variances of another shape", lambda o, a: a.update(var=a["var"][:-1]), ("var", "shape")),
    Wrong(
        "variances of another dtype", lambda o, a: a.update(var=a["var"].astype("f8")), ("var", "float64"), TypeError
    ),
    Wrong("one output for both", lambda o, a: a.update(out=a["y_pred"], out_var=a["y_pred"]), ("out_var", "y_pred")),
    Wrong("out in the variances' memory", lambda o, a: a.update(out=a["var"]), ("out", "var", "overlap")),
)
NO_IGNORED = tuple(wrong for wrong in wrong.LABEL if "ignore_class" not in wrong.what)
WIDE: Bench = (({}, (128, 10)), ({}, (4096, 1000)))

OPS = (
    op(
        "categorical_hinge", f"categorical_hinge not_distributions {REDUCING}", "Crammer and Singer 2001", _scores,
        REDUCTIONS, (*wrong.DENSE, *wrong.DISTRIBUTION, *wrong.FLAT), shapes=ROW_SHAPES, bench=WIDE,
    ),
    op(
        "tversky", f"overlap {REDUCING}", "Salehi et al. 2017, equation 5", _sets,
        ({"alpha": 0.7, "beta": 0.3}, {"reduction": "sum"}, {"alpha": 0.0, "weighted": True, "reduction": "none"}),
        (*wrong.DENSE, *wrong.FLAT, *wrong.PROBABILITY, *TWO_SETS, *TVERSKY), LOG_TOLERANCE, ROW_SHAPES, WIDE,
    ),
    op(
        "dice", f"overlap {REDUCING}", "Milletari et al. 2016, section 3", _sets, REDUCTIONS,
        (*wrong.DENSE, *wrong.FLAT, *wrong.PROBABILITY, *TWO_SETS), LOG_TOLERANCE, ROW_SHAPES, WIDE,
    ),
    op(
        "multi_margin", f"multi_margin labels_outside {REDUCING}", "Crammer and Singer 2001", _labels_and_scores,
        ({}, {"p": 2, "margin": 0.5}, {"p": 2, "weighted": True, "reduction": "none"}, {"reduction": "sum"}),
        (*wrong.FLAT, *NO_IGNORED, *MARGIN), TOLERANCE, ROW_SHAPES, WIDE,
    ),
    op(
        "categorical_generalized_cross_entropy", f"generalized_crossentropy labels_outside {REDUCING}",
        "Zhang and Sabuncu 2018, equation 6", labels,
        ({}, {"q": 0.9, "weighted": True, "reduction": "none"}, {"q": 0.1, "reduction": "sum"}),
        (*wrong.FLAT, *NO_IGNORED, *wrong.PROBABILITY, *GENERALIZED), LOG_TOLERANCE, ROW_SHAPES, WIDE,
    ),
    op(
        "categorical_focal_crossentropy",
        f"focal_softmax focal_probabilities not_distributions weigh_classes {REDUCING}",
        "Lin et al. 2017, equation 5", distributions,
        (
            LOGITS, {}, {**LOGITS, "gamma": 0.5, "label_smoothing": 0.1, "reduction": "sum"},
            {"gamma": 0.5, "alpha": 1.0, "label_smoothing": 0.2, "weighted": True, "reduction": "none"},
            {**LOGITS, "gamma": 0.0, "weighted": True, "reduction": "none"},
        ),
        (
            *wrong.DENSE, *wrong.SMOOTHING, *wrong.LOGITS, *wrong.DISTRIBUTION, *wrong.FLAT,
            *wrong.PROBABILITY_NOT_LOGITS, *FOCAL,
        ),
        FOCAL_TOLERANCE, ROW_SHAPES, ((LOGITS, (128, 10)), (LOGITS, (4096, 1000))),
    ),
    op(
        "gaussian_nll", f"gaussian_likelihood {REDUCING}", "Nix and Weigend 1994, equation 5", _variances,
        ({}, {"full": True, "eps": 0.5, "reduction": "sum"}, {"weighted": True, "reduction": "none"}),
        (*wrong.DENSE, *GAUSSIAN), LOG_TOLERANCE, ELEMENT_SHAPES,
    ),
)  # fmt: skip
