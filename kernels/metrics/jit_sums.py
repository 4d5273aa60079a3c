"""Sums over samples, for Numba: the operations of compiled_sums.pyx, in the same order.

LANES float64 sums of a block are folded in halves. What is no valid input is counted.
"""

import numpy as np

from fastopt.kernels.runtime.lanes import LANES, folded

PIECES = ()  # modules of this room whose text stands in front of the loops


def ones(value, dims, scalars, start, stop, partials):
    for i in range(start, stop):
        value[i] = 1


def total(value, dims, scalars, start, stop, partials):
    lanes = np.zeros(LANES)
    value = value[start:stop]
    whole = value.size // LANES * LANES
    for i in range(0, whole, LANES):
        for k in range(LANES):
            lanes[k] += value[i + k]
    for i in range(whole, value.size):
        lanes[i - whole] += value[i]
    partials[0] += folded(lanes)


def weighted_total(value, sample_weight, dims, scalars, start, stop, partials):
    lanes = np.zeros(LANES)
    weights = np.zeros(LANES)
    value, sample_weight = value[start:stop], sample_weight[start:stop]
    whole = value.size // LANES * LANES
    for i in range(0, whole, LANES):
        for k in range(LANES):
            lanes[k] += np.float64(sample_weight[i + k]) * np.float64(value[i + k])
            weights[k] += sample_weight[i + k]
    for i in range(whole, value.size):
        lanes[i - whole] += np.float64(sample_weight[i]) * np.float64(value[i])
        weights[i - whole] += sample_weight[i]
    partials[0] += folded(lanes)
    partials[1] += folded(weights)


def column_totals(value, sample_weight, dims, scalars, start, stop, partials):
    classes = dims[0]
    for k in range(classes):
        sum_of_column = np.float64(0)
        for i in range(start, stop):
            sum_of_column += np.float64(sample_weight[i]) * np.float64(value[i * classes + k])
        partials[k] += sum_of_column
    for i in range(start, stop):
        partials[classes] += sample_weight[i]


def binary_counts(y_true, y_pred, dims, scalars, start, stop, partials):
    actual = predicted = both = any_bit = np.int64(0)
    y_true, y_pred = y_true[start:stop], y_pred[start:stop]
    for i in range(stop - start):
        actual += y_true[i] & 1
        predicted += y_pred[i] & 1
        both += y_true[i] & y_pred[i] & 1
        any_bit |= y_true[i] | y_pred[i]
    partials[0] += (stop - start) - actual - predicted + both
    partials[1] += predicted - both
    partials[2] += actual - both
    partials[3] += both
    partials[4] += 1 if (any_bit & ~1) != 0 else 0


def counts(y_true, y_pred, dims, scalars, start, stop, partials):
    columns = dims[0]
    rows = dims[1]
    for i in range(start, stop):
        if 0 <= y_true[i] < rows and 0 <= y_pred[i] < columns:
            partials[y_true[i] * columns + y_pred[i]] += 1
        else:
            partials[rows * columns] += 1


def counts_weighted(y_true, y_pred, sample_weight, dims, scalars, start, stop, partials):
    columns = dims[0]
    rows = dims[1]
    for i in range(start, stop):
        if 0 <= y_true[i] < rows and 0 <= y_pred[i] < columns:
            partials[y_true[i] * columns + y_pred[i]] += sample_weight[i]
        else:
            partials[rows * columns] += 1


def label_counts(y_true, y_pred, sample_weight, dims, scalars, start, stop, partials):
    classes = dims[0]
    any_bit = np.int64(0)
    for i in range(start, stop):
        weight = np.float64(sample_weight[i])
        for k in range(classes):
            partials[3 * k] += weight * np.float64(y_true[i * classes + k] & y_pred[i * classes + k] & 1)
            partials[3 * k + 1] += weight * np.float64(y_pred[i * classes + k] & 1)
            partials[3 * k + 2] += weight * np.float64(y_true[i * classes + k] & 1)
            any_bit |= y_true[i * classes + k] | y_pred[i * classes + k]
    partials[3 * classes] += 1 if (any_bit & ~1) != 0 else 0


def row_ratios(y_true, y_pred, sample_weight, dims, scalars, start, stop, partials):
    classes = dims[0]
    of_hit = scalars[0]
    of_predicted = scalars[1]
    of_actual = scalars[2]
    any_bit = np.int64(0)
    for i in range(start, stop):
        hit = predicted = actual = np.int64(0)
        for k in range(i * classes, (i + 1) * classes):
            hit += y_true[k] & y_pred[k] & 1
            predicted += y_pred[k] & 1
            actual += y_true[k] & 1
            any_bit |= y_true[k] | y_pred[k]
        weight = np.float64(sample_weight[i])
        below = of_predicted * np.float64(predicted) + of_actual * np.float64(actual)
        if below > 0:
            partials[0] += weight * (of_hit * np.float64(hit) / below)
            partials[1] += weight
        partials[2] += weight
    partials[3] += 1 if (any_bit & ~1) != 0 else 0
