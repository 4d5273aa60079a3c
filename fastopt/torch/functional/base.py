"""What the functions share: gradients that are kept from the forward pass, and NumPy's views of tensors."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

import numpy as np
import torch
from torch.autograd import forward_ad

from fastopt import expect
from fastopt.kernels.runtime import kinds
from fastopt.torch.crew import CREW, on_torchs_workers
from fastopt.torch.tensors import NAMES

Compute = Callable[[bool], tuple[torch.Tensor, tuple[torch.Tensor, ...]]]
F = TypeVar("F", bound=Callable[..., Any])
WIDE = (torch.float32, torch.float64)
NO_SECOND = b"fastopt.torch: expected one derivative, got a second one, which kernels lack; use torch's own function"
REDUCTIONS = ("none", "mean", "sum")


def opaque(function: F) -> F:
    """As `on_torchs_workers`; what would have to look inside is refused, as is what should be a tensor and isn't."""
    parameters = signature(function).parameters

    @wraps(function)
    def plain(*args: Any, **keywords: Any) -> Any:
        if is_looked_into():
            raise RuntimeError(
                f"fastopt.torch's {function.__name__}: expected a plain call, got one under torch.func, torch.export "
                "or forward-mode differentiation, which can't look into a kernel; use torch's own function there"
            )
        try:
            return function(*args, **keywords)
        except AttributeError:
            for name, value in (dict(zip(parameters, args)) | keywords).items():
                if parameters[name].annotation in (torch.Tensor, torch.Tensor | None) and value is not None:
                    expect_tensor(value, name)
            raise

    return on_torchs_workers(plain)  # type: ignore[return-value]


def is_looked_into() -> bool:
    """Return whether tensors may stand for others: batches, tangents, or what an exported program is to take."""
    return (
        torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0 or torch.compiler.is_exporting()
    )


def once(backward: F) -> F:
    """Run a function's backward pass on torch's workers; its results have no gradient, and say so when they are asked.

    `torch.compile` is kept out of it: a step that is compiled as a whole would look into it, and compile what it can.

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

    return torch._disable_dynamo(run)  # type: ignore[attr-defined, return-value]


def array(tensor: torch.Tensor) -> np.ndarray:
    """Return NumPy's view of a tensor, with NumPy's bfloat16 for torch's."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(kinds.bfloat16())
    return tensor.numpy()


def expect_tensor(value: Any, name: str) -> None:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(value).__name__}")


def expect_float(tensor: Any, name: str) -> None:
    """Raise for what the kernels can't take."""
    expect_tensor(tensor, name)
    if tensor.device.type != "cpu" or tensor.layout != torch.strided:
        raise RuntimeError(f"{name}: expected a dense tensor on the CPU, got {tensor.layout} on {tensor.device}")
    if tensor.dtype not in NAMES:
        raise TypeError(f"{name}: expected float32, float64, bfloat16 or float16, got {tensor.dtype}")


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """Return `reduction`, or what torch's deprecated arguments say in its place, and warn of them as torch does."""
    if size_average is not None or reduce is not None:
        each = reduce is not None and not reduce
        reduction = "none" if each else "mean" if size_average is None or size_average else "sum"
        sentence = f"size_average and reduce args will be deprecated, please use reduction='{reduction}' instead."
        expect.caution(sentence, UserWarning, ("fastopt.", "torch."))
    return reduction


def expect_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")


def moves(*tensors: torch.Tensor | None) -> bool:
    """Return whether a gradient is asked for with respect to any of these; what is no tensor is refused later."""
    return torch.is_grad_enabled() and any(getattr(one, "requires_grad", False) for one in tensors)


def class_weights(weight: torch.Tensor | None, dtype: torch.dtype, classes: int) -> np.ndarray | None:
    """Return weights of classes in the type that the kernels take beside an input of `dtype`."""
    if weight is None:
        return None
    expect_float(weight, "weight")
    if tuple(weight.shape) != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of "
            f"shape: {list(weight.shape)}"
        )
    kind = dtype if dtype in WIDE else torch.float32
    if torch.promote_types(kind, weight.dtype) != kind:
        raise RuntimeError(f"weight: expected {kind} beside an input of {dtype}, got {weight.dtype}")
    return array(weight.to(kind).contiguous())


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
