"""What an optimizer holds: parameters, groups, state, and the tables by which a step finds them."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers.batch import Batch, Setting
from fastopt.kernels.optimizers.recipe import FLOATS, WORK, Recipe
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.jobs import Call
from fastopt.kernels.runtime.settings import get_target
from fastopt.kernels.runtime.tables import first_overlap, hold_the_same, holds_the_same, unchanged
from fastopt.kernels.runtime.targets import way_of
from fastopt.kernels.runtime.whole import put, whole
from fastopt.optimizers.bound import Bound
from fastopt.optimizers.copies import check_lent, copy_call, names_of_lent
from fastopt.optimizers.memory import Layout, Memory
from fastopt.optimizers.options import Options, Overrides
from fastopt.optimizers.overrides import grouped
from fastopt.optimizers.refusals import memory_ranges, refuse_gradients
from fastopt.optimizers.rule import Group, Rule
from fastopt.trees import Tree

NONE: set[int] = set()
NOTHING: dict[str, float] = {}  # carried
PARAM = 0  # a column of every recipe
KEPT = 8  # sets of batches that are kept, one for each combination of the gradients' types
STEPS = "steps"
ADDRESSES = ("memories", "lent", "_starts", "_stops", "_batches", "_kinds", "_seen_zeroed")


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
    overrides : callable (key, array) -> mapping, optional
        A parameter's own hyper-parameters; those of the same ones become a group.
    copies : as params, optional
        Arrays that copies are written to.

    Attributes
    ----------
    tree, names, params, shapes, group_of
        The form that parameters came in; of each parameter what an error calls it, itself, its shape, its group.
    groups, seen : list of dict
        The groups' hyper-parameters, as people may change them, and as they were last checked.
    steps, carried : int, list of dict
        Steps taken, and what each group carries from step to step beside arrays.
    state, copies : list of dict of arrays, list of arrays
        Of each parameter; in memory of the store's own, but for copies that are `lent`.
    lent : list of arrays
        The first parameters' copies, if they are the caller's: looked at in every step, as parameters are.
    behind : dict
        Steps taken and numbers carried of the parameters that have come less far than their group: that missed
        gradients, or were added later.
    by_rows : bool
        Whether rows count their own steps.
    """

    def __init__(
        self, rule: Rule, options: Options, params: Any, hyper: Group, overrides: Overrides | None = None,
        copies: Any = None,
    ):  # fmt: skip
        self.rule, self.options, self.hyper = rule, options, hyper
        self.tree = Tree(params)
        self.names, self.group_of = self.tree.names, self.tree.group_of
        self.params = [self.taken(leaf, name) for name, leaf in zip(self.names, self.tree.leaves, strict=True)]
        self.shapes = [param.shape for param in self.params]  # an array can be resized behind our back
        for name, shape in zip(self.names, self.shapes, strict=True):
            refusal = "" if rule.layers is None else rule.layers.refusal(shape)
            if refusal:
                raise ValueError(f"{name}: {refusal}")
        self.lent = [] if copies is None else self.tree.flatten(copies, "copies", "copies")
        check_lent(self)
        given = self.tree.options
        if overrides is not None:
            self.group_of, given = grouped(self.tree, overrides, rule)
        self.groups: list[Group] = []
        for k, own in enumerate(given):
            unknown = [key for key in own if key not in hyper]
            if unknown:
                where = f"params[{k}]" if overrides is None else "overrides"
                raise ValueError(f"{where}: {expect.unknown(unknown[0], hyper)}")
            self.groups.append(rule.checked({**hyper, **own}, self.compute(k)))
        self.see([dict(group) for group in self.groups])
        self.steps, self.by_rows = 0, False
        self.behind: dict[int, tuple[int, dict[str, float]]] = {}
        self.carried = [dict(rule.carries) for _ in self.groups]
        self._begin_state()
        self.build_tables()
        whole([copy_call(self, i) for i in range(len(self.lent))])

    # ---- where arrays are: what a store on a device says otherwise

    def taken(self, leaf: Any, name: str) -> Any:
        """Return a parameter, if it is one; a memmap as what it is made of."""
        return np.asarray(expect.writable(expect.array(leaf, name, among=FLOATS), name))

    def door(self) -> ModuleType:
        """Return the room's way for the target in force, if it takes these arrays."""
        target = get_target()
        if target == "cuda":
            raise TypeError(
                "step: expected parameters on a GPU under target 'cuda', got NumPy arrays; make the optimizer there, "
                "of arrays on the GPU"
            )
        return way_of("optimizers", target)

    def zero(self, gradients: list[Any]) -> None:
        for gradient in gradients:
            if gradient is not None:
                gradient[...] = 0

    def expect_host(self, name: str) -> None:
        """Raise if a method can't work where the arrays are."""

    @staticmethod
    def put(array: Any, values: np.ndarray) -> Call:
        """Return the call that writes values into an array of ours."""
        return put(array, values)

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
        copy = {"copy": (kinds.dtype(recipe.copy), shape)} if recipe.copy and not self.lent else {}
        return self.rule.layout(recipe, shape) | copy

    def _hold(self, state: list[dict[str, Any]]) -> None:
        """Take arrays of our own memory as each parameter's state, and its copy."""
        self.state: list[dict[str, Any]] = state
        self.copies = self.lent or [own.pop("copy") for own in state if "copy" in own]

    def _begin_state(self) -> None:
        memory = Memory([self._layout(i) for i in range(len(self.params))])
        self.memories = [memory]
        for i, state in enumerate(memory.arrays):
            self._begin(i, self.groups[self.group_of[i]], state)
        self._hold(memory.arrays)

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
        rows, (steps, carried) = self.shapes[i][0], self.progress(i)
        counts = {of_rows(STEPS): np.full(rows, steps, np.int64)}
        return counts | {of_rows(name): np.full(rows, value, np.float64) for name, value in carried.items()}

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle needs: all but addresses."""
        return {name: value for name, value in vars(self).items() if name not in ADDRESSES}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        vars(self).update(attributes)
        self.lent = []
        given = [own | ({"copy": self.copies[i]} if self.copies else {}) for i, own in enumerate(self.state)]
        memory = Memory([{name: (a.dtype, a.shape) for name, a in own.items()} for own in given])
        self.memories = [memory]
        for own, mine in zip(given, memory.arrays, strict=True):
            for name, array in own.items():
                mine[name][...] = array
        self._hold(memory.arrays)
        self.build_tables()

    def take_options(self, options: Options) -> None:
        """Take other options for the steps to come; those that state depends on must stay."""
        if (options.ema_decay is None) != (self.options.ema_decay is None):
            was = "None" if self.options.ema_decay is None else "a number"
            raise ValueError(f"ema_decay: expected {was}, as at the optimizer's start, got {options.ema_decay!r}")
        self.options = options
        self.forget_batches()

    def check_params(self) -> None:
        """Raise for a parameter that can't be written."""
        for name, param, shape in zip(self.names, self.params, self.shapes, strict=True):
            expect.writable(expect.array(param, name, shape=shape, among=FLOATS), name)
        check_lent(self)

    # ---- groups

    def digested(self) -> list[Group]:
        """Return the groups with this step's lr, checked again where somebody changed them."""
        if len(self.groups) != len(self.seen):
            raise ValueError(f"groups: expected {len(self.seen)} groups, got {len(self.groups)}")
        if not hold_the_same(self.groups, self.seen):
            self._look_again()
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

    def progress(self, i: int) -> tuple[int, dict[str, float]]:
        """Return how many steps a parameter has taken, and what it carries."""
        return self.behind[i] if i in self.behind else (self.steps, self.carried[self.group_of[i]])

    def settings(self) -> tuple[list[Setting], list[int] | None]:
        """Return what parameters share in the next step that have come equally far, and each one's, if not its group's.

        A setting for each group stands first, then those of parameters that are behind.
        """
        groups, step = self.digested(), self.steps + 1
        if not self.rule.carries and not self.behind:
            return [Setting(group, step, NOTHING, NOTHING) for group in groups], None
        found = [self._setting(group, self.steps, before) for group, before in zip(groups, self.carried, strict=True)]
        if not self.behind:
            return found, None
        rows, known = list(self.group_of), {}
        for i, (steps, before) in self.behind.items():
            key = self.group_of[i], steps, *before.values()
            if key not in known:
                known[key] = len(found)
                found.append(self._setting(groups[self.group_of[i]], steps, before))
            rows[i] = known[key]
        return found, rows

    def _setting(self, group: Group, steps: int, before: dict[str, float]) -> Setting:
        return Setting(group, steps + 1, before, self.rule.carry({**group, **before}, steps + 1))

    def counting(self, settings: list[Setting], rows: list[int] | None, missing: set[int]) -> tuple[Call, ...]:
        """Return the calls that count a step in which some gradients were missing."""
        calls: tuple[Call, ...] = ((setattr, (self, "steps", self.steps + 1), {}),)
        if self.rule.carries:
            carried = [dict(setting.after) for setting in settings[: len(self.groups)]]
            calls += ((setattr, (self, "carried", carried), {}),)
        if missing or self.behind:
            behind = {}
            for i in sorted({*self.behind, *missing}):
                if i in missing:
                    behind[i] = self.progress(i)
                elif rows is not None:
                    behind[i] = settings[rows[i]].step, dict(settings[rows[i]].after)
            calls += ((setattr, (self, "behind", behind), {}),)
        return calls

    # ---- tables

    def build_tables(self) -> None:
        """Refuse parameters that overlap, and keep the ranges of memory that gradients must stay out of."""
        self._starts, self._stops = memory_ranges(
            self.names + names_of_lent(self), self.params + self.lent, self.memories
        )
        self.forget_batches()

    def forget_batches(self) -> None:
        """Make batches anew at the next step."""
        self._batches: dict[tuple[str, ...], list[Bound]] = {}
        self._kinds: tuple[str, ...] = ()  # of the last step's gradients
        self._seen_zeroed = False  # whether those were found apart from each other, too

    def bind(
        self, gradients: list[Any], zeroed: bool, rows: list[int] | None = None, missing: set[int] = NONE
    ) -> list[Bound]:  # fmt: skip
        """Return the batches of a step, with their arrays bound; raises if one can't be used. `release` them after it.

        `rows` says which setting is each parameter's, if not its group's; the gradients that are `missing` are None.
        Where the gradients are of the same types as in the last step, this is all there is to check.
        """
        bound = self._batches.get(self._kinds)
        if bound is None or not self._fit(bound, gradients, zeroed, missing) or not self._apart(bound, zeroed):
            check_lent(self)
            refuse_gradients(self, self._starts, self._stops, gradients, zeroed, missing)
            gradients = [None if gradient is None else np.asarray(gradient) for gradient in gradients]
            kinds_of = zip(self.params, gradients, strict=True)
            self._kinds = tuple([kinds.name((param if grad is None else grad).dtype) for param, grad in kinds_of])
            bound = self._batches.get(self._kinds)
            if bound is None:
                while len(self._batches) >= KEPT:
                    del self._batches[next(iter(self._batches))]
                bound = self._batches[self._kinds] = self._grouped(gradients)
            if self._fit(bound, gradients, zeroed, missing):
                for each in bound:
                    each.seen[...] = each.jobs.pointers[:, [PARAM, each.grad]]
                self._seen_zeroed = zeroed
        for each in bound:
            if each.special or rows is not None or missing:
                each.take(self.group_of if rows is None else rows, missing)
                each.special = rows is not None or bool(missing)
        return bound

    @staticmethod
    def release(batches: Sequence[Batch]) -> None:
        """Let go of the gradients."""
        for batch in batches:
            batch.jobs.release(batch.grad)

    def _fit(self, bound: list[Bound], gradients: list[Any], zeroed: bool, missing: set[int]) -> bool:
        """Bind parameters and gradients; True if every one is contiguous and as it was before."""
        fits = True
        for each in bound:
            own = gradients if len(bound) == 1 else [gradients[i] for i in each.members]
            each.packed = each.jobs.bind(PARAM, writable=True) & each.jobs.bind(each.grad, own, zeroed, not missing)
            if self.lent:
                each.packed &= each.jobs.bind(each.names.index("copy"), writable=True)
            fits &= each.packed
        return fits

    def _apart(self, bound: list[Bound], zeroed: bool) -> bool:
        """Whether no gradient is known to reach into memory of ours; that of gradients into each other takes a look."""
        if zeroed and not self._seen_zeroed:
            return False
        for each in bound:
            if unchanged(each.jobs.pointers, PARAM, each.grad, each.seen):
                continue
            if zeroed or first_overlap(self._starts, self._stops, each.jobs.pointers, each.grad, each.sizes) >= 0:
                return False
        return True

    def _grouped(self, gradients: list[Any]) -> list[Bound]:
        members: dict[Recipe, list[int]] = {}
        for i, kind in enumerate(self._kinds):
            members.setdefault(self.recipe(i, kind), []).append(i)
        return [self._batch(recipe, indices, gradients) for recipe, indices in members.items()]

    def _batch(self, recipe: Recipe, indices: list[int], gradients: list[Any]) -> Bound:
        dtype = kinds.dtype(recipe.grad)
        like = [np.broadcast_to(np.empty((), dtype), self.shapes[i]) for i in indices]  # a gradient may be missing
        columns = {"param": [self.params[i] for i in indices], "grad": like}
        columns |= {"copy": [self.copies[i] for i in indices]} if recipe.copy else {}
        kept = [name for name in recipe.columns if name not in columns and name not in WORK]
        columns |= {name: [self.state[i][name] for i in indices] for name in kept}
        batch = Bound(recipe, columns, [self.group_of[i] for i in indices], indices, self.rule.layers)
        batch.members = indices
        batch.sizes = np.array([self.params[i].size * dtype.itemsize for i in indices], np.int64)
        batch.seen = np.zeros((len(indices), 2), np.uintp)
        return batch
