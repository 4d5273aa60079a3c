"""Steps on a GPU: a recipe as one kernel over many arrays, and the passes before it that measure."""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from fastopt.kernels.optimizers import rules
from fastopt.kernels.optimizers.batch import Asked, Rule, Setting
from fastopt.kernels.optimizers.cpu import scalar_table
from fastopt.kernels.optimizers.kernels import INTERPOLATE, KERNELS
from fastopt.kernels.optimizers.layers import Layers
from fastopt.kernels.optimizers.recipe import SCALARS, WORK, Recipe, states
from fastopt.kernels.runtime.cuda import DeviceJobs
from fastopt.kernels.runtime.cuda_arrays import DeviceArray
from fastopt.kernels.runtime.cuda_elements import Elements
from fastopt.kernels.runtime.driver import Device, driver
from fastopt.kernels.runtime.jobs import Call
from fastopt.kernels.runtime.kernel import Kernel
from fastopt.kernels.runtime.signals import signals_wait
from fastopt.kernels.runtime.whole import whole

SOURCES = ("optimizers/rules.py", "optimizers/cuda_rules.py")
STAGES = tuple([f"stage_{name}" for name in SCALARS])
MEASURED = {  # a pass -> what it sums up the squares of
    "lars_norms": ("param", "signed(grad, grad_scale)"),
    "lamb_norms": ("param", "lamb_update(param, grad, exp_avg, exp_avg_sq, {scalars})"),
    "adafactor_vector_norms": ("param", "adafactor_update(grad, variance, {scalars})"),
}


class DeviceBatch:
    """The parameters on a device that share a recipe, a job each; see :class:`Batch`.

    Parameters
    ----------
    device : Device
    recipe : Recipe
    columns : dict of list of DeviceArray
        By the names of `recipe.columns` but the gradient's, an array per job.
    rows : list of int
        Which of a step's settings holds for each job.
    members : list of int
        Each job's number, by which stochastic rounding draws.
    settings : int
        How many settings a step has.
    layers : Layers or None
        Of a rule that looks at whole layers: a job has a row of scalars of its own then.
    """

    def __init__(
        self, device: Device, recipe: Recipe, columns: Mapping[str, list[DeviceArray]], rows: list[int],
        members: list[int], settings: int, layers: Layers | None,
    ):  # fmt: skip
        self.recipe, self.members, self.columns, self.job_rows = recipe, members, columns, rows
        self.rows, self.stream = sorted(set(rows)), 0
        self.sizes = [place.size for place in columns["param"]]
        own = range(len(rows)) if layers is not None else rows
        table = (len(rows) if layers is not None else settings), len(SCALARS) + len(recipe.kernel.scalars)
        self.jobs = DeviceJobs(device, self.sizes, own, members, len(recipe.columns), table, recipe.compute)
        self.grad = recipe.columns.index("grad")
        for name, places in columns.items():
            self.jobs.pointers[:, recipe.columns.index(name)] = [place.address for place in places]

    def bind(self, gradients: list[int], stream: int) -> None:
        """Take this step's gradients, and the stream it runs on."""
        self.jobs.pointers[:, self.grad] = gradients
        self.stream = stream


# ---- the door


def refusal(recipe: Recipe) -> str:
    """Return why a recipe can't run on a GPU yet; nothing, if it can."""
    if WORK & set(recipe.columns):
        return f"target 'cuda' has no kernel for {recipe.kernel.name} (it looks at rows and columns) yet"
    return ""


def norm(batches: Sequence[DeviceBatch]) -> tuple[float, bool]:
    """Return the Euclidean norm of all gradients together, and whether all their elements are finite."""
    total, finite = squares(batches)
    return math.sqrt(total), finite


def squares(batches: Sequence[DeviceBatch]) -> tuple[float, bool]:
    """Return the sum of all gradients' squares, and whether all their elements are finite; waits for the device."""
    total = np.zeros(2)
    for batch in batches:
        batch.jobs.run((sum_of_squares(batch.recipe),), batch.stream)
        total += batch.jobs.sums(2, batch.stream).sum(axis=0)
    return float(total[0]), bool(total[1] == 0)


