"""The metrics' rows of the table."""

from functools import partial

import numpy as np

from fastopt.kernels.metrics import reference
from fastopt.kernels.op import Bad, Op
from fastopt.kernels.runtime.kernel import Kernel

INTEGERS = ("y_true", "rows", "label", "labels", "wide", "first")  # buffers of int64, whatever the kernel's type


def _kernel(name, buffers, written="", dims="", scalars="", unit="element", integers=INTEGERS):
    """A kernel of jit.py."""
    names = tuple(buffers.split())
    return Kernel(
        name,
        "metrics",
        buffers=names,
        written=tuple(written.split()),
        scalars=tuple(scalars.split()),
        dims=tuple(dims.split()),
        unit=unit,
        types={name: "np.int64" for name in names if name in integers},
        rule=False,
    )


def _rule(name):
    return Kernel(name, "metrics", buffers=("y_true", "y_pred", "value"), written=("value",))


BOTH = (*INTEGERS, "y_pred")  # kernels of labels alone

KERNELS = {
    kernel.name: kernel
    for kernel in (
        _rule("squared_error"),
        _rule("absolute_error"),
        _kernel("binary_log_loss", "y_true y_pred value", "value", scalars="eps one_minus_eps"),
        _kernel("log_loss", "y_true y_pred value", "value", "classes", "eps one_minus_eps tolerance", "row"),
        _kernel("same", "y_true y_pred value", "value", "classes", integers=BOTH),
        _kernel("above", "y_pred label", "label", scalars="threshold"),
        _kernel("bin_of", "y_pred label", "label", "rows columns"),
        _kernel("argmax", "y_pred label", "label", "classes", unit="row"),
        _kernel("one_hot", "rows label", "label", "classes", unit="row"),
        _kernel("in_top_k", "y_true y_pred label", "label", "classes top_k", unit="row"),
        _kernel("total", "value"),
        _kernel("weighted_total", "value sample_weight"),
        _kernel("binary_counts", "y_true y_pred", integers=BOTH),
        _kernel("binary_counts_weighted", "y_true y_pred sample_weight", integers=BOTH),
        _kernel("counts", "y_true y_pred", dims="rows columns", integers=BOTH),
        _kernel("counts_weighted", "y_true y_pred sample_weight", dims="rows columns", integers=BOTH),
        _kernel("part", "y_true y_pred scores", "scores", "samples"),
        _kernel("part_weighted", "y_true y_pred sample_weight scores weights", "scores weights", "samples"),
        _kernel("sort_parts", "scores spare first", "scores spare first", "samples positives", unit="part"),
        _kernel(
            "sort_parts_weighted",
            "scores weights spare spare_weights first",
            "scores weights spare spare_weights first",
            "samples positives",
            unit="part",
        ),
        _kernel("rank_sums", "scores", dims="samples positives", unit="set of samples"),
        _kernel("rank_sums_weighted", "scores weights", dims="samples positives", unit="set of samples"),
    )
}

CLASSES = 5

# ---- inputs: the option `given` says what comes, in words; the call does not get it


def _given(options):
    return options.get("given", "").split()


def _weighted(rng, arrays, dtype, given):
    if "weights" in given:
        arrays["sample_weight"] = rng.uniform(0.1, 2, arrays["y_true"].shape[:1]).astype(dtype)
    return arrays


def _real_inputs(rng, shape, dtype, options):
    arrays = {name: rng.standard_normal(shape).astype(dtype) for name in ("y_true", "y_pred")}
    return _weighted(rng, arrays, dtype, _given(options))


def _label_inputs(rng, shape, dtype, options):
    """Labels with labels, with binary scores (the default), or with scores of classes, as rows of probabilities."""
    given, (n,) = _given(options), shape
    if "labels" in given:
        classes = 70 if "many" in given else 2 if "two" in given else CLASSES
        arrays = {"y_true": rng.integers(0, classes, n), "y_pred": rng.integers(0, classes, n).astype(np.uint8)}
    elif "classes" in given:
        scores = rng.uniform(0.01, 1, (n, CLASSES))
        labels = rng.integers(0, CLASSES, n)
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


