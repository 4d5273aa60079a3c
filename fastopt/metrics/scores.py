"""How well scores rank: what such metrics share, and the area under a curve. A function stands under its class."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.metrics import results
from fastopt.kernels.metrics.samples import Parts, Samples, joined
from fastopt.metrics.base import Metric, filled, metric_of
from fastopt.metrics.inputs import checked, flat, rows, samples, sequence, whole

AVERAGES = ("macro", "weighted", "micro", "samples")


class Rank(Metric):
    """A metric of the order of scores, of one binary problem or of several.

    State: for each problem all scores (parts), or what each bin of them weighs; for average="samples" a sum over rows.
    """

    _several = False

    def __init__(
        self,
        num_thresholds: int | None,
        thresholds: Any,
        multi_label: bool,
        average: str | None,
        several: bool = False,
        **others: Any,
    ):
        super().__init__(
            num_thresholds=None if num_thresholds is None else whole(num_thresholds, "num_thresholds", 2, None),
            thresholds=None if thresholds is None else _growing(thresholds),
            multi_label=expect.flag(multi_label, "multi_label"),
            average=None if average is None else expect.choice(average, "average", AVERAGES),
            **others,
        )
        if num_thresholds is not None and thresholds is not None:
            raise ValueError(f"thresholds: expected None with num_thresholds={num_thresholds}, got {thresholds!r}")
        if average != "macro" and not (multi_label or several):
            raise ValueError(f"average: expected 'macro' where there are no labels to average over, got {average!r}")
        if average in ("micro", "samples") and not multi_label:
            raise ValueError(f"multi_label: expected True with average={average!r}, got {multi_label!r}")
        if average == "samples" and self._binned():
            raise ValueError("average: expected another than 'samples' with thresholds, got 'samples'")

    def _binned(self) -> bool:
        return self._options["num_thresholds"] is not None or self._options["thresholds"] is not None

    def _problems(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> list[Samples]:
        if not self._options["multi_label"]:
            return [samples(y_true, y_pred, sample_weight, ("binary",))]
        given = rows(y_true, y_pred, sample_weight, scores=True)
        if self._options["average"] == "micro":
            return [flat(given)]
        if self._options["average"] == "samples":
            return [_binary(given, row, row, None) for row in range(len(given.y_pred))]
        columns = [(slice(None), column) for column in range(given.classes)]
        return [_binary(given, column, column, given.sample_weight) for column in columns]

    def _measured(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
        problems = self._problems(by, y_true, y_pred, sample_weight)
        if self._options["average"] == "samples":
            values = np.array([self._score(by, (self._part(by, problem),))[0] for problem in problems])
            w = np.ones(len(values)) if sample_weight is None else sample_weight.astype(np.float64)
            return (np.array([np.sum(w * values), np.sum(w)]),)
        if not self._binned():
            return tuple([(self._part(by, problem),) for problem in problems])
        thresholds, number = self._options["thresholds"], self._options["num_thresholds"]
        domain = (-np.inf, np.inf, "any") if number is None else (0.0, 1.0, "unit")
        at = np.arange(number) / (number - 1) if thresholds is None else thresholds
        return tuple([self._bins(by, problem, at, *domain) for problem in problems])

    def _part(self, by: Any, given: Samples) -> Parts:
        return checked(by.part(given), given)

    def _bins(self, by: Any, given: Samples, at: Any, low: float, high: float, scores: str) -> np.ndarray:
        return checked(by.by_bin(given, np.array(at, given.dtype), low, high), given, scores)

    def _joined(self, state: Any, more: Any) -> Any:
        if state is None:
            return more
        if len(state) != len(more):
            raise ValueError(f"y_pred: expected as many columns as before, for {len(state)} scores, got {len(more)}")
        for one, other in zip(state, more, strict=True):
            if isinstance(one, tuple) and one[0].scores.dtype != other[0].scores.dtype:
                raise TypeError(f"y_pred: expected {one[0].scores.dtype} as before, got {other[0].scores.dtype}")
        return tuple([one + other for one, other in zip(state, more, strict=True)])

    def _value(self, by: Any, state: Any) -> Any:
        average = self._options["average"]
        if average == "samples":
            total, weight = state[0].tolist()
            if weight == 0:
                raise ValueError("sample_weight: expected a positive sum, got 0.0")
            return total / weight
        found = [self._score(by, one) for one in state]
        if len(found) == 1 and average is not None:
            return found[0][0]
        values, sizes = self._combined([value for value, _, _ in found], found)
        if average is None:
            return np.array(values)
        return results.mean(values, sizes if average == "weighted" else [1.0] * len(values))

    def _combined(self, values: list[float], found: list[tuple[Any, ...]]) -> tuple[list[float], list[float]]:
        """Return what is averaged, and its weights: by default the weight of positives."""
        return values, [positives for _, positives, _ in found]

    def _score(self, by: Any, state: Any) -> tuple[float, float, float]:
        """Return a problem's value, and the weight of its positives and negatives."""
        sums = by.rank(joined(state)) if isinstance(state, tuple) else results.rank_sums(state)
        pairs, precision, positives, negatives = sums.tolist()
        return self._of(pairs, precision, positives, negatives), positives, negatives

    def _of(self, pairs: float, precision: float, positives: float, negatives: float) -> float:
        raise NotImplementedError


