"""The metrics' rows of the table."""

from functools import partial

import numpy as np

from fastopt.kernels.metrics import reference
from fastopt.kernels.metrics.kernels import KERNELS
from fastopt.table.metrics import wrong
from fastopt.table.op import Op, Options

CLASSES = 5

# ---- inputs: the option `given` says what comes, in words; the call does not get it


def _given(options):
    return options.get("given", "").split()


def _weighted(rng, arrays, dtype, given):
    if "weights" in given:
        arrays["sample_weight"] = rng.uniform(0.1, 2, arrays["y_true"].shape[:1]).astype(dtype)
    return arrays


def _real_inputs(rng, shape, dtype, options):
    if "columns" in _given(options):
        shape = (*shape[:1], CLASSES) if shape else (1, CLASSES)
    arrays = {name: rng.standard_normal(shape).astype(dtype) for name in ("y_true", "y_pred")}
    return _weighted(rng, arrays, dtype, _given(options))


def _label_inputs(rng, shape, dtype, options):
    """Labels with labels, with binary scores (the default), or with scores of classes, as rows of probabilities."""
    given, (n,) = _given(options), shape
    if "all" in given or "both" in given:  # every class occurs, and has two samples
        n = max(n, 2 * CLASSES)
    if "both" in given and options.get("average") == "samples":  # each row is a ranking of its own
        n = min(n, 1001)
    if "labels" in given:
        classes = 70 if "many" in given else 2 if "two" in given else CLASSES
        arrays = {"y_true": rng.integers(0, classes, n), "y_pred": rng.integers(0, classes, n).astype(np.uint8)}
    elif "rows" in given:
        scores = rng.uniform(0, 1, (n, CLASSES))
        if "fives" in given:
            scores = np.round(scores, 1)
        labels = (scores + rng.normal(0, 0.3, scores.shape) > 0.5).astype(np.int8)
        arrays = {"y_true": labels, "y_pred": (scores > 0.5).astype(bool) if "bits" in given else scores.astype(dtype)}
        if "both" in given:  # a positive and a negative in every row and column
            labels |= (np.arange(n)[:, None] % CLASSES == np.arange(CLASSES)).astype(np.int8)
            labels &= (np.arange(n)[:, None] % CLASSES != (np.arange(CLASSES) + 1) % CLASSES).astype(np.int8)
    elif "classes" in given:
        scores = rng.uniform(0.01, 1, (n, CLASSES))
        labels = rng.integers(0, CLASSES, n)
        if "all" in given:
            labels[:CLASSES] = np.arange(CLASSES)
        scores[np.arange(n), labels] += 0.3
        arrays = {"y_true": labels, "y_pred": (scores / scores.sum(axis=1, keepdims=True)).astype(dtype)}
        if "one-hot" in given:
            arrays["y_true"] = np.eye(CLASSES, dtype=dtype)[labels]
    else:
        labels = rng.integers(0, 2, n)
        labels[:2] = (1, 0)[:n]  # both classes occur, if there is room
        scores = np.clip(rng.normal(0.4 + 0.2 * labels, 0.2), 0, 1)
        arrays = {"y_true": labels, "y_pred": (np.round(scores, 1) if "ties" in given else scores).astype(dtype)}
    return _weighted(rng, arrays, dtype, given)


# ---- calls


def _call(name, options, arrays):
    import fastopt

    options = {key: value for key, value in options.items() if key != "given"}
    return {"value": np.asarray(getattr(fastopt.metrics, name)(**arrays, **options))}


def _expect(name, options, arrays):
    options = {key: value for key, value in options.items() if key != "given"}
    return {"value": np.asarray(getattr(reference, name)(**arrays, **options))}


def _traffic(options, arrays):
    """Every input once; the result is a few numbers."""
    return sum(array.nbytes for array in arrays.values())


SHAPES = tuple((n,) for n in (1, 2, 3, 7, 15, 16, 17, 31, 33, 511, 513, 100_003))
# float32 errors are rounded up to three times (difference, square, and the inputs are exact), 2 ulp each at most;
# sums are float64.
ERROR_TOLERANCE = {"float32": (4e-7, 0.0), "float64": (4e-15, 0.0)}
# A quotient of two such sums of nearly the same size, taken from 1.
R2_TOLERANCE = {"float32": (1e-6, 1e-6), "float64": (1e-14, 1e-14)}
# log and log1p are within 2 ulp, 1 - p is exact or within an ulp of p.
LOG_TOLERANCE = {"float32": (6e-7, 1e-7), "float64": (4e-15, 1e-15)}
# Counts are exact; weights are added in float64, up to 100003 of them.
COUNT_TOLERANCE = {"float32": (1e-12, 0.0), "float64": (1e-12, 0.0)}

