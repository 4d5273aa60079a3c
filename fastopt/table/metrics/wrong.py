"""The wrong calls of the metrics' rows: seven samples, float32, spoilt in one way each."""

import numpy as np

from fastopt.table.op import Wrong


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


SHARED_WRONG = (
    Wrong("lengths differ", lambda o, a: a.update(y_true=a["y_true"][:-1]), ("got",)),
    Wrong("a list", _set(y_true=[0, 1]), ("y_true", "NumPy array", "list"), TypeError),
    Wrong("None", _set(y_pred=None), ("y_pred", "NumPy array", "None"), TypeError),
    Wrong("complex predictions", _set(y_pred=np.ones(7, complex)), ("y_pred", "complex128"), TypeError),
    Wrong("objects", _set(y_true=np.ones(7, object)), ("y_true", "object"), TypeError),
    Wrong("strings", _set(y_true=np.array(list("abcdefg"))), ("y_true", "<U1"), TypeError),
    Wrong("half precision", _set(y_pred=np.ones(7, np.float16)), ("y_pred", "float16"), TypeError),
    Wrong(
        "nothing", lambda o, a: a.update(y_true=a["y_true"][:0], y_pred=a["y_pred"][:0]),
        ("expected at least one", "shape (0,"),
    ),
    Wrong("negative weight", _weight(-1.0), ("sample_weight", "≥ 0", "-1.0")),
    Wrong("weight of NaN", _weight(np.nan), ("sample_weight", "finite", "nan")),
    Wrong("infinite weight", _weight(np.inf), ("sample_weight", "finite", "inf")),
    Wrong("integer weights", _set(sample_weight=np.ones(7, np.int64)), ("sample_weight", "int64"), TypeError),
    Wrong(
        "weights of another dtype", lambda o, a: a.update(sample_weight=np.ones(len(a["y_true"]))),
        ("sample_weight", "float32", "float64"), TypeError,
    ),
    Wrong("too few weights", _set(sample_weight=np.ones(2, np.float32)), ("sample_weight", "shape (7,)", "(2,)")),
)  # fmt: skip
NO_WEIGHT = Wrong(
    "no weight", lambda o, a: a.update(sample_weight=np.zeros(len(a["y_true"]), np.float32)),
    ("expected",),
)  # fmt: skip
BINARY_WRONG = (
    *SHARED_WRONG,
    Wrong("label neither 0 nor 1", _changed("y_true", 2), ("y_true", "0 or 1", "got 2 at 2")),
    Wrong("negative label", _changed("y_true", -1), ("y_true", "0 or 1", "got -1 at 2")),
    Wrong("fractional label", lambda o, a: a.update(y_true=np.full(7, 0.5)), ("y_true", "0 or 1", "0.5")),
    Wrong("scores of NaN", _changed("y_pred", np.nan), ("y_pred", "nan at 2")),
    Wrong("three axes", _set(y_pred=np.ones((7, 2, 2), np.float32)), ("y_pred", "shape (7, 2, 2)")),
    Wrong("labels of two columns", _set(y_true=np.ones((7, 2), int)), ("y_true", "(N,) or (N, 1)", "(7, 2)")),
)  # fmt: skip
THRESHOLD = (
    Wrong("threshold of NaN", lambda o, a: o.update(threshold=float("nan")), ("threshold", "finite", "nan")),
    Wrong("threshold no number", lambda o, a: o.update(threshold="high"), ("threshold", "high"), TypeError),
)
_ROWS = np.full((7, 3), 1 / 3, np.float32)
CLASS_WRONG = (
    Wrong("label too large", _set(y_true=np.full(7, 3), y_pred=_ROWS), ("y_true", "from 0 to 2", "got 3 at 0")),
    Wrong("not one-hot", _set(y_true=np.ones((7, 3)), y_pred=_ROWS), ("y_true", "one-hot", "[1.0, 1.0, 1.0] in row 0")),
    Wrong("float labels of classes", _set(y_true=np.ones(7), y_pred=_ROWS), ("y_true", "float64"), TypeError),
    Wrong("one-hot of other width", _set(y_true=np.eye(7), y_pred=_ROWS), ("y_true", "(N, 3)", "(7, 7)")),
)
ACCURACY_WRONG = (
    *BINARY_WRONG, *THRESHOLD, *CLASS_WRONG, NO_WEIGHT,
    Wrong("NaN among classes", _set(y_true=np.zeros(7, int), y_pred=_ROWS * np.float32("nan")), ("y_pred", "(0, 0)")),
    Wrong("predicted labels of two columns", _set(y_pred=np.eye(7, 2, dtype=int)), ("y_pred", "(N, 1)", "(7, 2)")),
    Wrong(
        "float targets for labels", _set(y_true=np.ones(7), y_pred=np.ones(7, int)), ("y_true", "float64"), TypeError
    ),
    Wrong("huge label", _set(y_true=np.full(7, 2**62), y_pred=np.ones(7, int)), ("y_true", "2**62")),
)  # fmt: skip
COUNT_WRONG = (*BINARY_WRONG, *THRESHOLD)
FEW_WRONG = (
    *COUNT_WRONG,
    Wrong("no such average", lambda o, a: o.update(average="mean"), ("average", "'macro'", "'mean'")),
    Wrong("binary for classes", _set(y_true=np.zeros(7, int), y_pred=_ROWS), ("average", "3 classes", "'binary'")),
    Wrong("zero_division of 2", lambda o, a: o.update(zero_division=2.0), ("zero_division", "[0, 1]", "2.0")),
    Wrong("num_classes of 1", lambda o, a: o.update(num_classes=1), ("num_classes", "from 2", "got 1")),
    Wrong("num_classes of 3 for two", lambda o, a: o.update(average=None, num_classes=3), ("num_classes", "2", "3")),
    Wrong(
        "three labels for binary", _set(y_true=np.arange(7) % 3, y_pred=np.arange(7) % 3),
        ("y_true", "0 or 1", "got 2 at 2"),
    ),
)  # fmt: skip
RATIO_WRONG = (
    *FEW_WRONG,
    Wrong("several thresholds and an average", lambda o, a: o.update(average="macro", threshold=[0.1, 0.2]),
        ("threshold", "'macro'", "got 2")),
    Wrong("thresholds that fall", lambda o, a: o.update(threshold=[0.2, 0.1]), ("threshold", "growing", "[0.2, 0.1]")),
    Wrong("labels for class 1", lambda o, a: o.update(labels=[1]), ("labels", "'binary'", "(1,)")),
    Wrong("rows for class 1", lambda o, a: o.update(multi_label=True), ("average", "multi_label", "'binary'")),
    Wrong("rows that are none", lambda o, a: o.update(average="macro", multi_label=True), ("y_pred", "(N, L)", "(7,)")),
    Wrong("samples of no rows", lambda o, a: o.update(average="samples"), ("multi_label", "'samples'", "False")),
    Wrong(
        "class_id of an average", lambda o, a: o.update(average="macro", class_id=0),
        ("average", "class_id", "'macro'"),
    ),
    Wrong(
        "multi_label no bool", lambda o, a: o.update(multi_label=1), ("multi_label", "True or False", "1"), TypeError
    ),
    Wrong(
        "class_id too large",
        lambda o, a: (o.update(class_id=3), a.update(y_true=np.zeros((7, 3), int), y_pred=_ROWS)),
        ("class_id", "0 to 2", "got 3"),
    ),
    Wrong(
        "a label of 2 in rows",
        lambda o, a: (o.update(average="samples", multi_label=True), a.update(y_true=np.full((7, 3), 2), y_pred=_ROWS)),
        ("y_true", "0 or 1", "got 2 at (0, 0)"),
    ),
)  # fmt: skip
FBETA_WRONG = (*RATIO_WRONG, Wrong("negative beta", lambda o, a: o.update(beta=-1.0), ("beta", "≥ 0", "-1.0")))
COUNTS_WRONG = (*COUNT_WRONG, *CLASS_WRONG)
CONFUSION_WRONG = (
    *COUNT_WRONG, *CLASS_WRONG,
    Wrong("no such normalize", lambda o, a: o.update(normalize="rows"), ("normalize", "'true'", "'rows'")),
    Wrong("a negative label", lambda o, a: o.update(labels=[0, -1]), ("labels", "from 0", "-1")),
    Wrong("no labels", lambda o, a: o.update(labels=[]), ("labels", "sequence", "[]"), TypeError),
    Wrong("num_classes no number", lambda o, a: o.update(num_classes="3"), ("num_classes", "whole"), TypeError),
    Wrong(
        "prediction outside num_classes",
        lambda o, a: (o.update(num_classes=2), a.update(y_pred=np.arange(7))), ("y_pred", "0 or 1", "got 2 at 2"),
    ),
)  # fmt: skip
RANK_WRONG = (
    *BINARY_WRONG, NO_WEIGHT,
    Wrong("predicted labels", _set(y_pred=np.ones(7, int)), ("y_pred", "scores", "int64"), TypeError),
    Wrong("no positive", _set(y_true=np.zeros(7, int)), ("y_true", "got none")),
    Wrong("one threshold", lambda o, a: o.update(num_thresholds=1), ("num_thresholds", "≥ 2", "1")),
    Wrong(
        "thresholds twice", lambda o, a: o.update(num_thresholds=3, thresholds=[0.5]),
        ("thresholds", "num_thresholds=3", "[0.5]"),
    ),
    Wrong("an average of one", lambda o, a: o.update(average="micro"), ("average", "'macro'", "'micro'")),
    Wrong(
        "score of 2", lambda o, a: (o.update(num_thresholds=3), _changed("y_pred", 2)(o, a)),
        ("y_pred", "[0, 1]", "2.0"),
    ),
)  # fmt: skip
TOP_K_WRONG = tuple(wrong for wrong in SHARED_WRONG) + (
    Wrong("k of 0", lambda o, a: o.update(k=0), ("k", "≥ 1", "0")),
    Wrong("k above C", lambda o, a: o.update(k=6), ("k", "from 1 to 5", "6")),
    Wrong("k no whole number", lambda o, a: o.update(k=2.0), ("k", "whole", "2.0"), TypeError),
    Wrong("binary scores", lambda o, a: a.update(y_pred=a["y_pred"][:, 0]), ("y_pred", "(N, C)", "(7,)")),
    Wrong("NaN", lambda o, a: a["y_pred"].__setitem__((2, 1), np.nan), ("y_pred", "nan at (2, 1)")),
    NO_WEIGHT,
)
REAL_WRONG = (
    *(wrong for wrong in SHARED_WRONG if wrong.what not in ("strings",)),
    Wrong("integers", _set(y_true=np.arange(7)), ("y_true", "float32 or float64", "int64"), TypeError),
    Wrong("dtypes differ", _set(y_true=np.ones(7)), ("y_pred", "float64"), TypeError),
    Wrong("shapes differ", lambda o, a: a.update(y_true=a["y_true"][:, None]), ("y_pred", "(7, 1)", "(7,)")),
    NO_WEIGHT,
    Wrong("columns of a vector", lambda o, a: o.update(multioutput="raw_values"), ("y_true", "(N, C)", "(7,)")),
    Wrong("no such multioutput", lambda o, a: o.update(multioutput="mean"), ("multioutput", "'raw_values'", "'mean'")),
    Wrong("negative share", lambda o, a: o.update(multioutput=[1.0, -1.0]), ("multioutput", "≥ 0", "-1.0")),
)  # fmt: skip
TOP_K_ONE_HOT_WRONG = (
    *TOP_K_WRONG,
    Wrong("labels", lambda o, a: a.update(y_true=np.zeros(7, int)), ("y_true", "one-hot", "(7,)")),
    Wrong("not one-hot", lambda o, a: a["y_true"].__setitem__(1, 0), ("y_true", "one-hot", "row 1")),
)
TOP_K_SPARSE_WRONG = (
    *TOP_K_WRONG,
    Wrong("label too large", _changed("y_true", 5), ("y_true", "from 0 to 4", "got 5 at 2")),
    Wrong("one-hot rows", lambda o, a: a.update(y_true=np.eye(7, 5)), ("y_true", "labels", "(7, 5)")),
)
LOG_LOSS_WRONG = (
    *BINARY_WRONG, *CLASS_WRONG, NO_WEIGHT,
    Wrong("probability above 1", _changed("y_pred", 1.5), ("y_pred", "[0, 1]", "1.5 at 2")),
    Wrong("probability below 0", _changed("y_pred", -0.5), ("y_pred", "[0, 1]", "-0.5 at 2")),
    Wrong("rows that add up to 3", _set(y_true=np.arange(7) % 3, y_pred=_ROWS * 3), ("y_pred", "3.0 in row 0")),
)  # fmt: skip
AUC_WRONG = (
    *RANK_WRONG,
    Wrong("no negative", _set(y_true=np.ones(7, int)), ("y_true", "both classes", "got none")),
    Wrong("no such curve", lambda o, a: o.update(curve="pr"), ("curve", "'PR'", "'pr'")),
    Wrong("max_fpr of 1", lambda o, a: o.update(max_fpr=1.0), ("max_fpr", "(0, 1)", "1.0")),
    Wrong("max_fpr of PR", lambda o, a: o.update(max_fpr=0.5, curve="PR"), ("max_fpr", "None", "0.5")),
    Wrong("no such summation", lambda o, a: o.update(summation="sum"), ("summation", "'minoring'", "'sum'")),
    Wrong("no such multi_class", lambda o, a: o.update(multi_class="all"), ("multi_class", "'ovr'", "'all'")),
    Wrong("classes that are none", lambda o, a: o.update(multi_class="ovr"), ("y_pred", "(N, C)", "(7,)")),
)
