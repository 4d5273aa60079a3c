"""What a linear layer's cross-entropy is made of beside its loss: chunks of samples, tiles, products of matrices."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Rows(NamedTuple):
    """All samples, flat, and the numbers of those that count (None: all)."""

    x: np.ndarray
    labels: np.ndarray
    scale: np.ndarray
    kept: np.ndarray | None

    def chunks(self, rows: int) -> Iterator[slice | np.ndarray]:
        """Yield which samples are next: a slice, or their numbers."""
        count = len(self.x) if self.kept is None else len(self.kept)
        for first in range(0, count, rows):
            stop = min(first + rows, count)
            yield slice(first, stop) if self.kept is None else self.kept[first:stop]


def tile(classes: int, features: int) -> int:
    """Return how many classes' gradients are added up at a time: about 2^21 elements."""
    return max(1, min(classes, 2**21 // features))


def product(a: np.ndarray, b: np.ndarray, result: np.ndarray, added: bool) -> None:
    """Write a @ b, or add it to what is there."""
    if added or not (result.flags.c_contiguous or result.flags.f_contiguous):
        put(a @ b, result, added)
    else:
        np.matmul(a, b, out=result)


def put(value: np.ndarray, result: np.ndarray, added: bool) -> None:
    if added:
        result += value
    else:
        result[...] = value
