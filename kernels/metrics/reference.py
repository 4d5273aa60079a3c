"""Metrics in NumPy, from their definitions: slow, obvious, the judge of every kernel.

Written from the definitions alone, without a look at the kernels. Labels come as whole numbers of any dtype or as
one-hot rows, predictions as labels, scores (N,) or scores (N, C). Computes in float64.
"""

import numpy as np

from fastopt.kernels.metrics.reference_sums import (
    absolute_error,
    area,
    bins,
    by_score,
    fbeta,
    in_top_k,
    label_counts,
    mean,
    over_problems,
    pairs,
    precisions,
    same,
    same_rows,
    squared_error,
    surprise,
    table,
    told,
    weights,
)


def error(values, sample_weight, multioutput):
    """The mean over all elements, over each column, or over the columns' means by their weights."""
    if isinstance(multioutput, str) and multioutput == "uniform_average":
        return mean(values, sample_weight)
    w = np.ones(len(values)) if sample_weight is None else sample_weight
    columns = np.array([mean(column, w) for column in np.ascontiguousarray(values.T)])
    return columns if isinstance(multioutput, str) else np.average(columns, weights=multioutput)


def mean_squared_error(y_true, y_pred, sample_weight=None, *, multioutput="uniform_average"):
    return error(squared_error(y_true, y_pred), sample_weight, multioutput)


def mean_absolute_error(y_true, y_pred, sample_weight=None, *, multioutput="uniform_average"):
    return error(absolute_error(y_true, y_pred), sample_weight, multioutput)


def root_mean_squared_error(y_true, y_pred, sample_weight=None, *, multioutput="uniform_average"):
    each = multioutput if isinstance(multioutput, str) else "raw_values"
    roots = np.sqrt(error(squared_error(y_true, y_pred), sample_weight, each))
    return roots if isinstance(multioutput, str) else np.average(roots, weights=multioutput)


def r2_score(y_true, y_pred, sample_weight=None, *, multioutput="uniform_average"):
    """1 - residual over total sum of squares; a column of one value has 1 where it is met, else 0."""
    y, missed = (x.reshape(len(y_true), -1).T for x in (np.float64(y_true), squared_error(y_true, y_pred)))
    w = np.ones(len(y_true)) if sample_weight is None else np.float64(sample_weight)
    mean = np.ascontiguousarray(w * y).sum(axis=1, keepdims=True) / w.sum()
    total = np.ascontiguousarray(w * (y - mean) ** 2).sum(axis=1)
    constant = (y == y[:, :1]).all(axis=1)
    missed = np.ascontiguousarray(w * missed).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.where(constant, missed == 0, 1 - missed / total)
    if isinstance(multioutput, str):
        if multioutput == "raw_values":
            return scores
        total = total if multioutput == "variance_weighted" and not constant.all() else np.ones(len(scores))
    return np.average(scores, weights=total if isinstance(multioutput, str) else multioutput)


def accuracy(y_true, y_pred, sample_weight=None, *, threshold=0.5, multi_label=False):
    return mean((same_rows if multi_label else same)(y_true, y_pred, threshold), sample_weight)


def top_k_categorical_accuracy(y_true, y_pred, sample_weight=None, *, k=5):
    return mean(in_top_k(y_true, y_pred, k), sample_weight)


def sparse_top_k_categorical_accuracy(y_true, y_pred, sample_weight=None, *, k=5):
    return mean(in_top_k(y_true, y_pred, k), sample_weight)


def ratio(
    of, y_true, y_pred, sample_weight, average, threshold, num_classes, zero_division, labels, multi_label, class_id
):
    """`of` (hit, predicted, actual), NaN for 0/0, averaged over classes as asked."""
    if class_id is not None:
        y_true, y_pred = y_true[:, class_id], y_pred[:, class_id]
    if np.ndim(threshold):
        of_one = (of, y_true, y_pred, sample_weight, average)
        rest = (num_classes, zero_division, labels, multi_label, None)
        return np.array([ratio(*of_one, one, *rest) for one in threshold])
    if average == "samples":
        t, p = np.int64(y_true), told(y_pred, threshold)
        values, size = of((t & p).sum(axis=1), p.sum(axis=1), t.sum(axis=1)), weights(sample_weight, y_true[:, 0])
    else:
        counts = (
            label_counts(y_true, y_pred, sample_weight, threshold)
            if multi_label
            else class_counts(y_true, y_pred, sample_weight, num_classes=num_classes, threshold=threshold)
        )
        counts = counts[1:2] if average == "binary" else counts if labels is None else counts[list(labels)]
        counts = counts.sum(axis=0, keepdims=True) if average == "micro" else counts
        values, size = of(*counts.T), counts[:, 2] if average == "weighted" else counts[:, 1] + counts[:, 2] > 0
        size = np.ones(len(counts)) if average in ("micro", "binary") or (labels and average == "macro") else size
    values = np.where(np.isnan(values), zero_division, values)
    if average is None:
        return values
    there = ~np.isnan(values)
    return np.average(values[there], weights=size[there]) if size[there].sum() else zero_division


