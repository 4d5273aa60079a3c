"""The optimizers' rows of the table."""

from functools import partial

import numpy as np

from fastopt.kernels.op import Bad, Op
from fastopt.kernels.optimizers import reference
from fastopt.kernels.runtime.kernel import Kernel

STEPS = 3  # steps that a case takes, so that state matters


def _kernel(name: str, state: str, scalars: str) -> Kernel:
    states = tuple(state.split())
    return Kernel(
        name,
        "optimizers",
        buffers=("param", "grad", *states),
        written=("param", *states),
        scalars=(*scalars.split(), "grad_scale"),
    )


ADAM = "step_size beta1 one_minus_beta1 beta2 one_minus_beta2 root_correction eps weight_decay decay"
RMSPROP = "lr alpha one_minus_alpha eps"

KERNELS = {
    kernel.name: kernel
    for kernel in (
        _kernel("sgd", "", "lr weight_decay"),
        _kernel("sgd_momentum", "momentum_buffer", "lr momentum one_minus_dampening nesterov weight_decay"),
        _kernel("momentum", "velocity", "lr beta one_minus_beta weight_decay"),
        _kernel("adam", "exp_avg exp_avg_sq", ADAM),
        _kernel("adam_amsgrad", "exp_avg exp_avg_sq max_exp_avg_sq", ADAM),
        _kernel("rmsprop", "square_avg", f"{RMSPROP} weight_decay"),
        _kernel("rmsprop_momentum", "square_avg momentum_buffer", f"{RMSPROP} momentum weight_decay"),
        _kernel("rmsprop_centered", "square_avg grad_avg", f"{RMSPROP} weight_decay"),
        _kernel("rmsprop_centered_momentum", "square_avg grad_avg momentum_buffer", f"{RMSPROP} momentum weight_decay"),
        _kernel("adagrad", "sum_of_squares", "lr eps weight_decay"),
    )
}


def _inputs(rng, shape, dtype, options):
    arrays = {"param": rng.standard_normal(shape).astype(dtype)}
    return arrays | {f"grad{step}": rng.standard_normal(shape).astype(dtype) for step in range(1, STEPS + 1)}


def _call(public, options, arrays):
    import fastopt

    optimizer = getattr(fastopt.optimizers, public)([arrays["param"]], **options)
    for step in range(1, STEPS + 1):
        optimizer.step([arrays[f"grad{step}"]])
    return {"param": arrays["param"], **optimizer.state[0]}


def _expect(public, options, arrays):
    """Run the reference in float64, with the hyper-parameters rounded as the public class gets them: not at all."""
    import fastopt

    function = reference.__dict__[public.lower()]
    optimizer = getattr(fastopt.optimizers, public)([arrays["param"]], **options)
    hyper = {k: v for k, v in optimizer.groups[0].items() if k != "initial_accumulator_value"}
    param = arrays["param"].astype(np.float64)
    state = {name: array.astype(np.float64) for name, array in optimizer.state[0].items()}
    for step in range(1, STEPS + 1):
        param, *values = function(param, arrays[f"grad{step}"].astype(np.float64), **state, **hyper, t=step)
        state = dict(zip(state, values, strict=True))
    return {"param": param, **state}


def _traffic(kernel, options, arrays):
    """One step: every buffer read, every written one written."""
    return (len(kernel.buffers) + len(kernel.written)) * arrays["param"].nbytes


SHAPES = (
    *((n,) for n in (0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 511, 513, 100_003)),
    (), (3, 5), (2, 3, 4),
)  # fmt: skip
# float32: three steps of a dozen roundings each, on values of order 1; the root in the divisor can double them.
TOLERANCE = {"float32": (2e-6, 2e-6), "float64": (4e-15, 4e-15)}

# RMSprop's first steps are up to 1 / sqrt(1 - alpha) = 10 long, and its direction sums several of both signs.
RMSPROP_TOLERANCE = {"float32": (2e-6, 2e-5), "float64": (4e-15, 4e-14)}

