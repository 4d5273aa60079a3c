"""What the loops of jit.py do with rows of many channels, for Numba: the operations of rows.pxd, explained there, in
the same order.

`real`, the kernel's type, and the two `on_stack` belong to every kernel's module.
"""
# ruff: noqa: F821

import numpy as np
from numba import carray

from fastopt.kernels.normalization.planes import factor_of, masked, mean_dy_of, scale_of, shift_of
from fastopt.kernels.normalization.rules import correction, direction, passed

ROWS = 32
PANEL = 1024


def add_part(x, columns, first, last, start, stop, center, sums, squares):
    lanes, more_lanes = carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL)
    lane, square = lanes[: last - first], more_lanes[: last - first]
    sums[:] = 0.0
    squares[:] = 0.0
    for block in range(start, stop, ROWS):
        lane[:] = 0.0
        square[:] = 0.0
        for i in range(block, min(block + ROWS, stop)):
            row = x[i * columns + first : i * columns + last]
            for c in range(row.size):
                d = row[c] - center[c]
                lane[c] += d
                square[c] += d * d
        for c in range(lane.size):
            sums[c] += lane[c]
            squares[c] += square[c]


def row_statistics(x, columns, start, stop, mean, variance):
    centers = carray(on_stack(1024), PANEL)
    all_sums, all_squares = carray(doubles_on_stack(1024), PANEL), carray(doubles_on_stack(1024), PANEL)
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        center, sums, squares = centers[: last - first], all_sums[: last - first], all_squares[: last - first]
        means, variances = mean[first:last], variance[first:last]
        center[:] = 0.0
        beginning = min(ROWS, stop - start)
        add_part(x, columns, first, last, start, start + beginning, center, sums, squares)
        for c in range(center.size):
            center[c] = real(sums[c] / beginning)
            means[c] = 0.0
            variances[c] = 0.0
        i = start
        while i < stop:
            end = min(max(start + ROWS, i + (i - start)), stop)
            add_part(x, columns, first, last, i, end, center, sums, squares)
            before, count = np.float64(i - start), np.float64(end - i)
            part, rest = count / (before + count), before * count / (before + count)
            for c in range(center.size):
                delta = sums[c] / count
                between = (np.float64(center[c]) + delta) - means[c]
                means[c] = means[c] + between * part
                variances[c] = variances[c] + ((squares[c] - sums[c] * delta) + between * between * rest)
                center[c] = real(means[c])
            i = end
        for c in range(center.size):
            if means[c] - means[c] != 0.0:
                means[c] = 0.0
                for i in range(start, stop):
                    means[c] = means[c] + x[i * columns + first + c]
                means[c] = means[c] / (stop - start)


def load_affine(gamma, beta, mean, invstd, first, center, scale, shift):
    for c in range(center.size):
        center[c] = real(mean[first + c])
        scale[c] = real(scale_of(gamma, invstd, first + c))
        shift[c] = real(shift_of(gamma, beta, mean, invstd, first + c))


def normalize_all(x, added, y, columns, start, stop, gamma, beta, mean, invstd, adds, relu):
    centers, scales, shifts = (
        carray(on_stack(1024), PANEL),
        carray(on_stack(1024), PANEL),
        carray(on_stack(1024), PANEL),
    )
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        center, scale, shift = centers[: last - first], scales[: last - first], shifts[: last - first]
        load_affine(gamma, beta, mean, invstd, first, center, scale, shift)
        for i in range(start, stop):
            at, end = i * columns + first, i * columns + last
            row, more, out = x[at:end], (added if adds else x)[at:end], y[at:end]
            for c in range(row.size):
                z = (row[c] - center[c]) * scale[c] + shift[c]
                z = z + more[c] if adds else z
                out[c] = passed(z, z) if relu else z


def sum_gradients(dy, x, added, columns, start, stop, gamma, beta, mean, invstd, adds, relu, all_sums, all_products):
    centers, scales, shifts = (
        carray(on_stack(1024), PANEL),
        carray(on_stack(1024), PANEL),
        carray(on_stack(1024), PANEL),
    )
    invs, lanes, more_lanes = (
        carray(on_stack(1024), PANEL),
        carray(on_stack(1024), PANEL),
        carray(on_stack(1024), PANEL),
    )
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        sums, products = all_sums[first:last], all_products[first:last]
        center, scale, shift = centers[: last - first], scales[: last - first], shifts[: last - first]
        inv, lane, product = invs[: last - first], lanes[: last - first], more_lanes[: last - first]
        load_affine(gamma, beta, mean, invstd, first, center, scale, shift)
        for c in range(inv.size):
            inv[c] = real(invstd[first + c])
        sums[:] = 0.0
        products[:] = 0.0
        for block in range(start, stop, ROWS):
            lane[:] = 0.0
            product[:] = 0.0
            for i in range(block, min(block + ROWS, stop)):
                at, end = i * columns + first, i * columns + last
                row, slope, more = x[at:end], dy[at:end], (added if adds else x)[at:end]
                for c in range(row.size):
                    d = masked(slope[c], row[c], more[c], center[c], scale[c], shift[c], adds, relu)
                    lane[c] += d
                    product[c] += d * ((row[c] - center[c]) * inv[c])
            for c in range(lane.size):
                sums[c] += lane[c]
                products[c] += product[c]
        for c in range(lane.size):
            products[c] = products[c] - correction(mean[first + c], center[c], invstd[first + c] * sums[c])


def gradient_all(
    dy, x, added, dx, dadded, columns, start, stop, gamma, beta, mean, invstd, sums, products, count, adds, relu,
    training,
):  # fmt: skip
    centers, scales, shifts = (
        carray(on_stack(1024), PANEL),
        carray(on_stack(1024), PANEL),
        carray(on_stack(1024), PANEL),
    )
    means, factors = carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL)
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        center, scale, shift = centers[: last - first], scales[: last - first], shifts[: last - first]
        mean_dy, factor = means[: last - first], factors[: last - first]
        load_affine(gamma, beta, mean, invstd, first, center, scale, shift)
        for c in range(center.size):
            factor[c] = real(factor_of(invstd, products, count, first + c))
            mean_dy[c] = real(mean_dy_of(mean, invstd, sums, products, count, training, first + c))
        for i in range(start, stop):
            at, end = i * columns + first, i * columns + last
            row, slope, more, out = x[at:end], dy[at:end], (added if adds else x)[at:end], dx[at:end]
            passed_on = dadded[at:end] if adds else out
            for c in range(row.size):
                d = masked(slope[c], row[c], more[c], center[c], scale[c], shift[c], adds, relu)
                out[c] = scale[c] * (
                    direction(d, row[c] - center[c], mean_dy[c], factor[c]) if training else d - mean_dy[c]
                )
                if adds and relu:
                    passed_on[c] = d