def _expect(function, options, arrays):
    options = {key: value for key, value in options.items() if key != "given"}
    return {"value": np.asarray(function(**arrays, **options))}


def _mean(values, y_true, y_pred, sample_weight=None, **options):
    return reference.mean(values(y_true, y_pred, **options), sample_weight)


def _top_k(y_true, y_pred, sample_weight=None, k=5):
    return reference.mean(reference.in_top_k(y_true, y_pred, k), sample_weight)


def _log_loss(y_true, y_pred, sample_weight=None):
    return reference.mean(reference.log_loss(y_true, y_pred, np.finfo(y_pred.dtype).eps), sample_weight)


def _ratio(which, *arguments, **options):
    return reference.precision_recall_f1(*arguments, **options)[which]


def _confusion(*arguments, sample_weight=None, **options):
    matrix = reference.confusion_matrix(*arguments, sample_weight=sample_weight, **options)
    return matrix.astype(np.int64) if sample_weight is None else matrix


def _traffic(options, arrays):
    """Every input once; the result is a few numbers."""
    return sum(array.nbytes for array in arrays.values())


SHAPES = tuple((n,) for n in (1, 2, 3, 7, 15, 16, 17, 31, 33, 511, 513, 100_003))
# float32 errors are rounded up to three times (difference, square, and the inputs are exact), 2 ulp each at most;
# sums are float64.
ERROR_TOLERANCE = {"float32": (4e-7, 0.0), "float64": (4e-15, 0.0)}
# log and log1p are within 2 ulp, 1 - p is exact or within an ulp of p.
LOG_TOLERANCE = {"float32": (6e-7, 1e-7), "float64": (4e-15, 1e-15)}
# Counts are exact; weights are added in float64, up to 100003 of them.
COUNT_TOLERANCE = {"float32": (1e-12, 0.0), "float64": (1e-12, 0.0)}

# ---- wrong calls


def _set(**arrays):
    return lambda o, a: a.update(arrays)


def _weight(value):
    def spoil(options, arrays):
        arrays["sample_weight"] = np.ones(len(arrays["y_true"]), arrays["y_pred"].dtype)
        arrays["sample_weight"][1] = value

    return spoil


def _changed(name, value, at=2):
    def spoil(options, arrays):
        arrays[name][at] = value

    return spoil


