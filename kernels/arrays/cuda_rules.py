"""What is summed up of many arrays on a GPU."""

import numpy as np


def squared(x):
    wide = np.float64(x)
    return wide * wide


def not_finite(x):
    return np.float64(0) if x - x == 0.0 else np.float64(1)
