"""Losses with the names, arguments and values of `torch.nn.functional`, and their gradients from the forward pass."""

import math
import warnings
from typing import Any

import numpy as np
import torch

from fastopt.kernels.losses import formulas
from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.runtime.targets import way
from fastopt.torch.functional.base import WIDE, array, expect_float, keep, opaque

Tensor = torch.Tensor
REDUCTIONS = ("none", "mean", "sum")


# ---- values of elements


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


@opaque
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.binary_cross_entropy_with_logits`, value and gradient in one pass."""
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if pos_weight is not None:
        # p y log σ + (1 − y) log(1 − σ) is the loss of the label p y / s, times s = p y + 1 − y.
        with torch.no_grad():
            scale = 1 + (pos_weight - 1) * target
            target = torch.where(scale == 0, 0.0, pos_weight * target / scale).to(target.dtype)
            weight = scale if weight is None else scale * weight
    return of_elements(formulas.binary_crossentropy(True, 0.0), input, target, reduction, weight)


def of_elements(
    formula: Formula, input: Tensor, target: Tensor, reduction: str, weight: Tensor | None = None,
    symmetric: bool = False,
) -> Tensor:  # fmt: skip
    """Evaluate a loss of elements; `symmetric`: the target's gradient is the input's, negated."""
    expect_reduction(reduction)
    expect_float(input, "input")
    expect_float(target, "target")
    if target.shape != input.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will "
            "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=6,  # behind the public function, and what `opaque` puts around it
        )
        input, target = torch.broadcast_tensors(input, target)
    if target.requires_grad and torch.is_grad_enabled() and not symmetric:
        raise RuntimeError("target: expected one that requires no gradient, got one that does")
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
            return value_of(value, dtype), ()
        return value_of(value, dtype), (gradient, -gradient) if len(inputs) == 2 else (gradient,)

    inputs = (input, target) if symmetric and target.requires_grad else (input,)
    return keep(compute, *inputs)


# ---- values of rows


@opaque
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean",
    label_smoothing: float = 0.0, *, in_place: bool = False,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.cross_entropy`, value and gradient in one pass.

    Logits in 16 bits give a value in float32.

    Parameters
    ----------
    input, target, weight, ignore_index, reduction, label_smoothing
        As torch's.
    in_place : bool, default False
        Whether the gradient is written over the logits, which are lost then. For logits that nothing else reads, such
        as those of a linear layer: no memory of their size is asked for.

    Raises
    ------
    IndexError
        For a label that is no class.
    RuntimeError, TypeError, ValueError
        As torch's; and for a target that requires a gradient.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> x = torch.zeros(2, 4, requires_grad=True)
    >>> loss = fastopt.torch.functional.cross_entropy(x, torch.tensor([1, 3]))
    >>> loss.backward()
    >>> round(loss.item(), 4), x.grad[0]
    (1.3863, tensor([ 0.1250, -0.3750,  0.1250,  0.1250]))
    """
    expect_reduction(reduction)
    expect_float(input, "input")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input.dim() == 0:
        raise RuntimeError("input: expected logits of classes, got a tensor without axes")
    axis = 0 if input.dim() == 1 else 1
    logits, classes = input.movedim(axis, -1), input.shape[axis]
    leading = tuple(logits.shape[:-1])
    weights = None
    if weight is not None:
        if tuple(weight.shape) != (classes,):
            raise RuntimeError(
                f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor "
                f"of shape: {list(weight.shape)}"
            )
        weights = array(weight.detach().to(input.dtype if input.dtype in WIDE else torch.float32).contiguous())
    weighed = weights is not None
    if target.is_floating_point():
        if target.shape != input.shape:
            raise RuntimeError(
                f"target: expected probabilities of shape {tuple(input.shape)}, got {tuple(target.shape)}"
            )
        _expect_constant(target)
        labels = array(target.detach().to(input.dtype).movedim(axis, -1))
        formula = formulas.categorical_crossentropy(classes, True, float(label_smoothing), weighed=weighed)
        count = float(math.prod(leading))
    else:
        labels = _labels(target, leading, classes, ignore_index)
        formula = formulas.sparse_categorical_crossentropy(
            classes, True, ignore_index, float(label_smoothing), weighed=weighed
        )
        count = _counted(labels, ignore_index, weights)
    return _of_rows(formula, labels, input, logits, leading, reduction, count, weights, in_place)


@opaque
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.multi_margin_loss`, value and gradient in one pass."""
    expect_reduction(reduction)
    expect_float(input, "input")
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    leading, classes = tuple(input.shape[:-1]), input.shape[-1]
    labels = _labels(target.reshape(leading), leading, classes, formulas.NO_CLASS)
    scale = None
    if weight is not None:
        scale = array(weight.detach().to(input.dtype if input.dtype in WIDE else torch.float32))[labels]
    formula, count = formulas.multi_margin(int(p), float(margin)), float(math.prod(leading))
    return _of_rows(formula, labels, input, input, leading, reduction, count, None, False, scale)


