"""Every argument of classes, of methods, and of functions without a row of the table has an effect, changed alone.

Each public callable has a sample of a good call here, and another value of each argument; one without a sample fails.
Functions with a row stand in test_arguments.py; what a constructor's options do, beside this, in the families' rooms.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastopt as fo
from fastopt.optimizers import overrides as ready
from fastopt.optimizers.options import StepOptions
from fastopt.table import OPS

RNG = np.random.default_rng(0)
X, Y, W = (RNG.uniform(0.1, 0.9, (4, 6)) for _ in range(3))
BASES = (fo.losses.Loss, fo.metrics.Metric, fo.optimizers.Optimizer)  # of no use by themselves
FAMILIES = {name: getattr(fo, name) for name in fo.__all__ if inspect.ismodule(getattr(fo, name))}


@dataclass
class Sample:
    """A good call: `run` gives what came of it for arguments, `base` makes them; other values of each; and what must
    stand beside an argument so that it counts."""

    run: Callable[..., Any]
    base: Callable[[], dict[str, Any]]
    others: dict[str, Any]
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)


# ---- what is public


def callables():
    """Yield what people call, by name: functions, classes, and their methods; not what a row of the table calls."""
    by_row = {getattr(fo, op.family).__dict__.get(op.name) for op in OPS if op.family != "arrays"}
    for family, module in FAMILIES.items():
        for name in module.__all__:
            value = getattr(module, name)
            if value.__name__ == name and value not in by_row and value not in BASES:
                yield f"{family}.{name}", value
                yield from ((f"{family}.{name}.{method}", part) for method, part in methods(value))
    yield from ((f"overrides.{name}", getattr(ready, name)) for name in functions(ready))
    yield from ((name, getattr(fo, name)) for name in fo.__all__ if inspect.isfunction(getattr(fo, name)))


def functions(module):
    return [
        n
        for n, f in vars(module).items()
        if inspect.isfunction(f) and f.__module__ == module.__name__ and n != "grouped"
    ]


def methods(value):
    if not inspect.isclass(value):
        return []
    found = inspect.getmembers(value, inspect.isfunction)
    return [(name, part) for name, part in found if name[0] != "_" or name == "__call__"]


def arguments(name, value):
    """Return what a callable takes: of optimizers what all share, as their hyper-parameters stand in test_arguments.py;
    of losses and metrics no options, as tests/losses and tests/metrics have them."""
    if inspect.isclass(value) and name.startswith(("losses.", "metrics.")):
        return []
    if inspect.isclass(value) and name.startswith("optimizers."):
        return ["params", *StepOptions.__annotations__]
    if "args" in inspect.signature(value).parameters:  # handed on as they come
        value = getattr(fo.optimizers.Optimizer, name.split(".")[-1])
    return [name for name in inspect.signature(value).parameters if name != "self"]


# ---- what came of a call


def frozen(found):
    """Return what can be compared, to the bit, of whatever a call gives."""
    if isinstance(found, dict):
        return {name: frozen(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [frozen(value) for value in found]
    if isinstance(found, np.ndarray):
        return str(found.dtype), found.shape, found.tobytes()
    return repr(found)


def outcome(sample, given):
    try:
        with np.errstate(all="ignore"):
            return frozen(sample.run(**given))
    except (TypeError, ValueError) as refusal:
        return f"refused: {refusal}"


# ---- schedules: the rates of the first steps


def rates(cls, **options):
    return [cls(**options)(step) for step in range(12)]


SCHEDULES = {
    "Constant": ({"lr": 1.0}, {"lr": 0.5}),
    "PiecewiseConstant": ({"boundaries": (3,), "values": (1.0, 0.5)}, {"boundaries": (4,), "values": (1.0, 0.25)}),
    "StepDecay": ({"lr": 1.0, "step_size": 3}, {"lr": 0.5, "step_size": 2, "gamma": 0.5}),
    "ExponentialDecay": (
        {"lr": 1.0, "decay_steps": 4, "decay_rate": 0.5},
        {"lr": 0.5, "decay_steps": 3, "decay_rate": 0.25, "staircase": True},
    ),
    "InverseTimeDecay": (
        {"lr": 1.0, "decay_steps": 4, "decay_rate": 0.5},
        {"lr": 0.5, "decay_steps": 3, "decay_rate": 0.25, "staircase": True},
    ),
    "PolynomialDecay": (
        {"lr": 1.0, "decay_steps": 5}, {"lr": 0.5, "decay_steps": 4, "end": 0.1, "power": 2.0, "cycle": True},
    ),
    "CosineDecay": ({"lr": 1.0, "decay_steps": 5}, {"lr": 0.5, "decay_steps": 4, "end": 0.1}),
    "CosineDecayRestarts": (
        {"lr": 1.0, "first_decay_steps": 3},
        {"lr": 0.5, "first_decay_steps": 4, "t_mul": 1.0, "m_mul": 0.5, "end": 0.1},
    ),
    "LinearWarmup": ({"schedule": 1.0, "warmup_steps": 4}, {"schedule": 0.5, "warmup_steps": 3, "start": 0.1}),
}  # fmt: skip


def schedule_samples():
    for name, (base, others) in SCHEDULES.items():
        cls = getattr(fo.schedules, name)
        yield f"schedules.{name}", Sample(partial(rates, cls), base.copy, others)
        yield f"schedules.{name}.__call__", Sample(cls(**base), lambda: {"step": 1}, {"step": 6})


# ---- arrays: written results are part of what came


def pair(scale=1.0):
    return [scale * X, scale * Y[0]]


def new_pair():
    return [np.zeros_like(X), np.zeros_like(Y[0])]


def array_samples():
    A = fo.arrays
    yield "arrays.scale", Sample(
        lambda **given: (A.scale(**given), given.get("out")), lambda: {"arrays": pair(), "factor": 0.5},
        {"arrays": pair(2.0), "factor": 0.25, "out": new_pair(), "return_finite": True},
    )  # fmt: skip
    yield "arrays.axpby", Sample(
        lambda **given: (A.axpby(**given), given.get("out")), lambda: {"a": 0.5, "x": pair(), "b": 2.0, "y": pair(3.0)},
        {"a": 0.25, "x": pair(2.0), "b": 1.0, "y": pair(), "out": new_pair()},
    )  # fmt: skip
    for name in ("global_norm", "norms"):
        yield f"arrays.{name}", Sample(getattr(A, name), lambda: {"arrays": pair()}, {"arrays": pair(2.0)})
    yield "arrays.all_finite", Sample(A.all_finite, lambda: {"arrays": pair()}, {"arrays": pair(np.inf)})


# ---- initializers without a row, which have no kernel


def initializer_samples():
    for name in ("ones", "zeros"):
        fill = getattr(fo.initializers, name)
        yield f"initializers.{name}", Sample(
            lambda fill=fill, **given: (fill(**given), given.get("out")), lambda: {"shape": (2, 3)},
            {"shape": (3, 2), "dtype": "float64", "out": np.full((2, 3), 7.0, np.float32)},
        )  # fmt: skip


# ---- losses: a class's options stand in tests/losses/test_arguments.py


def loss_samples():
    for name in fo.losses.__all__:
        cls = getattr(fo.losses, name)
        if not inspect.isclass(cls) or cls.__name__ != name or cls in BASES:
            continue
        given = loss_arrays(cls)
        others = {key: value[::-1].copy() for key, value in given.items()}
        few = {"sample_weight": np.array([0.5, 2.0, 1.0, 0.0]), "mask": np.array([True, False, True, True])}
        yield f"losses.{name}.__call__", Sample(cls(), given.copy, {**others, **few})
        out = {"out": np.zeros_like(X)}
        if cls is fo.losses.GaussianNLL:
            out["out_var"] = np.zeros_like(X)
        if cls is fo.losses.LinearCrossEntropy:
            out["out"] = tuple(np.zeros_like(given[key]) for key in ("x", "weight", "bias"))
        yield f"losses.{name}.value_and_grad", Sample(
            lambda cls=cls, **given: (cls().value_and_grad(**given), given.get("out"), given.get("out_var")),
            given.copy, {**others, **few, **out},
        )  # fmt: skip


def loss_arrays(cls):
    labels = np.array([1, 2, 0, 1])
    if cls is fo.losses.LinearCrossEntropy:
        return {"x": X, "weight": RNG.normal(size=(5, 6)), "y_true": labels, "bias": W[0, :5].copy()}
    if cls._takes_labels:
        return {"y_true": labels, "y_pred": X / X.sum(axis=1, keepdims=True)}
    given = {
        "y_true": np.eye(6)[labels] + (0.5 if cls is fo.losses.Gamma else 0.0),
        "y_pred": X / X.sum(axis=1, keepdims=True),
    }
    return given | ({"var": Y} if cls is fo.losses.GaussianNLL else {})


# ---- norms: a layer's outputs, gradients, statistics and attributes


LAYERS = {
    "BatchNorm": (
        {"features": 6},
        {"momentum": 0.5, "eps": 0.5, "affine": False, "activation": "relu", "dtype": "float32", "biased": True,
         "channel_axis": 2, "features": 4},
    ),
    "LayerNorm": (
        {"normalized_shape": 6},
        {"normalized_shape": (6, 6), "eps": 0.5, "affine": False, "bias": False, "dtype": "float32"},
    ),
    "RMSNorm": (
        {"normalized_shape": 6}, {"normalized_shape": (6, 6), "eps": 0.5, "affine": False, "dtype": "float32"},
    ),
    "GroupNorm": (
        {"num_groups": 2, "features": 6},
        {"num_groups": 3, "features": 4, "eps": 0.5, "affine": False, "dtype": "float32", "channel_axis": 2},
    ),
    "InstanceNorm": (
        {"features": 6}, {"features": 4, "eps": 0.5, "affine": True, "dtype": "float32", "channel_axis": 2},
    ),
}  # fmt: skip


def layer(name, **options):
    return getattr(fo.normalization, name)(**{"dtype": "float64", **options})


V, DY = RNG.normal(size=(4, 6, 6)), RNG.normal(size=(4, 6, 6))
ATTRIBUTES = ("gamma", "beta", "grad_gamma", "grad_beta", "running_mean", "running_var", "num_batches_tracked")


def held(layer):
    return {name: getattr(layer, name, None) for name in ATTRIBUTES}


def norm_by(cls, **options):
    layer = cls(**{"dtype": "float64", **options})
    x, dy = V.astype(layer.dtype), DY.astype(layer.dtype)
    found = layer.forward(x), layer.backward(dy)
    return *found, layer.forward(2 * x), held(layer)


def forward(cls, base, **given):
    layer = cls(**base, dtype="float64")
    return layer.forward(**given), layer.backward(DY), given.get("out"), held(layer)


def backward(cls, base, residual=None, **given):
    more = {"activation": "relu"} if cls is fo.normalization.BatchNorm else {}
    layer = cls(**base, **more, dtype="float64")
    layer.forward(V, **({} if residual is None else {"residual": residual}))
    return layer.backward(**given), given, held(layer)


def load_layer(cls, base, state):
    layer = cls(**base, affine=True, dtype="float64")
    layer.load_state_dict(state)
    return held(layer), layer.state_dict()


def norm_samples():
    for name, (base, others) in LAYERS.items():
        cls = getattr(fo.normalization, name)
        yield f"normalization.{name}", Sample(partial(norm_by, cls), base.copy, others)
        few = {"x": DY, "out": np.zeros_like(V)}
        if name == "BatchNorm":
            few |= {"training": False, "residual": DY, "mask": np.arange(24).reshape(4, 6) % 3 > 0}
        yield f"normalization.{name}.forward", Sample(partial(forward, cls, base), lambda: {"x": V}, few)
        yield f"normalization.{name}.backward", Sample(
            partial(backward, cls, base), lambda: {"dy": DY},
            {"dy": V, "out": np.zeros_like(V), "out_residual": np.zeros_like(V)}, {"out_residual": {"residual": DY}},
        )  # fmt: skip
        state = cls(**base, affine=True, dtype="float64").state_dict()
        yield f"normalization.{name}.load_state_dict", Sample(
            partial(load_layer, cls, base), lambda state=state: {"state": state},
            {"state": {key: value + 1 for key, value in state.items()}},
        )  # fmt: skip
    parts = [fo.normalization.batch_norm_stats(part) for part in (V, DY)]
    yield (
        "normalization.merge_stats",
        Sample(fo.normalization.merge_stats, lambda: {"stats": parts}, {"stats": parts[:1]}),
    )


# ---- metrics: their options stand in tests/metrics/test_arguments.py


def updated(cls, **given):
    metric = cls(k=1) if "TopK" in cls.__name__ else cls()
    metric.update_state(**given)
    return metric


def metric_samples():
    rows = {op.name.replace("_", ""): op for op in OPS if op.family == "metrics"}
    for name in fo.metrics.__all__:
        cls = getattr(fo.metrics, name)
        if not inspect.isclass(cls) or cls in BASES:
            continue
        op = rows[name.lower()]
        one, other = (op.inputs(np.random.default_rng(seed), (60,), "float64", op.options[0]) for seed in (1, 2))
        yield f"metrics.{name}.update_state", Sample(
            lambda cls=cls, **given: updated(cls, **given).result(), one.copy,
            {"y_true": other["y_true"], "y_pred": other["y_pred"], "sample_weight": RNG.uniform(size=60)},
        )  # fmt: skip
        yield f"metrics.{name}.merge_state", Sample(
            partial(merged, cls, one), lambda cls=cls, one=one: {"other": updated(cls, **one)},
            {"other": updated(cls, **other)},
        )  # fmt: skip


def merged(cls, given, other):
    metric = updated(cls, **given)
    metric.merge_state(other)
    return metric.result()


# ---- optimizers: their hyper-parameters stand in test_arguments.py


PARAM, GRAD = RNG.normal(size=(4, 6)), RNG.normal(size=(4, 6))
HYPER = {"SGD": {"momentum": 0.9}, "RMSprop": {"momentum": 0.9}}
ROUNDED = {"rounding": "stochastic", "dtype": "bfloat16"}
STEP_OPTIONS = {
    "clip_norm": 0.1, "clip_each": 0.1, "clip_value": 0.1, "decoupled_weight_decay": True, "ema_decay": 0.5,
    "copy_to": "bfloat16", "state_dtype": "bfloat16", "rounding": "stochastic", "seed": 7,
    "overrides": lambda key, array: {"lr": 0.5}, "copies": [np.zeros((4, 6), ml_dtypes.bfloat16)],
}  # fmt: skip


def optimizer(cls, **options):
    decay = {"weight_decay": 0.1} if "weight_decay" in cls.rule.hyper else {}
    return cls(**{"params": [PARAM.copy()], "lr": 0.1} | HYPER.get(cls.__name__, {}) | decay | options)


def all_of(optimizer):
    return [optimizer._store.params, optimizer.state, optimizer.averages, optimizer.copies, optimizer.steps]


def steps(cls, dtype="float64", **options):
    """Return all that an optimizer holds after steps with gradients of very different lengths."""
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    params = [param.astype(kind) for param in options.pop("params")]
    made = optimizer(cls, params=params, **options)
    for factor in (10.0, -0.1, 0.5):
        made.step([(factor * GRAD + 0.1).astype(kind).reshape(params[0].shape)])
    return all_of(made)


def step_with(cls, **given):
    made = optimizer(cls, clip_norm=5.0)
    made.step([GRAD.copy()])
    grads = [np.copy(grad) if isinstance(grad, np.ndarray) else grad for grad in given.pop("grads")]
    return made.step(grads, **given), grads, all_of(made)


def step_rows_with(cls, **given):
    made = optimizer(cls, params=[PARAM.copy(), 2 * PARAM])
    return made.step_rows(**given), all_of(made)


def add_to(cls, group):
    made = optimizer(cls)
    made.add_group(group)
    made.step([[GRAD.copy()], GRAD.copy()])
    return all_of(made)


def load_into(cls, state_dict):
    made = optimizer(cls)
    made.load_state_dict(state_dict)
    return all_of(made)


def change_of(cls, name, value):
    made = optimizer(cls)
    made.change_option(name, value)
    made.step([GRAD.copy()])
    return all_of(made), made.options


def saved_after(cls, count):
    made = optimizer(cls)
    for _ in range(count):
        made.step([GRAD.copy()])
    return made.state_dict()


MATRICES_WHOLE = {"Adafactor": {"state_dtype": {"params": [PARAM.ravel()]}}}  # a vector's state takes the dtype
ROW_STEP = ("index", "rows", "values", "grad_scale", "skip_nonfinite", "return_stats")
BY_LAYER = ("LAMB", "LARS", "Adafactor", "Muon")  # they step no rows
SPOILT = np.where(np.arange(24).reshape(4, 6) == 5, np.nan, GRAD)


def optimizer_samples():
    for name in fo.optimizers.__all__:
        cls = getattr(fo.optimizers, name)
        if cls in BASES:
            continue
        yield f"optimizers.{name}", Sample(
            partial(steps, cls), lambda: {"params": [PARAM.copy()]}, {**STEP_OPTIONS, "params": [2 * PARAM]},
            {"rounding": {"dtype": "bfloat16"}, "seed": ROUNDED} | MATRICES_WHOLE.get(name, {}),
        )  # fmt: skip
        yield f"optimizers.{name}.step", Sample(
            partial(step_with, cls), lambda: {"grads": [GRAD]},
            {"grads": [-GRAD], "grad_scale": 0.01, "skip_nonfinite": True, "zero_grads": True, "return_stats": True,
             "skip_missing": True, "norm": 500.0},
            {"skip_nonfinite": {"grads": [SPOILT]}, "skip_missing": {"grads": [None]}, "norm": {"return_stats": True}},
        )  # fmt: skip
        if name not in BY_LAYER:
            rows = np.array([0, 2])
            yield f"optimizers.{name}.step_rows", Sample(
                partial(step_rows_with, cls), lambda rows=rows: {"index": 0, "rows": rows, "values": GRAD[:2]},
                {"index": 1, "rows": np.array([1, 2]), "values": -GRAD[:2], "grad_scale": 0.01, "skip_nonfinite": True,
                 "return_stats": True},
                {"skip_nonfinite": {"values": SPOILT[:2]}, "grad_scale": {"return_stats": True}},
            )  # fmt: skip
        yield (
            f"optimizers.{name}.add_group",
            Sample(
                partial(add_to, cls),
                lambda: {"group": {"params": PARAM.copy()}},
                {"group": {"params": PARAM, "lr": 0.5}},
            ),
        )
        yield f"optimizers.{name}.load_state_dict", Sample(
            partial(load_into, cls), lambda cls=cls: {"state_dict": saved_after(cls, 1)},
            {"state_dict": saved_after(cls, 2)},
        )  # fmt: skip
        yield (
            f"optimizers.{name}.change_option",
            Sample(partial(change_of, cls), lambda: {"name": "seed", "value": 1}, {"name": "clip_norm", "value": 2}),
        )


# ---- the rest


def threads_after(count):
    before = fo.get_num_threads()
    try:
        return fo.set_num_threads(count), fo.get_num_threads()
    finally:
        fo.set_num_threads(before)


def target_within(name):
    with fo.target(name):
        return fo.get_target()


def rest_samples():
    yield "set_num_threads", Sample(threads_after, lambda: {"count": 1}, {"count": 3})
    yield "target", Sample(target_within, lambda: {"name": "cython"}, {"name": "reference"})
    yield "show_config", Sample(fo.show_config, dict, {"mode": "dicts"})
    arrays = {"key": "weight", "array": X}
    yield "overrides.no_decay_of_vectors", Sample(ready.no_decay_of_vectors, arrays.copy, {"array": X[0]})
    yield (
        "overrides.layerwise_rates",
        Sample(
            lambda **given: ready.layerwise_rates(**given)("layer2", X),
            lambda: {"lr": 1.0, "decay": 0.5, "depth": lambda key: int(key[5])},
            {"lr": 0.5, "decay": 0.25, "depth": lambda key: 3},
        ),
    )
    yield "overrides.combined", Sample(
        lambda overrides: ready.combined(*overrides)("weight", X),
        lambda: {"overrides": [lambda key, array: {"lr": 0.5}]}, {"overrides": []},
    )  # fmt: skip


# ---- the test

MAY_BE_REFUSED = ("features",)  # other arrays would have to come with it

WITHOUT = {  # (the end of a name, argument): why no change shows, or where one does
    ("no_decay_of_vectors", "key"): "it plays no part, its docstring says",
    ("Constant.__call__", "step"): "the rate is the same at every step",
    ("save", "path"): "a file lies where it was asked for: tests/optimizers/test_saving.py",
    ("load", "path"): "as save",
    ("load_torch_state_dict", "state_dict"): "tests/optimizers/test_torch_state.py has each optimizer's",
    **{(name, "decoupled_weight_decay"): "it decays so anyway" for name in ("AdamW", "AdEMAMix", "Lion", "Muon")},
    **{(name, "decoupled_weight_decay"): "refused: there is none" for name in ("Rprop", "AdamWScheduleFree")},
    ("ASGD", "state_dtype"): "its averages of parameters are kept whole",
    ("FTRL", "state_dtype"): "its sums are kept whole",
    **{(f"{name}.step_rows", one): "refused: the step is of whole layers" for name in BY_LAYER for one in ROW_STEP},
    ("Rprop", "clip_norm"): "signs of gradients alone count, and clipping to a norm keeps them",
    ("Rprop", "clip_each"): "as clip_norm",
    ("Rprop", "clip_value"): "as clip_norm",
    ("Rprop.step", "grad_scale"): "as clip_norm",
    ("Rprop.step_rows", "grad_scale"): "as clip_norm",
}
SAMPLES = {
    name: sample
    for samples in (
        schedule_samples, array_samples, initializer_samples, loss_samples, norm_samples, metric_samples,
        optimizer_samples, rest_samples,
    )
    for name, sample in samples()
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [pytest.param(*one, id=one[0]) for one in callables() if arguments(*one)])
def test_an_argument_changed_alone_has_its_effect(name, value):
    for argument in arguments(name, value):
        if any(name.endswith(end) and argument == one for end, one in WITHOUT):
            continue
        sample = SAMPLES[name]
        beside = sample.beside.get(argument, {})
        plain = outcome(sample, {**sample.base(), **beside})
        changed = outcome(sample, {**sample.base(), **beside, argument: sample.others[argument]})
        assert argument in MAY_BE_REFUSED or not str(changed).startswith("refused"), f"{argument}: {changed}"
        assert changed != plain, argument


def test_the_exceptions_are_needed():
    assert all(any(name.endswith(end) for name, _ in callables()) for end, _ in WITHOUT)
