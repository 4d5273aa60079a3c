"""What the benchmarks time: each family's steady state, through its public names.

The table's `call` makes objects and outputs anew, which is right for checking and wrong for timing. Here every
object is made once, and outputs are reused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

import fastopt
from fastopt.cli.bench.clock import Job
from fastopt.cli.verdict import words
from fastopt.table.op import Arrays, Op

CHECKED = 1 << 17  # elements: larger cases are verified at a size for which the table states tolerances


@dataclass(frozen=True, eq=False)
class Case:
    """One thing to time: an op with options, on `count` sets of arrays of one shape."""

    op: Op
    options: Mapping[str, Any]
    shape: tuple[int, ...]
    count: int = 1

    @property
    def size(self) -> int:
        return self.count * int(np.prod(self.shape, dtype=np.int64))

    @property
    def name(self) -> str:
        return f"{self.op.family}.{self.op.name} {self.what} {words(self.options)}".rstrip()

    @property
    def what(self) -> str:
        shape = "×".join(map(str, self.shape)) or "1"
        return f"{self.count} arrays of {shape}" if self.count > 1 else shape

    def inputs(self, dtype: str) -> list[Arrays]:
        rng = np.random.default_rng(0)
        return [
            FAMILIES[self.op.family].repeatable(self.op.inputs(rng, self.shape, dtype, self.options))
            for _ in range(self.count)
        ]

    def smaller(self) -> "Case":
        """Return the case at a size that the reference can judge in a moment: this one, if it can."""
        if self.size <= CHECKED:
            return self
        if self.count > 1:
            return Case(self.op, self.options, self.shape, max(1, self.count * CHECKED // self.size))
        first, *rest = self.shape
        rest_size = self.size // first
        first = max(1, min(first, CHECKED // rest_size))
        while rest_size > CHECKED:
            longest = rest.index(max(rest))
            rest[longest] //= 2
            rest_size = int(np.prod(rest))
        return Case(self.op, self.options, (first, *rest))


@dataclass(frozen=True)
class Family:
    """How a family is timed.

    Parameters
    ----------
    prepare : callable (op, options, sets of arrays, fresh) -> Job or None
        On the present target; `fresh` asks for new outputs at every call, None says that there is no such thing.
    repeatable : callable (arrays) -> arrays
        Inputs whose expected results hold when the same call is made again and again.
    calls : int
        Runs after which the results are those of the op's `expect`.
    """

    prepare: Callable[[Op, Mapping[str, Any], Sequence[Arrays], bool], Job | None]
    repeatable: Callable[[Arrays], Arrays] = dict
    calls: int = 1


def cases(op: Op) -> list[Case]:
    """Return what is timed of an op: its rows in the table, and for some a model of many small arrays."""
    listed = [Case(op, options, shape) for options, shape in op.bench]
    many = op.name == "adamw" or op.family == "arrays"
    return [*listed, Case(op, op.bench[0][0], (1000,), 1000)] if many else listed


def prepare(case: Case, sets: Sequence[Arrays], target: str, fresh: bool = False) -> Job | None:
    """Return the case on one target; its arrays are its own where it writes them."""
    with fastopt.target(target):
        job = FAMILIES[case.op.family].prepare(case.op, case.options, sets, fresh)
    return job and replace(job, target=target)


# ---- optimizers: made once, one step is timed; every step sees the same gradients

OPTIMIZERS = {name.lower(): name for name in fastopt.optimizers.__all__}


def _one_gradient(arrays: Arrays) -> Arrays:
    grads = [name for name in arrays if name.startswith("grad")]
    return arrays | dict.fromkeys(grads, arrays[grads[0]])


def _optimizer(op, options, sets, fresh):
    if fresh:
        return None
    params = [arrays["param"].copy() for arrays in sets]
    optimizer = getattr(fastopt.optimizers, OPTIMIZERS[op.name])(params, **options)
    grads = [arrays["grad1"] for arrays in sets]
    return Job(
        partial(optimizer.step, grads),
        lambda: [{"param": param, **state} for param, state in zip(params, optimizer.state, strict=True)],
    )


# ---- the others: their functions with outputs reused, or new ones if asked for


def _linear_loss(op, options, sets, fresh):
    (arrays,) = sets
    loss = fastopt.losses.LinearCrossEntropy(**without(options, "weighted", "biased"))
    given = arrays["x"], arrays["weight"], arrays["y_true"], arrays.get("bias"), arrays.get("sample_weight")
    call = partial(loss.value_and_grad, *given, out=None if fresh else loss.value_and_grad(*given)[1])

    def results():
        value, gradients = call()
        found = {"value": np.asarray(value), "grad_x": gradients.x, "grad_weight": gradients.weight}
        return [found | ({} if gradients.bias is None else {"grad_bias": gradients.bias})]

    return Job(call, results)


def _loss(op, options, sets, fresh):
    from fastopt.table.losses.cases import CLASSES, RESULTS

    if op.name == "linear_cross_entropy":
        return _linear_loss(op, options, sets, fresh)
    (arrays,) = sets
    loss = getattr(fastopt.losses, CLASSES[op.name])(**without(options, "weighted"))
    outs = {} if fresh else {"out": np.empty_like(arrays["y_pred"])}
    if "var" in arrays and not fresh:
        outs["out_var"] = np.empty_like(arrays["var"])
    call = partial(loss.value_and_grad, **arrays, **outs)
    return Job(call, lambda: [dict(zip(RESULTS, call()))])


def _normalization(op, options, sets, fresh):
    from fastopt.table.normalization import arguments, results_of

    (arrays,) = sets
    given = arguments(op.name, options, {name: array.copy() for name, array in arrays.items()})
    if op.name not in ("batch_norm_stats", "batch_norm_gradient_sums") and not fresh:
        given["out"] = np.empty_like(arrays["x"])
        if "residual" in arrays and op.name == "batch_norm_backward":
            given["out_residual"] = np.empty_like(arrays["x"])
    call = partial(getattr(fastopt.normalization, op.name), **given)
    return Job(call, lambda: [results_of(op.name, call())])


def _initializer(op, options, sets, fresh):
    from fastopt.table.initializers import SEED

    if fresh:
        return None
    out = sets[0]["out"].copy()
    seed = {"seed": SEED} if op.kernels else {}
    call = partial(getattr(fastopt.initializers, op.name), out.shape, dtype=str(out.dtype), out=out, **seed, **options)
    return Job(call, lambda: [{"out": out}])


def _metric(op, options, sets, fresh):
    if fresh:
        return None
    call = partial(getattr(fastopt.metrics, op.name), **sets[0], **without(options, "given"))
    return Job(call, lambda: [{"value": np.asarray(call())}])


def _arrays(op, options, sets, fresh):
    if fresh:
        return None
    columns, function = columns_of(sets), getattr(fastopt.arrays, op.name)
    if "given" not in options:
        call = partial(function, columns["x"])
        return Job(call, None if len(sets) > 1 else lambda: [{"value": np.asarray(call())}])
    last = [*columns.values()][-1]
    arguments = {"arrays": columns["x"]} if op.name == "scale" else columns
    return Job(partial(function, **arguments, **without(options, "given"), out=last), lambda: written(last, sets))


def columns_of(sets: Sequence[Arrays]) -> dict[str, list[np.ndarray]]:
    """Return copies of the arrays by argument; of many sets only the first array, whose size the case names."""
    numbers = "01" if len(sets) == 1 else "0"
    names = [name for name in ("x", "y") if f"{name}0" in sets[0]]
    return {name: [arrays[f"{name}{i}"].copy() for arrays in sets for i in numbers] for name in names}


def written(column: Sequence[np.ndarray], sets: Sequence[Arrays]) -> list[Arrays]:
    """Return the results of `columns_of` arrays as the table names them."""
    each = len(column) // len(sets)
    return [{f"out{i}": column[k * each + i] for i in range(each)} for k in range(len(sets))]


def without(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the options that the call gets: the table keeps some for the making of inputs."""
    return {key: value for key, value in options.items() if key not in names}


FAMILIES = {
    "optimizers": Family(_optimizer, _one_gradient, calls=3),
    "normalization": Family(_normalization),
    "losses": Family(_loss),
    "initializers": Family(_initializer),
    "metrics": Family(_metric),
    "arrays": Family(_arrays),
}
