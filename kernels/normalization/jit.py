"""Normalization kernels for Numba: those of compiled_*.pyx, explained there. Every sum and every
result is made by the same operations in the same order; only which rows and channels take turns is simpler.

`real`, the kernel's type, and the two `on_stack` belong to every kernel's module.
"""
# ruff: noqa: F821

from math import sqrt

import numpy as np
from numba import carray

from fastopt.kernels.normalization.planes import (
    add_gradients,
    clear,
    gradient_channel,
    moments,
    normalize_channel,
    normalize_plane,
    sum_channel,
)
from fastopt.kernels.normalization.rows import gradient_all, normalize_all, row_statistics, sum_gradients
from fastopt.kernels.normalization.rules import correction, direction, residual, standardized
from fastopt.kernels.normalization.sample import gradient_rows, leave_row, square_sum, statistics
from fastopt.kernels.runtime.lanes import LANES

PIECES = ("planes", "rows", "sample")  # modules of this room whose text stands in front of the loops


def channel_forward(x, gamma, beta, added, y, mean, variance, invstd, dims, scalars, start, stop, partials):
    batch = dims[0]
    inner = dims[1]
    batch_stride = dims[2]
    channel_stride = dims[3]
    eps = scalars[0]
    relu = scalars[1]
    adds = scalars[2]
    for c in range(start, stop):
        moments(x, c, batch, inner, batch_stride, channel_stride, mean, variance)
        invstd[c] = 1.0 / sqrt(variance[c] + eps)
        normalize_channel(
            x, gamma, beta, mean, invstd, added, y, batch, inner, batch_stride, channel_stride, relu, adds, c
        )  # fmt: skip


def channel_moments(x, mean, variance, dims, scalars, start, stop, partials):
    batch = dims[0]
    inner = dims[1]
    batch_stride = dims[2]
    channel_stride = dims[3]
    for c in range(start, stop):
        moments(x, c, batch, inner, batch_stride, channel_stride, mean, variance)


def channel_normalize(x, gamma, beta, mean, invstd, added, y, dims, scalars, start, stop, partials):
    batch = dims[0]
    inner = dims[1]
    batch_stride = dims[2]
    channel_stride = dims[3]
    relu = scalars[0]
    adds = scalars[1]
    for c in range(start, stop):
        normalize_channel(
            x, gamma, beta, mean, invstd, added, y, batch, inner, batch_stride, channel_stride, relu, adds, c
        )  # fmt: skip


def channel_backward(
    dy, x, gamma, beta, mean, invstd, added, dx, dadded, sums, products, dims, scalars, start, stop, partials
):  # fmt: skip
    batch = dims[0]
    inner = dims[1]
    batch_stride = dims[2]
    channel_stride = dims[3]
    training = scalars[0]
    relu = scalars[1]
    adds = scalars[2]
    count = np.float64(batch * inner)
    for c in range(start, stop):
        sum_channel(
            dy, x, gamma, beta, mean, invstd, added, sums, products, batch, inner, batch_stride, channel_stride, relu,
            adds, c,
        )  # fmt: skip
        gradient_channel(
            dy, x, gamma, beta, mean, invstd, added, sums, products, dx, dadded, batch, inner, batch_stride,
            channel_stride, training, relu, adds, count, c,
        )  # fmt: skip


def channel_sums(dy, x, gamma, beta, mean, invstd, added, sums, products, dims, scalars, start, stop, partials):
    batch = dims[0]
    inner = dims[1]
    batch_stride = dims[2]
    channel_stride = dims[3]
    relu = scalars[0]
    adds = scalars[1]
    for c in range(start, stop):
        sum_channel(
            dy, x, gamma, beta, mean, invstd, added, sums, products, batch, inner, batch_stride, channel_stride, relu,
            adds, c,
        )  # fmt: skip


def channel_gradient(
    dy, x, gamma, beta, mean, invstd, added, sums, products, dx, dadded, dims, scalars, start, stop, partials
):  # fmt: skip
    batch = dims[0]
    inner = dims[1]
    batch_stride = dims[2]
    channel_stride = dims[3]
    training = scalars[0]
    relu = scalars[1]
    adds = scalars[2]
    count = scalars[3]
    for c in range(start, stop):
        gradient_channel(
            dy, x, gamma, beta, mean, invstd, added, sums, products, dx, dadded, batch, inner, batch_stride,
            channel_stride, training, relu, adds, count, c,
        )  # fmt: skip


