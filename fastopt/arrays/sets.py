"""Calls over many arrays: their form, every check, and one launch for all arrays of the same types."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from fastopt import expect, trees
from fastopt.kernels.arrays import plan
from fastopt.kernels.runtime.jobs import BLOCK, SUM_BLOCK, Jobs
from fastopt.kernels.runtime.kernel import Kernel
from fastopt.kernels.runtime.pipeline import GRAIN
from fastopt.kernels.runtime.settings import get_target
from fastopt.kernels.runtime.tables import tabulate

FLOATS = tuple(plan.BYTES)
OUT = "out"
ANY = 2**31 - 1  # every input may be the output
NO_SCALARS = np.zeros((1, 1))
Columns = dict[str, list[Any]]  # argument -> its arrays; in the order of the kernel's buffers


class Part(NamedTuple):
    """The arrays of the same types."""

    kinds: tuple[str, ...]
    members: slice | list[int]  # of each column
    pointers: np.ndarray
    units: np.ndarray
    shared: int  # as `plan.build` takes it
    jobs: Jobs | None = None  # where arrays are strided, or of several types


# ---- what runs


def elementwise(
    kernel: Kernel,
    reference: Callable[..., np.ndarray],
    inputs: Mapping[str, Any],
    out: Any,
    numbers: Mapping[str, float],
    checks: bool = False,
) -> tuple[Any, bool]:
    """Write one array of each set, and return them all, and whether all they hold is finite (if `checks`).

    Parameters
    ----------
    kernel : Kernel
        Its buffers are the inputs and the output, its scalars the numbers.
    reference : callable (inputs in float64, numbers) -> array
    inputs : mapping
        Argument -> an array, a sequence or a mapping of arrays, in the form of the first one.
    out : arrays in that form, or None
        None: new ones, of the shapes and dtypes of the first argument's.
    numbers : mapping
    checks : bool
    """
    form, columns = _columns(inputs)
    if out is None:
        first = next(iter(columns))
        _check_arrays(form, {first: columns[first]})
        columns[OUT] = [np.empty(array.shape, array.dtype) for array in columns[first]]
        out = trees.built(form, iter(columns[OUT]))
    else:
        columns[OUT] = trees.alike(form, out, OUT, "arrays")
    parts = _parts(form, columns)
    if get_target() == "reference":
        return out, _by_reference(reference, columns, numbers)
    scalars, finite = np.array([[*numbers.values()]]), True
    for part in parts:
        sums = _run(part, kernel, scalars, int(checks))
        finite &= not checks or not sums.any()
    return out, finite


def sums(kernel: Kernel, arrays: Any, count: int) -> np.ndarray:
    """Return a kernel's partial sums (arrays, count), for each array its own."""
    form, columns = _columns({"arrays": arrays})
    found = np.zeros((len(columns["arrays"]), count))
    for part in _parts(form, columns):
        found[part.members] = _run(part, kernel, NO_SCALARS, count)
    return found


def wide(arrays: Any) -> list[np.ndarray]:
    """Return float64 copies, for the reference."""
    form, columns = _columns({"arrays": arrays})
    _check_arrays(form, columns)
    return [array.astype(np.float64) for array in columns["arrays"]]


def _run(part: Part, kernel: Kernel, scalars: np.ndarray, partials: int) -> np.ndarray:
    program = plan.build(kernel, part.kinds, get_target(), bool(kernel.written and partials), part.shared)
    if part.jobs is not None:
        packed = all([part.jobs.bind(column) for column in range(len(part.kinds))])
        return part.jobs.run(program, scalars=scalars, contiguous=packed, partials=partials)
    block = BLOCK if len(program.stages) > 1 else SUM_BLOCK if partials else 0  # as in `Jobs.run`: for the same bits
    return program.pipeline.run(part.pointers, part.units, GRAIN, block, scalars=scalars, partials=partials)


def _by_reference(function: Callable[..., np.ndarray], columns: Columns, numbers: Mapping[str, float]) -> bool:
    finite = True
    *inputs, outputs = columns.values()
    with np.errstate(all="ignore"):
        for *given, out in zip(*inputs, outputs, strict=True):
            out[...] = function(*(array.astype(np.float64) for array in given), **numbers).astype(out.dtype)
            finite &= bool(np.isfinite(out.astype(np.float64)).all())
    return finite


# ---- every check, before anything is written


def _columns(inputs: Mapping[str, Any]) -> tuple[trees.Form, Columns]:
    form = trees.form_of(next(iter(inputs.values())))
    return form, {name: trees.alike(form, tree, name, "arrays") for name, tree in inputs.items()}


def _parts(form: trees.Form, columns: Columns) -> list[Part]:
    """Return the arrays by their types, checked; mostly they are all of the same, and packed."""
    every, writes = list(columns.values()), OUT in columns
    rows, width = len(every[0]), len(every)
    slots = 2 * width - writes  # those of plan.slots
    pointers, units = np.zeros((rows, slots), np.uintp), np.zeros(rows, np.int64)
    found = tabulate(every, pointers, units, writes)
    if found is not None:
        kinds = tuple([_kind(column[0].dtype) for column in every]) if rows else ()
        if all(kind in FLOATS for kind in kinds):
            shared, in_place = found
            return [Part(kinds, slice(None), pointers, units, plan.EACH if in_place else shared)] if rows else []
    _check_arrays(form, columns)
    if writes:
        _check_memory(form, columns)
    members: dict[tuple[str, ...], list[int]] = {}
    for i, arrays in enumerate(zip(*every, strict=True)):
        members.setdefault(tuple([_kind(array.dtype) for array in arrays]), []).append(i)
    parts = []
    for kinds, own in members.items():
        jobs = Jobs([[column[i] for i in own] for column in every], [0] * len(own), [(0,)] * len(own), slots)
        parts.append(Part(kinds, own, jobs.pointers, jobs.units, ANY, jobs))
    return parts


@cache
def _kind(dtype: np.dtype) -> str:
    """Return a dtype's name; NumPy takes microseconds to form it."""
    return str(dtype)


def _check_arrays(form: trees.Form, columns: Columns) -> None:
    first = next(iter(columns))
    for argument, column in columns.items():
        for i, (name, array) in enumerate(zip(trees.names(form, argument), column, strict=True)):
            shape = None if argument == first else columns[first][i].shape
            expect.array(array, name, shape=shape, among=FLOATS)
            if argument == OUT:
                expect.writable(array, name)


class Place(NamedTuple):
    """Where an array is."""

    start: int
    stop: int
    name: str
    row: int
    out: bool
    array: np.ndarray

    def is_in(self, other: "Place") -> bool:
        """Return whether this is the other's very memory, read and written by the same set."""
        a, b = self.array, other.array
        return self.row == other.row and (self.start, a.dtype, a.strides) == (other.start, b.dtype, b.strides)


def _check_memory(form: trees.Form, columns: Columns) -> None:
    """Raise if an output shares memory with another array, unless it is an input of its own set."""
    places = [
        Place(*np.lib.array_utils.byte_bounds(array), name, row, argument == OUT, array)
        for argument, column in columns.items()
        for row, (name, array) in enumerate(zip(trees.names(form, argument), column, strict=True))
        if array.size
    ]
    near: list[Place] = []
    for place in sorted(places, key=lambda place: place[:2]):
        near = [other for other in near if other.stop > place.start]
        for other in near:
            if not (place.out or other.out) or place.is_in(other) or not np.shares_memory(place.array, other.array):
                continue
            out, taken = (place, other) if place.out else (other, place)
            raise ValueError(f"{out.name}: expected memory apart from {taken.name}, got arrays that overlap")
        near.append(place)