def step(batches: Sequence[DeviceBatch], rule: Rule, settings: Sequence[Setting], asked: Asked) -> float:
    """Launch the update of every parameter and its state; return the squared length of the update (0.0 unless
    `asked.stats`, for which it waits for the device)."""
    calls: list[Any] = []
    for batch in batches:
        table = np.zeros((len(settings), len(SCALARS) + len(batch.recipe.kernel.scalars)))
        scalar_table(table, batch, rule, settings, asked)  # type: ignore[arg-type] # it has a recipe and rows
        batch.jobs.words[...] = asked.seed, (asked.number & 0xFFFFFFFF)
        if rule.layers is not None:
            table = _measured(batch, rule.layers, settings, table[batch.job_rows])
        batch.jobs.scalars[...] = table
        calls.append((batch.jobs.run, ((elements(batch.recipe, asked.zero, asked.stats),), batch.stream), {}))
    whole([*calls, *asked.done])
    if not asked.stats:
        return 0.0
    return float(sum(batch.jobs.sums(1, batch.stream).sum() for batch in batches))


def _measured(batch: DeviceBatch, layers: Layers, settings: Sequence[Setting], table: np.ndarray) -> np.ndarray:
    """Return a row of scalars for each job, which follow from what the passes sum up; waits for the device."""
    jobs = batch.jobs
    for number in range(len(batch.recipe.passes)):
        jobs.scalars[...] = table
        jobs.run((measure(batch.recipe, number),), batch.stream)
        sums = np.zeros((len(table), 2))
        np.add.at(sums, jobs.job_of_block, jobs.sums(2, batch.stream))  # one after the other
        for job, row in enumerate(table):
            arrays: Any = {name: column[job] for name, column in batch.columns.items()}
            layers.settle(number, settings[batch.job_rows[job]].group, arrays, sums[job], row[len(SCALARS) :])
    return table


def interpolate(
    params: Sequence[DeviceArray], ends: Sequence[Any], weights: Sequence[float], done: Sequence[Call] = ()
) -> None:  # fmt: skip
    """Move each parameter a share of the way to its end, p + weight (end − p), and make the calls that say so.

    A signal's handler waits; an error in the middle leaves some parameters moved.
    """
    with signals_wait():
        for param, end, weight in zip(params, ends, weights, strict=True):
            kernel = _interpolation(param.dtype, str(end.dtype))
            jobs = DeviceJobs(driver().device(param.ordinal), [param.size], [0], [0], 2, (1, 1), kernel.real)
            jobs.pointers[...], jobs.scalars[...] = [[param.address, end.place.address]], weight
            jobs.run((kernel,))
            jobs.device.synchronize()
        whole(list(done))


# ---- kernels


@cache
def elements(recipe: Recipe, zero: bool = False, stats: bool = False) -> Elements:
    """Return the kernel of a recipe's rule and of all that a step does around it.

    The same order as in the CPU's pipeline: clip, decay, the rule, average, copy, zero. `zero` writes zeros into the
    gradients, `stats` sums up the squared update.
    """
    kernel = recipe.kernel
    takes = inspect.signature(getattr(rules, kernel.name)).parameters
    inputs = {name: recipe.kinds[name] for name in kernel.buffers if name in takes}
    outputs = {name: recipe.kinds[name] for name in kernel.written}
    lines = _before(recipe)
    if stats:
        lines.insert(int(recipe.clip), "before = param")
    given = [name for name in takes if name in inputs]
    lines.append(f"{', '.join(outputs)} = {kernel.name}({', '.join([*given, *kernel.scalars])})")
    if recipe.average:
        inputs["average"] = outputs["average"] = recipe.compute
        lines.append("average = averaged(average, param, stage_average_kept, stage_average_added)")
    if recipe.copy:
        outputs["copy"] = recipe.copy
        lines.append("copy = param")
    sums = ("squared_change(param, before)",) if stats else ()
    return _kernel(recipe, _name(recipe, zero, stats), inputs, outputs, lines, sums, ("grad",) if zero else ())


