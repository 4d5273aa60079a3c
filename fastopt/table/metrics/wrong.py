"""The wrong calls of the metrics' rows: seven samples, float32, spoilt in one way each."""

import numpy as np

from fastopt.table.op import Bad


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
FEW_BAD = (
    *COUNT_BAD,
    Bad("no such average", lambda o, a: o.update(average="mean"), ("average", "'macro'", "'mean'")),
    Bad("binary for classes", _set(y_true=np.zeros(7, int), y_pred=_ROWS), ("average", "3 classes", "'binary'")),
    Bad("zero_division of 2", lambda o, a: o.update(zero_division=2.0), ("zero_division", "[0, 1]", "2.0")),
    Bad("num_classes of 1", lambda o, a: o.update(num_classes=1), ("num_classes", "from 2", "got 1")),
    Bad("num_classes of 3 for two", lambda o, a: o.update(average=None, num_classes=3), ("num_classes", "2", "3")),
    Bad(
        "three labels for binary", _set(y_true=np.arange(7) % 3, y_pred=np.arange(7) % 3),
        ("y_true", "0 or 1", "got 2 at 2"),
    ),
)  # fmt: skip
RATIO_BAD = (
    *FEW_BAD,
    Bad("several thresholds and an average", lambda o, a: o.update(average="macro", threshold=[0.1, 0.2]),
        ("threshold", "'macro'", "got 2")),
    Bad("thresholds that fall", lambda o, a: o.update(threshold=[0.2, 0.1]), ("threshold", "growing", "[0.2, 0.1]")),
    Bad("labels for class 1", lambda o, a: o.update(labels=[1]), ("labels", "'binary'", "(1,)")),
    Bad("rows for class 1", lambda o, a: o.update(multi_label=True), ("average", "multi_label", "'binary'")),
    Bad("rows that are none", lambda o, a: o.update(average="macro", multi_label=True), ("y_pred", "(N, L)", "(7,)")),
    Bad("samples of no rows", lambda o, a: o.update(average="samples"), ("multi_label", "'samples'", "False")),
    Bad(
        "class_id of an average", lambda o, a: o.update(average="macro", class_id=0),
        ("average", "class_id", "'macro'"),
    ),
    Bad("multi_label no bool", lambda o, a: o.update(multi_label=1), ("multi_label", "True or False", "1"), TypeError),
    Bad(
        "class_id too large",
        lambda o, a: (o.update(class_id=3), a.update(y_true=np.zeros((7, 3), int), y_pred=_ROWS)),
        ("class_id", "0 to 2", "got 3"),
    ),
    Bad(
        "a label of 2 in rows",
        lambda o, a: (o.update(average="samples", multi_label=True), a.update(y_true=np.full((7, 3), 2), y_pred=_ROWS)),
        ("y_true", "0 or 1", "got 2 at (0, 0)"),
    ),
)  # fmt: skip
FBETA_BAD = (*RATIO_BAD, Bad("negative beta", lambda o, a: o.update(beta=-1.0), ("beta", "≥ 0", "-1.0")))
COUNTS_BAD = (*COUNT_BAD, *CLASS_BAD)
CONFUSION_BAD = (
    *COUNT_BAD, *CLASS_BAD,
    Bad("no such normalize", lambda o, a: o.update(normalize="rows"), ("normalize", "'true'", "'rows'")),
    Bad("a negative label", lambda o, a: o.update(labels=[0, -1]), ("labels", "from 0", "-1")),
    Bad("no labels", lambda o, a: o.update(labels=[]), ("labels", "sequence", "[]"), TypeError),
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
    Bad("one threshold", lambda o, a: o.update(num_thresholds=1), ("num_thresholds", "≥ 2", "1")),
    Bad(
        "thresholds twice", lambda o, a: o.update(num_thresholds=3, thresholds=[0.5]),
        ("thresholds", "num_thresholds=3", "[0.5]"),
    ),
    Bad("an average of one", lambda o, a: o.update(average="micro"), ("average", "'macro'", "'micro'")),
    Bad(
        "score of 2", lambda o, a: (o.update(num_thresholds=3), _changed("y_pred", 2)(o, a)),
        ("y_pred", "[0, 1]", "2.0"),
    ),
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
    Bad("columns of a vector", lambda o, a: o.update(multioutput="raw_values"), ("y_true", "(N, C)", "(7,)")),
    Bad("no such multioutput", lambda o, a: o.update(multioutput="mean"), ("multioutput", "'raw_values'", "'mean'")),
    Bad("negative share", lambda o, a: o.update(multioutput=[1.0, -1.0]), ("multioutput", "≥ 0", "-1.0")),
)  # fmt: skip
TOP_K_ONE_HOT_BAD = (
    *TOP_K_BAD,
    Bad("labels", lambda o, a: a.update(y_true=np.zeros(7, int)), ("y_true", "one-hot", "(7,)")),
    Bad("not one-hot", lambda o, a: a["y_true"].__setitem__(1, 0), ("y_true", "one-hot", "row 1")),
)
TOP_K_SPARSE_BAD = (
    *TOP_K_BAD,
    Bad("label too large", _changed("y_true", 5), ("y_true", "from 0 to 4", "got 5 at 2")),
    Bad("one-hot rows", lambda o, a: a.update(y_true=np.eye(7, 5)), ("y_true", "labels", "(7, 5)")),
)
LOG_LOSS_BAD = (
    *BINARY_BAD, *CLASS_BAD, NO_WEIGHT,
    Bad("probability above 1", _changed("y_pred", 1.5), ("y_pred", "[0, 1]", "1.5 at 2")),
    Bad("probability below 0", _changed("y_pred", -0.5), ("y_pred", "[0, 1]", "-0.5 at 2")),
    Bad("rows that add up to 3", _set(y_true=np.arange(7) % 3, y_pred=_ROWS * 3), ("y_pred", "3.0 in row 0")),
)  # fmt: skip
AUC_BAD = (
    *RANK_BAD,
    Bad("no negative", _set(y_true=np.ones(7, int)), ("y_true", "both classes", "got none")),
    Bad("no such curve", lambda o, a: o.update(curve="pr"), ("curve", "'PR'", "'pr'")),
    Bad("max_fpr of 1", lambda o, a: o.update(max_fpr=1.0), ("max_fpr", "(0, 1)", "1.0")),
    Bad("max_fpr of PR", lambda o, a: o.update(max_fpr=0.5, curve="PR"), ("max_fpr", "None", "0.5")),
    Bad("no such summation", lambda o, a: o.update(summation="sum"), ("summation", "'minoring'", "'sum'")),
    Bad("no such multi_class", lambda o, a: o.update(multi_class="all"), ("multi_class", "'ovr'", "'all'")),
    Bad("classes that are none", lambda o, a: o.update(multi_class="ovr"), ("y_pred", "(N, C)", "(7,)")),
)