def _growing(value: Any) -> tuple[float, ...]:
    found = [expect.number(x, "thresholds", expect.FINITE) for x in sequence(value, "thresholds", "finite numbers")]
    return tuple(sorted(set(found)))


def _binary(given: Samples, true: Any, pred: Any, sample_weight: np.ndarray | None) -> Samples:
    """Return a part of rows as binary samples."""
    return Samples("binary", given.y_true[true], given.y_pred[pred], sample_weight, 2)


def _both(positives: float, negatives: float) -> None:
    if positives == 0 or negatives == 0:
        absent = "positive (1)" if positives == 0 else "negative (0)"
        raise ValueError(f"y_true: expected samples of both classes, got none that is {absent} and has weight")


@filled
class AUC(Rank):
    """Area under the receiver operating characteristic (or precision-recall curve), over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.auc` takes, scores of one
    dtype and number of columns in all batches.

    Parameters
    ----------
    num_thresholds, thresholds, curve, summation, max_fpr, multi_class, multi_label, average : optional
        As in :func:`fastopt.metrics.auc`.

    {raises}

    Notes
    -----
    Memory: one number per sample (and one per weight) of y_pred's dtype, and three times that while `result` sorts; or
    2 (thresholds + 1) float64 numbers; so many for each label or class, and with "ovo" for each pair.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.AUC()
    >>> metric.update_state(np.array([0, 1]), np.array([0.1, 0.8]))
    >>> metric.update_state(np.array([0, 1]), np.array([0.4, 0.3]))
    >>> metric.result()
    0.75
    """

    def __init__(
        self,
        num_thresholds: int | None = None,
        thresholds: Any = None,
        curve: str = "ROC",
        summation: str = "interpolation",
        max_fpr: float | None = None,
        multi_class: str | None = None,
        multi_label: bool = False,
        average: str | None = "macro",
    ):
        if multi_class is not None:
            expect.choice(multi_class, "multi_class", ("ovr", "ovo"))
            if multi_label:
                raise ValueError(f"multi_class: expected None with multi_label=True, got {multi_class!r}")
        super().__init__(
            num_thresholds,
            thresholds,
            multi_label,
            average,
            multi_class is not None,
            curve=expect.choice(curve, "curve", ("ROC", "PR")),
            summation=expect.choice(summation, "summation", ("interpolation", "minoring", "majoring")),
            max_fpr=None if max_fpr is None else expect.number(max_fpr, "max_fpr", expect.INSIDE),
            multi_class=multi_class,
        )
        if max_fpr is not None and (curve, summation) != ("ROC", "interpolation"):
            raise ValueError(f"max_fpr: expected None with another curve or summation, got {max_fpr!r}")

    def _problems(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> list[Samples]:
        if self._options["multi_class"] is None:
            return super()._problems(by, y_true, y_pred, sample_weight)
        given = samples(y_true, y_pred, sample_weight, ("classes",), targets="labels")
        checked(by.matches(given), given)  # labels and scores are valid
        classes, w = range(given.classes), given.sample_weight
        if self._options["multi_class"] == "ovr":
            return [Samples("binary", given.y_true == c, given.y_pred[:, c], w, 2) for c in classes]
        problems = []
        for a in classes:
            for b in range(a):
                both = (given.y_true == a) | (given.y_true == b)
                y_true, y_pred, weight = given.y_true[both], given.y_pred[both], None if w is None else w[both]
                problems += [Samples("binary", y_true == c, y_pred[:, c], weight, 2) for c in (a, b)]
        return problems

    def _combined(self, values: list[float], found: list[tuple[Any, ...]]) -> tuple[list[float], list[float]]:
        if self._options["multi_class"] != "ovo":
            return super()._combined(values, found)
        pairs = range(0, len(values), 2)
        return [(values[k] + values[k + 1]) / 2 for k in pairs], [found[k][1] + found[k][2] for k in pairs]

    def _score(self, by: Any, state: Any) -> tuple[float, float, float]:
        curve, summation, max_fpr = (self._options[name] for name in ("curve", "summation", "max_fpr"))
        if (curve, summation, max_fpr) == ("ROC", "interpolation", None):
            return super()._score(by, state)
        at = by.curve(joined(state)) if isinstance(state, tuple) else state
        negatives, positives = at.sum(axis=1).tolist()
        if curve == "ROC":
            _both(positives, negatives)
            return results.roc_area(at, summation, max_fpr), positives, negatives
        if positives == 0:
            raise ValueError("y_true: expected at least one positive sample with weight, got none")
        return results.pr_area(at, summation), positives, negatives

    def _of(self, pairs: float, precision: float, positives: float, negatives: float) -> float:
        _both(positives, negatives)
        return pairs / (positives * negatives)


@expect.nearest
def auc(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    num_thresholds: int | None = None,
    thresholds: Any = None,
    curve: str = "ROC",
    summation: str = "interpolation",
    max_fpr: float | None = None,
    multi_class: str | None = None,
    multi_label: bool = False,
    average: str | None = "macro",
) -> float | np.ndarray:
    """Return the area under the receiver operating characteristic: how likely a positive is to outscore a negative.

    Exact: the share of (positive, negative) pairs that scores put in the right order, ties by half (Mann and Whitney).

    Parameters
    ----------
    y_true : array (N,) or (N, 1)
        Labels 0 or 1: integers, bool, or floats that are exactly 0 or 1; both occur. With `multi_class` integers from 0
        to C − 1, all of which occur; with `multi_label` (N, L), each 0 or 1.
    y_pred : float32 or float64 array (N,) or (N, 1), or (N, C) or (N, L)
        Scores, any numbers but NaN; higher means class 1, or this class or label.
    sample_weight : array (N,) of y_pred's dtype, optional
        Finite weights ≥ 0; a pair counts by the product of its weights.
    num_thresholds : int ≥ 2, optional
        Scores are in [0, 1], and are told apart by so many equally spaced thresholds alone, from 0 to 1: by how many
        they are above (not equal to). The result is off by at most half the share of pairs that are not told apart.
    thresholds : sequence of finite floats, optional
        The same with these thresholds, of y_pred's dtype, and any scores.
    curve : {"ROC", "PR"}, default "ROC"
        PR: the area under the precision-recall curve.
    summation : {"interpolation", "minoring", "majoring"}, default "interpolation"
        How the area between two points is filled: by a line (between precisions as Davis and Goadrich do), or by the
        lower or the higher of both.
    max_fpr : float in (0, 1), optional
        Take the curve up to this false positive rate; the area is put between 0.5 and 1 as McClish does.
    multi_class : {"ovr", "ovo"}, optional
        Each class against all others, or against each other one (Hand and Till).
    multi_label : bool, default False
        Whether there are L labels a sample.
    average : {"macro", "weighted", "micro", "samples"} or None, default "macro"
        With `multi_class` or `multi_label`: the mean; the mean by the weight of positives (of pairs of classes); of all
        labels taken together; the mean over rows; or None: each value.

    Returns
    -------
    float, or float64 array (C,), (L,) or (C (C − 1) / 2,) if average is None
        A share in [0, 1]; 0.5 for scores that tell nothing.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is out of range, a score is NaN, there is no sample of one
        class with weight, a weight is negative or not finite, or two options exclude each other.

    Notes
    -----
    Allocates three times y_pred's memory. scikit-learn's `roc_auc_score` is the same; Keras's AUC is an approximation
    by 200 thresholds.

    References
    ----------
    Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
    Radiology 143, 1982; McClish, Medical Decision Making 9, 1989; Hand and Till, Machine Learning 45, 2001; Davis and
    Goadrich, ICML 2006.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.8, 0.4, 0.3]))
    0.75
    >>> fo.metrics.auc(np.array([0, 1]), np.array([0.5, 0.9]), num_thresholds=3)
    1.0
    """
    options = (num_thresholds, thresholds, curve, summation, max_fpr, multi_class, multi_label, average)
    return metric_of(AUC, *options)._once(y_true, y_pred, sample_weight)