SHARED_BAD = (
    Bad("lr negative", lambda o, a: o.update(lr=-1.0), ("lr", "≥ 0", "-1.0")),
    Bad("lr not a number", lambda o, a: o.update(lr="fast"), ("lr", "fast"), TypeError),
    Bad("lr NaN", lambda o, a: o.update(lr=float("nan")), ("lr", "nan")),
    Bad("weight_decay negative", lambda o, a: o.update(weight_decay=-0.1), ("weight_decay", "≥ 0")),
    Bad("maximize not a flag", lambda o, a: o.update(maximize="yes"), ("maximize", "True or False"), TypeError),
    Bad("integer parameters", lambda o, a: a.update(param=np.arange(9)), ("params[0]", "float32", "int64"), TypeError),
    Bad("complex parameters", lambda o, a: a.update(param=np.ones(9, complex)), ("params[0]", "complex"), TypeError),
    Bad("object parameters", lambda o, a: a.update(param=np.ones(9, object)), ("params[0]", "object"), TypeError),
    Bad("a list for a parameter", lambda o, a: a.update(param=[1.0, 2.0]), ("params[0]", "NumPy array"), TypeError),
    Bad("read-only parameters", lambda o, a: a["param"].setflags(write=False), ("params[0]", "writable")),
    Bad(
        "broadcast parameters", lambda o, a: a.update(param=np.lib.stride_tricks.as_strided(a["param"], (9,), (0,))),
        ("params[0]", "broadcast"),
    ),
    Bad("gradient of another shape", lambda o, a: a.update(grad1=a["grad1"][:-1]), ("grads[0]", "shape")),
    Bad("integer gradient", lambda o, a: a.update(grad1=a["grad1"].astype(np.int32)), ("grads[0]", "int32"), TypeError),
    Bad("gradient missing", lambda o, a: a.update(grad1=None), ("grads[0]", "None")),
    Bad("gradient overlapping", lambda o, a: a.update(grad1=a["param"]), ("grads[0]", "overlap")),
)  # fmt: skip
BETAS = Bad("betas outside [0, 1)", lambda o, a: o.update(betas=(0.9, 1.0)), ("betas[1]", "[0, 1)", "1.0"))
EPS = Bad("eps zero", lambda o, a: o.update(eps=0.0), ("eps", "> 0", "0.0"))


def _op(public, names, source, options, bad=(), tolerance=TOLERANCE):
    kernels = tuple(KERNELS[name] for name in names.split())
    return Op(
        name=public.lower(),
        family="optimizers",
        kernels=kernels,
        source=source,
        options=options,
        shapes=SHAPES,
        inputs=_inputs,
        call=partial(_call, public),
        expect=partial(_expect, public),
        tolerance=tolerance,
        bad=(*SHARED_BAD, *bad),
        traffic=partial(_traffic, kernels[0]),
        bench=(({}, (1000,)), ({}, (1_000_000,)), ({}, (20_000_000,))),
    )


OPS = (
    _op(
        "SGD", "sgd sgd_momentum", "Sutskever et al. 2013, equations 1 to 4",
        (
            {}, {"lr": 0.1, "weight_decay": 0.1}, {"lr": 0.1, "momentum": 0.9}, {"momentum": 0.9, "dampening": 0.3},
            {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True},
        ),
        (
            Bad(
                "nesterov without momentum", lambda o, a: o.update(nesterov=True, momentum=0.0),
                ("nesterov", "momentum"),
            ),
            Bad("momentum of 1", lambda o, a: o.update(momentum=1.0), ("momentum", "[0, 1)")),
        ),
    ),
    _op(
        "Momentum", "momentum", "Polyak 1964, as a running average",
        ({}, {"lr": 0.1, "beta": 0.5, "weight_decay": 0.1, "maximize": True}),
        (Bad("beta of 1", lambda o, a: o.update(beta=1.0), ("beta", "[0, 1)")),),
    ),
    _op(
        "Adam", "adam adam_amsgrad", "Kingma and Ba 2015, Algorithm 1; Reddi et al. 2018, Algorithm 2",
        (
            {}, {"lr": 0.1, "weight_decay": 0.1}, {"amsgrad": True},
            {"amsgrad": True, "betas": (0.5, 0.6), "maximize": True},
        ),
        (BETAS, EPS),
    ),
    _op(
        "AdamW", "adam adam_amsgrad", "Loshchilov and Hutter 2019, Algorithm 2",
        ({}, {"lr": 0.1, "weight_decay": 0.1}, {"amsgrad": True}, {"maximize": True}),
        (BETAS, EPS),
    ),
    _op(
        "RMSprop", "rmsprop rmsprop_momentum rmsprop_centered rmsprop_centered_momentum",
        "Tieleman and Hinton 2012; Graves 2013, equations 38 to 45",
        (
            {}, {"momentum": 0.9}, {"centered": True, "weight_decay": 0.1},
            {"centered": True, "momentum": 0.5, "maximize": True},
        ),
        (EPS, Bad("alpha of 1", lambda o, a: o.update(alpha=1.0), ("alpha", "[0, 1)"))),
        RMSPROP_TOLERANCE,
    ),
    _op(
        "Adagrad", "adagrad", "Duchi et al. 2011, Figure 1",
        ({}, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "weight_decay": 0.1, "maximize": True}),
        (EPS, Bad("lr_decay negative", lambda o, a: o.update(lr_decay=-1.0), ("lr_decay", "≥ 0"))),
    ),
)  # fmt: skip
