"""Losses whose values are of elements, with the names, arguments and values of `torch.nn.functional`."""

import math

import torch
from torch.nn import functional as theirs

from fastopt import expect
from fastopt.kernels.losses import formulas
from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.runtime.targets import way
from fastopt.torch.functional.base import (
    WIDE,
    array,
    expect_float,
    expect_reduction,
    keep,
    moves,
    reduction_of,
    value_of,
    value_type,
)  # fmt: skip
from fastopt.torch.functional.operators import loss

Tensor = torch.Tensor


@loss
def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.mse_loss`, value and gradient in one pass.

    As torch's, a mean with weights divides by their sum. Weights that require a gradient are left to torch's function.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> x = torch.tensor([1.0, 3.0], requires_grad=True)
    >>> loss = fastopt.torch.functional.mse_loss(x, torch.zeros(2))
    >>> loss.backward()
    >>> loss.item(), x.grad
    (5.0, tensor([1., 3.]))
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if moves(weight):
        return theirs.mse_loss(input, target, reduction=reduction, weight=weight)  # type: ignore[call-arg]
    return of_elements(formulas.mean_squared_error(), input, target, reduction, weight, symmetric=True, by_weight=True)


@loss
def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.l1_loss`, value and gradient in one pass; weights as in :func:`mse_loss`."""
    reduction = reduction_of(size_average, reduce, reduction)
    if moves(weight):
        return theirs.l1_loss(input, target, reduction=reduction, weight=weight)  # type: ignore[call-arg]  # the stub lacks it
    return of_elements(formulas.mean_absolute_error(), input, target, reduction, weight, symmetric=True, by_weight=True)


@loss
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """:func:`torch.nn.functional.huber_loss`, value and gradient in one pass.

    As torch's, a mean with weights divides by the number of elements, unlike :func:`mse_loss`'s. Weights that require a
    gradient are left to torch's function.
    """
    if moves(weight):
        return theirs.huber_loss(input, target, reduction=reduction, delta=delta, weight=weight)  # type: ignore[call-arg]
    if not delta > 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    return of_elements(formulas.huber(float(delta)), input, target, reduction, weight, symmetric=True)


@loss
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.smooth_l1_loss`, value and gradient in one pass."""
    reduction = reduction_of(size_average, reduce, reduction)
    if not beta >= 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    formula = formulas.smooth_l1(float(beta)) if beta else formulas.mean_absolute_error()
    return of_elements(formula, input, target, reduction, None, symmetric=True)


def of_elements(
    formula: Formula, input: Tensor, target: Tensor, reduction: str, weight: Tensor | None = None,
    symmetric: bool = False, by_weight: bool = False,
) -> Tensor:  # fmt: skip
    """Evaluate a loss of elements.

    `symmetric`: the target's gradient is the input's, negated; `by_weight`: a mean divides by the sum of the weights.
    Shapes broadcast; as in torch, the symmetric losses alone warn of it, and ask for weights of the input's shape.
    """
    expect_reduction(reduction)
    expect_float(input, "input")
    expect_float(target, "target")
    if weight is not None:
        expect_float(weight, "weight")
        if symmetric and weight.shape != input.shape:
            raise ValueError(
                f"Weights and input must have the same size, got {tuple(weight.shape)} and {tuple(input.shape)}"
            )
    if target.shape != input.shape:
        if symmetric:
            expect.caution(
                f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
                "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
                UserWarning,
                ("fastopt.", "torch."),
            )
        input, target = torch.broadcast_tensors(input, target)
    dtype = torch.promote_types(input.dtype, target.dtype)
    input, target = input.to(dtype), target.to(dtype)
    total, weights = float(input.numel()), None
    if weight is not None:
        if by_weight and reduction == "mean":
            total = weight.detach().sum(dtype=torch.float64).item()
        weights = array(weight.detach().to(dtype if dtype in WIDE else torch.float32).expand(input.shape))
    factor = 1.0 if reduction != "mean" else 1.0 / total if total else math.inf

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
