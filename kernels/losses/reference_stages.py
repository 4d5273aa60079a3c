"""What stands around the losses, in NumPy: rows are dropped, weighed and reduced; and checks of arguments, which count
what the checking kernels count."""

import numpy as np


def dropped(value, gradient, mask):
    """Rows that don't count are 0, whatever they were."""
    return np.where(mask, value, 0.0), np.where(mask[:, None], gradient, 0.0)


def weighted_and_reduced(value, gradient, weight, reduction, count):
    """Weigh every row, and reduce: "mean" divides by `count`, the number of rows that are not ignored."""
    if weight is not None:
        value, gradient = value * weight, gradient * weight[:, None]
    if reduction == "none":
        return value, gradient
    if reduction == "sum":
        return value.sum(), gradient
    return value.sum() / max(count, 1), gradient / max(count, 1)


# ---- checks


def outside(value, low, high):
    return np.count_nonzero((value < low) | (value > high)), np.count_nonzero(np.isnan(value))


def signs(y_true):
    return tuple(np.count_nonzero(y_true == label) for label in (1, 0, -1))


def not_distributions(y_true):
    total = y_true.sum(axis=-1, dtype=np.float64)
    return (np.count_nonzero(~((y_true >= 0) & (y_true <= 1))) + np.count_nonzero((total < 0.999) | (total > 1.001)),)


def labels_outside(labels, columns, ignore_class):
    ignored = labels == ignore_class
    return np.count_nonzero(((labels < 0) | (labels >= columns)) & ~ignored), np.count_nonzero(ignored)
