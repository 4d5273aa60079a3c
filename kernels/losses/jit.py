"""Loops of the losses where a plain elementwise loop won't do: the operations of compiled.pyx, in the same order.

`real`, the kernel's type, and `on_stack` belong to every kernel's module.
"""
# ruff: noqa: F821

from math import exp, log, sqrt

import numpy as np
from numba import carray

from fastopt.kernels.losses.pieces import (
    CHUNK,
    SHORT,
    below,
    clipped,
    depth,
    exponentials,
    focal_slopes,
    inside,
    lane_sum,
    load_tile,
    one_hot_tile,
    power_below,
    probabilities_tile,
    product_sum,
    row_max,
    row_sum,
    scaled_product_sum,
    softmax_tile,
    store_tile,
)

PIECES = ("pieces",)  # modules of this room whose text stands in front of the loops

# ---- what follows a loss kernel


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


# ---- losses of rows


def softmax_row(wanted, row, out, gradient_wanted, scale, keep, shift, z_loss):
    x, t = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024)
    top = row_max(row)
    targets = dot = np.float64(0)
    for first in range(0, row.size, CHUNK):
        p, w = row[first : min(first + CHUNK, row.size)], wanted[first : min(first + CHUNK, row.size)]
        for c in range(p.size):
            t[c] = keep * w[c] + shift
            term = t[c] * below(p[c], top)
            x[c] = 0.0 if t[c] == 0.0 else term
        targets += lane_sum(t[: p.size])
        dot += lane_sum(x[: p.size])
    mass = exponentials(row, out, top)
    value = real(targets) * log(mass) - real(dot)
    pull = real(targets)
    if z_loss != 0.0:
        level = top + log(mass)
        value += z_loss * (level * level)
        pull = pull + 2.0 * z_loss * level
    if gradient_wanted:
        mass = scale * pull / mass
        for c in range(out.size):
            d = keep * wanted[c] + shift
            out[c] = mass * out[c] - scale * d
    return value


def softmax(y_true, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    scale = real(scalars[0])
    keep = real(scalars[1])
    shift = real(scalars[2])
    z_loss = real(scalars[3])
    x, t, value = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024), carray(on_stack(32), 32)
    for r in range(start, stop if columns < SHORT else start, 32):
        size = min(32, stop - r)
        a, b = r * columns, (r + size) * columns
        load_tile(x, y_pred[a:b], columns, size, real(1), real(0))
        load_tile(t, y_true[a:b], columns, size, keep, shift)
        softmax_tile(x, t, value, columns, scale, z_loss)
        for k in range(size):
            values[r + k] = value[k]
        if gradient_wanted:
            store_tile(gradient[a:b], x, columns, size)
    for r in range(start if columns >= SHORT else stop, stop):
        a, b = r * columns, (r + 1) * columns
        values[r] = softmax_row(y_true[a:b], y_pred[a:b], gradient[a:b], gradient_wanted, scale, keep, shift, z_loss)


def probabilities_row(wanted, row, out, gradient_wanted, scale, keep, shift):
    logs, t = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024)
    mass = real(lane_sum(row))
    loss = kept = np.float64(0)
    for first in range(0, row.size, CHUNK):
        p, w = row[first : min(first + CHUNK, row.size)], wanted[first : min(first + CHUNK, row.size)]
        for c in range(p.size):
            q = p[c] / mass
            share = keep * w[c] + shift
            logs[c] = share * log(clipped(q))
            t[c] = share if inside(q) else 0.0
        loss -= lane_sum(logs[: p.size])
        kept += lane_sum(t[: p.size])
    if gradient_wanted:
        all_kept = real(kept)
        for c in range(out.size):
            q = row[c] / mass
            slope = (keep * wanted[c] + shift) / clipped(q)
            slope = slope if inside(q) else 0.0
            out[c] = (all_kept - slope) * (scale / mass)
    return real(loss)


def probabilities(y_true, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    scale = real(scalars[0])
    keep = real(scalars[1])
    shift = real(scalars[2])
    x, t = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024)
    logs, value = carray(on_stack(1024), 1024), carray(on_stack(32), 32)
    for r in range(start, stop if columns < SHORT else start, 32):
        size = min(32, stop - r)
        a, b = r * columns, (r + size) * columns
        load_tile(x, y_pred[a:b], columns, size, real(1), real(0))
        load_tile(t, y_true[a:b], columns, size, keep, shift)
        probabilities_tile(x, t, logs, value, columns, scale)
        for k in range(size):
            values[r + k] = value[k]
        if gradient_wanted:
            store_tile(gradient[a:b], x, columns, size)
    for r in range(start if columns >= SHORT else stop, stop):
        a, b = r * columns, (r + 1) * columns
        values[r] = probabilities_row(y_true[a:b], y_pred[a:b], gradient[a:b], gradient_wanted, scale, keep, shift)


