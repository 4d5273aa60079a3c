"""The torch backend: steps on the tensors where they lie. by_numpy.py has the same names."""

from collections.abc import Sequence
from typing import Any

import keras
import torch
from keras.src.backend.common.stateless_scope import in_stateless_scope

from fastopt.kernels.optimizers.batch import Asked, Batch, Setting
from fastopt.kernels.optimizers.recipe import WORK, Recipe
from fastopt.kernels.runtime.targets import way
from fastopt.kernels.runtime.tensors import TYPES, Table
from fastopt.optimizers.rule import Rule as Core
from fastopt.torch.crew import on_torchs_workers as opaque
from fastopt.torch.functional.base import is_looked_into
from fastopt.torch.tensors import NAMES, view

__all__ = ["Jobs", "address", "kind", "number", "opaque", "reaches", "taken"]


def taken(grads: Sequence[Any], variables: Sequence[Any]) -> list[torch.Tensor] | None:
    """Return gradients as tensors, of the variables' types where they are no floats; None: all is Keras's to do."""
    if in_stateless_scope() or is_looked_into():
        return None
    return [
        grad if isinstance(grad, torch.Tensor) and grad.dtype in NAMES else keras.ops.convert_to_tensor(grad, one.dtype)
        for grad, one in zip(grads, variables)
    ]


def number(value: Any) -> float:
    """Return a number that may stand in a variable or a tensor."""
    value = value._value if isinstance(value, keras.Variable) else value
    return float(value.item() if isinstance(value, torch.Tensor) else value)


def kind(grad: torch.Tensor) -> str:
    """Return the name of a gradient's type."""
    return NAMES[grad.dtype]


def reaches(variable: Any) -> bool:
    """Return whether a variable's memory is there for the kernels."""
    value = variable._value
    return isinstance(value, torch.Tensor) and value.device.type == "cpu" and value.layout == torch.strided


def address(variable: Any) -> int:
    """Return what tells a variable's memory from any other's."""
    return variable._value.data_ptr() or id(variable)  # 0 where there are no elements


class Jobs:
    """Variables that share a recipe, a job each.

    Parameters
    ----------
    core : Core
        fastopt's rule.
    recipe : Recipe
    members : list of Member

    Attributes
    ----------
    batches : list of Batch
        What the kernels take, from `reads` on.
    """

    def __init__(self, core: Core, recipe: Recipe, members: list[Any]):
        self.core, self.recipe, self.members = core, recipe, members
        self.held = [(one, one._value) for own in members for one in (own.variable, *own.kept.values())]
        states = [{name: one._value for name, one in own.kept.items()} for own in members]
        # A table of pointers knows tensors of the variable's shape; rules that look at layers take arrays.
        self.by_arrays = core.layers is not None and (core.layers.one_by_one or not WORK.isdisjoint(recipe.columns))
        types = dict.fromkeys(recipe.columns, TYPES[members[0].variable.dtype]) | {"grad": TYPES[recipe.grad]}
        names = ("param", "grad") if self.by_arrays else recipe.columns
        self.table = Table(
            [own.variable._value for own in members], states, tuple((name, types[name]) for name in names), (),
            [own.setting for own in members], [0] * len(members), max(len(names), recipe.slots),
        )  # fmt: skip
        self.arrays = [  # NumPy's views keep the memory of state from going, whatever becomes of its tensors
            {name: view(state[name]).reshape(self._form(name, own)) for name in state}
            for own, state in zip(members, states)
        ]
        self.jobs = Batch.of_pointers(recipe, len(members))
        self.jobs.jobs.pointers, self.jobs.jobs.units = self.table.pointers, self.table.units
        self.jobs.jobs.rows = self.table.rows
        self.jobs.jobs.numbers[:, 0] = [own.number for own in members]
        self.batches: list[Batch] = []

    def _form(self, name: str, own: Any) -> tuple[int, ...]:
        shape = tuple(own.variable.shape)
        return shape if self.core.layers is None else self.core.layers.state_shape(name, shape)

    def reads(self, grads: list[torch.Tensor]) -> bool:
        """Take up the gradients; whether all variables hold the tensors that they held, and the gradients fit them."""
        for variable, value in self.held:
            if variable._value is not value:
                return False
        if self.table.read([grads[own.place] for own in self.members]) >= 0 or self.table.own:
            return False
        chosen = list(range(len(self.members))) if self.by_arrays else self.table.odd
        self.batches = [] if self.by_arrays else [self.jobs]
        if chosen:
            self.batches.append(self._of_arrays(chosen))
        return True

    def _of_arrays(self, chosen: list[int]) -> Batch:
        """Return jobs of strided tensors, or of whole layers."""
        own = [
            {"param": view(self.table.params[job]), "grad": view(self.table.grads[job]), **self.arrays[job]}
            for job in chosen
        ]
        columns = {name: [arrays[name] for arrays in own] for name in own[0]}
        rows, numbers = self.table.rows[chosen].tolist(), [self.members[job].number for job in chosen]
        batch = Batch(self.recipe, columns, rows, numbers, self.core.layers)
        batch.packed = all(array.flags.c_contiguous for arrays in columns.values() for array in arrays)
        return batch

    def run(self, settings: list[Setting], asked: Asked) -> None:
        """Update the variables, and what is kept of them."""
        own = [settings[number] for (number,) in self.table.settings]
        way("optimizers").step(self.batches, self.core, own, asked)
        torch.autograd.graph.increment_version(self.table.stepped)
        self.table.release()
        self.batches = []
