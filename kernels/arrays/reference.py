"""What is done to many arrays, in NumPy and float64: slow and obvious."""

from collections.abc import Sequence

import numpy as np


def scale(x: np.ndarray, *, factor: float) -> np.ndarray:
    return factor * x


def axpby(x: np.ndarray, y: np.ndarray, *, a: float, b: float) -> np.ndarray:
    return a * x + b * y


def global_norm(arrays: Sequence[np.ndarray]) -> float:
    return float(np.sqrt(sum(np.sum(x * x) for x in arrays)))


def norms(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([np.sqrt(np.sum(x * x)) for x in arrays])


def all_finite(arrays: Sequence[np.ndarray]) -> bool:
    return all(bool(np.isfinite(x).all()) for x in arrays)
