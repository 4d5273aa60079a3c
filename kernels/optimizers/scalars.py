"""A step's scalars: hyper-parameters digested in double precision, once a step, in the order of the rule.

Every function takes the whole parameter group, with this step's `lr`, and the step's number, counted from 1.
What a group carries from step to step is in it too: before this step for a function named so, else after it.
1 - beta is formed here because float32(1) - float32(0.999) is already off by 1.3e-5.
"""

from math import exp, log, sqrt


def grad_scale(group):
    return -1.0 if group["maximize"] else 1.0


def sgd(group, step):
    if group["momentum"] == 0.0:
        return group["lr"], group["weight_decay"], grad_scale(group)
    fresh = 1.0 if step == 1 else 1.0 - group["dampening"]  # the first gradient enters the buffer whole
    lr, lr_inside = (1.0, group["lr"]) if group["lr_in_momentum"] else (group["lr"], 1.0)
    rest = group["weight_decay"], lr_inside, grad_scale(group)
    return lr, group["momentum"], fresh, float(group["nesterov"]), *rest


def momentum(group, step):
    beta = group["beta"]
    return group["lr"], beta, 1.0 - beta, group["weight_decay"], grad_scale(group)


def rprop(group, step):
    return *group["etas"], *group["step_sizes"], grad_scale(group)


def asgd(group, step):
    lr, lambd = group["lr"], group["lambd"]
    eta = lr * (1.0 + lambd * lr * (step - 1)) ** -group["alpha"]  # so written, a huge power can't overflow
    mu = 1.0 / max(1.0, step - 1 - group["t0"])
    return eta, 1.0 - lambd * eta, mu, group["weight_decay"], grad_scale(group)


def lion(group, step):
    (beta1, beta2), lr = group["betas"], group["lr"]
    return lr, beta1, 1.0 - beta1, beta2, 1.0 - beta2, 1.0 - lr * group["weight_decay"], grad_scale(group)


def moments(group, step):
    (beta1, beta2), lr = group["betas"], group["lr"]
    step_size, root_correction = lr / (1.0 - beta1**step), 1.0 / sqrt(1.0 - beta2**step)
    eps = group["eps"] * root_correction if group.get("eps_hat") else group["eps"]
    return step_size, beta1, 1.0 - beta1, beta2, 1.0 - beta2, root_correction, eps


def adam(group, step):
    return *moments(group, step), group["weight_decay"], 1.0, grad_scale(group)


def adamw(group, step):
    return *moments(group, step), 0.0, 1.0 - group["lr"] * group["weight_decay"], grad_scale(group)


def adamax(group, step):
    (beta1, beta2), lr = group["betas"], group["lr"]
    step_size = lr / (1.0 - beta1**step)
    eps_in_divisor, eps = (group["eps"], 0.0) if group["eps_in_divisor"] else (0.0, group["eps"])
    return step_size, beta1, 1.0 - beta1, beta2, eps, group["weight_decay"], eps_in_divisor, grad_scale(group)


def nadam_mu(group, step):
    return group["betas"][0] * (1.0 - 0.5 * 0.96 ** (step * group["momentum_decay"]))


def nadam_carried(group, step):
    return {"mu_product": group["mu_product"] * nadam_mu(group, step)}


def nadam(group, step):
    lr, mu, next_mu, product = group["lr"], nadam_mu(group, step), nadam_mu(group, step + 1), group["mu_product"]
    grad_step, step_size = lr * (1.0 - mu) / (1.0 - product), lr * next_mu / (1.0 - product * next_mu)
    return grad_step, step_size, *moments(group, step)[1:], group["weight_decay"], grad_scale(group)


def radam(group, step):
    (beta1, beta2), lr = group["betas"], group["lr"]
    step_size, left = lr / (1.0 - beta1**step), 1.0 - beta2**step
    longest = 2.0 / (1.0 - beta2) - 1.0  # of the averages that a simple one can stand for: rho
    length = longest - 2.0 * step * beta2**step / left
    rectified = length > 5.0
    if rectified:
        shorter = (length - 4.0) * (length - 2.0) * longest
        step_size *= sqrt(left * shorter / ((longest - 4.0) * (longest - 2.0) * length))
    return (
        step_size, beta1, 1.0 - beta1, beta2, 1.0 - beta2, float(rectified), group["eps"], group["weight_decay"],
        grad_scale(group),
    )  # fmt: skip


