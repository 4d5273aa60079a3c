"""Which inputs the kernels take: NumPy arrays of numbers, told apart without a pass over them where that can be."""

from collections.abc import Callable
from typing import Any

import numpy as np


class NotOurs(Exception):
    """What came is for scikit-learn's own function."""


def ours_first(ours: Callable[[], Any], theirs: Callable[[], Any]) -> Any:
    """Return what the kernels give; where they do not take what came, what scikit-learn gives or raises."""
    try:
        return ours()
    except (NotOurs, ValueError, TypeError, IndexError):
        return theirs()


def need(holds: Any) -> None:
    if not holds:
        raise NotOurs


def labels(*given: Any) -> None:
    """Need integer or bool labels (N,), as many of each."""
    for y in given:
        need(type(y) is np.ndarray and y.dtype.kind in "iub" and y.ndim == 1 and len(y) == len(given[0]) > 0)


def are_rows(y: Any) -> bool:
    """Return whether these are several labels a sample, each 0 or 1 by the look of it."""
    return type(y) is np.ndarray and y.dtype.kind in "iub" and y.ndim == 2 and y.shape[1] > 1 and len(y) > 1


def floats(y: Any, axes: int, weights: Any = None) -> None:
    """Need finite float scores of so many axes, and weights that the kernels take beside them."""
    need(type(y) is np.ndarray and y.dtype.char in "fd" and y.ndim == axes and y.size > 0)
    need(np.isfinite(y).all())
    weights_are(weights, y.dtype)


def weights_are(weights: Any, dtype: Any = None) -> None:
    if weights is not None:
        need(type(weights) is np.ndarray and weights.dtype.char in "fd" and dtype in (None, weights.dtype))
        need(weights.any())  # else scikit-learn refuses them


def of_two(y: np.ndarray) -> np.ndarray:
    """Return labels of two kinds as bool: True for the larger. (0 and 1 as they are.)"""
    low, high = y.min(), y.max()
    if y.dtype.kind == "b":
        need(low < high)
        return y
    if low == 0 and high == 1:
        return y
    need(low < high)
    larger = y == high
    need(np.count_nonzero(y == low) + np.count_nonzero(larger) == len(y))
    return larger
