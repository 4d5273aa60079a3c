"""Optimizer steps in NumPy, from the papers: slow, obvious, the judge of every kernel.

Written from the formulas alone, without a look at rules.py: hyper-parameters come as users give them, and the
step's number t counts from 1. Each function returns the new values of the parameter and of its state.
Computes in the type of its arguments; the tests give float64.
"""

import numpy as np


def _decayed_gradient(param, grad, weight_decay, maximize):
    g = -grad if maximize else grad
    return g + weight_decay * param if weight_decay else g


def sgd(
    param, grad, momentum_buffer=None, *, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0,
    maximize=False, t,
):  # fmt: skip
    """Sutskever et al. 2013, in torch's form: the buffer holds gradients, lr multiplies it afterwards."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    if momentum == 0:
        return (param - lr * g,)
    b = g if t == 1 else momentum * momentum_buffer + (1 - dampening) * g
    return param - lr * (g + momentum * b if nesterov else b), b


def momentum(param, grad, velocity, *, lr, beta, weight_decay=0.0, maximize=False, t):
    """v <- beta v + (1 - beta) g; theta <- theta - lr v."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    v = beta * velocity + (1 - beta) * g
    return param - lr * v, v


def _adam(param, g, m, v, v_max, lr, betas, eps, amsgrad, t):
    m = betas[0] * m + (1 - betas[0]) * g
    v = betas[1] * v + (1 - betas[1]) * g**2
    largest = np.maximum(v_max, v) if amsgrad else v
    m_hat = m / (1 - betas[0] ** t)
    v_hat = largest / (1 - betas[1] ** t)
    return (param - lr * m_hat / (np.sqrt(v_hat) + eps), m, v) + ((largest,) if amsgrad else ())


def adam(
    param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq=None, *, lr, betas, eps, weight_decay=0.0, amsgrad=False,
    maximize=False, t,
):  # fmt: skip
    """Kingma and Ba 2015, Algorithm 1; AMSGrad: Reddi et al. 2018, Algorithm 2, with bias correction as in torch."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    return _adam(param, g, exp_avg, exp_avg_sq, max_exp_avg_sq, lr, betas, eps, amsgrad, t)


def adamw(
    param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq=None, *, lr, betas, eps, weight_decay, amsgrad=False,
    maximize=False, t,
):  # fmt: skip
    """Loshchilov and Hutter 2019, Algorithm 2, with the decay multiplied by lr as in torch.

    The parameter is shrunk by a product, so that an infinite one stays infinite.
    """
    g = -grad if maximize else grad
    shrunk = (1 - lr * weight_decay) * param
    return _adam(shrunk, g, exp_avg, exp_avg_sq, max_exp_avg_sq, lr, betas, eps, amsgrad, t)


def rmsprop(
    param, grad, square_avg, grad_avg=None, momentum_buffer=None, *, lr, alpha, eps, momentum=0.0, centered=False,
    weight_decay=0.0, maximize=False, t,
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
    update = g / (np.sqrt(variance) + eps)
    if momentum:
        update = momentum * momentum_buffer + update
        state.append(update)
    return param - lr * update, *state


def adagrad(param, grad, sum_of_squares, *, lr, lr_decay=0.0, eps, weight_decay=0.0, maximize=False, t):
    """Duchi et al. 2011, diagonal form, with torch's decay of the learning rate."""
    g = _decayed_gradient(param, grad, weight_decay, maximize)
    s = sum_of_squares + g**2
    return param - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps), s
