"""The losses' rows of the table."""

from fastopt.kernels.losses.kernels import KERNELS
from fastopt.table.losses import linear, regression, rows, wrong
from fastopt.table.losses.cases import (
    COSINE_TOLERANCE,
    LOG_TOLERANCE,
    LOGITS,
    REDUCING,
    REDUCTIONS,
    ROW_SHAPES,
    binary,
    distributions,
    labels,
    op,
    real,
    signs,
    vectors,
)

LINEAR = ("softmax_sparse", "weigh_values", "weigh_gradient", "soft_cap", "uncap")
OPTIONS = "soft_cap uncap weigh_classes drop_rows drop_ignored spread_labels"

OPS = (
    op(
        "mean_squared_error", f"mean_squared_error {REDUCING}", "Gauss 1823", real, REDUCTIONS, wrong.DENSE,
    ),
    op(
        "mean_absolute_error", f"mean_absolute_error {REDUCING}", "Laplace 1793", real, REDUCTIONS[1:4], wrong.DENSE,
    ),
    op(
        "huber", f"huber {REDUCING}", "Huber 1964", real,
        ({}, {"delta": 0.3, "reduction": "sum"}, {"delta": 2.0, "weighted": True}),
        (*wrong.DENSE, *wrong.HUBER),
    ),
    op(
        "binary_crossentropy",
        f"binary_crossentropy binary_crossentropy_logits binary_crossentropy_logarithms {REDUCING}",
        "Good 1952; Szegedy et al. 2016, section 7", binary,
        (
            {}, LOGITS, {**LOGITS, "label_smoothing": 0.1, "reduction": "sum"},
            {"label_smoothing": 0.2, "weighted": True, "reduction": "none"},
            {"clip_logarithms": True, "label_smoothing": 0.1, "weighted": True},
        ),
        (
            *wrong.DENSE, *wrong.BINARY, *wrong.PROBABILITY, *wrong.SMOOTHING, *wrong.LOGITS, *wrong.LOGARITHMS,
        ),
        LOG_TOLERANCE, bench=((LOGITS, (100,)), (LOGITS, (10_000_000,)), ({}, (10_000_000,))),
    ),
    op(
        "hinge", f"hinge signs {REDUCING}", "Cortes and Vapnik 1995", signs, REDUCTIONS[1:4],
        (*wrong.DENSE, *wrong.SIGN),
    ),
    op(
        "categorical_crossentropy", f"softmax probabilities not_distributions {OPTIONS} {REDUCING}",
        "Bridle 1990; Szegedy et al. 2016, section 7", distributions,
        (
            LOGITS, {}, {**LOGITS, "label_smoothing": 0.1, "reduction": "sum"},
            {"label_smoothing": 0.2, "weighted": True, "reduction": "none"},
            {**LOGITS, "weighted": True, "reduction": "none"}, {**LOGITS, "z_loss": 0.1, "label_smoothing": 0.1},
            {**LOGITS, "logit_softcap": 5.0, "z_loss": 0.01, "weighted": True, "reduction": "none"},
        ),
        (
            *wrong.DENSE, *wrong.SMOOTHING, *wrong.LOGITS, *wrong.DISTRIBUTION, *wrong.FLAT,
            *wrong.PROBABILITY_NOT_LOGITS, *wrong.CLASSES,
        ),
        LOG_TOLERANCE, ROW_SHAPES,
        ((LOGITS, (128, 10)), (LOGITS, (65_536, 10)), (LOGITS, (4096, 1000)), ({}, (4096, 1000))),
    ),
    op(
        "sparse_categorical_crossentropy",
        f"softmax_sparse probabilities_sparse softmax_sparse_planes labels_outside {OPTIONS} {REDUCING}",
        "Bridle 1990", labels,
        (
            LOGITS, {}, {**LOGITS, "ignore_class": 0}, {"ignore_class": 1, "weighted": True, "reduction": "none"},
            {**LOGITS, "weighted": True, "reduction": "sum"}, {**LOGITS, "z_loss": 0.1, "ignore_class": 1},
            {**LOGITS, "logit_softcap": 5.0, "z_loss": 0.01, "weighted": True, "reduction": "none"},
            {**LOGITS, "label_smoothing": 0.1, "ignore_class": 0, "logit_softcap": 5.0},
        ),
        (
            *wrong.LOGITS, *wrong.SMOOTHING, *wrong.SMOOTHED_LABELS, *wrong.FLAT, *wrong.LABEL,
            *wrong.PROBABILITY_NOT_LOGITS, *wrong.CLASSES,
        ),
        LOG_TOLERANCE, ROW_SHAPES,
        tuple((LOGITS, shape) for shape in ((128, 10), (65_536, 10), (4096, 1000), (2048, 32_000))),
    ),
    op(
        "kullback_leibler_divergence",
        f"kullback_leibler_divergence kullback_leibler_logarithms not_distributions {REDUCING}",
        "Kullback and Leibler 1951", distributions,
        (*REDUCTIONS[:2], REDUCTIONS[4], {"from_logarithms": True, "weighted": True}),
        (*wrong.DENSE, *wrong.PROBABILITY, *wrong.DISTRIBUTION, *wrong.FLAT),
        LOG_TOLERANCE, ROW_SHAPES, (({}, (128, 10)), ({}, (4096, 1000))),
    ),
    op(
        "cosine_proximity", f"cosine_proximity {REDUCING}", "Salton et al. 1975", vectors,
        (*REDUCTIONS[:2], REDUCTIONS[4]), (*wrong.DENSE, *wrong.FLAT), COSINE_TOLERANCE,
        shapes=ROW_SHAPES, bench=(({}, (128, 10)), ({}, (4096, 1000))),
    ),
    *regression.OPS,
    linear.op(tuple(KERNELS[name] for name in LINEAR)),
    *rows.OPS,
)  # fmt: skip
