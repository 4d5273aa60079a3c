"""The parameters that share a recipe, a job each, and what a step says of them: the form in which a door takes them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastopt.kernels.optimizers.layers import Layers
from fastopt.kernels.optimizers.recipe import WORK, Recipe
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.jobs import Call, Jobs

ENDS = ("", "_lost_bits", "_scale")  # of the names of the arrays that hold a buffer


class Rule(Protocol):
    """What a door asks of an optimizer's rule."""

    scalars: Callable[[Mapping[str, Any], int], tuple[Any, ...]]
    reference: Callable[..., tuple[Any, ...]]
    only_at_start: tuple[str, ...]
    layers: Layers | None


class Setting(NamedTuple):
    """What jobs of one group that have come as far share: a row of the table of scalars.

    Parameters
    ----------
    group : mapping
        Hyper-parameters, with this step's `lr`.
    step : int
        The step's number, from 1.
    before, after : mapping
        What the group carries from step to step, before this one and behind it.
    """

    group: Mapping[str, Any]
    step: int
    before: Mapping[str, float] = {}
    after: Mapping[str, float] = {}


class Asked(NamedTuple):
    """What a step is asked for, beside its gradients.

    Parameters
    ----------
    factor : float
        Of every gradient: what undoes a scaled loss, and shortens a long gradient.
    number : int
        The step's, of the whole optimizer; stochastic rounding draws by it.
    clip_value, ema_decay, clip_each : float or None
    seed : int
    zero, stats : bool
        Whether zeros are written into the gradients, and the update's length is summed up.
    done : tuple of calls
        What counts the step: made behind the last write, and as one with it.
    """

    factor: float
    number: int
    clip_value: float | None = None
    ema_decay: float | None = None
    seed: int = 0
    zero: bool = False
    stats: bool = False
    done: tuple[Call, ...] = ()
    clip_each: float | None = None


class Batch:
    """Jobs of one recipe.

    Made of arrays, or (`of_pointers`) with tables that somebody else fills: `jobs.pointers` in the order of
    `recipe.columns`, `jobs.units`, `jobs.numbers` (each job's number, then the rule's dims) and `jobs.rows` (which of a
    step's settings). Units of 0 leave a job out.

    Parameters
    ----------
    recipe : Recipe
    columns : dict of list of array
        By the names of `recipe.columns`, an array per job; working memory is added.
    rows : list of int
        Which of a step's settings holds for each job.
    numbers : list of int
        Each job's number, by which stochastic rounding draws.
    layers : Layers or None
        Of a rule that looks at whole layers.
    """

    def __init__(
        self, recipe: Recipe, columns: dict[str, list[np.ndarray]], rows: list[int], numbers: list[int],
        layers: Layers | None = None,
    ):  # fmt: skip
        self.shapes = [param.shape for param in columns["param"]]
        if layers is not None and WORK & set(recipe.columns):
            columns = columns | layers.work(self.shapes, recipe.compute)
        dims = [() if layers is None else layers.dims(shape) for shape in self.shapes]
        of_each = [(number, *own) for number, own in zip(numbers, dims, strict=True)]
        self._begin(
            recipe, Jobs([columns[name] for name in recipe.columns], rows, of_each, recipe.slots), sorted(set(rows))
        )

    def _begin(self, recipe: Recipe, jobs: Jobs, rows: list[int] | None = None) -> None:
        self.recipe, self.jobs = recipe, jobs
        self.rows = rows  # of settings, that any job is of; None: all
        self.names = recipe.columns  # of the pointer table's columns: a recipe forms them anew each time
        self.grad = self.names.index("grad")
        self.packed = True  # whether every array is bound and contiguous
        self.kept: dict[Any, Any] = {}  # what the way of a target makes once, and takes again in the next step

    @classmethod
    def of_pointers(cls, recipe: Recipe, jobs: int, dims: int = 0) -> "Batch":
        """Return a batch with empty tables for so many jobs, whose kernels ask for so many dims."""
        made = cls.__new__(cls)
        made._begin(recipe, Jobs.of_pointers(jobs, 1 + dims, recipe.slots))
        made.shapes = []
        return made

    def decoded(self, job: int) -> dict[str, np.ndarray]:
        """Return the buffers of a job's rule, without what passes hand on, in the type that is computed in."""
        own, recipe = self.arrays(job), self.recipe
        return {
            name: kinds.read(kind, [own[f"{name}{end}"] for end in ENDS if f"{name}{end}" in own], recipe.compute)
            for name, kind in recipe.kinds.items()
            if name not in WORK
        }

    def arrays(self, job: int) -> dict[str, np.ndarray]:
        """Return a job's arrays by name; those that were bound as pointers, flat."""
        if self.jobs.columns:
            columns = zip(self.names, self.jobs.columns, strict=True)
            return {name: column[job] for name, column in columns if column is not None}
        size = int(self.jobs.units[job])
        return {
            name: _at(int(self.jobs.pointers[job, k]), dtype, -(-size // per))
            for k, (name, (dtype, per)) in enumerate(self.recipe.dtypes.items())
        }


def shares_kept(lengths: np.ndarray, limit: float) -> np.ndarray:
    """Return what gradients of these lengths are multiplied by, so that none is longer than the limit."""
    with np.errstate(all="ignore"):
        return np.where(lengths <= limit, 1.0, limit / lengths)


def _at(address: int, dtype: np.dtype, size: int) -> np.ndarray:
    """Return the packed array that stands at an address."""
    if not size:
        return np.empty(0, dtype)
    interface = {"data": (address, False), "shape": (size * dtype.itemsize,), "typestr": "|u1", "version": 3}
    holder = type("Holder", (), {"__array_interface__": interface})()
    return np.asarray(holder).view(dtype)
