"""Counts of what was predicted for what: by class, and the confusion matrix. A function stands under its class."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.metrics import results
from fastopt.kernels.metrics.samples import Samples
from fastopt.metrics.base import Metric, filled, metric_of
from fastopt.metrics.inputs import checked, rows, samples, sequence, whole

MOST_CLASSES = 2**29  # a confusion matrix of more has no address
MOST_GUESSED = 2**16  # a larger label is more likely an id; whoever means it says how many classes there are


def bound(given: Samples, num_classes: int | None) -> Samples:
    """Return the samples with their number of classes."""
    if given.kind == "labels":
        if num_classes is not None:
            return given._replace(classes=num_classes)
        found = 1 + max(int(given.y_true.max()), int(given.y_pred.max()))
        if found > MOST_GUESSED:
            raise ValueError(f"num_classes: expected a number where labels exceed {MOST_GUESSED - 1}, got {found - 1}")
        return given._replace(classes=max(2, found))
    if num_classes not in (None, given.classes):
        raise ValueError(f"num_classes: expected {given.classes}, as y_pred has scores for, got {num_classes}")
    return given


def class_number(value: Any) -> int | None:
    return None if value is None else whole(value, "num_classes", 2, MOST_CLASSES)


def class_labels(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    wanted = "a sequence of classes"
    return tuple(whole(label, "labels", 0, MOST_GUESSED) for label in sequence(value, "labels", wanted))


class Counts(Metric):
    """A metric of counts by class; labels that come later may be larger."""

    def _joined(self, state: np.ndarray | None, more: np.ndarray) -> np.ndarray:
        if state is None or state.shape == more.shape:
            return super()._joined(state, more)
        total = np.zeros(np.maximum(state.shape, more.shape))
        for counts in (state, more):
            total[tuple(slice(n) for n in counts.shape)] += counts
        return total


@filled
class ClassCounts(Counts):
    """How much weight of each class is rightly predicted, predicted, and actual, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.class_counts` takes.

    Parameters
    ----------
    num_classes, threshold, multi_label : optional
        As in :func:`fastopt.metrics.class_counts`.

    {raises}

    Notes
    -----
    State: the result, exact for counts up to 2^53.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.ClassCounts()
    >>> metric.update_state(np.array([0, 1, 1]), np.array([0, 1, 0]))
    >>> metric.update_state(np.array([2]), np.array([2]))
    >>> metric.result()
    array([[1., 2., 1.],
           [1., 1., 2.],
           [1., 1., 1.]])
    """

    def __init__(self, num_classes: int | None = None, threshold: float = 0.5, multi_label: bool = False):
        super().__init__(
            num_classes=class_number(num_classes),
            threshold=expect.number(threshold, "threshold", expect.FINITE),
            multi_label=expect.flag(multi_label, "multi_label"),
        )

    def _measured(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        take = rows if self._options["multi_label"] else samples
        given = take(y_true, y_pred, sample_weight, threshold=self._options["threshold"])
        given = bound(given, self._options["num_classes"])
        return checked(by.class_counts(given), given)

    def _value(self, by: Any, state: np.ndarray) -> np.ndarray:
        return state.copy()


@expect.nearest
def class_counts(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    num_classes: int | None = None,
    threshold: float = 0.5,
    multi_label: bool = False,
) -> np.ndarray:
    """Return for each class the weight that is rightly predicted, predicted, and actual: TP, TP + FP, TP + FN.

    Precision, recall and all F scores are ratios of these, however they are averaged.

    Parameters
    ----------
    y_true, y_pred : arrays
        Labels and predictions as :func:`accuracy` takes them, told by shape and dtype: labels ≥ 0 (N,), binary scores
        (N,), scores of classes (N, C), or, with `multi_label`, rows (N, L); scores are float32 or float64.
    sample_weight : float array (N,), optional
        Finite weights ≥ 0, of y_pred's dtype if that is a float.
    num_classes : int ≥ 2, optional
        How many classes predicted labels come from; by default the largest label + 1, at least 2 (labels beyond 65 535
        need it said). Scores and rows have it by their shape.
    threshold : float (finite), default 0.5
        Scores above it (not equal to it) mean class 1, or that a label is given.
    multi_label : bool, default False
        Whether both are rows (N, L) of labels, each 0 or 1 (y_pred also of scores).

    Returns
    -------
    float64 array (classes, 3)
        Whole numbers up to 2^53 without weights.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is out of range, a row is not one-hot, a score is NaN (a count
        can't carry it), there is no sample, or a weight is negative or not finite.

    Notes
    -----
    scikit-learn's `multilabel_confusion_matrix` holds the same in tables of 2 by 2; Keras keeps such counts as state.

    References
    ----------
    Manning, Raghavan and Schütze, "Introduction to information retrieval", 2008, section 8.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.class_counts(np.array([0, 1, 1]), np.array([0, 1, 0]))
    array([[1., 2., 1.],
           [1., 1., 2.]])
    """
    return metric_of(ClassCounts, num_classes, threshold, multi_label)._once(y_true, y_pred, sample_weight)


@filled
class ConfusionMatrix(Counts):
    """How often each class was predicted for each, over batches: rows are true classes, columns predicted ones.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.confusion_matrix` takes.

    Parameters
    ----------
    num_classes, threshold, labels, normalize : optional
        As in :func:`fastopt.metrics.confusion_matrix`; without `num_classes` the matrix grows with the labels.

    {raises}

    Notes
    -----
    State: float64 (classes, classes), exact for counts up to 2^53. The result is float64, as weights may come in any
    batch.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.ConfusionMatrix()
    >>> metric.update_state(np.array([0, 1, 2]), np.array([0, 2, 2]))
    >>> metric.update_state(np.array([0]), np.array([1]), sample_weight=np.array([0.5]))
    >>> metric.result()
    array([[1. , 0.5, 0. ],
           [0. , 0. , 1. ],
           [0. , 0. , 1. ]])
    """

    def __init__(
        self, num_classes: int | None = None, threshold: float = 0.5, labels: Any = None, normalize: str | None = None
    ):
        super().__init__(
            num_classes=class_number(num_classes),
            threshold=expect.number(threshold, "threshold", expect.FINITE),
            labels=class_labels(labels),
            normalize=None if normalize is None else expect.choice(normalize, "normalize", ("true", "pred", "all")),
        )

    def _measured(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        given = samples(y_true, y_pred, sample_weight, threshold=self._options["threshold"])
        given = bound(given, self._options["num_classes"])
        return checked(by.confusion(given), given)

    def _value(self, by: Any, state: np.ndarray) -> np.ndarray:
        labels, normalize = self._options["labels"], self._options["normalize"]
        if labels is not None:
            size = max(len(state), *labels) + 1
            full = np.zeros((size, size))
            full[: len(state), : len(state)] = state
            state = full[np.ix_(labels, labels)]
        return state.copy() if normalize is None else results.normalized(state, normalize)


@expect.nearest
def confusion_matrix(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    num_classes: int | None = None,
    threshold: float = 0.5,
    labels: Any = None,
    normalize: str | None = None,
) -> np.ndarray:
    """Return how often each class was predicted for each: rows are true classes, columns predicted ones.

    Parameters
    ----------
    y_true, y_pred : arrays
        Labels and predictions as :func:`accuracy` takes them, told by shape and dtype: labels ≥ 0 (N,), binary scores
        (N,) or scores of classes (N, C); scores are float32 or float64.
    sample_weight : float array (N,), optional
        Finite weights ≥ 0, of y_pred's dtype if that is a float.
    num_classes : int ≥ 2, optional
        How many classes predicted labels come from; by default the largest label + 1, at least 2
        (labels beyond 65 535 need it said).
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1.
    labels : sequence of int ≥ 0, optional
        The classes to show, in this order, whether they occur or not; by default all.
    normalize : {"true", "pred", "all"}, optional
        Show shares of the row, of the column or of everything shown; 0/0 is 0.

    Returns
    -------
    array (classes, classes)
        int64 counts, or float64 sums of weights if there are weights, or float64 shares.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is out of range, a row is not one-hot, a score is NaN (a count
        can't carry it), there is no sample, or a weight is negative or not finite.

    Notes
    -----
    scikit-learn takes labels alone, and gives a row to those that occur; here every class from 0 has one. Keras
    has no such metric.

    References
    ----------
    Stehman, "Selecting and interpreting measures of thematic classification accuracy", 1997.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.confusion_matrix(np.array([0, 1, 2]), np.array([0, 2, 2]))
    array([[1, 0, 0],
           [0, 0, 1],
           [0, 0, 1]])
    """
    matrix = metric_of(ConfusionMatrix, num_classes, threshold, labels, normalize)._once(y_true, y_pred, sample_weight)
    return matrix.astype(np.int64) if sample_weight is None and normalize is None else matrix
