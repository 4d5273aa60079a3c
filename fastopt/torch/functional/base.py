"""What the functions share: gradients that are kept from the forward pass, and NumPy's views of tensors."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from fastopt.kernels.runtime import kinds
from fastopt.torch.crew import on_torchs_workers
from fastopt.torch.tensors import NAMES

Compute = Callable[[bool], tuple[torch.Tensor, tuple[torch.Tensor, ...]]]
F = TypeVar("F", bound=Callable[..., Any])
WIDE = (torch.float32, torch.float64)


def opaque(function: F) -> F:
    """Run a function on torch's workers, and keep `torch.compile` out of it.

    The graph breaks around it, and `fullgraph=True` is refused by torch.
    """
    return torch._disable_dynamo(on_torchs_workers(function))  # type: ignore[return-value]


def once(backward: F) -> F:
    """Run a function's backward pass on torch's workers; it has no gradient itself."""
    return once_differentiable(on_torchs_workers(backward))  # type: ignore[return-value]


def array(tensor: torch.Tensor) -> np.ndarray:
    """Return NumPy's view of a tensor, with NumPy's bfloat16 for torch's."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(kinds.bfloat16())
    return tensor.numpy()


def expect_float(tensor: Any, name: str, *more: torch.dtype) -> None:
    """Raise for what the kernels can't take."""
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(tensor).__name__}")
    if tensor.device.type != "cpu" or tensor.layout != torch.strided:
        raise RuntimeError(f"{name}: expected a dense tensor on the CPU, got {tensor.layout} on {tensor.device}")
    if tensor.dtype not in NAMES and tensor.dtype not in more:
        raise TypeError(f"{name}: expected float32, float64, bfloat16 or float16, got {tensor.dtype}")


class Kept(torch.autograd.Function):
    """A loss whose gradients are computed with its value, and kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, compute: Compute, axis: int, *inputs: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        value, gradients = compute(any(ctx.needs_input_grad[2:]))
        ctx.save_for_backward(*gradients)
        ctx.axis = axis
        return value

    @staticmethod
    @once
    def backward(ctx: Any, *slopes: torch.Tensor) -> Any:  # type: ignore[override]
        gradients, (slope,) = ctx.saved_tensors, slopes
        if slope.dim() == 0 and slope.item() == 1.0:
            return None, None, *gradients
        slope = slope.to(gradients[0].dtype)
        if slope.dim() < gradients[0].dim() and slope.dim():
            slope = slope.unsqueeze(ctx.axis)
        return None, None, *[gradient * slope for gradient in gradients]


def keep(compute: Compute, *inputs: torch.Tensor, axis: int = -1) -> torch.Tensor:
    """Return a loss's value; `compute(wanted)` returns it, and the gradients of the inputs where they are wanted.

    `axis` is that of a sample's elements, where there is a value for each sample.
    """
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        result: torch.Tensor = Kept.apply(compute, axis, *inputs)  # type: ignore[no-untyped-call]
        return result
    return compute(False)[0]
