"""What the loops of jit.py do with rows that are normalized by themselves, for Numba: the operations of across.pxd,
explained there, in the same order.

`real`, the kernel's type, and the two `on_stack` belong to every kernel's module.
"""
# ruff: noqa: F821

from math import sqrt

import numpy as np
from numba import carray

from fastopt.kernels.normalization.pieces_planes import BLOCK, LANES, add_deviations, clear, fold, sum_of
from fastopt.kernels.normalization.pieces_rows import PANEL
from fastopt.kernels.normalization.rules import correction, direction, residual, standardized

AT_ONCE = 2


def statistics(x, eps, mean, invstd, i):
    totals = carray(doubles_on_stack(32), 2)
    mean[i] = sum_of(x) / x.size
    center = real(mean[i])
    totals[:] = 0.0
    add_deviations(x, center, totals[:1], totals[1:], 0)
    delta = totals[0] / x.size
    if delta - delta == 0.0:
        mean[i] = np.float64(center) + delta
    spread = (totals[1] - totals[0] * delta) / x.size
    invstd[i] = 1.0 / sqrt((0.0 if spread < 0.0 else spread) + eps)


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
        total += fold(square)
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
        totals[0] += fold(lane)
        totals[1] += fold(product)


def finish_row(dy, x, dx, gamma, center, rest, inv, mean_slope, mean_product, lane, product):
    for j in range(x.size):
        xhat = standardized(x[j], center, rest, inv)
        d = dy[j]
        lane[j] += d
        product[j] += d * xhat
        dx[j] = inv * direction(d * gamma[j], xhat, mean_slope, mean_product)


def gradient_rows(dy, x, gamma, mean, invstd, dx, columns, start, stop, centered, sums, products):
    totals = carray(doubles_on_stack(32), 2)
    centers, rests = carray(on_stack(16), AT_ONCE), carray(on_stack(16), AT_ONCE)
    mean_slopes, mean_products = carray(on_stack(16), AT_ONCE), carray(on_stack(16), AT_ONCE)
    lanes, more_lanes = carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL)
    for block in range(start, stop, AT_ONCE):
        last = min(block + AT_ONCE, stop)
        for i in range(block, last):
            r, at = i - block, i * columns
            centers[r] = real(mean[i]) if centered else 0.0
            rests[r] = real(residual(mean[i], centers[r])) if centered else 0.0
            totals[:] = 0.0
            slopes, values, inv = dy[at : at + columns], x[at : at + columns], real(invstd[i])
            add_weighted(slopes, values, gamma[:columns], centers[r], inv, totals)
            if centered:
                totals[1] -= correction(mean[i], centers[r], invstd[i] * totals[0])
            mean_slopes[r] = real(totals[0] / columns) if centered else 0.0
            mean_products[r] = real(totals[1] / columns)
        for first in range(0, columns, PANEL):
            width = min(PANEL, columns - first)
            lane, product = lanes[:width], more_lanes[:width]
            lane[:] = 0.0
            product[:] = 0.0
            for i in range(block, last):
                r, at = i - block, i * columns + first
                finish_row(
                    dy[at : at + width], x[at : at + width], dx[at : at + width], gamma[first : first + width],
                    centers[r], rests[r], real(invstd[i]), mean_slopes[r], mean_products[r], lane, product,
                )  # fmt: skip
            for c in range(width):
                if centered:
                    sums[first + c] += lane[c]
                products[first + c] += product[c]
