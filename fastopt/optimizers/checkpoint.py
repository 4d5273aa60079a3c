"""State that outlives the process: `state_dict`, `load_state_dict`, copies and pickles of optimizers."""

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastopt import expect
from fastopt.optimizers import saving
from fastopt.optimizers.torch_state import TorchState

Group = dict[str, Any]
TABLES = ("_plans", "_starts", "_stops")  # of addresses: made anew for a copy


STEPS = "steps"


def of_rows(name: str) -> str:
    """Return the state's name of what each row of a parameter counts by itself: `step_rows` makes it."""
    return f"{name}_of_rows"


def _alike(value: Any, own: np.ndarray, name: str) -> None:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {expect.describe(value)}")
    if value.dtype != own.dtype:
        raise TypeError(f"{name}: expected {own.dtype}, got {value.dtype}")
    if value.shape != own.shape:
        raise ValueError(f"{name}: expected shape {own.shape}, got {value.shape}")


class StateDict(TorchState):
    """The part of an optimizer that saves and loads; `Optimizer` holds what it speaks of."""

    steps: int
    groups: list[Group]
    state: list[dict[str, np.ndarray]]
    carried: list[dict[str, float]]
    _carries: ClassVar[dict[str, float]] = {}  # the numbers that a group carries from step to step, and their start
    _names: list[str]
    _params: list[np.ndarray]
    _group_of: list[int]
    _by_rows: bool
    _seen: list[Group]

    def _checked(self, group: Group) -> Group:
        raise NotImplementedError

    def _keeps_state(self, group: Group, seen: Group, name: str) -> None:
        raise NotImplementedError

    def _build_tables(self) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all that a later run needs: steps, hyper-parameters (a schedule is None), state."""
        state = {
            name: {key: array.copy() for key, array in state.items()} for name, state in zip(self._names, self.state)
        }
        carried = {"carried": [dict(numbers) for numbers in self.carried]} if self._carries else {}
        groups = self._saved_groups()
        return {"optimizer": type(self).__name__, "steps": self.steps, "groups": groups, "state": state, **carried}

    def _saved_groups(self) -> list[Group]:
        return [{**group, "lr": None if callable(group["lr"]) else group["lr"]} for group in self.groups]

    def save(self, path: str | os.PathLike) -> None:
        """Write what `state_dict` holds to a safetensors file; parameters are not part of it.

        The file is written beside its place and then moved there: whatever interrupts it, the old file or the new one
        is there, whole. Needs the package safetensors (`pip install 'fastopt[save]'`).

        Parameters
        ----------
        path : str or path

        Raises
        ------
        OSError
            If it can't be written.

        Examples
        --------
        >>> import numpy as np, fastopt as fo, tempfile, os
        >>> opt = fo.optimizers.Adam(np.ones(3))
        >>> opt.step(np.ones(3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     opt.save(os.path.join(folder, "adam.safetensors"))
        ...     other = fo.optimizers.Adam(np.ones(3))
        ...     other.load(os.path.join(folder, "adam.safetensors"))
        >>> other.steps
        1
        """
        saving.save(self, path)

    def load(self, path: str | os.PathLike) -> None:
        """Take over what `save` wrote; a group whose saved lr is None (a schedule) keeps its own.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            If there is no such file, it is damaged, or of another optimizer, other parameters, shapes or types;
            nothing has been changed then.
        """
        self.load_state_dict(saving.load(path))

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; a group whose saved lr is None keeps its own schedule.

        Raises
        ------
        TypeError, ValueError
            If it is of another optimizer, other parameters, shapes or dtypes; nothing has been changed then.
        """
        wanted = {"optimizer", "steps", "groups", "state", *(["carried"] if self._carries else [])}
        if not isinstance(state_dict, Mapping) or not wanted <= state_dict.keys():
            raise ValueError(f"state_dict: expected the keys {sorted(wanted)}, got {expect.describe(state_dict)}")
        if state_dict["optimizer"] != type(self).__name__:
            raise ValueError(
                f"state_dict: expected the state of {type(self).__name__}, got {state_dict['optimizer']!r}"
            )
        steps, groups, state = state_dict["steps"], state_dict["groups"], state_dict["state"]
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise ValueError(f"state_dict['steps']: expected an integer ≥ 0, got {steps!r}")
        if not isinstance(groups, list | tuple) or len(groups) != len(self.groups):
            raise ValueError(f"state_dict['groups']: expected {len(self.groups)} groups, got {expect.describe(groups)}")
        fresh = []
        for k, (group, own) in enumerate(zip(groups, self.groups)):
            if not isinstance(group, Mapping) or group.keys() != own.keys():
                raise ValueError(
                    f"state_dict['groups'][{k}]: expected the keys {sorted(own)}, got {expect.describe(group)}"
                )
            fresh.append(self._checked({**group, "lr": own["lr"] if group["lr"] is None else group["lr"]}))
            self._keeps_state(fresh[k], self._seen[k], f"state_dict['groups'][{k}]")
        carried = self._loaded_numbers(state_dict["carried"]) if self._carries else self.carried
        if not isinstance(state, Mapping) or list(state) != self._names:
            raise ValueError(
                f"state_dict['state']: expected the parameters {self._names}, got {expect.describe(state)}"
            )
        by_rows = any(of_rows(STEPS) in own for own in state.values() if isinstance(own, Mapping))
        arrays = [self._whole_state(k) | (self._new_counts(k) if by_rows else {}) for k in range(len(self._params))]
        for name, own_state in zip(self._names, arrays):
            if not isinstance(state[name], Mapping) or state[name].keys() != own_state.keys():
                raise ValueError(
                    f"state_dict['state'][{name!r}]: expected the keys {sorted(own_state)}, got "
                    f"{expect.describe(state[name])}"
                )
            for key, array in own_state.items():
                _alike(state[name][key], array, f"state_dict['state'][{name!r}][{key!r}]")
        for name, own_state in zip(self._names, arrays):
            for key, array in own_state.items():
                array[...] = state[name][key]
        self.state, self._by_rows = arrays, by_rows
        for group, values in zip(self.groups, fresh):
            group.update(values)
        self._seen, self.steps, self.carried = [dict(group) for group in self.groups], steps, carried

    def _whole_state(self, k: int) -> dict[str, np.ndarray]:
        """Return a parameter's state without what its rows count."""
        counts = {of_rows(name) for name in (STEPS, *self._carries)}
        return {name: array for name, array in self.state[k].items() if name not in counts}

    def _new_counts(self, k: int) -> dict[str, np.ndarray]:
        """Return what each row of a parameter counts, as if it had taken every step so far."""
        if not self._params[k].ndim:
            return {}
        rows, carried = len(self._params[k]), self.carried[self._group_of[k]]
        counts = {of_rows(STEPS): np.full(rows, self.steps, np.int64)}
        return counts | {of_rows(name): np.full(rows, value, np.float64) for name, value in carried.items()}

    def _loaded_numbers(self, carried: Any) -> list[dict[str, float]]:
        """Return what the groups carry as a state_dict has it, checked."""
        if not isinstance(carried, list | tuple) or len(carried) != len(self.groups):
            raise ValueError(
                f"state_dict['carried']: expected {len(self.groups)} groups, got {expect.describe(carried)}"
            )
        fresh = []
        for k, numbers in enumerate(carried):
            name = f"state_dict['carried'][{k}]"
            if not isinstance(numbers, Mapping) or numbers.keys() != self._carries.keys():
                raise ValueError(f"{name}: expected the keys {sorted(self._carries)}, got {expect.describe(numbers)}")
            fresh.append(
                {
                    key: expect.number(numbers[key], f"{name}[{key!r}]", expect.NOT_NEGATIVE)
                    for key in self._carries  # in their own order
                }
            )
        return fresh

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle needs: all but the tables of addresses."""
        return {name: value for name, value in vars(self).items() if name not in TABLES}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        vars(self).update(attributes)
        self._build_tables()

    def __repr__(self) -> str:
        hyper = ", ".join(f"{name}={value!r}" for name, value in self.groups[0].items())
        return f"{type(self).__name__}({len(self._params)} parameters, {hyper}, steps={self.steps})"