def softmax_sparse(labels, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    ignore_class = dims[2]
    scale = real(scalars[0])
    z_loss = real(scalars[1])
    keep = real(scalars[2])
    shift = real(scalars[3])
    x, t, value = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024), carray(on_stack(32), 32)
    for r in range(start, stop if columns < SHORT else start, 32):
        size = min(32, stop - r)
        a, b = r * columns, (r + size) * columns
        load_tile(x, y_pred[a:b], columns, size, real(1), real(0))
        one_hot_tile(t, labels[r : r + size], columns, size, ignore_class, keep, shift)
        softmax_tile(x, t, value, columns, scale, z_loss)
        for k in range(size):
            values[r + k] = value[k]
        if gradient_wanted:
            store_tile(gradient[a:b], x, columns, size)
    for r in range(start if columns >= SHORT else stop, stop):
        label = labels[r]
        if label == ignore_class:
            continue
        row, out = y_pred[r * columns : (r + 1) * columns], gradient[r * columns : (r + 1) * columns]
        top = row_max(row)
        picked = below(row[label], top)
        mass = exponentials(row, out, top)
        values[r] = log(mass) - keep * picked
        if shift != 0.0:
            values[r] -= shift * real(depth(row, x, top))
        pull = real(1.0)
        if z_loss != 0.0:
            level = top + log(mass)
            values[r] += z_loss * (level * level)
            pull = 1.0 + 2.0 * z_loss * level
        if gradient_wanted:
            mass = scale * pull / mass
            spread = scale * shift
            for c in range(out.size):
                out[c] = mass * out[c] - spread
            out[label] -= scale * keep
    for r in range(start, stop):
        if labels[r] == ignore_class:
            values[r] = 0.0
            for c in range(r * columns, (r + gradient_wanted) * columns):
                gradient[c] = 0.0


