"""The same functions as in cpu.py, over reference_sums.py. None says that a label or a score is invalid."""

import numpy as np

from fastopt.kernels.metrics import reference_sums as reference
from fastopt.kernels.metrics.samples import Parts, Samples, row_tolerance


def _mean_sums(values: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    w = reference.weights(sample_weight, values)
    return np.array([np.sum(w * values), np.sum(w)])


def _labels_are_valid(y: np.ndarray, classes: int) -> bool:
    """Labels from 0 to classes − 1 (below 2**62 in size if that is 0), or one-hot rows."""
    if y.ndim == 2:
        return bool((((y == 0) | (y == 1)).all(axis=1) & ((y == 1).sum(axis=1) == 1)).all())
    if classes == 0:
        return bool(np.all(np.abs(y.astype(np.float64)) < 2.0**62))
    return bool(np.isin(y, (0, 1)).all()) if classes == 2 else bool(((y >= 0) & (y < classes)).all())


def _valid(samples: Samples, low: float = -np.inf, high: float = np.inf) -> bool:
    """Whether labels are in range and scores in [low, high]."""
    rows = samples.kind in ("rows", "binary")
    y_true, y_pred = (np.ravel(y) if rows else y for y in (samples.y_true, samples.y_pred))
    classes = 2 if rows else samples.classes
    if not _labels_are_valid(y_true, classes):
        return False
    if y_pred.dtype.kind != "f":
        return _labels_are_valid(y_pred, classes)
    return bool(np.all((y_pred >= low) & (y_pred <= high)))


def error_sums(kernel: str, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    return _mean_sums(getattr(reference, kernel)(y_true, y_pred), sample_weight)


def error_columns(kernel: str, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    values = getattr(reference, kernel)(y_true, y_pred)
    w = reference.weights(sample_weight, values)
    return np.append(np.ascontiguousarray((w * values).T).sum(axis=1), w[:, 0].sum())


def log_losses(samples: Samples) -> np.ndarray | None:
    y_true, y_pred = samples.y_true, samples.y_pred
    if not _valid(samples, 0, 1):
        return None
    if samples.kind == "classes":
        sums = y_pred.sum(axis=1, dtype=np.float64)
        if np.any(np.abs(sums - 1) > row_tolerance(y_pred.dtype)):
            return None
    else:
        y_true, y_pred = y_true.reshape(-1), y_pred.reshape(-1)
    w = None if samples.sample_weight is None else samples.sample_weight.reshape(-1)
    return _mean_sums(reference.surprise(y_true, y_pred, float(np.finfo(samples.dtype).eps)), w)


def matches(samples: Samples) -> np.ndarray | None:
    if not _valid(samples):
        return None
    same = reference.same_rows if samples.kind == "rows" else reference.same
    return _mean_sums(same(samples.y_true, samples.y_pred, samples.threshold), samples.sample_weight)


def top_k_matches(samples: Samples, top_k: int) -> np.ndarray | None:
    if not _valid(samples):
        return None
    return _mean_sums(reference.in_top_k(samples.y_true, samples.y_pred, top_k), samples.sample_weight)


def confusion(samples: Samples) -> np.ndarray | None:
    if not _valid(samples):
        return None
    return reference.table(samples.y_true, samples.y_pred, samples.sample_weight, samples.classes, samples.threshold)


def by_bin(samples: Samples, thresholds: np.ndarray, low: float, high: float) -> np.ndarray | None:
    if not _valid(samples, low, high):
        return None
    return reference.bins(samples.y_true, samples.y_pred, samples.sample_weight, thresholds)


def class_counts(samples: Samples) -> np.ndarray | None:
    if not _valid(samples):
        return None
    if samples.kind == "rows":
        return reference.label_counts(samples.y_true, samples.y_pred, samples.sample_weight, samples.threshold)
    matrix = reference.table(samples.y_true, samples.y_pred, samples.sample_weight, samples.classes, samples.threshold)
    return np.stack([np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)], axis=1)


def row_ratios(samples: Samples, ratio: tuple[float, float, float]) -> np.ndarray | None:
    if not _valid(samples):
        return None
    values = reference.row_ratios(samples.y_true, samples.y_pred, ratio, samples.threshold)
    w = reference.weights(samples.sample_weight, values)
    defined = ~np.isnan(values)
    return np.array([np.sum((w * values)[defined]), np.sum(w[defined]), np.sum(w)])


def part(samples: Samples) -> Parts | None:
    if not _valid(samples):
        return None
    y_true, y_pred = samples.y_true.reshape(-1), samples.y_pred.reshape(-1)
    order = np.argsort(-y_true.astype(np.int64), kind="stable")
    w = None if samples.sample_weight is None else samples.sample_weight.reshape(-1)[order]
    return Parts(y_pred[order], w, int(y_true.astype(np.int64).sum()))


def rank(parts: Parts) -> np.ndarray:
    at = reference.by_score(np.arange(len(parts.scores)) < parts.positives, parts.scores, parts.weights)
    return np.array([reference.pairs(*at), reference.precisions(*at), at[0].sum(), at[1].sum()])


def curve(parts: Parts) -> np.ndarray:
    at = reference.by_score(np.arange(len(parts.scores)) < parts.positives, parts.scores, parts.weights)
    return np.stack(at[::-1])
