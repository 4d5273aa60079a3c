"""The numpy backend: steps on copies of the variables, which are assigned then. by_torch.py has the same names."""

from collections.abc import Sequence
from typing import Any, TypeVar

import keras
import numpy as np

from fastopt.kernels.optimizers.batch import Asked, Batch, Setting
from fastopt.kernels.optimizers.recipe import Recipe
from fastopt.kernels.runtime.targets import way
from fastopt.optimizers.rule import Rule as Core

F = TypeVar("F")


def opaque(function: F) -> F:
    return function


def taken(grads: Sequence[Any], variables: Sequence[Any]) -> list[np.ndarray] | None:
    """Return gradients as arrays of the variables' types; None where one is not of its variable's shape."""
    found = [np.asarray(keras.ops.convert_to_tensor(grad, one.dtype), order="C") for grad, one in zip(grads, variables)]
    fit = all(grad.shape == tuple(variable.shape) for grad, variable in zip(found, variables))
    return found if fit else None


def number(value: Any) -> float:
    return float(np.asarray(value.value if isinstance(value, keras.Variable) else value))


def kind(grad: np.ndarray) -> str:
    return grad.dtype.name


def reaches(variable: Any) -> bool:
    return True


def address(variable: Any) -> int:
    return id(variable)


class Jobs:
    def __init__(self, core: Core, recipe: Recipe, members: list[Any]):
        self.core, self.recipe, self.members = core, recipe, members

    def reads(self, grads: list[np.ndarray]) -> bool:
        columns: dict[str, list[np.ndarray]] = {"param": [], "grad": [grads[own.place] for own in self.members]}
        for own in self.members:
            shape = tuple(own.variable.shape)
            for name, variable in {"param": own.variable, **own.kept}.items():
                layers = self.core.layers
                form = shape if layers is None or name == "param" else layers.state_shape(name, shape)
                columns.setdefault(name, []).append(np.array(variable.value, order="C").reshape(form))
        rows, numbers = [own.setting for own in self.members], [own.number for own in self.members]
        self.columns, self.batches = columns, [Batch(self.recipe, columns, rows, numbers, self.core.layers)]
        return True

    def run(self, settings: list[Setting], asked: Asked) -> None:
        way("optimizers").step(self.batches, self.core, settings, asked)
        for k, own in enumerate(self.members):
            for name, variable in {"param": own.variable, **own.kept}.items():
                variable.assign(self.columns[name][k].reshape(variable.shape))
