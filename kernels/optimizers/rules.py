"""Optimizer updates of one element: plain Python that Numba compiles for every target.

A rule takes the element's buffers and the step's scalars and returns the new values of the buffers that its
kernel writes. Scalars that do not change within a step (bias corrections, 1 - beta) come ready made, in double
precision, from scalars.py. `grad_scale` is -1 to maximize. NaN and Inf travel as the formula says.
"""

from math import exp, log, sqrt


def gradient(param, grad, weight_decay, grad_scale):
    """The gradient with its sign and coupled (L2) decay; no decay leaves an infinite parameter alone."""
    grad = grad_scale * grad
    if weight_decay != 0.0:
        grad = grad + weight_decay * param
    return grad


def sgd(param, grad, lr, weight_decay, grad_scale):
    return param - lr * gradient(param, grad, weight_decay, grad_scale)


def sgd_momentum(
    param, grad, momentum_buffer, lr, momentum, one_minus_dampening, nesterov, weight_decay, lr_inside, grad_scale
):
    grad = lr_inside * gradient(param, grad, weight_decay, grad_scale)
    momentum_buffer = momentum * momentum_buffer + one_minus_dampening * grad
    update = grad + momentum * momentum_buffer if nesterov != 0.0 else momentum_buffer
    return param - lr * update, momentum_buffer


