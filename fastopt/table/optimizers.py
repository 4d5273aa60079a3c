"""The optimizers' rows of the table."""

from functools import partial

import numpy as np

from fastopt.kernels.optimizers import reference
from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.table.op import Bench, Op, Wrong

STEPS = 3  # steps that a case takes, so that state matters


def _inputs(rng, shape, dtype, options):
    arrays = {"param": rng.standard_normal(shape).astype(dtype)}
    return arrays | {f"grad{step}": rng.standard_normal(shape).astype(dtype) for step in range(1, STEPS + 1)}


def _optimizer(public, options, arrays):
    """Return the optimizer of a case. RAdam rectifies from the sixth step on: with options, it begins at the fifth."""
    import fastopt

    optimizer = getattr(fastopt.optimizers, public)([arrays["param"]], **options)
    optimizer.steps = 4 if public == "RAdam" and options else 0
    return optimizer


def _call(public, options, arrays):
    optimizer = _optimizer(public, options, arrays)
    for step in range(1, STEPS + 1):
        optimizer.step([arrays[f"grad{step}"]])
    return {"param": arrays["param"], **optimizer.state[0], **optimizer.carried[0]}


def _expect(public, options, arrays):
    """Run the reference in float64, with the hyper-parameters rounded as the public class gets them: not at all."""
    function = reference.__dict__[public.lower()]
    optimizer = _optimizer(public, options, arrays)
    hyper = {k: v for k, v in optimizer.groups[0].items() if k not in optimizer.rule.only_at_start}
    param = arrays["param"].astype(np.float64)
    state = {name: array.astype(np.float64) for name, array in optimizer.state[0].items()} | optimizer.carried[0]
    for step in range(1, STEPS + 1):
        grad = arrays[f"grad{step}"].astype(np.float64)
        param, *values = function(param, grad, **state, **hyper, t=optimizer.steps + step)
        state = dict(zip(state, values, strict=True))
    return {"param": param, **state}


def _traffic(kernel, options, arrays):
    """One step: every buffer read, every written one written."""
    return (len(kernel.buffers) + len(kernel.written)) * arrays["param"].nbytes


SHAPES = (
    *((n,) for n in (0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 511, 513, 100_003)),
    (), (3, 5), (2, 3, 4),
)  # fmt: skip
BENCH: Bench = (({}, (1000,)), ({}, (1_000_000,)), ({}, (20_000_000,)))
# float32: three steps of a dozen roundings each, on values of order 1; the root in the divisor can double them.
TOLERANCE = {"float32": (2e-6, 2e-6), "float64": (4e-15, 4e-15)}

# RMSprop's first steps are up to 1 / sqrt(1 - alpha) = 10 long, and its direction sums several of both signs.
RMSPROP_TOLERANCE = {"float32": (2e-6, 2e-5), "float64": (4e-15, 4e-14)}

# Small singular values grow by up to 3.4445 an iteration, 485 in all, and their roundings with them.
MUON_TOLERANCE = {"float32": (1e-4, 1e-4), "float64": (4e-13, 4e-13)}

SHARED_WRONG = (
    Wrong("lr negative", lambda o, a: o.update(lr=-1.0), ("lr", "≥ 0", "-1.0")),
    Wrong("lr not a number", lambda o, a: o.update(lr="fast"), ("lr", "fast"), TypeError),
    Wrong("lr NaN", lambda o, a: o.update(lr=float("nan")), ("lr", "nan")),
    Wrong("weight_decay negative", lambda o, a: o.update(weight_decay=-0.1), ("weight_decay", "≥ 0")),
    Wrong("maximize not a flag", lambda o, a: o.update(maximize="yes"), ("maximize", "True or False"), TypeError),
    Wrong(
        "integer parameters", lambda o, a: a.update(param=np.arange(9)), ("params[0]", "float32", "int64"), TypeError
    ),
    Wrong("complex parameters", lambda o, a: a.update(param=np.ones(9, complex)), ("params[0]", "complex"), TypeError),
    Wrong("object parameters", lambda o, a: a.update(param=np.ones(9, object)), ("params[0]", "object"), TypeError),
    Wrong("a list for a parameter", lambda o, a: a.update(param=[1.0, 2.0]), ("params[0]", "NumPy array"), TypeError),
    Wrong("read-only parameters", lambda o, a: a["param"].setflags(write=False), ("params[0]", "writable")),
    Wrong(
        "broadcast parameters", lambda o, a: a.update(param=np.lib.stride_tricks.as_strided(a["param"], (9,), (0,))),
        ("params[0]", "broadcast"),
    ),
    Wrong("gradient of another shape", lambda o, a: a.update(grad1=a["grad1"][:-1]), ("grads[0]", "shape")),
    Wrong(
        "integer gradient", lambda o, a: a.update(grad1=a["grad1"].astype(np.int32)), ("grads[0]", "int32"), TypeError
    ),
    Wrong("gradient missing", lambda o, a: a.update(grad1=None), ("grads[0]", "None")),
    Wrong("gradient overlapping", lambda o, a: a.update(grad1=a["param"]), ("grads[0]", "overlap")),
)  # fmt: skip
BETAS = Wrong("betas outside [0, 1)", lambda o, a: o.update(betas=(0.9, 1.0)), ("betas[1]", "[0, 1)", "1.0"))
EPS = Wrong("eps zero", lambda o, a: o.update(eps=0.0), ("eps", "> 0", "0.0"))


