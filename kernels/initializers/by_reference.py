"""Initial weights by the reference: the functions of cpu.py over reference.py."""

import numpy as np

from fastopt.kernels.initializers import reference


def uniform(weights, seed, low, high):
    dtype = weights.dtype.type
    limit = np.nextafter(dtype(high), dtype(-np.inf))
    values = reference.uniform(weights.shape, seed, low, high, _drawn_as(weights))
    weights[...] = np.minimum(values, float(limit))


def normal(weights, seed, mean, std, truncated):
    weights[...] = reference.normal(weights.shape, seed, mean, std, _drawn_as(weights), truncated)


def orthogonal(weights, seed, gain, layout):
    weights[...] = reference.orthogonal(weights.shape, seed, gain, layout)


def _drawn_as(weights):
    """Return the type whose number of random bits a value is made of."""
    return "float64" if weights.itemsize == 8 else "float32"