def _of_rows(
    formula: Formula, labels: np.ndarray, input: Tensor, rows: Tensor, leading: tuple[int, ...], reduction: str,
    count: float, class_weight: np.ndarray | None, in_place: bool, weight: np.ndarray | None = None,
) -> Tensor:  # fmt: skip
    """Evaluate a loss of the rows of `rows`, a view of `input`; a mean divides by `count`."""
    factor = 1.0 if reduction != "mean" else 1.0 / count if count else 0.0

    axis, softmax = -1 if rows is input or input.dim() == 1 else 1, formula.kernel.startswith("softmax")

    def compute(wanted: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        empty = _without_mass(rows) if softmax else None
        gradient = (input.detach() if in_place else torch.empty_like(input)) if wanted else None
        out = None if gradient is None else array(gradient.movedim(axis, -1))
        value = way("losses").evaluate(
            formula, labels, array(rows), out, leading=leading, factor=factor, reduced=reduction != "none",
            class_weight=class_weight, weight=weight,
        )  # fmt: skip
        if reduction == "mean" and not count:
            value = math.nan
        if empty is not None and empty.any():  # torch's softmax has no value there
            value = np.where(empty, np.nan, value) if reduction == "none" else math.nan
            if gradient is not None:
                gradient.movedim(axis, -1)[torch.from_numpy(np.asarray(empty))] = math.nan
        if in_place and wanted:
            torch.autograd.graph.increment_version(input)
        return value_of(value, input.dtype if input.dtype in WIDE else torch.float32), () if gradient is None else (
            gradient,
        )

    return keep(compute, input, axis=axis)


def _without_mass(rows: Tensor) -> np.ndarray | None:
    """Return which rows are -Inf throughout, where any is; a look at one column mostly tells that none is."""
    rows = rows.detach()
    if not rows.numel() or not bool((rows[..., 0] == -math.inf).any()):
        return None
    return (rows == -math.inf).all(-1).numpy()


def _labels(target: Tensor, leading: tuple[int, ...], classes: int, ignore_index: int) -> np.ndarray:
    """Return labels as the kernels take them, or raise."""
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(
            f"expected scalar type Long but found {str(target.dtype).removeprefix('torch.').capitalize()}"
        )
    if tuple(target.shape) != leading:
        raise ValueError(f"target: expected shape {leading}, one label a sample, got {tuple(target.shape)}")
    labels = array(target.to(torch.int64).contiguous())
    if labels.size and way("losses").labels_outside(labels, classes, ignore_index)[0]:
        bad = labels[(labels != ignore_index) & ((labels < 0) | (labels >= classes))].flat[0]
        raise IndexError(f"Target {bad} is out of bounds.")
    return labels


def _counted(labels: np.ndarray, ignore_index: int, weights: np.ndarray | None) -> float:
    """Return what a mean divides by: the labels that count, or their weights' sum."""
    if weights is None:
        return float(labels.size - np.count_nonzero(labels == ignore_index))
    return float(weights[labels[labels != ignore_index]].astype(np.float64).sum())


def expect_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")


def _expect_constant(target: Tensor) -> None:
    if target.requires_grad and torch.is_grad_enabled():
        raise RuntimeError("target: expected one that requires no gradient, got one that does")


def value_of(value: Any, dtype: torch.dtype) -> Tensor:
    """Return a loss's value as a tensor."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value).to(dtype)
    return torch.tensor(value, dtype=dtype)