@cache
def sum_of_squares(recipe: Recipe) -> Elements:
    """Return what reads the gradients alone: the sum of squares, and 0, or NaN if one isn't finite."""
    name = f"norm_{recipe.compute}_{recipe.grad}_{len(recipe.columns)}_{recipe.columns.index('grad')}"
    return _kernel(recipe, name, {"grad": recipe.grad}, {}, [], ("squared(grad)", "none_if_finite(grad)"))


@cache
def measure(recipe: Recipe, number: int) -> Elements:
    """Return a pass before the rule: it reads what the rule will read, and sums up squares."""
    kernel = recipe.passes[number]
    inputs = {name: recipe.kinds[name] for name in dict.fromkeys(("param", *kernel.buffers))}
    sums = [f"squared({what.format(scalars=', '.join(recipe.kernel.scalars))})" for what in MEASURED[kernel.name]]
    name = f"{kernel.name}_of_{_name(recipe, False, False)}"
    return _kernel(recipe, name, inputs, {}, _before(recipe), tuple(sums))


@cache
def _interpolation(param: str, end: str) -> Elements:
    real = "float64" if param == "float64" else "float32"
    lines = ("param = interpolate(param, end, weight)",)
    names = INTERPOLATE.buffers
    return Elements(
        f"interpolate_{param}_{end}", dict(zip(names, (param, end), strict=True)), {"param": param}, ("weight",), lines,
        SOURCES, real,
    )  # fmt: skip


def common() -> list[Elements]:
    """Return the kernels whose PTX comes with the package: every rule in float32, and what Adam is asked for most."""
    made = []
    for kernel in KERNELS.values():
        if kernel.rule and {"param", "grad"} <= set(kernel.buffers):
            passes = tuple([KERNELS[name] for name in MEASURED if name.startswith(f"{kernel.name}_")])
            made.append(_plain(kernel, passes))
    recipes = list(made)
    adam = _plain(KERNELS["adam"])
    for param in ("bfloat16", "split", "stochastic"):
        recipes.append(replace(adam, param=param, grad="bfloat16"))
    recipes += [replace(adam, state=("mean8", "square8")), replace(adam, state=("bfloat16", "square16"))]
    recipes.append(replace(adam, average=True))
    kernels = [elements(recipe) for recipe in recipes]
    kernels += [elements(adam, zero=True), elements(adam, stats=True), elements(adam, zero=True, stats=True)]
    kernels += [measure(recipe, 0) for recipe in recipes if recipe.passes]
    by_name = {kernel.name: kernel for kernel in [*kernels, *map(sum_of_squares, recipes)]}
    return list(by_name.values())


def _plain(kernel: Kernel, passes: tuple[Kernel, ...] = ()) -> Recipe:
    """Return a recipe in float32 without options."""
    return Recipe(kernel, passes, "float32", "float32", "float32", ("float32",) * len(states(passes, kernel)))


def _kernel(recipe: Any, name: str, inputs: Any, outputs: Any, lines: Any, sums: Any = (), zero: Any = ()) -> Elements:
    scalars = (*STAGES, *recipe.kernel.scalars)
    return Elements(
        name, inputs, outputs, scalars, tuple(lines), SOURCES, recipe.compute, sums, zero, recipe.columns,
    )  # fmt: skip


def _before(recipe: Recipe) -> list[str]:
    """Return the lines of the stages in front of the rule."""
    clip = ["grad = clipped(grad, stage_grad_scale, stage_clip_value)"] if recipe.clip else []
    return clip + (["param = stage_decay_kept * param"] if recipe.decay else [])


def _name(recipe: Recipe, zero: bool, stats: bool) -> str:
    """Return what names a kernel in files, profiles and errors."""
    kinds = [kind for kind in recipe.kinds.values() if kind != recipe.compute]
    options = {"clip": recipe.clip, "decay": recipe.decay, "average": recipe.average, "zero": zero, "stats": stats}
    copy = [f"copy_{recipe.copy}"] if recipe.copy else []
    return "_".join([recipe.kernel.name, recipe.compute, *kinds, *(name for name, on in options.items() if on), *copy])
