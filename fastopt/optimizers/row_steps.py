"""Steps of single rows: a table of embeddings, of which a batch touches few. Each row is a job of its own."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers import plan
from fastopt.kernels.runtime.jobs import BLOCK, Jobs, Program
from fastopt.kernels.runtime.kinds import GROUP
from fastopt.kernels.runtime.pipeline import GRAIN
from fastopt.kernels.runtime.settings import get_num_threads, get_target
from fastopt.optimizers import step as whole_step
from fastopt.optimizers.options import Stats

if TYPE_CHECKING:
    from fastopt.optimizers.base import Optimizer


class Rows(NamedTuple):
    """What one step touches: each row once, in ascending order."""

    i: int  # the parameter
    rows: np.ndarray  # int64
    grads: np.ndarray  # packed, a row for each
    recipe: plan.Recipe
    length: int  # elements of a row
    columns: dict[str, np.ndarray]  # of the pointer table, whole


def checked(optimizer: "Optimizer", index: Any, rows: Any, values: Any) -> Rows:
    """Return what a step touches, or raise."""
    if optimizer._passes or optimizer._one_by_one:
        raise TypeError(f"step_rows: expected an optimizer that knows no layers, got {type(optimizer).__name__}")
    i = expect.integer(index, "index", 0, len(optimizer._params))
    name, param = optimizer._names[i], optimizer._params[i]
    expect.writable(expect.array(param, name, shape=optimizer._shapes[i], among=plan.FLOATS), name)
    if param.ndim == 0:
        raise ValueError(f"{name}: expected an array that has rows, got shape ()")
    if not isinstance(rows, np.ndarray) or rows.dtype.kind not in "iu":
        raise TypeError(f"rows: expected an array of integers, got {expect.describe(rows)}")
    if rows.ndim != 1:
        raise ValueError(f"rows: expected one axis, got shape {rows.shape}")
    outside = rows[(rows < 0) | (rows >= len(param))]
    if outside.size:
        raise ValueError(f"rows: expected numbers in [0, {len(param)}), got {outside[0]}")
    expect.array(values, "values", shape=(len(rows), *param.shape[1:]), among=plan.FLOATS)
    if np.shares_memory(values, param):
        raise ValueError(f"values: expected memory apart from the parameters, got an overlap with {name}")
    unique, grads = summed(rows.astype(np.int64), values, "float64" if param.dtype == np.float64 else "float32")
    recipe, length = optimizer.recipe(i, str(grads.dtype)), math.prod(param.shape[1:])
    if length % GROUP and {"mean8", "square8"} & set(recipe.state):
        raise ValueError(f"{name}: expected rows of a multiple of {GROUP} elements for 8-bit state, got {length}")
    arrays = {"param": param, "grad": grads, "copy": optimizer._copies[i] if recipe.copy else param}
    columns = {column: arrays[column] if column in arrays else optimizer.state[i][column] for column in recipe.columns}
    return Rows(i, unique, grads, recipe, length, columns)


def summed(rows: np.ndarray, values: np.ndarray, compute: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each row once, and the sum of its values, one after the other, in the compute type."""
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    if len(first) == len(rows):
        return rows, values[order]
    return rows[first], np.add.reduceat(values[order].astype(compute, copy=False), first, axis=0)


