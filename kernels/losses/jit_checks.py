"""Loops of the checks: the operations of compiled_checks.pyx, in the same order."""

# ruff: noqa: F821 (the generated module has the kernel's type `real`, and `on_stack`)

import numpy as np

from fastopt.kernels.losses.pieces import row_sum

PIECES = ("pieces",)  # modules of this room whose text stands in front of the loops


def outside(value, dims, scalars, start, stop, partials):
    low = real(scalars[0])
    high = real(scalars[1])
    x = value[start:stop]
    out = nan = 0
    for i in range(x.size):
        out += (x[i] < low) | (x[i] > high)
        nan += x[i] != x[i]
    partials[0] += out
    partials[1] += nan


def signs(y_true, dims, scalars, start, stop, partials):
    x = y_true[start:stop]
    ones = zeros = minus_ones = 0
    for i in range(x.size):
        ones += x[i] == 1.0
        zeros += x[i] == 0.0
        minus_ones += x[i] == -1.0
    partials[0] += ones
    partials[1] += zeros
    partials[2] += minus_ones


def not_distributions(y_true, dims, scalars, start, stop, partials):
    columns = dims[0]
    x = y_true[start * columns : stop * columns]
    least, most = np.float64(999) / np.float64(1000), np.float64(1001) / np.float64(1000)
    wrong = 0
    for i in range(x.size):
        wrong += not ((x[i] >= 0.0) & (x[i] <= 1.0))
    for r in range(start, stop):
        mass = row_sum(y_true[r * columns : (r + 1) * columns])
        wrong += (mass < least) | (mass > most)
    partials[0] += wrong


def labels_outside(labels, dims, scalars, start, stop, partials):
    columns = dims[0]
    ignore_class = dims[1]
    x = labels[start:stop]
    out = ignored = 0
    for i in range(x.size):
        out += ((x[i] < 0) | (x[i] >= columns)) & (x[i] != ignore_class)
        ignored += x[i] == ignore_class
    partials[0] += out
    partials[1] += ignored
