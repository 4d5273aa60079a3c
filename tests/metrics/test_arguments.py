"""No argument of a metric is accepted and ignored, and a function takes what its class takes."""

import inspect

import numpy as np
import pytest

import fastopt as fo
from fastopt.table.metrics import OPS

M = fo.metrics
CLASSES = {name.lower(): getattr(M, name) for name in M.__all__ if inspect.isclass(getattr(M, name))}
RENAMED = {"f1_score": "F1Score", "auc": "AUC"}
OTHER = {  # another value of each option
    "multioutput": "raw_values", "threshold": 0.9, "multi_label": True, "k": 1, "average": "micro", "num_classes": 12,
    "zero_division": 0.25, "labels": (1,), "class_id": 1, "beta": 3.0, "normalize": "all", "num_thresholds": 4,
    "thresholds": (0.3,), "curve": "PR", "summation": "majoring", "max_fpr": 0.4, "multi_class": "ovr",
}  # fmt: skip
ARGUMENTS = [
    pytest.param(op, name, id=f"{op.name}-{name}")
    for op in OPS
    for name, kind in inspect.signature(getattr(M, op.name)).parameters.items()
    if kind.kind is kind.KEYWORD_ONLY
]


def class_of(op):
    name = RENAMED.get(op.name, op.name.replace("_", ""))
    return CLASSES[name.lower()]


def outcome(op, options, arrays):
    try:
        return repr(op.call(options, arrays))
    except (ValueError, TypeError) as refusal:
        return str(refusal)


@pytest.mark.parametrize("op", [pytest.param(op, id=op.name) for op in OPS])
def test_a_function_takes_the_options_of_its_class(op):
    keywords = {n: p.default for n, p in inspect.signature(getattr(M, op.name)).parameters.items() if p.kind == 3}
    assert keywords == {name: p.default for name, p in inspect.signature(class_of(op)).parameters.items()}


@pytest.mark.parametrize("op", [pytest.param(op, id=op.name) for op in OPS])
def test_a_function_gives_what_its_class_gives(op):
    for options in op.options:
        arrays = op.inputs(np.random.default_rng(2), (200,), "float64", options)
        options = {name: value for name, value in options.items() if name != "given"}
        metric = class_of(op)(**options)
        metric.update_state(**arrays)
        np.testing.assert_array_equal(metric.result(), getattr(M, op.name)(**arrays, **options))


def value_or_refusal(call):
    """Return a result as plain numbers (a class counts in float64 where its function returns int64), or the refusal."""
    try:
        return repr(np.asarray(call(), np.float64).tolist())
    except (ValueError, TypeError) as refusal:
        return str(refusal)


@pytest.mark.parametrize(("op", "name"), ARGUMENTS)
def test_a_class_hears_each_option_as_its_function_does(op, name):
    for options in op.options:
        arrays = op.inputs(np.random.default_rng(2), (200,), "float64", options)
        changed = {key: value for key, value in options.items() if key != "given"} | {name: OTHER[name]}

        def by_class(arrays=arrays, changed=changed):
            metric = class_of(op)(**changed)
            metric.update_state(**arrays)
            return metric.result()

        assert value_or_refusal(by_class) == value_or_refusal(
            lambda arrays=arrays, changed=changed: getattr(M, op.name)(**arrays, **changed)
        )


@pytest.mark.parametrize(("op", "name"), ARGUMENTS)
def test_every_option_changes_something(op, name):
    for options in op.options:
        arrays = op.inputs(np.random.default_rng(2), (200,), "float64", options)
        if name == "zero_division":  # a class that is never predicted, and never true
            arrays = {**arrays, "y_true": np.zeros_like(arrays["y_true"]), "y_pred": np.zeros_like(arrays["y_pred"])}
        if outcome(op, options, arrays) != outcome(op, {**options, name: OTHER[name]}, arrays):
            return
    raise AssertionError(f"{name} changes nothing")


@pytest.mark.parametrize("op", [pytest.param(op, id=op.name) for op in OPS])
def test_weights_change_something(op):
    options = op.options[0]
    arrays = op.inputs(np.random.default_rng(2), (200,), "float64", options)
    arrays.pop("sample_weight", None)
    weights = np.random.default_rng(5).random(200)
    assert outcome(op, options, arrays) != outcome(op, options, {**arrays, "sample_weight": weights})


@pytest.mark.parametrize(("name", "given", "remedy"), [
    ("y_pred", np.float16([0.1, 0.9]), "float32"), ("y_pred", np.array([0.1, 0.9], ">f4"), "float32"),
    ("y_pred", np.array([0, 1]), "float32"), ("y_true", np.array([0, 1], object), "int64"),
    ("y_true", np.array([0, 1], ">i8"), "int64"),
])  # fmt: skip
def test_labels_and_scores_of_a_wrong_type_are_told_what_to_write(name, given, remedy):
    arrays = {"y_true": np.array([0, 1]), "y_pred": np.float32([0.1, 0.9])} | {name: given}
    with pytest.raises(TypeError, match=rf"^{name}: expected .*, got .*; convert it with astype\('{remedy}'\)$"):
        M.auc(**arrays)
