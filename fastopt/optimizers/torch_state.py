"""State to and from `torch.optim`: names, the form of the dict, and what each keeps that the other computes."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers.scalars import asgd
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.jobs import Call
from fastopt.kernels.runtime.whole import put
from fastopt.optimizers.checkpoint import adopt
from fastopt.optimizers.store import Store

MOMENTS = {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"}
NAMES: dict[str, dict[str, str]] = {  # our state -> torch's, for every optimizer that both have
    "SGD": {"momentum_buffer": "momentum_buffer"},
    "Adam": {**MOMENTS, "max_exp_avg_sq": "max_exp_avg_sq"},
    "AdamW": {**MOMENTS, "max_exp_avg_sq": "max_exp_avg_sq"},
    "RMSprop": {"square_avg": "square_avg", "momentum_buffer": "momentum_buffer", "grad_avg": "grad_avg"},
    "Adagrad": {"sum_of_squares": "sum"},
    "Adamax": {"exp_avg": "exp_avg", "exp_inf": "exp_inf"},
    "NAdam": MOMENTS,
    "RAdam": MOMENTS,
    "Adadelta": {"square_avg": "square_avg", "acc_delta": "acc_delta"},
    "Rprop": {"prev": "prev", "step_size": "step_size"},
    "ASGD": {"ax": "ax"},
    "Adafactor": {"row_var": "row_var", "col_var": "col_var", "variance": "variance"},
    "Muon": {"momentum_buffer": "momentum_buffer"},
}
UNCOUNTED = ("SGD", "Muon")  # torch keeps no number of steps
BEGUN = ("Adagrad",)  # has state before the first step
DECOUPLED = "decoupled_weight_decay"
Dict = dict[str, Any]
UNSAID = {  # what torch's None stands for
    "eps": lambda eps: (1.1920929e-07 if eps[0] is None else eps[0], eps[1]) if isinstance(eps, tuple) else eps,
    "adjust_lr_fn": lambda name: "original" if name is None else name,
}


def to_torch(store: Store) -> Dict:
    """Carry out `Optimizer.torch_state_dict`."""
    torch, own = _torch(), store.rule.name
    defaults = _defaults(own)
    _refuse_rows(store)
    decoupled = store.options.decoupled_weight_decay or own == "AdamW"
    if decoupled and DECOUPLED not in defaults:
        raise ValueError(f"{DECOUPLED}: expected False, as in torch's {own}, got True")
    groups = []
    for k, group in enumerate(store.groups):
        flag = {DECOUPLED: decoupled} if DECOUPLED in defaults else {}
        members = [i for i, of in enumerate(store.group_of) if of == k]
        shared = {key: value for key, value in group.items() if key not in _untold(store, group, defaults)}
        groups.append({**defaults, **shared, "lr": store.rule.lr(group, store.steps), **flag, "params": members})
    state: dict[int, Dict] = {}
    for i in range(len(store.params) if store.steps or own in BEGUN else 0):
        group = store.groups[store.group_of[i]]
        recipe, found = store.recipe(i), {}
        if own not in UNCOUNTED:
            found["step"] = torch.tensor(float(store.progress(i)[0]), dtype=torch.float32)
        found |= {name: torch.tensor(value, dtype=torch.float32) for name, value in store.progress(i)[1].items()}
        if own == "ASGD":  # torch keeps what the next step will use
            eta, _, mu, *_ = asgd({**group, "lr": store.rule.lr(group, store.steps)}, store.steps + 1)
            found |= {"eta": torch.tensor(eta, dtype=torch.float32), "mu": torch.tensor(mu, dtype=torch.float32)}
        for name, theirs in NAMES[own].items():
            if name in recipe.kinds:
                arrays = _arrays(store, i, name)
                found[theirs] = torch.from_numpy(kinds.read(recipe.kinds[name], arrays, recipe.compute))
        if found:
            state[i] = found
    return {"state": state, "param_groups": groups}


def from_torch(store: Store, state_dict: Any) -> None:
    """Carry out `Optimizer.load_torch_state_dict`."""
    _torch()
    own = store.rule.name
    defaults = _defaults(own)
    _refuse_rows(store)
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= state_dict.keys():
        raise ValueError(f"state_dict: expected the keys ['param_groups', 'state'], got {expect.describe(state_dict)}")
    groups, numbers = _groups_from_torch(store, state_dict["param_groups"], defaults)
    entries = []
    for number in numbers:
        entry = state_dict["state"].get(number, {}) if isinstance(state_dict["state"], Mapping) else None
        if not isinstance(entry, Mapping):
            raise TypeError(f"state_dict['state']: expected a mapping of mappings, got {expect.describe(entry)}")
        entries.append({key: value for key, value in entry.items() if value is not None})
    steps = _steps_from_torch(store, entries)
    values = [
        _values_from_torch(store, i, entry, f"state_dict['state'][{numbers[i]!r}]") if steps else {}
        for i, entry in enumerate(entries)
    ]
    carried = _carried_from_torch(store, entries if steps else [], numbers)
    writes: list[Call] = []
    for i, own_values in enumerate(values):
        recipe = store.recipe(i)
        for name, array in own_values.items():
            kept = _arrays(store, i, name)
            encoded = [np.zeros_like(each) for each in kept]
            kinds.write(recipe.kinds[name], encoded, array, (store.options.seed, steps), i)
            writes += [put(array, value) for array, value in zip(kept, encoded, strict=True)]
        fresh = store.fresh_state(i, groups[store.group_of[i]]) if not steps else {}
        names = [key for key in fresh if key.removesuffix("_scale") in NAMES[own]]
        writes += [put(store.state[i][key], fresh[key]) for key in names]
    adopt(store, groups, steps, carried, writes, by_rows=False)


def _refuse_rows(store: Store) -> None:
    if store.by_rows:
        raise ValueError("steps: expected one count for whole parameters, as torch has, got one for each row")


def _untold(store: Store, group: Dict, defaults: Dict) -> Dict:
    """Return the options of a group that torch's optimizer hasn't got; they must be off."""
    untold = {key: value for key, value in group.items() if key not in defaults}
    for key, value in untold.items():
        usual = store.rule.defaults[key]
        if value != usual:
            raise ValueError(f"{key}: expected {usual!r}, as in torch's {store.rule.name}, got {expect.shown(value)}")
    return untold


def _arrays(store: Store, i: int, name: str) -> list[np.ndarray]:
    """Return the arrays that hold a parameter's state of this name."""
    return [store.state[i][key] for key in (name, f"{name}_scale") if key in store.state[i]]


