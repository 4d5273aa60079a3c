"""Optimizer steps in NumPy, from the papers: slow, obvious, the judge of every kernel.

Written from the formulas alone, without a look at rules.py: hyper-parameters come as users give them, and the
step's number t counts from 1. Each function returns the new values of the parameter and of its state.
Computes in the type of its arguments; the tests give float64.
"""

import numpy as np


def _decayed_gradient(param, grad, weight_decay, maximize):
    g = -grad if maximize else grad
    return g + weight_decay * param if weight_decay else g


def _length(x):
    """Blue 1978: in units of the largest element, no square overflows."""
    largest = np.max(np.abs(x), initial=0.0)
    return largest * np.sqrt(np.sum((x / largest) ** 2)) if 0 < largest < np.inf else largest


def sgd(
    param, grad, momentum_buffer=None, *, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0,
    lr_in_momentum=False, maximize=False, t,
):  # fmt: skip
    """Sutskever et al. 2013; in torch's form the buffer holds gradients, and lr multiplies it afterwards."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    if momentum == 0:
        return (param - lr * g,)
    g, lr = (lr * g, 1.0) if lr_in_momentum else (g, lr)
    b = g if t == 1 else momentum * momentum_buffer + (1 - dampening) * g
    return param - lr * (g + momentum * b if nesterov else b), b


def momentum(param, grad, velocity, *, lr, beta, weight_decay=0.0, maximize=False, t):
    """v <- beta v + (1 - beta) g; theta <- theta - lr v."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    v = beta * velocity + (1 - beta) * g
    return param - lr * v, v


def rprop(param, grad, prev, step_size, *, etas, step_sizes, maximize=False, t):
    """Riedmiller and Braun 1993, without the way back: a gradient that changed its sign counts as zero."""
    g = -grad if maximize else grad
    agreement = np.sign(g * prev)
    factor = np.where(agreement > 0, etas[1], np.where(agreement < 0, etas[0], 1.0))
    size = np.clip(step_size * factor, *step_sizes)
    g = np.where(agreement < 0, 0.0, g)
    return param - np.sign(g) * size, g, size


def asgd(param, grad, ax, *, lr, lambd, alpha, t0, weight_decay=0.0, maximize=False, t):
    """Polyak and Juditsky 1992, with Bottou's decay and step lengths as in torch."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    eta = lr * (1 + lambd * lr * (t - 1)) ** -alpha
    param = param * (1 - lambd * eta) - eta * g
    averaged = t - 1 - t0
    return param, param if averaged <= 1 else ax + (param - ax) / averaged


def lion(param, grad, exp_avg, *, lr, betas, weight_decay=0.0, maximize=False, t):
    """Chen et al. 2023, Algorithm 2; decay as a product, so that an infinite parameter stays infinite."""
    g = -grad if maximize else grad
    c = betas[0] * exp_avg + (1 - betas[0]) * g
    return (1 - lr * weight_decay) * param - lr * np.sign(c), betas[1] * exp_avg + (1 - betas[1]) * g


def _adam(param, g, m, v, v_max, lr, betas, eps, amsgrad, eps_hat, t):
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g**2
    largest = np.maximum(v_max, v) if amsgrad else v
    m_hat = m / (1 - betas[0] ** t)
    if eps_hat:
        update = lr * np.sqrt(1 - betas[1] ** t) * m_hat / (np.sqrt(largest) + eps)
    else:
        update = lr * m_hat / (np.sqrt(largest / (1 - betas[1] ** t)) + eps)
    return (param - update, m, v) + ((largest,) if amsgrad else ())


def adam(
    param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq=None, *, lr, betas, eps, weight_decay=0.0, amsgrad=False,
    eps_hat=False, maximize=False, t,
):  # fmt: skip
    """Kingma and Ba 2015, Algorithm 1; AMSGrad: Reddi et al. 2018, Algorithm 2, with bias correction as in torch."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    return _adam(param, g, exp_avg, exp_avg_sq, max_exp_avg_sq, lr, betas, eps, amsgrad, eps_hat, t)


