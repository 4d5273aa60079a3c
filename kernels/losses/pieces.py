"""What the loops of jit_*.py are made of, for Numba: the operations of pieces.pxd, in the same order, explained there.

`real`, the kernel's type, and `on_stack` belong to every kernel's module.
"""
# ruff: noqa: F821

import math
from math import exp, log
from math import exp as exp_nonpositive

import numpy as np
from numba import carray

from fastopt.kernels.losses.rules import EPSILON, HIGH
from fastopt.kernels.runtime.lanes import folded

SHORT = 32
CHUNK = 1024
WIDTH = 64


# ---- sums and tiles


def lane_sum(x):
    lanes = carray(on_stack(32), 32)
    total = np.float64(0)
    for first in range(0, x.size, CHUNK):
        last = min(first + CHUNK, x.size)
        for k in range(32):
            lanes[k] = 0.0
        for i in range(first, last, 32):
            step = x[i : min(i + 32, last)]
            for k in range(step.size):
                lanes[k] += step[k]
        total += folded(lanes)
    return total


def row_sum(row):
    if row.size >= SHORT:
        return lane_sum(row)
    in_order = real(0)
    for c in range(row.size):
        in_order += row[c]
    return np.float64(in_order)


def product_sum(a, b):
    products = carray(on_stack(1024), 1024)
    total = np.float64(0)
    for first in range(0, a.size, CHUNK):
        x, y = a[first : min(first + CHUNK, a.size)], b[first : min(first + CHUNK, a.size)]
        for c in range(x.size):
            products[c] = x[c] * y[c]
        total += row_sum(products[: x.size])
    return total


def scaled_product_sum(a, b, of_a, of_b):
    products = carray(on_stack(1024), 1024)
    total = np.float64(0)
    for first in range(0, a.size, CHUNK):
        x, y = a[first : min(first + CHUNK, a.size)], b[first : min(first + CHUNK, a.size)]
        for c in range(x.size):
            products[c] = (of_a * x[c]) * (of_b * y[c])
        total += row_sum(products[: x.size])
    return total


def fold(lanes, totals):
    width = 16
    while width > 0:
        for k in range(width * WIDTH):
            lanes[k] += lanes[width * WIDTH + k]
        width //= 2
    for k in range(WIDTH):
        totals[k] += lanes[k]
    for k in range(32 * WIDTH):
        lanes[k] = 0.0


def power_below(row):
    largest = real(0)
    for c in range(row.size):
        if not abs(row[c]) < np.inf:
            return real(1)
        largest = abs(row[c]) if abs(row[c]) > largest else largest
    if largest > 1:
        return real(math.ldexp(np.float64(1), 2 - math.frexp(np.float64(largest))[1]))
    return real(1)


def row_max(row):
    lanes = carray(on_stack(32), 32)
    for k in range(32):
        lanes[k] = row[k]
    for i in range(32, row.size, 32):
        step = row[i : min(i + 32, row.size)]
        for k in range(step.size):
            lanes[k] = step[k] if step[k] > lanes[k] else lanes[k]
    for k in range(1, 32):
        lanes[0] = lanes[k] if lanes[k] > lanes[0] else lanes[0]
    return lanes[0]


def load_tile(tile, rows, columns, count, keep, shift):
    for k in range(32):
        first = min(k, count - 1) * columns
        for c in range(columns):
            tile[32 * c + k] = rows[first + c]
    for c in range(32 * columns):
        tile[c] = keep * tile[c] + shift


def one_hot_tile(tile, labels, columns, count, ignore_class, keep, shift):
    for c in range(32 * columns):
        tile[c] = shift
    for k in range(count):
        if labels[k] != ignore_class:
            tile[32 * labels[k] + k] = keep + shift


def store_tile(rows, tile, columns, count):
    for k in range(count):
        for c in range(columns):
            rows[k * columns + c] = tile[32 * c + k]