def _groups_from_torch(store: Store, groups: Any, defaults: Dict) -> tuple[list[Dict], list[Any]]:
    """Return the groups' hyper-parameters, and torch's number of every parameter."""
    if not isinstance(groups, list | tuple) or len(groups) != len(store.groups):
        raise ValueError(
            f"state_dict['param_groups']: expected {len(store.groups)} groups, got {expect.describe(groups)}"
        )
    fresh: list[Dict] = []
    numbers: list[Any] = []
    for k, (group, own) in enumerate(zip(groups, store.groups, strict=True)):
        name, count = f"state_dict['param_groups'][{k}]", store.group_of.count(k)
        untold = _untold(store, own, defaults)
        wanted = {*(own.keys() - untold.keys()), "params"}
        if not isinstance(group, Mapping) or not wanted <= group.keys():
            raise ValueError(f"{name}: expected the keys {sorted(wanted)}, got {expect.describe(group)}")
        if not isinstance(group["params"], list | tuple) or len(group["params"]) != count:
            raise ValueError(f"{name}['params']: expected {count} parameters, got {expect.shown(group['params'])}")
        decoupled = store.options.decoupled_weight_decay or bool(defaults.get(DECOUPLED, False))
        if bool(group.get(DECOUPLED, defaults.get(DECOUPLED, False))) != decoupled:
            raise ValueError(f"{name}[{DECOUPLED!r}]: expected {decoupled}, got {not decoupled}")
        hyper = {key: untold[key] if key in untold else _said(key, group[key]) for key in own}
        lr = own["lr"] if callable(own["lr"]) else hyper["lr"]
        fresh.append(store.rule.checked({**hyper, "lr": lr}, store.compute(k)))
        store.keeps_state(fresh[k], store.seen[k], name)
        numbers += group["params"]
    return fresh, numbers