def adamw(
    param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq=None, *, lr, betas, eps, weight_decay, amsgrad=False,
    eps_hat=False, maximize=False, t,
):  # fmt: skip
    """Loshchilov and Hutter 2019, Algorithm 2, with the decay multiplied by lr as in torch.

    The parameter is shrunk by a product, so that an infinite one stays infinite.
    """
    g = -grad if maximize else grad
    shrunk = (1 - lr * weight_decay) * param
    return _adam(shrunk, g, exp_avg, exp_avg_sq, max_exp_avg_sq, lr, betas, eps, amsgrad, eps_hat, t)


def adamax(
    param, grad, exp_avg, exp_inf, *, lr, betas, eps, weight_decay=0.0, eps_in_divisor=False, maximize=False, t,
):  # fmt: skip
    """Kingma and Ba 2015, Algorithm 2, with torch's epsilon beside |g|, or Keras's beside u."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    m = betas[0] * exp_avg + (1 - betas[0]) * g
    u = np.maximum(betas[1] * exp_inf, np.abs(g) if eps_in_divisor else np.abs(g) + eps)
    return param - (lr / (1 - betas[0] ** t)) * (m / (u + eps if eps_in_divisor else u)), m, u


def nadam(
    param, grad, exp_avg, exp_avg_sq, mu_product, *, lr, betas, eps, weight_decay=0.0, momentum_decay,
    maximize=False, t,
):  # fmt: skip
    """Dozat 2016, Algorithm 2 of the appendix, with torch's schedule of mu."""
    mu, mu_next = (betas[0] * (1 - 0.96 ** (i * momentum_decay) / 2) for i in (t, t + 1))
    mu_product = mu_product * mu
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    m = betas[0] * exp_avg + (1 - betas[0]) * g
    v = betas[1] * exp_avg_sq + (1 - betas[1]) * g**2
    m_hat = mu_next * m / (1 - mu_product * mu_next) + (1 - mu) * g / (1 - mu_product)
    v_hat = v / (1 - betas[1] ** t)
    return param - lr * m_hat / (np.sqrt(v_hat) + eps), m, v, mu_product


