"""Metrics in NumPy, from their definitions: slow, obvious, the judge of every kernel.

Written from the definitions alone, without a look at the kernels. Labels come as whole numbers of any dtype or as
one-hot rows, predictions as labels, scores (N,) or scores (N, C). Computes in float64.
"""

import numpy as np


def labels(y):
    """The labels that integers, bools, floats of 0 and 1, or one-hot rows stand for."""
    y = np.asarray(y)
    return y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(np.int64)


def predicted(y_pred, threshold=0.5):
    """Labels as they are, scores above the threshold, or the first of the largest scores in each row."""
    y_pred = np.asarray(y_pred)
    if y_pred.dtype.kind != "f":
        return labels(y_pred)
    if y_pred.ndim == 2 and y_pred.shape[1] > 1:
        return y_pred.argmax(axis=1)
    return (y_pred.reshape(-1) > threshold).astype(np.int64)


def weights(sample_weight, like):
    if sample_weight is None:
        return np.ones(like.shape)
    sample_weight = np.asarray(sample_weight, np.float64)
    return np.broadcast_to(
        sample_weight.reshape(sample_weight.shape + (1,) * (like.ndim - sample_weight.ndim)), like.shape
    )


# ---- values of single samples


def squared_error(y_true, y_pred):
    return (np.float64(y_pred) - np.float64(y_true)) ** 2


def absolute_error(y_true, y_pred):
    return np.abs(np.float64(y_pred) - np.float64(y_true))


def same(y_true, y_pred, threshold=0.5):
    return (labels(y_true) == predicted(y_pred, threshold)).astype(np.float64)


def in_top_k(y_true, y_pred, k):
    """1 where fewer than k scores are greater than the true class's."""
    y_true = labels(y_true)
    own = y_pred[np.arange(y_true.size), y_true]
    return ((y_pred > own[:, None]).sum(axis=1) < k).astype(np.float64)


def surprise(y_true, y_pred, eps):
    """-log of the probability that the true class got, clipped to [eps, 1 - eps]."""
    y_true, p = labels(y_true), np.float64(y_pred)
    if p.ndim == 2 and p.shape[1] > 1:
        p = p[np.arange(y_true.size), y_true]
        return -np.log(np.clip(p, eps, 1 - eps))
    p = np.clip(p.reshape(-1), eps, 1 - eps)
    return -np.where(y_true == 1, np.log(p), np.log1p(-p))


def mean(values, sample_weight=None):
    return np.average(values, weights=weights(sample_weight, values))


# ---- sums by class and by score


def table(y_true, y_pred, sample_weight=None, num_classes=None, threshold=0.5):
    """The weight of each pair of labels: rows are true classes, columns are predicted ones."""
    t, p = labels(y_true), predicted(y_pred, threshold)
    scores = np.asarray(y_pred).dtype.kind == "f" and np.ndim(y_pred) == 2 and np.shape(y_pred)[1] > 1
    classes = num_classes or (np.shape(y_pred)[1] if scores else max(2, t.max() + 1, p.max() + 1))
    matrix = np.zeros((classes, classes))
    np.add.at(matrix, (t, p), weights(sample_weight, t))
    return matrix


def ratio(above, below, matrix, average, zero_division):
    """above / below, given for each class, averaged over classes as asked."""
    predicted, actual = matrix.sum(axis=0), matrix.sum(axis=1)
    if average == "binary":
        above, below = above[1], below[1]
    if average == "micro":
        above, below = above.sum(), below.sum()
    value = np.where(below > 0, above / np.where(below > 0, below, 1), zero_division)
    if average == "macro":
        value = value[predicted + actual > 0].mean()
    if average == "weighted":
        value = value @ actual / actual.sum()
    return value


def by_score(y_true, y_pred, sample_weight=None):
    """Weight of the positives and of the negatives at each distinct score, the lowest first."""
    y_true = labels(y_true)
    score, group = np.unique(np.reshape(y_pred, -1), return_inverse=True)
    w = weights(sample_weight, y_true)
    return tuple(np.bincount(group.reshape(-1), w * (y_true == c), minlength=score.size) for c in (1, 0))