def _op(
    public, names, source, options, wrong=(), tolerance=TOLERANCE, without=(), shapes=SHAPES, traffic=None, bench=BENCH
):
    kernels = tuple(KERNELS[name] for name in names.split())
    return Op(
        name=public.lower(),
        family="optimizers",
        kernels=kernels,
        source=source,
        options=options,
        shapes=shapes,
        inputs=_inputs,
        call=partial(_call, public),
        expect=partial(_expect, public),
        tolerance=tolerance,
        wrong=(*(shared for shared in SHARED_WRONG if shared.what not in without), *wrong),
        traffic=traffic or partial(_traffic, kernels[0]),
        bench=bench,
    )


OPS = (
    _op(
        "SGD", "sgd sgd_momentum", "Sutskever et al. 2013, equations 1 to 4",
        (
            {}, {"lr": 0.1, "weight_decay": 0.1}, {"lr": 0.1, "momentum": 0.9}, {"momentum": 0.9, "dampening": 0.3},
            {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True},
            {"lr": 0.1, "momentum": 0.9, "nesterov": True, "lr_in_momentum": True},
        ),
        (
            Wrong(
                "nesterov without momentum", lambda o, a: o.update(nesterov=True, momentum=0.0),
                ("nesterov", "momentum"),
            ),
            Wrong("momentum of 1", lambda o, a: o.update(momentum=1.0), ("momentum", "[0, 1)")),
        ),
    ),
    _op(
        "Momentum", "momentum", "Polyak 1964, as a running average",
        ({}, {"lr": 0.1, "beta": 0.5, "weight_decay": 0.1, "maximize": True}),
        (Wrong("beta of 1", lambda o, a: o.update(beta=1.0), ("beta", "[0, 1)")),),
    ),
    _op(
        "Rprop", "rprop", "Riedmiller and Braun 1993; Igel and Hüsken 2000, iRprop-",
        ({}, {"lr": 0.1, "etas": (0.25, 1.5), "step_sizes": (0.05, 0.12), "maximize": True}),
        (
            Wrong("etas swapped", lambda o, a: o.update(etas=(1.2, 0.5)), ("etas[0]", "(0, 1)", "1.2")),
            Wrong("one eta", lambda o, a: o.update(etas=(0.5,)), ("etas", "two numbers in (0, 1) and > 1")),
            Wrong("step_sizes swapped", lambda o, a: o.update(step_sizes=(2.0, 1.0)), ("step_sizes", "shortest")),
        ),
        without=("weight_decay negative",),
    ),
    _op(
        "ASGD", "asgd", "Polyak and Juditsky 1992, equation 2",
        ({}, {"lr": 0.1, "lambd": 0.1, "t0": 0, "weight_decay": 0.1}, {"alpha": 1.0, "t0": 0.5, "maximize": True}),
        (
            Wrong("lambd negative", lambda o, a: o.update(lambd=-1.0), ("lambd", "≥ 0")),
            Wrong("t0 NaN", lambda o, a: o.update(t0=float("nan")), ("t0", "nan")),
        ),
    ),
    _op(
        "Lion", "lion", "Chen et al. 2023, Algorithm 2",
        ({}, {"lr": 0.1, "betas": (0.5, 0.6), "weight_decay": 0.1, "maximize": True}),
        (BETAS,),
    ),
    _op(
        "Adam", "adam adam_amsgrad", "Kingma and Ba 2015, Algorithm 1; Reddi et al. 2018, Algorithm 2",
        (
            {}, {"lr": 0.1, "weight_decay": 0.1}, {"amsgrad": True},
            {"amsgrad": True, "betas": (0.5, 0.6), "maximize": True}, {"eps_hat": True, "eps": 1e-3},
        ),
        (BETAS, EPS),
    ),
    _op(
        "AdamW", "adam adam_amsgrad", "Loshchilov and Hutter 2019, Algorithm 2",
        ({}, {"lr": 0.1, "weight_decay": 0.1}, {"amsgrad": True}, {"maximize": True, "eps_hat": True}),
        (BETAS, EPS),
    ),
    _op(
        "Adamax", "adamax", "Kingma and Ba 2015, Algorithm 2",
        (
            {}, {"lr": 0.1, "betas": (0.5, 0.6), "eps": 1e-3, "weight_decay": 0.1, "maximize": True},
            {"eps_in_divisor": True, "eps": 1e-3},
        ),
        (BETAS, EPS),
    ),
    _op(
        "NAdam", "nadam", "Dozat 2016, Algorithm 2",
        (
            {}, {"lr": 0.1, "momentum_decay": 1.0, "weight_decay": 0.1},
            {"betas": (0.5, 0.6), "weight_decay": 0.1, "maximize": True},
        ),
        (
            BETAS, EPS,
            Wrong("momentum_decay negative", lambda o, a: o.update(momentum_decay=-1.0), ("momentum_decay", "≥ 0")),
        ),
    ),
    _op(
        "RAdam", "radam", "Liu et al. 2020, Algorithm 2",
        (
            {}, {"lr": 0.1, "weight_decay": 0.1, "betas": (0.9, 0.9)},
            {"weight_decay": 0.1, "maximize": True},
        ),
        (BETAS, EPS),
    ),
    _op(
        "AdEMAMix", "ademamix", "Pagliardini et al. 2024, Algorithm 1",
        (
            {}, {"lr": 0.1, "betas": (0.5, 0.6, 0.9), "beta3_warmup": 3, "alpha_warmup": 2, "weight_decay": 0.1},
            {"betas": (0.0, 0.9, 0.99), "beta3_warmup": 9, "alpha": 0.5, "maximize": True},
        ),
        (
            EPS, Wrong("two betas", lambda o, a: o.update(betas=(0.9, 0.999)), ("betas", "three numbers in [0, 1)")),
            Wrong("alpha negative", lambda o, a: o.update(alpha=-1.0), ("alpha", "≥ 0")),
        ),
    ),
    _op(
        "AdamWScheduleFree", "schedule_free_adamw interpolate", "Defazio et al. 2024, Algorithm 1",
        (
            {}, {"lr": 0.1, "betas": (0.5, 0.6), "weight_decay": 0.1, "warmup_steps": 2},
            {"r": 1.0, "weight_lr_power": 0.0, "maximize": True},
        ),
        (EPS, Wrong("no average", lambda o, a: o.update(betas=(0.0, 0.9)), ("betas[0]", "(0, 1)", "0.0"))),
    ),
    _op(
        "RMSprop", "rmsprop rmsprop_momentum rmsprop_centered rmsprop_centered_momentum",
        "Tieleman and Hinton 2012; Graves 2013, equations 38 to 45",
        (
            {}, {"momentum": 0.9}, {"centered": True, "weight_decay": 0.1},
            {"centered": True, "momentum": 0.5, "maximize": True}, {"eps_in_root": True},
            {"centered": True, "momentum": 0.5, "eps_in_root": True, "lr_in_momentum": True},
        ),
        (EPS, Wrong("alpha of 1", lambda o, a: o.update(alpha=1.0), ("alpha", "[0, 1)"))),
        RMSPROP_TOLERANCE,
    ),
    _op(
        "Adagrad", "adagrad", "Duchi et al. 2011, Figure 1",
        (
            {}, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.1, "maximize": True},
            {"eps_in_root": True, "eps": 1e-3},
        ),
        (EPS, Wrong("lr_decay negative", lambda o, a: o.update(lr_decay=-1.0), ("lr_decay", "≥ 0"))),
    ),
    _op(
        "Adadelta", "adadelta", "Zeiler 2012, Algorithm 1",
        ({}, {"lr": 0.5, "rho": 0.5, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
        (EPS, Wrong("rho of 1", lambda o, a: o.update(rho=1.0), ("rho", "[0, 1)"))),
    ),
    _op(
        "FTRL", "ftrl ftrl_power", "McMahan et al. 2013, Algorithm 1",
        (
            {}, {"lr": 0.1, "l1": 0.5, "l2": 0.1, "weight_decay": 0.1},
            {"lr": 0.5, "beta": 0.0, "initial_accumulator_value": 0.1, "maximize": True},
            {"lr": 0.1, "lr_power": -0.8, "l2_shrinkage": 0.1}, {"lr_power": 0.0, "l1": 0.5, "weight_decay": 0.1},
        ),
        (
            Wrong("lr zero", lambda o, a: o.update(lr=0.0), ("lr", "> 0", "0.0")),
            Wrong("l1 negative", lambda o, a: o.update(l1=-1.0), ("l1", "≥ 0")),
            Wrong("lr_power positive", lambda o, a: o.update(lr_power=0.5), ("lr_power", "≤ 0", "0.5")),
        ),
        without=("lr negative",),
    ),
    _op(
        "LARS", "lars lars_norms", "You, Gitman and Ginsburg 2017, Algorithm 1",
        (
            {}, {"lr": 10.0, "weight_decay": 0.1, "trust_coefficient": 0.01, "nesterov": True},
            {"momentum": 0.0, "eps": 0.1, "maximize": True},
        ),
        (
            Wrong("momentum of 1", lambda o, a: o.update(momentum=1.0), ("momentum", "[0, 1)")),
            Wrong("no trust", lambda o, a: o.update(trust_coefficient=0.0), ("trust_coefficient", "> 0")),
        ),
        traffic=lambda options, arrays: 7 * arrays["param"].nbytes,
    ),
    _op(
        "LAMB", "lamb lamb_norms", "You et al. 2020, Algorithm 2",
        ({}, {"lr": 0.1, "weight_decay": 0.1}, {"betas": (0.5, 0.6), "maximize": True}),
        (BETAS, EPS),
        traffic=lambda options, arrays: 11 * arrays["param"].nbytes,
    ),
    _op(
        "Adafactor", "adafactor adafactor_factors adafactor_norms adafactor_vector adafactor_vector_norms",
        "Shazeer and Stern 2018, Algorithms 4 and 5",
        (
            {}, {"lr": 0.1, "weight_decay": 0.1, "beta2_decay": -0.5},
            {"eps": (0.1, 0.5), "d": 0.5, "maximize": True},
        ),
        (
            Wrong("one eps", lambda o, a: o.update(eps=1e-3), ("eps", "two numbers")),
            Wrong("beta2_decay positive", lambda o, a: o.update(beta2_decay=0.8), ("beta2_decay", "≤ 0", "0.8")),
            Wrong("d zero", lambda o, a: o.update(d=0.0), ("d", "> 0")),
        ),
        shapes=(*SHAPES, (1, 1), (300, 200), (64, 1), (1, 600), (2, 200, 300), (5, 4, 3, 3), (0, 4), (3, 0)),
        traffic=lambda options, arrays: 6 * arrays["param"].nbytes,
        bench=(({}, (1000,)), ({}, (1000, 1000)), ({}, (5000, 4000))),
    ),
    _op(
        "Muon", "muon muon_direction", "Jordan et al. 2024",
        (
            {}, {"lr": 0.1, "nesterov": False, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"},
            {"momentum": 0.5, "ns_coefficients": (1.5, -0.5, 0.0), "ns_steps": 3, "eps": 1e-3, "maximize": True},
        ),
        (
            EPS, Wrong("no iterations", lambda o, a: o.update(ns_steps=0), ("ns_steps", "[1, 101)")),
            Wrong("two coefficients", lambda o, a: o.update(ns_coefficients=(1.0, 2.0)), ("ns_coefficients", "three")),
            Wrong("adjust_lr_fn unknown", lambda o, a: o.update(adjust_lr_fn="rms"), ("adjust_lr_fn", "'original'")),
            Wrong("a vector", lambda o, a: o.update() or a.update(param=np.ones(9)), ("params[0]", "a matrix", "(9,)")),
        ),
        MUON_TOLERANCE,
        shapes=((0, 4), (3, 0), (1, 1), (1, 7), (16, 17), (33, 31), (100, 300), (513, 40)),
        traffic=lambda options, arrays: 8 * arrays["param"].nbytes,
        bench=(({}, (32, 32)), ({}, (768, 768)), ({}, (768, 3072))),
    ),
)  # fmt: skip