def momentum(param, grad, velocity, lr, beta, one_minus_beta, weight_decay, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    velocity = beta * velocity + one_minus_beta * grad
    return param - lr * velocity, velocity


def sign(x):
    """-1, 0 or 1; NaN stays NaN."""
    below = -1.0 if x < 0.0 else x
    return 1.0 if x > 0.0 else below


def rprop(param, grad, prev, step_size, eta_minus, eta_plus, smallest, largest, grad_scale):
    grad = grad_scale * grad
    agreement = grad * prev
    factor = eta_minus if agreement < 0.0 else 1.0
    factor = eta_plus if agreement > 0.0 else factor
    step_size = step_size * factor
    step_size = smallest if step_size < smallest else step_size
    step_size = largest if step_size > largest else step_size
    grad = 0.0 if agreement < 0.0 else grad
    return param - step_size * sign(grad), grad, step_size


def asgd(param, grad, ax, eta, decay, mu, weight_decay, grad_scale):
    param = decay * param - eta * gradient(param, grad, weight_decay, grad_scale)
    average = ax + mu * (param - ax)
    return param, (param if mu == 1.0 else average)


def lion(param, grad, exp_avg, lr, beta1, one_minus_beta1, beta2, one_minus_beta2, decay, grad_scale):
    grad = grad_scale * grad
    direction = sign(beta1 * exp_avg + one_minus_beta1 * grad)
    return decay * param - lr * direction, beta2 * exp_avg + one_minus_beta2 * grad


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


def adamax(
    param, grad, exp_avg, exp_inf,
    step_size, beta1, one_minus_beta1, beta2, eps, weight_decay, eps_in_divisor, grad_scale,
):  # fmt: skip
    grad = gradient(param, grad, weight_decay, grad_scale)
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    faded = beta2 * exp_inf
    fresh = abs(grad) + eps
    larger = faded if faded > fresh else fresh
    exp_inf = faded if faded != faded else larger  # once NaN, for ever NaN
    return param - step_size * exp_avg / (exp_inf + eps_in_divisor), exp_avg, exp_inf


def nadam(
    param, grad, exp_avg, exp_avg_sq,
    grad_step, step_size, beta1, one_minus_beta1, beta2, one_minus_beta2, root_correction, eps, weight_decay,
    grad_scale,
):  # fmt: skip
    grad = gradient(param, grad, weight_decay, grad_scale)
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    update = (grad_step * grad + step_size * exp_avg) / (sqrt(exp_avg_sq) * root_correction + eps)
    return param - update, exp_avg, exp_avg_sq


def radam(
    param, grad, exp_avg, exp_avg_sq,
    step_size, beta1, one_minus_beta1, beta2, one_minus_beta2, rectified, eps, weight_decay, grad_scale,
):  # fmt: skip
    grad = gradient(param, grad, weight_decay, grad_scale)
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    scaled = exp_avg / (sqrt(exp_avg_sq) + eps)
    return param - step_size * (scaled if rectified != 0.0 else exp_avg), exp_avg, exp_avg_sq


def ademamix(
    param, grad, exp_avg_fast, exp_avg_slow, exp_avg_sq,
    step_size, slow_step_size, beta1, one_minus_beta1, beta2, one_minus_beta2, beta3, one_minus_beta3,
    root_correction, eps, decay, grad_scale,
):  # fmt: skip
    grad = grad_scale * grad
    exp_avg_fast = beta1 * exp_avg_fast + one_minus_beta1 * grad
    exp_avg_slow = beta3 * exp_avg_slow + one_minus_beta3 * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    update = (step_size * exp_avg_fast + slow_step_size * exp_avg_slow) / (sqrt(exp_avg_sq) * root_correction + eps)
    return decay * param - update, exp_avg_fast, exp_avg_slow, exp_avg_sq


def schedule_free_adamw(
    param, grad, exp_avg_sq, z,
    lr, averaging, step_size, beta2, one_minus_beta2, root_correction, eps, weight_decay, grad_scale,
):  # fmt: skip
    grad = grad_scale * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    direction = grad / (sqrt(exp_avg_sq) * root_correction + eps)
    if weight_decay != 0.0:
        direction = direction + weight_decay * param
    return param + averaging * (z - param) - step_size * direction, exp_avg_sq, z - lr * direction


def interpolate(param, end, weight):
    return param + weight * (end - param)


def rmsprop(param, grad, square_avg, lr, alpha, one_minus_alpha, eps, weight_decay, eps_in_root, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    square_avg = alpha * square_avg + one_minus_alpha * grad * grad
    return param - lr * grad / (sqrt(square_avg + eps_in_root) + eps), square_avg


def rmsprop_momentum(
    param, grad, square_avg, momentum_buffer,
    lr, alpha, one_minus_alpha, eps, momentum, weight_decay, eps_in_root, lr_inside, grad_scale,
):  # fmt: skip
    grad = gradient(param, grad, weight_decay, grad_scale)
    square_avg = alpha * square_avg + one_minus_alpha * grad * grad
    momentum_buffer = momentum * momentum_buffer + lr_inside * grad / (sqrt(square_avg + eps_in_root) + eps)
    return param - lr * momentum_buffer, square_avg, momentum_buffer


def centered_root(square_avg, grad_avg, eps_in_root):
    """The root of the variance E[g^2] - E[g]^2, which rounding may take below zero; NaN stays NaN."""
    variance = square_avg - grad_avg * grad_avg
    return sqrt((0.0 if variance < 0.0 else variance) + eps_in_root)


def rmsprop_centered(
    param, grad, square_avg, grad_avg, lr, alpha, one_minus_alpha, eps, weight_decay, eps_in_root, grad_scale
):
    grad = gradient(param, grad, weight_decay, grad_scale)
    square_avg = alpha * square_avg + one_minus_alpha * grad * grad
    grad_avg = alpha * grad_avg + one_minus_alpha * grad
    root = centered_root(square_avg, grad_avg, eps_in_root)
    return param - lr * grad / (root + eps), square_avg, grad_avg


def rmsprop_centered_momentum(
    param, grad, square_avg, grad_avg, momentum_buffer,
    lr, alpha, one_minus_alpha, eps, momentum, weight_decay, eps_in_root, lr_inside, grad_scale,
):  # fmt: skip
    grad = gradient(param, grad, weight_decay, grad_scale)
    square_avg = alpha * square_avg + one_minus_alpha * grad * grad
    grad_avg = alpha * grad_avg + one_minus_alpha * grad
    root = centered_root(square_avg, grad_avg, eps_in_root)
    momentum_buffer = momentum * momentum_buffer + lr_inside * grad / (root + eps)
    return param - lr * momentum_buffer, square_avg, grad_avg, momentum_buffer


def adagrad(param, grad, sum_of_squares, lr, eps, weight_decay, eps_in_root, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    sum_of_squares = sum_of_squares + grad * grad
    return param - lr * grad / (sqrt(sum_of_squares + eps_in_root) + eps), sum_of_squares


def adadelta(param, grad, square_avg, acc_delta, lr, rho, one_minus_rho, eps, weight_decay, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    square_avg = rho * square_avg + one_minus_rho * grad * grad
    delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * grad
    acc_delta = rho * acc_delta + one_minus_rho * delta * delta
    return param - lr * delta, square_avg, acc_delta


def ftrl(param, grad, z, n, inverse_lr, beta, l1, l2, l2_shrinkage, weight_decay, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    before = sqrt(n)
    n = n + grad * grad
    after = sqrt(n)
    grad = gradient(param, grad, l2_shrinkage, 1.0)
    z = z + grad - (after - before) * inverse_lr * param
    shrunk = z - l1 * sign(z)
    param = -shrunk / ((beta + after) * inverse_lr + l2)
    return (0.0 if abs(z) <= l1 else param), z, n


def power_of(n, power):
    """n to a power ≥ 0, of n ≥ 0; 1 where that is 0."""
    found = exp(power * log(n))
    return 1.0 if power == 0.0 else found


def ftrl_power(param, grad, z, n, inverse_lr, beta, l1, l2, l2_shrinkage, power, weight_decay, grad_scale):
    grad = gradient(param, grad, weight_decay, grad_scale)
    before = power_of(n, power)
    n = n + grad * grad
    after = power_of(n, power)
    grad = gradient(param, grad, l2_shrinkage, 1.0)
    z = z + grad - (after - before) * inverse_lr * param
    shrunk = z - l1 * sign(z)
    param = -shrunk / ((beta + after) * inverse_lr + l2)
    return (0.0 if abs(z) <= l1 else param), z, n


def lars(param, grad, momentum_buffer, rate, momentum, nesterov, weight_decay, grad_scale):
    grad = rate * gradient(param, grad, weight_decay, grad_scale)
    momentum_buffer = momentum * momentum_buffer + grad
    update = grad + momentum * momentum_buffer if nesterov != 0.0 else momentum_buffer
    return param - update, momentum_buffer


def lamb_direction(param, exp_avg, exp_avg_sq, correction, root_correction, eps, weight_decay):
    direction = correction * exp_avg / (sqrt(exp_avg_sq) * root_correction + eps)
    if weight_decay != 0.0:
        direction = direction + weight_decay * param
    return direction


def lamb(
    param, grad, exp_avg, exp_avg_sq,
    step_size, beta1, one_minus_beta1, beta2, one_minus_beta2, correction, root_correction, eps, weight_decay,
    grad_scale,
):  # fmt: skip
    grad = grad_scale * grad
    exp_avg = beta1 * exp_avg + one_minus_beta1 * grad
    exp_avg_sq = beta2 * exp_avg_sq + one_minus_beta2 * grad * grad
    direction = lamb_direction(param, exp_avg, exp_avg_sq, correction, root_correction, eps, weight_decay)
    return param - step_size * direction, exp_avg, exp_avg_sq


def adafactor_vector(param, grad, variance, step_size, beta2, one_minus_beta2, floor, decay, grad_scale):
    grad = grad_scale * grad
    variance = beta2 * variance + one_minus_beta2 * grad * grad
    floored = floor if variance < floor else variance
    return decay * param - step_size * (grad / sqrt(floored)), variance


def muon_direction(grad, momentum_buffer, step_size, momentum, one_minus_momentum, nesterov, decay, grad_scale):
    grad = grad_scale * grad
    momentum_buffer = momentum * momentum_buffer + one_minus_momentum * grad
    ahead = one_minus_momentum * grad + momentum * momentum_buffer
    return ahead if nesterov != 0.0 else momentum_buffer


def muon(
    param, grad, momentum_buffer, update, step_size, momentum, one_minus_momentum, nesterov, decay, grad_scale
):  # fmt: skip
    momentum_buffer = momentum * momentum_buffer + one_minus_momentum * (grad_scale * grad)
    return decay * param - step_size * update, momentum_buffer
