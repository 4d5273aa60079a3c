"""Steps in NumPy and float64: values are decoded, the paper's formula is applied, results are encoded."""

from collections.abc import Sequence

import numpy as np

from fastopt.kernels.optimizers.batch import ENDS, Asked, Batch, Rule, Setting, shares_kept
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.jobs import Call
from fastopt.kernels.runtime.lengths import length
from fastopt.kernels.runtime.whole import put, whole


def squares(batches: Sequence[Batch]) -> tuple[float, bool]:
    """Return the sum of all gradients' squares, and whether all their elements are finite."""
    found, finite = norm(batches)
    return found**2, finite


def norm(batches: Sequence[Batch]) -> tuple[float, bool]:
    """Return the Euclidean norm of all gradients together, and whether all their elements are finite."""
    with np.errstate(all="ignore"):
        grads = [
            kinds.read(batch.recipe.grad, [batch.arrays(job)["grad"]], batch.recipe.compute).astype(np.float64)
            for batch in batches
            for job in np.flatnonzero(batch.jobs.units).tolist()
        ]
        finite = all(bool(np.isfinite(grad).all()) for grad in grads)
        return length(np.array([length(grad) for grad in grads])), finite


def step(batches: Sequence[Batch], rule: Rule, settings: Sequence[Setting], asked: Asked) -> float:
    """Update every parameter and its state; return the squared length of the update. Computes all, then writes all."""
    writes: list[Call] = []
    total = 0.0
    with np.errstate(all="ignore"):
        for batch in batches:
            for job in np.flatnonzero(batch.jobs.units).tolist():
                total += _job(batch, job, rule, settings[batch.jobs.rows[job]], asked, writes)
        whole([*writes, *asked.done])
    return total


def _job(
    batch: Batch, job: int, rule: Rule, setting: Setting, asked: Asked, writes: list[Call]
) -> float:  # fmt: skip
    """Compute a job's step and note what is to be written; returns the squared length of its update."""
    recipe, group, own, number = batch.recipe, setting.group, batch.arrays(job), int(batch.jobs.numbers[job, 0])
    wide = {name: array.astype(np.float64) for name, array in batch.decoded(job).items()}
    grad = asked.factor * wide.pop("grad")
    if asked.clip_each is not None:
        grad = grad * shares_kept(np.array(length(grad)), asked.clip_each)
    if recipe.clip:
        limit = asked.clip_value or np.inf
        grad = np.clip(grad, -limit, limit)
    hyper = {name: value for name, value in group.items() if name not in rule.only_at_start}
    before = wide["param"]
    if recipe.decay:
        wide["param"] = (1.0 - group["lr"] * group.get("weight_decay", 0.0)) * before
        hyper |= {"weight_decay": 0.0} if "weight_decay" in hyper else {}
    param = wide.pop("param")
    values = rule.reference(param, grad, **wide, **hyper, **setting.before, t=setting.step)

    for name, value in zip(("param", *wide), values[: 1 + len(wide)], strict=True):  # carried numbers follow
        arrays = [own[f"{name}{end}"] for end in ENDS if f"{name}{end}" in own]
        encoded = [np.empty_like(array) for array in arrays]
        kinds.write(recipe.kinds[name], encoded, np.asarray(value, recipe.compute), (asked.seed, asked.number), number)
        writes += [put(array, value) for array, value in zip(arrays, encoded, strict=True)]
    if recipe.average:
        kept = asked.ema_decay or 0.0
        average = kept * own["average"] + (1.0 - kept) * values[0]
        writes.append(put(own["average"], average.astype(recipe.compute)))
    if recipe.copy:
        writes.append(put(own["copy"], values[0].astype(recipe.compute).astype(own["copy"].dtype)))
    if asked.zero:
        writes.append((own["grad"].fill, (0,), {}))
    return float(np.sum((values[0] - before) ** 2))


def interpolate(
    params: Sequence[np.ndarray], ends: Sequence[np.ndarray], weights: Sequence[float], done: Sequence[Call] = ()
) -> None:  # fmt: skip
    """Move each parameter a share of the way to its end, p + weight (end − p), and make the calls that say so."""
    moved = [interpolated(*each) for each in zip(params, ends, weights, strict=True)]
    whole([*map(put, params, moved), *done])


def interpolated(param: np.ndarray, end: np.ndarray, weight: float) -> np.ndarray:
    """Return p + weight (end − p), in the parameter's type."""
    with np.errstate(all="ignore"):
        between = (1.0 - weight) * param.astype(np.float64) + weight * end.astype(np.float64)
        return between.astype(param.dtype)
