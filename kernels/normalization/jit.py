"""Batch normalization loops for Numba: those of compiled.pyx, operation by operation, explained there.

`real`, the kernel's type, and the two `on_stack` belong to every kernel's module.
"""
# ruff: noqa: F821

from math import sqrt

from numba import carray

from fastopt.kernels.normalization.rules import activated, gradient, passed, residual, standardized

LANES = 32
BLOCK = 1024
ROWS = 32
PANEL = 256


def fold(lanes):
    width = 16
    while width > 0:
        for j in range(width):
            lanes[j] += lanes[width + j]
        width //= 2
    return lanes[0]


def clear(lanes):
    for j in range(LANES):
        lanes[j] = 0.0


# ---- a plane of one channel


def add_values(x, sums):
    lane = carray(on_stack(32), LANES)
    for first in range(0, x.size, BLOCK):
        block = x[first : min(first + BLOCK, x.size)]
        clear(lane)
        whole = block.size // LANES
        for k in range(whole):
            values = block[LANES * k : LANES * k + LANES]
            for j in range(LANES):
                lane[j] += values[j]
        values = block[LANES * whole :]
        for j in range(values.size):
            lane[j] += values[j]
        for j in range(LANES):
            sums[j] += lane[j]


def add_deviations(x, center, sums, squares):
    lane, square = carray(on_stack(32), LANES), carray(on_stack(32), LANES)
    for first in range(0, x.size, BLOCK):
        block = x[first : min(first + BLOCK, x.size)]
        clear(lane)
        clear(square)
        whole = block.size // LANES
        for k in range(whole):
            values = block[LANES * k : LANES * k + LANES]
            for j in range(LANES):
                d = values[j] - center
                lane[j] += d
                square[j] += d * d
        values = block[LANES * whole :]
        for j in range(values.size):
            d = values[j] - center
            lane[j] += d
            square[j] += d * d
        for j in range(LANES):
            sums[j] += lane[j]
            squares[j] += square[j]


def normalize_plane(x, y, center, rest, inv, weight, bias, relu):
    if relu:
        for i in range(x.size):
            y[i] = activated(standardized(x[i], center, rest, inv) * weight + bias)
    else:
        for i in range(x.size):
            y[i] = standardized(x[i], center, rest, inv) * weight + bias


def add_gradients(dy, x, center, rest, inv, weight, bias, relu, sums, products):
    lane, product = carray(on_stack(32), LANES), carray(on_stack(32), LANES)
    for first in range(0, x.size, BLOCK):
        last = min(first + BLOCK, x.size)
        block, slopes = x[first:last], dy[first:last]
        clear(lane)
        clear(product)
        whole = block.size // LANES
        for k in range(whole):
            values, slope = block[LANES * k : LANES * k + LANES], slopes[LANES * k : LANES * k + LANES]
            if relu:
                for j in range(LANES):
                    xhat = standardized(values[j], center, rest, inv)
                    d = passed(slope[j], xhat * weight + bias)
                    lane[j] += d
                    product[j] += d * xhat
            else:
                for j in range(LANES):
                    xhat = standardized(values[j], center, rest, inv)
                    lane[j] += slope[j]
                    product[j] += slope[j] * xhat
        values, slope = block[LANES * whole :], slopes[LANES * whole :]
        for j in range(values.size):
            xhat = standardized(values[j], center, rest, inv)
            d = passed(slope[j], xhat * weight + bias) if relu else slope[j]
            lane[j] += d
            product[j] += d * xhat
        for j in range(LANES):
            sums[j] += lane[j]
            products[j] += product[j]


def gradient_plane(dy, x, dx, center, rest, inv, weight, bias, relu, training, mean_dy, mean_product):
    scale = weight * inv
    if training and relu:
        for i in range(x.size):
            xhat = standardized(x[i], center, rest, inv)
            d = passed(dy[i], xhat * weight + bias)
            dx[i] = gradient(d, xhat, scale, mean_dy, mean_product)
    elif training:
        for i in range(x.size):
            xhat = standardized(x[i], center, rest, inv)
            dx[i] = gradient(dy[i], xhat, scale, mean_dy, mean_product)
    elif relu:
        for i in range(x.size):
            xhat = standardized(x[i], center, rest, inv)
            dx[i] = scale * passed(dy[i], xhat * weight + bias)
    else:
        for i in range(x.size):
            dx[i] = scale * dy[i]


# ---- kernels whose unit is a channel


