"""The jobs of a step as a store keeps them from one step to the next."""

import math

import numpy as np

from fastopt.kernels.optimizers.batch import Batch


class Bound(Batch):
    """A batch, and what a store remembers of its last step."""

    members: list[int]  # in the parameters' order
    sizes: np.ndarray  # bytes of each gradient
    seen: np.ndarray  # where parameters and gradients were when they were last found apart
    special = False  # whether the last step had missing gradients, or parameters that were behind

    def take(self, rows: list[int], missing: set[int]) -> None:
        """Take each parameter's setting for a step, and leave out those whose gradient is missing."""
        self.jobs.rows[:] = [rows[i] for i in self.members]
        self.jobs.units[:] = [0 if i in missing else math.prod(self.shapes[k]) for k, i in enumerate(self.members)]
        self.rows = sorted(set(self.jobs.rows.tolist()))
