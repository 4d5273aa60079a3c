"""What metrics work on: checked samples, and scores of positives and negatives apart."""

from typing import NamedTuple

import numpy as np


class Samples(NamedTuple):
    """Checked inputs.

    `kind` of the predictions: "labels" (N,); "binary", scores of any shape, each with a label; "classes", scores (N, C)
    with labels (N,) or one-hot rows; "rows", labels or scores (N, L), each with a label 0 or 1. `classes` 0: labels are
    any integers. `threshold`: of binary scores.
    """

    kind: str
    y_true: np.ndarray
    y_pred: np.ndarray
    sample_weight: np.ndarray | None
    classes: int
    threshold: float = 0.5

    @property
    def dtype(self) -> np.dtype:
        """The type that kernels compute in."""
        if self.y_pred.dtype.kind == "f":
            return self.y_pred.dtype
        return np.dtype(np.float64) if self.sample_weight is None else self.sample_weight.dtype


class Parts(NamedTuple):
    """Scores of the positives, then of the negatives, and their weights; in any order within a part."""

    scores: np.ndarray
    weights: np.ndarray | None
    positives: int


def joined(many: tuple[Parts, ...]) -> Parts:
    """Return all parts as one, in new memory."""
    scores = [p.scores[: p.positives] for p in many] + [p.scores[p.positives :] for p in many]
    weights = None
    if any(p.weights is not None for p in many):
        full = [np.ones_like(p.scores) if p.weights is None else p.weights for p in many]
        weights = np.concatenate(
            [w[: p.positives] for w, p in zip(full, many, strict=True)]
            + [w[p.positives :] for w, p in zip(full, many, strict=True)]
        )
    return Parts(np.concatenate(scores), weights, sum(p.positives for p in many))


def row_tolerance(dtype: np.dtype) -> float:
    """Return how far from 1 a row of probabilities may add up: scikit-learn's root of the type's epsilon."""
    return float(np.sqrt(np.finfo(dtype).eps))
