"""The ways of losses by compiled kernels, Cython's or Numba's. by_reference.py has the same functions.

`evaluate` is a loss's value and gradient, and checks nothing: whoever calls it has checked what must be, or means to
check less. The other functions are the checks: each counts, in one cheap pass, what is not as it must be.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastopt.kernels.losses.formulas import NO_CLASS, Formula
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.kernels.losses.products import Rows, product, put, tile
from fastopt.kernels.runtime import launch, pipeline
from fastopt.kernels.runtime.checks import are_packed, may_overlap
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.stages import STREAMED_BYTES

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
WEIGH, WEIGH_GRADIENT = KERNELS["weigh_values"], KERNELS["weigh_gradient"]
SLOTS = ("y_true", "y_pred", "out", "values", "weight", "class_weight", "mask", "value", "weighed", "capped")
PLANES, LEAST_PLANE = KERNELS["softmax_sparse_planes"], 16  # samples side by side, at the least
TILE = 1 << 16  # elements of rows that are gathered together: a share of L2
DROP, DROP_IGNORED = KERNELS["drop_rows"], KERNELS["drop_ignored"]


def evaluate(
    target: str,
    formula: Formula,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    out: np.ndarray | None = None,
    *,
    leading: tuple[int, ...],
    factor: float = 1.0,
    reduced: bool = True,
    weight: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    class_weight: np.ndarray | None = None,
) -> Any:
    """Return a loss's value and write its gradient to `out`, in one pass. No argument is checked.

    Parameters
    ----------
    target : {"cython", "numba"}
        Who compiled the kernels; `way` fills it in.
    formula : Formula
        The loss and its options.
    y_true : array
        As `y_pred`; int64 labels of shape `leading` where the loss takes labels, each a class or the ignored one.
    y_pred : array of float32 or float64, or of float16 or bfloat16, which are computed with in float32
        Each sample's elements lie behind each other in C order (any strides); of shape `leading` and more axes.
    out : array of y_pred's shape and dtype, or None
        May be `y_pred` itself. None: the value alone.
    leading : tuple of int
        The shape of the samples.
    factor : float
        Multiplies the sum of the samples' values, and every gradient: 1 / samples for a mean.
    reduced : bool
        False: return an array of the samples' values instead of their sum; `factor` is of gradients alone.
    weight, mask : array of the type that is computed with, bool array; of shape `leading`; or None
        Multiplies values and gradients of samples; values and gradients are 0 where the mask is False.
    class_weight : array (classes,) of the type that is computed with, or None
        Given where `formula.weighs` says so.

    Returns
    -------
    float, or an array of shape `leading`
    """
    rows = math.prod(leading)
    dtype = compute_dtype(y_pred)
    values = None if reduced else np.empty(leading, dtype)
    if y_pred.size == 0:
        return 0.0 if values is None else values
    if formula.weighs == "samples":
        weight = by_label(class_weight, y_true, weight)
    name = "float64" if dtype == FLOAT64 else "float32"
    plane = 0 if mask is not None else plane_of(formula, y_pred, out)
    if plane:
        sums = _over_planes(formula, y_true, y_pred, out, weight, values, (rows, plane), factor, name, target)
        return launch.product(sums.item(), factor) if values is None else values
    way, of_packed = kept_way(
        formula, y_pred.size // rows, name, target, out is not None, weight is not None, mask is not None, reduced
    )
    units = y_pred.size if way.flat else rows
    scalars = (factor / way.divisor, *formula.scalars, formula.soft_cap, *formula.smooth)
    arrays = (y_true, y_pred, out, values, weight, class_weight, mask, None, None, None)
    if are_packed(arrays, STREAMED_BYTES) and (out is None or not may_overlap(out, (y_pred,))):
        sums = of_packed.run_one(list(arrays), units, way.grain, way.block, way.dims, scalars, 1)
    else:
        sums = pipeline.run(
            way.stages,
            way.scratch | {slot: array for slot, array in zip(SLOTS, arrays, strict=True) if array is not None},
            units,
            dtype=name,
            target=target,
            grain=max(way.grain, rows_side_by_side(way, y_pred)),
            block=max(way.block, rows_side_by_side(way, y_pred)),
            dims=way.dims,
            scalars=scalars,
            partials=1,
            staged=("out",) if out is not None and needs_staging(out, y_pred) else (),
            streamed=("out",),
        )
    return launch.product(sums.item(), scalars[0] if way.flat else factor) if values is None else values


class Way(NamedTuple):
    """What a call runs that depends on its formula, its rows' length and what it was given, not on the arrays."""

    stages: tuple[Any, ...]
    scratch: dict[str, int]  # bytes in a unit, by slot
    flat: bool  # a unit is an element rather than a row
    grain: int
    block: int
    dims: tuple[int, ...]
    divisor: int


