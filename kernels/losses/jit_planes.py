"""Softmax along an axis that is not the last one: the operations of compiled_planes.pyx, in the same order."""

# ruff: noqa: F821 (the generated module has the kernel's type `real`, and the two `on_stack`)

from math import exp as exp_nonpositive
from math import log

import numpy as np
from numba import carray

from fastopt.kernels.losses.pieces import CHUNK, SHORT, WIDTH, below, fold, one_hot_tile, softmax_tile

PIECES = ("pieces",)  # modules of this room whose text stands in front of the loops


def softmax_sparse_planes(labels, y_pred, weight, gradient, values, dims, scalars, start, stop, partials):
    columns = dims[0]
    gradient_wanted = dims[1]
    ignore_class = dims[2]
    plane = dims[3]
    weighted = dims[4]
    scale = real(scalars[0])
    z_loss = real(scalars[1])
    keep = real(scalars[2])
    shift = real(scalars[3])
    deep, lanes, t = carray(on_stack(2048), 2048), carray(on_stack(2048), 2048), carray(on_stack(1024), 1024)
    top, share, of_label = carray(on_stack(64), 64), carray(on_stack(64), 64), carray(on_stack(64), 64)
    e, wanted = carray(on_stack(64), 64), carray(on_stack(64), 64)
    factor, value = carray(on_stack(64), 64), carray(on_stack(64), 64)
    masses, depths = carray(doubles_on_stack(64), 64), carray(doubles_on_stack(64), 64)
    r = start
    while r < stop:
        begin = (r // plane) * columns * plane + r % plane
        size = min(32 if columns < SHORT else WIDTH, stop - r, plane - r % plane)
        for k in range(size):
            share[k] = weight[r + k] if weighted else 1.0
        if columns < SHORT:
            for c in range(columns):
                x = y_pred[begin + c * plane : begin + c * plane + size]
                for k in range(32):
                    lanes[32 * c + k] = x[min(k, size - 1)]
            one_hot_tile(t, labels[r : r + size], columns, size, ignore_class, keep, shift)
            softmax_tile(lanes, t, value, columns, scale, z_loss)
            for c in range(columns * gradient_wanted):
                out = gradient[begin + c * plane : begin + c * plane + size]
                for k in range(size):
                    out[k] = share[k] * lanes[32 * c + k]
        else:
            for k in range(size):
                top[k] = y_pred[begin + k]
            for c in range(1, columns):
                x = y_pred[begin + c * plane : begin + c * plane + size]
                for k in range(size):
                    top[k] = x[k] if x[k] > top[k] else top[k]
            for k in range(32 * WIDTH):
                lanes[k] = 0.0
                deep[k] = 0.0
            for k in range(WIDTH):
                masses[k] = np.float64(0)
                depths[k] = np.float64(0)
            for k in range(size):
                label = 0 if labels[r + k] == ignore_class else labels[r + k]
                wanted[k] = below(y_pred[begin + label * plane + k], top[k])
            for c in range(columns):
                x = y_pred[begin + c * plane : begin + c * plane + size]
                depth_of = deep[WIDTH * (c % 32) : WIDTH * (c % 32) + size]
                for k in range(size if shift != 0.0 else 0):
                    depth_of[k] += below(x[k], top[k])
                for k in range(size):
                    e[k] = exp_nonpositive(below(x[k], top[k]))
                lane = lanes[WIDTH * (c % 32) : WIDTH * (c % 32) + size]
                for k in range(size):
                    lane[k] += e[k]
                if gradient_wanted:
                    out = gradient[begin + c * plane : begin + c * plane + size]
                    for k in range(size):
                        out[k] = e[k]
                if (c + 1) % CHUNK == 0 or c + 1 == columns:
                    fold(lanes, masses)
                    if shift != 0.0:
                        fold(deep, depths)
            spread = scale * shift
            for k in range(size):
                mass = real(masses[k])
                label = 0 if labels[r + k] == ignore_class else labels[r + k]
                at = begin + label * plane + k
                value[k] = log(mass) - keep * wanted[k]
                if shift != 0.0:
                    value[k] -= shift * real(depths[k])
                pull = real(1.0)
                if z_loss != 0.0:
                    level = top[k] + log(mass)
                    value[k] += z_loss * (level * level)
                    pull = 1.0 + 2.0 * z_loss * level
                factor[k] = scale * pull / mass
                if gradient_wanted:
                    of_label[k] = share[k] * ((factor[k] * gradient[at] - spread) - scale * keep)
            for c in range(columns * gradient_wanted):
                out = gradient[begin + c * plane : begin + c * plane + size]
                for k in range(size):
                    out[k] = share[k] * (factor[k] * out[k] - spread)
            for k in range(size * gradient_wanted):
                if labels[r + k] != ignore_class:
                    gradient[begin + labels[r + k] * plane + k] = of_label[k]
        for k in range(size):
            values[r + k] = value[k]
            if labels[r + k] == ignore_class:
                values[r + k] = 0.0
                for c in range(columns * gradient_wanted):
                    gradient[begin + c * plane + k] = 0.0
        r += size
