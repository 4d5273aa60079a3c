"""What each optimizer runs: its kernel, a step's scalars, and the names of its state, as torch has them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from fastopt.kernels.optimizers import scalars

Group = dict[str, Any]  # hyper-parameters as plain numbers
Carried = Mapping[str, float]
Digest = Callable[[Group, int, Carried, Carried], tuple]  # (group, step, carried before, and after) -> scalars
Carry = Callable[[Group, int, Carried], Carried]


@dataclass(frozen=True)
class Rule:
    """How an optimizer steps.

    Parameters
    ----------
    kernel : callable (group) -> str
        The kernel that a group's hyper-parameters ask for.
    digest : callable (group, step, before, after) -> tuple of float
        The kernel's scalars.
    names : mapping
        Buffers of the kernel that torch calls otherwise.
    start : mapping of str to callable (group) -> float
        What a state tensor begins with, where it isn't 0.
    fixed : mapping
        Hyper-parameters of fastopt's that have one value here.
    counted : bool
        Whether state has a step count.
    carries : mapping of str to callable (group) -> float
        Numbers beside the count that a parameter's state carries from step to step, and what they begin with.
    carry : callable (group, step, before) -> mapping
        What they are after a step.
    fresh : bool
        Whether the first step of a parameter differs otherwise than by its number.
    rows : bool
        Whether sparse gradients are taken.
    """

    kernel: Callable[[Group], str]
    digest: Digest
    names: Mapping[str, str] = field(default_factory=dict)
    start: Mapping[str, Callable[[Group], float]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    counted: bool = True
    carries: Mapping[str, Callable[[Group], float]] = field(default_factory=dict)
    carry: Carry = lambda group, step, before: {}
    fresh: bool = False
    rows: bool = False


def of(digest: Callable[[Group, int], tuple]) -> Digest:
    """Return the digest of a rule that sees what its group carries after the step."""
    return lambda group, step, before, after: digest({**group, **after}, step)


def numbers(group: Mapping[str, Any]) -> Group:
    """Return a group's hyper-parameters without tensors."""
    return {name: _plain(value) for name, value in group.items() if name not in ("params", "param_names")}


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.item()
    return tuple(map(_plain, value)) if isinstance(value, tuple | list) else value


def _adam(group: Group, step: int, before: Carried, after: Carried) -> tuple:
    return (scalars.adamw if group.get("decoupled_weight_decay") else scalars.adam)(group, step)


def _sgd(group: Group, step: int, before: Carried, after: Carried) -> tuple:
    return scalars.sgd(group, step)


def _rmsprop_kernel(group: Group) -> str:
    return "rmsprop" + "_centered" * bool(group["centered"]) + "_momentum" * bool(group["momentum"] > 0)


def _rmsprop(group: Group, step: int, before: Carried, after: Carried) -> tuple:
    return scalars.rmsprop({**group, "momentum": max(0.0, group["momentum"])}, step)


def _nadam_carried(group: Group, step: int, before: Carried) -> Carried:
    return scalars.nadam_carried({**group, **before}, step)


def _asgd(group: Group, step: int, before: Carried, after: Carried) -> tuple:
    """Torch steps with what the step before has left in the state."""
    eta = before["eta"]
    return eta, 1.0 - group["lambd"] * eta, before["mu"], group["weight_decay"], scalars.grad_scale(group)


def _asgd_carried(group: Group, step: int, before: Carried) -> Carried:
    eta = group["lr"] * (1.0 + group["lambd"] * group["lr"] * step) ** -group["alpha"]
    return {"eta": eta, "mu": 1.0 / max(1.0, step - group["t0"])}


def _schedule_free_carried(group: Group, step: int, before: Carried) -> Carried:
    return scalars.schedule_free_carried({**group, **before}, step)


SGD = Rule(
    lambda group: "sgd_momentum" if group["momentum"] != 0 else "sgd", _sgd, fixed={"lr_in_momentum": False},
    counted=False, fresh=True, rows=True,
)  # fmt: skip
ADAM = Rule(lambda group: "adam_amsgrad" if group["amsgrad"] else "adam", _adam)
SPARSE_ADAM = Rule(
    lambda group: "adam", of(scalars.adam), fixed={"weight_decay": 0.0, "eps_hat": True}, rows=True
)  # fmt: skip
RMSPROP = Rule(_rmsprop_kernel, _rmsprop, fixed={"eps_in_root": False, "lr_in_momentum": False})
ADAGRAD = Rule(
    lambda group: "adagrad", of(scalars.adagrad), names={"sum_of_squares": "sum"}, fixed={"eps_in_root": False},
    start={"sum_of_squares": lambda group: group["initial_accumulator_value"]}, rows=True,
)  # fmt: skip
ADADELTA = Rule(lambda group: "adadelta", of(scalars.adadelta))
ADAMAX = Rule(lambda group: "adamax", of(scalars.adamax), fixed={"eps_in_divisor": False})
NADAM = Rule(
    lambda group: "nadam", of(scalars.nadam), carries={"mu_product": lambda group: 1.0}, carry=_nadam_carried
)  # fmt: skip
RADAM = Rule(lambda group: "radam", of(scalars.radam))
RPROP = Rule(lambda group: "rprop", of(scalars.rprop), start={"step_size": lambda group: group["lr"]})
ASGD = Rule(
    lambda group: "asgd", _asgd, carries={"eta": lambda group: group["lr"], "mu": lambda group: 1.0},
    carry=_asgd_carried,
)  # fmt: skip
MOMENTUM = Rule(lambda group: "momentum", of(scalars.momentum), counted=False)
LION = Rule(lambda group: "lion", of(scalars.lion), counted=False)
ADEMAMIX = Rule(lambda group: "ademamix", of(scalars.ademamix))
FTRL = Rule(
    lambda group: "ftrl", of(scalars.ftrl), counted=False, start={"n": lambda group: group["initial_accumulator_value"]}
)  # fmt: skip
SCHEDULE_FREE = Rule(
    lambda group: "schedule_free_adamw", of(scalars.schedule_free_adamw),
    carries={"weight_sum": lambda group: 0.0, "lr_max": lambda group: 0.0}, carry=_schedule_free_carried,
)  # fmt: skip
