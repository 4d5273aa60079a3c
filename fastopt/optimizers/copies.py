"""Copies of parameters in 16 bits: in memory of the optimizer's own, or in the caller's."""

from typing import Any, Protocol

import numpy as np

from fastopt import expect
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.jobs import Call
from fastopt.kernels.runtime.whole import put, whole
from fastopt.optimizers import refusals
from fastopt.optimizers.options import COPY_DTYPES, Options
from fastopt.trees import leaves


class Held(refusals.Held, Protocol):
    """What is looked at of a store."""

    lent: list[Any]
    options: Options


def type_of_copies(copies: Any, stated: str | None) -> str:
    """Return the type of copies that the caller has memory for: the first one's; the others are looked at later."""
    first = copies
    for _ in range(2):  # a list of groups, and a group
        first = next(iter(leaves(first)), None)
    kind = str(getattr(first, "dtype", ""))
    if kind not in COPY_DTYPES:
        got = expect.describe(copies if first is None else first)
        raise TypeError(f"copies: expected arrays of bfloat16 or float16, got {got}")
    if stated not in (None, kind):
        raise ValueError(f"copy_to: expected {kind!r}, the type of copies, or None, got {expect.shown(stated)}")
    return kind


def names_of_lent(held: Held) -> list[str]:
    """Return what errors call the caller's copies."""
    return [refusals.beside(name, "copies") for name in held.names[: len(held.lent)]]


def check_lent(held: Held) -> None:
    """Raise for a copy of the caller's that can't be written."""
    for name, copy, shape in zip(names_of_lent(held), held.lent, held.shapes):
        dtype = kinds.dtype(held.options.copy_to or "")
        expect.writable(expect.array(copy, name, dtype=dtype, shape=shape, among=COPY_DTYPES, written=True), name)


def copy_call(held: Held, i: int) -> Call:
    """Return the call that writes a parameter into its copy."""
    with np.errstate(all="ignore"):
        return put(held.copies[i], held.params[i].astype(held.copies[i].dtype))


def begin_anew(held: Held) -> None:
    """Begin copies, averages and lost bits anew from the parameters."""
    writes: list[Call] = []
    with np.errstate(all="ignore"):
        for i, (param, state) in enumerate(zip(held.params, held.state, strict=True)):
            if "average" in state:
                average = kinds.read(str(param.dtype), [param], str(state["average"].dtype))
                writes.append(put(state["average"], average))
            if "param_lost_bits" in state:
                writes.append((state["param_lost_bits"].fill, (0,), {}))
            if held.copies:
                writes.append(copy_call(held, i))
    whole(writes)
