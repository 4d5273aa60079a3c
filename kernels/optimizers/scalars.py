"""A step's scalars: hyper-parameters digested in double precision, once a step, in the order of the rule.

Every function takes the whole parameter group, with this step's `lr`, and the step's number, counted from 1.
1 - beta is formed here because float32(1) - float32(0.999) is already off by 1.3e-5.
"""

from math import sqrt


def grad_scale(group):
    return -1.0 if group["maximize"] else 1.0


def sgd(group, step):
    if group["momentum"] == 0.0:
        return group["lr"], group["weight_decay"], grad_scale(group)
    fresh = 1.0 if step == 1 else 1.0 - group["dampening"]  # the first gradient enters the buffer whole
    nesterov = 1.0 if group["nesterov"] else 0.0
    return group["lr"], group["momentum"], fresh, nesterov, group["weight_decay"], grad_scale(group)


def momentum(group, step):
    beta = group["beta"]
    return group["lr"], beta, 1.0 - beta, group["weight_decay"], grad_scale(group)


def moments(group, step):
    (beta1, beta2), lr = group["betas"], group["lr"]
    step_size, root_correction = lr / (1.0 - beta1**step), 1.0 / sqrt(1.0 - beta2**step)
    return step_size, beta1, 1.0 - beta1, beta2, 1.0 - beta2, root_correction, group["eps"]


def adam(group, step):
    return *moments(group, step), group["weight_decay"], 1.0, grad_scale(group)


def adamw(group, step):
    return *moments(group, step), 0.0, 1.0 - group["lr"] * group["weight_decay"], grad_scale(group)


def rmsprop(group, step):
    alpha, mass = group["alpha"], group["momentum"]
    extra = () if mass == 0.0 else (mass,)
    return group["lr"], alpha, 1.0 - alpha, group["eps"], *extra, group["weight_decay"], grad_scale(group)


def adagrad(group, step):
    lr = group["lr"] / (1.0 + (step - 1) * group["lr_decay"])
    return lr, group["eps"], group["weight_decay"], grad_scale(group)
