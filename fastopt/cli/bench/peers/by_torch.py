"""torch's best way to do an op's work: each function returns a job, or None where torch can't.

torch runs eagerly: torch.compile is not among the peers.
"""

from functools import partial

import numpy as np

import fastopt
from fastopt.cli.bench.cases import OPTIMIZERS, columns_of, written
from fastopt.cli.bench.clock import Job
from fastopt.cli.bench.peers.by_torch_papers import PAPERS

# ---- optimizers: torch, fused where it is, one call for all tensors where not

AS_IN_KERAS = ("eps_hat", "eps_in_root", "eps_in_divisor", "lr_in_momentum")  # False in every bench
FUSED = ("SGD", "Adam", "AdamW", "Adagrad")


def optimizer(op, options, sets):
    import torch

    name = OPTIMIZERS[op.name]
    hyper = dict(getattr(fastopt.optimizers, name)(np.zeros((1, 1)), **options).groups[0])
    hyper = {key: value for key, value in hyper.items() if key not in AS_IN_KERAS}
    params = [torch.from_numpy(arrays["param"].copy()) for arrays in sets]
    for param, arrays in zip(params, sets, strict=True):
        param.grad = torch.from_numpy(arrays["grad1"])
    if op.name == "momentum":  # the running average is SGD with this dampening, begun at zero
        beta = hyper.pop("beta")
        optimizer = torch.optim.SGD(params, **hyper, momentum=beta, dampening=beta, fused=True)
        for param in params:
            optimizer.state[param]["momentum_buffer"] = torch.zeros_like(param)
    elif name in PAPERS:
        hyper.pop("maximize")
        tensors = [param.grad for param in params]
        return Job(PAPERS[name](params, tensors, **hyper), lambda: [{"param": param.numpy()} for param in params])
    elif not hasattr(torch.optim, name):
        return None
    elif op.name == "muon":
        optimizer = torch.optim.Muon(params, **{key: value for key, value in hyper.items() if key != "maximize"})
    else:
        way = "fused" if name in FUSED else "foreach"
        optimizer = getattr(torch.optim, name)(params, **hyper, **{way: True})
    return Job(optimizer.step, lambda: [{"param": param.numpy()} for param in params])


# ---- losses: torch's own where it has them, forward and backward by autograd (eager: no torch.compile)


def linear_loss(op, options, sets):
    import torch
    from torch.nn import functional

    (arrays,) = sets
    if set(options) - {"biased"}:
        return None
    labels = torch.from_numpy(arrays["y_true"])
    names = [name for name in ("x", "weight", "bias") if name in arrays]
    given = [torch.from_numpy(arrays[name]).requires_grad_() for name in names]

    def run():
        value = functional.cross_entropy(functional.linear(*given), labels)
        return value, torch.autograd.grad(value, given)

    def results():
        value, gradients = run()
        found = {f"grad_{name}": gradient.numpy() for name, gradient in zip(names, gradients, strict=True)}
        return [{"value": np.asarray(value.item()), **found}]

    return Job(run, results)


def loss(op, options, sets):
    import torch
    from torch.nn import functional

    if op.name == "linear_cross_entropy":
        return linear_loss(op, options, sets)
    options, (arrays,) = dict(options), sets
    logits, smoothing = options.pop("from_logits", False), options.pop("label_smoothing", 0.0)
    ignored, delta = options.pop("ignore_class", None), options.pop("delta", 1.0)
    true, pred = torch.from_numpy(arrays["y_true"]), torch.from_numpy(arrays["y_pred"].copy()).requires_grad_()
    rows = (-1, pred.shape[-1])

    def cross_entropy():
        if logits:
            wanted = {"ignore_index": -100 if ignored is None else ignored}
            wanted = wanted if true.dtype == torch.int64 else {"label_smoothing": smoothing}
            return functional.cross_entropy(
                pred.reshape(rows), true.reshape(rows if true.is_floating_point() else -1), **wanted
            )
        logs = torch.log(pred / pred.sum(-1, keepdim=True))
        return -(true * logs).sum(-1).mean() if true.is_floating_point() else functional.nll_loss(logs, true)

    forward = {
        "mean_squared_error": lambda: functional.mse_loss(pred, true),
        "mean_absolute_error": lambda: functional.l1_loss(pred, true),
        "huber": lambda: functional.huber_loss(pred, true, delta=delta),
        "binary_crossentropy": lambda: (
            functional.binary_cross_entropy_with_logits if logits else functional.binary_cross_entropy
        )(pred, true),
        "hinge": lambda: functional.relu(1 - true * pred).mean(),
        "categorical_crossentropy": cross_entropy,
        "sparse_categorical_crossentropy": cross_entropy,
        "kullback_leibler_divergence": lambda: functional.kl_div(pred.log(), true, reduction="batchmean"),
        "cosine_proximity": lambda: -functional.cosine_similarity(pred, true, dim=-1).mean(),
    }.get(op.name)
    if options or forward is None or (smoothing and op.name == "binary_crossentropy"):
        return None

    def run():
        value = forward()
        return value, torch.autograd.grad(value, pred)[0]

    def results():
        value, gradient = run()
        return [{"value": np.asarray(value.item()), "gradient": gradient.numpy()}]

    return Job(run, results)


# ---- normalization: torch's, forward without a graph, and backward from a graph that is kept


def normalization(op, options, sets):
    return batch_norm(op, options, sets) if op.name.startswith("batch") else across(op, options, sets)


