"""Loops of the losses where a plain elementwise loop won't do: the operations of compiled.pyx, in the same order.

The shape of them is explained there: 32 lanes inside a long row, tiles of 32 short rows side by side. `real`, the
kernel's type, and `on_stack` belong to every kernel's module.
"""
# ruff: noqa: F821

from math import exp, log, sqrt

import numpy as np
from numba import carray

from fastopt.kernels.losses.rules import EPSILON, HIGH

SHORT = 32
CHUNK = 1024


# ---- sums and tiles


def folded(lanes):
    width = 16
    while width > 0:
        for k in range(width):
            lanes[k] += lanes[k + width]
        width //= 2
    return lanes[0]


def cleared(lanes):
    for k in range(32):
        lanes[k] = 0.0


def lane_sum(x):
    lanes = carray(on_stack(32), 32)
    total = np.float64(0)
    for first in range(0, x.size, CHUNK):
        chunk = x[first : min(first + CHUNK, x.size)]
        cleared(lanes)
        whole = chunk.size // 32
        for i in range(whole):
            step = chunk[32 * i : 32 * i + 32]
            for k in range(32):
                lanes[k] += step[k]
        rest = chunk[32 * whole :]
        for k in range(rest.size):
            lanes[k] += rest[k]
        total += folded(lanes)
    return total


def row_sum(row):
    if row.size >= SHORT:
        return lane_sum(row)
    in_order = real(0)
    for c in range(row.size):
        in_order += row[c]
    return np.float64(in_order)


def load_tile(tile, rows, columns, count):
    for k in range(32):
        first = min(k, count - 1) * columns
        for c in range(columns):
            tile[32 * c + k] = rows[first + c]


def store_tile(rows, tile, columns, count):
    for k in range(count):
        for c in range(columns):
            rows[k * columns + c] = tile[32 * c + k]


# ---- what follows a loss kernel


def row_means(value, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    divisor = real(dims[1])
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
            values[r + k] = lanes[k] / divisor
        r += 32
    while r < stop:
        values[r] = real(row_sum(value[r * columns : (r + 1) * columns])) / divisor
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


# ---- softmax losses


def row_max(row):
    lanes = carray(on_stack(32), 32)
    for k in range(32):
        lanes[k] = row[k]
    whole = row.size // 32
    for i in range(1, whole):
        step = row[32 * i : 32 * i + 32]
        for k in range(32):
            lanes[k] = step[k] if step[k] > lanes[k] else lanes[k]
    rest = row[32 * whole :]
    for k in range(rest.size):
        lanes[k] = rest[k] if rest[k] > lanes[k] else lanes[k]
    top = lanes[0]
    for k in range(1, 32):
        top = top if lanes[k] <= top else lanes[k]
    return top


def below(x, top):
    difference = x - top
    return 0.0 if x == top else difference


def exponentials(row, out, top):
    mass = np.float64(0)
    for first in range(0, row.size, CHUNK):
        x, y = row[first : min(first + CHUNK, row.size)], out[first : min(first + CHUNK, row.size)]
        for c in range(x.size):
            y[c] = exp(below(x[c], top))
        mass += lane_sum(y)
    return mass


def softmax_tile(x, t, value, columns, scale):
    top, mass, factor = carray(on_stack(32), 32), carray(on_stack(32), 32), carray(on_stack(32), 32)
    targets, dot = carray(on_stack(32), 32), carray(on_stack(32), 32)
    for k in range(32):
        top[k] = x[k]
        mass[k] = 0.0
        targets[k] = 0.0
        dot[k] = 0.0
    for c in range(columns):
        for k in range(32):
            top[k] = x[32 * c + k] if x[32 * c + k] > top[k] else top[k]
    for c in range(columns):
        for k in range(32):
            d = below(x[32 * c + k], top[k])
            x[32 * c + k] = d
            term = t[32 * c + k] * d
            dot[k] += 0.0 if t[32 * c + k] == 0.0 else term
            targets[k] += t[32 * c + k]
    for c in range(32 * columns):
        x[c] = exp(x[c])
    for c in range(columns):
        for k in range(32):
            mass[k] += x[32 * c + k]
    for k in range(32):
        value[k] = targets[k] * log(mass[k]) - dot[k]
        factor[k] = scale * targets[k] / mass[k]
    for c in range(columns):
        for k in range(32):
            x[32 * c + k] = factor[k] * x[32 * c + k] - scale * t[32 * c + k]


def softmax_sparse_short(labels, y_pred, gradient, values, columns, gradient_wanted, ignore_class, scale, start, stop):
    x, t, value = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024), carray(on_stack(32), 32)
    for r in range(start, stop, 32):
        count = min(32, stop - r)
        load_tile(x, y_pred[r * columns : (r + count) * columns], columns, count)
        for c in range(32 * columns):
            t[c] = 0.0
        for k in range(count):
            if labels[r + k] != ignore_class:
                t[32 * labels[r + k] + k] = 1.0
        softmax_tile(x, t, value, columns, scale)
        for k in range(count):
            if labels[r + k] == ignore_class:
                value[k] = 0.0
                for c in range(columns):
                    x[32 * c + k] = 0.0
            values[r + k] = value[k]
        if gradient_wanted:
            store_tile(gradient[r * columns : (r + count) * columns], x, columns, count)


