"""Normalization loops for Numba: those of compiled.pyx and of the .pxd files, explained there. Every sum and
every result is made by the same operations in the same order; only which rows and channels take turns is simpler.

`real`, the kernel's type, and the two `on_stack` belong to every kernel's module.
"""
# ruff: noqa: F821

from math import sqrt

from numba import carray

from fastopt.kernels.normalization.rules import direction, passed, residual, standardized

LANES = 32
BLOCK = 1024
ROWS = 32
PANEL = 1024
AT_ONCE = 16


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


def normalize_plane(x, y, mean, invstd, weight, bias, relu):
    center = real(mean)
    rest, inv = real(residual(mean, center)), real(invstd)
    for i in range(x.size):
        z = standardized(x[i], center, rest, inv) * weight + bias
        y[i] = passed(z, z, relu)


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
            for j in range(LANES):
                xhat = standardized(values[j], center, rest, inv)
                d = passed(slope[j], xhat * weight + bias, relu)
                lane[j] += d
                product[j] += d * xhat
        values, slope = block[LANES * whole :], slopes[LANES * whole :]
        for j in range(values.size):
            xhat = standardized(values[j], center, rest, inv)
            d = passed(slope[j], xhat * weight + bias, relu)
            lane[j] += d
            product[j] += d * xhat
        for j in range(LANES):
            sums[j] += lane[j]
            products[j] += product[j]


def gradient_plane(dy, x, dx, center, rest, inv, weight, bias, relu, training, mean_dy, mean_product):
    scale = weight * inv
    for i in range(x.size):
        xhat = standardized(x[i], center, rest, inv)
        d = passed(dy[i], xhat * weight + bias, relu)
        dx[i] = scale * (direction(d, xhat, mean_dy, mean_product) if training else d)


# ---- kernels whose unit is a channel


def channel_forward(x, gamma, beta, y, mean, variance, invstd, dims, scalars, start, stop, partials):
    batch = dims[0]
    inner = dims[1]
    batch_stride = dims[2]
    channel_stride = dims[3]
    eps = scalars[0]
    relu = scalars[1]
    count = batch * inner
    sums, squares = carray(doubles_on_stack(32), LANES), carray(doubles_on_stack(32), LANES)
    for c in range(start, stop):
        center = real(0.0)
        for turn in range(2):
            clear(sums)
            clear(squares)
            for n in range(batch):
                at = c * channel_stride + n * batch_stride
                add_deviations(x[at : at + inner], center, sums, squares)
            total = fold(sums)
            delta = total / count
            if turn == 0:
                mean[c] = delta
                center = real(delta)
        if delta - delta == 0.0:
            mean[c] = center + delta
        spread = (fold(squares) - total * delta) / count
        variance[c] = 0.0 if spread < 0.0 else spread
        invstd[c] = 1.0 / sqrt(variance[c] + eps)
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            normalize_plane(x[at : at + inner], y[at : at + inner], mean[c], invstd[c], gamma[c], beta[c], relu != 0.0)


def channel_normalize(x, gamma, beta, mean, invstd, y, dims, scalars, start, stop, partials):
    batch = dims[0]
    inner = dims[1]
    batch_stride = dims[2]
    channel_stride = dims[3]
    relu = scalars[0]
    for n in range(batch):
        for c in range(start, stop):
            at = c * channel_stride + n * batch_stride
            normalize_plane(x[at : at + inner], y[at : at + inner], mean[c], invstd[c], gamma[c], beta[c], relu != 0.0)


def channel_backward(dy, x, gamma, beta, mean, invstd, dx, dgamma, dbeta, dims, scalars, start, stop, partials):
    batch = dims[0]
    inner = dims[1]
    batch_stride = dims[2]
    channel_stride = dims[3]
    training = scalars[0]
    relu = scalars[1]
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
            slope, plane = dy[at : at + inner], x[at : at + inner]
            add_gradients(slope, plane, center, rest, inv, weight, bias, relu != 0.0, sums, products)
        total, product = fold(sums), fold(products)
        dbeta[c] = real(total)
        dgamma[c] = real(product)
        mean_dy, mean_product = real(total / count), real(product / count)
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            slope, plane, result = dy[at : at + inner], x[at : at + inner], dx[at : at + inner]
            gradient_plane(
                slope, plane, result, center, rest, inv, weight, bias, relu != 0.0, training != 0.0, mean_dy,
                mean_product,
            )  # fmt: skip


# ---- rows of many channels


