"""What a step does that depends on a whole layer: passes that measure it, and the rule's scalars that follow.

A pass reads what the rule will read, clipped, decayed and decoded, and adds up sums; `settle` turns a parameter's sums
into its scalars. The same for every target that runs kernels.
"""

from collections.abc import Mapping, Sequence
from math import ceil, prod, sqrt
from typing import Any

import numpy as np

from fastopt.kernels.optimizers import orthogonal
from fastopt.kernels.runtime.pipeline import GRAIN

SUMS = 1 << 17  # float64 sums of columns that a launch may hold: 1 MiB
Shape = tuple[int, ...]


def larger(bound: float, x: float) -> float:
    """Return the larger one; NaN, if x is: Python's max(bound, NaN) is the bound."""
    return bound if x <= bound else x


class Layers:
    """Passes before a rule, named `passes`; `one_by_one` says that all go over one parameter before the next."""

    rule: str
    passes: tuple[str, ...]
    one_by_one = False

    def refusal(self, shape: Shape) -> str:
        """Return what is wrong with a parameter of this shape; nothing, if it can be one."""
        return ""

    def kernels(self, shape: Shape) -> tuple[str, tuple[str, ...]]:
        """Return the rule of a parameter of this shape, and the passes before it."""
        return self.rule, self.passes

    def state_shape(self, name: str, shape: Shape) -> Shape:
        """Return the shape of a state array."""
        return shape

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Return the sizes that a parameter's kernels ask for."""
        return ()

    def work(self, shapes: Sequence[Shape], dtype: str) -> dict[str, list[np.ndarray]]:
        """Return arrays, one per parameter, that passes hand on to each other."""
        return {}

    def extent(self, number: int, shape: Shape) -> tuple[int, int]:
        """Return how many sums pass `number` adds up, and how many elements a thread takes at a time."""
        return 2, GRAIN

    def settle(
        self,
        number: int,
        group: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        sums: np.ndarray,
        scalars: np.ndarray,
    ) -> None:
        """Fill in a parameter's scalars, the rule's own, which follow from what pass `number` has summed up."""
        raise NotImplementedError


class Lars(Layers):
    rule, passes = "lars", ("lars_norms",)

    def settle(
        self,
        number: int,
        group: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        sums: np.ndarray,
        scalars: np.ndarray,
    ) -> None:
        param_norm, grad_norm, decay = sqrt(sums[0]), sqrt(sums[1]), scalars[3]
        trust = 1.0
        if param_norm > 0.0 and grad_norm > 0.0:
            trust = group["trust_coefficient"] * param_norm / (grad_norm + decay * param_norm + group["eps"])
        scalars[0] = group["lr"] * trust


class Lamb(Layers):
    rule, passes = "lamb", ("lamb_norms",)

    def settle(
        self,
        number: int,
        group: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        sums: np.ndarray,
        scalars: np.ndarray,
    ) -> None:
        length, stride = sqrt(sums[0]), sqrt(sums[1])
        scalars[0] = group["lr"] * (length / stride if length > 0.0 and stride > 0.0 else 1.0)


class Adafactor(Layers):
    """Matrices (the last two axes) keep averages of rows and columns; other arrays one for each element."""

    one_by_one = True

    def kernels(self, shape: Shape) -> tuple[str, tuple[str, ...]]:
        if len(shape) < 2:
            return "adafactor_vector", ("adafactor_vector_norms",)
        return "adafactor", ("adafactor_factors", "adafactor_norms")

    def state_shape(self, name: str, shape: Shape) -> Shape:
        if name == "row_var":
            return (*shape[:-1], 1)
        return (*shape[:-2], 1, shape[-1]) if name == "col_var" else shape

    def work(self, shapes: Sequence[Shape], dtype: str) -> dict[str, list[np.ndarray]]:
        return {"row_mean": [np.zeros((*shape[:-2], 1, 1), dtype) for shape in shapes]}

    def dims(self, shape: Shape) -> tuple[int, ...]:
        """Return columns, rows, and whether every grain holds whole matrices."""
        return () if len(shape) < 2 else (shape[-1], shape[-2], int(self._whole(shape)))

    def extent(self, number: int, shape: Shape) -> tuple[int, int]:
        if len(shape) < 2 or number == 1:
            return 2, GRAIN
        columns, rows, whole = self.dims(shape)
        unit = max(1, rows * columns if whole else columns)
        wanted = max(GRAIN, prod(shape) * (columns + 1) / SUMS)
        return 1 + columns, unit * ceil(wanted / unit)

    def settle(
        self,
        number: int,
        group: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        sums: np.ndarray,
        scalars: np.ndarray,
    ) -> None:
        shape = arrays["param"].shape
        size, vector = max(1, prod(shape)), len(shape) < 2
        if number == 0:
            scalars[0] *= larger(group["eps"][1], sqrt(sums[0] / size))
        if number == 0 and not vector:
            row_var, col_var = arrays["row_var"], arrays["col_var"]
            if not self._whole(shape):
                col_var[...] = scalars[1] * col_var + scalars[2] / row_var.size * sums[1:]
            if row_var.size:
                means = np.add.reduce(row_var, axis=-2, keepdims=True)  # its `mean` takes microseconds more
                means /= row_var.shape[-2]
                np.maximum(means, group["eps"][0], out=arrays["row_mean"])
        if vector or number == 1:
            scalars[0] /= larger(1.0, sqrt(sums[int(vector)] / size) / group["d"])

    @staticmethod
    def _whole(shape: Shape) -> bool:
        """Whether grains hold whole matrices: many of them, or a small one."""
        return prod(shape[:-2]) != 1 or shape[-2] * shape[-1] <= GRAIN


class Muon(Layers):
    rule, passes, one_by_one = "muon", ("muon_momentum",), True

    def refusal(self, shape: Shape) -> str:
        return "" if len(shape) == 2 else f"expected a matrix, got shape {shape}"

    def work(self, shapes: Sequence[Shape], dtype: str) -> dict[str, list[np.ndarray]]:
        """Return views of one piece of memory: the parameters take turns."""
        memory = np.zeros(max(map(prod, shapes)), dtype)
        return {"update": [memory[: prod(shape)].reshape(shape) for shape in shapes]}

    def extent(self, number: int, shape: Shape) -> tuple[int, int]:
        return 0, GRAIN

    def settle(
        self,
        number: int,
        group: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        sums: np.ndarray,
        scalars: np.ndarray,
    ) -> None:
        update = arrays["update"]
        orthogonal.newton_schulz(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        scalars[0] *= orthogonal.ADJUSTMENTS[group["adjust_lr_fn"]](*update.shape)
