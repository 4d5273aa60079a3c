"""Work on many arrays on CPUs: one launch for all sets of arrays of the same types. Every argument has been checked.

by_reference.py has the same functions. `columns` are lists of arrays, one for each of a kernel's buffers, an output
last; `groups` are their rows by types, as `fastopt.arrays.sets` found them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fastopt.kernels.arrays.kernels import KERNELS
from fastopt.kernels.arrays.recipe import build
from fastopt.kernels.runtime.checks import all_within
from fastopt.kernels.runtime.jobs import BLOCK, SUM_BLOCK, Jobs
from fastopt.kernels.runtime.lengths import length
from fastopt.kernels.runtime.pipeline import GRAIN

NO_SCALARS = np.zeros((1, 1))
Columns = Sequence[Sequence[np.ndarray]]


class Group(NamedTuple):
    """The sets whose arrays are of the same types."""

    kinds: tuple[str, ...]
    members: slice | list[int]  # of each column
    pointers: np.ndarray
    units: np.ndarray
    shared: int  # as `recipe.build` takes it
    jobs: Jobs | None = None  # where arrays are strided, or of several types


def scale(
    target: str, columns: Columns, groups: Sequence[Group], numbers: Mapping[str, float], checks: bool = False
) -> bool:
    """out = factor x; return whether all that was stored is finite, if `checks`."""
    return _elementwise(target, "scale", groups, numbers, checks)


def axpby(
    target: str, columns: Columns, groups: Sequence[Group], numbers: Mapping[str, float], checks: bool = False
) -> bool:
    """out = a x + b y."""
    return _elementwise(target, "axpby", groups, numbers, checks)


def norms(target: str, columns: Columns, groups: Sequence[Group]) -> np.ndarray:
    """Return the Euclidean norm of every array, whatever its squares."""
    found = np.sqrt(_sums(target, "squares", columns, groups, 2)[:, 0])
    for k, norm in enumerate([] if all_within(found, 1e-140, math.inf) else found.tolist()):
        if not 1e-140 < norm < math.inf and columns[0][k].dtype == np.float64:
            found[k] = length(columns[0][k])
    return found


def global_norm(target: str, columns: Columns, groups: Sequence[Group]) -> float:
    """Return the Euclidean norm of all arrays together."""
    total = math.sqrt(sum(_sums(target, "squares", columns, groups, 2)[:, 0].tolist()))
    return total if 1e-140 < total < math.inf else length(norms(target, columns, groups))


def all_finite(target: str, columns: Columns, groups: Sequence[Group]) -> bool:
    """Return whether no element is NaN or infinite."""
    return not _sums(target, "not_finite", columns, groups, 1).any()


def _elementwise(target: str, name: str, groups: Sequence[Group], numbers: Mapping[str, float], checks: bool) -> bool:
    scalars, finite = np.array([[*numbers.values()]]), True
    for group in groups:
        sums = _run(target, group, name, scalars, int(checks))
        finite &= not checks or not sums.any()
    return finite


def _sums(target: str, name: str, columns: Columns, groups: Sequence[Group], count: int) -> np.ndarray:
    """Return a kernel's partial sums (arrays, count), for each array its own."""
    found = np.zeros((len(columns[0]), count))
    for group in groups:
        found[group.members] = _run(target, group, name, NO_SCALARS, count)
    return found


def _run(target: str, group: Group, name: str, scalars: np.ndarray, partials: int) -> np.ndarray:
    kernel = KERNELS[name]
    program = build(kernel, group.kinds, target, bool(kernel.written and partials), group.shared)
    if group.jobs is not None:
        packed = all([group.jobs.bind(column) for column in range(len(group.kinds))])
        return group.jobs.run(program, scalars=scalars, contiguous=packed, partials=partials)
    block = BLOCK if len(program.stages) > 1 else SUM_BLOCK if partials else 0  # as in `Jobs.run`: for the same bits
    return program.pipeline.run(group.pointers, group.units, GRAIN, block, scalars=scalars, partials=partials)
