"""The ways of losses by their definitions in NumPy: the functions of cpu.py, which says what their arguments are."""

import math
from typing import Any

import numpy as np

from fastopt.kernels.losses import reference, reference_stages
from fastopt.kernels.losses.cpu import by_label, compute_dtype
from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.losses.products import Rows


def evaluate(
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
    dtype = compute_dtype(y_pred)
    if y_pred.size == 0:
        return 0.0 if reduced else np.empty(leading, dtype)
    samples = math.prod(leading)
    rows = _wide(y_pred).reshape(samples, -1)
    labels = y_true.reshape(samples) if y_true.dtype == np.int64 else _wide(y_true).reshape(rows.shape)
    more = {"class_weight": class_weight} if formula.weighs in ("terms", "spread") else {}
    if formula.weighs == "samples":
        weight = by_label(class_weight, labels, None if weight is None else weight.reshape(samples))
    with np.errstate(all="ignore"):  # NaN and Inf travel, in rows that a mask drops too
        value, gradient = formula.reference(labels, rows, **more)
    value, gradient = _weighed(value, gradient, weight, mask)
    if out is not None:
        out[...] = (gradient * factor).reshape(out.shape)
    return float(value.sum() * factor) if reduced else value.astype(dtype).reshape(leading)


def gaussian_nll(
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
    rows = [_wide(array).reshape(math.prod(leading), -1) for array in (y_true, y_pred, var)]
    with np.errstate(all="ignore"):
        value, *gradients = formula.reference(*rows)
    for gradient, array in zip(gradients, (out, out_var), strict=True):
        found, gradient = _weighed(value, gradient, weight, mask)
        if array is not None:
            array[...] = (gradient * factor).reshape(array.shape)
    return float(found.sum() * factor) if reduced else found.astype(y_pred.dtype).reshape(leading)


def linear_cross_entropy(
    formula: Formula,
    weight: np.ndarray,
    bias: np.ndarray | None,
    samples: Rows,
    values: np.ndarray,
    gradients: tuple[np.ndarray, np.ndarray, np.ndarray | None] | None,
    rows: int,
    class_weight: np.ndarray | None,
) -> None:
    kept = slice(None) if samples.kept is None else samples.kept
    wide: list[Any] = [None if array is None else array.astype(np.float64) for array in (samples.x[kept], weight, bias)]
    scale, options = samples.scale[kept].astype(np.float64), formula.reference.keywords  # type: ignore[attr-defined]
    values[kept], grad_x, *others = reference.linear_cross_entropy(
        wide[0], wide[1], wide[2], samples.labels[kept], scale, **options, class_weight=class_weight
    )
    if gradients is not None:
        gradients[0][...] = 0
        gradients[0][kept] = grad_x
        for gradient, own in zip(gradients[1:], others, strict=True):
            if gradient is not None:
                gradient[...] = own


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)


def _weighed(value, gradient, weight, mask):
    if mask is not None:
        value, gradient = reference_stages.dropped(value, gradient, mask.reshape(-1))
    if weight is None:
        return value, gradient
    weight = weight.astype(np.float64).reshape(-1)
    return value * weight, gradient * weight[:, None]


# ---- checks


def outside(array: np.ndarray, low: float, high: float) -> tuple[int, ...]:
    return reference_stages.outside(array, low, high)


def signs(y_true: np.ndarray) -> tuple[int, ...]:
    return reference_stages.signs(y_true)


def not_distributions(y_true: np.ndarray, columns: int) -> int:
    return reference_stages.not_distributions(y_true.reshape(-1, columns))[0]


def labels_outside(labels: np.ndarray, classes: int, ignore_class: int) -> tuple[int, ...]:
    return reference_stages.labels_outside(labels, classes, ignore_class)
