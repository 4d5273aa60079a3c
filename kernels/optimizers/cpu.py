"""Steps on the CPU: scalars digested, passes that measure, then the rule, all through the launcher."""

from collections.abc import Sequence

import numpy as np

from fastopt.kernels.optimizers import by_reference
from fastopt.kernels.optimizers.batch import Asked, Batch, Rule, Setting
from fastopt.kernels.optimizers.kernels import INTERPOLATE
from fastopt.kernels.optimizers.recipe import SCALARS, norm
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
            norm(batch.recipe), scalars=unused, contiguous=batch.packed, partials=2
        ).sum(axis=0)  # fmt: skip
        total, finite = total + sums[0], finite and sums[1] == 0
    return float(total), bool(finite)


def step(batches: Sequence[Batch], rule: Rule, settings: Sequence[Setting], asked: Asked) -> float:
    """Update every parameter and its state; return the squared length of the update (0.0 unless `asked.stats`).

    It is done and counted as a whole: a signal's handler runs before it, or behind it.
    """
    target = get_target()
    tables = [scalar_table(batch, rule, settings, asked) for batch in batches]
    if rule.layers is not None:
        with signals_wait():
            total = sum(
                _measured(batch, rule, settings, asked, table, target)
                for batch, table in zip(batches, tables, strict=True)
            )
            whole(list(asked.done))
        return total
    launches: list[Launch] = []
    calls: list[Call] = []
    for batch, table in zip(batches, tables, strict=True):
        program = batch.program(0, target, asked.zero, asked.stats)
        launch = batch.jobs.launch(
            program, scalars=table, contiguous=batch.packed, partials=int(asked.stats)
        )  # fmt: skip
        launches.append(launch)
        calls += launch.calls
    results = whole([*calls, *asked.done])
    if not asked.stats:
        return 0.0
    rest = iter(results)
    return float(sum(launch.sums([next(rest) for _ in launch.calls]).sum() for launch in launches))


def scalar_table(batch: Batch, rule: Rule, settings: Sequence[Setting], asked: Asked) -> np.ndarray:
    """Return the table of scalars: a row for each setting that a job of the batch is of."""
    table = np.zeros((len(settings), len(SCALARS) + len(batch.recipe.kernel.scalars)))
    for k in range(len(settings)) if batch.rows is None else batch.rows:
        fill_row(table, k, _row(batch, rule, settings[k], asked))
    return table


def _row(batch: Batch, rule: Rule, setting: Setting, asked: Asked) -> tuple[float, ...]:
    """Return a setting's scalars: the stages', then the rule's, whose last is the gradients' factor."""
    group, factor, kept = setting.group, asked.factor, 1.0
    average = 0.0 if asked.ema_decay is None else asked.ema_decay
    if setting.after:
        group = {**group, **setting.after}
    if batch.recipe.decay:
        kept = 1.0 - group["lr"] * group.get("weight_decay", 0.0)
        group = {**group, "weight_decay": 0.0}
    *own, sign = rule.scalars(group, setting.step)
    rest = sign if batch.recipe.clip else sign * factor
    return (
        factor, asked.clip_value or 0.0, kept, average, 1.0 - average, float(asked.seed), float(asked.number), *own,
        rest,
    )  # fmt: skip


def _measured(
    batch: Batch, rule: Rule, settings: Sequence[Setting], asked: Asked, table: np.ndarray, target: str
) -> float:
    """Run the passes that measure, then the rule, with scalars of each parameter's own; returns the updates' sum."""
    layers, recipe, jobs = rule.layers, batch.recipe, batch.jobs
    assert layers is not None
    own, each = table[jobs.rows], range(len(batch.shapes))
    rows, total = np.arange(len(own)), 0.0
    how = {"scalars": own, "contiguous": batch.packed, "rows": rows}
    for only in each if layers.one_by_one else (None,):
        for number in range(len(recipe.passes)):
            partials, grain = layers.extent(number, batch.shapes[only or 0])
            sums = jobs.run(batch.program(number, target), partials=partials, only=only, grain=grain, **how)
            for k, job in enumerate(each if only is None else [only]):
                group = settings[jobs.rows[job]].group
                measured = sums[k] if partials else sums
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
