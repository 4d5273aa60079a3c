"""Counts of what was predicted for what: precision, recall, F1, the confusion matrix."""

from dataclasses import replace
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.metrics import cpu, results
from fastopt.kernels.metrics.cpu import Samples
from fastopt.metrics.base import Metric
from fastopt.metrics.inputs import measured, samples, whole

AVERAGES = ("binary", "macro", "micro", "weighted")
MOST_CLASSES = 2**29  # a confusion matrix of more has no address
MOST_GUESSED = 2**16  # a larger label is more likely an id; whoever means it says how many classes there are


def _bound(given: Samples, num_classes: int | None) -> Samples:
    """Return the samples with their number of classes."""
    if given.kind == "labels":
        found = 1 + max(int(given.y_true.max()), int(given.y_pred.max()))
        if num_classes is None and found > MOST_GUESSED:
            raise ValueError(f"num_classes: expected a number where labels exceed {MOST_GUESSED - 1}, got {found - 1}")
        return replace(given, classes=max(2, found) if num_classes is None else num_classes)
    if num_classes not in (None, given.classes):
        raise ValueError(f"num_classes: expected {given.classes}, as y_pred has scores for, got {num_classes}")
    return given


def _num_classes(value: Any) -> int | None:
    return None if value is None else whole(value, "num_classes", 2, MOST_CLASSES)


class _Counts(Metric):
    """A metric of counts by class; labels that come later may be larger."""

    def _joined(self, state: np.ndarray | None, more: np.ndarray) -> np.ndarray:
        if state is None or state.shape == more.shape:
            return super()._joined(state, more)
        total = np.zeros(np.maximum(state.shape, more.shape))
        for counts in (state, more):
            total[tuple(slice(n) for n in counts.shape)] += counts
        return total


class _Ratio(_Counts):
    """A ratio of class counts (classes, 3): rightly predicted, predicted, actual."""

    _ratio = ""

    def __init__(
        self,
        average: str | None = "binary",
        threshold: float = 0.5,
        num_classes: int | None = None,
        zero_division: float = 0.0,
    ):
        super().__init__(
            average=None if average is None else expect.choice(average, "average", AVERAGES),
            threshold=expect.number(threshold, "threshold", expect.FINITE),
            num_classes=_num_classes(num_classes),
            zero_division=expect.number(zero_division, "zero_division", expect.UNIT),
        )
        if average == "binary" and num_classes not in (None, 2):
            raise ValueError(f"num_classes: expected 2 with average='binary', got {num_classes}")

    def _measured(self, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        given = samples(y_true, y_pred, sample_weight, threshold=self._options["threshold"])
        if self._options["average"] != "binary":
            return measured(cpu.class_counts, _bound(given, self._options["num_classes"]))
        if given.kind == "classes" and given.classes != 2:
            raise ValueError(
                f"average: expected 'macro', 'micro', 'weighted' or None for {given.classes} classes, got 'binary'"
            )
        return measured(cpu.class_counts, replace(given, classes=2))

    def _value(self, state: np.ndarray) -> Any:
        return results.averaged(self._ratio, state, self._options["average"], self._options["zero_division"])


class Precision(_Ratio):
    """Share of right ones among the samples predicted to be of a class, over batches: TP / (TP + FP).

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.precision` takes.

    Parameters
    ----------
    average : {"binary", "macro", "micro", "weighted"} or None, default "binary"
        Class 1 of two; the mean over classes that occur (in y_true or y_pred, with weight); all classes' counts taken
        together; the mean weighted by the classes' weight in y_true; or None: a value per class.
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1.
    num_classes : int ≥ 2, optional
        How many classes predicted labels come from; by default the largest label + 1 (labels beyond 65 535 need it
        said). Scores have it by their shape.
    zero_division : float in [0, 1], default 0
        Value of 0/0.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: three float64 numbers per class, exact for counts up to 2^53.
    Keras's Precision is binary and its 0/0 is 0; scikit-learn's `precision_score` takes labels alone and averages
    over labels that occur.

    References
    ----------
    van Rijsbergen, "Information retrieval", 2nd edition, 1979, chapter 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.Precision()
    >>> metric.update_state(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    >>> metric.result()
    0.5
    """

    _ratio = "precision"


class Recall(_Ratio):
    """Share of a class's samples that were predicted to be of it, over batches: TP / (TP + FN).

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.recall` takes.

    Parameters
    ----------
    average : {"binary", "macro", "micro", "weighted"} or None, default "binary"
        Class 1 of two; the mean over classes that occur (in y_true or y_pred, with weight); all classes' counts taken
        together; the mean weighted by the classes' weight in y_true; or None: a value per class.
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1.
    num_classes : int ≥ 2, optional
        How many classes predicted labels come from; by default the largest label + 1 (labels beyond 65 535 need it
        said). Scores have it by their shape.
    zero_division : float in [0, 1], default 0
        Value of 0/0.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: three float64 numbers per class, exact for counts up to 2^53.
    Keras's Recall is binary and its 0/0 is 0; scikit-learn's `recall_score` takes labels alone and averages over
    labels that occur.

    References
    ----------
    van Rijsbergen, "Information retrieval", 2nd edition, 1979, chapter 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.Recall()
    >>> metric.update_state(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    >>> metric.result()
    0.5
    """

    _ratio = "recall"


class F1Score(_Ratio):
    """Harmonic mean of precision and recall, over batches: 2 TP / (2 TP + FP + FN).

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.f1_score` takes.

    Parameters
    ----------
    average : {"binary", "macro", "micro", "weighted"} or None, default "binary"
        Class 1 of two; the mean over classes that occur (in y_true or y_pred, with weight); all classes' counts taken
        together; the mean weighted by the classes' weight in y_true; or None: a value per class.
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1.
    num_classes : int ≥ 2, optional
        How many classes predicted labels come from; by default the largest label + 1 (labels beyond 65 535 need it
        said). Scores have it by their shape.
    zero_division : float in [0, 1], default 0
        Value of 0/0.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: three float64 numbers per class, exact for counts up to 2^53.
    Keras's F1Score takes rows alone and averages over all classes; scikit-learn's `f1_score` takes labels alone and
    averages over labels that occur.

    References
    ----------
    van Rijsbergen, "Information retrieval", 2nd edition, 1979, chapter 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.F1Score()
    >>> metric.update_state(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    >>> metric.result()
    0.5
    """

    _ratio = "f1"


class ConfusionMatrix(_Counts):
    """How often each class was predicted for each, over batches: rows are true classes, columns predicted ones.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.confusion_matrix` takes.

    Parameters
    ----------
    num_classes : int ≥ 2, optional
        How many classes predicted labels come from; by default the matrix grows with them
        (labels beyond 65 535 need it said).
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: float64 (classes, classes), exact for counts up to 2^53. The result is float64, as weights may come in any
    batch.

    References
    ----------
    Stehman, "Selecting and interpreting measures of thematic classification accuracy", 1997.

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

    def __init__(self, num_classes: int | None = None, threshold: float = 0.5):
        super().__init__(
            num_classes=_num_classes(num_classes), threshold=expect.number(threshold, "threshold", expect.FINITE)
        )

    def _measured(self, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        given = samples(y_true, y_pred, sample_weight, threshold=self._options["threshold"])
        return measured(cpu.confusion, _bound(given, self._options["num_classes"]))

    def _value(self, state: np.ndarray) -> np.ndarray:
        return state.copy()