LABEL_KERNELS = "above argmax one_hot"
COUNTS = f"{LABEL_KERNELS} binary_counts counts counts_weighted"
MEANS = "total weighted_total"
ERRORS = f"{MEANS} ones column_totals"
RATIOS = f"{COUNTS} bin_of ones label_counts row_ratios"
RANKS = "bin_of counts counts_weighted part part_weighted sort_parts sort_parts_weighted rank_sums rank_sums_weighted"


def _op(name, kernels, source, options, wrong, tolerance=COUNT_TOLERANCE, inputs=_label_inputs, shapes=SHAPES):
    """A row; its first option is what the benchmarks time."""
    return Op(
        name=name,
        family="metrics",
        kernels=tuple(KERNELS[kernel] for kernel in kernels.split()),
        source=source,
        options=options,
        shapes=shapes,
        inputs=inputs,
        call=partial(_call, name),
        expect=partial(_expect, name),
        tolerance=tolerance,
        wrong=wrong,
        traffic=_traffic,
        bench=((options[0], (1000,)), (options[0], (1_000_000,))),
    )


ERROR_OPTIONS: Options = (
    {}, {"given": "weights"}, {"given": "columns", "multioutput": "raw_values"},
    {"given": "columns weights", "multioutput": "raw_values"},
    {"given": "columns weights", "multioutput": (1.0, 0.0, 2.0, 0.5, 3.0)},
)  # fmt: skip
RATIO_OPTIONS: Options = (
    {}, {"given": "weights two labels"}, {"given": "labels", "average": "macro"},
    {"given": "classes weights", "average": "weighted"}, {"given": "classes one-hot", "average": "micro"},
    {"given": "many labels weights", "average": None, "num_classes": 70, "zero_division": 1.0},
    {"given": "weights", "threshold": (0.2, 0.5, 0.51)}, {"given": "rows", "threshold": 0.4, "class_id": 3},
    {"given": "labels", "average": "macro", "num_classes": 9, "labels": (3, 1, 8), "zero_division": 0.5},
    {"given": "labels weights", "average": "macro", "num_classes": 9, "labels": (3, 8), "zero_division": float("nan")},
    {"given": "rows weights", "average": "samples", "multi_label": True, "zero_division": 0.5},
    {"given": "rows bits", "average": "weighted", "multi_label": True},
)  # fmt: skip
RATIO_OPTIONS = tuple(
    {"zero_division": 0.0} | each for each in RATIO_OPTIONS
)  # a sample alone has classes that are none
RANK_OPTIONS: Options = (
    {}, {"given": "weights"}, {"given": "ties"}, {"given": "ties weights"},
    {"given": "ties weights", "num_thresholds": 11},
    {"given": "weights", "thresholds": (0.2, 0.5, 0.6)},
)  # fmt: skip
ROW_OPTIONS: Options = (
    {"given": "rows both", "multi_label": True},
    {"given": "rows both weights", "multi_label": True, "average": "samples"},
    {"given": "rows both fives", "multi_label": True, "average": "micro"},
    {"given": "rows both weights", "multi_label": True, "average": "weighted", "num_thresholds": 6},
)  # fmt: skip
AREA_OPTIONS: Options = (
    {"given": "classes all weights", "multi_class": "ovr", "average": "weighted"},
    {"given": "classes all", "multi_class": "ovo"}, {"given": "classes all", "multi_class": "ovr", "average": None},
    {"given": "ties weights", "max_fpr": 0.3}, {"given": "ties", "curve": "PR"},
    {"given": "weights", "curve": "PR", "summation": "majoring", "num_thresholds": 20},
    {"given": "ties", "summation": "minoring"},
)  # fmt: skip
BOOK = "Manning, Raghavan and Schütze 2008, section 8.3"

