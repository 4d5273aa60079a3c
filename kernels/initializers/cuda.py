"""Initial weights on a GPU: a thread draws from a counter, and makes the CPU's numbers of its words, to the bit."""

import math
from functools import cache
from typing import Any

import numpy as np

from fastopt.kernels.initializers.cpu import BITS, CUT, TAIL
from fastopt.kernels.initializers.kernels import KERNELS
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.cuda import run_rows
from fastopt.kernels.runtime.cuda_arrays import device_array, stream_of
from fastopt.kernels.runtime.cuda_rows import Once, Pass, Rows
from fastopt.kernels.runtime.driver import driver

SOURCES = ("initializers/rules.py", "initializers/cuda_rules.py")
COUNTERS = 16  # of a group: its values are those of the counters' first words, then of their second ones, ...


# ---- the door: what kernels/initializers/cpu.py has; `weights` is any packed array on a device


def uniform(weights: Any, seed: int, low: float, high: float) -> None:
    dtype = kinds.dtype(device_array(weights, "out").dtype).type
    limit = np.nextafter(dtype(high), dtype(-np.inf))
    _fill("uniform", weights, seed, [low, high - low, float(limit)])


def normal(weights: Any, seed: int, mean: float, std: float, truncated: bool) -> None:
    tail, bound = (TAIL, CUT) if truncated else (0.0, math.inf)
    real = "float64" if device_array(weights, "out").dtype == "float64" else "float32"
    _fill("normal", weights, seed, [mean, std, tail, (0.5 - tail) / 2.0 ** BITS[real], bound])


def constant(weights: Any, value: float) -> None:
    _fill("uniform", weights, 0, [value, 0.0, value])


def _fill(name: str, weights: Any, seed: int, scalars: list[float]) -> None:
    place = device_array(weights, "out")
    if not place.size:
        return
    per = 2 if place.dtype == "float64" else 4
    rows = -(-place.size // (COUNTERS * per)) * COUNTERS
    dims = [place.size, seed & 0xFFFFFFFF, seed >> 32]
    device = driver().device(place.ordinal)
    run_rows(device, filled(name, place.dtype), rows, per, [place.address], dims, scalars, stream_of(weights))


# ---- kernels


@cache
def filled(name: str, kind: str) -> Rows:
    """Return the kernel that fills an array: a row is a counter's values, which are 16 apart."""
    real = "float64" if kind == "float64" else "float32"
    per = 2 if real == "float64" else 4
    extent = (
        f"at = (row >> 4) * {COUNTERS * per} + (row & 15)",
        f"columns = min({per}, (count - at + 15) // 16) if count > at else 0",
    )
    words = "w0, w1, w2, w3 = philox(np.uint32(row), np.uint32(row >> 32), np.uint32(seed_low), np.uint32(seed_high))"
    second = "word_of(w0, w1, w2, w3, c + 2)" if real == "float64" else "np.uint32(0)"
    value = f"{name}_value(word_of(w0, w1, w2, w3, c), {second}, {', '.join(KERNELS[name].scalars)})"
    steps = (Once((words,)), Pass({}, (f"value = {value}",), {"weights": "value"}))
    return Rows(
        f"{name}_{kind}", {"weights": kind}, steps, SOURCES, ("count", "seed_low", "seed_high"), KERNELS[name].scalars,
        real, "thread", extent, "at + c * 16",
    )  # fmt: skip


def common() -> list[Rows]:
    """Return the kernels whose PTX comes with the package."""
    return [filled(name, kind) for name in KERNELS for kind in ("float32", "bfloat16")]