def channel_forward(x, gamma, beta, y, mean, variance, invstd, dims, scalars, start, stop, partials):
    batch, inner, batch_stride, channel_stride = dims[0], dims[1], dims[2], dims[3]
    eps, relu = scalars[0], scalars[1] != 0.0
    count = batch * inner
    sums, squares = carray(doubles_on_stack(32), LANES), carray(doubles_on_stack(32), LANES)
    for c in range(start, stop):
        clear(sums)
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            add_values(x[at : at + inner], sums)
        average = fold(sums) / count
        center = real(average)
        clear(sums)
        clear(squares)
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            add_deviations(x[at : at + inner], center, sums, squares)
        total = fold(sums)
        delta = total / count
        mean[c] = center + delta if delta - delta == 0.0 else average
        spread = (fold(squares) - total * delta) / count
        variance[c] = 0.0 if spread < 0.0 else spread
        invstd[c] = 1.0 / sqrt(variance[c] + eps)
        center = real(mean[c])
        rest, inv = real(residual(mean[c], center)), real(invstd[c])
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            normalize_plane(x[at : at + inner], y[at : at + inner], center, rest, inv, gamma[c], beta[c], relu)


def channel_normalize(x, gamma, beta, mean, invstd, y, dims, scalars, start, stop, partials):
    batch, inner, batch_stride, channel_stride = dims[0], dims[1], dims[2], dims[3]
    relu = scalars[0] != 0.0
    for c in range(start, stop):
        center = real(mean[c])
        rest, inv = real(residual(mean[c], center)), real(invstd[c])
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            normalize_plane(x[at : at + inner], y[at : at + inner], center, rest, inv, gamma[c], beta[c], relu)


def channel_backward(dy, x, gamma, beta, mean, invstd, dx, dgamma, dbeta, dims, scalars, start, stop, partials):
    batch, inner, batch_stride, channel_stride = dims[0], dims[1], dims[2], dims[3]
    training, relu = scalars[0] != 0.0, scalars[1] != 0.0
    count = batch * inner
    sums, products = carray(doubles_on_stack(32), LANES), carray(doubles_on_stack(32), LANES)
    for c in range(start, stop):
        center = real(mean[c])
        rest, inv = real(residual(mean[c], center)), real(invstd[c])
        weight, bias = gamma[c], beta[c]
        clear(sums)
        clear(products)
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            plane = dy[at : at + inner], x[at : at + inner]
            add_gradients(plane[0], plane[1], center, rest, inv, weight, bias, relu, sums, products)
        total, product = fold(sums), fold(products)
        dbeta[c] = real(total)
        dgamma[c] = real(product)
        mean_dy, mean_product = real(total / count), real(product / count)
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            gradient_plane(
                dy[at : at + inner], x[at : at + inner], dx[at : at + inner], center, rest, inv, weight, bias,
                relu, training, mean_dy, mean_product,
            )  # fmt: skip


# ---- kernels whose unit is a row


def load_constants(mean, invstd, center, rest, inv):
    for c in range(mean.size):
        center[c] = real(mean[c])
        rest[c] = real(residual(mean[c], center[c]))
        inv[c] = real(invstd[c])


def row_moments(x, dims, scalars, start, stop, partials):
    columns = dims[0]
    count = stop - start
    lanes, squares_lanes = carray(on_stack(256), PANEL), carray(on_stack(256), PANEL)
    centers = carray(on_stack(256), PANEL)
    all_sums, all_squares = carray(doubles_on_stack(256), PANEL), carray(doubles_on_stack(256), PANEL)
    result = carray(partials, 2 * columns)
    for first in range(0, columns, PANEL):
        width = min(PANEL, columns - first)
        lane, square, center = lanes[:width], squares_lanes[:width], centers[:width]
        sums, squares = all_sums[:width], all_squares[:width]
        sums[:] = 0.0
        for block in range(start, stop, ROWS):
            lane[:] = 0.0
            for i in range(block, min(block + ROWS, stop)):
                row = x[i * columns + first : i * columns + first + width]
                for c in range(width):
                    lane[c] += row[c]
            for c in range(width):
                sums[c] += lane[c]
        for c in range(width):
            result[first + c] = sums[c]
            center[c] = real(sums[c] / count)
        sums[:] = 0.0
        squares[:] = 0.0
        for block in range(start, stop, ROWS):
            lane[:] = 0.0
            square[:] = 0.0
            for i in range(block, min(block + ROWS, stop)):
                row = x[i * columns + first : i * columns + first + width]
                for c in range(width):
                    d = row[c] - center[c]
                    lane[c] += d
                    square[c] += d * d
            for c in range(width):
                sums[c] += lane[c]
                squares[c] += square[c]
        for c in range(width):
            if sums[c] - sums[c] == 0.0:
                result[first + c] = count * center[c] + sums[c]
            result[columns + first + c] = squares[c] - sums[c] * (sums[c] / count)


