"""Initializer kernels for Numba: the groups of 16 counters of compiled.pyx around the values of rules.py."""

import numpy as np
from numpy import float64 as real  # stands for the kernel's type, which the generated module defines

from fastopt.kernels.initializers.rules import WIDE, normal_value, philox, uniform_value

PIECES = ()  # modules of this room whose text stands in front of the loops

LANES = 16
SIZE = 32 if WIDE else 64  # values of a group


def word(words, which):
    """Word number `which` of four."""
    a, b, c, d = words
    low = a if which == 0 else b
    high = c if which == 2 else d
    return low if which < 2 else high


def uniform(weights, dims, scalars, start, stop, partials):
    seed_low = dims[0]
    seed_high = dims[1]
    low = real(scalars[0])
    span = real(scalars[1])
    limit = real(scalars[2])
    k0, k1 = np.uint32(seed_low), np.uint32(seed_high)
    for index in range(start // SIZE, (stop + SIZE - 1) // SIZE):
        counter_low = np.uint32(index * LANES)
        counter_high = np.uint32(index * LANES >> 32)
        group = weights[index * SIZE : min(stop, index * SIZE + SIZE)]
        if group.size == SIZE:
            for j in range(LANES):
                a, b, c, d = philox(np.uint32(counter_low + np.uint32(j)), counter_high, k0, k1)
                if WIDE:
                    group[j] = uniform_value(a, c, low, span, limit)
                    group[LANES + j] = uniform_value(b, d, low, span, limit)
                else:
                    group[j] = uniform_value(a, a, low, span, limit)
                    group[LANES + j] = uniform_value(b, b, low, span, limit)
                    group[2 * LANES + j] = uniform_value(c, c, low, span, limit)
                    group[3 * LANES + j] = uniform_value(d, d, low, span, limit)
        else:  # the last values, one by one
            for i in range(group.size):
                words = philox(np.uint32(counter_low + np.uint32(i % LANES)), counter_high, k0, k1)
                group[i] = uniform_value(word(words, i // LANES), word(words, i // LANES + 2), low, span, limit)


def normal(weights, dims, scalars, start, stop, partials):
    seed_low = dims[0]
    seed_high = dims[1]
    mean = real(scalars[0])
    std = real(scalars[1])
    tail = real(scalars[2])
    scale = real(scalars[3])
    bound = real(scalars[4])
    k0, k1 = np.uint32(seed_low), np.uint32(seed_high)
    for index in range(start // SIZE, (stop + SIZE - 1) // SIZE):
        counter_low = np.uint32(index * LANES)
        counter_high = np.uint32(index * LANES >> 32)
        group = weights[index * SIZE : min(stop, index * SIZE + SIZE)]
        if group.size == SIZE:
            for j in range(LANES):
                a, b, c, d = philox(np.uint32(counter_low + np.uint32(j)), counter_high, k0, k1)
                if WIDE:
                    group[j] = normal_value(a, c, mean, std, tail, scale, bound)
                    group[LANES + j] = normal_value(b, d, mean, std, tail, scale, bound)
                else:
                    group[j] = normal_value(a, a, mean, std, tail, scale, bound)
                    group[LANES + j] = normal_value(b, b, mean, std, tail, scale, bound)
                    group[2 * LANES + j] = normal_value(c, c, mean, std, tail, scale, bound)
                    group[3 * LANES + j] = normal_value(d, d, mean, std, tail, scale, bound)
        else:  # the last values, one by one
            for i in range(group.size):
                words = philox(np.uint32(counter_low + np.uint32(i % LANES)), counter_high, k0, k1)
                first, second = word(words, i // LANES), word(words, i // LANES + 2)
                group[i] = normal_value(first, second, mean, std, tail, scale, bound)
