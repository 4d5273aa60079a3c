"""Calls over many arrays: their form, every check, and their groups of the same types."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from fastopt import expect, trees
from fastopt.kernels.arrays.cpu import Group
from fastopt.kernels.arrays.recipe import BYTES, EACH
from fastopt.kernels.runtime.jobs import Jobs
from fastopt.kernels.runtime.tables import tabulate

FLOATS = tuple(BYTES)
OUT = "out"
ANY = 2**31 - 1  # every input may be the output
Columns = dict[str, list[Any]]  # argument -> its arrays; in the order of the kernel's buffers


def with_output(inputs: Mapping[str, Any], out: Any) -> tuple[Any, list[list[Any]], list[Group]]:
    """Return where results go, in the form of the first argument, and all columns and groups, checked.

    Parameters
    ----------
    inputs : mapping
        Argument -> an array, a sequence or a mapping of arrays, in the form of the first one.
    out : arrays in that form, or None
        None: new ones, of the shapes and dtypes of the first argument's.
    """
    form, columns = _columns(inputs)
    if out is None:
        first = next(iter(columns))
        _check_arrays(form, {first: columns[first]})
        columns[OUT] = [np.empty(array.shape, array.dtype) for array in columns[first]]
        out = trees.built(form, iter(columns[OUT]))
    else:
        columns[OUT] = trees.alike(form, out, OUT, "arrays")
    return out, [*columns.values()], _groups(form, columns)


def read_only(arrays: Any) -> tuple[list[list[Any]], list[Group]]:
    """Return the one column of a call that writes nothing, and its groups, checked."""
    form, columns = _columns({"arrays": arrays})
    return [*columns.values()], _groups(form, columns)


def _columns(inputs: Mapping[str, Any]) -> tuple[trees.Form, Columns]:
    form = trees.form_of(next(iter(inputs.values())))
    return form, {name: trees.alike(form, tree, name, "arrays") for name, tree in inputs.items()}


def _groups(form: trees.Form, columns: Columns) -> list[Group]:
    """Return the arrays by their types, checked; mostly they are all of the same, and packed."""
    every, writes = list(columns.values()), OUT in columns
    rows, width = len(every[0]), len(every)
    slots = 2 * width - writes  # those of recipe.slots
    pointers, units = np.zeros((rows, slots), np.uintp), np.zeros(rows, np.int64)
    found = tabulate(every, pointers, units, writes)
    if found is not None:
        kinds = tuple([_kind(column[0].dtype) for column in every]) if rows else ()
        if all(kind in FLOATS for kind in kinds):
            shared, in_place = found
            return [Group(kinds, slice(None), pointers, units, EACH if in_place else shared)] if rows else []
    _check_arrays(form, columns)
    if writes:
        _check_memory(form, columns)
    members: dict[tuple[str, ...], list[int]] = {}
    for i, arrays in enumerate(zip(*every, strict=True)):
        members.setdefault(tuple([_kind(array.dtype) for array in arrays]), []).append(i)
    groups = []
    for kinds, own in members.items():
        jobs = Jobs([[column[i] for i in own] for column in every], [0] * len(own), [(0,)] * len(own), slots)
        groups.append(Group(kinds, own, jobs.pointers, jobs.units, ANY, jobs))
    return groups


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
