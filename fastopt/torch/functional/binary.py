"""Losses of two classes, with the names, arguments and values of `torch.nn.functional`."""

import torch
from torch.nn import functional as theirs

from fastopt.kernels.losses import formulas
from fastopt.kernels.runtime.targets import way
from fastopt.torch.functional.base import array, expect_float, expect_tensor, moves, reduction_of
from fastopt.torch.functional.elements import of_elements
from fastopt.torch.functional.operators import loss

Tensor = torch.Tensor


@loss
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.binary_cross_entropy` of probabilities, value and gradient in one pass.

    Logarithms are clipped at −100, as torch's. A target that requires a gradient is left to torch's function, and so
    are weights, which it refuses.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> p = torch.tensor([0.0, 0.5], requires_grad=True)
    >>> loss = fastopt.torch.functional.binary_cross_entropy(p, torch.tensor([1.0, 0.0]), reduction="none")
    >>> loss.detach().round(decimals=4)
    tensor([100.0000,   0.6931])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if moves(target, weight):
        return theirs.binary_cross_entropy(input, target, weight, reduction=reduction)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    for one, name in ((input, "input"), (target, "target")):
        expect_float(one, name)
        if one.numel() and any(way("losses").outside(array(one), 0.0, 1.0)):
            raise RuntimeError(f"all elements of {name} should be between 0 and 1")
    return of_elements(formulas.binary_crossentropy(False, 0.0, True), input, target, reduction, weight)


@loss
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.binary_cross_entropy_with_logits`, value and gradient in one pass.

    A target that requires a gradient is left to torch's function, and so are weights, which it refuses.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if moves(target, weight, pos_weight):
        return theirs.binary_cross_entropy_with_logits(
            input, target, weight, reduction=reduction, pos_weight=pos_weight
        )
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if pos_weight is not None:
        # p y log σ + (1 − y) log(1 − σ) is the loss of the label p y / s, times s = p y + 1 − y.
        scale = 1 + (pos_weight - 1) * target
        target = torch.where(scale == 0, 0.0, pos_weight * target / scale).to(target.dtype)
        weight = scale if weight is None else scale * weight
    return of_elements(formulas.binary_crossentropy(True, 0.0), input, target, reduction, weight)


@loss
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.soft_margin_loss`: log(1 + exp(−y x)), which doesn't overflow here."""
    reduction = reduction_of(size_average, reduce, reduction)
    expect_float(input, "input")
    expect_float(target, "target")
    margin = input * target
    return of_elements(formulas.binary_crossentropy(True, 0.0), margin, torch.ones_like(margin), reduction)


@loss
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.hinge_embedding_loss`, value and gradient in one pass.

    Any target is taken, as in torch: one that is neither 1 nor −1 has both terms. A target that requires a gradient, of
    which there is none, is left to torch's function.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> distances = torch.tensor([0.5, 0.25])
    >>> fastopt.torch.functional.hinge_embedding_loss(distances, torch.tensor([1.0, -1.0]))
    tensor(0.6250)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if moves(target):
        return theirs.hinge_embedding_loss(input, target, margin, reduction=reduction)
    expect_tensor(target, "target")
    target = target if target.is_floating_point() else target.to(input.dtype)
    return of_elements(formulas.hinge_embedding(float(margin)), input, target, reduction)
