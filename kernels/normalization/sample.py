"""What the loops of jit.py do with rows that are normalized by themselves, for Numba: the operations of sample.pxd,
explained there, in the same order.

`real`, the kernel's type, and the two `on_stack` belong to every kernel's module.
"""
# ruff: noqa: F821

from math import sqrt

import numpy as np
from numba import carray

from fastopt.kernels.normalization.planes import BLOCK, add_deviations, clear, sum_of
from fastopt.kernels.normalization.rows import ROWS
from fastopt.kernels.normalization.rules import correction, direction, residual, standardized
from fastopt.kernels.runtime.lanes import LANES, folded


def statistics(x, eps, mean, invstd, i):
    totals = carray(doubles_on_stack(32), 2)
    mean[i] = sum_of(x) / x.size
    center = real(mean[i])
    lane, square = carray(on_stack(32), LANES), carray(on_stack(32), LANES)
    clear(lane)
    clear(square)
    totals[:] = 0.0
    add_deviations(x, center, True, lane, square, totals[:1], totals[1:], 0)
    delta = totals[0] / x.size
    if delta - delta == 0.0:
        mean[i] = np.float64(center) + delta
    spread = (totals[1] - totals[0] * delta) / x.size
    invstd[i] = 1.0 / sqrt((0.0 if spread < 0.0 else spread) + eps)


def leave_row(x, y):
    for j in range(x.size):
        y[j] = x[j]


def square_sum(x):
    square = carray(on_stack(32), LANES)
    total = np.float64(0)
    for first in range(0, x.size, BLOCK):
        block = x[first : min(first + BLOCK, x.size)]
        clear(square)
        whole = LANES * (block.size // LANES)
        for k in range(0, whole, LANES):
            values = block[k : k + LANES]
            for j in range(LANES):
                square[j] += values[j] * values[j]
        values = block[whole:]
        for j in range(values.size):
            square[j] += values[j] * values[j]
        total += folded(square)
    return total


def add_weighted(dy, x, gamma, center, inv, totals):
    lane, product = carray(on_stack(32), LANES), carray(on_stack(32), LANES)
    for first in range(0, x.size, BLOCK):
        last = min(first + BLOCK, x.size)
        block, slopes, weights = x[first:last], dy[first:last], gamma[first:last]
        clear(lane)
        clear(product)
        whole = LANES * (block.size // LANES)
        for k in range(0, whole, LANES):
            values, slope, weight = block[k : k + LANES], slopes[k : k + LANES], weights[k : k + LANES]
            for j in range(LANES):
                d = slope[j] * weight[j]
                lane[j] += d
                product[j] += d * ((values[j] - center) * inv)
        values, slope, weight = block[whole:], slopes[whole:], weights[whole:]
        for j in range(values.size):
            d = slope[j] * weight[j]
            lane[j] += d
            product[j] += d * ((values[j] - center) * inv)
        totals[0] += folded(lane)
        totals[1] += folded(product)


def finish_row(dy, x, dx, gamma, center, rest, inv, mean_slope, mean_product, sums, products):
    for j in range(x.size):
        xhat = standardized(x[j], center, rest, inv)
        d = dy[j]
        sums[j] += d
        products[j] += d * xhat
        dx[j] = inv * direction(d * gamma[j], xhat, mean_slope, mean_product)


def gradient_rows(
    dy, x, gamma, mean, invstd, dx, columns, start, stop, centered, sums, products, all_sums, all_products
):
    totals = carray(doubles_on_stack(32), 2)
    weights = gamma[:columns]
    for first in range(start, stop, ROWS):
        sums[:] = 0.0
        products[:] = 0.0
        for i in range(first, min(first + ROWS, stop)):
            slopes, values = dy[i * columns : i * columns + columns], x[i * columns : i * columns + columns]
            center = real(mean[i]) if centered else real(0.0)
            rest = real(residual(mean[i], center)) if centered else real(0.0)
            inv = real(invstd[i])
            totals[:] = 0.0
            add_weighted(slopes, values, weights, center, inv, totals)
            if centered:
                totals[1] -= correction(mean[i], center, invstd[i] * totals[0])
            finish_row(
                slopes, values, dx[i * columns : i * columns + columns], weights, center, rest, inv,
                real(totals[0] / columns) if centered else real(0.0), real(totals[1] / columns), sums, products,
            )  # fmt: skip
        for c in range(columns):
            if centered:
                all_sums[c] += sums[c]
            all_products[c] += products[c]
