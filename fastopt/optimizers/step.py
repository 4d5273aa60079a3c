"""How a step runs: parameters of one recipe share a launch; gradients are bound anew every time."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers import plan
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.jobs import Jobs, Program
from fastopt.kernels.runtime.settings import get_num_threads, get_target
from fastopt.kernels.runtime.tables import fill_row, first_overlap, unchanged
from fastopt.optimizers.checkpoint import Group

if TYPE_CHECKING:
    from fastopt.optimizers.base import Optimizer

PARAM = 0  # a column of every recipe


class Part(NamedTuple):
    """The parameters that share a recipe, whatever group they are of."""

    recipe: plan.Recipe
    grad: int  # the gradients' column
    members: list[int]  # in the parameters' order
    groups: list[int]  # that they are of
    jobs: Jobs
    sizes: np.ndarray  # bytes of each gradient
    seen: np.ndarray  # where parameters and gradients were when they were last found apart
    programs: dict[tuple, Program]  # by pass, target, zero and stats: a recipe's hash takes its time

    def program(self, number: int, target: str, zero: bool = False, stats: bool = False) -> Program:
        found = self.programs.get((number, target, zero, stats))
        if found is None:
            found = self.programs[number, target, zero, stats] = plan.build(self.recipe, number, target, zero, stats)
        return found


def bound(optimizer: "Optimizer", gradients: list[Any], zeroed: bool) -> tuple[list[Part], bool]:
    """Return the parts of this step, their gradients bound, and whether all arrays are contiguous.

    Where the gradients are of the same types as in the last step, this is all there is to check.
    """
    parts = optimizer._plans.get(optimizer._kinds)
    if parts is None or not _fit(optimizer, parts, gradients, zeroed) or not _apart(optimizer, parts, zeroed):
        _refuse(optimizer, gradients, zeroed)
        optimizer._kinds = tuple([str(gradient.dtype) for gradient in gradients])
        parts = optimizer._plans.get(optimizer._kinds)
        if parts is None:
            parts = optimizer._plans[optimizer._kinds] = _parts(optimizer, gradients)
        fits = _fit(optimizer, parts, gradients, zeroed)
        if fits:
            for part in parts:
                part.seen[...] = part.jobs.pointers[:, [PARAM, part.grad]]
            optimizer._seen_zeroed = zeroed
        return parts, fits
    return parts, True


def _fit(optimizer: "Optimizer", parts: list[Part], gradients: list[Any], zeroed: bool) -> bool:
    """Bind parameters and gradients; True if every one is contiguous and as it was before."""
    fits = True
    for part in parts:
        own = gradients if len(parts) == 1 else [gradients[i] for i in part.members]
        fits &= part.jobs.bind(PARAM, writable=True)
        fits &= part.jobs.bind(part.grad, own, zeroed)
    return fits


def _apart(optimizer: "Optimizer", parts: list[Part], zeroed: bool) -> bool:
    """Whether no gradient is known to reach into a parameter; that of gradients into each other takes `_refuse`."""
    if zeroed and not optimizer._seen_zeroed:
        return False
    for part in parts:
        if unchanged(part.jobs.pointers, PARAM, part.grad, part.seen):
            continue
        if zeroed or first_overlap(optimizer._starts, optimizer._stops, part.jobs.pointers, part.grad, part.sizes) >= 0:
            return False
    return True


def _parts(optimizer: "Optimizer", gradients: list[np.ndarray]) -> list[Part]:
    members: dict[plan.Recipe, list[int]] = {}
    for i, gradient in enumerate(gradients):
        members.setdefault(optimizer.recipe(i, str(gradient.dtype)), []).append(i)
    parts = []
    for recipe, indices in members.items():
        own: dict[str, list[np.ndarray]] = {
            "param": [optimizer._params[i] for i in indices],
            "grad": [gradients[i] for i in indices],
            "copy": [optimizer._copies[i] for i in indices] if recipe.copy else [],
        }
        own |= optimizer._work([name for name in recipe.columns if name in plan.WORK], indices)
        columns = [own[name] if name in own else [optimizer.state[i][name] for i in indices] for name in recipe.columns]
        rows = [optimizer._group_of[i] for i in indices]
        sizes = np.array([gradients[i].nbytes for i in indices], np.int64)
        grad = recipe.columns.index("grad")
        numbers = [(i, *optimizer._dims(i)) for i in indices]
        jobs, seen = Jobs(columns, rows, numbers, recipe.slots), np.zeros((len(indices), 2), np.uintp)
        parts.append(Part(recipe, grad, indices, sorted(set(rows)), jobs, sizes, seen, {}))
    return parts


def _refuse(optimizer: "Optimizer", gradients: list[Any], zeroed: bool) -> None:
    """Raise for the gradient or parameter that can't be used; return if all can."""
    seen: list[tuple[int, int, str, np.ndarray]] = []
    for name, param, shape, gradient in zip(
        optimizer._names, optimizer._params, optimizer._shapes, gradients, strict=True
    ):
        expect.writable(expect.array(param, name, shape=shape, among=plan.FLOATS), name)
        own = name.replace("params", "grads", 1).replace("['params']", "", 1)
        if gradient is None:
            raise ValueError(f"{own}: expected a gradient for every parameter, got None")
        expect.array(gradient, own, shape=shape, among=plan.FLOATS)
        if zeroed:
            expect.writable(gradient, own)
        start, stop = np.lib.array_utils.byte_bounds(gradient)
        if gradient.size:
            seen.append((start, stop, own, gradient))
        nearest = np.searchsorted(optimizer._stops, np.uintp(start), side="right")
        if nearest == len(optimizer._starts) or optimizer._starts[nearest] >= stop:
            continue
        for other_name, other in zip(optimizer._names, optimizer._params, strict=True):
            if np.shares_memory(gradient, other):
                raise ValueError(f"{own}: expected memory apart from the parameters, got an overlap with {other_name}")
    if zeroed:
        _refuse_shared(seen)


