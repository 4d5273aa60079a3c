"""Loops of the losses where a plain elementwise loop won't do: the operations of compiled.pyx, in the same order.

The shape of them is explained there: 32 lanes inside a long row, tiles of 16 short rows side by side. `real`, the
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
    for k in range(16):
        first = min(k, count - 1) * columns
        for c in range(columns):
            tile[16 * c + k] = rows[first + c]


def store_tile(rows, tile, columns, count):
    for k in range(count):
        for c in range(columns):
            rows[k * columns + c] = tile[16 * c + k]


# ---- what follows a loss kernel


def row_means(value, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    share = real(dims[1])
    lanes = carray(on_stack(16), 16)
    r = start
    while columns < SHORT and r + 16 <= stop:
        tile = value[r * columns : (r + 16) * columns]
        for k in range(16):
            lanes[k] = 0.0
        for c in range(columns):
            for k in range(16):
                lanes[k] += tile[k * columns + c]
        for k in range(16):
            values[r + k] = lanes[k] / share
        r += 16
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


def softmax_tile(x, t, value, columns, scale):
    top, mass = carray(on_stack(16), 16), carray(on_stack(16), 16)
    targets, dot, factor = carray(on_stack(16), 16), carray(on_stack(16), 16), carray(on_stack(16), 16)
    for k in range(16):
        top[k] = x[k]
        mass[k] = 0.0
        targets[k] = 0.0
        dot[k] = 0.0
    for c in range(columns):
        for k in range(16):
            top[k] = x[16 * c + k] if x[16 * c + k] > top[k] else top[k]
    for c in range(columns):
        for k in range(16):
            d = below(x[16 * c + k], top[k])
            term = t[16 * c + k] * d
            dot[k] += 0.0 if t[16 * c + k] == 0.0 else term
            targets[k] += t[16 * c + k]
            e = exp(d)
            mass[k] += e
            x[16 * c + k] = e
    for k in range(16):
        value[k] = targets[k] * log(mass[k]) - dot[k]
        factor[k] = scale * targets[k] / mass[k]
    for c in range(columns):
        for k in range(16):
            x[16 * c + k] = factor[k] * x[16 * c + k] - scale * t[16 * c + k]


def softmax_sparse_short(labels, y_pred, gradient, values, columns, gradient_wanted, ignore_class, scale, start, stop):
    x, t, value = carray(on_stack(512), 512), carray(on_stack(512), 512), carray(on_stack(16), 16)
    for r in range(start, stop, 16):
        count = min(16, stop - r)
        load_tile(x, y_pred[r * columns : (r + count) * columns], columns, count)
        for c in range(16 * columns):
            t[c] = 0.0
        for k in range(count):
            if labels[r + k] != ignore_class:
                t[16 * labels[r + k] + k] = 1.0
        softmax_tile(x, t, value, columns, scale)
        for k in range(count):
            if labels[r + k] == ignore_class:
                value[k] = 0.0
                for c in range(columns):
                    x[16 * c + k] = 0.0
            values[r + k] = value[k]
        if gradient_wanted:
            store_tile(gradient[r * columns : (r + count) * columns], x, columns, count)


def softmax_sparse_row(label, row, out, gradient_wanted, scale):
    lanes = carray(on_stack(32), 32)
    top = row_max(row)
    picked = below(row[label], top)
    mass = np.float64(0)
    for first in range(0, row.size, CHUNK):
        x, y = row[first : min(first + CHUNK, row.size)], out[first : min(first + CHUNK, row.size)]
        cleared(lanes)
        for i in range(x.size // 32):
            a, b = x[32 * i : 32 * i + 32], y[32 * i : 32 * i + 32]
            for k in range(32):
                e = exp(below(a[k], top))
                b[k] = e
                lanes[k] += e
        a, b = x[x.size - x.size % 32 :], y[x.size - x.size % 32 :]
        for k in range(a.size):
            e = exp(below(a[k], top))
            b[k] = e
            lanes[k] += e
        mass += folded(lanes)
    if gradient_wanted:
        factor = scale / real(mass)
        for c in range(out.size):
            out[c] = factor * out[c]
        out[label] -= scale
    return log(real(mass)) - picked


def softmax_sparse(labels, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns, gradient_wanted, ignore_class, scale = dims[0], dims[1], dims[2], real(scalars[0])
    if columns < SHORT:
        softmax_sparse_short(
            labels, y_pred, gradient, values, columns, gradient_wanted, ignore_class, scale, start, stop
        )
        return
    for r in range(start, stop):
        row, out = y_pred[r * columns : (r + 1) * columns], gradient[r * columns : (r + 1) * columns]
        if labels[r] == ignore_class:
            values[r] = 0.0
            if gradient_wanted:
                out[:] = real(0)
        else:
            values[r] = softmax_sparse_row(labels[r], row, out, gradient_wanted, scale)


def smoothed(t, keep, shift):
    for i in range(t.size):
        t[i] = keep * t[i] + shift


def softmax_short(y_true, y_pred, gradient, values, columns, gradient_wanted, scale, keep, shift, start, stop):
    x, t, value = carray(on_stack(512), 512), carray(on_stack(512), 512), carray(on_stack(16), 16)
    for r in range(start, stop, 16):
        count = min(16, stop - r)
        load_tile(x, y_pred[r * columns : (r + count) * columns], columns, count)
        load_tile(t, y_true[r * columns : (r + count) * columns], columns, count)
        smoothed(t[: 16 * columns], keep, shift)
        softmax_tile(x, t, value, columns, scale)
        for k in range(count):
            values[r + k] = value[k]
        if gradient_wanted:
            store_tile(gradient[r * columns : (r + count) * columns], x, columns, count)


def softmax_step(wanted, row, out, lanes, target_lanes, dot_lanes, top, keep, shift):
    for k in range(row.size):
        t = keep * wanted[k] + shift
        d = below(row[k], top)
        term = t * d
        dot_lanes[k] += 0.0 if t == 0.0 else term
        target_lanes[k] += t
        e = exp(d)
        out[k] = e
        lanes[k] += e


def softmax_row(wanted, row, out, gradient_wanted, scale, keep, shift):
    lanes, target_lanes, dot_lanes = carray(on_stack(32), 32), carray(on_stack(32), 32), carray(on_stack(32), 32)
    top = row_max(row)
    mass = targets = dot = np.float64(0)
    for first in range(0, row.size, CHUNK):
        last = min(first + CHUNK, row.size)
        cleared(lanes)
        cleared(target_lanes)
        cleared(dot_lanes)
        for i in range(first, last, 32):
            j = min(i + 32, last)
            softmax_step(wanted[i:j], row[i:j], out[i:j], lanes, target_lanes, dot_lanes, top, keep, shift)
        mass += folded(lanes)
        targets += folded(target_lanes)
        dot += folded(dot_lanes)
    if gradient_wanted:
        factor = scale * real(targets) / real(mass)
        for c in range(out.size):
            t = keep * wanted[c] + shift
            out[c] = factor * out[c] - scale * t
    return real(targets) * log(real(mass)) - real(dot)


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


def probabilities_tile(x, t, value, columns, scale):
    mass, kept = carray(on_stack(16), 16), carray(on_stack(16), 16)
    for k in range(16):
        mass[k] = 0.0
        kept[k] = 0.0
        value[k] = 0.0
    for c in range(columns):
        for k in range(16):
            mass[k] += x[16 * c + k]
    for c in range(columns):
        for k in range(16):
            q = x[16 * c + k] / mass[k]
            value[k] -= t[16 * c + k] * log(clipped(q))
            kept[k] += t[16 * c + k] if inside(q) else 0.0
            slope = t[16 * c + k] / clipped(q)
            x[16 * c + k] = slope if inside(q) else 0.0
    for c in range(columns):
        for k in range(16):
            x[16 * c + k] = (kept[k] - x[16 * c + k]) * (scale / mass[k])


def probabilities_short(y_true, y_pred, gradient, values, columns, gradient_wanted, scale, keep, shift, start, stop):
    x, t, value = carray(on_stack(512), 512), carray(on_stack(512), 512), carray(on_stack(16), 16)
    for r in range(start, stop, 16):
        count = min(16, stop - r)
        load_tile(x, y_pred[r * columns : (r + count) * columns], columns, count)
        load_tile(t, y_true[r * columns : (r + count) * columns], columns, count)
        smoothed(t[: 16 * columns], keep, shift)
        probabilities_tile(x, t, value, columns, scale)
        for k in range(count):
            values[r + k] = value[k]
        if gradient_wanted:
            store_tile(gradient[r * columns : (r + count) * columns], x, columns, count)


def probabilities_step(wanted, row, out, lanes, kept_lanes, mass, keep, shift):
    for k in range(row.size):
        t = keep * wanted[k] + shift
        q = row[k] / mass
        lanes[k] -= t * log(clipped(q))
        kept_lanes[k] += t if inside(q) else 0.0
        slope = t / clipped(q)
        out[k] = slope if inside(q) else 0.0


def probabilities_row(wanted, row, out, gradient_wanted, scale, keep, shift):
    lanes, kept_lanes = carray(on_stack(32), 32), carray(on_stack(32), 32)
    mass = real(row_sum(row))
    loss = kept = np.float64(0)
    for first in range(0, row.size, CHUNK):
        last = min(first + CHUNK, row.size)
        cleared(lanes)
        cleared(kept_lanes)
        for i in range(first, last, 32):
            j = min(i + 32, last)
            probabilities_step(wanted[i:j], row[i:j], out[i:j], lanes, kept_lanes, mass, keep, shift)
        loss += folded(lanes)
        kept += folded(kept_lanes)
    if gradient_wanted:
        all_kept, factor = real(kept), scale / mass
        for c in range(out.size):
            out[c] = (all_kept - out[c]) * factor
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