def load_constants(mean, invstd, center, rest, inv):
    for c in range(mean.size):
        center[c] = real(mean[c])
        rest[c] = real(residual(mean[c], center[c]))
        inv[c] = real(invstd[c])


def row_statistics(x, columns, start, stop, all_sums, all_squares):
    count = stop - start
    centers, lanes, more_lanes = (
        carray(on_stack(1024), PANEL),
        carray(on_stack(1024), PANEL),
        carray(on_stack(1024), PANEL),
    )
    totals = carray(doubles_on_stack(1024), PANEL)
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        sums, squares, total = all_sums[first:last], all_squares[first:last], totals[: last - first]
        center, lane, square = centers[: last - first], lanes[: last - first], more_lanes[: last - first]
        center[:] = 0.0
        for turn in range(2):
            total[:] = 0.0
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
                    total[c] += lane[c]
                    squares[c] += square[c]
            for c in range(total.size):
                if turn == 0:
                    sums[c] = total[c]
                    center[c] = real(total[c] / count)
                elif total[c] - total[c] == 0.0:
                    sums[c] = count * center[c] + total[c]
        for c in range(total.size):
            squares[c] = squares[c] - total[c] * (total[c] / count)


def normalize_all(x, y, columns, start, stop, gamma, beta, mean, invstd, relu):
    centers, rests, invs = carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL)
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        weight, bias = gamma[first:last], beta[first:last]
        center, rest, inv = centers[: last - first], rests[: last - first], invs[: last - first]
        load_constants(mean[first:last], invstd[first:last], center, rest, inv)
        for i in range(start, stop):
            row, out = x[i * columns + first : i * columns + last], y[i * columns + first : i * columns + last]
            for c in range(row.size):
                z = standardized(row[c], center[c], rest[c], inv[c]) * weight[c] + bias[c]
                out[c] = passed(z, z, relu)


def sum_gradients(dy, x, columns, start, stop, gamma, beta, mean, invstd, relu, all_sums, all_products):
    centers, rests, invs = carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL)
    lanes, more_lanes = carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL)
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        weight, bias = gamma[first:last], beta[first:last]
        sums, products = all_sums[first:last], all_products[first:last]
        center, rest, inv = centers[: last - first], rests[: last - first], invs[: last - first]
        lane, product = lanes[: last - first], more_lanes[: last - first]
        load_constants(mean[first:last], invstd[first:last], center, rest, inv)
        sums[:] = 0.0
        products[:] = 0.0
        for block in range(start, stop, ROWS):
            lane[:] = 0.0
            product[:] = 0.0
            for i in range(block, min(block + ROWS, stop)):
                row, slope = x[i * columns + first : i * columns + last], dy[i * columns + first : i * columns + last]
                for c in range(row.size):
                    xhat = standardized(row[c], center[c], rest[c], inv[c])
                    d = passed(slope[c], xhat * weight[c] + bias[c], relu)
                    lane[c] += d
                    product[c] += d * xhat
            for c in range(lane.size):
                sums[c] += lane[c]
                products[c] += product[c]


def gradient_all(dy, x, dx, columns, start, stop, gamma, beta, mean, invstd, sums, products, count, relu, training):
    centers, rests, invs = carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL)
    means, mean_products = carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL)
    for first in range(0, columns, PANEL):
        last = min(first + PANEL, columns)
        weight, bias = gamma[first:last], beta[first:last]
        center, rest, inv = centers[: last - first], rests[: last - first], invs[: last - first]
        mean_dy, mean_product = means[: last - first], mean_products[: last - first]
        load_constants(mean[first:last], invstd[first:last], center, rest, inv)
        for c in range(center.size):
            mean_dy[c] = real(sums[first + c] / count)
            mean_product[c] = real(products[first + c] / count)
        for i in range(start, stop):
            row, slope = x[i * columns + first : i * columns + last], dy[i * columns + first : i * columns + last]
            out = dx[i * columns + first : i * columns + last]
            for c in range(row.size):
                xhat = standardized(row[c], center[c], rest[c], inv[c])
                d = passed(slope[c], xhat * weight[c] + bias[c], relu)
                scale = weight[c] * inv[c]
                out[c] = scale * (direction(d, xhat, mean_dy[c], mean_product[c]) if training else d)


# ---- kernels whose unit is a row