def _refuse_shared(seen: list[tuple[int, int, str, np.ndarray]]) -> None:
    """Raise if two gradients share memory: the first job would zero what the second is to read."""
    reach = 0  # of the memory seen so far
    ordered = sorted(seen, key=lambda entry: entry[:2])
    for k, (start, stop, name, gradient) in enumerate(ordered):
        for _, other_stop, other_name, other in ordered[:k] if start < reach else ():
            if start < other_stop and np.shares_memory(gradient, other):
                raise ValueError(
                    f"{name}: expected memory apart from every other gradient with zero_grads, got an overlap with "
                    f"{other_name}"
                )
        reach = max(reach, stop)


# ---- what runs


def norm(parts: list[Part], contiguous: bool) -> tuple[float, bool]:
    """Return the Euclidean norm of all gradients together, and whether all their elements are finite."""
    total = np.zeros(2)
    for part in parts:
        unused = np.zeros((part.groups[-1] + 1, 1))
        total += part.jobs.run(
            plan.norm(part.recipe), scalars=unused, threads=get_num_threads(), contiguous=contiguous, partials=2
        ).sum(axis=0)
    return math.sqrt(total[0]), bool(total[1] == 0)


def row_of_scalars(
    optimizer: "Optimizer", recipe: plan.Recipe, group: Group, factor: float, t: int
) -> tuple[float, ...]:  # fmt: skip
    """Return a group's scalars for step t: the stages', then the rule's, whose last is the gradients' factor."""
    options = optimizer.options
    kept, average = 1.0, 0.0 if options.ema_decay is None else options.ema_decay
    if recipe.decay:
        kept = 1.0 - group["lr"] * group.get("weight_decay", 0.0)
        group = {**group, "weight_decay": 0.0}
    *rule, sign = type(optimizer)._scalars(group, t)
    rest = sign if recipe.clip else sign * factor
    return (
        factor,
        options.clip_value or 0.0,
        kept,
        average,
        1.0 - average,
        float(options.seed),
        float(optimizer.steps + 1),
        *rule,
        rest,
    )


def run(
    optimizer: "Optimizer", parts: list[Part], contiguous: bool, groups: list[Group], factor: float, zero: bool,
    stats: bool,
) -> float:  # fmt: skip
    """Run the step's pipelines and return the norm of the update (0.0 unless `stats`)."""
    target, threads, total = get_target(), get_num_threads(), 0.0
    for part in parts:
        scalars = np.zeros((len(groups), len(plan.SCALARS) + len(part.recipe.kernel.scalars)))
        for k in part.groups:
            fill_row(scalars, k, row_of_scalars(optimizer, part.recipe, groups[k], factor, optimizer.steps + 1))
        if part.recipe.passes:
            sums = _run_passes(optimizer, part, contiguous, scalars, groups, zero, stats)
        else:
            program = part.program(0, target, zero, stats)
            sums = part.jobs.run(program, scalars=scalars, threads=threads, contiguous=contiguous, partials=int(stats))
        if stats:
            total += float(sums.sum())
    return math.sqrt(total)


