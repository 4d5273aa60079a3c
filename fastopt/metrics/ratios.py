"""Ratios of counts: what they share, precision and recall. A function stands under its class."""

from itertools import pairwise
from typing import Any, Literal

import numpy as np

from fastopt import expect
from fastopt.docstrings import filler
from fastopt.kernels.metrics import results
from fastopt.kernels.metrics.samples import Samples
from fastopt.metrics.base import RAISES, metric_of
from fastopt.metrics.counts import Counts, bound, class_labels, class_number
from fastopt.metrics.inputs import KINDS, checked, rows, samples, sequence, whole

AVERAGES = ("binary", "macro", "micro", "weighted", "samples")
ZERO_DIVISION = expect.Domain(lambda x: 0 <= x <= 1 or x != x, "a number in [0, 1], NaN or 'warn'")
ZeroDivision = float | Literal["warn"]
filled = filler(
    raises=RAISES,
    arrays="""\
y_true, y_pred : arrays
    Labels and predictions as :func:`accuracy` takes them, told by shape and dtype: labels ≥ 0 (N,), binary scores
    (N,) or scores of classes (N, C); with `multi_label` rows (N, L). Scores are float32 or float64.
sample_weight : float array (N,), optional
    Finite weights ≥ 0, of y_pred's dtype if that is a float.""",
    options="""\
average : {"binary", "macro", "micro", "weighted", "samples"} or None, default "binary"
    Class 1 of two; the mean over classes that occur (in y_true or y_pred, with weight); all classes' counts taken
    together; the mean weighted by the classes' weight in y_true; the mean over rows of labels; or None: a value per
    class.
threshold : float (finite), or a growing sequence of such, default 0.5
    Scores above it (not equal to it) mean class 1, or that a label is given. A sequence, with average="binary"
    alone, gives a value for each.
num_classes : int ≥ 2, optional
    How many classes predicted labels come from; by default the largest label + 1 (labels beyond 65 535 need it
    said). Scores and rows have it by their shape.
zero_division : float in [0, 1], NaN or "warn", default "warn"
    Value of 0/0. NaN is left out of means. "warn" is 0.0, and a RuntimeWarning where that makes a difference.
labels : sequence of int ≥ 0, optional
    The classes to take, in this order, whether they occur or not; by default all (that occur).
multi_label : bool, default False
    Whether both are rows (N, L) of labels, each 0 or 1 (y_pred also of scores).
class_id : int ≥ 0, optional
    The column of rows y_true and scores y_pred (N, C) to look at, as class 1 of two.""",
    result="""\
Returns
-------
float, or float64 array (classes,) if average is None, (thresholds,) for a sequence of them
    In [0, 1].""",
    refused="""\
Raises
------
TypeError, ValueError
    If shapes or dtypes are not as above, a label is out of range, a row is not one-hot, a score is NaN (a count
    can't carry it), there is no sample, a weight is negative or not finite, an option is outside its domain, or
    `average` does not suit the classes or another option.""",
    state="""\
State: three float64 numbers per class (two per threshold and one more with average="binary"), exact for counts up
to 2^53.""",
)


def _zero_division(value: Any) -> ZeroDivision:
    if isinstance(value, str) and value == "warn":
        return "warn"
    return expect.number(value, "zero_division", ZERO_DIVISION)


def _threshold(value: Any, average: str | None) -> float | tuple[float, ...]:
    """Return a threshold, or several, each larger than the one before."""
    if not isinstance(value, list | tuple | np.ndarray):
        return expect.number(value, "threshold", expect.FINITE)
    several = [expect.number(x, "threshold", expect.FINITE) for x in sequence(value, "threshold", "finite numbers")]
    if average != "binary":
        raise ValueError(f"threshold: expected one number with average={average!r}, got {len(several)}")
    if any(one >= other for one, other in pairwise(several)):
        raise ValueError(f"threshold: expected numbers in growing order, got {several}")
    return tuple(several)


