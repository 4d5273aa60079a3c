"""From sums to the numbers that people read. Sums of floats that decide bits are exact (`fsum`), or in order."""

from math import fsum, isnan, nan

import numpy as np

Ratio = tuple[float, float, float]  # (a, b, c): a hit / (b predicted + c actual)
PRECISION: Ratio = (1.0, 1.0, 0.0)
RECALL: Ratio = (1.0, 0.0, 1.0)


def f_score(beta: float) -> Ratio:
    """Return the ratio of (1 + β²) precision recall / (β² precision + recall)."""
    return 1 + beta * beta, 1.0, beta * beta


def one_ratio(ratio: Ratio, hit: float, predicted: float, actual: float, zero_division: float) -> float:
    of_hit, of_predicted, of_actual = ratio
    below = of_predicted * predicted + of_actual * actual
    return of_hit * hit / below if below > 0 else zero_division


def by_threshold(ratio: Ratio, by_bin: np.ndarray, zero_division: float) -> np.ndarray:
    """Return the ratio at each threshold, from the weight of negatives and positives by how many they are above."""
    above = by_bin[:, :0:-1].cumsum(axis=1)[:, ::-1]
    counts = zip(above[1].tolist(), above.sum(axis=0).tolist(), strict=True)
    actual = fsum(by_bin[1].tolist())
    return np.array([one_ratio(ratio, hit, predicted, actual, zero_division) for hit, predicted in counts])


def averaged(
    ratio: Ratio, counts: np.ndarray, average: str | None, zero_division: float, labels: tuple[int, ...] | None
) -> float | np.ndarray:
    """Return a ratio from class counts (classes, 3), averaged as asked over classes, or over `labels` alone.

    A 0/0 is `zero_division`; where that is NaN, it is left out of averages.
    """
    if labels is not None:
        full = np.zeros((max(len(counts), *labels) + 1, 3))
        full[: len(counts)] = counts
        counts = full[list(labels)]
    if average == "micro":
        hit, predicted, actual = map(fsum, counts.T.tolist())
        return one_ratio(ratio, hit, predicted, actual, zero_division)
    rows = counts.tolist()
    values = [one_ratio(ratio, hit, predicted, actual, zero_division) for hit, predicted, actual in rows]
    if average is None:
        return np.array(values)
    if average == "weighted":
        weights = [actual for _, _, actual in rows]
    else:
        weights = [1.0 if labels is not None or predicted + actual > 0 else 0.0 for _, predicted, actual in rows]
    return mean(values, weights, zero_division)


def mean(values: list[float], weights: list[float], otherwise: float = nan) -> float:
    """Return the weighted mean of the values that are not NaN."""
    there = [(value, weight) for value, weight in zip(values, weights, strict=True) if not isnan(value)]
    total = fsum(weight for _, weight in there)
    return fsum(value * weight for value, weight in there) / total if total > 0 else otherwise


def normalized(matrix: np.ndarray, by: str) -> np.ndarray:
    """Return a confusion matrix as shares of its rows ("true"), columns ("pred") or of all; 0/0 is 0."""
    total = matrix.sum(axis={"true": 1, "pred": 0, "all": None}[by], keepdims=True)
    return np.divide(matrix, total, out=np.zeros(matrix.shape), where=total > 0)


# ---- areas, from the weight of negatives and positives at each score (or bin of scores), upwards


def rank_sums(curve: np.ndarray) -> np.ndarray:
    """Return what a room's `rank` returns."""
    negative, positive = curve[:, ::-1]
    hit, false = np.cumsum(positive), np.cumsum(negative)
    precision = np.divide(hit, hit + false, out=np.zeros_like(hit), where=hit + false > 0)
    return np.array([np.sum(negative * (hit - positive / 2)), np.sum(positive * precision), hit[-1], false[-1]])


def roc_area(curve: np.ndarray, summation: str, max_fpr: float | None) -> float:
    """Return the area under the ROC curve; up to `max_fpr`, where that is given, standardized as McClish does."""
    false, hit = _from_the_top(curve)
    if max_fpr is None:
        return _area(false / false[-1], hit / hit[-1], summation)
    limit = max_fpr * false[-1]
    stop = int(np.searchsorted(false, limit, side="right"))
    before = slice(stop)
    x = np.append(false[before], limit) / false[-1]
    y = np.append(hit[before], np.interp(limit, false[stop - 1 : stop + 1], hit[stop - 1 : stop + 1])) / hit[-1]
    least = max_fpr * max_fpr / 2
    return 0.5 * (1 + (_area(x, y, summation) - least) / (max_fpr - least))


def pr_area(curve: np.ndarray, summation: str) -> float:
    """Return the area under the precision-recall curve."""
    false, hit = _from_the_top(curve)
    predicted = hit + false
    if summation != "interpolation":
        precision = np.divide(hit, predicted, out=np.zeros_like(hit), where=predicted > 0)
        return _area(hit / hit[-1], precision, summation)
    more, wider = np.diff(hit), np.diff(predicted)
    slope = np.divide(more, wider, out=np.zeros_like(more), where=wider > 0)
    grown = np.divide(predicted[1:], predicted[:-1], out=np.ones_like(more), where=predicted[:-1] > 0)
    start = hit[:-1] - slope * predicted[:-1]
    return float(np.sum(slope * (more + start * np.log(grown))) / hit[-1])


def _from_the_top(curve: np.ndarray) -> np.ndarray:
    """Return the weight of negatives and of positives above each score, from above the highest down."""
    sums = np.zeros((2, curve.shape[1] + 1))
    np.cumsum(curve[:, ::-1], axis=1, out=sums[:, 1:])
    return sums


def _area(x: np.ndarray, y: np.ndarray, summation: str) -> float:
    if summation == "interpolation":
        height = (y[1:] + y[:-1]) / 2
    else:
        height = (np.minimum if summation == "minoring" else np.maximum)(y[1:], y[:-1])
    return float(np.sum(np.diff(x) * height))