def probabilities_sparse(labels, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    ignore_class = dims[2]
    scale = real(scalars[0])
    for r in range(start, stop):
        out = gradient[r * columns : (r + 1) * columns]
        kept, mass, q, values[r] = 0.0, 1.0, 1.0, 0.0
        if labels[r] != ignore_class:
            mass = real(row_sum(y_pred[r * columns : (r + 1) * columns]))
            q = y_pred[r * columns + labels[r]] / mass
            values[r] = -log(clipped(q))
            kept = 1.0 if inside(q) else 0.0
        if gradient_wanted:
            for c in range(out.size):
                out[c] = kept * (scale / mass)
            if labels[r] != ignore_class:
                out[labels[r]] = (kept - kept / clipped(q)) * (scale / mass)


def cosine_proximity(y_true, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    scale = real(scalars[0])
    least = np.float64(1) / np.float64(10**7)
    for r in range(start, stop):
        t, p = y_true[r * columns : (r + 1) * columns], y_pred[r * columns : (r + 1) * columns]
        of_true = of_pred = real(1)
        norm, length, product = product_sum(t, t), product_sum(p, p), product_sum(t, p)
        if not (norm < np.inf and length < np.inf and abs(product) < np.inf):
            of_true, of_pred = power_below(t), power_below(p)
            norm = scaled_product_sum(t, t, of_true, of_true)
            length = scaled_product_sum(p, p, of_pred, of_pred)
            product = scaled_product_sum(t, p, of_true, of_pred)
        norm, length = sqrt(norm), sqrt(length)
        norm = least * of_true if norm < least * of_true else norm
        back = 0.0 if length < least * of_pred else 1.0
        length = least * of_pred if length < least * of_pred else length
        cosine = product / norm / length
        values[r] = -cosine
        if gradient_wanted:
            out = gradient[r * columns : (r + 1) * columns]
            towards = real(scale / (norm * length)) * of_pred
            back = back * real(scale * cosine / (length * length)) * of_pred
            for c in range(columns):
                out[c] = back * (of_pred * p[c]) - towards * (of_true * t[c])


# ---- checks


def outside(value, dims, scalars, start, stop, partials):
    low = real(scalars[0])
    high = real(scalars[1])
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
    columns = dims[0]
    ignore_class = dims[1]
    x = labels[start:stop]
    out = ignored = 0
    for i in range(x.size):
        out += ((x[i] < 0) | (x[i] >= columns)) & (x[i] != ignore_class)
        ignored += x[i] == ignore_class
    partials[0] += out
    partials[1] += ignored


# ---- further losses of rows


def categorical_hinge(y_true, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    scale = real(scalars[0])
    for r in range(start, stop):
        a, b = r * columns, (r + 1) * columns
        t, p, out = y_true[a:b], y_pred[a:b], gradient[a:b]
        best, at = (1.0 - t[0]) * p[0], 0
        for c in range(1, columns):
            other = (1.0 - t[c]) * p[c]
            if other > best or other != other:
                best, at = other, c
        margin = (np.float64(best) - product_sum(t, p)) + 1
        flat = real(0.0 if margin <= 0 else margin)
        values[r] = flat
        if gradient_wanted:
            steep = scale if margin > 0 else flat
            for c in range(columns):
                out[c] = 0.0 - steep * t[c]
            out[at] = out[at] + steep * (1.0 - t[at])


def overlap(y_true, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    scale = scalars[0]
    missed = scalars[1]
    added = scalars[2]
    epsilon = scalars[3]
    rest = (1 - missed) - added
    for r in range(start, stop):
        a, b = r * columns, (r + 1) * columns
        t, p, out = y_true[a:b], y_pred[a:b], gradient[a:b]
        common = product_sum(t, p)
        whole = ((rest * common + missed * row_sum(t)) + added * row_sum(p)) + epsilon
        values[r] = real(1 - common / whole)
        if gradient_wanted:
            slope = real(scale * ((rest * common - whole) / (whole * whole)))
            level = real(scale * (added * common / (whole * whole)))
            for c in range(columns):
                out[c] = slope * t[c] + level


def multi_margin(labels, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    scale = real(scalars[0])
    margin = real(scalars[1])
    squared = scalars[2]
    tile = carray(on_stack(1024), 1024)
    share = scale / real(columns)
    for r in range(start, stop):
        a, b = r * columns, (r + 1) * columns
        p, out, label = y_pred[a:b], gradient[a:b], labels[r]
        own = p[label]
        total = np.float64(0)
        for first in range(0, columns, CHUNK):
            part = p[first : min(first + CHUNK, columns)]
            for c in range(part.size):
                short_of = margin - (own - part[c])
                short_of = 0.0 if short_of <= 0.0 else short_of
                tile[c] = short_of * short_of if squared != 0 else short_of
            if first <= label < first + part.size:
                tile[label - first] = 0.0
            total += row_sum(tile[: part.size])
        values[r] = real(total / columns)
        if gradient_wanted:
            for c in range(columns):
                short_of = margin - (own - p[c])
                short_of = 0.0 if short_of <= 0.0 else short_of
                steep = 1.0 if short_of > 0.0 else short_of
                out[c] = share * (2.0 * short_of if squared != 0 else steep)
            out[label] = 0.0
            out[label] = real(-row_sum(out))


def generalized_crossentropy(labels, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    scale = real(scalars[0])
    q = real(scalars[1])
    for r in range(start, stop):
        logarithm = log(y_pred[r * columns + labels[r]])
        values[r] = (1.0 - exp(q * logarithm)) / q
        if gradient_wanted:
            gradient[r * columns : (r + 1) * columns] = 0.0
            gradient[r * columns + labels[r]] = -(scale * exp((q - 1.0) * logarithm))


def focal_probabilities(y_true, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    scale = real(scalars[0])
    keep = real(scalars[1])
    shift = real(scalars[2])
    alpha = real(scalars[3])
    gamma = real(scalars[4])
    logs, powers, slopes = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024), carray(on_stack(1024), 1024)
    for r in range(start, stop):
        a, b = r * columns, (r + 1) * columns
        row, all_wanted, out = y_pred[a:b], y_true[a:b], gradient[a:b]
        mass = real(row_sum(row))
        value, turned = np.float64(0), np.float64(0)
        for first in range(0, columns, CHUNK):
            last = min(first + CHUNK, columns)
            p, wanted = row[first:last], all_wanted[first:last]
            for c in range(p.size):
                logs[c] = log(clipped(p[c] / mass))
            for c in range(p.size):
                powers[c] = exp(gamma * log(1.0 - clipped(p[c] / mass)))
            for c in range(p.size):
                t = alpha * (keep * wanted[c] + shift)
                q = p[c] / mass
                rest = 1.0 - clipped(q)
                slope = t * (gamma * (powers[c] / rest) * logs[c] - powers[c] / clipped(q))
                slope = slope if inside(q) else 0.0
                logs[c] = -(t * powers[c] * logs[c])
                powers[c] = slope * q
                slopes[c] = slope
            value += row_sum(logs[: p.size])
            turned += row_sum(powers[: p.size])
            if gradient_wanted:
                for c in range(p.size):
                    out[first + c] = slopes[c]
        values[r] = real(value)
        if gradient_wanted:
            level = real(turned)
            for c in range(columns):
                out[c] = (out[c] - level) * (scale / mass)


def focal_softmax(y_true, y_pred, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    scale = real(scalars[0])
    keep = real(scalars[1])
    shift = real(scalars[2])
    alpha = real(scalars[3])
    gamma = real(scalars[4])
    terms, slopes = carray(on_stack(1024), 1024), carray(on_stack(1024), 1024)
    for r in range(start, stop):
        a, b = r * columns, (r + 1) * columns
        p, wanted, out = y_pred[a:b], y_true[a:b], gradient[a:b]
        top = p[0]
        for c in range(columns):
            top = p[c] if p[c] > top else top
        mass = exponentials(p, out, top)
        value, turned = np.float64(0), np.float64(0)
        for turn in range(2 if gradient_wanted else 1):
            level = real(turned)
            for first in range(0, columns, CHUNK):
                last = min(first + CHUNK, columns)
                part = out[first:last]
                focal_slopes(
                    p[first:last], part, wanted[first:last], top, mass, keep, shift, alpha, gamma, terms, slopes
                )  # fmt: skip
                if turn == 0:
                    value += row_sum(terms[: part.size])
                    turned += row_sum(slopes[: part.size])
                else:
                    for c in range(part.size):
                        part[c] = scale * (slopes[c] - part[c] / mass * level)
        values[r] = real(value)


# ---- options


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