class Ratio(Counts):
    """A ratio of class counts. State: counts of class (classes, 3); for class 1 of two the weight of negatives and
    positives by how many thresholds they are above, (2, thresholds + 1); for rows three sums."""

    _ratio: results.Ratio

    def __init__(
        self,
        average: str | None = "binary",
        threshold: Any = 0.5,
        num_classes: int | None = None,
        zero_division: ZeroDivision = "warn",
        labels: Any = None,
        multi_label: bool = False,
        class_id: int | None = None,
    ):
        average = None if average is None else expect.choice(average, "average", AVERAGES)
        super().__init__(
            average=average,
            threshold=_threshold(threshold, average),
            num_classes=class_number(num_classes),
            zero_division=_zero_division(zero_division),
            labels=class_labels(labels),
            multi_label=expect.flag(multi_label, "multi_label"),
            class_id=None if class_id is None else whole(class_id, "class_id", 0, None),
        )
        if average == "binary":
            if num_classes not in (None, 2):
                raise ValueError(f"num_classes: expected 2 with average='binary', got {num_classes}")
            if multi_label:
                raise ValueError("average: expected None or another average with multi_label=True, got 'binary'")
        elif class_id is not None:
            raise ValueError(f"average: expected 'binary' with class_id, got {average!r}")
        if average == "samples" and not multi_label:
            raise ValueError("multi_label: expected True with average='samples', got False")
        if labels is not None and average in ("binary", "samples"):
            raise ValueError(f"labels: expected None with average={average!r}, got {self._options['labels']}")

    def _measured(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        options = self._options
        average, threshold = options["average"], options["threshold"]
        if average == "binary":
            return self._of_two(by, y_true, y_pred, sample_weight, threshold)
        if options["multi_label"]:
            given = rows(y_true, y_pred, sample_weight, threshold)
        else:
            given = samples(y_true, y_pred, sample_weight, threshold=threshold)
        given = bound(given, options["num_classes"])
        found = by.row_ratios(given, self._ratio) if average == "samples" else by.class_counts(given)
        return checked(found, given)

    def _of_two(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any, threshold: Any) -> np.ndarray:
        one, kinds = self._options["class_id"], KINDS if type(threshold) is float else ("binary",)
        if one is not None:
            given = rows(y_true, y_pred, sample_weight, scores=True)
            whole(one, "class_id", 0, given.classes - 1, f" ({given.classes} classes)")
            given = given._replace(kind="binary", y_true=given.y_true[:, one], y_pred=given.y_pred[:, one], classes=2)
        else:
            given = samples(y_true, y_pred, sample_weight, kinds)
        if given.kind == "classes" and given.classes != 2:
            raise ValueError(
                f"average: expected 'macro', 'micro', 'weighted' or None for {given.classes} classes, got 'binary'"
            )
        if type(threshold) is float:
            given = Samples(given.kind, given.y_true, given.y_pred, given.sample_weight, 2, threshold)
            return checked(by.confusion(given), given)
        thresholds = np.array(threshold, given.dtype)
        return checked(by.by_bin(given, thresholds, -np.inf, np.inf), given)

    def _value(self, by: Any, state: np.ndarray) -> Any:
        if self._options["zero_division"] != "warn":
            return self._ratios(state, self._options["zero_division"])
        found = self._ratios(state, 0.0)
        if self._holds_undefined(state, found):
            expect.caution(
                f"{type(self).__name__}: a class that is never predicted, or never true, makes it 0/0, which counts as "
                "0.0; zero_division=0.0 says so, 1.0 or NaN something else"
            )
        return found

    def _holds_undefined(self, state: np.ndarray, found: Any) -> bool:
        """Return whether 0/0 is among what was found with 0.0 in its place: 1.0 would make another result.

        What was hit is not 0/0, and most results say so at a glance.
        """
        average = self._options["average"]
        if average == "binary":
            hit = type(found) is float and found != 0.0
        else:
            hit = average != "samples" and self._options["labels"] is None and bool(state[:, 0].all())
        return not hit and bool(np.any(found != self._ratios(state, 1.0)))

    def _ratios(self, state: np.ndarray, zero_division: float) -> Any:
        average = self._options["average"]
        if average == "samples":
            total, defined, weight = state.tolist()
            if zero_division != zero_division:
                return total / defined if defined > 0 else zero_division
            return (total + (weight - defined) * zero_division) / weight if weight > 0 else zero_division
        if average != "binary":
            return results.averaged(self._ratio, state, average, zero_division, self._options["labels"])
        if type(self._options["threshold"]) is not float:
            return results.by_threshold(self._ratio, state, zero_division)
        (_, false), (missed, hit) = state.tolist()
        return results.one_ratio(self._ratio, hit, hit + false, hit + missed, zero_division)


@filled
class Precision(Ratio):
    """Share of right ones among the samples predicted to be of a class, over batches: TP / (TP + FP).

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.precision` takes.

    Parameters
    ----------
    {options}

    {raises}

    Notes
    -----
    {state}

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.Precision()
    >>> metric.update_state(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    >>> metric.result()
    0.5
    """

    _ratio = results.PRECISION


@expect.nearest
@filled
def precision(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    average: str | None = "binary",
    threshold: Any = 0.5,
    num_classes: int | None = None,
    zero_division: ZeroDivision = "warn",
    labels: Any = None,
    multi_label: bool = False,
    class_id: int | None = None,
) -> float | np.ndarray:
    """Return the share of right ones among the samples predicted to be of a class: TP / (TP + FP).

    Parameters
    ----------
    {arrays}
    {options}

    {result}

    {refused}

    Notes
    -----
    Keras's Precision is binary and its 0/0 is 0; scikit-learn's `precision_score` takes labels alone and averages
    over labels that occur.

    References
    ----------
    van Rijsbergen, "Information retrieval", 2nd edition, 1979, chapter 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.precision(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    0.5
    >>> fo.metrics.precision(np.array([0, 1, 2]), np.array([0, 1, 1]), average="micro", num_classes=4) == 2 / 3
    True
    >>> fo.metrics.precision(np.array([0, 1, 1]), np.array([0.3, 0.8, 0.1]), threshold=[0.2, 0.5])
    array([0.5, 1. ])
    """
    return metric_of(Precision, average, threshold, num_classes, zero_division, labels, multi_label, class_id)._once(
        y_true, y_pred, sample_weight
    )


@filled
class Recall(Ratio):
    """Share of a class's samples that were predicted to be of it, over batches: TP / (TP + FN).

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.recall` takes.

    Parameters
    ----------
    {options}

    {raises}

    Notes
    -----
    {state}

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.Recall()
    >>> metric.update_state(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    >>> metric.result()
    0.5
    """

    _ratio = results.RECALL


@expect.nearest
@filled
def recall(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    average: str | None = "binary",
    threshold: Any = 0.5,
    num_classes: int | None = None,
    zero_division: ZeroDivision = "warn",
    labels: Any = None,
    multi_label: bool = False,
    class_id: int | None = None,
) -> float | np.ndarray:
    """Return the share of a class's samples that were predicted to be of it: TP / (TP + FN).

    Parameters
    ----------
    {arrays}
    {options}

    {result}

    {refused}

    Notes
    -----
    Keras's Recall is binary and its 0/0 is 0; scikit-learn's `recall_score` takes labels alone and averages over
    labels that occur.

    References
    ----------
    van Rijsbergen, "Information retrieval", 2nd edition, 1979, chapter 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.recall(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    0.5
    >>> fo.metrics.recall(np.array([0, 1, 2]), np.array([0, 1, 1]), average="micro", num_classes=4) == 2 / 3
    True
    """
    return metric_of(Recall, average, threshold, num_classes, zero_division, labels, multi_label, class_id)._once(
        y_true, y_pred, sample_weight
    )
