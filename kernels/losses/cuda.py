"""Losses on a GPU: those of elements take one pass over memory; cuda_rows.py has the kernels of rows."""

import inspect
import math
from functools import cache
from threading import local
from typing import Any

import numpy as np

from fastopt.kernels.losses import cuda_rows, rules
from fastopt.kernels.losses.cpu import rows_in_a_block, rows_in_a_grain
from fastopt.kernels.losses.cuda_rows import Kinds
from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.kernels.runtime.cuda import DeviceJobs, Scratch, run_rows
from fastopt.kernels.runtime.cuda_arrays import DeviceArray, OwnArray
from fastopt.kernels.runtime.cuda_elements import Elements
from fastopt.kernels.runtime.cuda_rows import SHORT, Rows
from fastopt.kernels.runtime.driver import driver
from fastopt.kernels.runtime.kernel import Kernel

SOURCES = ("losses/rules.py", "losses/cuda_rules.py")
COMMON = (
    "mean_squared_error", "mean_absolute_error", "huber", "binary_crossentropy_logits", "hinge",
    "mean_absolute_percentage_error", "smooth_l1", "quantile", "squared_hinge",
)  # fmt: skip
OUTSIDE = ("outside_of(x, low, high)", "is_nan(x)")
KEPT = 64  # tables on the device of a thread's last calls
_calls = local()
_scratch = Scratch()


# ---- the door: what kernels/losses/cpu.py has


def evaluate(
    formula: Formula, y_true: DeviceArray, y_pred: DeviceArray, out: DeviceArray | None = None, *,
    leading: tuple[int, ...], factor: float = 1.0, reduced: bool = True, weight: DeviceArray | None = None,
    mask: DeviceArray | None = None, class_weight: DeviceArray | None = None, stream: int = 0,
) -> Any:  # fmt: skip
    """Return a loss's value, and write its gradient to `out`; arguments as in `cpu.evaluate`. Nothing is checked.

    Arrays are packed, of one device. Labels are int64 or int32; beside predictions of 16 bits y_true may be float32.
    A weight may have the first axes of `leading`.

    Returns
    -------
    float, for which it waits, or an OwnArray of shape `leading`
    """
    rows = math.prod(leading)
    columns, kinds = y_pred.size // rows, Kinds(y_pred.dtype, y_true.dtype, real_of(y_pred))
    if formula.of_elements and reduced and weight is None and mask is None:
        scale = factor / (columns if formula.mean else 1)
        kernel = elements(KERNELS[formula.kernel], kinds, out is not None)
        return scale * float(_sums(kernel, (y_true, y_pred, out), (scale, *formula.scalars), stream)[0])
    device = driver().device(y_pred.ordinal)
    values = None if reduced else OwnArray(device, leading, np.dtype(kinds.real))
    at = _scratch.of(device, "values", 8 * rows) if values is None else values.memory.address
    kernel_of_rows, scalars, dims = _kernel(formula, columns, kinds, out is not None, factor)
    per_weight = 1 if weight is None else rows // weight.size
    run_rows(
        device, kernel_of_rows, rows, columns,
        [y_true.address, y_pred.address, _at(out), at, _at(weight), _at(mask), _at(class_weight)],
        [columns, int(out is not None), int(weight is not None), per_weight, int(mask is not None),
         formula.ignore_class, int(class_weight is not None), *dims],
        scalars, stream,
    )  # fmt: skip
    if values is not None:
        return values
    return factor * _total(device, at, rows, columns, kinds.real, stream)


def outside(array: DeviceArray, low: float, high: float, stream: int = 0) -> tuple[int, ...]:
    """Return how many elements are outside [low, high], and how many are NaN."""
    kernel = _counts("outside", array.dtype, ("low", "high"), OUTSIDE)
    return tuple(map(int, _sums(kernel, (array,), (low, high), stream)))


def signs(y_true: DeviceArray, stream: int = 0) -> tuple[int, ...]:
    """Return how many elements are 1, 0 and −1."""
    wanted = ("is_equal(x, 1.0)", "is_equal(x, 0.0)", "is_equal(x, -1.0)")
    return tuple(map(int, _sums(_counts("signs", y_true.dtype, (), wanted), (y_true,), (), stream)))


def not_distributions(y_true: DeviceArray, columns: int, stream: int = 0) -> int:
    """Return whether there are elements or rows' sums that are not those of distributions: not 0, if there are."""
    device, rows, real = driver().device(y_true.ordinal), y_true.size // columns, real_of(y_true)
    kernel, at = (
        cuda_rows.not_distributions(y_true.dtype, real, columns < SHORT),
        _scratch.of(device, "values", 8 * rows),
    )
    run_rows(device, kernel, rows, columns, [y_true.address, at], [columns], [], stream)
    return math.ceil(_total(device, at, rows, 1, real, stream))


