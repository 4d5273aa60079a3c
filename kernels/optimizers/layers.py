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
    """Passes before a rule, named `passes`; `one_by_one` says that all go over one parameter before the next.

    Passes write what they hand on to each other, and nothing that is kept: the rule alone does.
    """

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

    def vectors(self, number: int, read: Mapping[str, np.ndarray], scalars: np.ndarray) -> list[np.ndarray]:
        """Return the vectors whose squares the first sums of pass `number` are, of the buffers as it reads them."""
        return []

    def settle(
        self, number: int, group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], sums: np.ndarray,
        scalars: np.ndarray, scales: tuple[float, ...] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        """Fill in a parameter's scalars, the rule's own, which follow from what pass `number` has summed up.

        The roots of the first two sums are in units of `scales`.
        """
        raise NotImplementedError


class Lars(Layers):
    rule, passes = "lars", ("lars_norms",)

    def vectors(self, number: int, read: Mapping[str, np.ndarray], scalars: np.ndarray) -> list[np.ndarray]:
        return [read["param"], scalars[4] * read["grad"]]

    def settle(
        self, number: int, group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], sums: np.ndarray,
        scalars: np.ndarray, scales: tuple[float, ...] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        param_norm, grad_norm, decay = scales[0] * sqrt(sums[0]), scales[1] * sqrt(sums[1]), scalars[3]
        trust = 1.0
        if param_norm > 0.0 and grad_norm > 0.0:
            trust = group["trust_coefficient"] * param_norm / (grad_norm + decay * param_norm + group["eps"])
        scalars[0] = group["lr"] * trust


class Lamb(Layers):
    rule, passes = "lamb", ("lamb_norms",)

    def vectors(self, number: int, read: Mapping[str, np.ndarray], scalars: np.ndarray) -> list[np.ndarray]:
        _, beta1, fresh1, beta2, fresh2, correction, root_correction, eps, decay, grad_scale = scalars
        grad = grad_scale * read["grad"]
        mean, square = beta1 * read["exp_avg"] + fresh1 * grad, beta2 * read["exp_avg_sq"] + fresh2 * grad * grad
        direction = correction * mean / (np.sqrt(square) * root_correction + eps)
        return [read["param"], direction + decay * read["param"] if decay else direction]

    def settle(
        self, number: int, group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], sums: np.ndarray,
        scalars: np.ndarray, scales: tuple[float, ...] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        length, stride = scales[0] * sqrt(sums[0]), scales[1] * sqrt(sums[1])
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
        found = {"row_mean": [np.zeros((*shape[:-2], 1, 1), dtype) for shape in shapes]}
        for name in ("row", "col"):
            found[f"{name}_next"] = [np.zeros(self.state_shape(f"{name}_var", shape), dtype) for shape in shapes]
        return found

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

    def vectors(self, number: int, read: Mapping[str, np.ndarray], scalars: np.ndarray) -> list[np.ndarray]:
        return [read["param"]] if number == 0 else []

    def settle(
        self, number: int, group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], sums: np.ndarray,
        scalars: np.ndarray, scales: tuple[float, ...] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        shape = arrays["param"].shape
        size, vector = max(1, prod(shape)), len(shape) < 2
        if number == 0:
            scalars[0] *= larger(group["eps"][1], scales[0] * sqrt(sums[0] / size))
        if number == 0 and not vector:
            rows = arrays["row_next"]
            if not self._whole(shape):
                arrays["col_next"][...] = scalars[1] * arrays["col_var"] + scalars[2] / rows.size * sums[1:]
            if rows.size:
                means = np.add.reduce(rows, axis=-2, keepdims=True)  # its `mean` takes microseconds more
                means /= rows.shape[-2]
                np.maximum(means, group["eps"][0], out=arrays["row_mean"])
        if vector or number == 1:
            scalars[0] /= larger(1.0, sqrt(sums[int(vector)] / size) / group["d"])

    @staticmethod
    def _whole(shape: Shape) -> bool:
        """Whether grains hold whole matrices: many of them, or a small one."""
        return prod(shape[:-2]) != 1 or shape[-2] * shape[-1] <= GRAIN


class Muon(Layers):
    rule, passes = "muon", ("muon_direction",)

    def refusal(self, shape: Shape) -> str:
        return "" if len(shape) == 2 else f"expected a matrix, got shape {shape}"

    def work(self, shapes: Sequence[Shape], dtype: str) -> dict[str, list[np.ndarray]]:
        return {"update": [np.zeros(shape, dtype) for shape in shapes]}

    def extent(self, number: int, shape: Shape) -> tuple[int, int]:
        return 0, GRAIN

    def settle(
        self, number: int, group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], sums: np.ndarray,
        scalars: np.ndarray, scales: tuple[float, ...] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        update = arrays["update"]
        orthogonal.newton_schulz(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        scalars[0] *= orthogonal.ADJUSTMENTS[group["adjust_lr_fn"]](*update.shape)
