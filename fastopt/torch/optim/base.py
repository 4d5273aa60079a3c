"""What all optimizers of this package share: state as torch keeps it, and the step through fastopt's kernels."""

from typing import Any, ClassVar

import numpy as np
import torch

from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.kernels.optimizers.recipe import SQUARES, Recipe, state_kind, states
from fastopt.kernels.runtime.tensors import any_gradient, is_bound
from fastopt.optimizers.options import Options
from fastopt.torch.optim.batch import Batch, State, kind_of
from fastopt.torch.optim.rules import Group, Rule, numbers
from fastopt.torch.tensors import DTYPES, local

OPTIONS = tuple(Options.__dataclass_fields__)
DECAY = "decoupled_weight_decay"
STORED = {"mean8": torch.uint8, "square8": torch.uint8, "square16": torch.bfloat16, **DTYPES}


class Fused(torch.optim.Optimizer):
    """Base of the optimizers: torch's arguments, state and semantics, fastopt's step.

    Where torch has an optimizer of the name, it is the base class: arguments, defaults, errors and `isinstance` are
    torch's own. Beside them every optimizer takes the keywords below.

    Parameters
    ----------
    clip_norm : float > 0 or None, default None
        Longest norm of all gradients together; longer ones are scaled down to it.
    clip_group : torch.distributed.ProcessGroup or None, default None
        Processes over whose gradients together `clip_norm` is meant, where each has a shard of them.
    clip_value : float > 0 or None, default None
        Largest magnitude of a gradient's element, after `clip_norm`.
    ema_decay : float in [0, 1) or None, default None
        Keep running averages of the parameters in the state as `average`.
    copy_to : {"bfloat16", "float16"} or None, default None
        Keep a copy of each parameter in this type in the state as `copy`, written in the same pass.
    state_dtype : {"float32", "bfloat16", "8bit"} or None, default None
        How new state is kept; None: float64 for parameters of float64, else float32, for 16-bit parameters, too. State
        that is loaded in another float type stays in it.
    rounding : {"nearest", "stochastic", "exact"}, default "nearest"
        How bfloat16 parameters are kept: see :class:`fastopt.optimizers.Optimizer`.
    seed : int, default 0
        Of all stochastic rounding.
    decoupled_weight_decay : bool, default False
        Where torch has no such argument: take lr weight_decay θ from every parameter instead of adding to its gradient.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As torch's; and in `step`, before anything is written, for parameters or gradients that are not floats of 16, 32
        or 64 bits on the CPU.

    Notes
    -----
    `foreach`, `fused` and `capturable` are accepted and change nothing: every step is fused. `differentiable=True` is
    refused. Gradients of a `GradScaler` are unscaled on the way, and keep their scale in `.grad`. State tensors are
    written in place; to replace one, assign to `optimizer.state[param][name]`.
    """

    rule: ClassVar[Rule]
    _step_supports_amp_scaling = True

    def __init__(self, *args: Any, **keywords: Any):
        own = [name for name in OPTIONS if name != DECAY or not self._torch_decouples()]
        self.options = Options.of({name: keywords.pop(name) for name in own if name in keywords})
        self.clip_group = keywords.pop("clip_group", None)
        if self.clip_group is not None and self.options.clip_norm is None:
            raise ValueError("clip_group: expected clip_norm beside it, got None")
        self._unbind()
        super().__init__(*args, **keywords)
        if self.defaults.get("differentiable"):
            raise RuntimeError(
                "differentiable: expected False, for kernels have no gradient; use torch's own class, got True"
            )

    @classmethod
    def _torch_decouples(cls) -> bool:
        return issubclass(cls, torch.optim.Adam | torch.optim.NAdam | torch.optim.RAdam)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "options": self.options, "clip_group": self.clip_group}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._unbind()
        super().__setstate__(state)

    def _unbind(self) -> None:
        """Forget what is known of parameters and state; the next step looks anew."""
        self._batches: list[Batch] = []
        self._waiting: list[torch.Tensor] = []
        self._seen: tuple[list[list[torch.Tensor]], dict[Any, Any], list[str]] = [[]], {}, []

    # ---- the step

    def step(self, closure: Any = None) -> Any:
        """Update every parameter that has a gradient, and its state, in place; return what `closure` returned.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and the gradients anew.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        hypers = [{**self.rule.fixed, **numbers(group)} for group in self.param_groups]
        batches = self._read(hypers)
        found_inf, scale = getattr(self, "found_inf", None), getattr(self, "grad_scale", None)
        if found_inf is not None and found_inf.item():
            return loss
        factor = 1.0 if scale is None else 1.0 / scale.item()
        if self.options.clip_norm is not None:
            factor = self._clipped(batches, factor)
        prepared = [batch.prepared(hypers, self.options, factor) for batch in batches]
        for batch, (scalars, counters) in zip(batches, prepared):
            batch.run(scalars, counters)
        torch.autograd.graph.increment_version(
            [batch.table.params[job] for batch in batches for job in batch.table.taking_part()]
        )
        if any(batch.fresh for batch in batches):
            self._unbind()
        return loss

    def _clipped(self, batches: list[Batch], factor: float) -> float:
        """Return the factor of gradients that keeps their norm within `clip_norm`."""
        total = sum((batch.squares() for batch in batches), start=np.zeros(2))
        squares = torch.tensor(total[0], dtype=torch.float64)
        if self.clip_group is not None:
            torch.distributed.all_reduce(squares, group=self.clip_group)
        length, longest = factor * squares.sqrt().item(), self.options.clip_norm
        return factor if longest is None or length <= longest else factor * longest / length

    def _read(self, hypers: list[Group]) -> list[Batch]:
        """Return the batches, whose tables hold this step's addresses."""
        groups = [group["params"] for group in self.param_groups]
        kernels = [self.rule.kernel(group) for group in hypers]
        seen, states, before = self._seen
        bound = kernels == before and is_bound(seen, groups, states, self.state) and not any_gradient(self._waiting)
        if not bound or any([batch.table.read() >= 0 for batch in self._batches]):
            self._bind(hypers, kernels)
            for batch in self._batches:
                if (job := batch.table.read()) >= 0:
                    raise RuntimeError(
                        f"params: expected tensors that stay as they are during a step, got {job} changed"
                    )
        return self._batches

    # ---- binding

    def _bind(self, hypers: list[Group], kernels: list[str]) -> None:
        """Look at every parameter, make the state that is missing, and put parameters of one recipe together."""
        counts = {
            id(param): int(count)
            for batch in self._batches
            for param, count in zip(batch.table.params, batch.table.counts)
        }
        entries = [
            (k, i, param) for k, group in enumerate(self.param_groups) for i, param in enumerate(group["params"])
        ]
        for k, i, param in entries:
            if param.grad is not None:
                self._refuse(param, self._name(k, i))
        self._waiting = []
        sorted_out: dict[Any, list[tuple[torch.Tensor, State, int, int]]] = {}
        for number, (k, _, param) in enumerate(entries):
            state = self.state.get(param, {})
            wanted = self._wanted(kernels[k], param, state)
            missing = [name for name in wanted if state.get(name) is None]
            if param.grad is None and missing:
                self._waiting.append(param)
                continue
            state = self.state[param]
            fresh = self.rule.fresh and bool(missing)
            for name in missing:
                state[name] = wanted[name](hypers[k])
            recipe = self._recipe(kernels[k], param, state)
            counter_types = tuple(state[name].dtype for name in ("step", *self.rule.carries) if name in state)
            sorted_out.setdefault((recipe, fresh, counter_types), []).append((param, state, k, number))
        self._batches = []
        for (recipe, fresh, _), members in sorted_out.items():
            params, own_states, groups, own_numbers = map(list, zip(*members))
            known = [counts.get(id(param), 0) for param in params]
            self._batches.append(Batch(self.rule, recipe, params, own_states, groups, own_numbers, known, fresh))
        self._seen = [list(group["params"]) for group in self.param_groups], dict(self.state), kernels

    def _name(self, group: int, i: int) -> str:
        names = self.param_groups[group].get("param_names")
        return names[i] if names else f"param_groups[{group}]['params'][{i}]"

    def _refuse(self, param: torch.Tensor, name: str) -> None:
        """Raise for a parameter, or its gradient, that the kernels can't work on."""
        who = type(self).__name__
        for tensor, what in ((local(param), name), (local(param.grad), f"{name}.grad")):
            if tensor.is_complex():
                raise RuntimeError(
                    f"{what}: expected real numbers, for {who} has no complex kernels, got {tensor.dtype}"
                )
            kind_of(tensor, what)
            if tensor.device.type != "cpu":
                raise RuntimeError(f"{what}: expected a tensor on the CPU, got one on {tensor.device}")
            if tensor.layout != torch.strided:
                raise RuntimeError(f"{what}: {who} does not support sparse gradients, got layout {tensor.layout}")
            if any(n > 1 and stride == 0 for n, stride in zip(tensor.shape, tensor.stride())) and what == name:
                raise RuntimeError(f"{what}: expected elements with memory of their own, got strides {tensor.stride()}")
        if param.grad is not None and param.shape != param.grad.shape:
            raise RuntimeError(f"{name}.grad: expected shape {tuple(param.shape)}, got {tuple(param.grad.shape)}")

    def _kept(self, kernel: str, param: torch.Tensor) -> dict[str, str]:
        """Return how the state of a new parameter is kept, by the kernel's names of buffers."""
        kind, size = kind_of(param, "param"), local(param).numel()
        compute = "float64" if kind == "float64" else "float32"
        wanted = self.options.state_dtype or compute
        return {name: state_kind(name, wanted, compute, size) for name in states((), KERNELS[kernel])}

    def _wanted(self, kernel: str, param: torch.Tensor, state: State) -> dict[str, Any]:
        """Return what makes each tensor of a parameter's state: a function of the group's hyper-parameters."""
        rule, options = self.rule, self.options
        made: dict[str, Any] = {}
        if rule.counted or options.rounding == "stochastic":
            made["step"] = lambda group: torch.zeros((), dtype=_number_type())
        for name, first in rule.carries.items():
            made[name] = lambda group, first=first: torch.tensor(float(first(group)), dtype=_number_type())
        for buffer, kind in self._kept(kernel, param).items():
            name, begin = rule.names.get(buffer, buffer), rule.start.get(buffer)
            if isinstance(state.get(name), torch.Tensor):  # of whatever type it was loaded in
                kind = "mean8" if state[name].dtype == torch.uint8 else kind_of(state[name], name)
            made[name] = lambda group, kind=kind, begin=begin: _begun(param, STORED[kind], begin and begin(group))
            if kind in ("mean8", "square8"):
                groups = -(-local(param).numel() // 256)
                made[f"{name}_scale"] = lambda group, groups=groups: torch.zeros(groups)
        if param.dtype == torch.bfloat16 and options.rounding == "exact":
            made["param_lost_bits"] = lambda group: torch.zeros_like(param, dtype=torch.uint16)
        if options.ema_decay is not None:
            compute = torch.float64 if param.dtype == torch.float64 else torch.float32
            made["average"] = lambda group: param.detach().to(compute, copy=True)
        if options.copy_to is not None:
            made["copy"] = lambda group: param.detach().to(DTYPES[options.copy_to or ""], copy=True)
        return made

    def _recipe(self, kernel: str, param: torch.Tensor, state: State) -> Recipe:
        """Return what a step does to a parameter, which follows from the types of its tensors."""
        options, kind = self.options, kind_of(param, "param")
        compute = "float64" if kind == "float64" else "float32"
        kinds = []
        for buffer in states((), KERNELS[kernel]):
            stored = state[self.rule.names.get(buffer, buffer)]
            if stored.dtype == torch.uint8:
                kinds.append("square8" if buffer in SQUARES else "mean8")
            else:
                found = kind_of(stored, buffer)
                kinds.append("square16" if found == "bfloat16" and buffer in SQUARES else found)
        if kind == "bfloat16" and options.rounding != "nearest":
            kind = {"stochastic": "stochastic", "exact": "split"}[options.rounding]
        grad = kind_of(param if param.grad is None else param.grad, "grad")
        decouples = self._torch_decouples()
        decay = options.decoupled_weight_decay
        if decouples and not isinstance(self, torch.optim.Adam):
            decay = any(
                bool(group[DECAY]) for group in self.param_groups if any(param is own for own in group["params"])
            )
        return Recipe(
            KERNELS[kernel], (), compute, kind, grad, tuple(kinds), clip=options.clip_value is not None, decay=decay,
            average=options.ema_decay is not None, copy=options.copy_to,
        )  # fmt: skip

    # ---- checkpoints

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` of this class, or of torch's, returned.

        torch turns state into the parameter's type; here it stays in the type in which it was saved, so that state in
        float32 of parameters in 16 bits, and 8-bit state, survive.
        """
        super().load_state_dict(state_dict)
        saved, groups = state_dict["state"], state_dict["param_groups"]
        numbers = [number for group in groups for number in group["params"]]
        params = [param for group in self.param_groups for param in group["params"]]
        for number, param in zip(numbers, params):
            for name, value in saved.get(number, {}).items():
                own = self.state[param].get(name)
                if isinstance(own, torch.Tensor) and isinstance(value, torch.Tensor) and own.dtype != value.dtype:
                    self.state[param][name] = value.detach().to(own.device, copy=True)
        self._unbind()


def _number_type() -> torch.dtype:
    """Return the type of torch's step counts."""
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32


def _begun(param: torch.Tensor, dtype: torch.dtype, value: float | str | None) -> torch.Tensor:
    """Return a state tensor in the parameter's order of memory."""
    if value == "param":
        return param.detach().to(dtype, copy=True)
    return torch.full_like(param, float(value or 0.0), dtype=dtype, requires_grad=False)