def precision(
    y_true, y_pred, sample_weight=None, *, average="binary", threshold=0.5, num_classes=None, zero_division=0.0,
    labels=None, multi_label=False, class_id=None,
):  # fmt: skip
    how = (average, threshold, num_classes, zero_division, labels, multi_label, class_id)
    return ratio(lambda hit, predicted, actual: fbeta(hit, predicted, actual, 0), y_true, y_pred, sample_weight, *how)


def recall(
    y_true, y_pred, sample_weight=None, *, average="binary", threshold=0.5, num_classes=None, zero_division=0.0,
    labels=None, multi_label=False, class_id=None,
):  # fmt: skip
    how = (average, threshold, num_classes, zero_division, labels, multi_label, class_id)
    return ratio(lambda hit, predicted, actual: fbeta(hit, actual, predicted, 0), y_true, y_pred, sample_weight, *how)


def f1_score(
    y_true, y_pred, sample_weight=None, *, average="binary", threshold=0.5, num_classes=None, zero_division=0.0,
    labels=None, multi_label=False, class_id=None,
):  # fmt: skip
    how = (average, threshold, num_classes, zero_division, labels, multi_label, class_id)
    return ratio(lambda hit, predicted, actual: fbeta(hit, predicted, actual, 1), y_true, y_pred, sample_weight, *how)


def fbeta_score(
    y_true, y_pred, sample_weight=None, *, beta=1.0, average="binary", threshold=0.5, num_classes=None,
    zero_division=0.0, labels=None, multi_label=False, class_id=None,
):  # fmt: skip
    how = (average, threshold, num_classes, zero_division, labels, multi_label, class_id)
    return ratio(lambda *counts: fbeta(*counts, beta), y_true, y_pred, sample_weight, *how)


def class_counts(y_true, y_pred, sample_weight=None, *, num_classes=None, threshold=0.5, multi_label=False):
    if multi_label:
        return label_counts(y_true, y_pred, sample_weight, threshold)
    matrix = table(y_true, y_pred, sample_weight, num_classes, threshold)
    return np.stack([np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)], axis=1)


def confusion_matrix(
    y_true, y_pred, sample_weight=None, *, num_classes=None, threshold=0.5, labels=None, normalize=None
):
    matrix = table(y_true, y_pred, sample_weight, num_classes, threshold)
    matrix = matrix if labels is None else matrix[np.ix_(labels, labels)]
    if normalize is None:
        return matrix.astype(np.int64) if sample_weight is None else matrix
    total = {"true": matrix.sum(axis=1, keepdims=True), "pred": matrix.sum(axis=0), "all": matrix.sum()}[normalize]
    return matrix / np.where(total > 0, total, 1)


def log_loss(y_true, y_pred, sample_weight=None, *, multi_label=False):
    if multi_label:
        sample_weight = None if sample_weight is None else np.repeat(sample_weight, y_true.shape[1])
        y_true, y_pred = y_true.reshape(-1), y_pred.reshape(-1)
    return mean(surprise(y_true, y_pred, np.finfo(y_pred.dtype).eps), sample_weight)


def spaced(num_thresholds, thresholds):
    return np.arange(num_thresholds) / (num_thresholds - 1) if num_thresholds else thresholds


def auc(
    y_true, y_pred, sample_weight=None, *, num_thresholds=None, thresholds=None, curve="ROC",
    summation="interpolation", max_fpr=None, multi_class=None, multi_label=False, average="macro",
):  # fmt: skip
    """The chance that a positive has a higher score than a negative."""
    at = spaced(num_thresholds, thresholds)

    def score(t, p, w):
        if at is None and curve == "ROC" and max_fpr is None and summation == "interpolation":
            positive, negative = by_score(np.reshape(t, (-1, 1)), p, w)
            return pairs(positive, negative) / (positive.sum() * negative.sum())
        return area(t, p, w, at, curve, summation, max_fpr)

    return over_problems(score, y_true, y_pred, sample_weight, multi_class, multi_label, average)


def average_precision(
    y_true, y_pred, sample_weight=None, *, num_thresholds=None, thresholds=None, multi_label=False, average="macro"
):
    """Sum over scores, from the highest, of the gain in recall times the precision there."""
    at = spaced(num_thresholds, thresholds)

    def score(t, p, w):
        found = by_score(np.reshape(t, (-1, 1)), p, w) if at is None else bins(t, p, w, np.asarray(at, p.dtype))[::-1]
        return precisions(*found) / found[0].sum()

    return over_problems(score, y_true, y_pred, sample_weight, None, multi_label, average)
