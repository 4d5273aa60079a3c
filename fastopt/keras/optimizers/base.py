"""What all of Keras's optimizers share here: what a step asks of the kernels, and what it leaves to Keras."""

import math
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from operator import is_
from typing import Any, ClassVar, NamedTuple

import keras

from fastopt.kernels.optimizers.batch import Asked, Setting
from fastopt.kernels.optimizers.recipe import FACTORS, FLOATS, SQUARES, WORK, Recipe
from fastopt.kernels.runtime.targets import way
from fastopt.optimizers.options import Options
from fastopt.optimizers.rule import Group
from fastopt.optimizers.rule import Rule as Core

WAYS = {"torch": "by_torch", "numpy": "by_numpy"}  # what reads the arrays of Keras's backend
host: Any = import_module(f"fastopt.keras.optimizers.{WAYS.get(keras.backend.backend(), 'by_keras')}")
WIDE = ("float32", "float64")
DECAYS, STAYS = 0, 1  # a rule's settings in a step: of variables that decay, and of those that are excluded


class Rule(NamedTuple):
    """How variables are stepped.

    Parameters
    ----------
    core : Core
        fastopt's rule.
    names : mapping of str to str
        For each of the rule's buffers, the optimizer's attribute that lists Keras's variables of it.
    """

    core: Core
    names: Mapping[str, str]


class Member(NamedTuple):
    """A variable in a step.

    Parameters
    ----------
    variable : keras.Variable
    kept : dict of keras.Variable
        What is kept of it, by the names of the kernels' buffers.
    place, number : int
        Its place among the gradients; its number in the optimizer.
    setting : int
        DECAYS or STAYS.
    """

    variable: Any
    kept: dict[str, Any]
    place: int
    number: int
    setting: int


class Plan:
    """A step's variables, sorted by what is done to them: it holds as long as steps ask for the same.

    Parameters
    ----------
    asked : tuple
        What is asked for, beside variables.
    variables : list of keras.Variable
    parts : list of (int, jobs)
        The number of a rule, and the variables that share a recipe of it.

    Attributes
    ----------
    rates : list of dict
        Each rule's rate and decay in the last step, which have been checked.
    """

    def __init__(self, asked: tuple[Any, ...], variables: list[Any], parts: list[tuple[int, Any]]):
        self.asked, self.variables, self.parts = asked, list(variables), parts
        self.rates: list[dict[str, float]] = []

    def reads(self, asked: tuple[Any, ...], variables: list[Any], grads: list[Any]) -> bool:
        """Take up the gradients; whether all else is as it was."""
        same = asked == self.asked and len(variables) == len(self.variables)
        return same and all(map(is_, variables, self.variables)) and all([jobs.reads(grads) for _, jobs in self.parts])


