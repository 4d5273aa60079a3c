"""Losses as operators of torch's kind, which stand whole in the graphs of `torch.compile` and `torch.export`."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce, wraps
from typing import Any, TypeVar

import torch
from torch.nn import functional as theirs

from fastopt.torch.functional.base import NO_SECOND, WIDE, moves, opaque

F = TypeVar("F", bound=Callable[..., Any])
Tensor = torch.Tensor
TYPES: dict[Any, str] = {
    Tensor: "Tensor", Tensor | None: "Tensor?", Tensor | float: "Tensor", float: "float", int: "SymInt", bool: "bool",
    str: "str", bool | None: "bool?", int | None: "SymInt?",
}  # fmt: skip
OF_ROWS = ("cross_entropy", "linear_cross_entropy", "multi_margin_loss")
OURS = ("in_place", "max_bytes")  # arguments that torch's functions lack


def loss(function: F) -> F:
    """Run a loss as `opaque` says; where a graph is made, as the operator ``torch.ops.fastopt.<name>``.

    Its arguments are the function's, then which of them gradients are wanted for, and autocast's type, or None. It
    returns the value, and behind it these gradients, which are kept for the backward pass. Where there is a value for
    each sample, and gradients of more than `input` are wanted or shapes broadcast, torch's own function stands in the
    graph.
    """
    plain, parameters = opaque(function), inspect.signature(function).parameters
    names, title = list(parameters), function.__name__
    tensors = [k for k, one in enumerate(parameters.values()) if TYPES[one.annotation].startswith("Tensor")]

    def compute(*given: Any) -> list[Tensor]:
        *values, wanted, autocast = given
        for k in tensors:
            values[k] = None if values[k] is None else values[k].detach().requires_grad_(k in wanted)
        with _recording(), torch.autocast("cpu", autocast, enabled=autocast is not None):
            value = plain(**{name: one for name, one in zip(names, values) if name != "in_place"})
        leaves = [values[k] for k in wanted]
        found = torch.autograd.grad(value, leaves, torch.ones_like(value)) if wanted else ()
        return [value.detach().contiguous(), *map(_laid_out, found, leaves)]

    def fake(*given: Any) -> list[Tensor]:
        *values, wanted, autocast = given
        shape, dtype = _kind_of_value(title, dict(zip(names, values)))
        dtype = torch.float32 if dtype not in WIDE and autocast is not None else dtype
        return [values[0].new_empty(shape, dtype=dtype), *[torch.empty_like(values[k]) for k in wanted]]

    schema = ", ".join(f"{TYPES[one.annotation]} {name}" for name, one in parameters.items())
    operator = define(title, f"({schema}, int[] wanted, ScalarType? autocast) -> Tensor[]", compute, fake)
    count, axis = len(names), 1 if title == "cross_entropy" else -1

    def keep(ctx: Any, inputs: Any, output: list[Tensor]) -> None:
        ctx.set_materialize_grads(False)
        ctx.wanted = inputs[-2]
        ctx.save_for_backward(*output[1:])

    def backward(ctx: Any, slopes: list[Tensor | None]) -> Any:
        slope = expect_one(slopes)
        found: list[Tensor | None] = [None] * (count + 2)
        for k, gradient in zip(ctx.wanted, ctx.saved_tensors):
            own = slope.to(gradient.dtype)
            found[k] = gradient * (own.unsqueeze(axis) if 0 < own.dim() < gradient.dim() else own)
        return tuple(found)

    operator.register_autograd(backward, setup_context=keep)

    @wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        if not torch.compiler.is_compiling():
            return plain(*args, **keywords)
        given = defaults | dict(zip(names, args)) | keywords
        for k in tensors:
            if isinstance(given[names[k]], int | float):
                given[names[k]] = given["input"].new_full((), given[names[k]]).expand(given["input"].shape)
        wanted = [k for k in tensors if moves(given[names[k]])]
        if _each(given) and not (
            wanted in ([], [0]) and (title in OF_ROWS or given["target"].shape == given["input"].shape)
        ):
            return getattr(theirs, title)(**{name: one for name, one in given.items() if name not in OURS})
        autocast = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
        return operator(*[given[name] for name in names], wanted, autocast)[0]

    defaults = {name: one.default for name, one in parameters.items() if one.default is not one.empty}
    return call  # type: ignore[return-value]


def _each(given: dict[str, Any]) -> bool:
    """Whether there is a value for each sample."""
    return given["reduction"] == "none" or given.get("reduce") is False


def traced(function: F) -> F:
    """Run a function as `opaque` says; where a graph is made, look into it, for the operators that it calls."""
    plain = opaque(function)

    @wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        return (function if torch.compiler.is_compiling() else plain)(*args, **keywords)

    return call  # type: ignore[return-value]


def define(name: str, schema: str, compute: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    """Return a new operator of torch's, in this package's name."""
    operator = torch.library.custom_op(f"fastopt::{name}", compute, mutates_args=(), schema=schema)
    operator.register_fake(fake)
    return operator


def expect_one(slopes: list[Tensor | None]) -> Tensor:
    """Return the first result's slope; the others are for the backward pass, and have one in a second pass alone."""
    if any(one is not None for one in slopes[1:]) or slopes[0] is None:
        raise RuntimeError(NO_SECOND.decode())
    return slopes[0]


def _laid_out(gradient: Tensor, like: Tensor) -> Tensor:
    """Return a gradient with the strides that a graph was told of."""
    told = torch.empty_like(like)
    return gradient if gradient.stride() == told.stride() else told.copy_(gradient)


def _kind_of_value(name: str, given: dict[str, Any]) -> tuple[Sequence[int], torch.dtype]:
    """Return the shape and type of a loss's value, without autocast."""
    x, target, var = given["input"], given["target"], given.get("var")
    if name in OF_ROWS:
        shape = target.shape if name != "cross_entropy" or not target.is_floating_point() else _without_classes(x.shape)
        return shape if _each(given) else (), x.dtype if x.dtype in WIDE else torch.float32
    tensors = [x, *[one for one in (target, var) if one is not None and one.is_floating_point()]]
    shape = torch.broadcast_shapes(*[one.shape for one in (x, target)])
    return shape if _each(given) else (), reduce(torch.promote_types, [one.dtype for one in tensors])


def _without_classes(shape: Sequence[int]) -> Sequence[int]:
    return (*shape[: min(1, len(shape) - 1)], *shape[2:])


@contextmanager
def _recording() -> Iterator[None]:
    """Let operators record gradients, which torch keeps them from within one of them."""
    keys, guard = torch._C.DispatchKey, torch._C._SetExcludeDispatchKeyGuard
    with guard(keys.AutogradFunctionality, False), guard(keys.ADInplaceOrView, False), torch.enable_grad():
        yield
