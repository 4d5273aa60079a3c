"""What metrics take: which inputs are labels and which are scores, and every refusal of one."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.metrics.samples import Samples, row_tolerance

LABELS = "?bhilqBHILQ"  # type codes
FLOATS = "fd"
LARGEST = 1 << 62  # labels are smaller
KINDS = ("labels", "binary", "classes")
WANTED = {
    "labels": "labels (integers or bool, shape (N,) or (N, 1))",
    "binary": "scores (float32 or float64, shape (N,) or (N, 1))",
    "classes": "scores of classes (float32 or float64, shape (N, C))",
    "rows": "labels (integers or bool) or scores (float32 or float64) of shape (N, L)",
    "scores of rows": "scores (float32 or float64, shape (N, L))",
}


def _array(value: Any, name: str, codes: str, wanted: str) -> np.ndarray:
    if type(value) is not np.ndarray:
        expect.plain(value, name)
    if value.dtype.char not in codes or not value.dtype.isnative:
        native = value.dtype.newbyteorder("=")
        labels = "l" in codes and not ("f" in codes and native.kind == "f")
        fit = native if native.char in codes else "int64" if labels else "float32"
        remedy = "" if native.kind == "c" else f"; convert it with astype({str(fit)!r})"
        raise TypeError(f"{name}: expected {wanted}, got {value.dtype}{remedy}")
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


def weights(value: Any, shape: tuple[int, ...], dtype: np.dtype | None) -> np.ndarray | None:
    """Return sample weights, one for each row of a shape or for each element, broadcast to it."""
    if value is None:
        return None
    expect.array(value, "sample_weight", dtype=dtype)
    if value.shape != shape[:1] and value.shape != shape:
        shapes = f"{shape[:1]}" + (f" or {shape}" if len(shape) > 1 else "")
        raise ValueError(f"sample_weight: expected shape {shapes}, got {value.shape}")
    low, high = value.min(), value.max()
    if not (low >= 0 and high < np.inf):
        wrong = value[~((value >= 0) & (value < np.inf))].flat[0]
        raise ValueError(f"sample_weight: expected finite numbers ≥ 0, got {wrong}")
    if value.shape == shape:
        return value
    return np.broadcast_to(value.reshape(value.shape + (1,) * (len(shape) - value.ndim)), shape)


def errors(y_true: Any, y_pred: Any) -> None:
    """Check targets and predictions of one float dtype and shape."""
    expect.array(y_true, "y_true")
    expect.array(y_pred, "y_pred", dtype=y_true.dtype, shape=y_true.shape)
    expect.not_empty(y_true, "y_true")


def samples(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any,
    kinds: tuple[str, ...] = KINDS,
    threshold: float = 0.5,
    targets: str = "any",
) -> Samples:
    """Check labels and predictions, and tell by dtype and shape what they are.

    `kinds` of predictions, and `targets` ("any", "labels" or "one-hot"), are those that the metric takes. Labels
    among labels are bound to no number of classes: `classes` is 0.
    """
    y_pred, kind = _predictions(y_pred, kinds)
    classes = 0 if kind == "labels" else 2 if kind == "binary" else y_pred.shape[1]
    if kind == "labels":
        y_true = _array(y_true, "y_true", LABELS, "labels (integers or bool)")
    else:
        y_true = _array(
            y_true, "y_true", LABELS + FLOATS, "labels (integers or bool, one-hot rows, or floats of 0 and 1)"
        )
    if kind == "classes" and y_true.ndim == 2 and y_true.shape[1] == classes and targets != "labels":
        pass  # one-hot rows
    elif kind == "classes" and targets == "one-hot":
        raise ValueError(f"y_true: expected one-hot rows of shape {y_pred.shape}, got shape {y_true.shape}")
    elif y_true.ndim != 1 or kind == "classes":
        one_hot = f" or one-hot rows (N, {classes})" if kind == "classes" and targets == "any" else ""
        y_true = _column(y_true, "y_true", f"labels of shape (N,) or (N, 1){one_hot}")
        if kind == "classes" and y_true.dtype.char in FLOATS:
            raise TypeError(f"y_true: expected labels (integers or bool) for scores of classes, got {y_true.dtype}")
    expect.not_empty(y_pred, "y_pred")
    if len(y_true) != len(y_pred):
        raise ValueError(f"y_true: expected {len(y_pred)} samples, as many as y_pred has, got {len(y_true)}")
    if sample_weight is not None:
        sample_weight = weights(sample_weight, y_true.shape[:1], y_pred.dtype if y_pred.dtype.kind == "f" else None)
    return Samples(kind, y_true, y_pred, sample_weight, classes, threshold)


def rows(y_true: Any, y_pred: Any, sample_weight: Any, threshold: float = 0.5, scores: bool = False) -> Samples:
    """Check rows of labels, each 0 or 1, and of predicted labels (unless `scores`) or scores."""
    wanted = WANTED["scores of rows" if scores else "rows"]
    y_pred = _array(y_pred, "y_pred", FLOATS if scores else LABELS + FLOATS, wanted)
    y_true = _array(y_true, "y_true", LABELS + FLOATS, "labels 0 or 1 (integers, bool or floats) of shape (N, L)")
    if y_pred.ndim != 2:
        raise ValueError(f"y_pred: expected {wanted} with multi_label=True, got shape {y_pred.shape}")
    if y_true.shape != y_pred.shape:
        raise ValueError(f"y_true: expected labels of shape {y_pred.shape}, got shape {y_true.shape}")
    expect.not_empty(y_pred, "y_pred")
    sample_weight = weights(sample_weight, y_true.shape[:1], y_pred.dtype if y_pred.dtype.kind == "f" else None)
    return Samples("rows", y_true, y_pred, sample_weight, y_pred.shape[1], threshold)


def flat(given: Samples) -> Samples:
    """Return rows of labels as so many binary samples."""
    w = given.sample_weight
    if w is not None:
        w = np.broadcast_to(w[:, None], given.y_pred.shape)
    return given._replace(kind="binary", sample_weight=w, classes=2)


def _predictions(y_pred: Any, kinds: tuple[str, ...]) -> tuple[np.ndarray, str]:
    text = " or ".join(WANTED[kind] for kind in kinds) if type(y_pred) is not np.ndarray or y_pred.ndim != 1 else ""
    codes = (LABELS if "labels" in kinds else "") + (FLOATS if "binary" in kinds or "classes" in kinds else "")
    if not text and y_pred.dtype.char not in codes:
        text = " or ".join(WANTED[kind] for kind in kinds)
    y_pred = _array(y_pred, "y_pred", codes, text or "a NumPy array in native byte order")
    if y_pred.dtype.char in LABELS:
        return _column(y_pred, "y_pred", WANTED["labels"]), "labels"
    if "classes" in kinds and y_pred.ndim == 2 and y_pred.shape[1] != 1:
        if y_pred.shape[1] == 0:
            raise ValueError(f"y_pred: expected {text}, got shape {y_pred.shape}")
        return y_pred, "classes"
    if "binary" not in kinds:
        text = " or ".join(WANTED[kind] for kind in kinds)
        raise ValueError(f"y_pred: expected {text} with at least 2 classes, got shape {y_pred.shape}")
    return _column(y_pred, "y_pred", text), "binary"


def checked(found: Any, given: Samples, scores: str = "any") -> Any:
    """Return a statistic of samples, or, where a kernel found them invalid (None), say which is.

    `scores`: "any" number, "unit" ([0, 1]), or "distribution" (rows of [0, 1] that add up to 1).
    """
    if found is None:
        refuse_invalid(given, scores)
        raise ValueError("y_pred: expected rows that add up to 1, got one at the edge of the tolerance")
    return found


def refuse_invalid(given: Samples, scores: str) -> None:
    """Raise if a label or a score is invalid, and name the first one."""
    classes = 2 if given.kind == "rows" else given.classes
    _refuse_labels(given.y_true, "y_true", classes, given.kind == "classes")
    y_pred = given.y_pred
    if y_pred.dtype.char in LABELS:
        return _refuse_labels(y_pred, "y_pred", classes, False)
    wrong = np.isnan(y_pred) if scores == "any" else ~((y_pred >= 0) & (y_pred <= 1))
    if wrong.any():
        at = _first(wrong)
        wanted = "scores that are not NaN" if scores == "any" else "numbers in [0, 1]"
        raise ValueError(f"y_pred: expected {wanted}, got {y_pred[at]} at {at[0] if len(at) == 1 else at}")
    if scores == "distribution" and given.kind == "classes":
        sums = y_pred.sum(axis=1, dtype=np.float64)
        far = np.abs(sums - 1) > row_tolerance(y_pred.dtype)
        if far.any():
            row = int(far.argmax())
            raise ValueError(f"y_pred: expected rows that add up to 1, got {sums[row]} in row {row}")
    return None


def _first(wrong: np.ndarray) -> tuple[int, ...]:
    return tuple(int(k) for k in np.argwhere(wrong)[0])


def _refuse_labels(y: np.ndarray, name: str, classes: int, one_hot: bool) -> None:
    if y.ndim == 2 and one_hot:
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
        at = _first(wrong)
        wanted = {0: "labels below 2**62 in size", 2: "labels 0 or 1"}.get(classes, f"labels from 0 to {classes - 1}")
        raise ValueError(f"{name}: expected {wanted}, got {y[at]} at {at[0] if len(at) == 1 else at}")


def whole(value: Any, name: str, low: int, high: int | None, why: str = "") -> int:
    """Return a whole number of a range."""
    if type(value) is int and value >= low and (high is None or value <= high):
        return value
    wanted = f"a whole number ≥ {low}" if high is None else f"a whole number from {low} to {high}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: expected {wanted}{why}, got {expect.describe(value)}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name}: expected {wanted}{why}, got {value}")
    return int(value)


def sequence(value: Any, name: str, wanted: str) -> list[Any]:
    """Return the items of a list, a tuple or an array of one axis, at least one."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, list | tuple) or not value:
        raise TypeError(f"{name}: expected {wanted}, got {expect.describe(value)}")
    return list(value)