def row_forward(x, gamma, beta, y, mean, variance, invstd, dims, scalars, start, stop, partials):
    columns = dims[0]
    eps = scalars[0]
    relu = scalars[1]
    count = stop - start
    row_statistics(x, columns, start, stop, mean, variance)
    for c in range(columns):
        mean[c] = mean[c] / count
        variance[c] = 0.0 if variance[c] < 0.0 else variance[c] / count
        invstd[c] = 1.0 / sqrt(variance[c] + eps)
    normalize_all(x, y, columns, start, stop, gamma, beta, mean, invstd, relu != 0.0)


def row_moments(x, dims, scalars, start, stop, partials):
    columns = dims[0]
    results = carray(partials, 2 * columns)
    row_statistics(x, columns, start, stop, results[:columns], results[columns:])


def row_normalize(x, gamma, beta, mean, invstd, y, dims, scalars, start, stop, partials):
    columns = dims[0]
    relu = scalars[0]
    normalize_all(x, y, columns, start, stop, gamma, beta, mean, invstd, relu != 0.0)


def row_backward(dy, x, gamma, beta, mean, invstd, dx, dgamma, dbeta, dims, scalars, start, stop, partials):
    columns = dims[0]
    training = scalars[0]
    relu = scalars[1]
    results = carray(partials, 2 * columns)
    sums, products = results[:columns], results[columns:]
    sum_gradients(dy, x, columns, start, stop, gamma, beta, mean, invstd, relu != 0.0, sums, products)
    for c in range(columns):
        dbeta[c] = real(sums[c])
        dgamma[c] = real(products[c])
    gradient_all(
        dy, x, dx, columns, start, stop, gamma, beta, mean, invstd, sums, products, stop - start, relu != 0.0,
        training != 0.0,
    )  # fmt: skip


def row_sums(dy, x, gamma, beta, mean, invstd, dims, scalars, start, stop, partials):
    columns = dims[0]
    relu = scalars[0]
    results = carray(partials, 2 * columns)
    sum_gradients(
        dy, x, columns, start, stop, gamma, beta, mean, invstd, relu != 0.0, results[:columns], results[columns:]
    )


def row_gradient(dy, x, gamma, beta, mean, invstd, sums, dx, dims, scalars, start, stop, partials):
    columns = dims[0]
    rows = dims[1]
    training = scalars[0]
    relu = scalars[1]
    products = sums[columns:]
    gradient_all(
        dy, x, dx, columns, start, stop, gamma, beta, mean, invstd, sums, products, rows, relu != 0.0, training != 0.0
    )


# ---- rows that are normalized by themselves


def statistics(x, eps, mean, invstd, i):
    sums, squares = carray(doubles_on_stack(32), LANES), carray(doubles_on_stack(32), LANES)
    center = real(0.0)
    for turn in range(2):
        clear(sums)
        clear(squares)
        add_deviations(x, center, sums, squares)
        total = fold(sums)
        delta = total / x.size
        if turn == 0:
            mean[i] = delta
            center = real(delta)
    if delta - delta == 0.0:
        mean[i] = center + delta
    spread = (fold(squares) - total * delta) / x.size
    invstd[i] = 1.0 / sqrt((0.0 if spread < 0.0 else spread) + eps)


def add_weighted(dy, x, gamma, center, rest, inv, sums, products):
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
                product[j] += d * standardized(values[j], center, rest, inv)
        values, slope, weight = block[whole:], slopes[whole:], weights[whole:]
        for j in range(values.size):
            d = slope[j] * weight[j]
            lane[j] += d
            product[j] += d * standardized(values[j], center, rest, inv)
        for j in range(LANES):
            sums[j] += lane[j]
            products[j] += product[j]


def finish_row(dy, x, dx, gamma, center, rest, inv, mean_slope, mean_product, lane, product):
    for j in range(x.size):
        xhat = standardized(x[j], center, rest, inv)
        d = dy[j]
        lane[j] += d
        product[j] += d * xhat
        dx[j] = inv * direction(d * gamma[j], xhat, mean_slope, mean_product)


