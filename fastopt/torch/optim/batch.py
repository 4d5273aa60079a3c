"""Parameters that share a recipe, as the launcher takes them: a table of pointers, scalars for each setting."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fastopt.kernels.optimizers.recipe import SCALARS, Recipe, build, norm
from fastopt.kernels.runtime.jobs import BLOCK, SUM_BLOCK, Jobs
from fastopt.kernels.runtime.pipeline import GRAIN
from fastopt.kernels.runtime.settings import get_num_threads, get_target
from fastopt.kernels.runtime.tensors import TYPES, Table
from fastopt.optimizers.options import Options
from fastopt.torch.optim.rules import Group, Rule
from fastopt.torch.tensors import NAMES, local, view

Param = torch.Tensor
State = dict[str, Any]


class Batch:
    """Parameters of one recipe, a job each.

    Parameters
    ----------
    rule : Rule
    recipe : Recipe
    params, states : lists
        The parameters, and each one's state, which is complete.
    groups, numbers, counts : lists of int
        Each parameter's group, its number among all (stochastic rounding draws by it), and its steps, if known.
    fresh : bool
        Whether these parameters have not been stepped yet.
    """

    def __init__(
        self, rule: Rule, recipe: Recipe, params: list[Param], states: list[State], groups: list[int],
        numbers: list[int], counts: list[int], fresh: bool,
    ):  # fmt: skip
        self.rule, self.recipe, self.fresh = rule, recipe, fresh
        self.names = {column: rule.names.get(column, column) for column in recipe.columns}
        columns = tuple((self.names[column], self._type(column, states[0])) for column in recipe.columns)
        self.counters = ("step", *rule.carries) if "step" in states[0] else ()
        kept = [name for name, _ in columns if name not in ("param", "grad")]
        # NumPy's views keep the memory of state from going, whatever becomes of its tensors.
        self.arrays = [{name: view(state[name]) for name in (*kept, *self.counters)} for state in states]
        shards = [local(param) for param in params]
        states = [state if shard is param else _locals(state) for state, shard, param in zip(states, shards, params)]
        self.table = Table(params, states, columns, self.counters, groups, counts, recipe.slots)
        self.numbers = np.array(numbers, np.int64).reshape(-1, 1)

    def _type(self, column: str, state: State) -> int:
        if column in ("param", "grad"):
            kind = getattr(self.recipe, column)
            return TYPES["bfloat16" if kind in ("split", "stochastic") else kind]
        return TYPES[str(state[self.names[column]].dtype).removeprefix("torch.")]

    def squares(self) -> np.ndarray:
        """Return the sum of the gradients' squares, and 0, or NaN where one isn't finite."""
        return self._run(norm(self.recipe), np.zeros((max(1, len(self.table.settings)), 1)), 2)

    def prepared(self, hypers: list[Group], options: Options, factor: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the scalars of a step, a row for each setting, and the counters that it leaves."""
        recipe, settings = self.recipe, self.table.settings
        scalars = np.zeros((len(settings), len(SCALARS) + len(recipe.kernel.scalars)))
        counters = np.zeros((len(settings), len(self.counters)))
        for k, (group_number, *counted) in enumerate(settings):
            group, kept = hypers[group_number], 1.0
            step = int(counted[0]) + 1 if counted else 1 if self.fresh else 2
            before = dict(zip(self.rule.carries, counted[1:]))
            after = self.rule.carry(group, step, before)
            if counted:
                counters[k] = [step, *after.values()]
            if recipe.decay:
                kept, group = 1.0 - group["lr"] * group["weight_decay"], {**group, "weight_decay": 0.0}
            *own, sign = self.rule.digest(group, step, before, after)
            average = options.ema_decay or 0.0
            stages = factor, options.clip_value or 0.0, kept, average, 1.0 - average, options.seed, step
            scalars[k] = *stages, *own, sign if recipe.clip else sign * factor
        return scalars, counters

    def run(self, scalars: np.ndarray, counters: np.ndarray) -> None:
        """Update parameters, state and counters."""
        self._run(build(self.recipe, 0, get_target()), scalars, 0)
        self.table.write(counters)

    def _run(self, program: Any, scalars: np.ndarray, partials: int) -> np.ndarray:
        table, threads = self.table, get_num_threads()
        block = BLOCK if len(program.stages) > 1 else SUM_BLOCK if partials else 0
        sums = program.pipeline.run(
            table.pointers, table.units, GRAIN, block, dims=self.numbers, scalars=scalars, scalars_row=table.rows,
            partials=partials, threads=threads,
        )  # fmt: skip
        total = sums.sum(axis=0) if partials else np.zeros(0)
        for job in table.odd:
            columns = [[array] for array in self._in_order(job)]
            jobs = Jobs(columns, [int(table.rows[job])], [tuple(self.numbers[job].tolist())], self.recipe.slots)
            own = jobs.run(program, scalars=scalars, threads=threads, contiguous=False, partials=partials)
            total = total + own.sum(axis=0) if partials else total
        return total

    def _in_order(self, job: int) -> Sequence[np.ndarray]:
        """Return a job's arrays, their axes in the order of the state's memory, else of the parameter's."""
        table, own = self.table, self.arrays[job]
        found = {"param": view(table.params[job]), "grad": view(table.grads[job])}
        arrays = [found[name] if name in found else own[name] for name in self.names.values()]
        scales = [name.endswith("_scale") for name in self.names.values()]
        leader = next((a for a, s, n in zip(arrays, scales, self.names) if not s and n not in found), arrays[0])
        axes = sorted(range(leader.ndim), key=lambda axis: -leader.strides[axis])
        return [array if scale else array.transpose(axes) for array, scale in zip(arrays, scales)]


def kind_of(tensor: torch.Tensor, name: str) -> str:
    """Return the name of a tensor's type, or raise."""
    if tensor.dtype not in NAMES:
        raise TypeError(f"{name}: expected float32, float64, bfloat16 or float16, got {tensor.dtype}")
    return NAMES[tensor.dtype]


def _locals(state: State) -> State:
    return {name: local(value) if isinstance(value, torch.Tensor) else value for name, value in state.items()}
