"""scikit-learn's metrics of labels and probabilities. Notes are in its documentation; results agree to rounding."""

from typing import Any

import numpy as np
from sklearn import metrics as theirs

from fastopt import metrics as ours
from fastopt.sklearn.inputs import are_rows, floats, labels, need, of_two, ours_first, weights_are

MOST_CLASSES = 10_000  # larger labels are ids


def accuracy_score(y_true: Any, y_pred: Any, *, normalize: Any = True, sample_weight: Any = None) -> Any:
    """Return the share (or number) of right labels, as `sklearn.metrics.accuracy_score`.

    Examples
    --------
    >>> import numpy as np, fastopt.sklearn
    >>> fastopt.sklearn.accuracy_score(np.array([0, 1, 2, 0]), np.array([0, 1, 1, 0]))
    0.75
    """
    return ours_first(
        lambda: _accuracy(y_true, y_pred, normalize, sample_weight),
        lambda: theirs.accuracy_score(y_true, y_pred, normalize=normalize, sample_weight=sample_weight),
    )


def _accuracy(y_true: Any, y_pred: Any, normalize: Any, sample_weight: Any) -> float:
    need(normalize is True)
    weights_are(sample_weight)
    if are_rows(y_true):
        need(are_rows(y_pred))
        return ours.accuracy(y_true, y_pred, sample_weight, multi_label=True)
    labels(y_true, y_pred)
    return ours.accuracy(y_true, y_pred, sample_weight)


# ---- counts


