"""What a step can't use, and the sentence that says so: gradients, and memory that overlaps."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers.recipe import FLOATS
from fastopt.optimizers.memory import Memory


class Held(Protocol):
    """What is looked at of a store."""

    names: list[str]
    params: list[Any]
    shapes: list[tuple[int, ...]]
    state: list[dict[str, Any]]
    copies: list[Any]


def beside(name: str, what: str) -> str:
    """Return what errors call the gradient or copy of a parameter, by the parameter's name."""
    return name.replace("params", what, 1).replace("['params']", "", 1)


def expect_norm(norm: Any) -> tuple[float, bool]:
    """Return a norm from outside, and whether it is finite."""
    if isinstance(norm, float | int | np.floating) and not isinstance(norm, bool) and not norm < 0:
        return float(norm), math.isfinite(norm)
    raise TypeError(f"norm: expected a number ≥ 0 or NaN, got {expect.describe(norm)}")


def memory_ranges(
    names: list[str], params: list[np.ndarray], memories: Sequence[Memory]
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return where the memory begins and ends that gradients must stay out of; refuse parameters that overlap."""
    bounds = sorted((*np.lib.array_utils.byte_bounds(p), k) for k, p in enumerate(params) if p.size)
    for (_, stop, i), (start, _, j) in pairwise(bounds):
        if start < stop and np.shares_memory(params[i], params[j]):
            raise ValueError(
                f"{names[j]}: expected memory apart from every other parameter, got an overlap with {names[i]}"
            )
    merged: list[list[int]] = []
    own = [(memory.start, memory.stop) for memory in memories if memory.stop > memory.start]
    for start, stop in sorted([(start, stop) for start, stop, _ in bounds] + own):
        if merged and start < merged[-1][1]:  # views that interleave share one range
            merged[-1][1] = max(stop, merged[-1][1])
        else:
            merged.append([start, stop])
    return np.array([start for start, _ in merged], np.uintp), np.array([stop for _, stop in merged], np.uintp)


def refuse_gradients(
    held: Held, starts: np.ndarray, stops: np.ndarray, gradients: list[Any], zeroed: bool, missing: set[int]
) -> None:  # fmt: skip
    """Raise for the gradient or parameter that can't be used; return if all can."""
    seen: list[tuple[int, int, str, np.ndarray]] = []
    for i, (name, param, shape) in enumerate(zip(held.names, held.params, held.shapes, strict=True)):
        expect.writable(expect.array(param, name, shape=shape, among=FLOATS), name)
        if i in missing:
            continue
        gradient, own = gradients[i], beside(name, "grads")
        if gradient is None:
            raise ValueError(
                f"{own}: expected a gradient for every parameter, got None; skip_missing=True leaves it alone"
            )
        expect.array(gradient, own, shape=shape, among=FLOATS)
        if zeroed:
            expect.writable(gradient, own)
        start, stop = np.lib.array_utils.byte_bounds(gradient)
        if gradient.size:
            seen.append((start, stop, own, gradient))
        nearest = np.searchsorted(stops, np.uintp(start), side="right")
        if nearest < len(starts) and starts[nearest] < stop:
            refuse_overlap(held, own, gradient)
    if zeroed:
        _refuse_shared(seen)


def refuse_overlap(held: Held, own: str, gradient: np.ndarray) -> None:
    """Raise if a gradient shares memory with a parameter, or with what the optimizer keeps."""
    for name, param in zip(held.names, held.params, strict=True):
        if np.shares_memory(gradient, param):
            raise ValueError(f"{own}: expected memory apart from the parameters, got an overlap with {name}")
    for i, state in enumerate(held.state):
        kept = state | ({"copy": held.copies[i]} if held.copies else {})
        for key, array in kept.items():
            if np.shares_memory(gradient, array):
                raise ValueError(
                    f"{own}: expected memory apart from the optimizer's own, got an overlap with the {key!r} of "
                    f"{held.names[i]}"
                )


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