OPS = (
    _op(
        "mean_squared_error", f"squared_error {ERRORS}", "Bickel and Doksum, section 1.3", ERROR_OPTIONS,
        wrong.REAL_WRONG, ERROR_TOLERANCE, _real_inputs, (*SHAPES, (), (3, 5)),
    ),
    _op(
        "mean_absolute_error", f"absolute_error {ERRORS}", "Bickel and Doksum, section 1.3", ERROR_OPTIONS,
        wrong.REAL_WRONG, ERROR_TOLERANCE, _real_inputs, (*SHAPES, (3, 5)),
    ),
    _op(
        "root_mean_squared_error", f"squared_error {ERRORS}", "Bickel and Doksum, section 1.3", ERROR_OPTIONS,
        wrong.REAL_WRONG, ERROR_TOLERANCE, _real_inputs,
        (*SHAPES, (3, 5)),
    ),
    _op(
        "r2_score", f"squared_error {ERRORS}", "Draper and Smith 1998, section 1.3",
        (*ERROR_OPTIONS, {"given": "columns weights", "multioutput": "variance_weighted"}),
        wrong.REAL_WRONG, R2_TOLERANCE, _real_inputs, SHAPES,
    ),
    _op(
        "accuracy", f"{LABEL_KERNELS} same same_rows {MEANS}", BOOK,
        (
            {}, {"given": "weights", "threshold": 0.3}, {"given": "labels"}, {"given": "labels weights"},
            {"given": "classes"}, {"given": "classes one-hot weights"}, {"given": "rows", "multi_label": True},
            {"given": "rows bits weights", "multi_label": True},
        ),
        wrong.ACCURACY_WRONG,
    ),
    _op(
        "top_k_categorical_accuracy", f"one_hot in_top_k same {MEANS}", "Russakovsky et al. 2015, section 4.1",
        ({"given": "classes one-hot", "k": 3}, {"given": "classes one-hot weights", "k": 1}),
        wrong.TOP_K_ONE_HOT_WRONG,
    ),
    _op(
        "sparse_top_k_categorical_accuracy", f"in_top_k same {MEANS}", "Russakovsky et al. 2015, section 4.1",
        ({"given": "classes", "k": 3}, {"given": "classes weights", "k": 2}),
        wrong.TOP_K_SPARSE_WRONG,
    ),
    _op("precision", RATIOS, BOOK, RATIO_OPTIONS, wrong.RATIO_WRONG),
    _op("recall", RATIOS, BOOK, RATIO_OPTIONS, wrong.RATIO_WRONG),
    _op("f1_score", RATIOS, "van Rijsbergen 1979, chapter 7", RATIO_OPTIONS, wrong.RATIO_WRONG),
    _op(
        "fbeta_score", RATIOS, "van Rijsbergen 1979, chapter 7",
        (
            {"beta": 2.0, "zero_division": 0.0},
            {"given": "labels weights", "beta": 0.5, "average": "weighted", "zero_division": 0.0},
            {"given": "rows", "beta": 1.5, "multi_label": True, "average": "samples", "zero_division": 0.0},
            {"given": "classes", "beta": 0.0, "average": None, "zero_division": 0.0},
        ),
        wrong.FBETA_WRONG,
    ),
    _op(
        "class_counts", f"{COUNTS} ones label_counts", BOOK,
        (
            {}, {"given": "labels weights", "num_classes": 6}, {"given": "classes"}, {"given": "many labels"},
            {"given": "rows weights", "multi_label": True, "threshold": 0.3},
            {"given": "rows bits", "multi_label": True},
        ),
        wrong.COUNTS_WRONG,
    ),
    _op(
        "confusion_matrix", COUNTS, "Stehman 1997",
        (
            {}, {"given": "weights", "threshold": 0.7}, {"given": "labels", "num_classes": 9},
            {"given": "classes one-hot"}, {"given": "many labels weights"},
            {"given": "labels weights", "num_classes": 6, "normalize": "true"},
            {"given": "classes", "labels": (3, 1), "normalize": "all"}, {"given": "labels two", "normalize": "pred"},
        ),
        wrong.CONFUSION_WRONG,
    ),
    _op(
        "log_loss", f"one_hot binary_log_loss log_loss {MEANS}", "Bishop 2006, equations 4.90 and 4.108",
        (
            {}, {"given": "weights"}, {"given": "classes"}, {"given": "classes one-hot weights"},
            {"given": "rows weights", "multi_label": True},
        ),
        wrong.LOG_LOSS_WRONG,
        LOG_TOLERANCE,
    ),
    _op(
        "auc", RANKS, "Hanley and McNeil 1982", (*RANK_OPTIONS, *ROW_OPTIONS, *AREA_OPTIONS),
        wrong.AUC_WRONG,
        shapes=SHAPES[1:],
    ),
    _op(
        "average_precision", RANKS, "Zhu 2004", (*RANK_OPTIONS, *ROW_OPTIONS), wrong.RANK_WRONG,
    ),
)  # fmt: skip