def _counts(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return class counts of labels, and which labels occur."""
    labels(y_true, y_pred)
    weights_are(sample_weight)
    low, high = min(y_true.min(), y_pred.min()), max(y_true.max(), y_pred.max())
    need(low >= 0 and high < MOST_CLASSES)
    counts = ours.class_counts(y_true, y_pred, sample_weight, num_classes=max(2, int(high) + 1))
    plain = counts if sample_weight is None else ours.class_counts(y_true, y_pred, num_classes=len(counts))
    return counts, np.flatnonzero(plain[:, 1] + plain[:, 2])


def _ratios(
    y_true: Any, y_pred: Any, beta: Any, chosen: Any, pos_label: Any, average: Any, sample_weight: Any, zero: Any
) -> tuple[Any, ...]:
    """Return what `precision_recall_fscore_support` does."""
    need(average in (None, "binary", "micro", "macro", "weighted") and chosen is None)
    need(average == "binary" or pos_label in (None, 1))  # scikit-learn warns of one that it ignores
    need(isinstance(beta, int | float) and 0 <= beta < np.inf and (zero == "warn" or isinstance(zero, int | float)))
    if are_rows(y_true):
        need(are_rows(y_pred) and average != "binary")
        weights_are(sample_weight)
        counts = ours.class_counts(y_true, y_pred, sample_weight, multi_label=True)
    else:
        counts, there = _counts(y_true, y_pred, sample_weight)
        if average == "binary":
            need(len(there) == 2 and pos_label in there.tolist())
            counts = counts[[int(pos_label)]]
        else:
            counts = counts[there]
    support = counts[:, 2] if sample_weight is not None else counts[:, 2].astype(np.int64)
    hit, predicted, actual = (counts.sum(axis=0, keepdims=True) if average == "micro" else counts).T
    below = beta * beta * actual + predicted
    defined = predicted.all() and actual.all() and below.all()
    need(defined or (zero in (0, 1) and zero != "warn"))  # scikit-learn warns, or leaves NaN out
    pairs = ((hit, predicted), (hit, actual), ((1 + beta * beta) * hit, below))
    values = [np.divide(top, low, out=np.full(len(hit), float(zero) if not defined else 0.0), where=low > 0)
              for top, low in pairs]  # fmt: skip
    if average is None:
        return (*values, support)
    if average == "weighted":
        need(actual.sum() > 0)
        return (*(float(np.average(value, weights=actual)) for value in values), None)
    return (*(float(value.mean()) for value in values), None)


def precision_recall_fscore_support(
    y_true: Any,
    y_pred: Any,
    *,
    beta: Any = 1.0,
    labels: Any = None,
    pos_label: Any = 1,
    average: Any = None,
    warn_for: Any = ("precision", "recall", "f-score"),
    sample_weight: Any = None,
    zero_division: Any = "warn",
) -> tuple[Any, ...]:
    """Return precision, recall, F-beta and support, as `sklearn.metrics.precision_recall_fscore_support`.

    Examples
    --------
    >>> import numpy as np, fastopt.sklearn
    >>> true, found = np.array([0, 1, 1]), np.array([0, 1, 0])
    >>> fastopt.sklearn.precision_recall_fscore_support(true, found, average="macro")[:2]
    (0.75, 0.75)
    """
    return ours_first(
        lambda: _ratios(y_true, y_pred, beta, labels, pos_label, average, sample_weight, zero_division),
        lambda: theirs.precision_recall_fscore_support(
            y_true,
            y_pred,
            beta=beta,
            labels=labels,
            pos_label=pos_label,
            average=average,
            warn_for=warn_for,
            sample_weight=sample_weight,
            zero_division=zero_division,
        ),
    )


def precision_score(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Any = None,
    pos_label: Any = 1,
    average: Any = "binary",
    sample_weight: Any = None,
    zero_division: Any = "warn",
) -> Any:
    """Return the precision, as `sklearn.metrics.precision_score`."""
    how = {"labels": labels, "pos_label": pos_label, "average": average, "sample_weight": sample_weight}
    return ours_first(
        lambda: _ratios(y_true, y_pred, 1.0, labels, pos_label, average, sample_weight, zero_division)[0],
        lambda: theirs.precision_score(y_true, y_pred, **how, zero_division=zero_division),
    )


def recall_score(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Any = None,
    pos_label: Any = 1,
    average: Any = "binary",
    sample_weight: Any = None,
    zero_division: Any = "warn",
) -> Any:
    """Return the recall, as `sklearn.metrics.recall_score`."""
    how = {"labels": labels, "pos_label": pos_label, "average": average, "sample_weight": sample_weight}
    return ours_first(
        lambda: _ratios(y_true, y_pred, 1.0, labels, pos_label, average, sample_weight, zero_division)[1],
        lambda: theirs.recall_score(y_true, y_pred, **how, zero_division=zero_division),
    )


def f1_score(
    y_true: Any,
    y_pred: Any,
    *,
    labels: Any = None,
    pos_label: Any = 1,
    average: Any = "binary",
    sample_weight: Any = None,
    zero_division: Any = "warn",
) -> Any:
    """Return the F1 score, as `sklearn.metrics.f1_score`."""
    how = {"labels": labels, "pos_label": pos_label, "average": average, "sample_weight": sample_weight}
    return ours_first(
        lambda: _ratios(y_true, y_pred, 1.0, labels, pos_label, average, sample_weight, zero_division)[2],
        lambda: theirs.f1_score(y_true, y_pred, **how, zero_division=zero_division),
    )


def fbeta_score(
    y_true: Any,
    y_pred: Any,
    *,
    beta: Any,
    labels: Any = None,
    pos_label: Any = 1,
    average: Any = "binary",
    sample_weight: Any = None,
    zero_division: Any = "warn",
) -> Any:
    """Return the F-beta score, as `sklearn.metrics.fbeta_score`."""
    how = {"labels": labels, "pos_label": pos_label, "average": average, "sample_weight": sample_weight}
    return ours_first(
        lambda: _ratios(y_true, y_pred, beta, labels, pos_label, average, sample_weight, zero_division)[2],
        lambda: theirs.fbeta_score(y_true, y_pred, beta=beta, **how, zero_division=zero_division),
    )


def confusion_matrix(
    y_true: Any, y_pred: Any, *, labels: Any = None, sample_weight: Any = None, normalize: Any = None
) -> np.ndarray:
    """Return how often each label was predicted for each, as `sklearn.metrics.confusion_matrix`."""
    return ours_first(
        lambda: _confusion(y_true, y_pred, labels, sample_weight, normalize),
        lambda: theirs.confusion_matrix(
            y_true, y_pred, labels=labels, sample_weight=sample_weight, normalize=normalize
        ),
    )


def _confusion(y_true: Any, y_pred: Any, chosen: Any, sample_weight: Any, normalize: Any) -> np.ndarray:
    need(chosen is None)
    counts, there = _counts(y_true, y_pred, sample_weight)
    need(len(there) > 1)
    matrix = ours.confusion_matrix(y_true, y_pred, sample_weight, num_classes=len(counts), normalize=normalize)
    return matrix if len(there) == len(matrix) else matrix[np.ix_(there, there)]


# ---- probabilities


def top_k_accuracy_score(
    y_true: Any, y_score: Any, *, k: Any = 2, normalize: Any = True, sample_weight: Any = None, labels: Any = None
) -> Any:
    """Return how often the label is among the k highest scores, as `sklearn.metrics.top_k_accuracy_score`."""
    return ours_first(
        lambda: _top_k(y_true, y_score, k, normalize, sample_weight, labels),
        lambda: theirs.top_k_accuracy_score(
            y_true, y_score, k=k, normalize=normalize, sample_weight=sample_weight, labels=labels
        ),
    )


def _top_k(y_true: Any, y_score: Any, k: Any, normalize: Any, sample_weight: Any, chosen: Any) -> float:
    labels(y_true)
    floats(y_score, 2, sample_weight)
    classes = y_score.shape[1]
    need(normalize is True and classes > 2 and isinstance(k, int) and 1 <= k < classes)
    need(y_true.dtype.kind != "b" and y_true.min() >= 0 and y_true.max() < classes)
    if chosen is None:
        need(np.bincount(y_true, minlength=classes).all())
    else:
        need(np.array_equal(chosen, np.arange(classes)))
    own = np.take_along_axis(y_score, y_true[:, None], axis=1)
    need(np.count_nonzero(y_score == own) == len(y_true))  # scikit-learn breaks ties by position
    return ours.sparse_top_k_categorical_accuracy(y_true, y_score, sample_weight, k=k)


def log_loss(
    y_true: Any,
    y_proba: Any = None,
    *,
    normalize: Any = True,
    sample_weight: Any = None,
    labels: Any = None,
    y_pred: Any = "deprecated",
) -> Any:
    """Return the mean of −log of the true label's probability, as `sklearn.metrics.log_loss`."""

    def own() -> float:
        need(isinstance(y_pred, str))
        return _log_loss(y_true, y_proba, normalize, sample_weight, labels)

    def host() -> Any:
        how = {} if isinstance(y_pred, str) and y_pred == "deprecated" else {"y_pred": y_pred}
        return theirs.log_loss(y_true, y_proba, normalize=normalize, sample_weight=sample_weight, labels=labels, **how)

    return ours_first(own, host)


def _log_loss(y_true: Any, y_proba: Any, normalize: Any, sample_weight: Any, chosen: Any) -> float:
    labels(y_true)
    need(normalize is True and chosen is None)
    if getattr(y_proba, "ndim", 0) == 1:
        floats(y_proba, 1, sample_weight)
        return ours.log_loss(of_two(y_true), y_proba, sample_weight)
    floats(y_proba, 2, sample_weight)
    need(y_true.min() == 0 and np.bincount(y_true, minlength=y_proba.shape[1]).all())
    return ours.log_loss(y_true, y_proba, sample_weight)


def brier_score_loss(
    y_true: Any,
    y_proba: Any,
    *,
    sample_weight: Any = None,
    pos_label: Any = None,
    labels: Any = None,
    scale_by_half: Any = "auto",
) -> Any:
    """Return the mean squared difference from the outcome, as `sklearn.metrics.brier_score_loss`."""
    return ours_first(
        lambda: _brier(y_true, y_proba, sample_weight, pos_label, labels, scale_by_half),
        lambda: theirs.brier_score_loss(
            y_true,
            y_proba,
            sample_weight=sample_weight,
            pos_label=pos_label,
            labels=labels,
            scale_by_half=scale_by_half,
        ),
    )


def _brier(y_true: Any, y_proba: Any, sample_weight: Any, pos_label: Any, chosen: Any, half: Any) -> Any:
    labels(y_true)
    floats(y_proba, 1, sample_weight)
    need(chosen is None and half == "auto" and (pos_label is None or pos_label in (0, 1)))
    need(y_proba.min() >= 0 and y_proba.max() <= 1 and y_true.min() == 0 and y_true.max() == 1)
    outcome = (y_true == (1 if pos_label is None else pos_label)).astype(y_proba.dtype)
    return ours.mean_squared_error(outcome, y_proba, sample_weight)


# ---- what is explained of a loss: 1 − its share of what the classes' proportions alone lose


def _proportions(y_true: np.ndarray, sample_weight: Any) -> np.ndarray:
    """Return the share of every label from 0 on."""
    need(y_true.min() >= 0 and y_true.max() < MOST_CLASSES)
    counts = np.bincount(y_true, sample_weight)
    need(counts.all() and len(counts) > 1)  # else scikit-learn says what is missing
    return counts / counts.sum()


def d2_log_loss_score(
    y_true: Any, y_proba: Any = None, *, sample_weight: Any = None, labels: Any = None, y_pred: Any = "deprecated"
) -> Any:
    """Return how much of the log loss is explained, as `sklearn.metrics.d2_log_loss_score`.

    Examples
    --------
    >>> import numpy as np, fastopt.sklearn
    >>> fastopt.sklearn.d2_log_loss_score(np.array([0, 1, 0, 1]), np.array([0.5, 0.5, 0.5, 0.5]))
    0.0
    """

    def own() -> float:
        need(isinstance(y_pred, str))
        lost = _log_loss(y_true, y_proba, True, sample_weight, labels)
        shares = _proportions(y_true, sample_weight)
        need(len(y_true) > 1)
        return 1.0 - lost / -float(shares @ np.log(shares))

    def host() -> Any:
        how = {} if isinstance(y_pred, str) and y_pred == "deprecated" else {"y_pred": y_pred}
        return theirs.d2_log_loss_score(y_true, y_proba, sample_weight=sample_weight, labels=labels, **how)

    return ours_first(own, host)


def d2_brier_score(
    y_true: Any, y_proba: Any, *, sample_weight: Any = None, pos_label: Any = None, labels: Any = None
) -> Any:
    """Return how much of the Brier score is explained, as `sklearn.metrics.d2_brier_score`."""

    def own() -> float:
        lost = _brier(y_true, y_proba, sample_weight, pos_label, labels, "auto")
        shares = _proportions(y_true, sample_weight)
        return 1.0 - lost / float(shares.prod())

    return ours_first(
        own,
        lambda: theirs.d2_brier_score(y_true, y_proba, sample_weight=sample_weight, pos_label=pos_label, labels=labels),
    )
