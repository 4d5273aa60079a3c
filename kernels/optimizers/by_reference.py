"""Steps in NumPy and float64: values are decoded, the paper's formula is applied, results are encoded."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from fastopt.kernels.optimizers.batch import Asked, Batch, Rule, Setting, shares_kept
from fastopt.kernels.optimizers.recipe import WORK
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.signals import signals_wait
from fastopt.kernels.runtime.whole import whole


def squares(batches: Sequence[Batch]) -> tuple[float, bool]:
    """Return the sum of all gradients' squares, and whether all their elements are finite."""
    length, finite = norm(batches)
    return length**2, finite


def norm(batches: Sequence[Batch]) -> tuple[float, bool]:
    """Return the Euclidean norm of all gradients together, and whether all their elements are finite."""
    with np.errstate(all="ignore"):
        grads = [
            kinds.read(batch.recipe.grad, [batch.arrays(job)["grad"]], batch.recipe.compute).astype(np.float64)
            for batch in batches
            for job in np.flatnonzero(batch.jobs.units).tolist()
        ]
        finite = all(bool(np.isfinite(grad).all()) for grad in grads)
        top = max([float(np.abs(grad).max(initial=0.0)) for grad in grads], default=0.0) if finite else 1.0
        scale = top or 1.0
        return scale * math.sqrt(sum(float(np.sum((grad / scale) ** 2)) for grad in grads)), finite


def step(batches: Sequence[Batch], rule: Rule, settings: Sequence[Setting], asked: Asked) -> float:
    """Update every parameter and its state; return the squared length of the update. Computes all, then writes all."""
    writes: list[Callable[[], None]] = []
    total = 0.0
    with np.errstate(all="ignore"):
        for batch in batches:
            for job in np.flatnonzero(batch.jobs.units).tolist():
                setting, number = settings[batch.jobs.rows[job]], int(batch.jobs.numbers[job, 0])
                total += _job(batch, batch.arrays(job), rule, setting, asked, number, writes)
        with signals_wait():
            for write in writes:
                write()
            whole(list(asked.done))
    return total


def _job(
    batch: Batch, own: dict[str, np.ndarray], rule: Rule, setting: Setting, asked: Asked, number: int,
    writes: list[Callable[[], None]],
) -> float:  # fmt: skip
    """Compute a job's step and note what is to be written; returns the squared length of its update."""
    recipe, group = batch.recipe, setting.group
    held = {
        name: (kind, [own[key] for key in (name, f"{name}_lost_bits", f"{name}_scale") if key in own])
        for name, kind in recipe.kinds.items()
        if name not in WORK and name != "grad"
    }
    wide = {name: kinds.read(kind, arrays, recipe.compute).astype(np.float64) for name, (kind, arrays) in held.items()}
    grad = asked.factor * kinds.read(recipe.grad, [own["grad"]], recipe.compute).astype(np.float64)
    if asked.clip_each is not None:
        grad = grad * shares_kept(np.sqrt(np.sum(grad**2)), asked.clip_each)
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

    def write() -> None:
        for (kind, arrays), value in zip(held.values(), values[: len(held)], strict=True):  # carried numbers follow
            kinds.write(kind, arrays, np.asarray(value, recipe.compute), (asked.seed, asked.number), number)
        if recipe.average:
            kept = asked.ema_decay or 0.0
            own["average"][...] = kept * own["average"] + (1.0 - kept) * values[0]
        if recipe.copy:
            own["copy"][...] = values[0].astype(recipe.compute)
        if asked.zero:
            own["grad"][...] = 0

    writes.append(write)
    return float(np.sum((values[0] - before) ** 2))


def interpolate(params: Sequence[np.ndarray], ends: Sequence[np.ndarray], weights: Sequence[float]) -> None:
    """Move each parameter a share of the way to its end, in place: p + weight (end − p)."""
    with np.errstate(all="ignore"):
        for param, end, weight in zip(params, ends, weights, strict=True):
            param[...] = (1.0 - weight) * param.astype(np.float64) + weight * end.astype(np.float64)