def row_normalize(x, gamma, beta, mean, invstd, y, dims, scalars, start, stop, partials):
    columns, relu = dims[0], scalars[0] != 0.0
    centers, rests, invs = carray(on_stack(256), PANEL), carray(on_stack(256), PANEL), carray(on_stack(256), PANEL)
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        weight, bias = gamma[first:last], beta[first:last]
        center, rest, inv = centers[: last - first], rests[: last - first], invs[: last - first]
        load_constants(mean[first:last], invstd[first:last], center, rest, inv)
        for i in range(start, stop):
            row, out = x[i * columns + first : i * columns + last], y[i * columns + first : i * columns + last]
            if relu:
                for c in range(row.size):
                    out[c] = activated(standardized(row[c], center[c], rest[c], inv[c]) * weight[c] + bias[c])
            else:
                for c in range(row.size):
                    out[c] = standardized(row[c], center[c], rest[c], inv[c]) * weight[c] + bias[c]


def row_sums(dy, x, gamma, beta, mean, invstd, dims, scalars, start, stop, partials):
    columns, relu = dims[0], scalars[0] != 0.0
    centers, rests, invs = carray(on_stack(256), PANEL), carray(on_stack(256), PANEL), carray(on_stack(256), PANEL)
    lanes, products = carray(on_stack(256), PANEL), carray(on_stack(256), PANEL)
    result = carray(partials, 2 * columns)
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        weight, bias = gamma[first:last], beta[first:last]
        center, rest, inv = centers[: last - first], rests[: last - first], invs[: last - first]
        lane, product = lanes[: last - first], products[: last - first]
        load_constants(mean[first:last], invstd[first:last], center, rest, inv)
        for block in range(start, stop, ROWS):
            lane[:] = 0.0
            product[:] = 0.0
            for i in range(block, min(block + ROWS, stop)):
                row, slope = x[i * columns + first : i * columns + last], dy[i * columns + first : i * columns + last]
                if relu:
                    for c in range(row.size):
                        xhat = standardized(row[c], center[c], rest[c], inv[c])
                        d = passed(slope[c], xhat * weight[c] + bias[c])
                        lane[c] += d
                        product[c] += d * xhat
                else:
                    for c in range(row.size):
                        xhat = standardized(row[c], center[c], rest[c], inv[c])
                        lane[c] += slope[c]
                        product[c] += slope[c] * xhat
            for c in range(lane.size):
                result[first + c] += lane[c]
                result[columns + first + c] += product[c]


def row_backward(dy, x, gamma, beta, mean, invstd, sums, dx, dims, scalars, start, stop, partials):
    columns, rows = dims[0], dims[1]
    training, relu = scalars[0] != 0.0, scalars[1] != 0.0
    centers, rests, invs = carray(on_stack(256), PANEL), carray(on_stack(256), PANEL), carray(on_stack(256), PANEL)
    scales, means = carray(on_stack(256), PANEL), carray(on_stack(256), PANEL)
    mean_products = carray(on_stack(256), PANEL)
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        weight, bias = gamma[first:last], beta[first:last]
        center, rest, inv = centers[: last - first], rests[: last - first], invs[: last - first]
        scale, mean_dy = scales[: last - first], means[: last - first]
        mean_product = mean_products[: last - first]
        load_constants(mean[first:last], invstd[first:last], center, rest, inv)
        for c in range(scale.size):
            scale[c] = weight[c] * inv[c]
            mean_dy[c] = real(sums[first + c] / rows)
            mean_product[c] = real(sums[columns + first + c] / rows)
        for i in range(start, stop):
            row, slope = x[i * columns + first : i * columns + last], dy[i * columns + first : i * columns + last]
            out = dx[i * columns + first : i * columns + last]
            if training and relu:
                for c in range(row.size):
                    xhat = standardized(row[c], center[c], rest[c], inv[c])
                    d = passed(slope[c], xhat * weight[c] + bias[c])
                    out[c] = gradient(d, xhat, scale[c], mean_dy[c], mean_product[c])
            elif training:
                for c in range(row.size):
                    xhat = standardized(row[c], center[c], rest[c], inv[c])
                    out[c] = gradient(slope[c], xhat, scale[c], mean_dy[c], mean_product[c])
            elif relu:
                for c in range(row.size):
                    xhat = standardized(row[c], center[c], rest[c], inv[c])
                    out[c] = scale[c] * passed(slope[c], xhat * weight[c] + bias[c])
            else:
                for c in range(row.size):
                    out[c] = scale[c] * slope[c]
