"""Losses whose values are of rows, with the names, arguments and values of `torch.nn.functional`."""

import math

import numpy as np
import torch
from torch.nn import functional as theirs

from fastopt import expect
from fastopt.kernels.losses import formulas
from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.runtime.targets import way
from fastopt.torch.functional.base import (
    WIDE,
    array,
    class_weights,
    expect_float,
    expect_reduction,
    expect_tensor,
    keep,
    moves,
    reduction_of,
    value_of,
)  # fmt: skip
from fastopt.torch.functional.operators import loss

Tensor = torch.Tensor


@loss
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0, *,
    in_place: bool = False,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.cross_entropy`, value and gradient in one pass.

    Logits in 16 bits give a value in float32.

    Parameters
    ----------
    input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing
        As torch's.
    in_place : bool, default False
        Whether the gradient is written over the logits, which are lost then. For logits that nothing else reads, such
        as those of a linear layer: no memory of their size is asked for. In a compiled graph memory is the compiler's,
        and the logits stay.

    Raises
    ------
    IndexError
        For a label that is no class.
    RuntimeError, TypeError, ValueError
        As torch's.

    Notes
    -----
    Probabilities or weights that require a gradient are left to torch's function.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> x = torch.zeros(2, 4, requires_grad=True)
    >>> loss = fastopt.torch.functional.cross_entropy(x, torch.tensor([1, 3]))
    >>> loss.backward()
    >>> round(loss.item(), 4), x.grad[0]
    (1.3863, tensor([ 0.1250, -0.3750,  0.1250,  0.1250]))
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if moves(target, weight):
        return theirs.cross_entropy(
            input, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
        )
    expect_reduction(reduction)
    expect_float(input, "input")
    expect_tensor(target, "target")
    ignore_index = expect.integer(ignore_index, "ignore_index")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input.dim() == 0:
        raise RuntimeError("input: expected logits of classes, got a tensor without axes")
    axis = 0 if input.dim() == 1 else 1
    logits, classes = input.movedim(axis, -1), input.shape[axis]
    leading = tuple(logits.shape[:-1])
    weights = class_weights(weight, input.dtype, classes)
    weighed = weights is not None
    if target.is_floating_point():
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        if target.shape != input.shape:
            raise RuntimeError(
                f"target: expected probabilities of shape {tuple(input.shape)}, got {tuple(target.shape)}"
            )
        labels = array(target.detach().to(input.dtype).movedim(axis, -1))
        formula = formulas.categorical_crossentropy(classes, True, float(label_smoothing), weighed=weighed)
        count = float(math.prod(leading))
    else:
        labels = labels_of(target, leading, classes, ignore_index)
        formula = formulas.sparse_categorical_crossentropy(
            classes, True, ignore_index, float(label_smoothing), weighed=weighed
        )
        count = counted(labels, ignore_index, weights)
    return _of_rows(formula, labels, input, logits, leading, reduction, count, weights, in_place)


@loss
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.multi_margin_loss`, value and gradient in one pass.

    Weights that require a gradient are left to torch's function, which refuses them.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if moves(weight):
        return theirs.multi_margin_loss(input, target, p, margin, weight, reduction=reduction)
    expect_reduction(reduction)
    expect_float(input, "input")
    expect_tensor(target, "target")
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    input = input.reshape(1) if input.dim() == 0 else input
    leading, classes = tuple(input.shape[:-1]), input.shape[-1]
    if not classes or input.dim() > 2:
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    if target.numel() != math.prod(leading) or target.dim() > 1:
        raise RuntimeError(
            f"target tensor should be 1-D with size equal to the number of samples. Expected target size "
            f"{list(leading)}, but got {list(target.shape)}"
        )
    if weight is not None:
        if weight.dim() != 1:
            raise ValueError(f"weight must be one-dimensional, got shape {list(weight.shape)}")
        if len(weight) != classes:
            raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    labels = labels_of(target.reshape(leading), leading, classes, formulas.NO_CLASS)
    weights = class_weights(weight, input.dtype, classes)
    scale = None if weights is None else np.asarray(weights[labels])  # one label alone gives a number
    formula, count = formulas.multi_margin(int(p), float(margin)), float(math.prod(leading))
    return _of_rows(formula, labels, input, input, leading, reduction, count, None, False, scale)


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.nll_loss`, which is torch's own: it reads one number a sample, and fuses with nothing.

    `cross_entropy` of logits does its work, and that of the logarithms before it, in one pass.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    return theirs.nll_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.cosine_embedding_loss`, which is torch's own: there is no kernel for it here."""
    reduction = reduction_of(size_average, reduce, reduction)
    return theirs.cosine_embedding_loss(input1, input2, target, margin, reduction=reduction)


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
            told = empty if labels.dtype != np.int64 else empty & (labels != formula.ignore_class)
            value = np.where(told, np.nan, value) if reduction == "none" else math.nan if told.any() else value
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


def labels_of(target: Tensor, leading: tuple[int, ...], classes: int, ignore_index: int) -> np.ndarray:
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


def counted(labels: np.ndarray, ignore_index: int, weights: np.ndarray | None) -> float:
    """Return what a mean divides by: the labels that count, or their weights' sum."""
    if weights is None:
        return float(labels.size - np.count_nonzero(labels == ignore_index))
    return float(weights[labels[labels != ignore_index]].astype(np.float64).sum())
