"""Work on many arrays on a GPU: one launch for all sets of the same types. Every argument has been checked."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from threading import local

import numpy as np

from fastopt.kernels.runtime.cuda import DeviceJobs
from fastopt.kernels.runtime.cuda_arrays import DeviceArray, host_copy
from fastopt.kernels.runtime.cuda_elements import Elements
from fastopt.kernels.runtime.driver import driver
from fastopt.kernels.runtime.lengths import length

SOURCES = ("arrays/rules.py", "arrays/cuda_rules.py")
KEPT = 16  # tables on the device of a thread's last calls
Columns = Mapping[str, Sequence[DeviceArray]]  # by the kernel's buffers
_calls = local()


def elementwise(name: str, columns: Columns, numbers: Mapping[str, float], stream: int) -> None:
    """out = factor x ("scale"), or a x + b y ("axpby")."""
    _run(name, columns, numbers, stream)


def norms(arrays: Sequence[DeviceArray], stream: int) -> np.ndarray:
    """Return the Euclidean norm of every array, whatever its squares; waits for the device."""
    found = np.sqrt(_run("squares", {"x": arrays}, {}, stream))
    for k, array in enumerate(arrays):
        if array.size and array.dtype == "float64" and not 1e-140 < found[k] < math.inf:
            found[k] = length(host_copy(array))
    return found


def global_norm(arrays: Sequence[DeviceArray], stream: int) -> float:
    """Return the Euclidean norm of all arrays together."""
    total = math.sqrt(_run("squares", {"x": arrays}, {}, stream).sum())
    return total if 1e-140 < total < math.inf else length(norms(arrays, stream))


def all_finite(arrays: Sequence[DeviceArray], stream: int) -> bool:
    """Return whether no element is NaN or infinite."""
    return not _run("not_finite", {"x": arrays}, {}, stream).any()


def _run(name: str, columns: Columns, numbers: Mapping[str, float], stream: int) -> np.ndarray:
    """Launch a kernel for each group of sets of the same types and device; return sums of each set, if it has any."""
    sets = list(zip(*columns.values(), strict=True))
    found, groups = np.zeros(len(sets)), dict[tuple[tuple[str, ...], int], list[int]]()
    for k, arrays in enumerate(sets):
        groups.setdefault((tuple([array.dtype for array in arrays]), arrays[0].ordinal), []).append(k)
    for (kinds, ordinal), members in groups.items():
        kernel = elements(name, tuple(columns), kinds)
        jobs = _jobs(kernel, ordinal, tuple([sets[k][0].size for k in members]))
        jobs.pointers[...] = [[array.address for array in sets[k]] for k in members]
        jobs.scalars[0] = [numbers[key] for key in kernel.scalars]
        jobs.run((kernel,), stream)
        if kernel.sums:
            own = np.zeros(len(members))
            np.add.at(own, jobs.job_of_block, jobs.sums(1, stream)[:, 0])  # one after the other
            found[members] = own
    return found


def _jobs(kernel: Elements, ordinal: int, sizes: tuple[int, ...]) -> DeviceJobs:
    kept = _calls.__dict__.setdefault("jobs", {})
    key = kernel, ordinal, sizes
    jobs = kept.pop(key, None)
    if jobs is None:
        table, zeros = (1, len(kernel.scalars)), [0] * len(sizes)
        jobs = DeviceJobs(driver().device(ordinal), sizes, zeros, zeros, len(kernel.table), table, kernel.real, 1)
        while len(kept) >= KEPT:
            del kept[next(iter(kept))]
    kept[key] = jobs
    return jobs


# ---- kernels


@cache
def elements(name: str, buffers: tuple[str, ...], kinds: tuple[str, ...]) -> Elements:
    """Return the kernel of one set's elements; the last of `buffers` is written, if it is "out"."""
    real = "float64" if "float64" in kinds else "float32"
    own = dict(zip(buffers, kinds, strict=True))
    outputs = {key: kind for key, kind in own.items() if key == "out"}
    inputs = {key: kind for key, kind in own.items() if key != "out"}
    made = "_".join([name, *kinds])
    if not outputs:
        summed = "squared(x)" if name == "squares" else "not_finite(x)"
        return Elements(made, inputs, {}, (), (), SOURCES, real, (summed,))
    scalars = ("factor",) if name == "scale" else ("a", "b")
    line = f"out = {name}({', '.join([*inputs, *scalars])})"
    return Elements(made, inputs, outputs, scalars, (line,), SOURCES, real)


def common() -> list[Elements]:
    """Return the kernels whose PTX comes with the package."""
    one, two = ("x", "out"), ("x", "y", "out")
    made = [elements("scale", one, (kind,) * 2) for kind in ("float32", "bfloat16")]
    made += [elements(name, ("x",), (kind,)) for name in ("squares", "not_finite") for kind in ("float32", "bfloat16")]
    return [*made, elements("axpby", two, ("float32",) * 3)]
