"""Sums in 32 lanes, for Numba: lanes.pxd, in the same order. Every kernel's module has this text before its room's."""

import numpy as np

LANES = 32


def folded(lanes):
    width = LANES // 2
    while width > 0:
        for k in range(width):
            lanes[k] += lanes[width + k]
        width //= 2
    return np.float64(lanes[0])