def across(op, options, sets):
    import torch
    from torch.nn import functional

    options, (arrays,) = dict(options), sets
    kind = op.name.split("_")[0]
    eps, groups = options.pop("eps", None if kind == "rms" else 1e-5), options.pop("num_groups", None)
    if options:
        return None
    inputs = [torch.from_numpy(arrays[name].copy()) for name in ("x", "gamma", "beta") if name in arrays]
    shape = inputs[1].shape
    normalize = {
        "layer": lambda x, gamma, beta=None: functional.layer_norm(x, shape, gamma, beta, eps),
        "rms": lambda x, gamma: functional.rms_norm(x, shape, gamma, eps),
        "group": lambda x, gamma, beta=None: functional.group_norm(x, groups, gamma, beta, eps),
        "instance": lambda x, gamma, beta=None: functional.instance_norm(x, None, None, gamma, beta, True, 0.1, eps),
    }[kind]
    if op.name.endswith("forward"):

        def forward():
            with torch.no_grad():
                return normalize(*inputs)

        return Job(forward, lambda: [{"y": forward().numpy()}])
    if kind != "rms":
        inputs.append(torch.zeros_like(inputs[1]))
    inputs = [found.requires_grad_() for found in inputs]
    y, dy = normalize(*inputs), torch.from_numpy(arrays["dy"].copy())
    backward = partial(torch.autograd.grad, y, inputs, dy, retain_graph=True)
    return Job(backward, lambda: [dict(zip(("dx", "dgamma", "dbeta"), map(_numpy, backward())))])


def batch_norm(op, options, sets):
    import torch
    from torch.nn import functional

    options, (arrays,) = dict(options), sets
    last = options.pop("channel_axis", 1) not in (1,)
    relu, training = options.pop("activation", None) == "relu", options.pop("training", True)
    momentum, eps = options.pop("momentum", 0.1), options.pop("eps", 1e-5)
    added = options.pop("given", None)
    if options or not training or op.name not in ("batch_norm_forward", "batch_norm_backward"):
        return None

    def tensor(name):
        found = torch.from_numpy(arrays[name].copy())
        return found.movedim(-1, 1) if last and found.ndim > 1 else found

    def normalize(x, gamma, beta, residual=None, running=(None, None)):
        y = functional.batch_norm(x, *running, gamma, beta, True, momentum, eps)
        y = y if residual is None else y + residual
        return functional.relu(y) if relu else y

    def laid_out(found):
        return (found.movedim(1, -1) if last and found.ndim > 1 else found).numpy()

    inputs = [tensor(name) for name in ("x", "gamma", "beta", *(("residual",) if added else ()))]
    if op.name == "batch_norm_forward":
        running = tensor("running_mean"), tensor("running_var")

        def forward():
            with torch.no_grad():
                return normalize(*inputs, running=running)

        return Job(forward, lambda: [{"y": laid_out(forward())}])
    inputs = [found.requires_grad_() for found in inputs]
    y, dy = normalize(*inputs), tensor("dy")
    backward = partial(torch.autograd.grad, y, inputs, dy, retain_graph=True)
    names = ("dx", "dgamma", "dbeta", "dresidual")
    return Job(backward, lambda: [dict(zip(names, map(laid_out, backward())))])


def _numpy(found):
    return found if isinstance(found, np.ndarray) else found.numpy()


# ---- initializers: their own random numbers, so there is nothing to compare


def initializer(op, options, sets):
    import torch
    from torch.nn import init

    out = torch.from_numpy(sets[0]["out"].copy())
    fill = {
        "glorot_uniform": init.xavier_uniform_,
        "glorot_normal": init.xavier_normal_,
        "he_uniform": init.kaiming_uniform_,
        "he_normal": init.kaiming_normal_,
        "lecun_uniform": partial(init.kaiming_uniform_, nonlinearity="linear"),
        "lecun_normal": partial(init.kaiming_normal_, nonlinearity="linear"),
        "fan_in_uniform": partial(init.kaiming_uniform_, a=5**0.5),
        "uniform": partial(init.uniform_, a=-0.05, b=0.05),
        "normal": partial(init.normal_, std=0.05),
        "truncated_normal": partial(init.trunc_normal_, std=0.05, a=-0.1, b=0.1),
        "orthogonal": init.orthogonal_,
    }.get(op.name)
    if options or fill is None:
        return None
    return Job(partial(fill, out))


# ---- arrays: torch's calls for lists of tensors


def arrays(op, options, sets):
    import torch

    columns = columns_of(sets)
    x, y = ([torch.from_numpy(array) for array in columns.get(name, ())] for name in ("x", "y"))

    def axpby():
        torch._foreach_mul_(y, options["b"])
        torch._foreach_add_(y, x, alpha=options["a"])

    call = {
        "scale": lambda: torch._foreach_mul_(x, options["factor"]),
        "axpby": axpby,
        "global_norm": lambda: torch.nn.utils.get_total_norm(x).item(),
        "norms": lambda: torch.stack(torch._foreach_norm(x)).numpy(),
        "all_finite": lambda: torch.stack(torch._foreach_norm(x, float("inf"))).isfinite().all().item(),
    }[op.name]
    if "given" in options:
        return Job(call, lambda: written([*columns.values()][-1], sets))
    return Job(call, None if len(sets) > 1 else lambda: [{"value": np.asarray(call())}])
