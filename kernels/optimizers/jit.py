"""Optimizer kernels that measure, or walk by rows, for Numba: the operations of compiled_layers.pyx, in the same order.

Sums are float64, in 32 lanes, folded in halves.
"""

# ruff: noqa: F821 (the generated module has the kernel's type `real`)

from math import sqrt

import numpy as np

from fastopt.kernels.runtime.lanes import folded

PIECES = ()  # modules of this room whose text stands in front of the loops


def lars_norms(param, grad, dims, scalars, start, stop, partials):
    grad_scale = real(scalars[4])
    param, grad = param[start:stop], grad[start:stop]
    params, grads = np.zeros(32), np.zeros(32)
    whole = (stop - start) // 32 * 32
    for i in range(0, whole, 32):
        for k in range(32):
            p = np.float64(param[i + k])
            g = np.float64(grad_scale * grad[i + k])
            params[k] += p * p
            grads[k] += g * g
    for i in range(whole, stop - start):
        p = np.float64(param[i])
        g = np.float64(grad_scale * grad[i])
        params[0] += p * p
        grads[0] += g * g
    partials[0] += folded(params)
    partials[1] += folded(grads)


def lamb_norms(param, grad, exp_avg, exp_avg_sq, dims, scalars, start, stop, partials):
    beta1, one_minus_beta1 = real(scalars[1]), real(scalars[2])
    beta2, one_minus_beta2 = real(scalars[3]), real(scalars[4])
    correction, root_correction = real(scalars[5]), real(scalars[6])
    eps, weight_decay, grad_scale = real(scalars[7]), real(scalars[8]), real(scalars[9])
    param, grad, exp_avg, exp_avg_sq = (
        param[start:stop], grad[start:stop], exp_avg[start:stop], exp_avg_sq[start:stop],
    )  # fmt: skip
    params, updates = np.zeros(32), np.zeros(32)
    whole = (stop - start) // 32 * 32
    for i in range(0, whole, 32):
        for k in range(32):
            g = grad_scale * grad[i + k]
            m = beta1 * exp_avg[i + k] + one_minus_beta1 * g
            v = beta2 * exp_avg_sq[i + k] + one_minus_beta2 * g * g
            u = np.float64(lamb_direction(param[i + k], m, v, correction, root_correction, eps, weight_decay))
            p = np.float64(param[i + k])
            params[k] += p * p
            updates[k] += u * u
    for i in range(whole, stop - start):
        g = grad_scale * grad[i]
        m = beta1 * exp_avg[i] + one_minus_beta1 * g
        v = beta2 * exp_avg_sq[i] + one_minus_beta2 * g * g
        u = np.float64(lamb_direction(param[i], m, v, correction, root_correction, eps, weight_decay))
        p = np.float64(param[i])
        params[0] += p * p
        updates[0] += u * u
    partials[0] += folded(params)
    partials[1] += folded(updates)


def adafactor_vector_norms(param, grad, variance, dims, scalars, start, stop, partials):
    beta2, one_minus_beta2 = real(scalars[1]), real(scalars[2])
    floor, grad_scale = real(scalars[3]), real(scalars[5])
    grad, variance = grad[start:stop], variance[start:stop]
    lanes = np.zeros(32)
    whole = (stop - start) // 32 * 32
    for i in range(0, whole, 32):
        for k in range(32):
            g = grad_scale * grad[i + k]
            u = np.float64(direction(g, beta2 * variance[i + k] + one_minus_beta2 * g * g, floor))
            lanes[k] += u * u
    for i in range(whole, stop - start):
        g = grad_scale * grad[i]
        u = np.float64(direction(g, beta2 * variance[i] + one_minus_beta2 * g * g, floor))
        lanes[0] += u * u
    partials[0] += squares(param[start:stop])
    partials[1] += folded(lanes)


def direction(grad, variance, floor):
    variance = floor if variance < floor else variance
    return grad / sqrt(variance)


def squares(values):
    """Return the sum of squares."""
    lanes = np.zeros(32)
    whole = values.size // 32 * 32
    for i in range(0, whole, 32):
        for k in range(32):
            x = np.float64(values[i + k])
            lanes[k] += x * x
    for i in range(whole, values.size):
        x = np.float64(values[i])
        lanes[0] += x * x
    return folded(lanes)


def adafactor_factors(param, grad, row_var, col_var, row_next, col_next, dims, scalars, start, stop, partials):
    columns, rows, whole = dims[0], dims[1], dims[2]
    beta2 = real(scalars[1])
    one_minus_beta2 = scalars[2]
    grad_scale = real(scalars[5])
    lanes = np.zeros(32)
    i = start
    while i < stop:
        row = i // columns
        column = i - row * columns
        count = min(stop - i, columns - column)
        if column == 0:
            row_next[row] = beta2 * row_var[row]
        row_next[row] += real(
            one_minus_beta2 / columns * squared(grad[i : i + count], grad_scale, partials, 1 + column, lanes)
        )
        i += count
        if whole != 0 and column + count == columns and (row + 1) % rows == 0:
            first = row // rows * columns
            for k in range(columns):
                col_next[first + k] = beta2 * col_var[first + k] + real(one_minus_beta2 / rows * partials[1 + k])
                partials[1 + k] = 0.0
    partials[0] += squares(param[start:stop])


def squared(grad, grad_scale, sums, at, lanes):
    """Add the squares of a piece of a row to sums[at:], and return their sum."""
    lanes[:] = 0.0
    whole = grad.size // 32 * 32
    for i in range(0, whole, 32):
        for k in range(32):
            g = np.float64(grad_scale * grad[i + k])
            lanes[k] += g * g
            sums[at + i + k] += g * g
    for i in range(whole, grad.size):
        g = np.float64(grad_scale * grad[i])
        lanes[0] += g * g
        sums[at + i] += g * g
    return folded(lanes)


def adafactor_norms(grad, row_next, col_next, row_mean, dims, scalars, start, stop, partials):
    columns, rows = dims[0], dims[1]
    floor, grad_scale = real(scalars[3]), real(scalars[5])
    lanes = np.zeros(32)
    i = start
    while i < stop:
        row = i // columns
        column = i - row * columns
        count = min(stop - i, columns - column)
        scale = row_next[row] / row_mean[row // rows]
        first = row // rows * columns + column
        col, piece = col_next[first : first + count], grad[i : i + count]
        whole = count // 32 * 32
        for j in range(0, whole, 32):
            for k in range(32):
                u = np.float64(direction(grad_scale * piece[j + k], scale * col[j + k], floor))
                lanes[k] += u * u
        for k in range(whole, count):
            u = np.float64(direction(grad_scale * piece[k], scale * col[k], floor))
            lanes[0] += u * u
        i += count
    partials[0] += folded(lanes)


def adafactor(
    param, grad, row_var, col_var, row_next, col_next, row_mean, dims, scalars, start, stop, partials
):  # fmt: skip
    columns, rows = dims[0], dims[1]
    step_size, floor = real(scalars[0]), real(scalars[3])
    decay, grad_scale = real(scalars[4]), real(scalars[5])
    i = start
    while i < stop:
        row = i // columns
        column = i - row * columns
        count = min(stop - i, columns - column)
        scale = row_next[row] / row_mean[row // rows]
        first = row // rows * columns + column
        col, piece, own = col_next[first : first + count], grad[i : i + count], param[i : i + count]
        if column == 0:
            row_var[row] = row_next[row]
        if row % rows == 0:
            col_var[first : first + count] = col
        for k in range(count):
            own[k] = decay * own[k] - step_size * direction(grad_scale * piece[k], scale * col[k], floor)
        i += count
