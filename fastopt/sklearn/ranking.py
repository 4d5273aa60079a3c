"""scikit-learn's metrics of the order of scores. Notes are in its documentation; results agree to rounding."""

from typing import Any

import numpy as np
from sklearn import metrics as theirs

from fastopt import metrics as ours
from fastopt.sklearn.inputs import are_rows, floats, labels, need, of_two, ours_first


def roc_auc_score(
    y_true: Any,
    y_score: Any,
    *,
    average: Any = "macro",
    sample_weight: Any = None,
    max_fpr: Any = None,
    multi_class: Any = "raise",
    labels: Any = None,
) -> Any:
    """Return the area under the ROC curve, as `sklearn.metrics.roc_auc_score`.

    Examples
    --------
    >>> import numpy as np, fastopt.sklearn
    >>> fastopt.sklearn.roc_auc_score(np.array([0, 1, 0, 1]), np.array([0.1, 0.8, 0.4, 0.3]))
    0.75
    """
    return ours_first(
        lambda: _roc_auc(y_true, y_score, average, sample_weight, max_fpr, multi_class, labels),
        lambda: theirs.roc_auc_score(
            y_true,
            y_score,
            average=average,
            sample_weight=sample_weight,
            max_fpr=max_fpr,
            multi_class=multi_class,
            labels=labels,
        ),
    )


def _roc_auc(
    y_true: Any, y_score: Any, average: Any, sample_weight: Any, max_fpr: Any, multi_class: Any, classes: Any
) -> Any:
    if are_rows(y_true):
        floats(y_score, 2, sample_weight)
        return ours.auc(y_true, y_score, sample_weight, max_fpr=max_fpr, multi_label=True, average=average)
    labels(y_true)
    if getattr(y_score, "ndim", 0) == 1:
        floats(y_score, 1, sample_weight)
        need(average in ("macro", "micro", "weighted", "samples", None))
        return ours.auc(of_two(y_true), y_score, sample_weight, max_fpr=None if max_fpr == 1 else max_fpr)
    floats(y_score, 2, sample_weight)
    columns = y_score.shape[1]
    need(columns > 2 and classes is None and max_fpr in (None, 1) and multi_class in ("ovr", "ovo"))
    need(np.allclose(1, y_score.sum(axis=1)) and y_true.min() == 0 and y_true.max() == columns - 1)
    need(average in ("macro", "weighted") or (average is None and multi_class == "ovr"))
    need(multi_class == "ovr" or sample_weight is None)
    return ours.auc(y_true, y_score, sample_weight, multi_class=multi_class, average=average)


def average_precision_score(
    y_true: Any, y_score: Any, *, average: Any = "macro", pos_label: Any = 1, sample_weight: Any = None
) -> Any:
    """Return the average precision, as `sklearn.metrics.average_precision_score`."""
    return ours_first(
        lambda: _average_precision(y_true, y_score, average, pos_label, sample_weight),
        lambda: theirs.average_precision_score(
            y_true, y_score, average=average, pos_label=pos_label, sample_weight=sample_weight
        ),
    )


def _average_precision(y_true: Any, y_score: Any, average: Any, pos_label: Any, sample_weight: Any) -> Any:
    if are_rows(y_true):
        floats(y_score, 2, sample_weight)
        need(pos_label == 1)
        return ours.average_precision(y_true, y_score, sample_weight, multi_label=True, average=average)
    labels(y_true)
    floats(y_score, 1, sample_weight)
    need(average in ("macro", "micro", "weighted", "samples", None))
    of_two(y_true)
    return ours.average_precision(y_true == pos_label, y_score, sample_weight)
