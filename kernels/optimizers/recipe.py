"""One step as a pipeline: load → decay, clip → the rule → average, copy, zero → store, over each block.

A recipe says all that parameters must have in common to share a launch. Rules × storage types × options meet here,
in a list of stages, and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from fastopt.kernels.arrays.kernels import KERNELS
from fastopt.kernels.optimizers import fused, stages
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.jobs import Program
from fastopt.kernels.runtime.kernel import DTYPES, Kernel, address
from fastopt.kernels.runtime.storage import LOAD, STORE

FUSED = ("adam", "float32", "cython")  # what fused.pyx holds by hand: a rule, its compute type, its target

# A row of scalars: first those of the stages, then those of the rule.
SCALARS = ("grad_scale", "clip_value", "decay_kept", "average_kept", "average_added", "seed", "step")
FLOATS = ("float32", "float64", "bfloat16", "float16")  # of parameters and gradients
SMALL = 4096  # elements: 8-bit state of smaller parameters stays in the compute type
WHOLE = {"z", "n", "ax", "step_size"}  # sums, and what moves by as little as parameters do: too coarse otherwise
SQUARES = {"exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum_of_squares", "acc_delta", "variance"}  # never negative
FACTORS = {"row_var", "col_var", "row_next", "col_next", "row_mean"}  # no element for each of the parameter's
WORK = {"row_next", "col_next", "row_mean", "update"}  # what passes hand on to each other: no state
BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2, "split": 2, "stochastic": 2, "mean8": 1, "square8": 1}
BYTES["square16"] = 2


def state_kind(name: str, wanted: str, compute: str, size: int) -> str:
    """Return how a state buffer is kept: `wanted` is a float type or "8bit"."""
    if name in WHOLE | FACTORS | WORK:
        return compute
    if wanted == "bfloat16" and name in SQUARES:
        return "square16"
    if wanted != "8bit":
        return wanted
    return compute if size < SMALL else "square8" if name in SQUARES else "mean8"


@dataclass(frozen=True)
class Recipe:
    """What a step does to a parameter.

    Parameters
    ----------
    kernel : Kernel
        The rule.
    passes : tuple of Kernel
        What runs over the whole parameter before the rule: it measures, and the rule's scalars follow from its sums.
    compute : {"float32", "float64"}
        The type it computes in.
    param, grad : str
        How the parameter and the gradient are kept: a float type; "split" (bfloat16 with the lost 16 bits beside
        it) or "stochastic" (bfloat16, rounded stochastically) for the parameter.
    state : tuple of str
        How each state buffer is kept: a float type, "mean8" or "square8".
    clip, decay, average : bool
        Whether gradients are clipped by value, decay is a stage of its own, and parameters are averaged.
    copy : str or None
        The type of the copy that is written beside the parameter.
    """

    kernel: Kernel
    passes: tuple[Kernel, ...]
    compute: str
    param: str
    grad: str
    state: tuple[str, ...]
    clip: bool = False
    decay: bool = False
    average: bool = False
    copy: str | None = None

    @property
    def slots(self) -> int:
        """Slots of the pointer table: the columns, and as many scratch blocks as any pipeline of this recipe needs."""
        return len(self.columns) + len(self.kinds) + 2

    @property
    def kinds(self) -> dict[str, str]:
        """How each buffer is kept, by name."""
        names = ("param", "grad", *states(self.passes, self.kernel))
        return dict(zip(names, (self.param, self.grad, *self.state), strict=True))

    @property
    def columns(self) -> tuple[str, ...]:
        """The arrays of a parameter, in the order of the pointer table."""
        names = ["param", *(["param_lost_bits"] if self.param == "split" else []), "grad"]
        for name, kind in list(self.kinds.items())[2:]:
            names += [name, f"{name}_scale"] if kind in ("mean8", "square8") else [name]
        return (*names, *(["average"] if self.average else []), *(["copy"] if self.copy else []))

    @property
    def dtypes(self) -> dict[str, tuple[np.dtype, int]]:
        """The dtype of each column, and how many elements of the parameter share one of it; not for whole layers."""
        found = {}
        for name, kind in self.kinds.items():
            kind = {"split": "bfloat16", "stochastic": "bfloat16"}.get(kind, kind)
            for end, (dtype, (size,)) in kinds.forms(kind, (kinds.GROUP,)).items():
                found[f"{name}{end}"] = dtype, kinds.GROUP // size
        found |= {"param_lost_bits": (np.dtype(np.uint16), 1), "average": (np.dtype(self.compute), 1)}
        return {name: (kinds.dtype(str(self.copy)), 1) if name == "copy" else found[name] for name in self.columns}


def states(passes: tuple[Kernel, ...], kernel: Kernel) -> list[str]:
    """Return the names of all buffers but the parameter and its gradient."""
    names = dict.fromkeys(name for each in (*passes, kernel) for name in each.buffers)
    return [name for name in names if name not in ("param", "grad")]


class _Stages:
    """The stages of one pass over a parameter, as they are put together."""

    def __init__(self, recipe: Recipe):
        self.recipe, self.which = recipe, DTYPES.index(recipe.compute)
        self.slot = {name: k for k, name in enumerate(recipe.columns)}
        widths = {name: BYTES[kind] for name, kind in recipe.kinds.items() if name not in FACTORS}
        widths |= {"param_lost_bits": 2, "average": BYTES[recipe.compute], "copy": 2}
        self.widths, self.scratch = widths, [0] * len(recipe.columns)
        self.before: list[Any] = []
        self.calls: list[Any] = []
        self.after: list[Any] = []
        self.used: dict[str, int] = {}  # the slot where a buffer's numbers are, in the compute type

    def block(self) -> int:
        """Return a slot of scratch memory, a block in the compute type."""
        self.scratch.append(BYTES[self.recipe.compute])
        return len(self.scratch) - 1

    def touch(self, name: str) -> int:
        """Return a column's slot; below 0, its scratch is the bytes of an array, fetched a block ahead."""
        self.scratch[self.slot[name]] = -self.widths.get(name, 0)
        return self.slot[name]

    def hold(self, names: Sequence[str], written: Sequence[str]) -> None:
        """Decode the buffers that a kernel needs before it runs, and encode what it wrote behind it."""
        for name in names:
            kind = self.recipe.kinds[name]
            arrays = [
                self.touch(column) for column in (name, f"{name}_lost_bits", f"{name}_scale") if column in self.slot
            ]
            if kind == self.recipe.compute:
                self.used[name] = arrays[0]
                continue
            self.used[name] = self.block()
            self.before.append(_stage(LOAD[kind][self.which], *arrays, self.used[name]))
            if name in written:
                at = SCALARS.index("seed") if kind in ("stochastic", "square8", "square16") else 0
                self.after.append(_stage(STORE[kind][self.which], *arrays, self.used[name], scalars=at))

    def call(self, addresses: tuple[int, ...], *slots: int, scalars: str = "") -> None:
        at = SCALARS.index(scalars) if scalars else 0
        self.calls.append(_stage(addresses[self.which], *slots, scalars=at))

    def copied(self, name: str) -> int:
        """Return a block that holds what a buffer holds by then."""
        block = self.block()
        self.call(stages.COPY, self.used[name], block)
        return block

    def program(self, written: frozenset[int]) -> Program:
        scratch = (*self.scratch, *[0] * (self.recipe.slots - len(self.scratch)))
        return Program.of((*self.before, *self.calls, *self.after), scratch, written)


