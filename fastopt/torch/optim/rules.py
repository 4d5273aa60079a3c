"""What each optimizer runs: fastopt's rule, and where torch names or counts otherwise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import is_
from typing import Any

import numpy as np
import torch

from fastopt import optimizers
from fastopt.kernels.optimizers import layers, orthogonal, scalars
from fastopt.optimizers.rule import Rule as Core

Group = dict[str, Any]  # hyper-parameters as plain numbers


@dataclass(frozen=True)
class Rule:
    """How an optimizer steps.

    Parameters
    ----------
    core : Core, or callable (group) -> Core
        fastopt's rule.
    names : mapping
        State that torch calls otherwise.
    fixed : mapping
        Hyper-parameters of fastopt's that have one value here.
    renamed : mapping of str to callable (value) -> value
        Hyper-parameters whose values torch says otherwise.
    counted : bool
        Whether state has a step count.
    fresh : bool
        Whether a parameter's first step differs, and nothing counts it.
    carries : mapping of str to callable (group) -> float
        Numbers in a parameter's state beside the count, and what they begin with.
    carry : callable (group, step) -> mapping, or None
        What they are after a step; `group` holds what they were before. None: as the core says.
    typed : callable (group, dtype) -> group, or None
        Fills in hyper-parameters that depend on the parameter's type.
    rows : bool
        Whether sparse gradients are taken.
    rows_only : bool
        Whether others are refused.
    """

    core: Core | Callable[[Group], Core]
    names: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    counted: bool = True
    fresh: bool = False
    carries: Mapping[str, Callable[[Group], float]] = field(default_factory=dict)
    carry: Callable[[Group, int], dict[str, float]] | None = None
    typed: Callable[[Group, torch.dtype], Group] | None = None
    rows: bool = False
    rows_only: bool = False

    def of(self, group: Group) -> Core:
        """Return fastopt's rule for a group."""
        return self.core if isinstance(self.core, Core) else self.core(group)

    def hyper(self, group: Mapping[str, Any]) -> Group:
        """Return a group's hyper-parameters as fastopt's rule takes them, without tensors."""
        plain = {name: _plain(value) for name, value in group.items() if name not in _PARAMS}
        plain |= {name: say(plain[name]) for name, say in self.renamed.items()}
        wanted = self.of(plain).hyper
        return {**self.fixed, **{name: value for name, value in plain.items() if name in wanted}}


class Said:
    """What groups said when they were last read: it stands as long as they hold the very same values.

    Parameters
    ----------
    rule : Rule
    groups : list of dict
    """

    def __init__(self, rule: Rule, groups: list[Group]):
        self.hypers = [rule.hyper(group) for group in groups]
        self.kernels = [_kernel(rule.of(group), hyper) for group, hyper in zip(groups, self.hypers)]
        self._names, self._values = [list(group) for group in groups], [list(group.values()) for group in groups]
        self._fixed = all(_is_fixed(value) for group in groups for name, value in group.items() if name not in _PARAMS)

    def holds(self, groups: list[Group]) -> bool:
        """Whether groups say the same; values that can change in place, as tensors can, never count as the same."""
        return (
            self._fixed
            and [list(group) for group in groups] == self._names
            and all([all(map(is_, group.values(), values)) for group, values in zip(groups, self._values)])
        )


_PARAMS = ("params", "param_names")


def _is_fixed(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_fixed, value))
    return value is None or isinstance(value, bool | int | float | str)


def _kernel(core: Core, group: Group) -> Any:
    """Return what tells apart how groups are stepped."""
    return core.name, core.kernel if isinstance(core.kernel, str) else core.kernel(group)


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, tuple | list) else value


def _asgd_scalars(group: Group, step: int) -> tuple[Any, ...]:
    """Torch steps with what the step before has left in the state."""
    eta = group["eta"]
    return eta, 1.0 - group["lambd"] * eta, group["mu"], group["weight_decay"], scalars.grad_scale(group)


def _asgd_carry(group: Group, step: int) -> dict[str, float]:
    eta = group["lr"] * (1.0 + group["lambd"] * group["lr"] * step) ** -group["alpha"]
    return {"eta": eta, "mu": 1.0 / max(1.0, step - group["t0"])}


