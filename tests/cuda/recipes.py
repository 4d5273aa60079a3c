"""Recipes for tests: jobs of ugly sizes, and the same step by the CPU's pipeline."""

import numpy as np

from fastopt.kernels.optimizers import recipe as plan
from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.jobs import Jobs

STAGES = {"grad_scale": 0.7, "clip_value": 0.5, "decay_kept": 0.99, "average_kept": 0.9, "average_added": 0.1}
WORDS = (12345, 17)  # seed and step
SIZES = (1, 2, 3, 7, 33, 255, 256, 257, 2049, 8191, 8193, 16385)
RULES = [
    name for name, kernel in KERNELS.items() if kernel.rule and "grad" in kernel.buffers and "param" in kernel.written
]
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 3e38)


def recipe(name, compute="float32", param=None, grad=None, state=None, **options):
    kernel = KERNELS[name]
    names = plan.states((), kernel)
    return plan.Recipe(
        kernel, (), compute, param or compute, grad or compute, tuple(state or [compute] * len(names)), **options
    )


def jobs(recipe, sizes, rng, special=True):
    """Return a dict of arrays by column for each size; with NaN, Inf and subnormals, if `special`."""
    made = []
    for n in sizes:
        job = {}
        for name, kind in recipe.kinds.items():
            x = rng.standard_normal(n)
            x = np.abs(x) if name in plan.SQUARES | {"n", "exp_inf", "step_size"} else x
            x = x.astype(recipe.compute)
            if special and n > 100:
                x[rng.integers(0, n, len(SPECIAL))] = SPECIAL
            job |= stored(name, kind, x)
        if recipe.average:
            job["average"] = rng.standard_normal(n).astype(recipe.compute)
        if recipe.copy:
            job["copy"] = np.zeros(n, kinds.dtype(recipe.copy))
        made.append(job)
    return made


def stored(name, kind, x):
    if kind == "split":
        upper, lower = np.zeros(x.shape, kinds.bfloat16()), np.zeros(x.shape, np.uint16)
        kinds.write(kind, [upper, lower], x)
        return {name: upper, f"{name}_lost_bits": lower}
    if kind == "stochastic":
        return {name: x.astype(kinds.bfloat16())}
    arrays = kinds.arrays_for(kind, x.shape)
    kinds.write(kind, arrays, x)
    return dict(zip((name, f"{name}_scale"), arrays))


def copies(jobs):
    return [{name: array.copy() for name, array in job.items()} for job in jobs]


def by_cpu(recipe, jobs, rule, zero=False, stats=False):
    """Step the jobs by the Cython kernels; return the squared updates (jobs, 1)."""
    columns = [[job[name] for job in jobs] for name in recipe.columns]
    own = Jobs(columns, [0] * len(jobs), [(i,) for i in range(len(jobs))], recipe.slots)
    row = np.array([[*STAGES.values(), *map(float, WORDS), *rule]])
    program = plan.build(recipe, 0, "cython", zero, stats)
    return own.run(program, scalars=row, contiguous=True, partials=int(stats))


def different(a, b):
    """Return the columns whose bits differ; one NaN is as good as another."""
    return [(k, name) for k, (x, y) in enumerate(zip(a, b, strict=True)) for name in x if not same(x[name], y[name])]


def same(x, y):
    if x.dtype.kind == "f" or x.dtype.name == "bfloat16":
        both = np.isnan(x.astype(np.float64)) & np.isnan(y.astype(np.float64))
        return bool(((x.view(f"u{x.itemsize}") == y.view(f"u{y.itemsize}")) | both).all())
    return bool(np.array_equal(x, y))