SHARED_BAD = (
    Bad("lengths differ", lambda o, a: a.update(y_true=a["y_true"][:-1]), ("got",)),
    Bad("a list", _set(y_true=[0, 1]), ("y_true", "NumPy array", "list"), TypeError),
    Bad("None", _set(y_pred=None), ("y_pred", "NumPy array", "None"), TypeError),
    Bad("complex predictions", _set(y_pred=np.ones(7, complex)), ("y_pred", "complex128"), TypeError),
    Bad("objects", _set(y_true=np.ones(7, object)), ("y_true", "object"), TypeError),
    Bad("strings", _set(y_true=np.array(list("abcdefg"))), ("y_true", "<U1"), TypeError),
    Bad("half precision", _set(y_pred=np.ones(7, np.float16)), ("y_pred", "float16"), TypeError),
    Bad(
        "nothing", lambda o, a: a.update(y_true=a["y_true"][:0], y_pred=a["y_pred"][:0]),
        ("expected at least one", "shape (0,"),
    ),
    Bad("negative weight", _weight(-1.0), ("sample_weight", "≥ 0", "-1.0")),
    Bad("weight of NaN", _weight(np.nan), ("sample_weight", "finite", "nan")),
    Bad("infinite weight", _weight(np.inf), ("sample_weight", "finite", "inf")),
    Bad("integer weights", _set(sample_weight=np.ones(7, np.int64)), ("sample_weight", "int64"), TypeError),
    Bad(
        "weights of another dtype", lambda o, a: a.update(sample_weight=np.ones(len(a["y_true"]))),
        ("sample_weight", "float32", "float64"), TypeError,
    ),
    Bad("too few weights", _set(sample_weight=np.ones(2, np.float32)), ("sample_weight", "shape (7,)", "(2,)")),
)  # fmt: skip
NO_WEIGHT = Bad(
    "no weight", lambda o, a: a.update(sample_weight=np.zeros(len(a["y_true"]), np.float32)),
    ("expected",),
)  # fmt: skip
BINARY_BAD = (
    *SHARED_BAD,
    Bad("label neither 0 nor 1", _changed("y_true", 2), ("y_true", "0 or 1", "got 2 at 2")),
    Bad("negative label", _changed("y_true", -1), ("y_true", "0 or 1", "got -1 at 2")),
    Bad("fractional label", lambda o, a: a.update(y_true=np.full(7, 0.5)), ("y_true", "0 or 1", "0.5")),
    Bad("scores of NaN", _changed("y_pred", np.nan), ("y_pred", "nan at 2")),
    Bad("three axes", _set(y_pred=np.ones((7, 2, 2), np.float32)), ("y_pred", "shape (7, 2, 2)")),
    Bad("labels of two columns", _set(y_true=np.ones((7, 2), int)), ("y_true", "(N,) or (N, 1)", "(7, 2)")),
)  # fmt: skip
THRESHOLD = (
    Bad("threshold of NaN", lambda o, a: o.update(threshold=float("nan")), ("threshold", "finite", "nan")),
    Bad("threshold no number", lambda o, a: o.update(threshold="high"), ("threshold", "high"), TypeError),
)
_ROWS = np.full((7, 3), 1 / 3, np.float32)
CLASS_BAD = (
    Bad("label too large", _set(y_true=np.full(7, 3), y_pred=_ROWS), ("y_true", "from 0 to 2", "got 3 at 0")),
    Bad("not one-hot", _set(y_true=np.ones((7, 3)), y_pred=_ROWS), ("y_true", "one-hot", "[1.0, 1.0, 1.0] in row 0")),
    Bad("float labels of classes", _set(y_true=np.ones(7), y_pred=_ROWS), ("y_true", "float64"), TypeError),
    Bad("one-hot of other width", _set(y_true=np.eye(7), y_pred=_ROWS), ("y_true", "(N, 3)", "(7, 7)")),
)
ACCURACY_BAD = (
    *BINARY_BAD, *THRESHOLD, *CLASS_BAD, NO_WEIGHT,
    Bad("NaN among classes", _set(y_true=np.zeros(7, int), y_pred=_ROWS * np.float32("nan")), ("y_pred", "(0, 0)")),
    Bad("predicted labels of two columns", _set(y_pred=np.eye(7, 2, dtype=int)), ("y_pred", "(N, 1)", "(7, 2)")),
    Bad("float targets for labels", _set(y_true=np.ones(7), y_pred=np.ones(7, int)), ("y_true", "float64"), TypeError),
    Bad("huge label", _set(y_true=np.full(7, 2**62), y_pred=np.ones(7, int)), ("y_true", "2**62")),
)  # fmt: skip
COUNT_BAD = (*BINARY_BAD, *THRESHOLD)
RATIO_BAD = (
    *COUNT_BAD,
    Bad("no such average", lambda o, a: o.update(average="mean"), ("average", "'macro'", "'mean'")),
    Bad("binary for classes", _set(y_true=np.zeros(7, int), y_pred=_ROWS), ("average", "3 classes", "'binary'")),
    Bad("zero_division of 2", lambda o, a: o.update(zero_division=2.0), ("zero_division", "[0, 1]", "2.0")),
    Bad("num_classes of 1", lambda o, a: o.update(num_classes=1), ("num_classes", "≥ 2", "1")),
    Bad("num_classes of 3 for two", lambda o, a: o.update(average=None, num_classes=3), ("num_classes", "2", "3")),
    Bad(
        "three labels for binary", _set(y_true=np.arange(7) % 3, y_pred=np.arange(7) % 3),
        ("y_true", "0 or 1", "got 2 at 2"),
    ),
)  # fmt: skip
CONFUSION_BAD = (
    *COUNT_BAD, *CLASS_BAD,
    Bad("num_classes no number", lambda o, a: o.update(num_classes="3"), ("num_classes", "whole"), TypeError),
    Bad(
        "prediction outside num_classes",
        lambda o, a: (o.update(num_classes=2), a.update(y_pred=np.arange(7))), ("y_pred", "0 or 1", "got 2 at 2"),
    ),
)  # fmt: skip
RANK_BAD = (
    *BINARY_BAD, NO_WEIGHT,
    Bad("predicted labels", _set(y_pred=np.ones(7, int)), ("y_pred", "scores", "int64"), TypeError),
    Bad("no positive", _set(y_true=np.zeros(7, int)), ("y_true", "got none")),
)  # fmt: skip
TOP_K_BAD = tuple(bad for bad in SHARED_BAD) + (
    Bad("k of 0", lambda o, a: o.update(k=0), ("k", "≥ 1", "0")),
    Bad("k above C", lambda o, a: o.update(k=6), ("k", "from 1 to 5", "6")),
    Bad("k no whole number", lambda o, a: o.update(k=2.0), ("k", "whole", "2.0"), TypeError),
    Bad("binary scores", lambda o, a: a.update(y_pred=a["y_pred"][:, 0]), ("y_pred", "(N, C)", "(7,)")),
    Bad("NaN", lambda o, a: a["y_pred"].__setitem__((2, 1), np.nan), ("y_pred", "nan at (2, 1)")),
    NO_WEIGHT,
)
REAL_BAD = (
    *(bad for bad in SHARED_BAD if bad.what not in ("strings",)),
    Bad("integers", _set(y_true=np.arange(7)), ("y_true", "float32 or float64", "int64"), TypeError),
    Bad("dtypes differ", _set(y_true=np.ones(7)), ("y_pred", "float64"), TypeError),
    Bad("shapes differ", lambda o, a: a.update(y_true=a["y_true"][:, None]), ("y_pred", "(7, 1)", "(7,)")),
    NO_WEIGHT,
)  # fmt: skip

