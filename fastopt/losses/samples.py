"""How a call's arrays fall into samples."""

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