def warmed_beta3(group, step):
    """The slow average's beta, whose time constant grows linearly from beta1's."""
    beta1, _, beta3 = group["betas"]
    if step >= group["beta3_warmup"]:
        return beta3
    done = step / group["beta3_warmup"]
    time = sum(share / -log(beta) for share, beta in ((1.0 - done, beta1), (done, beta3)) if beta > 0.0)
    return min(exp(-1.0 / time), beta3) if time > 0.0 else 0.0


def ademamix(group, step):
    (beta1, beta2, _), lr, alpha = group["betas"], group["lr"], group["alpha"]
    beta3 = warmed_beta3(group, step)
    if step < group["alpha_warmup"]:
        alpha *= step / group["alpha_warmup"]
    return (
        lr / (1.0 - beta1**step), lr * alpha, beta1, 1.0 - beta1, beta2, 1.0 - beta2, beta3, 1.0 - beta3,
        1.0 / sqrt(1.0 - beta2**step), group["eps"], 1.0 - lr * group["weight_decay"], grad_scale(group),
    )  # fmt: skip


def warmed_lr(group, step):
    return group["lr"] * min(1.0, step / group["warmup_steps"]) if group["warmup_steps"] else group["lr"]


def schedule_free_weight(group, step, lr_max):
    return step ** group["r"] * lr_max ** group["weight_lr_power"]


def schedule_free_carried(group, step):
    lr_max = max(group["lr_max"], warmed_lr(group, step))
    return {"weight_sum": group["weight_sum"] + schedule_free_weight(group, step, lr_max), "lr_max": lr_max}


def schedule_free_adamw(group, step):
    (beta1, beta2), lr, total = group["betas"], warmed_lr(group, step), group["weight_sum"]
    averaging = schedule_free_weight(group, step, group["lr_max"]) / total if total else 0.0  # no step so far
    return (
        lr, averaging, lr * (1.0 - beta1 * (1.0 - averaging)), beta2, 1.0 - beta2, 1.0 / sqrt(1.0 - beta2**step),
        group["eps"], group["weight_decay"], grad_scale(group),
    )  # fmt: skip


def rmsprop(group, step):
    alpha, lr, mass = group["alpha"], group["lr"], group["momentum"]
    eps_in_root, eps = (group["eps"], 0.0) if group["eps_in_root"] else (0.0, group["eps"])
    if mass == 0.0:
        return lr, alpha, 1.0 - alpha, eps, group["weight_decay"], eps_in_root, grad_scale(group)
    lr, lr_inside = (1.0, lr) if group["lr_in_momentum"] else (lr, 1.0)
    return lr, alpha, 1.0 - alpha, eps, mass, group["weight_decay"], eps_in_root, lr_inside, grad_scale(group)


def adagrad(group, step):
    lr = group["lr"] / (1.0 + (step - 1) * group["lr_decay"])
    eps_in_root, eps = (group["eps"], 0.0) if group["eps_in_root"] else (0.0, group["eps"])
    return lr, eps, group["weight_decay"], eps_in_root, grad_scale(group)


def adadelta(group, step):
    rho = group["rho"]
    return group["lr"], rho, 1.0 - rho, group["eps"], group["weight_decay"], grad_scale(group)


def ftrl(group, step):
    power = () if group["lr_power"] == -0.5 else (-group["lr_power"],)
    rest = group["l1"], group["l2"], group["l2_shrinkage"], *power, group["weight_decay"], grad_scale(group)
    return 1.0 / group["lr"], group["beta"], *rest


def lars(group, step):
    return 0.0, group["momentum"], float(group["nesterov"]), group["weight_decay"], grad_scale(group)


def lamb(group, step):
    (beta1, beta2), eps = group["betas"], group["eps"]
    correction, root_correction = 1.0 / (1.0 - beta1**step), 1.0 / sqrt(1.0 - beta2**step)
    rest = group["weight_decay"], grad_scale(group)
    return 0.0, beta1, 1.0 - beta1, beta2, 1.0 - beta2, correction, root_correction, eps, *rest


def adafactor(group, step):
    share = step ** group["beta2_decay"]  # of the new squares
    rate = min(group["lr"], 1.0 / sqrt(step))
    decay = 1.0 - group["lr"] * group["weight_decay"]
    return rate, 1.0 - share, share, group["eps"][0] ** 2, decay, grad_scale(group)


def muon(group, step):
    momentum = group["momentum"]
    decay = 1.0 - group["lr"] * group["weight_decay"]
    return group["lr"], momentum, 1.0 - momentum, float(group["nesterov"]), decay, grad_scale(group)
