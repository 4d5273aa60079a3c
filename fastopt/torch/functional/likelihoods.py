"""Likelihoods, and the divergence of distributions, with the names, arguments and values of `torch.nn.functional`."""

import math

import torch
from torch.nn import functional as theirs

from fastopt.kernels.losses import formulas
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
)  # fmt: skip
from fastopt.torch.functional.elements import of_elements
from fastopt.torch.functional.operators import loss

Tensor = torch.Tensor


@loss
def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.kl_div` of log-probabilities, value and gradient in one pass.

    `reduction` may be "batchmean", too: the sum over the samples' number. A target that requires a gradient is
    left to torch's function.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> x = torch.tensor([[0.25, 0.75]]).log()
    >>> fastopt.torch.functional.kl_div(x, torch.tensor([[0.5, 0.5]]), reduction="batchmean").round(decimals=4)
    tensor(0.1438)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if moves(target):
        return theirs.kl_div(input, target, reduction=reduction, log_target=log_target)
    if log_target:
        target = target.exp()
    formula = formulas.kullback_leibler_divergence(from_logarithms=True)
    if reduction == "batchmean" and input.dim():
        return of_elements(formula, input, target, "sum") / input.shape[0]
    return of_elements(formula, input, target, "mean" if reduction == "batchmean" else reduction)


@loss
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """:func:`torch.nn.functional.gaussian_nll_loss`, value and all gradients in one pass; 16 bits are left to torch's.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> x, var = torch.tensor([1.0, 3.0]), torch.tensor([1.0, 4.0], requires_grad=True)
    >>> loss = fastopt.torch.functional.gaussian_nll_loss(x, torch.zeros(2), var)
    >>> loss.backward()
    >>> var.grad
    tensor([ 0.0000, -0.0781])
    """
    expect_reduction(reduction)
    variance = var if isinstance(var, Tensor) else torch.full((), float(var), dtype=input.dtype)
    for name, tensor in (("input", input), ("target", target), ("var", variance)):
        expect_float(tensor, name)
    dtype = torch.promote_types(torch.promote_types(input.dtype, target.dtype), variance.dtype)
    if dtype not in WIDE:
        return theirs.gaussian_nll_loss(input, target, var, full=full, eps=eps, reduction=reduction)
    if isinstance(var, Tensor) and var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            variance = variance.unsqueeze(-1)  # one for each row
        elif var.dim() != input.dim() or [n for n, m in zip(var.shape, input.shape) if n != m] != [1]:
            raise ValueError("var is of incorrect size")
    if bool((variance.detach() < 0).any()):
        raise ValueError("var has negative entry/entries")
    input, target, variance = torch.broadcast_tensors(input.to(dtype), target.to(dtype), variance.to(dtype))
    total = input.numel()
    if not total:
        return theirs.gaussian_nll_loss(input, target, variance, full=full, eps=eps, reduction=reduction)

    def compute(wanted: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        gradients = tuple(torch.empty(input.shape, dtype=dtype) for _ in range(2)) if wanted else ()
        value = way("losses").gaussian_nll(
            formulas.gaussian_nll(bool(full), float(eps)), array(target), array(input), array(variance),
            *[array(one) for one in gradients], leading=tuple(input.shape),
            factor=1.0 / total if reduction == "mean" else 1.0, reduced=reduction != "none",
        )  # fmt: skip
        if not gradients:
            return value_of(value, dtype), ()
        return value_of(value, dtype), (gradients[0], -gradients[0], gradients[1])

    return keep(compute, input, target, variance)


@loss
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: bool | None = None,
    eps: float = 1e-8, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.poisson_nll_loss` of logarithms of rates, value and gradient in one pass.

    Rates themselves (`log_input=False`), and a target that requires a gradient, are left to torch's function.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> fastopt.torch.functional.poisson_nll_loss(torch.zeros(2), torch.tensor([1.0, 3.0]))
    tensor(1.)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if not log_input or moves(target):
        return theirs.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=reduction)
    loss = of_elements(formulas.poisson(from_logarithms=True), input, target, reduction)
    if full:
        target = torch.broadcast_tensors(target, input)[0]
        of_target = torch.where(target > 1, target * target.log() - target + 0.5 * (2 * math.pi * target).log(), 0.0)
        if reduction != "none":
            of_target = of_target.mean() if reduction == "mean" else of_target.sum()
        loss = loss + of_target
    return loss
