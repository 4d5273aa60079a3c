"""Steps on sparse gradients: the rows that a gradient names are stepped, each a job of its own; no other is touched."""

from collections.abc import Container
from typing import Any, NamedTuple

import numpy as np
import torch

from fastopt.kernels.optimizers.batch import Asked, Batch, Setting
from fastopt.kernels.optimizers.recipe import Recipe
from fastopt.kernels.runtime.targets import way
from fastopt.optimizers.options import Options
from fastopt.optimizers.rule import Rule as Core
from fastopt.torch.optim.rules import Group, Rule


class Sparse(NamedTuple):
    """A parameter with a sparse gradient: each row once, and its values, packed."""

    param: torch.Tensor
    state: dict[str, Any]
    group: int
    rows: np.ndarray
    values: torch.Tensor

    @classmethod
    def of(
        cls, param: torch.Tensor, state: dict[str, Any], group: int, hyper: Group, name: str, options: Options
    ) -> "Sparse":  # fmt: skip
        """Look at a parameter's gradient; rows that are named more than once are added up."""
        grad = param.grad
        assert grad is not None
        if grad.sparse_dim() != 1:
            raise RuntimeError(
                f"{name}.grad: expected rows of the first axis alone, got {grad.sparse_dim()} sparse axes"
            )
        if hyper.get("momentum") and (options.ema_decay is not None or options.copy_to is not None):
            raise RuntimeError(
                f"{name}.grad: expected a dense gradient beside momentum and averages or copies, got a sparse one"
            )
        if hyper.get("weight_decay"):
            raise RuntimeError(f"weight_decay option is not compatible with sparse gradients ({name})")
        if any(isinstance(one, torch.Tensor) and one.dtype == torch.uint8 for one in state.values()):
            raise RuntimeError(f"{name}.grad: expected a dense gradient beside 8-bit state, got a sparse one")
        grad = grad.coalesce()
        return cls(param, state, group, grad.indices()[0].numpy(), grad.values().contiguous())

    def squares(self) -> float:
        """Return the sum of the gradient's squares."""
        return float(self.values.double().square().sum())

    def step(self, rule: Rule, core: Core, recipe: Recipe, group: Group, options: Options, factor: float) -> None:
        """Update the rows, their state, and the parameter's count of steps."""
        step = int(self.state["step"]) + 1 if "step" in self.state else 2
        length = self.values[0].numel() if len(self.rows) else 0
        if length:
            batch = Batch.of_pointers(recipe, len(self.rows))
            for k, column in enumerate(recipe.columns):
                name = rule.names.get(column, column)
                tensor = {"param": self.param, "grad": self.values}.get(column, self.state.get(name))
                assert tensor is not None
                if not tensor.is_contiguous():
                    raise RuntimeError(f"state {name!r}: expected a packed tensor beside a sparse gradient")
                at = np.arange(len(self.rows)) if column == "grad" else self.rows
                width = length * tensor.element_size()
                batch.jobs.pointers[:, k] = tensor.data_ptr() + (at * width).astype(np.uintp)
            batch.jobs.units[:], batch.jobs.numbers[:, 0] = length, self.rows + 1
            asked = Asked(factor, step, options.clip_value, options.ema_decay, options.seed)
            way("optimizers").step([batch], core, [Setting(group, step)], asked)
        if isinstance(self.state.get("step"), torch.Tensor):
            self.state["step"].fill_(step)
        elif "step" in self.state:
            self.state["step"] = step

    @torch.no_grad()
    def step_with_momentum(self, group: Group, options: Options, factor: float) -> None:
        """Step as torch does: the buffer is as sparse as the gradients were, and every row that it names moves."""
        values = self.values * (-factor if group["maximize"] else factor)
        if options.clip_value is not None:
            values.clamp_(-options.clip_value, options.clip_value)
        rows = torch.from_numpy(self.rows).unsqueeze(0)
        grad = torch.sparse_coo_tensor(rows, values, self.param.shape, check_invariants=False, is_coalesced=True)
        buffer = self.state.get("momentum_buffer")
        if buffer is None:
            buffer = self.state["momentum_buffer"] = grad.clone()
        else:
            buffer.mul_(group["momentum"]).add_(grad, alpha=1.0 - group["dampening"])
        update = grad.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer
        self.param.add_(update, alpha=-group["lr"])


def has_sparse_momentum(param: torch.Tensor, state: dict[str, Any], wanted: Container[str], name: str) -> bool:
    """Whether a parameter's momentum is sparse, as its gradient is or was; raise for a dense gradient beside it."""
    held, grad = state.get("momentum_buffer"), param.grad
    if "momentum_buffer" not in wanted:
        return False
    if held is not None and held.is_sparse and grad is not None and not grad.is_sparse:
        raise RuntimeError(f"{name}.grad: expected a sparse gradient beside sparse momentum, got a dense one")
    return (grad is not None and grad.is_sparse) or (held is not None and held.is_sparse)