def bins(y_true, y_pred, sample_weight, count):
    """The same in bins of equal width over [0, 1]."""
    y_true, w = labels(y_true), weights(sample_weight, labels(y_true))
    at = np.minimum(np.int64(np.float64(np.reshape(y_pred, -1)) * count), count - 1)
    return tuple(np.bincount(at, w * (y_true == c), minlength=count) for c in (1, 0))


def pairs(positive, negative):
    """The weight of pairs whose positive has the higher score, ties by half (Mann and Whitney's U)."""
    below = np.cumsum(negative) - negative
    return np.sum(positive * (below + negative / 2))


def precisions(positive, negative):
    """Sum over scores, from the highest, of the positives' weight there times the precision there."""
    hit, false = np.cumsum(positive[::-1]), np.cumsum(negative[::-1])
    return np.sum(positive[::-1] * hit / np.where(hit + false > 0, hit + false, 1))


# ---- the metrics


def mean_squared_error(y_true, y_pred, sample_weight=None):
    return mean(squared_error(y_true, y_pred), sample_weight)


def mean_absolute_error(y_true, y_pred, sample_weight=None):
    return mean(absolute_error(y_true, y_pred), sample_weight)


def root_mean_squared_error(y_true, y_pred, sample_weight=None):
    return np.sqrt(mean(squared_error(y_true, y_pred), sample_weight))


def accuracy(y_true, y_pred, sample_weight=None, *, threshold=0.5):
    return mean(same(y_true, y_pred, threshold), sample_weight)


def top_k_categorical_accuracy(y_true, y_pred, sample_weight=None, *, k=5):
    return mean(in_top_k(y_true, y_pred, k), sample_weight)


def sparse_top_k_categorical_accuracy(y_true, y_pred, sample_weight=None, *, k=5):
    return mean(in_top_k(y_true, y_pred, k), sample_weight)


def precision(
    y_true, y_pred, sample_weight=None, *, average="binary", threshold=0.5, num_classes=None, zero_division=0.0
):
    matrix = table(y_true, y_pred, sample_weight, num_classes, threshold)
    return ratio(np.diag(matrix), matrix.sum(axis=0), matrix, average, zero_division)


def recall(y_true, y_pred, sample_weight=None, *, average="binary", threshold=0.5, num_classes=None, zero_division=0.0):
    matrix = table(y_true, y_pred, sample_weight, num_classes, threshold)
    return ratio(np.diag(matrix), matrix.sum(axis=1), matrix, average, zero_division)


def f1_score(
    y_true, y_pred, sample_weight=None, *, average="binary", threshold=0.5, num_classes=None, zero_division=0.0
):
    matrix = table(y_true, y_pred, sample_weight, num_classes, threshold)
    return ratio(2 * np.diag(matrix), matrix.sum(axis=0) + matrix.sum(axis=1), matrix, average, zero_division)


def confusion_matrix(y_true, y_pred, sample_weight=None, *, num_classes=None, threshold=0.5):
    matrix = table(y_true, y_pred, sample_weight, num_classes, threshold)
    return matrix.astype(np.int64) if sample_weight is None else matrix


def log_loss(y_true, y_pred, sample_weight=None):
    return mean(surprise(y_true, y_pred, np.finfo(y_pred.dtype).eps), sample_weight)


def auc(y_true, y_pred, sample_weight=None):
    """The chance that a positive has a higher score than a negative."""
    positive, negative = by_score(y_true, y_pred, sample_weight)
    return pairs(positive, negative) / (positive.sum() * negative.sum())


def average_precision(y_true, y_pred, sample_weight=None):
    """Sum over scores, from the highest, of the gain in recall times the precision there."""
    positive, negative = by_score(y_true, y_pred, sample_weight)
    return precisions(positive, negative) / positive.sum()
