"""How a call's arrays fall into samples."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Samples(NamedTuple):
    """How a call's arrays fall into samples."""

    leading: tuple[int, ...]  # the shape of the samples
    columns: int  # elements of one
    moved: tuple[int, ...] = ()  # axes that must go to the end first

    def rows(self, array: np.ndarray) -> np.ndarray:
        """Return a view of an array like y_pred in which a sample's axes are the last ones."""
        return np.moveaxis(array, self.moved, range(-len(self.moved), 0)) if self.moved else array


@lru_cache(maxsize=1024)
def samples_of(shape: tuple[int, ...], axis: int | tuple[int, ...] | None, least: int) -> Samples:
    """Return how arrays of y_pred's shape fall into samples along `axis`; refuse less than `least` axes."""
    axes = len(shape)
    if axis is None:
        return Samples((), math.prod(shape))
    if axes < least:
        wanted = "axis" if least == 1 else "axes"
        raise ValueError(f"y_pred: expected at least {least} {wanted}, got shape {shape}")
    given = axis if isinstance(axis, tuple) else (axis,)
    if not all(-axes <= one < axes for one in given) or len({one % axes for one in given}) < len(given):
        raise ValueError(f"axis: expected {'an axis' if axis in given else 'axes'} of y_pred with shape {shape}, "
                         f"got {axis}")  # fmt: skip
    if axes == 1:
        return Samples(shape, 1)
    own = tuple(sorted(one % axes for one in given))
    leading = tuple(length for k, length in enumerate(shape) if k not in own)
    columns = math.prod(shape[k] for k in own)
    return Samples(leading, columns, () if own[0] == axes - len(own) else own)
