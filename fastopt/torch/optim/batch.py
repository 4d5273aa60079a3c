"""Parameters that share a recipe, as the kernels' door takes them: a table of pointers, or arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fastopt.kernels.optimizers.batch import Asked, Setting
from fastopt.kernels.optimizers.batch import Batch as Jobs
from fastopt.kernels.optimizers.recipe import WORK, Recipe
from fastopt.kernels.runtime.targets import way
from fastopt.kernels.runtime.tensors import TYPES, Table
from fastopt.optimizers.options import Options
from fastopt.optimizers.rule import Rule as Core
from fastopt.torch.optim.rules import Group, Rule
from fastopt.torch.tensors import NAMES, local, view

State = dict[str, Any]


@dataclass(frozen=True)
class Member:
    """A parameter of a batch: itself, its state, the numbers of its group and its own, and its steps, if known."""

    param: torch.Tensor
    state: State
    group: int
    number: int
    count: int


class Batch:
    """Parameters of one recipe, a job each.

    Parameters
    ----------
    rule, core : Rule, Core
    recipe : Recipe
    members : list of Member
        Their state is complete.
    fresh : bool
        Whether they have not been stepped yet, where nothing counts it.
    again : bool
        Whether another batch steps the same parameters first.
    """

    def __init__(self, rule: Rule, core: Core, recipe: Recipe, members: list[Member], fresh: bool, again: bool = False):
        self.rule, self.core, self.recipe, self.fresh, self.members = rule, core, recipe, fresh, members
        self.again = again
        self.names = {column: rule.names.get(column, column) for column in recipe.columns if column not in WORK}
        first, dtypes = members[0].state, {"param": members[0].param.dtype}
        self.counters = ("step", *rule.carries) if "step" in first else ()
        kept = [name for name in self.names.values() if name not in ("param", "grad")]
        dtypes |= {name: first[name].dtype for name in kept}
        types = {name: TYPES[str(dtype).removeprefix("torch.")] for name, dtype in dtypes.items()}
        types["grad"] = TYPES[recipe.grad]
        # A table of pointers knows tensors of the parameter's shape; the state of whole layers goes as arrays.
        flat = () if core.layers is not None else tuple((name, types[name]) for name in self.names.values())
        columns = flat or tuple((name, types[name]) for name in ("param", "grad"))
        if core.layers is not None:
            _expect_shapes(core, self.names, members)
        # NumPy's views keep the memory of state from going, whatever becomes of its tensors.
        self.arrays = [{name: view(own.state[name]) for name in (*kept, *self.counters)} for own in members]
        self.table = Table(
            [own.param for own in members], [_locals(own.state) for own in members], columns, self.counters,
            [own.group for own in members], [own.count for own in members], max(len(columns), recipe.slots),
        )  # fmt: skip
        # The table looks at the state itself, but for wrappers of tensors, and what goes as arrays.
        self._wrapped = [
            (own.state, {name: own.state[name] for name in (*kept, *self.counters)})
            for own, held in zip(members, self.table.states)
            if own.state is not held or core.layers is not None
        ]
        self.jobs = Jobs.of_pointers(recipe, len(members))
        self.jobs.jobs.pointers, self.jobs.jobs.units = self.table.pointers, self.table.units
        self.jobs.jobs.rows = self.table.rows
        self.jobs.jobs.numbers[:, 0] = [own.number for own in members]

    def fits(self) -> bool:
        """Read the tensors anew; whether they are as they were, but for the memory of parameters and gradients."""
        held = all(state.get(name) is value for state, kept in self._wrapped for name, value in kept.items())
        return held and self.table.read() < 0

    def settings(self, hypers: list[Group]) -> list[Setting]:
        """Return a setting for each row of the table."""
        found = []
        for number, *counted in self.table.settings:
            group, carries = hypers[number], self.rule.carries
            if self.rule.typed is not None:
                group = self.rule.typed(group, self.members[0].param.dtype)
            step = int(counted[0]) + 1 if counted else 1 if self.fresh else 2
            before = dict(zip(carries, counted[1:]))
            carry = self.rule.carry
            if carry is None:
                found.append(Setting(group, step, before, self.core.carry({**group, **before}, step)))
            else:
                found.append(Setting({**group, **before}, step, {}, {}))
        return found

    def parts(self, rows: int) -> Iterator[Jobs]:
        """Yield the jobs, as the door takes them; `rows` is the number of settings."""
        if self.core.layers is None:
            if rows:
                yield self.jobs
            for job in self.table.odd:
                columns = {name: [array] for name, array in self._in_order(job).items()}
                yield self._of_arrays(columns, [job])
        elif chosen := self.taking_part():
            own = [self._plain(job) for job in chosen]
            yield self._of_arrays({name: [arrays[name] for arrays in own] for name in self.names}, chosen)

    def run(self, settings: list[Setting], options: Options, factor: float) -> None:
        """Update parameters, state and counters."""
        steps = [[one.step, *self._after(one).values()][: len(self.counters)] for one in settings]
        counters = np.array(steps, np.float64).reshape(len(settings), len(self.counters))
        number = max([one.step for one in settings], default=1)
        door = way("optimizers")
        for part in self.parts(len(settings)):
            asked = Asked(factor, number, options.clip_value, options.ema_decay, options.seed)
            door.step([part], self.core, settings, asked)
        self.table.write(counters)

    def taking_part(self) -> list[int]:
        """Return the jobs whose parameters have a gradient."""
        return np.flatnonzero(self.table.active).tolist()

    def _after(self, one: Setting) -> Any:
        return one.after if self.rule.carry is None else self.rule.carry(dict(one.group), one.step)

    def _of_arrays(self, columns: dict[str, list[np.ndarray]], chosen: list[int]) -> Jobs:
        rows, numbers = self.table.rows[chosen].tolist(), [self.members[job].number for job in chosen]
        jobs = Jobs(self.recipe, columns, rows, numbers, self.core.layers)
        jobs.packed = all(array.flags.c_contiguous for arrays in columns.values() for array in arrays)
        return jobs

    def _plain(self, job: int) -> dict[str, np.ndarray]:
        """Return a job's arrays by the recipe's names."""
        found = {"param": view(self.table.params[job]), "grad": view(self.table.grads[job]), **self.arrays[job]}
        return {column: found[name] for column, name in self.names.items()}

    def _in_order(self, job: int) -> dict[str, np.ndarray]:
        """Return a job's arrays, their axes in the order of the state's memory, else of the parameter's."""
        arrays = self._plain(job)
        shaped = [name for name in arrays if not name.endswith("_scale")]
        leader = arrays[next((name for name in shaped if name not in ("param", "grad")), "param")]
        axes = sorted(range(leader.ndim), key=lambda axis: -leader.strides[axis])
        return {name: array.transpose(axes) if name in shaped else array for name, array in arrays.items()}


def _expect_shapes(core: Core, names: dict[str, str], members: list[Member]) -> None:
    """Raise unless state of layers is of the shapes that their parameters ask for."""
    assert core.layers is not None
    for own in members:
        for column, name in names.items():
            wanted = core.layers.state_shape(column, tuple(local(own.param).shape))
            if column not in ("param", "grad") and tuple(local(own.state[name]).shape) != wanted:
                raise RuntimeError(f"state {name!r}: expected shape {wanted}, got {tuple(own.state[name].shape)}")


def kind_of(tensor: torch.Tensor, name: str) -> str:
    """Return the name of a tensor's type, or raise."""
    if tensor.dtype not in NAMES:
        raise TypeError(f"{name}: expected float32, float64, bfloat16 or float16, got {tensor.dtype}")
    return NAMES[tensor.dtype]


def _locals(state: State) -> State:
    """Return the state itself, or one of local tensors where it holds wrappers of them."""
    if any(hasattr(value, "to_local") for value in state.values()):
        return {name: local(value) if isinstance(value, torch.Tensor) else value for name, value in state.items()}
    return state