def row_forward(x, gamma, beta, added, y, mean, variance, invstd, dims, scalars, start, stop, partials):
    columns = dims[0]
    eps = scalars[0]
    relu = scalars[1]
    adds = scalars[2]
    row_statistics(x, columns, start, stop, mean, variance)
    for c in range(columns):
        variance[c] = variance[c] / (stop - start)
        invstd[c] = 1.0 / sqrt(variance[c] + eps)
    normalize_all(x, added, y, columns, start, stop, gamma, beta, mean, invstd, adds != 0.0, relu != 0.0)


def row_moments(x, dims, scalars, start, stop, partials):
    columns = dims[0]
    results = carray(partials, 2 * columns)
    row_statistics(x, columns, start, stop, results[:columns], results[columns:])


def merge_moments(parts, mean, variance, dims, scalars, start, stop, partials):
    columns = dims[0]
    part = dims[1]
    rows = dims[2]
    mean[start:stop] = 0.0
    variance[start:stop] = 0.0
    for g in range((rows + part - 1) // part):
        count = np.float64(min(part, rows - g * part))
        for c in range(start, stop):
            mean[c] = mean[c] + parts[2 * g * columns + c] * (count / rows)
    for g in range((rows + part - 1) // part):
        count = np.float64(min(part, rows - g * part))
        for c in range(start, stop):
            away = parts[2 * g * columns + c] - mean[c]
            variance[c] = variance[c] + (parts[(2 * g + 1) * columns + c] + count * (away * away))
    for c in range(start, stop):
        variance[c] = variance[c] / rows


def row_normalize(x, gamma, beta, mean, invstd, added, y, dims, scalars, start, stop, partials):
    columns = dims[0]
    relu = scalars[0]
    adds = scalars[1]
    normalize_all(x, added, y, columns, start, stop, gamma, beta, mean, invstd, adds != 0.0, relu != 0.0)


def row_backward(
    dy, x, gamma, beta, mean, invstd, added, dx, dadded, sums, products, dims, scalars, start, stop, partials
):  # fmt: skip
    columns = dims[0]
    training = scalars[0]
    relu = scalars[1]
    adds = scalars[2]
    sum_gradients(
        dy, x, added, columns, start, stop, gamma, beta, mean, invstd, adds != 0.0, relu != 0.0, sums, products
    )  # fmt: skip
    gradient_all(
        dy, x, added, dx, dadded, columns, start, stop, gamma, beta, mean, invstd, sums, products,
        np.float64(stop - start), adds != 0.0, relu != 0.0, training != 0.0,
    )  # fmt: skip


def row_sums(dy, x, gamma, beta, mean, invstd, added, dims, scalars, start, stop, partials):
    columns = dims[0]
    relu = scalars[0]
    adds = scalars[1]
    results = carray(partials, 2 * columns)
    sum_gradients(
        dy, x, added, columns, start, stop, gamma, beta, mean, invstd, adds != 0.0, relu != 0.0, results[:columns],
        results[columns:],
    )  # fmt: skip


def row_gradient(
    dy, x, gamma, beta, mean, invstd, added, sums, products, dx, dadded, dims, scalars, start, stop, partials
):  # fmt: skip
    columns = dims[0]
    training = scalars[0]
    relu = scalars[1]
    adds = scalars[2]
    count = scalars[3]
    gradient_all(
        dy, x, added, dx, dadded, columns, start, stop, gamma, beta, mean, invstd, sums, products, count, adds != 0.0,
        relu != 0.0, training != 0.0,
    )  # fmt: skip


def layer_forward(x, gamma, beta, y, mean, invstd, dims, scalars, start, stop, partials):
    columns = dims[0]
    eps = scalars[0]
    highest = scalars[1]
    weight, bias = gamma[:columns], beta[:columns]
    for i in range(start, stop):
        row, out = x[i * columns : i * columns + columns], y[i * columns : i * columns + columns]
        statistics(row, eps, mean, invstd, i)
        if not 0.0 < invstd[i] < highest:
            leave_row(row, out)
            continue
        center = real(mean[i])
        rest, inv = real(residual(mean[i], center)), real(invstd[i])
        for j in range(row.size):
            out[j] = standardized(row[j], center, rest, inv) * weight[j] + bias[j]


def layer_backward(dy, x, gamma, mean, invstd, dx, lanes, dims, scalars, start, stop, partials):
    columns = dims[0]
    lanes_per_row = dims[3]
    at = start * lanes_per_row  # scratch memory begins with the first row
    sums, products = lanes[at : at + columns], lanes[at + columns : at + 2 * columns]
    results = carray(partials, 2 * columns)
    gradient_rows(
        dy, x, gamma, mean, invstd, dx, columns, start, stop, True, sums, products,
        results[:columns], results[columns:],
    )  # fmt: skip


def rms_forward(x, gamma, y, invrms, dims, scalars, start, stop, partials):
    columns = dims[0]
    eps = scalars[0]
    highest = scalars[1]
    weight = gamma[:columns]
    for i in range(start, stop):
        row, out = x[i * columns : i * columns + columns], y[i * columns : i * columns + columns]
        invrms[i] = 1.0 / sqrt(square_sum(row) / columns + eps)
        if not 0.0 < invrms[i] < highest:
            leave_row(row, out)
            continue
        inv = real(invrms[i])
        for j in range(row.size):
            out[j] = row[j] * inv * weight[j]


def rms_backward(dy, x, gamma, invrms, dx, lanes, dims, scalars, start, stop, partials):
    columns = dims[0]
    lanes_per_row = dims[3]
    at = start * lanes_per_row  # scratch memory begins with the first row
    sums, products = lanes[at : at + columns], lanes[at + columns : at + 2 * columns]
    results = carray(partials, columns)
    gradient_rows(
        dy, x, gamma, invrms, invrms, dx, columns, start, stop, False, sums, products,
        results, results,
    )  # fmt: skip


def group_forward(x, gamma, beta, y, mean, invstd, dims, scalars, start, stop, partials):
    groups = dims[0]
    width = dims[1]
    inner = dims[2]
    eps = scalars[0]
    highest = scalars[1]
    for i in range(start, stop):
        at = i * width * inner
        statistics(x[at : at + width * inner], eps, mean, invstd, i)
        if not 0.0 < invstd[i] < highest:
            leave_row(x[at : at + width * inner], y[at : at + width * inner])
            continue
        for k in range(width):
            c = i % groups * width + k
            slope = np.float64(gamma[c]) * invstd[i]
            center, shift = real(mean[i]), real(np.float64(beta[c]) - correction(mean[i], real(mean[i]), slope))
            plane = x[at : at + inner]
            normalize_plane(plane, plane, y[at : at + inner], center, real(slope), shift, False, False)
            at += inner


def group_backward(dy, x, gamma, mean, invstd, dx, dims, scalars, start, stop, partials):
    groups = dims[0]
    width = dims[1]
    inner = dims[2]
    totals = carray(doubles_on_stack(32), 2)
    lane, product_lane = carray(on_stack(32), LANES), carray(on_stack(32), LANES)
    clear(lane)
    clear(product_lane)
    for i in range(start, stop):
        center = real(mean[i])
        rest, inv = real(residual(mean[i], center)), real(invstd[i])
        slope_sum, product_sum = np.float64(0), np.float64(0)
        for k in range(width):
            at, c = (i * width + k) * inner, i % groups * width + k
            totals[:] = 0.0
            slope, plane = dy[at : at + inner], x[at : at + inner]
            add_gradients(
                slope,
                plane,
                plane,
                center,
                inv,
                inv,
                inv,
                False,
                False,
                True,
                lane,
                product_lane,
                totals[:1],
                totals[1:],
                0,
            )
            product = totals[1] - correction(mean[i], center, invstd[i] * totals[0])
            partials[c] += totals[0]
            partials[groups * width + c] += product
            slope_sum += gamma[c] * totals[0]
            product_sum += gamma[c] * product
        mean_slope, mean_product = real(slope_sum / (width * inner)), real(product_sum / (width * inner))
        for k in range(width):
            at, weight = (i * width + k) * inner, gamma[i % groups * width + k]
            slope, plane, result = dy[at : at + inner], x[at : at + inner], dx[at : at + inner]
            for j in range(plane.size):
                xhat = standardized(plane[j], center, rest, inv)
                result[j] = inv * direction(slope[j] * weight, xhat, mean_slope, mean_product)
