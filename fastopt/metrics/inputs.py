"""What metrics take: which inputs are labels and which are scores, and every refusal of one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.metrics.cpu import Samples, row_tolerance
from fastopt.kernels.runtime.settings import get_target

LABELS = tuple(np.dtype(code) for code in "?bhilqBHILQ")
LARGEST = 1 << 62  # labels are smaller


def _array(value: Any, name: str, dtypes: tuple, wanted: str) -> np.ndarray:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {expect.describe(value)}")
    if value.dtype not in dtypes:
        raise TypeError(f"{name}: expected {wanted}, got {value.dtype}")
    if not value.flags.aligned:
        raise ValueError(f"{name}: expected memory aligned to its elements, got an unaligned array")
    return value


def _column(value: np.ndarray, name: str, wanted: str) -> np.ndarray:
    """Return an array of shape (N,) or (N, 1) as (N,), without a copy."""
    if value.ndim == 1:
        return value
    if value.ndim == 2 and value.shape[1] == 1:
        return value[:, 0]
    raise ValueError(f"{name}: expected {wanted}, got shape {value.shape}")


def weights(value: Any, like: np.ndarray, dtype: np.dtype | None) -> np.ndarray | None:
    """Return sample weights, one for each row of `like` or for each element, broadcast to their number."""
    if value is None:
        return None
    expect.array(value, "sample_weight", dtype=dtype)
    if value.shape != like.shape[:1] and value.shape != like.shape:
        shapes = f"{like.shape[:1]}" + (f" or {like.shape}" if like.ndim > 1 else "")
        raise ValueError(f"sample_weight: expected shape {shapes}, got {value.shape}")
    low, high = value.min(), value.max()
    if not (low >= 0 and high < np.inf):
        wrong = value[~((value >= 0) & (value < np.inf))].flat[0]
        raise ValueError(f"sample_weight: expected finite numbers ≥ 0, got {wrong}")
    return np.broadcast_to(value.reshape(value.shape + (1,) * (like.ndim - value.ndim)), like.shape)


def errors(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Check targets and predictions of one float dtype and shape."""
    expect.array(y_true, "y_true")
    expect.array(y_pred, "y_pred", dtype=y_true.dtype, shape=y_true.shape)
    expect.not_empty(y_true, "y_true")
    return y_true, y_pred, weights(sample_weight, y_true, y_true.dtype)


def samples(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any,
    kinds: tuple[str, ...] = ("labels", "binary", "classes"),
    threshold: float = 0.5,
    targets: str = "any",
) -> Samples:
    """Check labels and predictions, and tell by dtype and shape what they are.

    `kinds` of predictions, and `targets` ("any", "labels" or "one-hot"), are those that the metric takes. Labels
    among labels are bound to no number of classes: `classes` is 0.
    """
    y_pred, kind = _predictions(y_pred, kinds)
    classes = {"labels": 0, "binary": 2, "classes": y_pred.shape[-1]}[kind]
    dtypes = LABELS if kind == "labels" else LABELS + expect.DTYPES
    y_true = _array(
        y_true,
        "y_true",
        dtypes,
        "labels (integers or bool" + (")" if kind == "labels" else ", one-hot rows, or floats of 0 and 1)"),
    )
    if kind == "classes" and y_true.ndim == 2 and y_true.shape[1] == classes and targets != "labels":
        pass  # one-hot rows
    elif kind == "classes" and targets == "one-hot":
        raise ValueError(f"y_true: expected one-hot rows of shape {y_pred.shape}, got shape {y_true.shape}")
    else:
        one_hot = f" or one-hot rows (N, {classes})" if kind == "classes" and targets == "any" else ""
        y_true = _column(y_true, "y_true", f"labels of shape (N,) or (N, 1){one_hot}")
        if kind == "classes" and y_true.dtype in expect.DTYPES:
            raise TypeError(f"y_true: expected labels (integers or bool) for scores of classes, got {y_true.dtype}")
    expect.not_empty(y_pred, "y_pred")
    if len(y_true) != len(y_pred):
        raise ValueError(f"y_true: expected {len(y_pred)} samples, as many as y_pred has, got {len(y_true)}")
    sample_weight = weights(sample_weight, y_true if y_true.ndim == 1 else y_true[:, 0], _weight_dtype(y_pred))
    return Samples(kind, y_true, y_pred, sample_weight, classes, threshold)


