"""What losses refuse: elements, labels, weights and masks that are not as they must be, each with its sentence."""

import math
from types import ModuleType
from typing import Any

import numpy as np

from fastopt import expect

LARGEST = {np.dtype(np.float32): float(np.finfo(np.float32).max), np.dtype(np.float64): float(np.finfo(np.float64).max)}
LABELS = "labels in [0, 1]"
PROBABILITIES = "probabilities in [0, 1]"
FACTOR = expect.Domain(expect.NOT_NEGATIVE.holds, "a finite number ≥ 0, or an array of one for each class")


def within(
    way: ModuleType, array: np.ndarray, name: str, low: float, high: float, wanted: str, nan: bool = False
) -> None:
    """Refuse elements outside [low, high]; NaN too, unless it may travel."""
    out, nans = way.outside(array, low, high)
    if out or (nans and not nan):
        wrong = (array < low) | (array > high) if out else np.isnan(array)
        raise ValueError(f"{name}: expected {wanted}, got {float(array[wrong][0])!r}")


def distributions(way: ModuleType, y_true: np.ndarray, leading: tuple[int, ...]) -> None:
    """Refuse rows that are not one-hot nor any other distribution over the classes."""
    columns = y_true.size // math.prod(leading)
    if way.not_distributions(y_true, columns):
        rows = y_true.reshape(-1, columns)
        total = rows.sum(axis=-1, dtype=np.float64)
        wrong = int((~((rows >= 0) & (rows <= 1)).all(axis=-1) | (total < 0.999) | (total > 1.001)).argmax())
        raise ValueError(
            "y_true: expected rows in [0, 1] that sum to 1 within 0.001 (one-hot or a distribution), got a row with "
            f"minimum {float(rows[wrong].min())!r} and sum {float(rows[wrong].sum())!r} at "
            f"{tuple(map(int, np.unravel_index(wrong, leading)))}"
        )


def signs(way: ModuleType, y_true: np.ndarray) -> bool:
    """Refuse labels other than −1 and 1, or 0 and 1; return whether they are the latter."""
    ones, zeros, minus_ones = way.signs(y_true)
    if ones + zeros + minus_ones < y_true.size:
        wrong = y_true[~np.isin(y_true, (-1, 0, 1))][0]
        raise ValueError(f"y_true: expected labels -1 and 1 (or 0 and 1), got {float(wrong)!r}")
    if zeros and minus_ones:
        raise ValueError(f"y_true: expected labels -1 and 1 (or 0 and 1), got {zeros} of 0 and {minus_ones} of -1")
    return not minus_ones


def classes(way: ModuleType, labels: np.ndarray, count: int, ignore_class: int) -> int:
    """Refuse labels that name no class; return how many are ignored."""
    out, ignored = way.labels_outside(labels, count, ignore_class)
    if out:
        wrong = labels[((labels < 0) | (labels >= count)) & (labels != ignore_class)]
        raise ValueError(f"y_true: expected labels in [0, {count}), got {int(wrong[0])}")
    return ignored


def weight(way: ModuleType, value: Any, dtype: np.dtype, leading: tuple[int, ...]) -> np.ndarray:
    """Return the weights of samples, broadcast to all of them."""
    expect.array(value, "sample_weight", dtype=dtype)
    if value.shape != leading[: value.ndim]:
        raise ValueError(f"sample_weight: expected shape {leading} or the first axes of it, got {value.shape}")
    within(way, value, "sample_weight", 0.0, LARGEST[dtype], "finite numbers ≥ 0")
    return np.broadcast_to(value.reshape(value.shape + (1,) * (len(leading) - value.ndim)), leading)


def mask(value: Any, leading: tuple[int, ...]) -> None:
    expect.plain(value, "mask", ", bool")
    if value.dtype != bool:
        raise TypeError(f"mask: expected a NumPy array of bool, got {expect.describe(value)}")
    expect.plain(value, "mask")
    if value.shape != leading:
        raise ValueError(f"mask: expected shape {leading}, got {value.shape}")


# ---- options


def axis(value: Any, name: str) -> int:
    return expect.integer(value, name)


def axes(value: Any, name: str) -> int | tuple[int, ...] | None:
    """Return an axis, several, or None for all."""
    if not isinstance(value, tuple | list):
        return None if value is None else expect.integer(value, name)
    if not value:
        raise ValueError(f"{name}: expected an axis, a tuple of at least one, or None, got {expect.shown(value)}")
    return tuple(expect.integer(one, f"{name}[{k}]") for k, one in enumerate(value))


def any_class(value: Any, name: str) -> int | None:
    return None if value is None else expect.integer(value, name)


def factors(value: Any, name: str) -> float | np.ndarray:
    """Return a number, or an array of one for each class, a copy of its own."""
    found = class_weight(value, name) if isinstance(value, np.ndarray) else None
    return expect.number(value, name, FACTOR) if found is None else found


def class_weight(value: Any, name: str) -> np.ndarray | None:
    """Return a copy of its own that can't be written, so that what was checked stays so."""
    if value is None:
        return None
    expect.not_empty(expect.array(value, name), name)
    if value.ndim != 1:
        raise ValueError(f"{name}: expected one axis, got shape {value.shape}")
    wrong = value[~((value >= 0) & (value <= LARGEST[value.dtype]))]
    if wrong.size:
        raise ValueError(f"{name}: expected finite numbers ≥ 0, got {float(wrong[0])!r}")
    own = np.array(value)
    own.flags.writeable = False
    return own
