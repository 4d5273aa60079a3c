"""From sums to the numbers that people read."""

import numpy as np

RATIOS = {  # (rightly predicted, predicted, actual) -> numerator, denominator
    "precision": lambda hit, predicted, actual: (hit, predicted),
    "recall": lambda hit, predicted, actual: (hit, actual),
    "f1": lambda hit, predicted, actual: (2 * hit, predicted + actual),
}


def averaged(ratio: str, counts: np.ndarray, average: str | None, zero_division: float) -> float | np.ndarray:
    """Return precision, recall or F1 from class counts (classes, 3); 0/0 is `zero_division`."""
    if average == "binary":
        counts = counts[1:2]
    if average == "micro":
        counts = counts.sum(axis=0, keepdims=True)
    above, below = RATIOS[ratio](*counts.T)
    values = np.full(len(counts), zero_division)
    np.divide(above, below, out=values, where=below > 0)
    if average is None:
        return values
    occurs = counts[:, 1] + counts[:, 2] > 0
    weight = counts[:, 2] if average == "weighted" else np.where(occurs, 1.0, 0.0)
    if average in ("binary", "micro"):
        return float(values[0])
    return float(values @ weight / weight.sum()) if weight.sum() > 0 else zero_division


def rank_sums(by_bin: np.ndarray) -> np.ndarray:
    """Return what sums.rank returns, from the weight of negatives and positives in each bin of scores (2, bins)."""
    negative, positive = by_bin[:, ::-1]
    hit, false = np.cumsum(positive), np.cumsum(negative)
    precision = np.divide(hit, hit + false, out=np.zeros_like(hit), where=hit + false > 0)
    return np.array([np.sum(negative * (hit - positive / 2)), np.sum(positive * precision), hit[-1], false[-1]])
