"""What a step does to one element besides the rule, for the CUDA target: the formulas of stages.pyx."""

import numpy as np


def clipped(grad, grad_scale, clip_value):
    """The scaled gradient within ±clip_value; NaN stays NaN."""
    g = grad_scale * grad
    g = clip_value if g > clip_value else g
    return -clip_value if g < -clip_value else g


def averaged(average, param, kept, added):
    return kept * average + added * param


def squared_change(param, before):
    change = np.float64(param) - np.float64(before)
    return change * change


def squared(x):
    wide = np.float64(x)
    return wide * wide


def none_if_finite(x):
    """0, or NaN if x isn't finite."""
    return np.float64(x) - np.float64(x)