class Fused:
    """Base of the optimizers, before Keras's own class: a step by the kernels in the place of Keras's."""

    rules: ClassVar[tuple[Rule, ...]]
    _plan: Plan | None = None

    # ---- what an optimizer says of itself

    def _said(self, number: int) -> Group:
        """Return the hyper-parameters of a rule, without `lr` and `weight_decay`."""
        raise NotImplementedError

    def _lacks(self) -> bool:
        """Return whether an argument asks for what the kernels lack."""
        return False

    def _rule_of(self, variable: Any) -> int:
        """Return the number of the rule that steps a variable."""
        return 0

    def _decay_of(self: Any, number: int) -> float | None:
        """Return the decay of a rule's variables, but for those that are excluded."""
        decay: float | None = self.weight_decay
        return decay

    def _carried(self, step: int) -> dict[str, float]:
        """Return what a rule carries from step to step, before this one."""
        return {}

    def _carry(self, numbers: Mapping[str, float]) -> None:
        """Keep what a rule carries behind a step."""

    # ---- where Keras steps

    def _backend_apply_gradients(self: Any, grads: list[Any], trainable_variables: list[Any]) -> None:
        """Clip, decay, step and average in one pass. Keras adds up gradients that are accumulated."""
        if self.gradient_accumulation_steps or not self._step(grads, trainable_variables, None):
            super()._backend_apply_gradients(grads, trainable_variables)  # type: ignore[misc]
            return
        if self.use_ema and not self._averages(trainable_variables):
            self._update_model_variables_moving_average(self._trainable_variables)
        every = self.ema_overwrite_frequency if self.use_ema else None
        if every and (int(host.number(self._iterations)) + 1) % every == 0:
            self._overwrite_model_variables_with_average_value(self._trainable_variables)

    def _backend_update_step(self: Any, grads: list[Any], trainable_variables: list[Any], learning_rate: Any) -> None:
        """Step; gradients are clipped, and variables decayed."""
        if not self._step(grads, trainable_variables, learning_rate):
            super()._backend_update_step(grads, trainable_variables, learning_rate)  # type: ignore[misc]

    # ---- the step

    @host.opaque
    def _step(self: Any, grads: list[Any], variables: list[Any], learning_rate: Any) -> bool:
        """Update variables and what is kept of them; or return False: nothing has been done, and Keras is to do it.

        `learning_rate`: None for all that Keras does around its own step: clipping, decay, averages.
        """
        grads = host.taken(grads, variables)
        if grads is None or self._lacks():
            return False
        whole = learning_rate is None
        lr = host.number(self.learning_rate if whole else learning_rate)
        decays = [self._decay_of(number) if whole else None for number in range(len(self.rules))]
        rates = [{"lr": lr, "weight_decay": 0.0 if decay is None else decay} for decay in decays]
        plan = self._plan
        known = plan is not None and plan.rates == rates
        if not known and not all([_checks(rule.core, group) for rule, group in zip(self.rules, rates)]):
            return False
        done = int(host.number(self._iterations)) // (self.gradient_accumulation_steps or 1)
        each, together, value = self._clipping() if whole else (None, None, None)
        averaged = whole and self._averages(variables)
        said = [self._said(number) for number in range(len(self.rules))]
        asked = said, [decay is not None for decay in decays], value is not None, averaged, self._excluded()
        if plan is None or not plan.reads(asked, variables, grads):
            plan = self._plan = self._planned(asked, variables, grads)
        if plan is None:
            return False
        plan.rates, factor = rates, 1.0
        if together is not None:
            length = way("optimizers").norm([batch for _, jobs in plan.parts for batch in jobs.batches])[0]
            factor = 1.0 if length <= together else together / length if math.isfinite(length) else math.nan
        decayed = 0.0 if done == 0 else float(self.ema_momentum)  # averages begin with the first step's result
        how = Asked(factor, done + 1, value, decayed if averaged else None, clip_each=each)
        before = self._carried(done + 1)
        for number, jobs in plan.parts:
            group = {**said[number], **rates[number], "maximize": False}
            after = self.rules[number].core.carry({**group, **before}, done + 1)
            decaying = staying = Setting(group, done + 1, before, after)
            if group["weight_decay"]:
                staying = decaying._replace(group={**group, "weight_decay": 0.0})
            jobs.run([decaying, staying], how)
        if before:
            self._carry(after)
        return True

    def _clipping(self: Any) -> tuple[float | None, float | None, float | None]:
        """Return the longest norm of each gradient, that of all of them, and the largest value; one at the most."""
        if self.clipnorm and self.clipnorm > 0:
            return float(self.clipnorm), None, None
        if self.global_clipnorm and self.global_clipnorm > 0:
            return None, float(self.global_clipnorm), None
        return None, None, float(self.clipvalue) if self.clipvalue and self.clipvalue > 0 else None

    def _averages(self: Any, variables: list[Any]) -> bool:
        """Return whether the kernels keep averages: a step has all variables, in a type that is computed in."""
        every = self.use_ema and len(variables) == len(self._trainable_variables)
        return every and all(variable.dtype in WIDE for variable in variables)

    def _excluded(self) -> tuple[Any, Any]:
        """Return what says which variables don't decay."""
        names = "_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"
        return tuple([getattr(self, name, None) for name in names])  # type: ignore[return-value]

    def _planned(self: Any, asked: tuple[Any, ...], variables: list[Any], grads: list[Any]) -> Plan | None:
        """Sort variables by what a step does to them; None: there is something that the kernels don't take."""
        said, decays, clip, averaged, _ = asked
        if not all([_checks(rule.core, group) for rule, group in zip(self.rules, said)]):
            return None
        found: dict[tuple[int, Recipe], list[Member]] = {}
        for place, (variable, grad) in enumerate(zip(variables, grads)):
            number, i = self._rule_of(variable), self._get_variable_index(variable)
            rule, kind = self.rules[number], variable.dtype
            if kind not in FLOATS:
                return None
            recipe = _recipe(rule.core, said[number], tuple(variable.shape), kind, host.kind(grad))
            recipe = replace(recipe, clip=clip, decay=decays[number], average=averaged)
            names = [name for name in recipe.columns if name not in ("param", "grad", "average") and name not in WORK]
            if kind not in WIDE and FACTORS.intersection(names):
                return None
            kept = {name: getattr(self, rule.names[name])[i] for name in names}
            if averaged:
                kept["average"] = self._model_variables_moving_average[i]
            if not all(map(host.reaches, (variable, *kept.values()))):
                return None
            stays = decays[number] and not self._use_weight_decay(variable)
            member = Member(variable, kept, place, i, STAYS if stays else DECAYS)
            found.setdefault((number, recipe), []).append(member)
        if len(set(map(host.address, variables))) < len(variables):  # threads would write one at once
            return None
        parts = [(number, host.Jobs(self.rules[number].core, recipe, own)) for (number, recipe), own in found.items()]
        plan = Plan(asked, variables, parts)
        return plan if plan.reads(asked, variables, grads) else None


def _checks(core: Core, group: Group) -> bool:
    """Return whether hyper-parameters are what fastopt's rule allows."""
    try:
        for name, value in group.items():
            if name in core.hyper:
                core.hyper[name].check(value, name)
    except (TypeError, ValueError):
        return False
    return True


def _recipe(core: Core, group: Group, shape: tuple[int, ...], kind: str, grad: str) -> Recipe:
    """Return what a step does to a variable, whose state is kept in its own type, as Keras keeps it."""
    recipe = core.recipe(group, shape, kind, grad, Options())
    squares = "square16" if kind == "bfloat16" else kind  # rounded stochastically
    kept = [
        own if name in WORK else squares if name in SQUARES else kind for name, own in list(recipe.kinds.items())[2:]
    ]
    return replace(recipe, state=tuple(kept))