LABEL_KERNELS = "above argmax one_hot"
COUNTS = f"{LABEL_KERNELS} binary_counts binary_counts_weighted counts counts_weighted"
MEANS = "total weighted_total"
RANKS = "part part_weighted sort_parts sort_parts_weighted rank_sums rank_sums_weighted"


def _op(name, kernels, source, options, expect, bad, tolerance=COUNT_TOLERANCE, inputs=_label_inputs, shapes=SHAPES):
    return Op(
        name=name,
        family="metrics",
        kernels=tuple(KERNELS[kernel] for kernel in kernels.split()),
        source=source,
        options=options,
        shapes=shapes,
        inputs=inputs,
        call=partial(_call, name),
        expect=partial(_expect, expect),
        tolerance=tolerance,
        bad=bad,
        traffic=_traffic,
        bench=((options[0], (1000,)), (options[0], (1_000_000,))),
    )


ERROR_OPTIONS = ({}, {"given": "weights"})
RATIO_OPTIONS = (
    {}, {"given": "weights two labels"}, {"given": "labels", "average": "macro"},
    {"given": "classes weights", "average": "weighted"}, {"given": "classes one-hot", "average": "micro"},
    {"given": "many labels weights", "average": None, "num_classes": 70, "zero_division": 1.0},
)  # fmt: skip
RANK_OPTIONS = ({}, {"given": "weights"}, {"given": "ties"}, {"given": "ties weights"})
BOOK = "Manning, Raghavan and Schütze 2008, section 8.3"