def _weight_dtype(y_pred: np.ndarray) -> np.dtype | None:
    return y_pred.dtype if y_pred.dtype in expect.DTYPES else None


def _predictions(y_pred: Any, kinds: tuple[str, ...]) -> tuple[np.ndarray, str]:
    wanted = {
        "labels": "labels (integers or bool, shape (N,) or (N, 1))",
        "binary": "scores (float32 or float64, shape (N,) or (N, 1))",
        "classes": "scores of classes (float32 or float64, shape (N, C))",
    }
    text = " or ".join(wanted[kind] for kind in kinds)
    floats = "binary" in kinds or "classes" in kinds
    dtypes = (LABELS if "labels" in kinds else ()) + (expect.DTYPES if floats else ())
    y_pred = _array(y_pred, "y_pred", dtypes, text)
    if y_pred.dtype in LABELS:
        return _column(y_pred, "y_pred", wanted["labels"]), "labels"
    if "classes" in kinds and y_pred.ndim == 2 and y_pred.shape[1] != 1:
        if y_pred.shape[1] == 0:
            raise ValueError(f"y_pred: expected {text}, got shape {y_pred.shape}")
        return y_pred, "classes"
    if "binary" not in kinds:
        raise ValueError(f"y_pred: expected {text} with at least 2 classes, got shape {y_pred.shape}")
    return _column(y_pred, "y_pred", text), "binary"


def measured(statistic: Callable, given: Samples, *arguments: Any, scores: str = "any") -> Any:
    """Return a statistic of samples, or refuse them: kernels notice invalid labels and scores, NumPy says which.

    `scores`: "any" number, "unit" ([0, 1]), or "distribution" (rows of [0, 1] that add up to 1).
    """
    if get_target() == "reference":
        refuse_invalid(given, scores)
    found = statistic(given, *arguments)
    if found is None:
        refuse_invalid(given, scores)
        raise ValueError("y_pred: expected rows that add up to 1, got one at the edge of the tolerance")
    return found


def refuse_invalid(given: Samples, scores: str) -> None:
    """Raise if a label or a score is invalid, and name the first one."""
    _refuse_labels(given.y_true, "y_true", given.classes)
    y_pred = given.y_pred
    if given.kind == "labels":
        return _refuse_labels(y_pred, "y_pred", given.classes)
    wrong = np.isnan(y_pred) if scores == "any" else ~((y_pred >= 0) & (y_pred <= 1))
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        wanted = "scores that are not NaN" if scores == "any" else "numbers in [0, 1]"
        raise ValueError(f"y_pred: expected {wanted}, got {y_pred[at]} at {at[0] if len(at) == 1 else at}")
    if scores == "distribution" and given.kind == "classes":
        sums = y_pred.sum(axis=1, dtype=np.float64)
        far = np.abs(sums - 1) > row_tolerance(y_pred.dtype)
        if far.any():
            row = int(far.argmax())
            raise ValueError(f"y_pred: expected rows that add up to 1, got {sums[row]} in row {row}")
    return None


def _refuse_labels(y: np.ndarray, name: str, classes: int) -> None:
    if y.ndim == 2:
        wrong = ((y != 0) & (y != 1)).any(axis=1) | ((y == 1).sum(axis=1) != 1)
        if wrong.any():
            row = int(wrong.argmax())
            values = ", ".join(str(value) for value in y[row][:8]) + (", ..." if y.shape[1] > 8 else "")
            raise ValueError(f"{name}: expected one-hot rows (one 1, else 0), got [{values}] in row {row}")
        return
    wrong = (y < 0) | (y >= classes) if classes else np.abs(y.astype(np.float64)) >= LARGEST
    if y.dtype.kind == "f":
        wrong |= y != np.floor(y)
        wrong |= np.isnan(y)
    if wrong.any():
        at = int(wrong.argmax())
        wanted = {0: "labels below 2**62 in size", 2: "labels 0 or 1"}.get(classes, f"labels from 0 to {classes - 1}")
        raise ValueError(f"{name}: expected {wanted}, got {y[at]} at {at}")


def whole(value: Any, name: str, low: int, high: int | None, why: str = "") -> int:
    """Return a whole number of a range."""
    wanted = f"a whole number ≥ {low}" if high is None else f"a whole number from {low} to {high}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: expected {wanted}{why}, got {expect.describe(value)}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name}: expected {wanted}{why}, got {value}")
    return int(value)
