"""The numpy backend, which trains nothing: values of arrays. by_torch.py has the same functions, and says more."""

from typing import Any, TypeVar

import keras
import numpy as np

from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.runtime.targets import way

F = TypeVar("F")


def opaque(function: F) -> F:
    return function


def array(y_pred: np.ndarray) -> np.ndarray:
    return y_pred


def tensor(value: Any) -> np.ndarray:
    found: np.ndarray = keras.ops.convert_to_tensor(value)
    return found


def cast(y_true: Any, y_pred: np.ndarray) -> np.ndarray:
    found: np.ndarray = keras.ops.cast(y_true, y_pred.dtype)
    return found


def takes(y_pred: np.ndarray) -> bool:
    return y_pred.dtype.name in ("float16", "bfloat16", "float32", "float64") and y_pred.ndim > 0 and y_pred.size > 0


def is_constant(y_true: np.ndarray) -> bool:
    return True


def fit(y_true: np.ndarray, y_pred: np.ndarray) -> bool:
    try:
        np.broadcast_shapes(y_true.shape, y_pred.shape)
    except ValueError:
        return False
    return y_true.size > 0


def broadcast(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y_true, y_pred = np.broadcast_arrays(y_true, y_pred)
    return y_true, y_pred


def rows(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    last = tuple(range(array.ndim - len(axes), array.ndim))
    array = np.moveaxis(array, axes, last)
    return array if len(axes) == 1 else array.reshape(*array.shape[: last[0]], -1)


def labels(y_true: np.ndarray, classes: int, ignore_class: int) -> np.ndarray | None:
    found = np.array(y_true, np.int64, order="C")
    return None if way("losses").labels_outside(found, classes, ignore_class)[0] else found


def outside(y_pred: np.ndarray, highest: float) -> bool:
    return bool(way("losses").outside(y_pred, -np.inf, highest)[0])


def zeros_and_ones(y_true: np.ndarray) -> bool:
    return bool(((y_true == 0) | (y_true == 1)).all())


def values(formula: Formula, y_true: np.ndarray, y_pred: np.ndarray) -> Any:
    found = way("losses").evaluate(formula, y_true, y_pred, leading=y_pred.shape[:-1], reduced=False)
    return np.asarray(found).astype(y_pred.dtype, copy=False)


def bare(y_true: Any, y_pred: Any, dtype: str) -> bool:
    return False
