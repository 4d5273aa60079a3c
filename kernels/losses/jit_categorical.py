"""Loops of cross-entropies: the operations of compiled_categorical.pyx, in the same order."""

# ruff: noqa: F821 (the generated module has the kernel's type `real`, and `on_stack`)

from math import exp, log

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
    probabilities_tile,
    row_max,
    row_sum,
    softmax_tile,
    store_tile,
)

PIECES = ("pieces",)  # modules of this room whose text stands in front of the loops


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
