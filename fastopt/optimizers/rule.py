"""What an optimizer says of itself, whoever holds the memory: its hyper-parameters, its kernel, its state."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import Parameter, signature
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.kernels.optimizers.layers import Layers
from fastopt.kernels.optimizers.recipe import WORK, Recipe, state_kind, states
from fastopt.kernels.runtime import kinds
from fastopt.optimizers.options import Options

Group = dict[str, Any]  # a group's hyper-parameters by name
Schedule = Callable[[int], float]  # of the number of steps taken
Rate = Annotated[float | Schedule, expect.NOT_NEGATIVE]  # lr
Pair = tuple[float, float]
Triple = tuple[float, float, float]
UNBOUNDED = (expect.POSITIVE, expect.NOT_NEGATIVE, expect.NOT_POSITIVE, expect.FINITE)  # may leave float32's range
BETAS = (expect.FRACTION, expect.FRACTION)


def _nothing_carried(group: Group, step: int) -> dict[str, float]:
    return {}


def _from_zero(name: str, group: Group, param: np.ndarray) -> float:
    return 0.0


@dataclass(frozen=True, eq=False)
class Rule:
    """How an optimizer steps. It holds no array, so it serves NumPy's and everybody else's.

    Parameters
    ----------
    kernel : str, or callable (group) -> str
        The kernel that a group's hyper-parameters ask for (of a rule with `layers`, they say).
    scalars : callable (group, step) -> tuple of float
        The kernel's scalars at a step, counted from 1; `group` holds this step's `lr`, and what it carries after it.
    reference : callable
        The paper's formula on whole arrays, with the hyper-parameters as users give them.
    start : callable (state's name, group, param) -> float or array
        What a state array begins with.
    carries : mapping
        The numbers that a group carries from step to step beside arrays, and what they begin with.
    carry : callable (group, step) -> dict
        What a group carries after this step; `group` holds what it carried before it, too.
    only_at_start : tuple of str
        Hyper-parameters that change nothing once state is made.
    check : callable (group, compute type) -> None
        Raises where hyper-parameters don't go together.
    layers : Layers or None
        The passes before the kernel, of a rule that looks at whole layers.
    decays : bool
        Whether `weight_decay` is coupled, so that the option `decoupled_weight_decay` has a meaning.
    owner, hyper, defaults : type, mapping, mapping
        The class, and of its constructor every hyper-parameter, and its default: filled in by `of_class`.
    """

    kernel: str | Callable[[Group], str]
    scalars: Callable[[Group, int], tuple[Any, ...]]
    reference: Callable[..., tuple[Any, ...]]
    start: Callable[[str, Group, np.ndarray], float | np.ndarray] = _from_zero
    carries: Mapping[str, float] = field(default_factory=dict)
    carry: Callable[[Group, int], dict[str, float]] = _nothing_carried
    only_at_start: tuple[str, ...] = ()
    check: Callable[[Group, str], None] | None = None
    layers: Layers | None = None
    decays: bool = True
    owner: type = object
    hyper: Mapping[str, "Hyper"] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def of_class(self, owner: type) -> "Rule":
        """Return the rule of this class, with the hyper-parameters of its constructor.

        Raises
        ------
        TypeError
            If an argument has no domain.
        """
        taken = signature(owner.__init__).parameters.values()  # type: ignore[misc]
        named = [one for one in taken if one.kind is not Parameter.VAR_KEYWORD and one.name not in ("self", "params")]
        return replace(
            self,
            owner=owner,
            hyper={one.name: Hyper.of(one, owner.__name__) for one in named},
            defaults={one.name: one.default for one in named},
        )

    def __reduce__(self):
        return getattr, (self.owner, "rule")  # a copy's rule is its class's

    @property
    def begins_with_values(self) -> bool:
        """Whether some state may begin with anything but zeros."""
        return self.start is not _from_zero

    @property
    def name(self) -> str:
        return self.owner.__name__

    # ---- hyper-parameters

    def checked(self, group: Mapping[str, Any], compute: str = "float64") -> Group:
        """Return a group with every hyper-parameter checked, also as numbers of the type that is computed in."""
        found = {name: self.hyper[name].check(value, name) for name, value in group.items()}
        if compute == "float32":
            for name, value in found.items():
                self.hyper[name].check_in_float32(value, name)
        if self.check is not None:
            self.check(found, compute)
        return found

    def lr(self, group: Group, steps: int) -> float:
        """Return a group's learning rate for the step after `steps`."""
        lr = group["lr"]
        return self.hyper["lr"].check(lr(steps), f"lr at step {steps}") if callable(lr) else lr

    # ---- kernels and state

    def kernels(self, group: Group, shape: tuple[int, ...]) -> tuple[str, tuple[str, ...]]:
        """Return the kernel for a parameter of this shape, and the passes before it."""
        if self.layers is not None:
            return self.layers.kernels(shape)
        return self.kernel if isinstance(self.kernel, str) else self.kernel(group), ()

    def recipe(self, group: Group, shape: tuple[int, ...], param: str, grad: str, options: Options) -> Recipe:
        """Return what a step does to a parameter of this shape and type when its gradient is of type `grad`."""
        name, before = self.kernels(group, shape)
        kernel, passes = KERNELS[name], tuple(KERNELS[each] for each in before)
        compute, size = "float64" if param == "float64" else "float32", int(np.prod(shape))
        if param == "bfloat16" and options.rounding != "nearest":
            param = {"stochastic": "stochastic", "exact": "split"}[options.rounding]
        state = tuple(
            state_kind(each, options.state_dtype or compute, compute, size) for each in states(passes, kernel)
        )
        return Recipe(
            kernel, passes, compute, param, grad, state, clip=options.clip_value is not None,
            decay=options.decoupled_weight_decay and self.decays, average=options.ema_decay is not None,
            copy=options.copy_to,
        )  # fmt: skip

    def layout(self, recipe: Recipe, shape: tuple[int, ...]) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
        """Return the dtype and shape of each array that a parameter of this shape keeps between steps, by name."""
        found: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        if recipe.param == "split":
            found["param_lost_bits"] = np.dtype(np.uint16), shape
        for name in states(recipe.passes, recipe.kernel):
            if name in WORK:
                continue
            own = shape if self.layers is None else self.layers.state_shape(name, shape)
            found |= {f"{name}{suffix}": form for suffix, form in kinds.forms(recipe.kinds[name], own).items()}
        return found | ({"average": (np.dtype(recipe.compute), shape)} if recipe.average else {})

    def begin(self, recipe: Recipe, group: Group, param: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
        """Write what a parameter's state begins with into arrays of its `layout`, which hold zeros."""
        for name in states(recipe.passes, recipe.kernel):
            if name in WORK:
                continue
            value = self.start(name, group, param)
            if isinstance(value, float) and value == 0.0:
                continue
            own, kind = [arrays[key] for key in (name, f"{name}_scale") if key in arrays], recipe.kinds[name]
            kinds.write(kind, own, np.full(own[0].shape, value, recipe.compute))
        if recipe.average:
            arrays["average"][...] = kinds.read(str(param.dtype), [param], recipe.compute)


class Hyper(NamedTuple):
    """A hyper-parameter: how a value of it is checked, and the domains of its numbers."""

    check: Callable[[Any, str], Any]  # (value, name) -> the value, checked
    domains: tuple[expect.Domain, ...] = ()

    @classmethod
    def of(cls, parameter: Parameter, owner: str) -> "Hyper":
        """Return a constructor's argument as its annotation states it: a flag, or a type annotated with its domain.

        `Annotated[float, domain]` is a number, a tuple of domains as many numbers, a range an integer, a tuple of
        strings a choice; `Annotated[float | Schedule, domain]` may be a callable, too.
        """
        stated, name = parameter.annotation, parameter.name
        if stated is bool:
            return cls(expect.flag)
        if get_origin(stated) is not Annotated:
            raise TypeError(f"{owner}: expected {name} to be a bool or annotated with its domain, got {stated!r}")
        kind, domain = get_args(stated)[:2]
        if isinstance(domain, expect.Domain):
            rate = Schedule in get_args(kind)
            return cls(partial(_rate if rate else expect.number, domain=domain), (domain,))
        if isinstance(domain, range):
            return cls(partial(expect.integer, low=domain.start, stop=domain.stop))
        if isinstance(domain, tuple) and domain and all(isinstance(each, str) for each in domain):
            return cls(partial(expect.choice, among=domain))
        if isinstance(domain, tuple) and domain and all(isinstance(each, expect.Domain) for each in domain):
            return cls(partial(expect.numbers, domains=list(domain)), domain)
        raise TypeError(f"{owner}: expected a domain of {name}, got {domain!r}")

    def check_in_float32(self, value: Any, name: str) -> None:
        """Raise if a number leaves its domain on the way to float32: becomes 0 or infinite."""
        numbers = value if isinstance(value, tuple) else (value,)
        for number, domain in zip(numbers, self.domains) if self.domains else ():
            if domain in UNBOUNDED and not callable(number) and not domain.holds(as_float32(number)):
                raise ValueError(
                    f"{name}: expected {domain.wanted} in float32, which is computed in, got {number!r}, "
                    f"which is {as_float32(number)} there"
                )


def as_float32(number: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float32(number))


def _rate(value: Any, name: str, domain: expect.Domain) -> float | Schedule:
    return value if callable(value) else expect.number(value, name, domain)