# ---- softmax


def below(x, top):
    difference = x - top
    return 0.0 if x == top else difference


def exponentials(row, out, top):
    mass, finite = np.float64(0), top - top == 0.0
    for first in range(0, row.size, CHUNK):
        x, y = row[first : min(first + CHUNK, row.size)], out[first : min(first + CHUNK, row.size)]
        for c in range(x.size if finite else 0):
            y[c] = exp_nonpositive(x[c] - top)
        for c in range(0 if finite else x.size):
            y[c] = exp_nonpositive(below(x[c], top))
        mass += lane_sum(y)
    return real(mass)


def depth(row, chunk, top):
    total = np.float64(0)
    for first in range(0, row.size, CHUNK):
        x = row[first : min(first + CHUNK, row.size)]
        for c in range(x.size):
            chunk[c] = below(x[c], top)
        total += lane_sum(chunk[: x.size])
    return total


def softmax_tile(x, t, value, columns, scale, z_loss):
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
        x[c] = exp_nonpositive(x[c])
    for c in range(columns):
        for k in range(32):
            mass[k] += x[32 * c + k]
    for k in range(32):
        value[k] = targets[k] * log(mass[k]) - dot[k]
        factor[k] = scale * targets[k] / mass[k]
    for k in range(32 if z_loss != 0.0 else 0):
        level = top[k] + log(mass[k])
        value[k] += z_loss * (level * level)
        factor[k] = scale * (targets[k] + 2.0 * z_loss * level) / mass[k]
    for c in range(columns):
        for k in range(32):
            x[32 * c + k] = factor[k] * x[32 * c + k] - scale * t[32 * c + k]


# ---- probabilities


def clipped(q):
    q = EPSILON if q < EPSILON else q
    return HIGH if q > HIGH else q


def inside(q):
    return (q >= EPSILON) & (q <= HIGH)


def probabilities_tile(x, t, logs, value, columns, scale):
    mass, kept = carray(on_stack(32), 32), carray(on_stack(32), 32)
    for k in range(32):
        mass[k] = 0.0
        kept[k] = 0.0
        value[k] = 0.0
    for c in range(columns):
        for k in range(32):
            mass[k] += x[32 * c + k]
    for c in range(columns):
        for k in range(32):
            x[32 * c + k] = x[32 * c + k] / mass[k]
    for c in range(32 * columns):
        logs[c] = log(clipped(x[c]))
    for c in range(columns):
        for k in range(32):
            value[k] -= t[32 * c + k] * logs[32 * c + k]
            kept[k] += t[32 * c + k] if inside(x[32 * c + k]) else 0.0
    for k in range(32):
        mass[k] = scale / mass[k]
    for c in range(columns):
        for k in range(32):
            q = x[32 * c + k]
            slope = t[32 * c + k] / clipped(q)
            slope = slope if inside(q) else 0.0
            x[32 * c + k] = (kept[k] - slope) * mass[k]


def focal_slopes(p, e, wanted, top, mass, keep, shift, alpha, gamma, terms, slopes):
    log_mass = log(mass)
    for c in range(e.size):
        exponent = gamma * log(1.0 - e[c] / mass)
        exponent = 0.0 if gamma == 0.0 else exponent
        terms[c] = exp(exponent)
    for c in range(e.size):
        t = alpha * (keep * wanted[c] + shift)
        q = e[c] / mass
        rest = 1.0 - q
        logarithm = below(p[c], top) - log_mass
        ratio = logarithm / rest
        ratio = -1.0 if rest == 0.0 else ratio
        weighed = q * ratio
        weighed = 0.0 if q == 0.0 else weighed
        weighed = t * (gamma * terms[c] * weighed - terms[c])
        slopes[c] = 0.0 if t == 0.0 else weighed
        logarithm = -(t * terms[c] * logarithm)
        terms[c] = 0.0 if t == 0.0 else logarithm
