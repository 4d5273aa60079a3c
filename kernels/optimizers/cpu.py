"""Steps on the CPU: scalars digested, passes that measure, then the rule, all through the launcher."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastopt.kernels.optimizers import by_reference
from fastopt.kernels.optimizers.batch import Asked, Batch, Rule, Setting, shares_kept
from fastopt.kernels.optimizers.kernels import INTERPOLATE
from fastopt.kernels.optimizers.layers import Layers
from fastopt.kernels.optimizers.recipe import SCALARS, build
from fastopt.kernels.optimizers.recipe import norm as norm_program
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.jobs import Call, Launch, Program
from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.kernels.runtime.lengths import holds, length, scaled_squares
from fastopt.kernels.runtime.tables import fill_row
from fastopt.kernels.runtime.whole import put, whole

NO_SCALARS = np.zeros((1, 1))


def squares(batches: Sequence[Batch]) -> tuple[float, bool]:
    """Return the sum of all gradients' squares, and whether all their elements are finite."""
    total, finite = 0.0, True
    for batch in batches:
        sums = _squares(batch)
        square, odd = (sums[0] if len(sums) == 1 else sums.sum(axis=0)).tolist()
        total, finite = total + square, finite and odd == 0.0
    return total, finite


def norm(batches: Sequence[Batch]) -> tuple[float, bool]:
    """Return the Euclidean norm of all gradients together, and whether all their elements are finite."""
    total, finite = squares(batches)
    if finite and not holds(total) and any(batch.recipe.grad == "float64" for batch in batches):
        return length(np.concatenate([_lengths(batch) for batch in batches])), True
    return math.sqrt(total), finite


def step(target: str, batches: Sequence[Batch], rule: Rule, settings: Sequence[Setting], asked: Asked) -> float:
    """Update every parameter and its state; return the squared length of the update (0.0 unless `asked.stats`).

    It is done and counted as a whole: all that may fail comes before the first write, and a signal's handler runs
    before it, or behind it.
    """
    launches: list[Launch] = []
    calls: list[Call] = []
    for batch in batches:
        table, rows = scalar_table(_table(batch, len(settings)), batch, rule, settings, asked), None
        if rule.layers is not None or asked.clip_each is not None:
            table, rows = _of_each(batch, table, asked), np.arange(len(batch.jobs.units))
            if rule.layers is not None:
                with np.errstate(all="ignore"):
                    _measure(batch, rule.layers, settings, target, table, rows)
        last = len(batch.recipe.passes)
        launch = _launch(batch, last, target, table, rows, int(asked.stats), asked.zero, asked.stats)
        launches.append(launch)
        calls += launch.calls
    results = whole([*calls, *asked.done])
    if not asked.stats:
        return 0.0
    rest = iter(results)
    return float(sum(launch.sums([next(rest) for _ in launch.calls]).sum() for launch in launches))


def scalar_table(
    table: np.ndarray, batch: Batch, rule: Rule, settings: Sequence[Setting], asked: Asked
) -> np.ndarray:  # fmt: skip
    """Fill in and return a table of scalars: for each setting that a job is of the stages', then the rule's.

    The rule's last is the gradients' factor, unless a stage has multiplied by it.
    """
    recipe, factor, average = batch.recipe, asked.factor, asked.ema_decay or 0.0
    ours = (
        factor, asked.clip_value or 0.0, 1.0, average, 1.0 - average, float(asked.seed), float(asked.number)
    )  # fmt: skip
    for k in range(len(settings)) if batch.rows is None else batch.rows:
        group, step, _, after = settings[k]
        if after:
            group = {**group, **after}
        if recipe.decay:
            ours = *ours[:2], 1.0 - group["lr"] * group.get("weight_decay", 0.0), *ours[3:]
            group = {**group, "weight_decay": 0.0}
        fill_row(table, k, ours, rule.scalars(group, step), 1.0 if recipe.clip else factor)
    return table


# ---- what stays the same from step to step, kept with the batch


def _program(batch: Batch, number: int, target: str, zero: bool = False, stats: bool = False) -> Program:
    """Return what pass `number` of a step runs."""
    key = "program", number, target, zero, stats  # without the recipe, whose hash takes its time
    found = batch.kept.get(key)
    if found is None:
        found = batch.kept[key] = build(batch.recipe, number, target, zero, stats)
    return found


def _table(batch: Batch, settings: int) -> np.ndarray:
    """Return the table of scalars, a row for each setting: the same memory, as long as there are as many."""
    found = batch.kept.get("table")
    if found is None or len(found) != settings:
        width = len(SCALARS) + len(batch.recipe.kernel.scalars)
        found = batch.kept["table"] = np.zeros((settings, width))
    return found


def _launch(
    batch: Batch, number: int, target: str, scalars: np.ndarray, rows: np.ndarray | None = None, partials: int = 0,
    zero: bool = False, stats: bool = False,
) -> Launch:  # fmt: skip
    """Return a run of pass `number` over all jobs: the last one's, if it is to be over the same packed tables."""
    key = number, target, zero, stats
    if batch.packed:
        found = batch.kept.get(key)
        if found is not None and found[1] is scalars:
            return found[0]
    made = batch.jobs.launch(_program(batch, *key), scalars, batch.packed, partials, rows)
    if batch.packed:
        batch.kept[key] = made, scalars
    return made


