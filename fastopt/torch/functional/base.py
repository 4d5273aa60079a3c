"""What the functions share: gradients that are kept from the forward pass, and NumPy's views of tensors."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
from torch.autograd import forward_ad

from fastopt.kernels.runtime import kinds
from fastopt.torch.crew import CREW
from fastopt.torch.tensors import NAMES

Compute = Callable[[bool], tuple[torch.Tensor, tuple[torch.Tensor, ...]]]
F = TypeVar("F", bound=Callable[..., Any])
WIDE = (torch.float32, torch.float64)
NO_SECOND = b"fastopt.torch: expected one derivative, got a second one, which kernels lack; use torch's own function"
REDUCTIONS = ("none", "mean", "sum")


def on_workers(function: F) -> F:
    """Run a function on torch's workers, and keep `torch.compile` out of it.

    The graph breaks around it, and `fullgraph=True` is refused by torch.
    """

    @wraps(function)
    def run(*args: Any, **keywords: Any) -> Any:
        with CREW:
            return function(*args, **keywords)

    return torch._disable_dynamo(run)  # type: ignore[attr-defined, return-value]


def opaque(function: F) -> F:
    """As `on_workers`; what would have to look inside is refused."""

    @wraps(function)
    def plain(*args: Any, **keywords: Any) -> Any:
        if is_looked_into():
            raise RuntimeError(
                f"fastopt.torch's {function.__name__}: expected a plain call, got one under torch.func, torch.export "
                "or forward-mode differentiation, which can't look into a kernel; use torch's own function there"
            )
        return function(*args, **keywords)

    return on_workers(plain)  # type: ignore[return-value]


def is_looked_into() -> bool:
    """Return whether tensors may stand for others: batches, tangents, or what an exported program is to take."""
    return (
        torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0 or torch.compiler.is_exporting()
    )


def once(backward: F) -> F:
    """Run a function's backward pass on torch's workers; its results have no gradient, and say so when they are asked.

    torch's own `once_differentiable` lets them pass for constants where the slopes are: a penalty on gradients would be
    left out in silence.
    """

    @wraps(backward)
    def run(ctx: Any, *slopes: Any) -> Any:
        with torch.no_grad(), CREW:
            found = backward(ctx, *slopes)
        if not torch.is_grad_enabled():
            return found
        refused: Any = torch._C._functions.DelayedError(NO_SECOND, len(found))
        return refused(*[None if one is None else one.detach().requires_grad_() for one in found])

    return run  # type: ignore[return-value]


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


def expect_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")


def moves(*tensors: torch.Tensor | None) -> bool:
    """Return whether a gradient is asked for with respect to any of these."""
    return torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in tensors)


def value_type(dtype: torch.dtype) -> torch.dtype:
    """Return the type of a loss's value: that of its input, but float32 under autocast."""
    return torch.float32 if dtype not in WIDE and torch.is_autocast_enabled("cpu") else dtype


def value_of(value: Any, dtype: torch.dtype) -> torch.Tensor:
    """Return a loss's value as a tensor."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value).to(dtype)
    return torch.tensor(value, dtype=dtype)


class Kept(torch.autograd.Function):
    """A loss whose gradients are computed with its value, and kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, compute: Compute, axis: int, *inputs: torch.Tensor) -> torch.Tensor:
        value, gradients = compute(any(ctx.needs_input_grad[2:]))
        ctx.save_for_backward(*gradients)
        ctx.axis = axis
        return value

    @staticmethod
    @once
    def backward(ctx: Any, *slopes: torch.Tensor) -> Any:
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
        result: torch.Tensor = Kept.apply(compute, axis, *inputs)
        return result
    return compute(False)[0]
