"""Losses whose values are of elements, with the names, arguments and values of `torch.nn.functional`."""

import math
import warnings

import torch

from fastopt.kernels.losses import formulas
from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.runtime.targets import way
from fastopt.torch.functional.base import (
    WIDE,
    array,
    expect_float,
    expect_reduction,
    keep,
    opaque,
    value_of,
    value_type,
)  # fmt: skip

Tensor = torch.Tensor


@opaque
def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """:func:`torch.nn.functional.mse_loss`, value and gradient in one pass.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> x = torch.tensor([1.0, 3.0], requires_grad=True)
    >>> loss = fastopt.torch.functional.mse_loss(x, torch.zeros(2))
    >>> loss.backward()
    >>> loss.item(), x.grad
    (5.0, tensor([1., 3.]))
    """
    return of_elements(formulas.mean_squared_error(), input, target, reduction, weight, symmetric=True)


@opaque
def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """:func:`torch.nn.functional.l1_loss`, value and gradient in one pass."""
    return of_elements(formulas.mean_absolute_error(), input, target, reduction, weight, symmetric=True)


@opaque
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """:func:`torch.nn.functional.huber_loss`, value and gradient in one pass."""
    if not delta > 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    return of_elements(formulas.huber(float(delta)), input, target, reduction, weight, symmetric=True)


@opaque
def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """:func:`torch.nn.functional.smooth_l1_loss`, value and gradient in one pass."""
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    formula = formulas.smooth_l1(float(beta)) if beta else formulas.mean_absolute_error()
    return of_elements(formula, input, target, reduction, None, symmetric=True)


def of_elements(
    formula: Formula, input: Tensor, target: Tensor, reduction: str, weight: Tensor | None = None,
    symmetric: bool = False,
) -> Tensor:  # fmt: skip
    """Evaluate a loss of elements; `symmetric`: the target's gradient is the input's, negated.

    Shapes broadcast; as in torch, the symmetric losses alone warn of it.
    """
    expect_reduction(reduction)
    expect_float(input, "input")
    expect_float(target, "target")
    if target.shape != input.shape:
        if symmetric:
            warnings.warn(
                f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
                "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
                stacklevel=6,  # behind the public function, and what `opaque` puts around it
            )
        input, target = torch.broadcast_tensors(input, target)
    dtype = torch.promote_types(input.dtype, target.dtype)
    input, target = input.to(dtype), target.to(dtype)
    total = input.numel()
    factor = 1.0 / total if reduction == "mean" and total else math.nan if reduction == "mean" else 1.0
    weights = None
    if weight is not None:
        expect_float(weight, "weight")
        weights = array(weight.detach().to(dtype if dtype in WIDE else torch.float32).expand(input.shape))

    def compute(wanted: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        gradient = torch.empty_like(input) if wanted else None
        value = way("losses").evaluate(
            formula, array(target), array(input), None if gradient is None else array(gradient),
            leading=tuple(input.shape), factor=factor, reduced=reduction != "none", weight=weights,
        )  # fmt: skip
        if not total and reduction == "mean":
            value = math.nan
        if gradient is None:
            return value_of(value, value_type(dtype)), ()
        return value_of(value, value_type(dtype)), (gradient, -gradient) if len(inputs) == 2 else (gradient,)

    inputs = (input, target) if symmetric and target.requires_grad else (input,)
    return keep(compute, *inputs)