def gradient_rows(dy, x, gamma, mean, invstd, dx, columns, start, stop, centered, sums, products):
    row_sums, row_products = carray(doubles_on_stack(32), LANES), carray(doubles_on_stack(32), LANES)
    centers, rests = carray(on_stack(16), AT_ONCE), carray(on_stack(16), AT_ONCE)
    mean_slopes, mean_products = carray(on_stack(16), AT_ONCE), carray(on_stack(16), AT_ONCE)
    lanes, more_lanes = carray(on_stack(1024), PANEL), carray(on_stack(1024), PANEL)
    for block in range(start, stop, AT_ONCE):
        last = min(block + AT_ONCE, stop)
        for i in range(block, last):
            r, at = i - block, i * columns
            centers[r] = real(mean[i]) if centered else 0.0
            rests[r] = real(residual(mean[i], centers[r])) if centered else 0.0
            clear(row_sums)
            clear(row_products)
            slopes, values, inv = dy[at : at + columns], x[at : at + columns], real(invstd[i])
            add_weighted(slopes, values, gamma[:columns], centers[r], rests[r], inv, row_sums, row_products)
            mean_slopes[r] = real(fold(row_sums) / columns) if centered else 0.0
            mean_products[r] = real(fold(row_products) / columns)
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


def layer_forward(x, gamma, beta, y, mean, invstd, dims, scalars, start, stop, partials):
    columns = dims[0]
    eps = scalars[0]
    weight, bias = gamma[:columns], beta[:columns]
    for i in range(start, stop):
        row, out = x[i * columns : i * columns + columns], y[i * columns : i * columns + columns]
        statistics(row, eps, mean, invstd, i)
        center = real(mean[i])
        rest, inv = real(residual(mean[i], center)), real(invstd[i])
        for j in range(row.size):
            out[j] = standardized(row[j], center, rest, inv) * weight[j] + bias[j]


def layer_backward(dy, x, gamma, mean, invstd, dx, dims, scalars, start, stop, partials):
    columns = dims[0]
    results = carray(partials, 2 * columns)
    gradient_rows(
        dy, x, gamma, mean, invstd, dx, columns, start, stop, True, results[:columns], results[columns:]
    )  # fmt: skip


def rms_forward(x, gamma, y, invrms, dims, scalars, start, stop, partials):
    columns = dims[0]
    eps = scalars[0]
    weight = gamma[:columns]
    sums, squares = carray(doubles_on_stack(32), LANES), carray(doubles_on_stack(32), LANES)
    for i in range(start, stop):
        row, out = x[i * columns : i * columns + columns], y[i * columns : i * columns + columns]
        clear(sums)
        clear(squares)
        add_deviations(row, real(0.0), sums, squares)
        invrms[i] = 1.0 / sqrt(fold(squares) / columns + eps)
        inv = real(invrms[i])
        for j in range(row.size):
            out[j] = row[j] * inv * weight[j]


def rms_backward(dy, x, gamma, invrms, dx, dims, scalars, start, stop, partials):
    columns = dims[0]
    products = carray(partials, columns)
    gradient_rows(dy, x, gamma, invrms, invrms, dx, columns, start, stop, False, products, products)


def group_forward(x, gamma, beta, y, mean, invstd, dims, scalars, start, stop, partials):
    groups = dims[0]
    width = dims[1]
    inner = dims[2]
    eps = scalars[0]
    for i in range(start, stop):
        at = i * width * inner
        statistics(x[at : at + width * inner], eps, mean, invstd, i)
        for k in range(width):
            c = i % groups * width + k
            normalize_plane(x[at : at + inner], y[at : at + inner], mean[i], invstd[i], gamma[c], beta[c], False)
            at += inner


def group_backward(dy, x, gamma, mean, invstd, dx, dims, scalars, start, stop, partials):
    groups = dims[0]
    width = dims[1]
    inner = dims[2]
    sums, products = carray(doubles_on_stack(32), LANES), carray(doubles_on_stack(32), LANES)
    for i in range(start, stop):
        center = real(mean[i])
        rest, inv = real(residual(mean[i], center)), real(invstd[i])
        total, total_product = np.float64(0), np.float64(0)
        for k in range(width):
            at, c = (i * width + k) * inner, i % groups * width + k
            clear(sums)
            clear(products)
            slope, plane = dy[at : at + inner], x[at : at + inner]
            add_gradients(slope, plane, center, rest, inv, real(1.0), real(0.0), False, sums, products)
            partials[c] += fold(sums)
            partials[groups * width + c] += fold(products)
            total += gamma[c] * sums[0]
            total_product += gamma[c] * products[0]
        mean_slope, mean_product = real(total / (width * inner)), real(total_product / (width * inner))
        for k in range(width):
            at, weight = (i * width + k) * inner, gamma[i % groups * width + k]
            slope, plane, result = dy[at : at + inner], x[at : at + inner], dx[at : at + inner]
            for j in range(plane.size):
                xhat = standardized(plane[j], center, rest, inv)
                result[j] = inv * direction(slope[j] * weight, xhat, mean_slope, mean_product)