def labels_outside(
    labels: DeviceArray, classes: int, ignore_class: int, mask: DeviceArray | None = None, stream: int = 0
) -> tuple[int, ...]:
    """Return how many labels are no class and not ignored, and how many are ignored, or masked."""
    device, count = driver().device(labels.ordinal), labels.size
    rows = -(-count // 1024)
    at = _scratch.of(device, "values", 16 * rows)
    pointers, dims = (
        [labels.address, _at(mask), at, at + 8 * rows],
        [classes, ignore_class, count, int(mask is not None)],
    )
    run_rows(device, cuda_rows.labels_outside(labels.dtype), rows, 1024, pointers, dims, [], stream)
    found = _scratch.download(device, "values", 2 * rows, stream).reshape(2, rows)
    return tuple(map(int, found.sum(axis=1)))


def real_of(array: DeviceArray) -> str:
    """Return the type that is computed with."""
    return "float64" if array.dtype == "float64" else "float32"


def _at(array: DeviceArray | None) -> int:
    return 0 if array is None else array.address


def _kernel(
    formula: Formula, columns: int, kinds: Kinds, wanted: bool, factor: float
) -> tuple[Rows, list[float], list[int]]:
    """Return a formula's kernel of rows, its scalars, and its dims behind those of all."""
    own = KERNELS[formula.kernel].scalars
    if formula.of_elements:
        divisor = columns if formula.mean else 1
        kernel = cuda_rows.of_elements(formula.kernel, columns, kinds, wanted)
        return kernel, [factor / divisor, *formula.scalars], [divisor]
    name = "softmax_spread" if formula.weighs == "spread" else formula.kernel
    scalars = [factor, *formula.scalars][: len(own)] + list(formula.smooth if name in cuda_rows.DISTRIBUTIONS else ())
    capped = bool(formula.soft_cap)
    return cuda_rows.rows(name, columns, kinds, capped), scalars + ([formula.soft_cap] if capped else []), []


def _total(device: Any, values: int, rows: int, columns: int, real: str, stream: int) -> float:
    """Return the sum of rows' values, added up in the order of the CPU's pipeline."""
    grain, block = rows_in_a_grain(columns), min(rows_in_a_block(columns), rows_in_a_grain(columns))
    grains, per = -(-rows // grain), -(-grain // block)
    partials = _scratch.of(device, "partials", 8 * grains * per)
    run_rows(
        device, cuda_rows.total(real), grains * per, block, [values, partials], [grain, block, per, rows], [], stream
    )
    found = _scratch.download(device, "partials", grains * per, stream).reshape(grains, per)
    of_grains = np.add.accumulate(found, axis=1)[:, -1]  # one after the other
    return float(np.add.accumulate(of_grains)[-1])


def _sums(
    kernel: Elements, arrays: tuple[DeviceArray | None, ...], scalars: tuple[float, ...], stream: int
) -> np.ndarray:
    """Run a kernel over one set of arrays, and return its sums over all elements."""
    given = [array for array in arrays if array is not None]
    device, size = driver().device(given[0].ordinal), given[0].size
    kept = _calls.__dict__.setdefault("jobs", {})
    key = kernel, device, size
    jobs = kept.pop(key, None)
    if jobs is None:
        table = (1, len(kernel.scalars))
        jobs = DeviceJobs(device, [size], [0], [0], len(kernel.table), table, kernel.real, len(kernel.sums))
        while len(kept) >= KEPT:
            del kept[next(iter(kept))]
    kept[key] = jobs
    jobs.pointers[0] = [array.address for array in given]
    jobs.scalars[0] = scalars
    jobs.run((kernel,), stream)
    return jobs.sums(len(kernel.sums), stream).sum(axis=0)


# ---- kernels


@cache
def elements(kernel: Kernel, kinds: Kinds, wanted: bool) -> Elements:
    """Return the kernel of a loss of elements: the gradient is stored if `wanted`, the values are summed up."""
    takes = inspect.signature(getattr(rules, kernel.name)).parameters
    line = f"gradient, value = {kernel.name}({', '.join(takes)})"
    own = {"y_true": kinds.true, "y_pred": kinds.pred}
    inputs = {name: own[name] for name in takes if name in kernel.buffers}
    outputs = {"gradient": kinds.pred} if wanted else {}
    name = "_".join([kernel.name, *dict.fromkeys((kinds.real, kinds.pred, kinds.true))])
    name += "_gradient" if wanted else ""
    return Elements(name, inputs, outputs, kernel.scalars, (line,), SOURCES, kinds.real, ("np.float64(value)",))


@cache
def _counts(name: str, kind: str, scalars: tuple[str, ...], sums: tuple[str, ...]) -> Elements:
    real = "float64" if kind == "float64" else "float32"
    return Elements(f"{name}_{kind}", {"x": kind}, {}, scalars, (), SOURCES, real, sums)


def common() -> list[Elements | Rows]:
    """Return the kernels whose PTX comes with the package, in float32: losses of elements with their gradients, losses
    of rows, what checks and sums up; and sparse softmax of bfloat16.

    Most losses of elements that take exp or log are left to the compiler: they are ten times as long.
    """
    plain, labels = Kinds("float32", "float32", "float32"), Kinds("float32", "int64", "float32")
    made: list[Elements | Rows] = [elements(KERNELS[name], plain, True) for name in COMMON]
    made.append(_counts("outside", "float32", ("low", "high"), OUTSIDE))
    of_rows = {}
    for columns in (2, SHORT):
        for name in (*cuda_rows.LOGITS, *cuda_rows.ROWS, "cosine_proximity"):
            kernel = cuda_rows.rows(name, columns, labels if name in cuda_rows.LABELS else plain)
            of_rows[kernel.name] = kernel
        kernel = cuda_rows.rows("softmax_sparse", columns, Kinds("bfloat16", "int64", "float32"))
        of_rows[kernel.name] = kernel
        made.append(cuda_rows.not_distributions("float32", "float32", columns < SHORT))
    return [*made, *of_rows.values(), cuda_rows.total("float32"), cuda_rows.labels_outside("int64")]


def is_of_elements(kernel: Kernel) -> bool:
    """Whether a kernel is a loss of elements."""
    return kernel.rule and kernel.buffers == ("y_true", "y_pred", "gradient", "value")