@lru_cache(maxsize=1024)
def way_of(
    formula: Formula,
    columns: int,
    itemsize: int,
    wanted: bool,
    weighted: bool,
    masked: bool,
    reduced: bool,
) -> Way:
    kernel = KERNELS[formula.kernel]
    flat = formula.of_elements and reduced and not weighted and not masked
    each = 1 if flat else columns
    whole = {"out": each} if not wanted else {}  # scratch memory, elements in a unit
    before: list[tuple[Any, ...]] = []
    true, pred, at = "y_true", "y_pred", 1 + len(formula.scalars)
    if formula.weighs in ("terms", "spread"):
        spread = KERNELS["weigh_classes" if formula.weighs == "terms" else "spread_labels"]
        before.append((spread, (true, "class_weight", "weighed"), 1, at + 1))
        true, whole["weighed"] = "weighed", columns
    if formula.soft_cap:
        before.append((KERNELS["soft_cap"], (pred, "capped"), columns, at))
        pred, whole["capped"] = "capped", columns
    value = "value" if formula.of_elements and (flat or columns > 1) else "values"
    stages = [*before, (kernel, (true, pred, "out", value), each if formula.of_elements else 1)]
    whole |= {"value": each} if value == "value" else {}
    whole |= {"values": 1} if reduced and not flat else {}
    if formula.soft_cap and wanted:
        stages.append((KERNELS["uncap"], ("capped", "out"), columns, at))
    divisor = columns if formula.of_elements and formula.mean else 1
    dims = (columns, divisor) if formula.of_elements else (columns, int(wanted), formula.ignore_class)
    if value == "value" and not flat:
        stages.append((KERNELS["row_means"], ("value", "values"), 1))
    if formula.ignore_class != NO_CLASS and (formula.soft_cap or formula.weighs == "spread"):
        stages.append((DROP_IGNORED, ("y_true", "values", "out"), 1))
    if weighted:
        stages.append((WEIGH, ("weight", "values"), 1))
    if weighted and wanted:
        stages.append((WEIGH_GRADIENT, ("weight", "out"), 1))
    if masked:
        stages.append((DROP, ("mask", "values", "out"), 1))
    if reduced:
        stages.append((KERNELS["total"], ("value" if flat else "values",), 1))
    grain, block = (pipeline.GRAIN, pipeline.BLOCK) if flat else (rows_in_a_grain(columns), rows_in_a_block(columns))
    scratch = {name: size * itemsize for name, size in whole.items()}
    return Way(tuple(stages), scratch, flat, grain, block, dims, divisor)


@lru_cache(maxsize=1024)
def kept_way(
    formula: Formula, columns: int, dtype: str, target: str, wanted: bool, weighted: bool, masked: bool, reduced: bool
) -> tuple[Way, Pipeline]:
    """Return what a call runs, and its pipeline for arrays that kernels take as they are, with all of `SLOTS`."""
    way = way_of(formula, columns, np.dtype(dtype).itemsize, wanted, weighted, masked, reduced)
    scratch = tuple(way.scratch.get(slot, 0) for slot in SLOTS)
    return way, pipeline.plan(way.stages, SLOTS, scratch, (), dtype, target)


def plane_of(formula: Formula, y_pred: np.ndarray, out: np.ndarray | None) -> int:
    """Return how many samples lie side by side, their classes as far apart; 0 where rows are taken one by one.

    It is the shape of arrays (N, C, H, W) whose classes lie along axis 1, packed, as `out` must be, in other memory or
    the same.
    """
    if formula.kernel != "softmax_sparse" or formula.soft_cap or y_pred.itemsize == 2 or y_pred.flags.c_contiguous:
        return 0
    plane, size = y_pred.strides[-1] // y_pred.itemsize, 1
    if plane < LEAST_PLANE or (out is not None and out.strides != y_pred.strides):
        return 0
    if out is not None and out.ctypes.data != y_pred.ctypes.data and may_overlap(out, (y_pred,)):
        return 0
    for axis in range(y_pred.ndim - 2, -1, -1):
        size *= y_pred.shape[axis]
        if size >= plane:
            return plane if size == plane and _turned(y_pred, plane).flags.c_contiguous else 0
    return 0


