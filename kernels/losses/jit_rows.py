"""Loops of the other losses that couple a row's elements: the operations of compiled_rows.pyx, in the same order."""

# ruff: noqa: F821 (the generated module has the kernel's type `real`, and `on_stack`)

from math import sqrt

import numpy as np
from numba import carray

from fastopt.kernels.losses.pieces import CHUNK, power_below, product_sum, row_sum, scaled_product_sum

PIECES = ("pieces",)  # modules of this room whose text stands in front of the loops


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
