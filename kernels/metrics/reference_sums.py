"""What the reference's metrics are made of, in NumPy: values of single samples, sums by class and by score, areas."""

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


def told(y_pred, threshold=0.5):
    """Each label of rows of them: as it is, or whether its score is above the threshold."""
    y_pred = np.asarray(y_pred)
    return (y_pred > threshold if y_pred.dtype.kind == "f" else y_pred).astype(np.int64)


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


def same_rows(y_true, y_pred, threshold=0.5):
    """1 where all labels of a row are predicted."""
    return (np.asarray(y_true) == told(y_pred, threshold)).all(axis=1).astype(np.float64)


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


def label_counts(y_true, y_pred, sample_weight=None, threshold=0.5):
    """The weight that is rightly predicted, predicted, and actual, of each label of rows of them."""
    t, p = np.int64(y_true), told(y_pred, threshold)
    w = weights(sample_weight, t)
    return np.stack([np.sum(w * part, axis=0) for part in (t & p, p, t)], axis=1)


def fbeta(hit, predicted, actual, beta):
    """The weighted harmonic mean of precision and recall, NaN where both are undefined."""
    above, below = (1 + beta**2) * hit, beta**2 * actual + predicted
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def row_ratios(y_true, y_pred, ratio, threshold=0.5):
    """(a hit) / (b predicted + c actual) of each row of labels, NaN where that is 0/0."""
    t, p = np.int64(y_true), told(y_pred, threshold)
    a, b, c = ratio
    below = b * p.sum(axis=1) + c * t.sum(axis=1)
    return np.where(below > 0, a * (t & p).sum(axis=1) / np.where(below > 0, below, 1), np.nan)


def by_score(y_true, y_pred, sample_weight=None):
    """Weight of the positives and of the negatives at each distinct score, the lowest first."""
    y_true = labels(y_true)
    score, group = np.unique(np.reshape(y_pred, -1), return_inverse=True)
    w = weights(sample_weight, y_true)
    return tuple(np.bincount(group.reshape(-1), w * (y_true == c), minlength=score.size) for c in (1, 0))


def bins(y_true, y_pred, sample_weight, thresholds):
    """The weight of negatives and positives by how many thresholds their score is above."""
    y_true, y_pred = np.reshape(y_true, -1), np.reshape(y_pred, -1)
    w = weights(sample_weight if sample_weight is None else np.reshape(sample_weight, -1), y_true)
    above = (y_pred[:, None] > thresholds).sum(axis=1)
    return np.stack([np.bincount(above, w * (y_true == c), minlength=len(thresholds) + 1) for c in (0, 1)])


def pairs(positive, negative):
    """The weight of pairs whose positive has the higher score, ties by half (Mann and Whitney's U)."""
    below = np.cumsum(negative) - negative
    return np.sum(positive * (below + negative / 2))


def precisions(positive, negative):
    """Sum over scores, from the highest, of the positives' weight there times the precision there."""
    hit, false = np.cumsum(positive[::-1]), np.cumsum(negative[::-1])
    return np.sum(positive[::-1] * hit / np.where(hit + false > 0, hit + false, 1))


def roc_points(positive, negative):
    """False and true positive rates, from the highest score down, (0, 0) first."""
    hit, false = (np.concatenate([[0], np.cumsum(part[::-1])]) for part in (positive, negative))
    return false / false[-1], hit / hit[-1]


def left_area(fpr, tpr, max_fpr):
    """The area under straight lines up to max_fpr, put between 0.5 and 1 as McClish does."""
    inside = fpr <= max_fpr
    fpr_cut = np.append(fpr[inside], max_fpr)
    tpr_cut = np.append(tpr[inside], np.interp(max_fpr, fpr, tpr))
    area = np.sum(np.diff(fpr_cut) * (tpr_cut[1:] + tpr_cut[:-1]) / 2)
    least = max_fpr**2 / 2
    return 0.5 * (1 + (area - least) / (max_fpr - least))


def interpolated(positive, negative):
    """The area under the precision-recall curve by the interpolation of Davis and Goadrich."""
    area, hit, predicted = 0.0, 0.0, 0.0
    for more, false in zip(positive[::-1], negative[::-1]):
        if more + false > 0:
            slope, before = more / (more + false), predicted
            start = hit - slope * before
            hit, predicted = hit + more, predicted + more + false
            area += slope * (more + start * np.log(predicted / before)) if before > 0 else slope * more
    return area / positive.sum()


def riemann(x, y, summation):
    """The area under points, by the lower or the higher end of each step, or by trapezoids."""
    height = {
        "minoring": np.minimum(y[1:], y[:-1]),
        "majoring": np.maximum(y[1:], y[:-1]),
        "interpolation": (y[1:] + y[:-1]) / 2,
    }[summation]
    return np.sum(np.diff(x) * height)


def area(y_true, y_pred, sample_weight, thresholds, curve, summation, max_fpr):
    """The area under one of both curves, of all distinct scores or of those that thresholds tell apart."""
    if thresholds is None:
        positive, negative = by_score(np.reshape(y_true, (-1, 1)), y_pred, sample_weight)
    else:
        negative, positive = bins(y_true, y_pred, sample_weight, np.asarray(thresholds, y_pred.dtype))
    if curve == "PR":
        if summation == "interpolation":
            return interpolated(positive, negative)
        hit, false = (np.concatenate([[0], np.cumsum(part[::-1])]) for part in (positive, negative))
        precision = np.where(hit + false > 0, hit / np.where(hit + false > 0, hit + false, 1), 0)
        return riemann(hit / hit[-1], precision, summation)
    if max_fpr is not None:
        return left_area(*roc_points(positive, negative), max_fpr)
    return riemann(*roc_points(positive, negative), summation)


def averaged(values, size, average):
    return values if average is None else np.average(values, weights=size if average == "weighted" else None)


def over_problems(score, y_true, y_pred, sample_weight, multi_class, multi_label, average):
    """A binary metric of several labels or classes."""
    if multi_label and average == "micro":
        return score(y_true, y_pred, None if sample_weight is None else np.repeat(sample_weight, y_true.shape[1]))
    if multi_label and average == "samples":
        return np.average([score(t, p, None) for t, p in zip(y_true, y_pred)], weights=sample_weight)
    columns = range(y_pred.shape[1]) if multi_class or multi_label else ()
    if multi_label or multi_class == "ovr":
        rows = y_true if multi_label else labels(y_true)[:, None] == np.array(columns)
        size = (weights(sample_weight, rows) * rows).sum(axis=0)
        return averaged(np.array([score(rows[:, c], y_pred[:, c], sample_weight) for c in columns]), size, average)
    if multi_class == "ovo":
        y_true, found, size = labels(y_true), [], []
        for a in columns:
            for b in range(a):
                both = (y_true == a) | (y_true == b)
                w = weights(sample_weight, y_true)[both]
                found.append(np.mean([score(y_true[both] == c, y_pred[both, c], w) for c in (a, b)]))
                size.append(w.sum())
        return averaged(np.array(found), size, average)
    return score(y_true, y_pred, sample_weight)