def radam(
    param, grad, exp_avg, exp_avg_sq, *, lr, betas, eps, weight_decay=0.0, maximize=False, t,
):  # fmt: skip
    """Liu et al. 2020, Algorithm 2, rectified where rho exceeds 5, epsilon before bias correction, as in torch."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    m = betas[0] * exp_avg + (1 - betas[0]) * g
    v = betas[1] * exp_avg_sq + (1 - betas[1]) * g**2
    m_hat = m / (1 - betas[0] ** t)
    rho_inf = 2 / (1 - betas[1]) - 1
    rho = rho_inf - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
    if rho <= 5:
        return param - lr * m_hat, m, v
    rectification = np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
    adaptive = np.sqrt(1 - betas[1] ** t) / (np.sqrt(v) + eps)
    return param - lr * rectification * m_hat * adaptive, m, v


def ademamix(
    param, grad, exp_avg_fast, exp_avg_slow, exp_avg_sq, *, lr, betas, alpha, beta3_warmup, alpha_warmup, eps,
    weight_decay=0.0, maximize=False, t,
):  # fmt: skip
    """Pagliardini, Ablin and Grangier 2024, Algorithm 1, with its schedulers of alpha and beta3."""
    beta1, beta2, beta3 = betas
    with np.errstate(divide="ignore"):  # log(0) is -inf, whose quotients are what the formula means
        if t < beta3_warmup:
            log1, log3, done = np.log(beta1), np.log(beta3), t / beta3_warmup
            beta3 = np.minimum(np.exp(1 / ((1 - done) / log1 + done / log3)), beta3)
    alpha = min(alpha * t / alpha_warmup, alpha) if alpha_warmup else alpha
    g = -grad if maximize else grad
    m1 = beta1 * exp_avg_fast + (1 - beta1) * g
    m2 = beta3 * exp_avg_slow + (1 - beta3) * g
    v = beta2 * exp_avg_sq + (1 - beta2) * g**2
    update = (m1 / (1 - beta1**t) + alpha * m2) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return (1 - lr * weight_decay) * param - lr * update, m1, m2, v


def adamwschedulefree(
    param, grad, exp_avg_sq, z, weight_sum, lr_max, *, lr, betas, eps, weight_decay=0.0, warmup_steps, r,
    weight_lr_power, maximize=False, t,
):  # fmt: skip
    """Defazio et al. 2024, Algorithm 1, on x, y and z, weighed as their package does; param is y."""
    beta1, beta2 = betas
    g = -grad if maximize else grad
    lr = lr * min(t / warmup_steps, 1) if warmup_steps else lr
    lr_max = max(lr, lr_max)
    weight = t**r * lr_max**weight_lr_power
    weight_sum = weight_sum + weight
    c = weight / weight_sum if weight_sum else 0.0
    x = (param - (1 - beta1) * z) / beta1
    v = beta2 * exp_avg_sq + (1 - beta2) * g**2
    direction = g / (np.sqrt(v / (1 - beta2**t)) + eps)
    z = z - lr * (direction + weight_decay * param if weight_decay else direction)
    x = (1 - c) * x + c * z
    return (1 - beta1) * z + beta1 * x, v, z, weight_sum, lr_max


def rmsprop(
    param, grad, square_avg, grad_avg=None, momentum_buffer=None, *, lr, alpha, eps, momentum=0.0, centered=False,
    weight_decay=0.0, eps_in_root=False, lr_in_momentum=False, maximize=False, t,
):  # fmt: skip
    """Tieleman and Hinton 2012; centered: Graves 2013, equations 38 to 45; epsilon outside the root, as in torch."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    s = alpha * square_avg + (1 - alpha) * g**2
    state = [s]
    variance = s
    if centered:
        mean = alpha * grad_avg + (1 - alpha) * g
        state.append(mean)
        variance = np.maximum(s - mean**2, 0)
    update = g / (np.sqrt(variance + eps) if eps_in_root else np.sqrt(variance) + eps)
    if momentum:
        update, lr = (lr * update, 1.0) if lr_in_momentum else (update, lr)
        update = momentum * momentum_buffer + update
        state.append(update)
    return param - lr * update, *state


def adagrad(
    param, grad, sum_of_squares, *, lr, lr_decay=0.0, eps, weight_decay=0.0, eps_in_root=False, maximize=False, t,
):  # fmt: skip
    """Duchi et al. 2011, diagonal form, with torch's decay of the learning rate."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    s = sum_of_squares + g**2
    return param - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s + eps) if eps_in_root else np.sqrt(s) + eps), s


def adadelta(param, grad, square_avg, acc_delta, *, lr, rho, eps, weight_decay=0.0, maximize=False, t):
    """Zeiler 2012, Algorithm 1, with torch's learning rate on top."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    s = rho * square_avg + (1 - rho) * g**2
    delta = np.sqrt(acc_delta + eps) / np.sqrt(s + eps) * g
    return param - lr * delta, s, rho * acc_delta + (1 - rho) * delta**2