def _run_passes(
    optimizer: "Optimizer", part: Part, contiguous: bool, scalars: np.ndarray, groups: list[Group], zero: bool,
    stats: bool,
) -> np.ndarray:  # fmt: skip
    """Run the passes that measure, then the rule, with scalars of each parameter's own; returns the updates' sums."""
    recipe, target, threads = part.recipe, get_target(), get_num_threads()
    own = scalars[part.jobs.rows]
    rows, jobs = np.arange(len(part.members)), range(len(part.members))
    updates = np.zeros((len(jobs), int(stats)))
    for only in jobs if optimizer._one_by_one else (None,):
        for number in range(len(recipe.passes)):
            partials, grain = optimizer._extent(number, part.members[only or 0])
            sums = part.jobs.run(
                part.program(number, target), scalars=own, threads=threads, contiguous=contiguous, partials=partials,
                rows=rows, only=only, grain=grain,
            )  # fmt: skip
            for k, job in enumerate(jobs if only is None else [only]):
                i, measured = part.members[job], sums[k] if partials else sums
                arrays = {name: column[job] for name, column in zip(recipe.columns, part.jobs.columns, strict=True)}
                group = groups[optimizer._group_of[i]]
                optimizer._settle(number, group, arrays, measured, own[job, len(plan.SCALARS) :])
        sums = part.jobs.run(
            part.program(len(recipe.passes), target, zero, stats), scalars=own, threads=threads,
            contiguous=contiguous, partials=int(stats), rows=rows, only=only,
        )  # fmt: skip
        if stats:
            updates[slice(None) if only is None else slice(only, only + 1)] = sums
    return updates


def run_reference(
    optimizer: "Optimizer", parts: list[Part], contiguous: bool, groups: list[Group], factor: float, zero: bool,
    stats: bool,
) -> float:  # fmt: skip
    """The same in NumPy and float64: values are decoded, the paper's formula is applied, results are encoded."""
    total = 0.0
    for part in parts:
        for job, i in enumerate(part.members):
            own = {name: column[job] for name, column in zip(part.recipe.columns, part.jobs.columns, strict=True)}
            group = groups[optimizer._group_of[i]]
            total += step_of_reference(optimizer, part.recipe, own, group, factor, optimizer.steps + 1, i)
            if zero:
                own["grad"][...] = 0
    return math.sqrt(total) if stats else 0.0


def step_of_reference(
    optimizer: "Optimizer", recipe: plan.Recipe, own: dict[str, np.ndarray], group: Group, factor: float, t: int,
    number: int,
) -> float:  # fmt: skip
    """Step one parameter, or a part of it, whose arrays are `own`; returns the squared length of its update."""
    options, compute = optimizer.options, recipe.compute
    held = {
        name: (kind, [own[key] for key in (name, f"{name}_lost_bits", f"{name}_scale") if key in own])
        for name, kind in recipe.kinds.items()
        if name not in plan.WORK and name != "grad"
    }
    wide = {name: kinds.read(kind, arrays, compute).astype(np.float64) for name, (kind, arrays) in held.items()}
    grad = factor * kinds.read(recipe.grad, [own["grad"]], compute).astype(np.float64)
    if recipe.clip:
        limit = options.clip_value or np.inf
        grad = np.clip(grad, -limit, limit)
    hyper = {name: value for name, value in group.items() if name not in optimizer._only_at_start}
    before = wide["param"]
    if recipe.decay:
        wide["param"] = (1.0 - group["lr"] * group.get("weight_decay", 0.0)) * before
        hyper |= {"weight_decay": 0.0} if "weight_decay" in hyper else {}
    param = wide.pop("param")
    values = type(optimizer)._reference(param, grad, **wide, **hyper, t=t)
    for (kind, arrays), value in zip(held.values(), values[: len(held)], strict=True):  # carried numbers follow
        kinds.write(kind, arrays, np.asarray(value, compute), (options.seed, optimizer.steps + 1), number)
    if recipe.average:
        kept = options.ema_decay or 0.0
        own["average"][...] = kept * own["average"] + (1.0 - kept) * values[0]
    if recipe.copy:
        own["copy"][...] = values[0].astype(compute)
    return float(np.sum((values[0] - before) ** 2))
