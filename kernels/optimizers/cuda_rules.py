"""What a step does to one element besides the rule, for the CUDA target: the formulas of stages.pyx."""

from math import sqrt

import numpy as np

from fastopt.kernels.optimizers.rules import lamb_direction


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


# ---- what the passes of LARS, LAMB and Adafactor measure beside the parameter


def signed(grad, grad_scale):
    return grad_scale * grad


def lamb_update(
    param, grad, exp_avg, exp_avg_sq,
    step_size, beta1, one_minus_beta1, beta2, one_minus_beta2, correction, root_correction, eps, weight_decay,
    grad_scale,
):  # fmt: skip
    grad = grad_scale * grad
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    return lamb_direction(param, exp_avg, exp_avg_sq, correction, root_correction, eps, weight_decay)


def adafactor_update(grad, variance, step_size, beta2, one_minus_beta2, floor, decay, grad_scale):
    grad = grad_scale * grad
    variance = beta2 * variance + one_minus_beta2 * grad * grad
    floored = floor if variance < floor else variance
    return grad / sqrt(floored)
