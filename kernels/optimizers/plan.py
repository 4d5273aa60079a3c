"""One step as a pipeline: load → decay, clip → the rule → average, copy, zero → store, over each block.

A recipe says all that parameters must have in common to share a launch. Rules × storage types × options meet here,
in a list of stages, and nowhere else.
"""

from dataclasses import dataclass
from functools import cache

from fastopt.kernels.optimizers import stages
from fastopt.kernels.runtime.jobs import Program
from fastopt.kernels.runtime.kernel import DTYPES, Kernel, address
from fastopt.kernels.runtime.storage import LOAD, STORE

# A row of scalars: first those of the stages, then those of the rule.
SCALARS = ("grad_scale", "clip_value", "decay_kept", "average_kept", "average_added", "seed", "step")
FLOATS = ("float32", "float64", "bfloat16", "float16")  # of parameters and gradients
SMALL = 4096  # elements: 8-bit state of smaller parameters stays in the compute type
WHOLE = {"z", "n", "ax", "step_size"}  # sums, and what moves by as little as parameters do: too coarse otherwise
SQUARES = {"exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum_of_squares", "acc_delta"}  # never negative
BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2, "split": 2, "stochastic": 2, "mean8": 1, "square8": 1}


def state_kind(name: str, wanted: str, compute: str, size: int) -> str:
    """Return how a state buffer is kept: `wanted` is a float type or "8bit"."""
    if name in WHOLE:
        return compute
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
        return len(self.columns) + len(self.kernel.buffers) + 2

    @property
    def columns(self) -> tuple[str, ...]:
        """The arrays of a parameter, in the order of the pointer table."""
        names = ["param", *(["param_lost_bits"] if self.param == "split" else []), "grad"]
        for name, kind in zip(self.kernel.buffers[2:], self.state, strict=True):
            names += [name, f"{name}_scale"] if kind in ("mean8", "square8") else [name]
        return (*names, *(["average"] if self.average else []), *(["copy"] if self.copy else []))


@cache
def build(recipe: Recipe, target: str, zero: bool, stats: bool) -> Program:
    """Return what a step runs; `zero` writes zeros into the gradients, `stats` sums up the squared update."""
    columns, which = recipe.columns, DTYPES.index(recipe.compute)
    slot = {name: k for k, name in enumerate(columns)}
    kinds = (recipe.param, recipe.grad, *recipe.state)
    widths = {name: BYTES[kind] for name, kind in zip(recipe.kernel.buffers, kinds, strict=True)}
    widths |= {"param_lost_bits": 2, "average": BYTES[recipe.compute], "copy": 2}
    scratch = [-widths.get(name, 0) for name in columns]  # below 0: bytes of an array, fetched a block ahead
    before, after, calls = [], [], []

    def block() -> int:
        scratch.append(BYTES[recipe.compute])
        return len(scratch) - 1

    def stage(at: int, *slots: int, scalars: int = 0):
        return at, slots, 1, 0, scalars

    used = {}
    for name, kind in zip(recipe.kernel.buffers, kinds, strict=True):
        arrays = [slot[column] for column in (name, f"{name}_lost_bits", f"{name}_scale") if column in slot]
        if kind == recipe.compute:
            used[name] = arrays[0]
            continue
        used[name] = block()
        before.append(stage(LOAD[kind][which], *arrays, used[name]))
        if name in recipe.kernel.written:
            at = SCALARS.index("seed") if kind == "stochastic" else 0
            after.append(stage(STORE[kind][which], *arrays, used[name], scalars=at))
    if recipe.clip:
        clipped = block()
        calls.append(stage(stages.CLIP[which], used["grad"], clipped, scalars=SCALARS.index("grad_scale")))
        used["grad"] = clipped
    if stats:
        old = block()
        calls.append(stage(stages.COPY[which], used["param"], old))
    if recipe.decay:
        calls.append(stage(stages.DECAY[which], used["param"], scalars=SCALARS.index("decay_kept")))
    rule = address(recipe.kernel, recipe.compute, target)
    calls.append(stage(rule, *(used[name] for name in recipe.kernel.buffers), scalars=len(SCALARS)))
    if stats:
        calls.append(stage(stages.CHANGE[which], used["param"], old))
    if recipe.average:
        calls.append(
            stage(stages.AVERAGE[which], used["param"], slot["average"], scalars=SCALARS.index("average_kept"))
        )
    if recipe.copy:
        after.append(stage(STORE[recipe.copy][which], slot["copy"], used["param"]))
    if zero:
        after.append(stage(stages.ZERO[BYTES[recipe.grad]], slot["grad"]))
    written = frozenset(k for name, k in slot.items() if name != "grad" or zero)
    scratch += [0] * (recipe.slots - len(scratch))
    return Program.of((*before, *calls, *after), tuple(scratch), written)


@cache
def norm(recipe: Recipe) -> Program:
    """Return what reads the gradients alone: the sum of squares, and 0, or NaN if one isn't finite."""
    which, slot = DTYPES.index(recipe.compute), recipe.columns.index("grad")
    scratch, before, at = [0] * recipe.slots, [], slot
    if recipe.grad != recipe.compute:
        at = len(recipe.columns)
        scratch[slot], scratch[at] = -BYTES[recipe.grad], BYTES[recipe.compute]
        before = [(LOAD[recipe.grad][which], (slot, at), 1, 0, 0)]
    return Program.of((*before, (stages.SQUARES[which], (at,), 1, 0, 0)), tuple(scratch))