def _steps_from_torch(store: Store, entries: list[Dict]) -> int:
    """Return the number of steps that all parameters have taken."""
    own = store.rule.name
    if own in UNCOUNTED:
        stateless = not any(name in state for state in store.state for name in NAMES[own])
        return store.steps if stateless else max(1, store.steps) if any(entries) else 0
    if not any(entries):
        return 0
    found = [int(_number(entry.get("step", 0), "step")) for entry in entries]
    if len(set(found)) > 1:
        raise ValueError(f"state_dict['state']: expected parameters of one number of steps, got {sorted(set(found))}")
    return found[0]


def _carried_from_torch(store: Store, entries: list[Dict], numbers: list[Any]) -> list[dict[str, float]]:
    """Return what the groups carry; torch keeps it for every parameter."""
    carried = [dict(store.rule.carries) for _ in store.groups]
    for i, entry in enumerate(entries):
        k = store.group_of[i]
        found = {key: _number(entry[key], key) for key in store.rule.carries}
        if i != store.group_of.index(k) and found != carried[k]:
            raise ValueError(
                f"state_dict['state'][{numbers[i]!r}]: expected {carried[k]}, as for the parameters before it in "
                f"the group, got {found}"
            )
        carried[k] = found
    return carried


def _values_from_torch(store: Store, i: int, entry: Dict, name: str) -> dict[str, np.ndarray]:
    """Return a parameter's state in the type that is computed in, by our names."""
    import torch

    recipe, values = store.recipe(i), {}
    wanted = {own: theirs for own, theirs in NAMES[store.rule.name].items() if own in recipe.kinds}
    missing = [key for key in (*wanted.values(), *store.rule.carries) if key not in entry]
    if missing:
        raise ValueError(f"{name}: expected {missing[0]!r} among its keys, got {sorted(map(str, entry))}")
    for own, theirs in wanted.items():
        tensor: torch.Tensor = entry[theirs]
        if isinstance(tensor, torch.Tensor) and (tensor.layout != torch.strided or tensor.is_meta):
            told = f"one of {tensor.layout} on {tensor.device}"  # printing it may fail
            raise TypeError(f"{name}[{theirs!r}]: expected a dense tensor that holds numbers, got {told}")
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
            raise TypeError(f"{name}[{theirs!r}]: expected a tensor of floats, got {expect.describe(tensor)}")
        shape = _arrays(store, i, own)[0].shape
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name}[{theirs!r}]: expected shape {shape}, got {tuple(tensor.shape)}")
        values[own] = tensor.detach().cpu().to(getattr(torch, recipe.compute)).contiguous().numpy()
    return values


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise ImportError("torch's state needs the package torch: pip install torch") from None
    return torch


def _defaults(name: str) -> Dict:
    """Return the options of torch's optimizer of this name, as its groups hold them."""
    if name not in NAMES:
        raise ValueError(f"optimizer: expected one that torch has too ({', '.join(NAMES)}), got {name}")
    torch = _torch()
    (group,) = getattr(torch.optim, name)([torch.zeros(1, 1)]).state_dict()["param_groups"]
    return {key: value for key, value in group.items() if key != "params"}


def _said(key: str, value: Any) -> Any:
    """Return an option of torch's as ours."""
    plain = _plain(value)
    return UNSAID[key](plain) if key in UNSAID else plain


def _plain(value: Any) -> Any:
    """Return an option without tensors; one that holds no single number stays, and is refused as what it is."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    with suppress(RuntimeError, ValueError):
        return value.item() if hasattr(value, "item") else value
    return value


def _number(value: Any, name: str) -> float:
    return expect.number(_plain(value), f"state_dict's {name}", expect.NOT_NEGATIVE)
