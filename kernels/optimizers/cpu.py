"""Steps on the CPU: scalars digested, passes that measure, then the rule, all through the launcher."""

import math
from collections.abc import Sequence

import numpy as np

from fastopt.kernels.optimizers import by_reference
from fastopt.kernels.optimizers.batch import LEAST, Asked, Batch, Rule, Setting, norm_with_scale, shares_kept
from fastopt.kernels.optimizers.kernels import INTERPOLATE
from fastopt.kernels.optimizers.recipe import SCALARS
from fastopt.kernels.optimizers.recipe import norm as norm_program
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.jobs import Call, Launch
from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.kernels.runtime.settings import get_target
from fastopt.kernels.runtime.signals import signals_wait
from fastopt.kernels.runtime.tables import fill_row
from fastopt.kernels.runtime.whole import whole


def squares(batches: Sequence[Batch]) -> tuple[float, bool]:
    """Return the sum of all gradients' squares, and whether all their elements are finite."""
    total, finite = 0.0, True
    for batch in batches:
        unused = np.zeros((int(batch.jobs.rows.max(initial=0)) + 1, 1))
        sums = batch.jobs.run(
            norm_program(batch.recipe), scalars=unused, contiguous=batch.packed, partials=2
        ).sum(axis=0)  # fmt: skip
        total, finite = total + sums[0], finite and sums[1] == 0
    return float(total), bool(finite)


def norm(batches: Sequence[Batch]) -> tuple[float, bool]:
    """Return the Euclidean norm of all gradients together, and whether all their elements are finite."""
    total, finite = squares(batches)
    if finite and not LEAST < total < math.inf and any(batch.recipe.grad == "float64" for batch in batches):
        return norm_with_scale(batches), True
    return math.sqrt(total), finite


def step(batches: Sequence[Batch], rule: Rule, settings: Sequence[Setting], asked: Asked) -> float:
    """Update every parameter and its state; return the squared length of the update (0.0 unless `asked.stats`).

    It is done and counted as a whole: a signal's handler runs before it, or behind it.
    """
    target = get_target()
    if rule.layers is not None:
        with signals_wait():
            total = sum(_measured(batch, rule, settings, asked, target) for batch in batches)
            whole(list(asked.done))
        return total
    launches: list[Launch] = []
    calls: list[Call] = []
    for batch in batches:
        program, table = batch.program(0, target, asked.zero, asked.stats), scalar_table(batch, rule, settings, asked)
        rows = None
        if asked.clip_each is not None:
            table, rows = _of_each(batch, table, asked), np.arange(len(batch.jobs.units))
        launch = batch.jobs.launch(program, table, batch.packed, int(asked.stats), rows=rows)
        launches.append(launch)
        calls += launch.calls
    results = whole([*calls, *asked.done])
    if not asked.stats:
        return 0.0
    rest = iter(results)
    return float(sum(launch.sums([next(rest) for _ in launch.calls]).sum() for launch in launches))


def scalar_table(batch: Batch, rule: Rule, settings: Sequence[Setting], asked: Asked) -> np.ndarray:
    """Return the table of scalars: for each setting that a job is of the stages', then the rule's.

    The rule's last is the gradients' factor, unless a stage has multiplied by it.
    """
    recipe, factor, clip_value, average = batch.recipe, asked.factor, asked.clip_value or 0.0, asked.ema_decay or 0.0
    rest = average, 1.0 - average, float(asked.seed), float(asked.number)
    table = np.zeros((len(settings), len(SCALARS) + len(recipe.kernel.scalars)))
    for k in range(len(settings)) if batch.rows is None else batch.rows:
        group, step, _, after = settings[k]
        kept = 1.0
        if after:
            group = {**group, **after}
        if recipe.decay:
            kept = 1.0 - group["lr"] * group.get("weight_decay", 0.0)
            group = {**group, "weight_decay": 0.0}
        *own, sign = rule.scalars(group, step)
        fill_row(table, k, (factor, clip_value, kept, *rest, *own, sign if recipe.clip else sign * factor))
    return table


def _of_each(batch: Batch, table: np.ndarray, asked: Asked) -> np.ndarray:
    """Return a row of scalars for each job, whose gradient is clipped by its own norm."""
    own = table[batch.jobs.rows]
    if asked.clip_each is not None:
        unused = np.zeros((int(batch.jobs.rows.max(initial=0)) + 1, 1))
        sums = batch.jobs.run(norm_program(batch.recipe), scalars=unused, contiguous=batch.packed, partials=2)
        shares = shares_kept(asked.factor * np.sqrt(sums[:, 0]), asked.clip_each)
        own[:, 0] *= shares
        if not batch.recipe.clip:  # else the stage that clips has multiplied by it
            own[:, -1] *= shares
    return own


def _measured(
    batch: Batch, rule: Rule, settings: Sequence[Setting], asked: Asked, target: str
) -> float:  # fmt: skip
    """Run the passes that measure, then the rule, with scalars of each parameter's own; returns the updates' sum."""
    layers, recipe, jobs = rule.layers, batch.recipe, batch.jobs
    assert layers is not None
    own = _of_each(batch, scalar_table(batch, rule, settings, asked), asked)
    each = np.flatnonzero(jobs.units).tolist()
    rows, total = np.arange(len(own)), 0.0
    how = {"scalars": own, "contiguous": batch.packed, "rows": rows}
    for only in each if layers.one_by_one else (None,):
        for number in range(len(recipe.passes)):
            partials, grain = layers.extent(number, batch.shapes[only or 0])
            sums = jobs.run(batch.program(number, target), partials=partials, only=only, grain=grain, **how)
            for job in each if only is None else [only]:
                group = settings[jobs.rows[job]].group
                measured = sums[job if only is None else 0] if partials else sums
                layers.settle(number, group, batch.arrays(job), measured, own[job, len(SCALARS) :])
        program = batch.program(len(recipe.passes), target, asked.zero, asked.stats)
        total += float(jobs.run(program, partials=int(asked.stats), only=only, **how).sum())
    return total


def interpolate(params: Sequence[np.ndarray], ends: Sequence[np.ndarray], weights: Sequence[float]) -> None:
    """Move each parameter a share of the way to its end, in place: p + weight (end − p)."""
    target = get_target()
    for param, end, weight in zip(params, ends, weights, strict=True):
        if str(param.dtype) not in DTYPES or param.dtype != end.dtype:  # 16 bits: in NumPy
            by_reference.interpolate([param], [end], [weight])
            continue
        pipeline.run(
            ((INTERPOLATE, INTERPOLATE.buffers, 1),), {"param": param, "end": end}, param.size,
            dtype=str(param.dtype), target=target, grain=pipeline.GRAIN, scalars=(weight,),
        )  # fmt: skip
