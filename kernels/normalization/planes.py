"""What the loops of jit.py do with planes of one channel, for Numba: the operations of elements.pxd and planes.pxd,
explained there, in the same order.

`real`, the kernel's type, and the two `on_stack` belong to every kernel's module.
"""
# ruff: noqa: F821

import numpy as np
from numba import carray

from fastopt.kernels.normalization.rules import correction, direction, passed
from fastopt.kernels.runtime.lanes import LANES, folded

BLOCK = 1024


def clear(lanes):
    for j in range(LANES):
        lanes[j] = 0.0


def scale_of(gamma, invstd, c):
    return np.float64(gamma[c]) * invstd[c]


def shift_of(gamma, beta, mean, invstd, c):
    return np.float64(beta[c]) - correction(mean[c], real(mean[c]), scale_of(gamma, invstd, c))


def factor_of(invstd, products, count, c):
    return invstd[c] * (products[c] / count)


def mean_dy_of(mean, invstd, sums, products, count, training, c):
    rest = correction(mean[c], real(mean[c]), factor_of(invstd, products, count, c))
    return sums[c] / count - rest if training else 0.0


def sum_of(x):
    lane = carray(on_stack(32), LANES)
    total = np.float64(0)
    for first in range(0, x.size, BLOCK):
        block = x[first : min(first + BLOCK, x.size)]
        clear(lane)
        whole = LANES * (block.size // LANES)
        for k in range(0, whole, LANES):
            values = block[k : k + LANES]
            for j in range(LANES):
                lane[j] += values[j]
        values = block[whole:]
        for j in range(values.size):
            lane[j] += values[j]
        total += folded(lane)
    return total


def planes_together(inner):
    return max(1, BLOCK // inner)


def add_deviations(x, center, folds, lane, square, sums, squares, at):
    for first in range(0, x.size, BLOCK):
        block = x[first : min(first + BLOCK, x.size)]
        whole = LANES * (block.size // LANES)
        for k in range(0, whole, LANES):
            values = block[k : k + LANES]
            for j in range(LANES):
                d = values[j] - center
                lane[j] += d
                square[j] += d * d
        values = block[whole:]
        for j in range(values.size):
            d = values[j] - center
            lane[j] += d
            square[j] += d * d
        if folds or first + BLOCK < x.size:
            sums[at] += folded(lane)
            squares[at] += folded(square)
            clear(lane)
            clear(square)


def merge_part(total, square, center, before, count, mean, variance, at):
    delta = total / count
    between = (np.float64(center) + delta) - mean[at]
    within = square - total * delta
    mean[at] = mean[at] + between * (count / (before + count))
    variance[at] = variance[at] + (within + between * between * (before * count / (before + count)))


def normalize_plane(x, added, y, center, scale, shift, adds, relu):
    if adds:
        for i in range(x.size):
            z = ((x[i] - center) * scale + shift) + added[i]
            y[i] = passed(z, z) if relu else z
    else:
        for i in range(x.size):
            z = (x[i] - center) * scale + shift
            y[i] = passed(z, z) if relu else z


def masked(dy, x, added, center, scale, shift, adds, relu):
    """dy, as ReLU lets it through; `added` is x itself where nothing was."""
    z = (x - center) * scale + shift
    z = z + added if adds else z
    return passed(dy, z) if relu else dy


def add_gradients(dy, x, added, center, inv, scale, shift, adds, relu, folds, lane, product, sums, products, at):
    for first in range(0, x.size, BLOCK):
        last = min(first + BLOCK, x.size)
        block, slopes, more = x[first:last], dy[first:last], added[first:last]
        whole = LANES * (block.size // LANES)
        for k in range(0, whole, LANES):
            values, slope, others = block[k : k + LANES], slopes[k : k + LANES], more[k : k + LANES]
            for j in range(LANES):
                d = masked(slope[j], values[j], others[j], center, scale, shift, adds, relu)
                lane[j] += d
                product[j] += d * ((values[j] - center) * inv)
        values, slope, others = block[whole:], slopes[whole:], more[whole:]
        for j in range(values.size):
            d = masked(slope[j], values[j], others[j], center, scale, shift, adds, relu)
            lane[j] += d
            product[j] += d * ((values[j] - center) * inv)
        if folds or last < x.size:
            sums[at] += folded(lane)
            products[at] += folded(product)
            clear(lane)
            clear(product)


def gradient_plane(dy, x, added, dx, dadded, center, scale, shift, mean_dy, factor, adds, relu, training):
    for i in range(x.size):
        d = masked(dy[i], x[i], added[i], center, scale, shift, adds, relu)
        dx[i] = scale * (direction(d, x[i] - center, mean_dy, factor) if training else d - mean_dy)
        if adds and relu:
            dadded[i] = d


def moments(x, c, batch, inner, batch_stride, channel_stride, mean, variance):
    lane, square = carray(on_stack(32), LANES), carray(on_stack(32), LANES)
    sums, squares = carray(doubles_on_stack(32), LANES), carray(doubles_on_stack(32), LANES)
    clear(lane)
    clear(square)
    mean[c], variance[c], sums[0], squares[0] = 0.0, 0.0, 0.0, 0.0
    at = c * channel_stride
    beginning = min(BLOCK, inner)
    center = real(sum_of(x[at : at + beginning]) / beginning)
    together, before = planes_together(inner), 0
    for n in range(batch):
        at = c * channel_stride + n * batch_stride
        merges = n + 1 == batch or n + 1 >= 2 * before
        folds = merges or (n + 1 - before) % together == 0
        add_deviations(x[at : at + inner], center, folds, lane, square, sums, squares, 0)
        if merges:
            count = np.float64((n + 1 - before) * inner)
            merge_part(sums[0], squares[0], center, np.float64(before * inner), count, mean, variance, c)
            center = real(mean[c])
            sums[0], squares[0] = 0.0, 0.0
            before = n + 1
    variance[c] = variance[c] / (batch * inner)
    if mean[c] - mean[c] != 0.0:
        mean[c] = 0.0
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            for i in range(at, at + inner):
                mean[c] = mean[c] + x[i]
        mean[c] = mean[c] / (batch * inner)


def normalize_channel(
    x, gamma, beta, mean, invstd, added, y, batch, inner, batch_stride, channel_stride, relu, adds, c
):  # fmt: skip
    center, scale = real(mean[c]), real(scale_of(gamma, invstd, c))
    shift = real(shift_of(gamma, beta, mean, invstd, c))
    for n in range(batch):
        at = c * channel_stride + n * batch_stride
        last = at + inner
        normalize_plane(x[at:last], added[at:last], y[at:last], center, scale, shift, adds != 0.0, relu != 0.0)


def sum_channel(
    dy, x, gamma, beta, mean, invstd, added, sums, products, batch, inner, batch_stride, channel_stride, relu, adds, c
):  # fmt: skip
    center, inv, scale = real(mean[c]), real(invstd[c]), real(scale_of(gamma, invstd, c))
    shift = real(shift_of(gamma, beta, mean, invstd, c))
    lane, product = carray(on_stack(32), LANES), carray(on_stack(32), LANES)
    clear(lane)
    clear(product)
    sums[c], products[c] = 0.0, 0.0
    together = planes_together(inner)
    for n in range(batch):
        at = c * channel_stride + n * batch_stride
        last, folds = at + inner, n + 1 == batch or (n + 1) % together == 0
        slope, plane, more = dy[at:last], x[at:last], (added if adds != 0.0 else x)[at:last]
        add_gradients(
            slope,
            plane,
            more,
            center,
            inv,
            scale,
            shift,
            adds != 0.0,
            relu != 0.0,
            folds,
            lane,
            product,
            sums,
            products,
            c,
        )
    products[c] = products[c] - correction(mean[c], center, invstd[c] * sums[c])


def gradient_channel(
    dy, x, gamma, beta, mean, invstd, added, sums, products, dx, dadded, batch, inner, batch_stride, channel_stride,
    training, relu, adds, count, c,
):  # fmt: skip
    center, scale = real(mean[c]), real(scale_of(gamma, invstd, c))
    shift, factor = real(shift_of(gamma, beta, mean, invstd, c)), real(factor_of(invstd, products, count, c))
    mean_dy = real(mean_dy_of(mean, invstd, sums, products, count, training != 0.0, c))
    for n in range(batch):
        at = c * channel_stride + n * batch_stride
        last = at + inner
        slope, plane, more = dy[at:last], x[at:last], (added if adds != 0.0 else x)[at:last]
        gradient_plane(
            slope, plane, more, dx[at:last], dadded[at:last], center, scale, shift, mean_dy, factor, adds != 0.0,
            relu != 0.0, training != 0.0,
        )  # fmt: skip