def _squares(batch: Batch) -> np.ndarray:
    """Return the sum of each job's squared gradients, and 0, or NaN where an element isn't finite: (jobs, 2)."""
    launch = batch.kept.get("squares")
    if launch is None or not batch.packed:
        rows = np.zeros(len(batch.jobs.units), np.int64)
        launch = batch.jobs.launch(norm_program(batch.recipe), NO_SCALARS, batch.packed, 2, rows)
        batch.kept["squares"] = launch if batch.packed else None
    return launch.sums(whole(launch.calls))


def _lengths(batch: Batch) -> np.ndarray:
    """Return the Euclidean norm of each job's gradients, whatever their squares are."""
    found = _squares(batch)[:, 0]
    lost = [job for job, square in enumerate(found.tolist()) if not holds(square)]
    np.sqrt(found, out=found)
    for job in lost if batch.recipe.grad == "float64" else ():
        if batch.jobs.units[job]:
            found[job] = length(batch.arrays(job)["grad"])
    return found


# ---- what a step does where one launch over all parameters won't do


def _of_each(batch: Batch, table: np.ndarray, asked: Asked) -> np.ndarray:
    """Return a row of scalars for each job, whose gradient is clipped by its own norm."""
    own = table[batch.jobs.rows]
    if asked.clip_each is not None:
        shares = shares_kept(asked.factor * _lengths(batch), asked.clip_each)
        own[:, 0] *= shares
        if not batch.recipe.clip:  # else the stage that clips has multiplied by it
            own[:, -1] *= shares
    return own


def _measure(
    batch: Batch, layers: Layers, settings: Sequence[Setting], target: str, own: np.ndarray, rows: np.ndarray
) -> None:  # fmt: skip
    """Run the passes that measure, which write nothing that is kept, and fill in the scalars that follow."""
    passes, jobs = range(len(batch.recipe.passes)), _groups(batch, settings)
    if layers.one_by_one:
        for job, group in jobs:
            for number in passes:
                partials, grain = layers.extent(number, batch.shapes[job])
                sums = batch.jobs.run(
                    _program(batch, number, target), scalars=own, contiguous=batch.packed, partials=partials, rows=rows,
                    only=job, grain=grain,
                )  # fmt: skip
                _settle(batch, layers, number, job, group, sums[0], own[job])
        return
    for number in passes:
        partials, _ = layers.extent(number, ())
        launch = _launch(batch, number, target, own, rows, partials)
        sums = launch.sums(whole(launch.calls))
        for job, group in jobs:
            _settle(batch, layers, number, job, group, sums[job] if partials else sums, own[job])


def _settle(
    batch: Batch, layers: Layers, number: int, job: int, group: Mapping[str, Any], sums: np.ndarray, row: np.ndarray
) -> None:  # fmt: skip
    """Fill in a job's scalars, which follow from a pass's sums; what float64 can't hold is summed again, with scale."""
    scales: tuple[float, ...] = (1.0, 1.0)
    scalars = row[len(SCALARS) :]
    if batch.recipe.compute == "float64" and not all(map(holds, sums[:2].tolist())):
        read = batch.decoded(job)
        if batch.recipe.clip:
            read["grad"] = np.clip(row[0] * read["grad"], -row[1], row[1])
        if batch.recipe.decay:
            read["param"] = row[2] * read["param"]
        again = [scaled_squares(vector) for vector in layers.vectors(number, read, scalars)]
        sums = np.array([*(square for _, square in again), *sums[len(again) :]])
        scales = (*(scale for scale, _ in again), *scales[len(again) :])
    layers.settle(number, group, batch.arrays(job), sums, scalars, scales)


def _groups(batch: Batch, settings: Sequence[Setting]) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the jobs that take part in a step, each with its hyper-parameters."""
    rows, units = batch.jobs.rows.tolist(), batch.jobs.units.tolist()
    return [(job, settings[row].group) for job, (row, size) in enumerate(zip(rows, units, strict=True)) if size]


def interpolate(
    target: str, params: Sequence[np.ndarray], ends: Sequence[np.ndarray], weights: Sequence[float],
    done: Sequence[Call] = (),
) -> None:  # fmt: skip
    """Move each parameter a share of the way to its end, p + weight (end − p), and make the calls that say so.

    As a whole: all are worked out beside the parameters first, in memory for as many numbers.
    """
    moved = [_interpolated(target, *each) for each in zip(params, ends, weights, strict=True)]
    whole([*map(put, params, moved), *done])


def _interpolated(target: str, param: np.ndarray, end: np.ndarray, weight: float) -> np.ndarray:
    if str(param.dtype) not in DTYPES or param.dtype != end.dtype:  # 16 bits: in NumPy
        return by_reference.interpolated(param, end, weight)
    moved = param.copy()
    pipeline.run(
        ((INTERPOLATE, INTERPOLATE.buffers, 1),), {"param": moved, "end": end}, moved.size,
        dtype=str(moved.dtype), target=target, grain=pipeline.GRAIN, scalars=(weight,),
    )  # fmt: skip
    return moved