OPS = (
    _op(
        "mean_squared_error", f"squared_error {MEANS}", "Bickel and Doksum, section 1.3", ERROR_OPTIONS,
        partial(_mean, reference.squared_error), REAL_BAD, ERROR_TOLERANCE, _real_inputs, (*SHAPES, (), (3, 5)),
    ),
    _op(
        "mean_absolute_error", f"absolute_error {MEANS}", "Bickel and Doksum, section 1.3", ERROR_OPTIONS,
        partial(_mean, reference.absolute_error), REAL_BAD, ERROR_TOLERANCE, _real_inputs, (*SHAPES, (3, 5)),
    ),
    _op(
        "root_mean_squared_error", f"squared_error {MEANS}", "Bickel and Doksum, section 1.3", ERROR_OPTIONS,
        lambda **given: np.sqrt(_mean(reference.squared_error, **given)), REAL_BAD, ERROR_TOLERANCE, _real_inputs,
        (*SHAPES, (3, 5)),
    ),
    _op(
        "accuracy", f"{LABEL_KERNELS} same {MEANS}", BOOK,
        (
            {}, {"given": "weights", "threshold": 0.3}, {"given": "labels"}, {"given": "labels weights"},
            {"given": "classes"}, {"given": "classes one-hot weights"},
        ),
        partial(_mean, reference.same), ACCURACY_BAD,
    ),
    _op(
        "top_k_categorical_accuracy", f"one_hot in_top_k same {MEANS}", "Russakovsky et al. 2015, section 4.1",
        ({"given": "classes one-hot", "k": 3}, {"given": "classes one-hot weights", "k": 1}), _top_k,
        (
            *TOP_K_BAD,
            Bad("labels", lambda o, a: a.update(y_true=np.zeros(7, int)), ("y_true", "one-hot", "(7,)")),
            Bad("not one-hot", lambda o, a: a["y_true"].__setitem__(1, 0), ("y_true", "one-hot", "row 1")),
        ),
    ),
    _op(
        "sparse_top_k_categorical_accuracy", f"in_top_k same {MEANS}", "Russakovsky et al. 2015, section 4.1",
        ({"given": "classes", "k": 3}, {"given": "classes weights", "k": 2}), _top_k,
        (
            *TOP_K_BAD,
            Bad("label too large", _changed("y_true", 5), ("y_true", "from 0 to 4", "got 5 at 2")),
            Bad("one-hot rows", lambda o, a: a.update(y_true=np.eye(7, 5)), ("y_true", "labels", "(7, 5)")),
        ),
    ),
    _op("precision", COUNTS, BOOK, RATIO_OPTIONS, partial(_ratio, 0), RATIO_BAD),
    _op("recall", COUNTS, BOOK, RATIO_OPTIONS, partial(_ratio, 1), RATIO_BAD),
    _op("f1_score", COUNTS, "van Rijsbergen 1979, chapter 7", RATIO_OPTIONS, partial(_ratio, 2), RATIO_BAD),
    _op(
        "confusion_matrix", COUNTS, "Stehman 1997",
        (
            {}, {"given": "weights", "threshold": 0.7}, {"given": "labels", "num_classes": 9},
            {"given": "classes one-hot"}, {"given": "many labels weights"},
        ),
        _confusion, CONFUSION_BAD,
    ),
    _op(
        "log_loss", f"one_hot binary_log_loss log_loss {MEANS}", "Bishop 2006, equations 4.90 and 4.108",
        ({}, {"given": "weights"}, {"given": "classes"}, {"given": "classes one-hot weights"}), _log_loss,
        (
            *BINARY_BAD, *CLASS_BAD, NO_WEIGHT,
            Bad("probability above 1", _changed("y_pred", 1.5), ("y_pred", "[0, 1]", "1.5 at 2")),
            Bad("probability below 0", _changed("y_pred", -0.5), ("y_pred", "[0, 1]", "-0.5 at 2")),
            Bad("rows that add up to 3", _set(y_true=np.arange(7) % 3, y_pred=_ROWS * 3), ("y_pred", "3.0 in row 0")),
        ),
        LOG_TOLERANCE,
    ),
    _op(
        "auc", RANKS, "Hanley and McNeil 1982", RANK_OPTIONS, reference.auc,
        (*RANK_BAD, Bad("no negative", _set(y_true=np.ones(7, int)), ("y_true", "both classes", "got none"))),
        shapes=SHAPES[1:],
    ),
    _op(
        "average_precision", RANKS, "Zhu 2004", RANK_OPTIONS, reference.average_precision, RANK_BAD,
    ),
)  # fmt: skip
