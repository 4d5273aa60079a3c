"""What is done to many arrays, in NumPy and float64: slow and obvious."""

from collections.abc import Sequence

import numpy as np


def scale(x: np.ndarray, *, factor: float) -> np.ndarray:
    return factor * x


def axpby(x: np.ndarray, y: np.ndarray, *, a: float, b: float) -> np.ndarray:
    return a * x + b * y


def global_norm(arrays: Sequence[np.ndarray]) -> float:
    return _norm(norms(arrays))


def norms(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([_norm(x) for x in arrays], np.float64)


def _norm(x: np.ndarray) -> float:
    """Blue 1978: in units of the largest element, no square overflows."""
    largest = np.max(np.abs(x), initial=0.0)
    return float(largest * np.sqrt(np.sum((x / largest) ** 2)) if 0 < largest < np.inf else largest)


def all_finite(arrays: Sequence[np.ndarray]) -> bool:
    return all(bool(np.isfinite(x).all()) for x in arrays)