def _turned(rows: np.ndarray, plane: int) -> np.ndarray:
    """Return a view of rows with their classes where they lie in memory: in front of a plane of samples."""
    axis, size = rows.ndim - 1, 1
    while size < plane:
        axis -= 1
        size *= rows.shape[axis]
    return np.moveaxis(rows, -1, axis)


def _over_planes(
    formula: Formula, labels: np.ndarray, y_pred: np.ndarray, out: np.ndarray | None, weight: np.ndarray | None,
    values: np.ndarray | None, extent: tuple[int, int], factor: float, dtype: str, target: str,
) -> np.ndarray:  # fmt: skip
    (rows, plane), columns = extent, y_pred.shape[-1]
    slots: dict[str, np.ndarray | int] = {
        "labels": labels, "y_pred": _turned(y_pred, plane), "weight": 0 if weight is None else weight,
        "out": 0 if out is None else _turned(out, plane),
        "values": np.dtype(dtype).itemsize if values is None else values,
    }  # fmt: skip
    stages: list[tuple[Any, ...]] = [(PLANES, ("labels", "y_pred", "weight", "out", "values"), 1)]
    if weight is not None:
        stages.append((WEIGH, ("weight", "values"), 1))
    if values is None:
        stages.append((KERNELS["total"], ("values",), 1))
    grain = max(64, rows_in_a_grain(columns) // 64 * 64)
    dims = (columns, int(out is not None), formula.ignore_class, plane, int(weight is not None))
    return pipeline.run(
        tuple(stages), slots, rows, dtype=dtype, target=target, grain=grain, dims=dims,
        scalars=(factor, *formula.scalars), partials=1,
    )  # fmt: skip


def gaussian_nll(
    target: str,
    formula: Formula,
    y_true: np.ndarray,
    y_pred: np.ndarray,
    var: np.ndarray,
    out: np.ndarray | None = None,
    out_var: np.ndarray | None = None,
    *,
    leading: tuple[int, ...],
    factor: float = 1.0,
    reduced: bool = True,
    weight: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> Any:
    """Return the Gaussian likelihood's value and write both gradients; arguments as in `evaluate`."""
    rows, size = math.prod(leading), y_pred.itemsize
    columns = y_pred.size // rows
    values = None if reduced else np.empty(leading, y_pred.dtype)
    slots: dict[str, Any] = {
        "y_true": y_true, "y_pred": y_pred, "var": var, "value": columns * size,
        "out": columns * size if out is None else out, "out_var": columns * size if out_var is None else out_var,
        "values": size if values is None else values,
    }  # fmt: skip
    stages: list[tuple[Any, ...]] = [
        (KERNELS[formula.kernel], ("y_true", "y_pred", "var", "out", "out_var", "value"), columns),
        (KERNELS["row_means"], ("value", "values"), 1),
    ]
    if weight is not None:
        slots["weight"] = weight
        stages.append((WEIGH, ("weight", "values"), 1))
        stages += [(WEIGH_GRADIENT, ("weight", name), 1) for name in ("out", "out_var") if out is not None]
    if mask is not None:
        slots["mask"] = mask.view(np.uint8)
        stages += [(DROP, ("mask", "values", name), 1) for name in ("out", "out_var")]
    if reduced:
        stages.append((KERNELS["total"], ("values",), 1))
    pairs = (("out", out, y_pred), ("out_var", out_var, var))
    sums = pipeline.run(
        tuple(stages),
        slots,
        rows,
        dtype="float64" if size == 8 else "float32",
        target=target,
        grain=rows_in_a_grain(columns),
        block=rows_in_a_block(columns),
        dims=(columns, columns),
        scalars=(factor / columns, *formula.scalars),
        partials=1,
        staged=tuple(name for name, array, given in pairs if array is not None and needs_staging(array, given)),
        streamed=("out", "out_var"),
    )
    return launch.product(sums[0], factor) if values is None else values


def linear_cross_entropy(
    target: str,
    formula: Formula,
    weight: np.ndarray,
    bias: np.ndarray | None,
    samples: Rows,
    values: np.ndarray,
    gradients: tuple[np.ndarray, np.ndarray, np.ndarray | None] | None,
    rows: int,
    class_weight: np.ndarray | None,
) -> None:
    """Go through the samples, a chunk of `rows` after the other, and write their values and the gradients.

    Each chunk's logits become their own gradient in place. `weight` is (classes, features); the gradients are those of
    x, weight and bias; the formula ignores no class.
    """
    classes, features = weight.shape
    logits, begun = np.empty((rows, classes), weight.dtype), False
    step = tile(classes, features)
    if gradients is not None and samples.kept is not None:
        gradients[0][...] = 0
    for some in samples.chunks(rows):
        x, labels, scale = samples.x[some], samples.labels[some], samples.scale[some]
        part = logits[: len(x)]
        np.matmul(x, weight.T, out=part)
        if bias is not None:
            part += bias
        values[some] = evaluate(
            target, formula, labels, part, None if gradients is None else part, leading=labels.shape, reduced=False,
            weight=scale, class_weight=class_weight,
        )  # fmt: skip
        if gradients is None:
            continue
        grad_x, grad_weight, grad_bias = gradients
        own = grad_x[some] if samples.kept is None else np.empty_like(x)
        for column in range(0, classes, step):
            few = slice(column, column + step)
            product(part[:, few], weight[few], own, column > 0)
            product(part[:, few].T, x, grad_weight[few], begun)
        if samples.kept is not None:
            grad_x[some] = own
        if grad_bias is not None:
            put(part.sum(axis=0), grad_bias, begun)
        begun = True
    if gradients is not None and not begun:
        for gradient in gradients[1:]:
            if gradient is not None:
                gradient[...] = 0


def compute_dtype(y_pred: np.ndarray) -> np.dtype:
    """Return the type that is computed with: float32 for numbers of 16 bits."""
    return FLOAT32 if y_pred.itemsize == 2 else y_pred.dtype


def by_label(class_weight: Any, labels: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return each sample's weight: its label's, times its own; of an ignored label, any."""
    own = np.take(class_weight, labels, mode="clip")
    return np.asarray(own if weight is None else own * weight)  # of one sample, NumPy makes a number


def rows_in_a_grain(columns: int) -> int:
    return max(1, pipeline.GRAIN // columns)


@lru_cache(maxsize=1024)
def rows_in_a_block(columns: int) -> int:
    """Return how many rows pass stages together, a multiple of 32 where rows are short (see compiled_stages.pyx)."""
    rows = max(1, pipeline.BLOCK // columns)
    return rows - rows % 32 if rows >= 32 else rows


def rows_side_by_side(way: Way, y_pred: np.ndarray) -> int:
    """Return how many rows are gathered together where their elements lie a plane apart: whole cache lines of them."""
    if way.flat or y_pred.ndim < 2 or y_pred.strides[-1] <= y_pred.strides[-2]:
        return 0
    return min(64, TILE // y_pred.shape[-1])


def needs_staging(out: np.ndarray, given: np.ndarray) -> bool:
    """Return whether a gradient is kept in scratch memory until its block is done: where it may take the place of what
    it is the gradient of, so that no kernel's buffers overlap, and where it is strided."""
    return not out.flags.c_contiguous or may_overlap(out, (given,))


# ---- checks


def outside(target: str, array: np.ndarray, low: float, high: float) -> tuple[int, ...]:
    """Return how many elements lie outside [low, high], and how many are NaN."""
    return _count(target, "outside", array, array.size, 2, scalars=(low, high))


def signs(target: str, y_true: np.ndarray) -> tuple[int, ...]:
    """Return how many labels are 1, 0 and −1."""
    return _count(target, "signs", y_true, y_true.size, 3)


def not_distributions(target: str, y_true: np.ndarray, columns: int) -> int:
    """Return how many elements and rows' sums are not those of distributions."""
    return _count(target, "not_distributions", y_true, y_true.size // columns, 1, dims=(columns,))[0]


def labels_outside(target: str, labels: np.ndarray, classes: int, ignore_class: int) -> tuple[int, ...]:
    """Return how many labels are no class and not ignored, and how many are ignored."""
    return _count(target, "labels_outside", labels, labels.size, 2, dims=(classes, ignore_class))


def _count(
    target: str,
    kernel: str,
    array: np.ndarray,
    units: int,
    partials: int,
    dims: tuple[int, ...] = (),
    scalars: tuple[float, ...] = (),
) -> tuple[int, ...]:
    dtype, grain = "float64" if array.itemsize == 8 else "float32", max(1, pipeline.GRAIN * units // array.size)
    sums = pipeline.run_kernel(KERNELS[kernel], (array,), units, dtype, target, grain, 0, dims, scalars, partials)
    return tuple(map(int, sums.tolist()))
