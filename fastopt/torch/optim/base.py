"""What all optimizers of this package share: state as torch keeps it, and the step through fastopt's kernels."""

from dataclasses import replace
from typing import Any, ClassVar

import torch

from fastopt.kernels.optimizers.recipe import SQUARES, WORK, Recipe, states
from fastopt.kernels.runtime.targets import way
from fastopt.kernels.runtime.tensors import any_gradient, is_bound
from fastopt.optimizers.options import Options
from fastopt.optimizers.rule import Rule as Core
from fastopt.torch.crew import on_torchs_workers
from fastopt.torch.optim import rows
from fastopt.torch.optim.batch import Batch, Member, State, kind_of
from fastopt.torch.optim.rules import Group, Rule, Said
from fastopt.torch.tensors import DTYPES, NAMES, local

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
    copies : sequence of bfloat16 or float16 tensors, one for each parameter in the groups' order, or None, default None
        The memory for these copies; `copy_to` is their type then. Those of parameters that are added later are made.
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
        self._lent: dict[torch.Tensor, torch.Tensor] = {}
        copies = keywords.pop("copies", None)
        self.clip_group = keywords.pop("clip_group", None)
        if self.clip_group is not None and self.options.clip_norm is None:
            raise ValueError("clip_group: expected clip_norm beside it, got None")
        self._unbind()
        super().__init__(*args, **keywords)
        if self.defaults.get("differentiable"):
            raise RuntimeError(
                "differentiable: expected False, for kernels have no gradient; use torch's own class, got True"
            )
        if copies is not None:
            params = [param for group in self.param_groups for param in group["params"]]
            self._lent = lent(copies, params, self.options.copy_to)
            self.options = replace(self.options, copy_to=NAMES[copies[0].dtype])

    @classmethod
    def _torch_decouples(cls) -> bool:
        return issubclass(cls, torch.optim.Adam | torch.optim.NAdam | torch.optim.RAdam)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "options": self.options, "clip_group": self.clip_group}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._unbind()
        self.__dict__.setdefault("_lent", {})  # a copy has copies of its own; loading comes here, too
        super().__setstate__(state)

    def _unbind(self) -> None:
        """Forget what is known of parameters and state; the next step looks anew."""
        self._said = Said(self.rule, [])
        self._batches: list[Batch] = []
        self._waiting: list[torch.Tensor] = []  # parameters without gradient and state
        self._by_rows: list[tuple[torch.Tensor, int, str]] = []  # those with sparse gradients, their groups and names
        self._seen: tuple[list[list[torch.Tensor]], dict[Any, Any], list[Any]] = [[]], {}, []

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
        self._step()
        return loss

    @on_torchs_workers
    def _step(self) -> None:
        if not self._said.holds(self.param_groups):
            self._said = Said(self.rule, self.param_groups)
        hypers, batches = self._said.hypers, self._read()
        sparse = [
            rows.Sparse.of(param, self.state[param], k, hypers[k], name, self.options)
            for param, k, name in self._by_rows
            if param.grad is not None
        ]
        found_inf, scale = getattr(self, "found_inf", None), getattr(self, "grad_scale", None)
        if found_inf is not None and found_inf.item():
            return
        factor = 1.0 if scale is None else 1.0 / scale.item()
        settings = [batch.settings(hypers) for batch in batches]
        if self.options.clip_norm is not None:
            factor = self._clipped(batches, settings, sparse, factor)
        for batch, own in zip(batches, settings):
            if batch.again:  # after what another batch has just done to the same state
                batch.fits()
                own = batch.settings(hypers)
            batch.run(own, self.options, factor)
        for one in sparse:
            if hypers[one.group].get("momentum"):
                one.step_with_momentum(hypers[one.group], self.options, factor)
                continue
            core = self.rule.of(self.param_groups[one.group])
            recipe = self._recipe(core, hypers[one.group], one.param, one.state)
            one.step(self.rule, core, recipe, hypers[one.group], self.options, factor)
        for batch in batches:
            torch.autograd.graph.increment_version(batch.table.stepped)
            batch.table.release()
        if sparse:
            torch.autograd.graph.increment_version([one.param for one in sparse])
        if any([batch.fresh for batch in batches]):
            self._unbind()

    def _clipped(self, batches: list[Batch], settings: list[list[Any]], sparse: list[Any], factor: float) -> float:
        """Return the factor of gradients that keeps their norm within `clip_norm`."""
        door, limit = way("optimizers"), self.options.clip_norm
        parts = [part for batch, own in zip(batches, settings) for part in batch.parts(len(own))]
        total = door.squares(parts)[0] + sum(one.squares() for one in sparse)
        squares = torch.tensor(total, dtype=torch.float64)
        if self.clip_group is not None:
            torch.distributed.all_reduce(squares, group=self.clip_group)
        length = factor * squares.sqrt().item()
        return factor if limit is None or length <= limit else factor * limit / length

    def _read(self) -> list[Batch]:
        """Return the batches, whose tables hold this step's addresses."""
        groups = [group["params"] for group in self.param_groups]
        seen, states, before = self._seen
        bound = self._said.kernels == before and is_bound(seen, groups, states, self.state)
        bound = bound and not any_gradient(self._waiting)
        bound = bound and all(param.grad is None or param.grad.is_sparse for param, _, _ in self._by_rows)
        if not bound or not all([batch.fits() for batch in self._batches]):
            self._bind(self._said.hypers, self._said.kernels)
            if not all([batch.fits() for batch in self._batches]):
                raise RuntimeError(
                    "params: expected tensors that stay as they are during a step, got some that changed"
                )
        return self._batches

    # ---- binding

    def _bind(self, hypers: list[Group], kernels: list[Any]) -> None:
        """Look at every parameter, make the state that is missing, and put parameters of one recipe together."""
        known = {
            id(own.param): int(count)
            for batch in self._batches
            for own, count in zip(batch.members, batch.table.counts)
        }
        entries = [
            (k, param, self._name(k, i))
            for k, group in enumerate(self.param_groups)
            for i, param in enumerate(group["params"])
        ]
        for _, param, name in entries:
            if param.grad is not None:
                self._refuse(param, name)
        self._waiting, self._by_rows = [], []
        sorted_out: dict[Any, list[Member]] = {}
        turns: dict[torch.Tensor, int] = {}
        for number, (k, param, name) in enumerate(entries):
            core = self.rule.of(self.param_groups[k])
            wanted = self._wanted(core, hypers[k], param, self.state.get(param, {}))
            missing = [name for name in wanted if self.state.get(param, {}).get(name) is None]
            if rows.has_sparse_momentum(param, self.state.get(param, {}), wanted, name):
                self._by_rows.append((param, k, name))
                continue
            if param.grad is None and missing:
                self._waiting.append(param)
                continue
            state = self.state[param] if wanted else self.state.get(param, {})
            state |= {name: wanted[name]() for name in missing}
            if param.grad is not None and param.grad.is_sparse:
                self._by_rows.append((param, k, name))
                continue
            recipe, fresh = self._recipe(core, hypers[k], param, state), self.rule.fresh and bool(missing)
            counter_types = tuple(state[name].dtype for name in ("step", *self.rule.carries) if name in state)
            member = Member(param, state, k, number, known.get(id(param), 0))
            turn = turns[param] = turns.get(param, -1) + 1  # above 0 where a group names a parameter again
            sorted_out.setdefault((turn, recipe, core, fresh, counter_types), []).append(member)
        self._batches = [
            Batch(self.rule, core, recipe, members, fresh, turn > 0)
            for (turn, recipe, core, fresh, _), members in sorted(sorted_out.items(), key=lambda item: item[0][0])
        ]
        self._seen = [list(group["params"]) for group in self.param_groups], dict(self.state), kernels

    def _name(self, group: int, i: int) -> str:
        names = self.param_groups[group].get("param_names")
        return names[i] if names else f"param_groups[{group}]['params'][{i}]"

    def _refuse(self, param: torch.Tensor, name: str) -> None:
        """Raise for a parameter, or its gradient, that the kernels can't work on."""
        who, grad = type(self).__name__, param.grad
        assert grad is not None
        for tensor, what in ((local(param), name), (local(grad), f"{name}.grad")):
            if tensor.is_complex():
                raise RuntimeError(f"{who} does not support complex parameters, got {tensor.dtype} for {what}")
            kind_of(tensor, what)
            if tensor.device.type != "cpu":
                raise RuntimeError(f"{what}: expected a tensor on the CPU, got one on {tensor.device}")
        if not (param.layout == torch.strided and local(param).is_contiguous() if grad.is_sparse else True):
            raise RuntimeError(f"{name}: expected a packed parameter beside a sparse gradient")
        if any(n > 1 and stride == 0 for n, stride in zip(local(param).shape, local(param).stride())):
            raise RuntimeError(f"{name}: expected elements with memory of their own, got strides {param.stride()}")
        if param.shape != grad.shape:
            raise RuntimeError(f"{name}.grad: expected shape {tuple(param.shape)}, got {tuple(grad.shape)}")
        if self.rule.rows_only and not grad.is_sparse:
            raise RuntimeError(f"{who} does not support dense gradients, please consider Adam instead ({name})")
        if not self.rule.rows and grad.layout != torch.strided:
            instead = ", please consider SparseAdam instead" if isinstance(self, torch.optim.Adam) else ""
            raise RuntimeError(f"{who} does not support sparse gradients{instead} ({name})")
        if isinstance(self.rule.core, Core) and self.rule.core.layers is not None and hasattr(param, "to_local"):
            raise RuntimeError(f"{name}: expected whole parameters, as {who} looks at layers, got a shard")

    def _wanted(self, core: Core, group: Group, param: torch.Tensor, state: State) -> dict[str, Any]:
        """Return what makes each tensor of a parameter's state."""
        rule, options, kind = self.rule, self.options, kind_of(param, "param")
        made: dict[str, Any] = {}
        if rule.counted or options.rounding == "stochastic":
            made["step"] = (lambda: 0) if rule.rows_only else lambda: torch.zeros((), dtype=_number_type())
        for name, begin in rule.carries.items():
            made[name] = lambda begin=begin: torch.tensor(float(begin(group)), dtype=_number_type())
        recipe = core.recipe(group, tuple(local(param).shape), kind, kind, options)
        for buffer in states(recipe.passes, recipe.kernel):
            name = rule.names.get(buffer, buffer)
            if buffer in WORK:
                continue
            kind = recipe.kinds[buffer]
            if isinstance(state.get(name), torch.Tensor):  # of whatever type it was loaded in
                kind = "mean8" if state[name].dtype == torch.uint8 else kind_of(state[name], name)
            made[name] = lambda buffer=buffer, kind=kind: _begun(core, buffer, group, param, STORED[kind])
            if kind in ("mean8", "square8"):
                made[f"{name}_scale"] = lambda: torch.zeros(-(-local(param).numel() // 256))
        compute = torch.float64 if param.dtype == torch.float64 else torch.float32
        if recipe.param == "split":
            made["param_lost_bits"] = lambda: torch.zeros_like(param, dtype=torch.uint16)
        if recipe.average:
            made["average"] = lambda: param.detach().to(compute, copy=True)
        if recipe.copy is not None:
            made["copy"] = lambda: self._copy_of(param, DTYPES[recipe.copy or ""])
        return made

    def _copy_of(self, param: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """Return a parameter's copy, up to date: in the caller's memory where that was given."""
        found = self._lent.get(param)
        return param.detach().to(dtype, copy=True) if found is None else found.copy_(param.detach())

    def _recipe(self, core: Core, group: Group, param: torch.Tensor, state: State) -> Recipe:
        """Return what a step does to a parameter; how its state is kept follows from the tensors that are there."""
        grad = kind_of(param if param.grad is None else param.grad, "grad")
        recipe = core.recipe(group, tuple(local(param).shape), kind_of(param, "param"), grad, self.options)
        kinds, decay = [], recipe.decay
        for buffer, kind in list(recipe.kinds.items())[2:]:
            if buffer not in WORK:
                stored = state[self.rule.names.get(buffer, buffer)]
                if stored.dtype == torch.uint8:
                    kind = "square8" if buffer in SQUARES else "mean8"
                else:
                    kind = kind_of(stored, buffer)
                    kind = "square16" if kind == "bfloat16" and buffer in SQUARES else kind
            kinds.append(kind)
        if isinstance(self, torch.optim.NAdam | torch.optim.RAdam):
            (own,) = [each for each in self.param_groups if any(param is one for one in each["params"])]
            decay = bool(own[DECAY])
        return replace(recipe, state=tuple(kinds), decay=decay)

    # ---- checkpoints

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` of this class, or of torch's, returned.

        torch turns state into the parameter's type; here it stays in the type in which it was saved, so that state in
        float32 of parameters in 16 bits, and 8-bit state, survive.
        """
        taken: list[dict[str, Any]] = []  # what the hooks before the load have made of it
        before = self.register_load_state_dict_pre_hook(lambda _, given: taken.append(given))
        after = self.register_load_state_dict_post_hook(lambda _: self._take_types(taken[-1]), prepend=True)
        try:
            super().load_state_dict(state_dict)
        finally:
            before.remove()
            after.remove()

    def _take_types(self, state_dict: dict[str, Any]) -> None:
        """Put the state that torch has just loaded into the types in which it was saved."""
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        params = [param for group in self.param_groups for param in group["params"]]
        for number, param in zip(numbers, params):
            for name, value in state_dict["state"].get(number, {}).items():
                own = self.state[param].get(name)
                if isinstance(own, torch.Tensor) and isinstance(value, torch.Tensor) and own.dtype != value.dtype:
                    self.state[param][name] = value.detach().to(own.device, copy=True)
        for param, copy in self._lent.items():
            if "copy" in self.state.get(param, {}):
                self.state[param]["copy"] = copy.copy_(param.detach())
        self._unbind()


def lent(copies: Any, params: list[torch.Tensor], stated: str | None) -> dict[torch.Tensor, torch.Tensor]:
    """Return the caller's memory for each parameter's copy, which is written now; raise for what can't be used."""
    if not isinstance(copies, list | tuple) or len(copies) != len(params):
        got = f"{len(copies)}" if isinstance(copies, list | tuple) else type(copies).__name__
        raise ValueError(f"copies: expected a list of {len(params)} tensors, one for each parameter, got {got}")
    kind = getattr(copies[0], "dtype", None)
    if kind not in (torch.bfloat16, torch.float16):
        raise TypeError(f"copies[0]: expected a tensor of bfloat16 or float16, got {kind or type(copies[0]).__name__}")
    if stated not in (None, NAMES[kind]):
        raise ValueError(f"copy_to: expected {NAMES[kind]!r}, the type of copies, or None, got {stated!r}")
    for k, (copy, param) in enumerate(zip(copies, params)):
        if not isinstance(copy, torch.Tensor) or copy.dtype != kind:
            raise TypeError(
                f"copies[{k}]: expected a tensor of {kind}, got {getattr(copy, 'dtype', type(copy).__name__)}"
            )
        if copy.shape != param.shape or copy.device.type != "cpu" or copy.layout != torch.strided:
            raise ValueError(
                f"copies[{k}]: expected a dense tensor of shape {tuple(param.shape)} on the CPU, got {copy.layout} of "
                f"{tuple(copy.shape)} on {copy.device}"
            )
    with torch.no_grad():
        return {param: copy.copy_(param.detach()) for copy, param in zip(copies, params)}


def _number_type() -> torch.dtype:
    """Return the type of torch's step counts."""
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32


def _begun(core: Core, buffer: str, group: Group, param: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a state tensor, in the parameter's order of memory where it is of its shape."""
    value: Any = core.start(buffer, group, None)  # type: ignore[arg-type]
    if value is None:  # the parameter's own values
        return param.detach().to(dtype, copy=True)
    shape = tuple(param.shape) if core.layers is None else core.layers.state_shape(buffer, tuple(param.shape))
    if shape != tuple(param.shape):
        return torch.full(shape, float(value), dtype=dtype)
    return torch.full_like(param, float(value), dtype=dtype, requires_grad=False)