def _stage(at: int, *slots: int, dims: int = 0, scalars: int = 0) -> tuple[int, tuple[int, ...], int, int, int]:
    return at, slots, 1, dims, scalars


@lru_cache(maxsize=256)  # recipes are few: rules, storage types and options of one program
def build(recipe: Recipe, number: int, target: str, zero: bool = False, stats: bool = False) -> Program:
    """Return what pass `number` of a step runs; the last one is the rule's.

    `zero` writes zeros into the gradients, `stats` sums up the squared update: in the last pass.
    """
    kernel, last = (*recipe.passes, recipe.kernel)[number], number == len(recipe.passes)
    own = _Stages(recipe)
    by_hand = fused.ADAM.get(recipe.state) if (kernel.name, recipe.compute, target) == FUSED else None
    own.hold(kernel.buffers if by_hand is None else ("param", "grad"), kernel.written)
    if recipe.clip and "grad" in own.used:
        clipped = own.block()
        own.call(stages.CLIP, own.used["grad"], clipped, scalars="grad_scale")
        own.used["grad"] = clipped
    if last and stats:
        old = own.copied("param")
    if recipe.decay and "param" in own.used:
        if not last and recipe.param == recipe.compute:
            own.used["param"] = own.copied("param")  # what is measured has decayed, what is kept has not yet
        own.call(stages.DECAY, own.used["param"], scalars="decay_kept")
    if by_hand is None:
        rule = address(kernel, recipe.compute, target)
        own.calls.append(_stage(rule, *(own.used[name] for name in kernel.buffers), dims=1, scalars=len(SCALARS)))
    else:
        kept = [own.touch(name) for name in recipe.columns if name.startswith("exp_avg")]
        own.calls.append(_stage(by_hand, own.used["param"], own.used["grad"], *kept, scalars=SCALARS.index("seed")))
    written = {own.slot[name] for name in kernel.written}
    if last:
        if stats:
            own.call(stages.CHANGE, own.used["param"], old)
        if recipe.average:
            own.call(stages.AVERAGE, own.used["param"], own.touch("average"), scalars="average_kept")
        if recipe.copy:
            own.after.append(_stage(STORE[recipe.copy][own.which], own.touch("copy"), own.used["param"]))
        if zero:
            own.after.append(_stage(stages.ZERO[BYTES[recipe.grad]], own.touch("grad")))
        written = {k for name, k in own.slot.items() if name != "grad" or zero}
    return own.program(frozenset(written))


@lru_cache(maxsize=256)
def norm(recipe: Recipe) -> Program:
    """Return what reads the gradients alone: the sum of squares, and 0, or NaN if one isn't finite."""
    own = _Stages(recipe)
    own.hold(("grad",), ())
    own.call(tuple([address(KERNELS["squares"], dtype, "cython") for dtype in DTYPES]), own.used["grad"])
    return own.program(frozenset())