def _asgd_reference(
    param: np.ndarray,
    grad: np.ndarray,
    ax: np.ndarray,
    *,
    eta: float,
    mu: float,
    lambd: float,
    weight_decay: float,
    maximize: bool,
    **_: Any,
) -> tuple[np.ndarray, np.ndarray]:
    grad = (-grad if maximize else grad) + weight_decay * param
    param = (1.0 - lambd * eta) * param - eta * grad
    return param, ax + mu * (param - ax)


def _adafactor_eps(group: Group, dtype: torch.dtype) -> Group:
    """None stands for the type's own epsilon."""
    first, second = group["eps"]
    return {**group, "eps": (torch.finfo(dtype).eps if first is None else first, second)}


class _Muon(layers.Muon):
    """Muon whose products of matrices are torch's, in bfloat16 as torch's Muon's are."""

    def settle(
        self, number: int, group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], sums: np.ndarray,
        scalars: np.ndarray, scales: tuple[float, ...] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        from torch.optim._muon import _zeropower_via_newtonschulz as orthogonalize

        update = torch.from_numpy(arrays["update"])
        update.copy_(orthogonalize(update, group["ns_coefficients"], group["ns_steps"], group["eps"]))
        scalars[0] *= orthogonal.ADJUSTMENTS[group["adjust_lr_fn"]](*arrays["update"].shape)


SGD = Rule(optimizers.SGD.rule, fixed={"lr_in_momentum": False}, counted=False, fresh=True, rows=True)
ADAM = Rule(
    lambda group: (optimizers.AdamW if group.get("decoupled_weight_decay") else optimizers.Adam).rule,
    fixed={"eps_hat": False},
)  # fmt: skip
SPARSE_ADAM = Rule(
    optimizers.Adam.rule, fixed={"weight_decay": 0.0, "eps_hat": True, "amsgrad": False}, rows=True, rows_only=True
)  # fmt: skip
RMSPROP = Rule(
    optimizers.RMSprop.rule, fixed={"eps_in_root": False, "lr_in_momentum": False},
    renamed={"momentum": lambda momentum: max(0.0, momentum)},
)  # fmt: skip
ADAGRAD = Rule(optimizers.Adagrad.rule, names={"sum_of_squares": "sum"}, fixed={"eps_in_root": False}, rows=True)
ADADELTA = Rule(optimizers.Adadelta.rule)
ADAMAX = Rule(optimizers.Adamax.rule, fixed={"eps_in_divisor": False})
NADAM = Rule(optimizers.NAdam.rule, carries={"mu_product": lambda group: 1.0})
RADAM = Rule(optimizers.RAdam.rule)
RPROP = Rule(optimizers.Rprop.rule)
ASGD = Rule(
    replace(optimizers.ASGD.rule, scalars=_asgd_scalars, reference=_asgd_reference),
    carries={"eta": lambda group: group["lr"], "mu": lambda group: 1.0}, carry=_asgd_carry,
)  # fmt: skip
ADAFACTOR = Rule(
    optimizers.Adafactor.rule, typed=_adafactor_eps
)  # fmt: skip
MUON = Rule(
    replace(optimizers.Muon.rule, layers=_Muon()), fixed={"maximize": False}, counted=False,
    renamed={"adjust_lr_fn": lambda name: name or "original"},
)  # fmt: skip
MOMENTUM = Rule(optimizers.Momentum.rule, counted=False)
LION = Rule(optimizers.Lion.rule, counted=False)
ADEMAMIX = Rule(optimizers.AdEMAMix.rule)
FTRL = Rule(optimizers.FTRL.rule, counted=False)
LARS = Rule(optimizers.LARS.rule, counted=False)
LAMB = Rule(optimizers.LAMB.rule)
SCHEDULE_FREE = Rule(
    optimizers.AdamWScheduleFree.rule, carries={"weight_sum": lambda group: 0.0, "lr_max": lambda group: 0.0}
)  # fmt: skip
