"""Loops of the stages around the losses' kernels: the operations of compiled_stages.pyx, in the same order."""

# ruff: noqa: F821 (the generated module has the kernel's type `real`, and `on_stack`)

from numba import carray

from fastopt.kernels.losses.pieces import SHORT, lane_sum, row_sum

PIECES = ("pieces",)  # modules of this room whose text stands in front of the loops


def row_means(value, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    divisor = dims[1]
    share = real(divisor)
    lanes = carray(on_stack(32), 32)
    r = start
    while columns < SHORT and r + 32 <= stop:
        tile = value[r * columns : (r + 32) * columns]
        for k in range(32):
            lanes[k] = 0.0
        for c in range(columns):
            for k in range(32):
                lanes[k] += tile[k * columns + c]
        for k in range(32):
            values[r + k] = lanes[k] / share
        r += 32
    while r < stop:
        values[r] = real(row_sum(value[r * columns : (r + 1) * columns])) / share
        r += 1


def weigh_gradient(weight, gradient, dims, scalars, start, stop, partials):
    columns = dims[0]
    if columns == 1:
        w, g = weight[start:stop], gradient[start:stop]
        for i in range(w.size):
            g[i] = w[i] * g[i]
        return
    for r in range(start, stop):
        row = gradient[r * columns : (r + 1) * columns]
        for c in range(row.size):
            row[c] = weight[r] * row[c]


def total(value, dims, scalars, start, stop, partials):
    partials[0] += lane_sum(value[start:stop])


def weigh_classes(y_true, class_weight, weighed, dims, scalars, start, stop, partials):
    columns = dims[0]
    keep = real(scalars[0])
    shift = real(scalars[1])
    weights = class_weight[:columns]
    for r in range(start, stop):
        row, out = y_true[r * columns : (r + 1) * columns], weighed[r * columns : (r + 1) * columns]
        for c in range(row.size):
            out[c] = weights[c] * (keep * row[c] + shift)


def drop_rows(mask, values, gradient, dims, scalars, start, stop, partials):
    columns = dims[0]
    for r in range(start, stop):
        if mask[r] == 0:
            values[r] = 0.0
            gradient[r * columns : (r + 1) * columns] = 0.0


def drop_ignored(labels, values, gradient, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    ignore_class = dims[2]
    for r in range(start, stop):
        if labels[r] == ignore_class:
            values[r] = 0.0
            gradient[r * columns : (r + gradient_wanted) * columns] = 0.0


def spread_labels(labels, class_weight, weighed, dims, scalars, start, stop, partials):
    columns = dims[0]
    ignore_class = dims[2]
    keep = real(scalars[0])
    shift = real(scalars[1])
    weights = class_weight[:columns]
    for r in range(start, stop):
        row = weighed[r * columns : (r + 1) * columns]
        for c in range(row.size):
            row[c] = weights[c] * shift
        if labels[r] != ignore_class:
            row[labels[r]] = weights[labels[r]] * (keep + shift)
