"""State to and from `torch.optim`: names, the form of the dict, and what each keeps that the other computes."""

from collections.abc import Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers.scalars import asgd
from fastopt.kernels.runtime import kinds

if TYPE_CHECKING:
    from fastopt.kernels.optimizers.plan import Recipe

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


class TorchState:
    """The part of an optimizer that speaks torch's state_dict; `Optimizer` holds what it speaks of."""

    steps: int
    options: Any
    groups: list[Dict]
    state: list[dict[str, np.ndarray]]
    carried: list[dict[str, float]]
    _carries: ClassVar[dict[str, float]]
    _by_rows: bool
    _params: list[np.ndarray]
    _group_of: list[int]
    _seen: list[Dict]

    if TYPE_CHECKING:

        def _checked(self, group: Dict) -> Dict: ...
        def _keeps_state(self, group: Dict, seen: Dict, name: str) -> None: ...
        def _lr(self, group: Dict) -> float: ...
        def _new_state(self, i: int) -> dict[str, np.ndarray]: ...
        def recipe(self, i: int, grad: str) -> Recipe: ...

    def torch_state_dict(self) -> Dict:
        """Return the state as the state_dict of torch's optimizer of this name, for its `load_state_dict`.

        Tensors own their memory, in the type that this optimizer computes in: bfloat16 and 8-bit state is decoded.
        A schedule becomes its present value. Averages and copies of parameters and their lost bits have no place in it.

        Returns
        -------
        dict
            "state" by the parameters' numbers, and "param_groups" with torch's own keys.

        Raises
        ------
        ImportError, ValueError
            If torch isn't installed, or has no such optimizer or option.

        Examples
        --------
        >>> import numpy as np, fastopt as fo
        >>> opt = fo.optimizers.Adam(np.ones(3))
        >>> opt.step(np.ones(3))
        >>> found = opt.torch_state_dict()
        >>> found["state"][0]["step"], found["param_groups"][0]["betas"]
        (tensor(1.), (0.9, 0.999))
        """
        torch, own = _torch(), type(self).__name__
        defaults = _defaults(own)
        self._refuse_rows()
        decoupled = self.options.decoupled_weight_decay or own == "AdamW"
        if decoupled and DECOUPLED not in defaults:
            raise ValueError(f"{DECOUPLED}: expected False, as in torch's {own}, got True")
        groups = []
        for k, group in enumerate(self.groups):
            flag = {DECOUPLED: decoupled} if DECOUPLED in defaults else {}
            members = [i for i, of in enumerate(self._group_of) if of == k]
            shared = {key: value for key, value in group.items() if key not in self._untold(group, defaults)}
            groups.append({**defaults, **shared, "lr": self._lr(group), **flag, "params": members})
        state: dict[int, Dict] = {}
        for i in range(len(self._params) if self.steps or own in BEGUN else 0):
            group = self.groups[self._group_of[i]]
            recipe, found = self.recipe(i, "float32"), {}
            if own not in UNCOUNTED:
                found["step"] = torch.tensor(float(self.steps))
            found |= {name: torch.tensor(value) for name, value in self.carried[self._group_of[i]].items()}
            if own == "ASGD":  # torch keeps what the next step will use
                eta, _, mu, *_ = asgd({**group, "lr": self._lr(group)}, self.steps + 1)
                found |= {"eta": torch.tensor(eta), "mu": torch.tensor(mu)}
            for name, theirs in NAMES[own].items():
                if name in recipe.kinds:
                    arrays = self._arrays(i, name)
                    found[theirs] = torch.from_numpy(kinds.read(recipe.kinds[name], arrays, recipe.compute))
            if found:
                state[i] = found
        return {"state": state, "param_groups": groups}

    def load_torch_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the state_dict of torch's optimizer of this name: state, steps and hyper-parameters.

        Numbers are converted to how this optimizer keeps them: bfloat16 and 8-bit state is encoded. Schedules stay.
        torch counts no steps for SGD: there the number stays, too, and is at least 1 where there is momentum.

        Parameters
        ----------
        state_dict : mapping
            What `torch.optim.Optimizer.state_dict` returned, all parameters at the same step; or none of them stepped.

        Raises
        ------
        ImportError, TypeError, ValueError
            If torch isn't installed, has no such optimizer, or the state is of other parameters, shapes or options;
            nothing has been changed then.

        Examples
        --------
        >>> import numpy as np, fastopt as fo, torch
        >>> w = torch.nn.Parameter(torch.ones(3))
        >>> theirs = torch.optim.Adam([w], lr=0.5)
        >>> w.sum().backward()
        >>> theirs.step()
        >>> ours = fo.optimizers.Adam(w.detach().numpy())
        >>> ours.load_torch_state_dict(theirs.state_dict())
        >>> ours.steps, ours.lr
        (1, 0.5)
        """
        _torch()
        own = type(self).__name__
        defaults = _defaults(own)
        self._refuse_rows()
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= state_dict.keys():
            raise ValueError(
                f"state_dict: expected the keys ['param_groups', 'state'], got {expect.describe(state_dict)}"
            )
        groups, numbers = self._groups_from_torch(state_dict["param_groups"], defaults)
        entries = []
        for number in numbers:
            entry = state_dict["state"].get(number, {}) if isinstance(state_dict["state"], Mapping) else None
            if not isinstance(entry, Mapping):
                raise TypeError(f"state_dict['state']: expected a mapping of mappings, got {expect.describe(entry)}")
            entries.append({key: value for key, value in entry.items() if value is not None})
        steps = self._steps_from_torch(entries)
        values = [
            self._values_from_torch(i, entry, f"state_dict['state'][{numbers[i]!r}]") if steps else {}
            for i, entry in enumerate(entries)
        ]
        carried = self._carried_from_torch(entries if steps else [], numbers)
        for group, fresh in zip(self.groups, groups, strict=True):
            group.update(fresh)
        for i, own_values in enumerate(values):
            recipe = self.recipe(i, "float32")
            for name, array in own_values.items():
                kinds.write(recipe.kinds[name], self._arrays(i, name), array, (self.options.seed, steps), i)
            for key, array in (self._new_state(i) if not steps else {}).items():
                if key.removesuffix("_scale") in NAMES[own]:
                    self.state[i][key][...] = array
        self._seen, self.steps, self.carried = [dict(group) for group in self.groups], steps, carried

    def _refuse_rows(self) -> None:
        if self._by_rows:
            raise ValueError("steps: expected one count for whole parameters, as torch has, got one for each row")

    def _untold(self, group: Dict, defaults: Dict) -> Dict:
        """Return the options of a group that torch's optimizer hasn't got; they must be off."""
        untold = {key: value for key, value in group.items() if key not in defaults}
        for key, value in untold.items():
            usual = signature(type(self)).parameters[key].default
            if value != usual:
                raise ValueError(f"{key}: expected {usual!r}, as in torch's {type(self).__name__}, got {value!r}")
        return untold

    def _arrays(self, i: int, name: str) -> list[np.ndarray]:
        """Return the arrays that hold a parameter's state of this name."""
        return [self.state[i][key] for key in (name, f"{name}_scale") if key in self.state[i]]

    def _groups_from_torch(self, groups: Any, defaults: Dict) -> tuple[list[Dict], list[Any]]:
        """Return the groups' hyper-parameters, and torch's number of every parameter."""
        if not isinstance(groups, list | tuple) or len(groups) != len(self.groups):
            raise ValueError(
                f"state_dict['param_groups']: expected {len(self.groups)} groups, got {expect.describe(groups)}"
            )
        fresh: list[Dict] = []
        numbers: list[Any] = []
        for k, (group, own) in enumerate(zip(groups, self.groups, strict=True)):
            name, count = f"state_dict['param_groups'][{k}]", self._group_of.count(k)
            untold = self._untold(own, defaults)
            wanted = {*(own.keys() - untold.keys()), "params"}
            if not isinstance(group, Mapping) or not wanted <= group.keys():
                raise ValueError(f"{name}: expected the keys {sorted(wanted)}, got {expect.describe(group)}")
            if not isinstance(group["params"], list | tuple) or len(group["params"]) != count:
                raise ValueError(f"{name}['params']: expected {count} parameters, got {group['params']!r}")
            decoupled = self.options.decoupled_weight_decay or bool(defaults.get(DECOUPLED, False))
            if bool(group.get(DECOUPLED, defaults.get(DECOUPLED, False))) != decoupled:
                raise ValueError(f"{name}[{DECOUPLED!r}]: expected {decoupled}, got {not decoupled}")
            hyper = {key: untold[key] if key in untold else _said(key, group[key]) for key in own}
            fresh.append(self._checked({**hyper, "lr": own["lr"] if callable(own["lr"]) else hyper["lr"]}))
            self._keeps_state(fresh[k], self._seen[k], name)
            numbers += group["params"]
        return fresh, numbers

    def _steps_from_torch(self, entries: list[Dict]) -> int:
        """Return the number of steps that all parameters have taken."""
        own = type(self).__name__
        if own in UNCOUNTED:
            stateless = not any(name in state for state in self.state for name in NAMES[own])
            return self.steps if stateless else max(1, self.steps) if any(entries) else 0
        if not any(entries):
            return 0
        found = [int(_number(entry.get("step", 0), "step")) for entry in entries]
        if len(set(found)) > 1:
            raise ValueError(
                f"state_dict['state']: expected parameters of one number of steps, got {sorted(set(found))}"
            )
        return found[0]

    def _carried_from_torch(self, entries: list[Dict], numbers: list[Any]) -> list[dict[str, float]]:
        """Return what the groups carry; torch keeps it for every parameter."""
        carried = [dict(self._carries) for _ in self.groups]
        for i, entry in enumerate(entries):
            k = self._group_of[i]
            found = {key: _number(entry[key], key) for key in self._carries}
            if i != self._group_of.index(k) and found != carried[k]:
                raise ValueError(
                    f"state_dict['state'][{numbers[i]!r}]: expected {carried[k]}, as for the parameters before it in "
                    f"the group, got {found}"
                )
            carried[k] = found
        return carried

    def _values_from_torch(self, i: int, entry: Dict, name: str) -> dict[str, np.ndarray]:
        """Return a parameter's state in the type that is computed in, by our names."""
        import torch

        recipe, values = self.recipe(i, "float32"), {}
        wanted = {own: theirs for own, theirs in NAMES[type(self).__name__].items() if own in recipe.kinds}
        missing = [key for key in (*wanted.values(), *self._carries) if key not in entry]
        if missing:
            raise ValueError(f"{name}: expected {missing[0]!r} among its keys, got {sorted(map(str, entry))}")
        for own, theirs in wanted.items():
            tensor: torch.Tensor = entry[theirs]
            if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
                raise TypeError(f"{name}[{theirs!r}]: expected a tensor of floats, got {expect.describe(tensor)}")
            shape = self._arrays(i, own)[0].shape
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
    """Return an option without tensors."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return value.item() if hasattr(value, "item") else value


def _number(value: Any, name: str) -> float:
    return expect.number(_plain(value), f"state_dict's {name}", expect.NOT_NEGATIVE)
