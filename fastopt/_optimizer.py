"""What all optimizers share: parameter groups, state, the step, state_dict."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from operator import is_
from typing import Any, ClassVar

import numpy as np

from fastopt import _check, _state_dict
from fastopt._config import get_num_threads, get_target
from fastopt.kernels.runtime.jobs import GRAD, Jobs
from fastopt.kernels.runtime.kernel import Kernel
from fastopt.kernels.runtime.launch import first_overlap

Group = dict[str, Any]

DOMAINS: dict[str, _check.Domain | list[_check.Domain]] = {  # a list: as many numbers, each of its own
    "betas": [_check.FRACTION, _check.FRACTION],
    "momentum": _check.FRACTION,
    "dampening": _check.UNIT,
    "beta": _check.FRACTION,
    "alpha": _check.FRACTION,
    "eps": _check.POSITIVE,
    "weight_decay": _check.NOT_NEGATIVE,
    "lr_decay": _check.NOT_NEGATIVE,
    "initial_accumulator_value": _check.NOT_NEGATIVE,
    "momentum_decay": _check.NOT_NEGATIVE,
    "rho": _check.FRACTION,
    "lambd": _check.NOT_NEGATIVE,
    "t0": _check.NOT_NEGATIVE,
    "l1": _check.NOT_NEGATIVE,
    "l2": _check.NOT_NEGATIVE,
    "alpha_warmup": _check.NOT_NEGATIVE,
    "beta3_warmup": _check.NOT_NEGATIVE,
    "warmup_steps": _check.NOT_NEGATIVE,
    "r": _check.NOT_NEGATIVE,
    "weight_lr_power": _check.NOT_NEGATIVE,
}


def flatten(tree: Any, name: str) -> list[tuple[str, Any]]:
    """Return the leaves of an array, a sequence, or a mapping of arrays, each with its name."""
    if isinstance(tree, Mapping):
        return [(f"{name}[{key!r}]", value) for key, value in tree.items()]
    if isinstance(tree, list | tuple):
        return [(f"{name}[{i}]", value) for i, value in enumerate(tree)]
    return [(name, tree)]


class Optimizer:
    """Base of all optimizers: `step(grads)` updates the parameters it was given, in place.

    Parameters
    ----------
    params : array, sequence of arrays, mapping of arrays, or list of groups
        float32 or float64 arrays of any shape and strides. A group is a mapping with "params" (an array, a
        sequence or a mapping) and any hyper-parameters that differ from the optimizer's own.
    **defaults
        Hyper-parameters of every group that does not name its own.

    Attributes
    ----------
    groups : list of dict
        The hyper-parameters of each group; may be changed between steps.
    steps : int
        Steps taken.
    state : list of dict of arrays
        Each parameter's state, by name, in the order of the parameters.
    carried : list of dict of float
        What each group carries from step to step beside arrays, by name; empty for most optimizers.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a writable float32 or float64 array, two of them overlap, or a hyper-parameter is
        unknown or outside its domain.

    Examples
    --------
    Biases without decay, at their own rate:

    >>> import numpy as np, fastopt as fo
    >>> weights, bias = np.ones((2, 3)), np.zeros(3)
    >>> opt = fo.optimizers.AdamW([{"params": weights}, {"params": bias, "lr": 0.5, "weight_decay": 0.0}], lr=0.1)
    >>> opt.step([np.ones((2, 3)), np.ones(3)])
    >>> bias.round(6)
    array([-0.5, -0.5, -0.5])
    >>> [group["lr"] for group in opt.groups], opt.steps
    ([0.1, 0.5], 1)
    """

    _reference: ClassVar[Callable[..., tuple]]
    _scalars: ClassVar[Callable[[Group, int], tuple]]
    _only_at_start: ClassVar[tuple[str, ...]] = ()
    _lr_domain: ClassVar[_check.Domain] = _check.NOT_NEGATIVE
    _domains: ClassVar[dict[str, _check.Domain | list[_check.Domain]]] = {}  # where they are not DOMAINS'
    _carries: ClassVar[dict[str, float]] = {}  # the numbers that a group carries, and where they start

    def __init__(self, params: Any, **defaults: Any):
        grouped = isinstance(params, list | tuple) and any(isinstance(entry, Mapping) for entry in params)
        entries = params if grouped else [{"params": params}]
        self.steps = 0
        self.groups: list[Group] = []
        self._grouped, self._defaults = grouped, defaults
        self._trees: list[Any] = []
        self._names: list[str] = []
        self._params: list[np.ndarray] = []
        self._group_of: list[int] = []
        for k, entry in enumerate(entries):
            name = f"params[{k}]" if grouped else "params"
            if not isinstance(entry, Mapping) or "params" not in entry:
                raise ValueError(f"{name}: expected a group with the key 'params', got {_check.describe(entry)}")
            unknown = [key for key in entry if key != "params" and key not in defaults]
            if unknown:
                raise ValueError(f"{name}: expected only {', '.join(defaults)} beside 'params', got {unknown[0]!r}")
            self.groups.append(self._checked({**defaults, **{key: entry[key] for key in entry if key != "params"}}))
            self._trees.append(entry["params"])
            for leaf_name, leaf in flatten(entry["params"], f"{name}['params']" if grouped else name):
                self._params.append(_check.writable(_check.array(leaf, leaf_name), leaf_name))
                self._names.append(leaf_name)
                self._group_of.append(k)
        if not self._params:
            raise ValueError("params: expected at least one array, got none")
        self._seen = [dict(group) for group in self.groups]
        self._shapes = [param.shape for param in self._params]  # an array can be resized behind our back
        self._find_ranges()
        self.state = [self._new_state(param, self.groups[k]) for param, k in zip(self._params, self._group_of)]
        self.carried = [dict(self._carries) for _ in self.groups]
        self._build_jobs()

    # ---- what a subclass says

    @staticmethod
    def _kernel(group: Group) -> Kernel:
        """Return the kernel that a group's options ask for."""
        raise NotImplementedError

    def _initial(self, name: str, group: Group, param: np.ndarray) -> float | np.ndarray:
        """Return the value, or values, that a state array starts from."""
        return 0.0

    @staticmethod
    def _carry(group: Group, step: int) -> dict[str, float]:
        """Return what a group carries after this step; `group` holds what it carried before, too."""
        return {}

    # ---- setting up

    def _checked(self, group: Group) -> Group:
        """Return the group with every hyper-parameter checked."""
        checked = dict(group)
        for name, value in group.items():
            if name == "lr":
                checked[name] = value if callable(value) else _check.number(value, name, self._lr_domain)
                continue
            domain = self._domains.get(name, DOMAINS.get(name))
            if domain is None:
                checked[name] = _check.flag(value, name)
            elif isinstance(domain, list):
                checked[name] = _check.numbers(value, name, domain)
            else:
                checked[name] = _check.number(value, name, domain)
        return checked

    def _new_state(self, param: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        names = self._kernel(group).buffers[GRAD + 1 :]
        return {name: np.full(param.shape, self._initial(name, group, param), param.dtype) for name in names}

    def _find_ranges(self) -> None:
        """Refuse parameters that overlap, and keep their ranges of memory, to hold gradients against."""
        bounds = sorted(
            (*np.lib.array_utils.byte_bounds(param), k) for k, param in enumerate(self._params) if param.size
        )
        for (_, stop, i), (start, _, j) in pairwise(bounds):
            if start < stop and np.shares_memory(self._params[i], self._params[j]):
                raise ValueError(
                    f"{self._names[j]}: expected memory apart from every other parameter, got an overlap with "
                    f"{self._names[i]}"
                )
        merged: list[list[int]] = []
        for start, stop, _ in bounds:  # views that interleave share one range
            if merged and start < merged[-1][1]:
                merged[-1][1] = max(stop, merged[-1][1])
            else:
                merged.append([start, stop])
        self._starts = np.array([start for start, _ in merged], np.uintp)
        self._stops = np.array([stop for _, stop in merged], np.uintp)

    def _build_jobs(self) -> None:
        members: dict[tuple[Kernel, np.dtype], list[int]] = {}
        for i, (param, k) in enumerate(zip(self._params, self._group_of)):
            members.setdefault((self._kernel(self.groups[k]), param.dtype), []).append(i)
        self._jobs = [
            (
                indices,
                Jobs(
                    kernel,
                    [self._params[i] for i in indices],
                    [list(self.state[i].values()) for i in indices],
                    [self._group_of[i] for i in indices],
                ),
            )
            for (kernel, _), indices in members.items()
        ]

    # ---- the learning rate

    @property
    def lr(self) -> float:
        """The first group's learning rate for the next step; setting it sets every group's."""
        return self._lr(self.groups[0])

    @lr.setter
    def lr(self, value: float | Callable[[int], float]) -> None:
        checked = value if callable(value) else _check.number(value, "lr", self._lr_domain)
        for group in self.groups:
            group["lr"] = checked

    def _lr(self, group: Group) -> float:
        lr = group["lr"]
        return _check.number(lr(self.steps), f"lr at step {self.steps}", self._lr_domain) if callable(lr) else lr

    # ---- the step

    def step(self, grads: Any) -> None:
        """Update every parameter, and its state, in place.

        Parameters
        ----------
        grads : same structure as `params`
            One gradient per parameter, of its shape and dtype; any strides. Not written.

        Raises
        ------
        TypeError, ValueError
            If a gradient is missing, of another shape or dtype, or overlaps a parameter. Nothing has been
            written then.
        """
        gradients = self._gradients(grads)
        groups = self._digested()
        target = get_target()
        # one list per kernel; where there is one kernel alone, its list is the whole
        parts = [gradients] if len(self._jobs) == 1 else [[gradients[i] for i in where] for where, _ in self._jobs]
        ready = [jobs.fits(part) for (_, jobs), part in zip(self._jobs, parts)]
        if not all(ready) or self._overlapping():
            self._refuse(gradients)
        if target == "reference":
            carried = self._step_reference(gradients, groups)
        else:
            carried = self.carried
            if self._carries:
                carried = [
                    self._carry({**group, **before}, self.steps + 1) for group, before in zip(groups, self.carried)
                ]
                groups = [{**group, **after} for group, after in zip(groups, carried)]
            for (_, jobs), part, fits in zip(self._jobs, parts, ready):
                jobs.run(part, self._table_of_scalars(jobs, groups), target, get_num_threads(), fits)
        self.carried = carried
        self.steps += 1

    def _table_of_scalars(self, jobs: Jobs, groups: list[Group]) -> np.ndarray:
        """Return this step's scalars, a row per group; rows of other kernels' groups stay zero."""
        table = np.zeros((len(groups), len(jobs.kernel.scalars)))
        for k in jobs.groups:
            table[k] = type(self)._scalars(groups[k], self.steps + 1)
        return table

    def _digested(self) -> list[Group]:
        """Return the groups with this step's lr, checked again where somebody changed them."""
        if len(self.groups) != len(self._seen):
            raise ValueError(f"groups: expected {len(self._seen)} groups, got {len(self.groups)}")
        changed = {}
        for k, (group, seen) in enumerate(zip(self.groups, self._seen)):
            if type(group) is not dict or group.keys() != seen.keys():
                got = f"the keys {sorted(map(str, group))}" if type(group) is dict else _check.describe(group)
                raise ValueError(f"groups[{k}]: expected the keys {sorted(seen)}, got {got}")
            if not all(map(is_, group.values(), seen.values())):
                changed[k] = self._checked(group)
                self._keeps_state(changed[k], seen, f"groups[{k}]")
        for k, checked in changed.items():  # in place: others may hold the group
            self.groups[k].update(checked)
            self._seen[k] = dict(self.groups[k])
        return [{**group, "lr": self._lr(group)} for group in self.groups]

    def _keeps_state(self, group: Group, seen: Group, name: str) -> None:
        """Refuse options that ask for another kernel, whose state is another."""
        if self._kernel(group) is not self._kernel(seen):
            raise ValueError(f"{name}: expected options that keep the optimizer's state, got {_check.describe(group)}")

    def _gradients(self, grads: Any) -> list[Any]:
        """Return the gradients in the order of the parameters."""
        trees = [grads]
        if self._grouped:
            if not isinstance(grads, list | tuple) or len(grads) != len(self._trees):
                raise ValueError(f"grads: expected a list of {len(self._trees)} groups, got {_check.describe(grads)}")
            trees = list(grads)
        flat: list[Any] = []
        for k, (tree, like) in enumerate(zip(trees, self._trees)):
            name = f"grads[{k}]" if self._grouped else "grads"
            if isinstance(like, Mapping):
                if not isinstance(tree, Mapping) or tree.keys() != like.keys():
                    got = f"the keys {sorted(map(str, tree))}" if isinstance(tree, Mapping) else _check.describe(tree)
                    raise ValueError(f"{name}: expected the keys {sorted(map(str, like))}, got {got}")
                flat += [tree[key] for key in like]
            elif isinstance(like, list | tuple):
                if not isinstance(tree, list | tuple) or len(tree) != len(like):
                    got = f"{len(tree)}" if isinstance(tree, list | tuple) else _check.describe(tree)
                    raise ValueError(f"{name}: expected a list of {len(like)} gradients, got {got}")
                flat += tree
            else:
                flat.append(tree)
        return flat

    def _overlapping(self) -> bool:
        return any(
            first_overlap(self._starts, self._stops, jobs.pointers, GRAD, jobs.sizes) >= 0 for _, jobs in self._jobs
        )

    def _refuse(self, gradients: list[Any]) -> None:
        """Raise for the gradient or parameter that can't be used; return if they are merely strided."""
        for name, param, shape, grad in zip(self._names, self._params, self._shapes, gradients):
            _check.writable(_check.array(param, name, shape=shape), name)
            grad_name = name.replace("params", "grads", 1).replace("['params']", "", 1)
            if grad is None:
                raise ValueError(f"{grad_name}: expected a gradient for every parameter, got None")
            _check.array(grad, grad_name, dtype=param.dtype, shape=shape)
            start, stop = np.lib.array_utils.byte_bounds(grad)
            nearest = np.searchsorted(self._stops, np.uintp(start), side="right")
            if nearest == len(self._starts) or self._starts[nearest] >= stop:
                continue
            for other_name, other in zip(self._names, self._params):
                if np.shares_memory(grad, other):
                    raise ValueError(
                        f"{grad_name}: expected memory apart from the parameters, got an overlap with {other_name}"
                    )

    def _step_reference(self, gradients: list[np.ndarray], groups: list[Group]) -> list[dict[str, float]]:
        """Step by the reference; return what each group carries then."""
        carried = list(self.carried)
        for param, grad, state, k in zip(self._params, gradients, self.state, self._group_of):
            hyper = {name: value for name, value in groups[k].items() if name not in self._only_at_start}
            wide = [array.astype(np.float64) for array in (param, grad)]
            named = {name: array.astype(np.float64) for name, array in state.items()}
            values = type(self)._reference(*wide, **named, **self.carried[k], **hyper, t=self.steps + 1)
            arrays, numbers = values[: 1 + len(state)], values[1 + len(state) :]
            for array, value in zip((param, *state.values()), arrays, strict=True):
                array[...] = value
            carried[k] = dict(zip(self._carries, map(float, numbers), strict=True))
        return carried

    # ---- state that outlives the process

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all that a later run needs: steps, hyper-parameters (a schedule is None), state."""
        groups = [{**group, "lr": None if callable(group["lr"]) else group["lr"]} for group in self.groups]
        state = {
            name: {key: array.copy() for key, array in state.items()} for name, state in zip(self._names, self.state)
        }
        carried = {"carried": [dict(numbers) for numbers in self.carried]} if self._carries else {}
        return {"optimizer": type(self).__name__, "steps": self.steps, "groups": groups, "state": state, **carried}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; a group whose saved lr is None keeps its own schedule.

        Raises
        ------
        TypeError, ValueError
            If it is of another optimizer, other parameters, shapes or dtypes; nothing has been changed then.
        """
        steps, groups, carried = _state_dict.checked(self, state_dict)
        for name, own in zip(self._names, self.state):
            for key, array in own.items():
                array[...] = state_dict["state"][name][key]
        for group, values in zip(self.groups, groups):
            group.update(values)
        self._seen, self.steps, self.carried = [dict(group) for group in self.groups], steps, carried

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle needs: all but the tables of addresses."""
        return {name: value for name, value in vars(self).items() if name not in ("_jobs", "_starts", "_stops")}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        vars(self).update(attributes)
        self._find_ranges()
        self._build_jobs()

    def __repr__(self) -> str:
        hyper = ", ".join(f"{name}={value!r}" for name, value in self.groups[0].items())
        return f"{type(self).__name__}({len(self._params)} parameters, {hyper}, steps={self.steps})"
