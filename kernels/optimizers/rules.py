"""Optimizer updates of one element: plain Python that Numba compiles for every target.

A rule takes the element's buffers and the step's scalars and returns the new values of the buffers that its
kernel writes. Scalars that do not change within a step (bias corrections, 1 - beta) come ready made, in double
precision, from scalars.py. `grad_scale` is -1 to maximize. NaN and Inf travel as the formula says.
"""

from math import sqrt


def gradient(param, grad, weight_decay, grad_scale):
    """The gradient with its sign and coupled (L2) decay; no decay leaves an infinite parameter alone."""
    grad = grad_scale * grad
    if weight_decay != 0.0:
        grad = grad + weight_decay * param
    return grad


def sgd(param, grad, lr, weight_decay, grad_scale):
    return param - lr * gradient(param, grad, weight_decay, grad_scale)


def sgd_momentum(param, grad, momentum_buffer, lr, momentum, one_minus_dampening, nesterov, weight_decay, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    momentum_buffer = momentum * momentum_buffer + one_minus_dampening * grad
    update = grad + momentum * momentum_buffer if nesterov != 0.0 else momentum_buffer
    return param - lr * update, momentum_buffer


def momentum(param, grad, velocity, lr, beta, one_minus_beta, weight_decay, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    velocity = beta * velocity + one_minus_beta * grad
    return param - lr * velocity, velocity


def adam(
    param, grad, exp_avg, exp_avg_sq,
    step_size, beta1, one_minus_beta1, beta2, one_minus_beta2, root_correction, eps, weight_decay, decay, grad_scale,
):  # fmt: skip
    grad = gradient(param, grad, weight_decay, grad_scale)
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    param = decay * param - step_size * exp_avg / (sqrt(exp_avg_sq) * root_correction + eps)
    return param, exp_avg, exp_avg_sq


def adam_amsgrad(
    param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq,
    step_size, beta1, one_minus_beta1, beta2, one_minus_beta2, root_correction, eps, weight_decay, decay, grad_scale,
):  # fmt: skip
    grad = gradient(param, grad, weight_decay, grad_scale)
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    max_exp_avg_sq = max_exp_avg_sq if max_exp_avg_sq > exp_avg_sq else exp_avg_sq
    param = decay * param - step_size * exp_avg / (sqrt(max_exp_avg_sq) * root_correction + eps)
    return param, exp_avg, exp_avg_sq, max_exp_avg_sq


def rmsprop(param, grad, square_avg, lr, alpha, one_minus_alpha, eps, weight_decay, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    square_avg = alpha * square_avg + one_minus_alpha * grad * grad
    return param - lr * grad / (sqrt(square_avg) + eps), square_avg


def rmsprop_momentum(
    param, grad, square_avg, momentum_buffer, lr, alpha, one_minus_alpha, eps, momentum, weight_decay, grad_scale
):
    grad = gradient(param, grad, weight_decay, grad_scale)
    square_avg = alpha * square_avg + one_minus_alpha * grad * grad
    momentum_buffer = momentum * momentum_buffer + grad / (sqrt(square_avg) + eps)
    return param - lr * momentum_buffer, square_avg, momentum_buffer


def centered_root(square_avg, grad_avg):
    """The root of the variance E[g^2] - E[g]^2, which rounding may take below zero; NaN stays NaN."""
    variance = square_avg - grad_avg * grad_avg
    return sqrt(0.0 if variance < 0.0 else variance)


def rmsprop_centered(param, grad, square_avg, grad_avg, lr, alpha, one_minus_alpha, eps, weight_decay, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    square_avg = alpha * square_avg + one_minus_alpha * grad * grad
    grad_avg = alpha * grad_avg + one_minus_alpha * grad
    return param - lr * grad / (centered_root(square_avg, grad_avg) + eps), square_avg, grad_avg


def rmsprop_centered_momentum(
    param, grad, square_avg, grad_avg, momentum_buffer,
    lr, alpha, one_minus_alpha, eps, momentum, weight_decay, grad_scale,
):  # fmt: skip
    grad = gradient(param, grad, weight_decay, grad_scale)
    square_avg = alpha * square_avg + one_minus_alpha * grad * grad
    grad_avg = alpha * grad_avg + one_minus_alpha * grad
    momentum_buffer = momentum * momentum_buffer + grad / (centered_root(square_avg, grad_avg) + eps)
    return param - lr * momentum_buffer, square_avg, grad_avg, momentum_buffer


def adagrad(param, grad, sum_of_squares, lr, eps, weight_decay, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    sum_of_squares = sum_of_squares + grad * grad
    return param - lr * grad / (sqrt(sum_of_squares) + eps), sum_of_squares
