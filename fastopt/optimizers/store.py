"""What an optimizer holds: parameters, groups, state, and the tables by which a step finds them."""

from collections.abc import Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers.batch import Batch, Setting
from fastopt.kernels.optimizers.recipe import FLOATS, WORK, Recipe
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.jobs import Call
from fastopt.kernels.runtime.settings import get_target
from fastopt.kernels.runtime.tables import first_overlap, holds_the_same, unchanged
from fastopt.kernels.runtime.targets import way
from fastopt.kernels.runtime.whole import whole
from fastopt.optimizers.memory import Layout, Memory
from fastopt.optimizers.options import Options
from fastopt.optimizers.rule import Group, Rule
from fastopt.trees import Tree

NOTHING: dict[str, float] = {}  # carried
PARAM = 0  # a column of every recipe
KEPT = 8  # sets of batches that are kept, one for each combination of the gradients' types
STEPS = "steps"
ADDRESSES = ("memory", "_starts", "_stops", "_batches", "_kinds", "_seen_zeroed")


def of_rows(name: str) -> str:
    """Return the state's name of what each row of a parameter counts by itself: `step_rows` makes it."""
    return f"{name}_of_rows"


class Store:
    """Parameters and what is kept of them.

    Parameters
    ----------
    rule : Rule
    options : Options
    params : array, sequence or mapping of arrays, or list of groups
    hyper : dict
        Hyper-parameters of every group that doesn't name its own.

    Attributes
    ----------
    tree, names, params, shapes, group_of
        The form that parameters came in; of each parameter what an error calls it, itself, its shape, its group.
    groups, seen : list of dict
        The groups' hyper-parameters, as people may change them, and as they were last checked.
    steps, carried : int, list of dict
        Steps taken, and what each group carries from step to step beside arrays.
    state, copies : list of dict of arrays, list of arrays
        Of each parameter; in memory of the store's own.
    by_rows : bool
        Whether rows count their own steps.
    """

    def __init__(self, rule: Rule, options: Options, params: Any, hyper: Group):
        self.rule, self.options = rule, options
        self.tree = Tree(params)
        self.names, self.group_of = self.tree.names, self.tree.group_of
        self.params = [self.taken(leaf, name) for name, leaf in zip(self.names, self.tree.leaves, strict=True)]
        self.shapes = [param.shape for param in self.params]  # an array can be resized behind our back
        for name, shape in zip(self.names, self.shapes, strict=True):
            refusal = "" if rule.layers is None else rule.layers.refusal(shape)
            if refusal:
                raise ValueError(f"{name}: {refusal}")
        self.groups: list[Group] = []
        for k, own in enumerate(self.tree.options):
            unknown = [key for key in own if key not in hyper]
            if unknown:
                raise ValueError(f"params[{k}]: {expect.unknown(unknown[0], hyper)}")
            self.groups.append(rule.checked({**hyper, **own}, self.compute(k)))
        self.see([dict(group) for group in self.groups])
        self.steps, self.by_rows = 0, False
        self.carried = [dict(rule.carries) for _ in self.groups]
        self._begin_state()
        self.build_tables()

    # ---- where arrays are: what a store on a device says otherwise

    def taken(self, leaf: Any, name: str) -> Any:
        """Return a parameter, if it is one; a memmap as what it is made of."""
        return np.asarray(expect.writable(expect.array(leaf, name, among=FLOATS), name))

    def door(self) -> ModuleType:
        """Return the room's way for the target in force, if it takes these arrays."""
        if get_target() == "cuda":
            raise TypeError(
                "step: expected parameters on a GPU under target 'cuda', got NumPy arrays; make the optimizer there, "
                "of arrays on the GPU"
            )
        return way("optimizers")

    def zero(self, gradients: list[Any]) -> None:
        for gradient in gradients:
            gradient[...] = 0

    def expect_host(self, name: str) -> None:
        """Raise if a method can't work where the arrays are."""

    @staticmethod
    def write(array: Any, values: np.ndarray) -> None:
        """Write values into an array of ours."""
        np.copyto(array, values)

    def compute(self, k: int) -> str:
        """Return the narrowest type that a group's parameters are computed in."""
        own = [str(param.dtype) for param, of in zip(self.params, self.group_of, strict=True) if of == k]
        return "float64" if all(dtype == "float64" for dtype in own) else "float32"

    # ---- state

    def recipe(self, i: int, grad: str = "float32") -> Recipe:
        """Return what a step does to parameter `i` when its gradient is of type `grad`."""
        group = self.groups[self.group_of[i]]
        return self.rule.recipe(group, self.shapes[i], str(self.params[i].dtype), grad, self.options)

    def _layout(self, i: int) -> Layout:
        recipe, shape = self.recipe(i), self.shapes[i]
        copy = {"copy": (kinds.dtype(recipe.copy), shape)} if recipe.copy else {}
        return self.rule.layout(recipe, shape) | copy

    def _hold(self, state: list[dict[str, Any]]) -> None:
        """Take arrays of our own memory as each parameter's state, and its copy."""
        self.state: list[dict[str, Any]] = state
        self.copies = [own.pop("copy") for own in state if "copy" in own]

    def _begin_state(self) -> None:
        self.memory = Memory([self._layout(i) for i in range(len(self.params))])
        for i, state in enumerate(self.memory.arrays):
            self._begin(i, self.groups[self.group_of[i]], state)
        self._hold(self.memory.arrays)

    def _begin(self, i: int, group: Group, state: dict[str, np.ndarray]) -> None:
        """Write what a parameter's state begins with into arrays of zeros."""
        param = self.params[i]
        with np.errstate(all="ignore"):
            if "lr" in self.rule.only_at_start:
                group = {**group, "lr": self.rule.lr(group, self.steps)}
            self.rule.begin(self.recipe(i), group, param, state)
            if "copy" in state:
                state["copy"][...] = param.astype(state["copy"].dtype)

    def fresh_state(self, i: int, group: Group) -> dict[str, np.ndarray]:
        """Return what a parameter's state begins with in such a group, in arrays that are not ours."""
        state = {name: np.zeros(shape, dtype) for name, (dtype, shape) in self._layout(i).items()}
        self._begin(i, group, state)
        return state

    def whole_state(self, i: int) -> dict[str, np.ndarray]:
        """Return a parameter's state without what its rows count."""
        counts = {of_rows(name) for name in (STEPS, *self.rule.carries)}
        return {name: array for name, array in self.state[i].items() if name not in counts}

    def new_counts(self, i: int) -> dict[str, np.ndarray]:
        """Return what each row of a parameter counts, as if it had taken every step so far."""
        if not self.shapes[i]:
            return {}
        rows, carried = self.shapes[i][0], self.carried[self.group_of[i]]
        counts = {of_rows(STEPS): np.full(rows, self.steps, np.int64)}
        return counts | {of_rows(name): np.full(rows, value, np.float64) for name, value in carried.items()}

    def count_rows(self) -> None:
        """From here on, rows count their own steps."""
        if not self.by_rows:
            for i in range(len(self.params)):
                self.state[i] |= self.new_counts(i)
            self.by_rows = True

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle needs: all but addresses."""
        return {name: value for name, value in vars(self).items() if name not in ADDRESSES}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        vars(self).update(attributes)
        given = [own | ({"copy": self.copies[i]} if self.copies else {}) for i, own in enumerate(self.state)]
        self.memory = Memory([{name: (a.dtype, a.shape) for name, a in own.items()} for own in given])
        for own, mine in zip(given, self.memory.arrays, strict=True):
            for name, array in own.items():
                mine[name][...] = array
        self._hold(self.memory.arrays)
        self.build_tables()

    def take_options(self, options: Options) -> None:
        """Take other options for the steps to come; those that state depends on must stay."""
        if (options.ema_decay is None) != (self.options.ema_decay is None):
            was = "None" if self.options.ema_decay is None else "a number"
            raise ValueError(f"ema_decay: expected {was}, as at the optimizer's start, got {options.ema_decay!r}")
        self.options = options
        self.forget_batches()

    def refresh(self) -> None:
        """Begin copies, averages and lost bits anew from the parameters."""
        writes: list[Call] = []
        with np.errstate(all="ignore"):
            for i, (param, state) in enumerate(zip(self.params, self.state, strict=True)):
                if "average" in state:
                    average = kinds.read(str(param.dtype), [param], str(state["average"].dtype))
                    writes.append((np.copyto, (state["average"], average), {}))
                if "param_lost_bits" in state:
                    writes.append((state["param_lost_bits"].fill, (0,), {}))
                if self.copies:
                    writes.append(self.copy_call(i))
        whole(writes)

    def copy_call(self, i: int) -> Call:
        """Return the call that writes a parameter into its copy."""
        with np.errstate(all="ignore"):
            return np.copyto, (self.copies[i], self.params[i].astype(self.copies[i].dtype)), {}

    def check_params(self) -> None:
        """Raise for a parameter that can't be written."""
        for name, param, shape in zip(self.names, self.params, self.shapes, strict=True):
            expect.writable(expect.array(param, name, shape=shape, among=FLOATS), name)

    # ---- groups

    def digested(self) -> list[Group]:
        """Return the groups with this step's lr, checked again where somebody changed them."""
        if len(self.groups) != len(self.seen):
            raise ValueError(f"groups: expected {len(self.seen)} groups, got {len(self.groups)}")
        for group, seen in zip(self.groups, self.seen):
            if type(group) is not dict or not holds_the_same(group, seen):
                self._look_again()
                break
        if not self.scheduled:
            return self.groups
        return [{**group, "lr": self.rule.lr(group, self.steps)} for group in self.groups]

    def _look_again(self) -> None:
        """Check the groups that somebody changed: all of them, before one is taken over."""
        changed = {}
        for k, (group, seen) in enumerate(zip(self.groups, self.seen, strict=True)):
            if type(group) is not dict or group.keys() != seen.keys():
                got = f"the keys {sorted(map(str, group))}" if type(group) is dict else expect.describe(group)
                raise ValueError(f"groups[{k}]: expected the keys {sorted(seen)}, got {got}")
            if not holds_the_same(group, seen):
                changed[k] = self.rule.checked(group, self.compute(k))
                self.keeps_state(changed[k], seen, f"groups[{k}]")
        for k, checked in changed.items():  # in place: others may hold the group
            self.groups[k].update(checked)
        self.see([dict(group) for group in self.groups])

    def see(self, groups: list[Group]) -> None:
        """Remember the groups as checked."""
        self.seen, self.scheduled = groups, any(callable(group["lr"]) for group in groups)

    def keeps_state(self, group: Group, seen: Group, name: str) -> None:
        """Refuse options that ask for another kernel, whose state is another."""
        if self.rule.kernels(group, ()) != self.rule.kernels(seen, ()):
            raise ValueError(f"{name}: expected options that keep the optimizer's state, got {expect.describe(group)}")

    def settings(self) -> list[Setting]:
        """Return what each group's parameters share in the next step, and what the groups carry behind it."""
        groups, step = self.digested(), self.steps + 1
        if not self.rule.carries:
            return [Setting(group, step, NOTHING, NOTHING) for group in groups]
        return [
            Setting(group, step, before, self.rule.carry({**group, **before}, step))
            for group, before in zip(groups, self.carried, strict=True)
        ]

    # ---- tables

    def build_tables(self) -> None:
        """Refuse parameters that overlap, and keep the ranges of memory that gradients must stay out of."""
        bounds = sorted((*np.lib.array_utils.byte_bounds(p), k) for k, p in enumerate(self.params) if p.size)
        for (_, stop, i), (start, _, j) in pairwise(bounds):
            if start < stop and np.shares_memory(self.params[i], self.params[j]):
                raise ValueError(
                    f"{self.names[j]}: expected memory apart from every other parameter, got an overlap with "
                    f"{self.names[i]}"
                )
        merged: list[list[int]] = []
        own = [(self.memory.start, self.memory.stop)] if self.memory.stop > self.memory.start else []
        for start, stop in sorted([(start, stop) for start, stop, _ in bounds] + own):
            if merged and start < merged[-1][1]:  # views that interleave share one range
                merged[-1][1] = max(stop, merged[-1][1])
            else:
                merged.append([start, stop])
        self._starts = np.array([start for start, _ in merged], np.uintp)
        self._stops = np.array([stop for _, stop in merged], np.uintp)
        self.forget_batches()

    def forget_batches(self) -> None:
        """Make batches anew at the next step."""
        self._batches: dict[tuple[str, ...], list[_Bound]] = {}
        self._kinds: tuple[str, ...] = ()  # of the last step's gradients
        self._seen_zeroed = False  # whether those were found apart from each other, too

    def bind(self, gradients: list[Any], zeroed: bool) -> "list[_Bound]":
        """Return the batches of a step, with their arrays bound; raises if one can't be used. `release` them after it.

        Where the gradients are of the same types as in the last step, this is all there is to check.
        """
        bound = self._batches.get(self._kinds)
        if bound is None or not self._fit(bound, gradients, zeroed) or not self._apart(bound, zeroed):
            self._refuse(gradients, zeroed)
            gradients = list(map(np.asarray, gradients))
            self._kinds = tuple([str(gradient.dtype) for gradient in gradients])
            bound = self._batches.get(self._kinds)
            if bound is None:
                while len(self._batches) >= KEPT:
                    del self._batches[next(iter(self._batches))]
                bound = self._batches[self._kinds] = self._grouped(gradients)
            if self._fit(bound, gradients, zeroed):
                for each in bound:
                    each.seen[...] = each.jobs.pointers[:, [PARAM, each.grad]]
                self._seen_zeroed = zeroed
        return bound

    @staticmethod
    def release(batches: Sequence[Batch]) -> None:
        """Let go of the gradients."""
        for batch in batches:
            batch.jobs.release(batch.grad)

    def _fit(self, bound: "list[_Bound]", gradients: list[Any], zeroed: bool) -> bool:
        """Bind parameters and gradients; True if every one is contiguous and as it was before."""
        fits = True
        for each in bound:
            own = gradients if len(bound) == 1 else [gradients[i] for i in each.members]
            each.packed = each.jobs.bind(PARAM, writable=True) & each.jobs.bind(each.grad, own, zeroed)
            fits &= each.packed
        return fits

    def _apart(self, bound: "list[_Bound]", zeroed: bool) -> bool:
        """Whether no gradient is known to reach into memory of ours; that of gradients into each other takes a look."""
        if zeroed and not self._seen_zeroed:
            return False
        for each in bound:
            if unchanged(each.jobs.pointers, PARAM, each.grad, each.seen):
                continue
            if zeroed or first_overlap(self._starts, self._stops, each.jobs.pointers, each.grad, each.sizes) >= 0:
                return False
        return True

    def _grouped(self, gradients: list[np.ndarray]) -> "list[_Bound]":
        members: dict[Recipe, list[int]] = {}
        for i, gradient in enumerate(gradients):
            members.setdefault(self.recipe(i, str(gradient.dtype)), []).append(i)
        return [self._batch(recipe, indices, gradients) for recipe, indices in members.items()]

    def _batch(self, recipe: Recipe, indices: list[int], gradients: list[np.ndarray]) -> "_Bound":
        columns = {"param": [self.params[i] for i in indices], "grad": [gradients[i] for i in indices]}
        columns |= {"copy": [self.copies[i] for i in indices]} if recipe.copy else {}
        kept = [name for name in recipe.columns if name not in columns and name not in WORK]
        columns |= {name: [self.state[i][name] for i in indices] for name in kept}
        batch = _Bound(recipe, columns, [self.group_of[i] for i in indices], indices, self.rule.layers)
        batch.members = indices
        batch.sizes = np.array([gradients[i].nbytes for i in indices], np.int64)
        batch.seen = np.zeros((len(indices), 2), np.uintp)
        return batch

    def _refuse(self, gradients: list[Any], zeroed: bool) -> None:
        """Raise for the gradient or parameter that can't be used; return if all can."""
        seen: list[tuple[int, int, str, np.ndarray]] = []
        for name, param, shape, gradient in zip(self.names, self.params, self.shapes, gradients, strict=True):
            expect.writable(expect.array(param, name, shape=shape, among=FLOATS), name)
            own = name.replace("params", "grads", 1).replace("['params']", "", 1)
            if gradient is None:
                raise ValueError(f"{own}: expected a gradient for every parameter, got None")
            expect.array(gradient, own, shape=shape, among=FLOATS)
            if zeroed:
                expect.writable(gradient, own)
            start, stop = np.lib.array_utils.byte_bounds(gradient)
            if gradient.size:
                seen.append((start, stop, own, gradient))
            nearest = np.searchsorted(self._stops, np.uintp(start), side="right")
            if nearest < len(self._starts) and self._starts[nearest] < stop:
                self.refuse_overlap(own, gradient)
        if zeroed:
            _refuse_shared(seen)

    def refuse_overlap(self, own: str, gradient: np.ndarray) -> None:
        """Raise if a gradient shares memory with a parameter, or with what the optimizer keeps."""
        for name, param in zip(self.names, self.params, strict=True):
            if np.shares_memory(gradient, param):
                raise ValueError(f"{own}: expected memory apart from the parameters, got an overlap with {name}")
        for i, state in enumerate(self.state):
            kept = state | ({"copy": self.copies[i]} if self.copies else {})
            for key, array in kept.items():
                if np.shares_memory(gradient, array):
                    raise ValueError(
                        f"{own}: expected memory apart from the optimizer's own, got an overlap with the {key!r} of "
                        f"{self.names[i]}"
                    )


class _Bound(Batch):
    """A batch, and what a store remembers of its last step."""

    members: list[int]  # in the parameters' order
    sizes: np.ndarray  # bytes of each gradient
    seen: np.ndarray  # where parameters and gradients were when they were last found apart


def _refuse_shared(seen: list[tuple[int, int, str, np.ndarray]]) -> None:
    """Raise if two gradients share memory: the first job would zero what the second is to read."""
    reach = 0  # of the memory seen so far
    ordered = sorted(seen, key=lambda entry: entry[:2])
    for k, (start, stop, name, gradient) in enumerate(ordered):
        for _, other_stop, other_name, other in ordered[:k] if start < reach else ():
            if start < other_stop and np.shares_memory(gradient, other):
                raise ValueError(
                    f"{name}: expected memory apart from every other gradient with zero_grads, got an overlap with "
                    f"{other_name}"
                )
        reach = max(reach, stop)
