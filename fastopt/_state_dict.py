"""What an optimizer's state_dict must hold to be loaded: every refusal, before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastopt import _check

if TYPE_CHECKING:
    from fastopt._optimizer import Group, Optimizer


def checked(optimizer: Optimizer, state_dict: Any) -> tuple[int, list[Group], list[dict[str, float]]]:
    """Return the steps, the groups, and what the groups carry; the state's arrays fit the optimizer's then."""
    wanted = {"optimizer", "steps", "groups", "state", *(["carried"] if optimizer._carries else [])}
    if not isinstance(state_dict, Mapping) or not wanted <= state_dict.keys():
        raise ValueError(f"state_dict: expected the keys {sorted(wanted)}, got {_check.describe(state_dict)}")
    name = type(optimizer).__name__
    if state_dict["optimizer"] != name:
        raise ValueError(f"state_dict: expected the state of {name}, got {state_dict['optimizer']!r}")
    steps = state_dict["steps"]
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise ValueError(f"state_dict['steps']: expected an integer ≥ 0, got {steps!r}")
    groups = _groups(optimizer, state_dict["groups"])
    carried = _carried(optimizer, state_dict["carried"]) if optimizer._carries else optimizer.carried
    _refuse_other_arrays(optimizer, state_dict["state"])
    return steps, groups, carried


def _groups(optimizer: Optimizer, groups: Any) -> list[Group]:
    _as_many_groups(optimizer, groups, "state_dict['groups']")
    fresh = []
    for k, (group, own) in enumerate(zip(groups, optimizer.groups)):
        _same_keys(group, own, f"state_dict['groups'][{k}]")
        fresh.append(optimizer._checked({**group, "lr": own["lr"] if group["lr"] is None else group["lr"]}))
        optimizer._keeps_state(fresh[k], optimizer._seen[k], f"state_dict['groups'][{k}]")
    return fresh


def _carried(optimizer: Optimizer, carried: Any) -> list[dict[str, float]]:
    _as_many_groups(optimizer, carried, "state_dict['carried']")
    fresh = []
    for k, numbers in enumerate(carried):
        name = f"state_dict['carried'][{k}]"
        _same_keys(numbers, optimizer._carries, name)
        fresh.append(
            {
                key: _check.number(numbers[key], f"{name}[{key!r}]", _check.NOT_NEGATIVE)
                for key in optimizer._carries  # in their own order
            }
        )
    return fresh


def _refuse_other_arrays(optimizer: Optimizer, state: Any) -> None:
    names = optimizer._names
    if not isinstance(state, Mapping) or list(state) != names:
        raise ValueError(f"state_dict['state']: expected the parameters {names}, got {_check.describe(state)}")
    for name, own in zip(names, optimizer.state):
        _same_keys(state[name], own, f"state_dict['state'][{name!r}]")
        for key, array in own.items():
            what = f"state_dict['state'][{name!r}][{key!r}]"
            _check.array(state[name][key], what, dtype=array.dtype, shape=array.shape)


def _as_many_groups(optimizer: Optimizer, groups: Any, name: str) -> None:
    if not isinstance(groups, list | tuple) or len(groups) != len(optimizer.groups):
        raise ValueError(f"{name}: expected {len(optimizer.groups)} groups, got {_check.describe(groups)}")


def _same_keys(mapping: Any, own: Mapping[str, Any], name: str) -> None:
    if not isinstance(mapping, Mapping) or mapping.keys() != own.keys():
        raise ValueError(f"{name}: expected the keys {sorted(own)}, got {_check.describe(mapping)}")