def softmax_sparse(labels, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns, gradient_wanted, ignore_class, scale = dims[0], dims[1], dims[2], real(scalars[0])
    if columns < SHORT:
        softmax_sparse_short(
            labels, y_pred, gradient, values, columns, gradient_wanted, ignore_class, scale, start, stop
        )
        return
    for r in range(start, stop):
        row, out, label = y_pred[r * columns : (r + 1) * columns], gradient[r * columns : (r + 1) * columns], labels[r]
        if label == ignore_class:
            values[r] = 0.0
            if gradient_wanted:
                out[:] = real(0)
            continue
        top = row_max(row)
        picked = below(row[label], top)
        mass = real(exponentials(row, out, top))
        values[r] = log(mass) - picked
        if gradient_wanted:
            factor = scale / mass
            for c in range(out.size):
                out[c] = factor * out[c]
            out[label] -= scale


def smoothed(t, keep, shift):
    for i in range(t.size):
        t[i] = keep * t[i] + shift


def softmax_short(y_true, y_pred, gradient, values, columns, gradient_wanted, scale, keep, shift, start, stop):
    x, t, value = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024), carray(on_stack(32), 32)
    for r in range(start, stop, 32):
        count = min(32, stop - r)
        load_tile(x, y_pred[r * columns : (r + count) * columns], columns, count)
        load_tile(t, y_true[r * columns : (r + count) * columns], columns, count)
        smoothed(t[: 32 * columns], keep, shift)
        softmax_tile(x, t, value, columns, scale)
        for k in range(count):
            values[r + k] = value[k]
        if gradient_wanted:
            store_tile(gradient[r * columns : (r + count) * columns], x, columns, count)


def softmax_row(wanted, row, out, gradient_wanted, scale, keep, shift):
    target_lanes, dot_lanes = carray(on_stack(32), 32), carray(on_stack(32), 32)
    top = row_max(row)
    targets = dot = np.float64(0)
    for first in range(0, row.size, CHUNK):
        last = min(first + CHUNK, row.size)
        cleared(target_lanes)
        cleared(dot_lanes)
        for i in range(first, last, 32):
            x, w = row[i : min(i + 32, last)], wanted[i : min(i + 32, last)]
            for k in range(x.size):
                t = keep * w[k] + shift
                d = below(x[k], top)
                term = t * d
                dot_lanes[k] += 0.0 if t == 0.0 else term
                target_lanes[k] += t
        targets += folded(target_lanes)
        dot += folded(dot_lanes)
    mass = real(exponentials(row, out, top))
    if gradient_wanted:
        factor = scale * real(targets) / mass
        for c in range(out.size):
            t = keep * wanted[c] + shift
            out[c] = factor * out[c] - scale * t
    return real(targets) * log(mass) - real(dot)