def ftrl(
    param, grad, z, n, *, lr, beta, l1, l2, lr_power=-0.5, l2_shrinkage=0.0, weight_decay=0.0, maximize=False, t,
):  # fmt: skip
    """McMahan et al. 2013, Algorithm 1; the weights that the next gradient is taken at are written at once."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    sigma = ((n + g**2) ** -lr_power - n**-lr_power) / lr
    z = z + (g + l2_shrinkage * param if l2_shrinkage else g) - sigma * param
    n = n + g**2
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 only where l1 decides
        w = -(z - np.sign(z) * l1) / ((beta + n**-lr_power) / lr + l2)
    return np.where(np.abs(z) <= l1, 0.0, w), z, n


def lars(
    param, grad, momentum_buffer, *, lr, momentum, weight_decay=0.0, trust_coefficient, eps, nesterov=False,
    maximize=False, t,
):  # fmt: skip
    """You, Gitman and Ginsburg 2017, Algorithm 1; the ratio is 1 where a norm is 0."""
    g = -grad if maximize else grad
    length, slope = _length(param), _length(g)
    known = length > 0 and slope > 0
    local = trust_coefficient * length / (slope + weight_decay * length + eps) if known else 1.0
    step = lr * local * (g + weight_decay * param if weight_decay else g)
    b = momentum * momentum_buffer + step
    return param - (step + momentum * b if nesterov else b), b


def lamb(param, grad, exp_avg, exp_avg_sq, *, lr, betas, eps, weight_decay=0.0, maximize=False, t):
    """You et al. 2020, Algorithm 2, with phi the identity; the ratio is 1 where a norm is 0."""
    g = -grad if maximize else grad
    m = betas[0] * exp_avg + (1 - betas[0]) * g
    v = betas[1] * exp_avg_sq + (1 - betas[1]) * g**2
    r = (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    r = r + weight_decay * param if weight_decay else r
    length, stride = _length(param), _length(r)
    return param - lr * (length / stride if length > 0 and stride > 0 else 1.0) * r, m, v


def adafactor(
    param, grad, row_var=None, col_var=None, variance=None, *, lr, beta2_decay, eps, d, weight_decay=0.0,
    maximize=False, t,
):  # fmt: skip
    """Shazeer and Stern 2018, Algorithms 4 and 5, with torch's floor under V and its decay."""
    state = [x for x in (row_var, col_var, variance) if x is not None]
    if not param.size:
        return param, *state
    g = -grad if maximize else grad
    beta = 1 - t**beta2_decay
    if variance is None:
        state = [
            beta * row_var + (1 - beta) * np.mean(g**2, axis=-1, keepdims=True),
            beta * col_var + (1 - beta) * np.mean(g**2, axis=-2, keepdims=True),
        ]
        v = state[0] / np.maximum(np.mean(state[0], axis=-2, keepdims=True), eps[0]) * state[1]
    else:
        v = beta * variance + (1 - beta) * g**2
        state = [v]
    u = g / np.sqrt(np.maximum(v, eps[0] ** 2))
    alpha = np.maximum(eps[1], _length(param) / np.sqrt(param.size)) * min(lr, 1 / np.sqrt(t))
    return (1 - lr * weight_decay) * param - alpha * u / np.maximum(1, np.sqrt(np.mean(u**2)) / d), *state


def muon(
    param, grad, momentum_buffer, *, lr, weight_decay, momentum, nesterov, ns_coefficients, eps, ns_steps, adjust_lr_fn,
    maximize=False, t,
):  # fmt: skip
    """Jordan et al. 2024: five Newton-Schulz iterations of the momentum; singular values go through a polynomial."""
    g = -grad if maximize else grad
    buffer = momentum * momentum_buffer + (1 - momentum) * g
    update = (1 - momentum) * g + momentum * buffer if nesterov else buffer
    if not np.all(np.isfinite(update)):
        update = np.full(update.shape, np.nan)
    elif update.size:
        left, values, right = np.linalg.svd(update, full_matrices=False)
        values = values / max(_length(values), eps)
        a, b, c = ns_coefficients
        for _ in range(ns_steps):
            values = a * values + b * values**3 + c * values**5
        update = left * values @ right
    n, m = param.shape
    scale = np.sqrt(max(1, n / m if m else 1)) if adjust_lr_fn == "original" else 0.2 * np.sqrt(max(n, m))
    return (1 - lr * weight_decay) * param - lr * scale * update, buffer