def step(
    optimizer: "Optimizer", index: Any, rows: Any, values: Any, grad_scale: float | None, skip_nonfinite: bool,
    return_stats: bool,
) -> Stats | None:  # fmt: skip
    """Carry out `Optimizer.step_rows`."""
    factor = 1.0 if grad_scale is None else 1.0 / expect.number(grad_scale, "grad_scale", expect.POSITIVE)
    skip_nonfinite = expect.flag(skip_nonfinite, "skip_nonfinite")
    return_stats = expect.flag(return_stats, "return_stats")
    work, clip_norm, norm = checked(optimizer, index, rows, values), optimizer.options.clip_norm, 0.0
    group = optimizer._digested()[optimizer._group_of[work.i]]
    if return_stats or skip_nonfinite or clip_norm is not None:
        square, finite = _launch(work, plan.norm(work.recipe), np.zeros((1, 1)), np.zeros(len(work.rows), np.int64), 2)
        norm = factor * math.sqrt(square)
        if skip_nonfinite and finite != 0:
            return Stats(norm, 0.0, True) if return_stats else None
        if clip_norm is not None and not norm <= clip_norm:
            factor *= clip_norm / norm
    # Rows that have come as far have the same scalars.
    counted = optimizer._counted(work.i)
    numbers, which = np.unique(np.stack([array[work.rows] for array in counted], 1), axis=0, return_inverse=True)
    which = which.reshape(-1)
    before = [{**group, **dict(zip(optimizer._carries, carried, strict=True))} for _, *carried in numbers.tolist()]
    steps = [int(steps) + 1 for steps in numbers[:, 0]]
    carried = [optimizer._carry(own, t) for own, t in zip(before, steps, strict=True)]
    if get_target() == "reference":
        update = _reference(optimizer, work, [(before[k], steps[k]) for k in which], factor)
    else:
        table = np.zeros((len(steps), len(plan.SCALARS) + len(work.recipe.kernel.scalars)))
        for k, (own, after, t) in enumerate(zip(before, carried, steps, strict=True)):
            table[k] = whole_step.row_of_scalars(optimizer, work.recipe, {**own, **after}, factor, t)
        program = plan.build(work.recipe, 0, get_target(), False, return_stats)
        update = float(_launch(work, program, table, which, int(return_stats)).sum())
    counts = np.array([(t, *own.values()) for t, own in zip(steps, carried, strict=True)]).reshape(-1, len(counted))
    for k, array in enumerate(counted):
        array[work.rows] = counts[which, k]
    optimizer.steps += 1
    return Stats(norm, math.sqrt(update), False) if return_stats else None


def _launch(work: Rows, program: Program, scalars: np.ndarray, which: np.ndarray, partials: int) -> np.ndarray:
    """Run a program over the rows, a job each; returns the sums over all of them."""
    count, numbers = len(work.rows), _numbers(work)
    which = which.astype(np.int64)
    if not all(array[:1].flags.c_contiguous for array in work.columns.values()):
        columns = [[part for _, part in _parts(work, name, array)] for name, array in work.columns.items()]
        jobs = Jobs(columns, which.tolist(), [(number,) for number in numbers.tolist()], work.recipe.slots)
        return jobs.run(
            program, scalars=scalars, threads=get_num_threads(), contiguous=False, partials=partials
        ).sum(axis=0)  # fmt: skip
    pointers = np.zeros((count, work.recipe.slots), np.uintp)
    for k, (name, array) in enumerate(work.columns.items()):
        width = array.strides[0] if not name.endswith("_scale") else work.length // GROUP * array.itemsize
        rows = np.arange(count) if name == "grad" else work.rows
        pointers[:, k] = array.ctypes.data + (rows * width).astype(np.uintp)
    sums = program.pipeline.run(
        pointers, np.full(count, work.length), GRAIN, BLOCK if len(program.stages) > 1 else 0,
        dims=numbers.reshape(-1, 1), scalars=scalars, scalars_row=which, partials=partials, threads=get_num_threads(),
    )  # fmt: skip
    return sums.sum(axis=0) if partials else np.zeros(0)


def _numbers(work: Rows) -> np.ndarray:
    """Return a number for each row that no other row of any parameter has: stochastic rounding draws by it."""
    return work.rows * 65_521 + work.i + 1


def _parts(work: Rows, name: str, array: np.ndarray):
    """Yield each row's number and its part of a column."""
    for k, row in enumerate(work.rows):
        at, width = k if name == "grad" else int(row), work.length // GROUP if name.endswith("_scale") else 1
        yield k, array[at * width : (at + 1) * width]


def _reference(optimizer: "Optimizer", work: Rows, settings: list, factor: float) -> float:
    parts = {name: [part for _, part in _parts(work, name, array)] for name, array in work.columns.items()}
    total = 0.0
    for k, (group, t) in enumerate(settings):
        own = {name: columns[k] for name, columns in parts.items()}
        total += whole_step.step_of_reference(optimizer, work.recipe, own, group, factor, t, int(_numbers(work)[k]))
    return total
