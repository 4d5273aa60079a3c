"""Values and labels of single samples, for Numba: the operations of compiled_values.pyx, in the same order.

What is no valid input comes out as NaN among values and as NOT_A_LABEL among labels.
"""

# ruff: noqa: F821 (the generated module has the kernel's type `real`, NAN, INFINITY and `ordered`)

from math import log, log1p

import numpy as np

from fastopt.kernels.metrics.pieces import NOT_A_LABEL, clipped

PIECES = ("pieces",)  # modules of this room whose text stands in front of the loops


def binary_log_loss(y_true, y_pred, value, dims, scalars, start, stop, partials):
    eps = real(scalars[0])
    one_minus_eps = real(scalars[1])
    y_true, y_pred, value = y_true[start:stop], y_pred[start:stop], value[start:stop]
    for i in range(stop - start):
        p = y_pred[i]
        valid = (p >= 0.0) & (p <= 1.0) & (y_true[i] >= 0) & (y_true[i] <= 1)
        p = clipped(p, eps, one_minus_eps)
        positive = log(p)
        negative = log1p(-p)
        loss = -(positive if y_true[i] > 0 else negative)
        value[i] = loss if valid else NAN


def log_loss(y_true, y_pred, value, dims, scalars, start, stop, partials):
    classes = dims[0]
    eps = real(scalars[0])
    one_minus_eps = real(scalars[1])
    tolerance = real(scalars[2])
    for i in range(start, stop):
        row = y_pred[i * classes : (i + 1) * classes]
        outside = 0
        for k in range(classes):
            outside += not ((row[k] >= 0.0) & (row[k] <= 1.0))
        sum0 = sum1 = sum2 = sum3 = np.float64(0)
        for k in range(classes // 4):
            sum0 += row[4 * k]
            sum1 += row[4 * k + 1]
            sum2 += row[4 * k + 2]
            sum3 += row[4 * k + 3]
        for k in range(classes // 4 * 4, classes):
            sum0 += row[k]
        total = (sum0 + sum2) + (sum1 + sum3)
        if outside == 0 and abs(total - 1) <= tolerance and 0 <= y_true[i] < classes:
            value[i] = -log(clipped(row[y_true[i]], eps, one_minus_eps))
        else:
            value[i] = NAN


def same(y_true, y_pred, value, dims, scalars, start, stop, partials):
    classes = dims[0]
    first = 0 if classes else NOT_A_LABEL + 1
    last = classes - 1 if classes else -first
    y_true, y_pred, value = y_true[start:stop], y_pred[start:stop], value[start:stop]
    for i in range(stop - start):
        match = 1.0 if y_true[i] == y_pred[i] else 0.0
        value[i] = match if (y_true[i] >= first) & (y_true[i] <= last) & (y_pred[i] != NOT_A_LABEL) else NAN


def same_rows(y_true, y_pred, value, dims, scalars, start, stop, partials):
    classes = dims[0]
    for i in range(start, stop):
        differ = any_bit = np.int64(0)
        for k in range(i * classes, (i + 1) * classes):
            differ |= y_true[k] ^ y_pred[k]
            any_bit |= y_true[k] | y_pred[k]
        value[i] = (1.0 if differ == 0 else 0.0) if (any_bit & ~1) == 0 else NAN


def above(y_pred, label, dims, scalars, start, stop, partials):
    threshold = real(scalars[0])
    y_pred, label = y_pred[start:stop], label[start:stop]
    for i in range(stop - start):
        found = 1 if y_pred[i] > threshold else 0
        label[i] = found if y_pred[i] == y_pred[i] else NOT_A_LABEL


def bin_of(y_pred, thresholds, label, dims, scalars, start, stop, partials):
    columns = dims[0]
    low = real(scalars[0])
    high = real(scalars[1])
    for i in range(start, stop):
        first = np.int64(0)
        left = columns - 1
        while left > 1:  # halves are added without a branch, which would be mispredicted every other time
            half = left // 2
            first += half * np.int64(thresholds[first + half - 1] < y_pred[i])
            left -= half
        if left > 0:
            first += np.int64(thresholds[first] < y_pred[i])
        label[i] = first if (y_pred[i] >= low) & (y_pred[i] <= high) else NOT_A_LABEL


def argmax(y_pred, label, dims, scalars, start, stop, partials):
    classes = dims[0]
    for i in range(start, stop):
        row = y_pred[i * classes : (i + 1) * classes]
        best = real(-INFINITY)
        at = np.int64(0)
        for k in range(classes):
            if not row[k] <= best:
                at = k if row[k] == row[k] else NOT_A_LABEL
                best = row[k]
                if at == NOT_A_LABEL:
                    break
        label[i] = at


def one_hot(rows, label, dims, scalars, start, stop, partials):
    classes = dims[0]
    for i in range(start, stop):
        row = rows[i * classes : (i + 1) * classes]
        ones = at = others = 0
        for k in range(classes):
            ones += row[k] == 1
            others += (row[k] != 0) & (row[k] != 1)
            at += k if row[k] == 1 else 0
        label[i] = at if ones == 1 and others == 0 else NOT_A_LABEL


def in_top_k(y_true, y_pred, label, dims, scalars, start, stop, partials):
    classes = dims[0]
    top_k = dims[1]
    for i in range(start, stop):
        row = y_pred[i * classes : (i + 1) * classes]
        label[i] = NOT_A_LABEL
        if 0 <= y_true[i] < classes:
            own = row[y_true[i]]
            greater = nans = 0
            for k in range(classes):
                greater += row[k] > own
                nans += row[k] != row[k]
            if nans == 0:
                label[i] = y_true[i] if greater < top_k else -1