def softmax(y_true, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns, gradient_wanted = dims[0], dims[1]
    scale, keep, shift = real(scalars[0]), real(scalars[1]), real(scalars[2])
    if columns < SHORT:
        softmax_short(y_true, y_pred, gradient, values, columns, gradient_wanted, scale, keep, shift, start, stop)
        return
    for r in range(start, stop):
        a, b = r * columns, (r + 1) * columns
        values[r] = softmax_row(y_true[a:b], y_pred[a:b], gradient[a:b], gradient_wanted, scale, keep, shift)


# ---- losses of probabilities


def clipped(q):
    q = EPSILON if q < EPSILON else q
    return HIGH if q > HIGH else q


def inside(q):
    return (q >= EPSILON) & (q <= HIGH)


def probabilities_sparse(labels, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns, gradient_wanted, ignore_class, scale = dims[0], dims[1], dims[2], real(scalars[0])
    for r in range(start, stop):
        row, out = y_pred[r * columns : (r + 1) * columns], gradient[r * columns : (r + 1) * columns]
        label = labels[r]
        if label == ignore_class:
            values[r] = 0.0
            if gradient_wanted:
                out[:] = real(0)
            continue
        mass = real(row_sum(row))
        q = row[label] / mass
        values[r] = -log(clipped(q))
        if gradient_wanted:
            kept = 1.0 if inside(q) else 0.0
            factor = scale / mass
            out[:] = kept * factor
            out[label] = (kept - kept / clipped(q)) * factor


def probabilities_tile(x, t, logs, value, columns, scale):
    mass, kept, factor = carray(on_stack(32), 32), carray(on_stack(32), 32), carray(on_stack(32), 32)
    for k in range(32):
        mass[k] = 0.0
        kept[k] = 0.0
        value[k] = 0.0
    for c in range(columns):
        for k in range(32):
            mass[k] += x[32 * c + k]
    for k in range(32):
        factor[k] = scale / mass[k]
    for c in range(columns):
        for k in range(32):
            x[32 * c + k] = x[32 * c + k] / mass[k]
    for c in range(32 * columns):
        logs[c] = log(clipped(x[c]))
    for c in range(columns):
        for k in range(32):
            value[k] -= t[32 * c + k] * logs[32 * c + k]
            kept[k] += t[32 * c + k] if inside(x[32 * c + k]) else 0.0
    for c in range(columns):
        for k in range(32):
            q = x[32 * c + k]
            slope = t[32 * c + k] / clipped(q)
            slope = slope if inside(q) else 0.0
            x[32 * c + k] = (kept[k] - slope) * factor[k]


def probabilities_short(y_true, y_pred, gradient, values, columns, gradient_wanted, scale, keep, shift, start, stop):
    x, t = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024)
    logs, value = carray(on_stack(1024), 1024), carray(on_stack(32), 32)
    for r in range(start, stop, 32):
        count = min(32, stop - r)
        load_tile(x, y_pred[r * columns : (r + count) * columns], columns, count)
        load_tile(t, y_true[r * columns : (r + count) * columns], columns, count)
        smoothed(t[: 32 * columns], keep, shift)
        probabilities_tile(x, t, logs, value, columns, scale)
        for k in range(count):
            values[r + k] = value[k]
        if gradient_wanted:
            store_tile(gradient[r * columns : (r + count) * columns], x, columns, count)


def probabilities_row(wanted, row, out, gradient_wanted, scale, keep, shift):
    x, t = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024)
    mass = real(row_sum(row))
    loss = kept = np.float64(0)
    for first in range(0, row.size, CHUNK):
        size = min(CHUNK, row.size - first)
        p, w = row[first : first + size], wanted[first : first + size]
        for c in range(size):
            q = p[c] / mass
            share = keep * w[c] + shift
            x[c] = share * log(clipped(q))
            t[c] = share if inside(q) else 0.0
        loss -= lane_sum(x[:size])
        kept += lane_sum(t[:size])
    if gradient_wanted:
        all_kept, factor = real(kept), scale / mass
        for c in range(out.size):
            q = row[c] / mass
            share = keep * wanted[c] + shift
            slope = share / clipped(q)
            slope = slope if inside(q) else 0.0
            out[c] = (all_kept - slope) * factor
    return real(loss)


def probabilities(y_true, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns, gradient_wanted = dims[0], dims[1]
    scale, keep, shift = real(scalars[0]), real(scalars[1]), real(scalars[2])
    if columns < SHORT:
        probabilities_short(y_true, y_pred, gradient, values, columns, gradient_wanted, scale, keep, shift, start, stop)
        return
    for r in range(start, stop):
        a, b = r * columns, (r + 1) * columns
        values[r] = probabilities_row(y_true[a:b], y_pred[a:b], gradient[a:b], gradient_wanted, scale, keep, shift)


# ---- cosine


def dot_product(a, b):
    result = np.float64(0)
    if a.size < SHORT:
        in_order = real(0)
        for c in range(a.size):
            in_order += a[c] * b[c]
        return result + in_order
    lanes = carray(on_stack(32), 32)
    for first in range(0, a.size, CHUNK):
        last = min(first + CHUNK, a.size)
        cleared(lanes)
        for i in range(first, last, 32):
            x, y = a[i : min(i + 32, last)], b[i : min(i + 32, last)]
            for k in range(x.size):
                lanes[k] += x[k] * y[k]
        result += folded(lanes)
    return result


def cosine_proximity(y_true, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns, gradient_wanted, scale = dims[0], dims[1], real(scalars[0])
    least = np.float64(1) / np.float64(10**7)
    for r in range(start, stop):
        t, p = y_true[r * columns : (r + 1) * columns], y_pred[r * columns : (r + 1) * columns]
        norm = sqrt(dot_product(t, t))
        norm = least if norm < least else norm
        length = sqrt(dot_product(p, p))
        cosine = dot_product(t, p) / norm
        back = 0.0 if length < least else 1.0
        length = least if length < least else length
        cosine = cosine / length
        values[r] = -cosine
        if gradient_wanted:
            out = gradient[r * columns : (r + 1) * columns]
            towards = real(scale / (norm * length))
            back = back * real(scale * cosine / (length * length))
            for c in range(columns):
                out[c] = back * p[c] - towards * t[c]


# ---- checks


def outside(value, dims, scalars, start, stop, partials):
    low, high = real(scalars[0]), real(scalars[1])
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
    columns, ignore_class = dims[0], dims[1]
    x = labels[start:stop]
    out = ignored = 0
    for i in range(x.size):
        out += ((x[i] < 0) | (x[i] >= columns)) & (x[i] != ignore_class)
        ignored += x[i] == ignore_class
    partials[0] += out
    partials[1] += ignored
