"""A pass of an optimizer's recipe over many leaves, as one operation of a JAX program."""

from collections.abc import Mapping, Sequence
from functools import cache

import jax
import numpy as np

from fastopt.jax import call
from fastopt.kernels.optimizers.recipe import Recipe, build
from fastopt.kernels.runtime.jobs import BLOCK, SUM_BLOCK, Program
from fastopt.kernels.runtime.pipeline import GRAIN

Arrays = dict[str, jax.Array]  # by their buffers' names
Shapes = Mapping[str, jax.ShapeDtypeStruct]
program = cache(build)  # for ever: compiled programs hold addresses


def launch(
    recipe: Recipe,
    number: int,
    jobs: Sequence[Arrays],
    scalars: jax.Array,
    *,
    made: Shapes | None = None,
    dims: Sequence[int] = (),
    sums: int = 0,
    grain: int = GRAIN,
) -> tuple[list[Arrays], jax.Array | None]:
    """Run pass `number` of a recipe; return what each job has written, and the bits of its sums.

    Parameters
    ----------
    recipe : Recipe
        All jobs are of its types; the last pass is the rule's.
    jobs : sequence of dict
        Each job's arrays; those that the pass writes are written in place, where XLA lets them be.
    scalars : uint32 array (numbers, 2) of all jobs, or (jobs, numbers, 2)
        The bits of float64 numbers: the stages', then the rule's.
    made : mapping
        Shapes of what the pass writes that `jobs` doesn't hold.
    dims : sequence of int
        The kernel's.
    sums, grain : int
        How many sums a job adds up; elements that a thread takes at a time.
    """
    kernel = (*recipe.passes, recipe.kernel)[number]
    arguments: list[jax.Array] = []
    results: list[jax.ShapeDtypeStruct] = []
    aliases: dict[int, int] = {}
    slots, names = [], [name for name in recipe.columns if name in kernel.written]
    for job in jobs:
        row = []
        for name in recipe.columns:
            if name in names:
                if name in job:
                    aliases[len(arguments)] = len(results)
                results.append(_like(job[name]) if made is None or name in job else made[name])
                row.append(-len(results))
            else:
                row.append(len(arguments) if name in job else 0)  # an array that this pass doesn't touch
            if name in job:
                arguments.append(job[name])
        slots.append(row)
    of_each = scalars.ndim == 3
    built: Program = program(recipe, number, call.compiled_target())
    found = call.run(
        built.pipeline,
        (*arguments, scalars),
        results,
        slots,
        per_unit=[-job["grad"].size for job in jobs],
        grain=grain,
        block=BLOCK if len(built.stages) > 1 else SUM_BLOCK if sums else 0,
        dims=[[k, *dims] for k in range(len(jobs))],
        scalars_at=len(arguments),
        scalars_of_a_job=scalars.shape[1] if of_each else 0,
        sums=sums,
        aliases=aliases,
        vmap_method="sequential",
    )
    width = len(names)
    written = [dict(zip(names, found[j * width : (j + 1) * width], strict=True)) for j in range(len(jobs))]
    return written, found[-1] if sums else None


def _like(array: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, np.dtype(array.dtype))
