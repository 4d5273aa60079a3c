"""Steps on a GPU: a recipe as one kernel over many arrays."""

import inspect
from functools import cache

from fastopt.kernels.optimizers import rules
from fastopt.kernels.optimizers.recipe import Recipe
from fastopt.kernels.runtime.cuda_elements import Elements

SOURCES = ("optimizers/rules.py", "optimizers/cuda_rules.py")
STAGES = ("grad_scale", "clip_value", "decay_kept", "average_kept", "average_added")  # scalars in front of the rule's


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
    lines = []
    if recipe.clip:
        lines.append("grad = clipped(grad, stage_grad_scale, stage_clip_value)")
    if stats:
        lines.append("before = param")
    if recipe.decay:
        lines.append("param = stage_decay_kept * param")
    given = [name for name in takes if name in inputs]
    lines.append(f"{', '.join(outputs)} = {kernel.name}({', '.join([*given, *kernel.scalars])})")
    sums = ("squared_change(param, before)",) if stats else ()
    if recipe.average:
        inputs["average"] = outputs["average"] = recipe.compute
        lines.append("average = averaged(average, param, stage_average_kept, stage_average_added)")
    if recipe.copy:
        outputs["copy"] = recipe.copy
        lines.append("copy = param")
    scalars = (*(f"stage_{name}" for name in STAGES), *kernel.scalars)
    zeroed = ("grad",) if zero else ()
    return Elements(
        _name(recipe, zero, stats), inputs, outputs, scalars, tuple(lines), SOURCES, recipe.compute, sums, zeroed,
        recipe.columns,
    )  # fmt: skip


def _name(recipe: Recipe, zero: bool, stats: bool) -> str:
    """Return what names a kernel in files, profiles and errors."""
    kinds = [kind for kind in recipe.kinds.values() if kind != recipe.compute]
    options = {"clip": recipe.clip, "decay": recipe.decay, "average": recipe.average, "zero": zero, "stats": stats}
    copy = [f"copy_{recipe.copy}"] if recipe.copy else []
    return "_".join([recipe.kernel.name, recipe.compute, *kinds, *(name for name, on in options.items() if on), *copy])
