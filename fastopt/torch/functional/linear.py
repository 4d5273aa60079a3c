"""A linear layer and its cross-entropy: logits of some samples at a time, never of all."""

import math

import torch
from torch.nn import functional as theirs

from fastopt import expect
from fastopt.kernels.losses import formulas
from fastopt.kernels.losses.products import tile
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
    value_of,
)  # fmt: skip
from fastopt.torch.functional.operators import loss
from fastopt.torch.functional.rows import counted, cross_entropy, labels_of

Tensor = torch.Tensor


@loss
def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
    weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None,
    label_smoothing: float = 0.0, max_bytes: int = 2**26,
) -> Tensor:  # fmt: skip
    """Cross-entropy of the logits input @ linear_weightᵀ + linear_bias, which are never held together.

    As :func:`torch.nn.functional.linear_cross_entropy` (torch 2.13), without its `options`. Each chunk's logits become
    their own gradient in place, and go into the gradients of input, weight and bias before the next chunk: three
    products of matrices, torch's. Under autocast the products are of its type.

    Parameters
    ----------
    input : tensor (N, features) or (features,)
    linear_weight : tensor (classes, features), or (classes, d1, ..., features)
    target : tensor of labels (N,) or (N, d1, ...), or of probabilities
    linear_bias : tensor of linear_weight's shape without features, optional
    weight, reduction, ignore_index, label_smoothing
        As :func:`cross_entropy`'s; `ignore_index` of None is −100.
    max_bytes : int ≥ 1, default 67108864
        What a chunk's logits may take, but for one sample, which is always taken. The gradients that are asked for are
        kept from the forward pass.

    Raises
    ------
    IndexError, RuntimeError, ValueError
        As torch's.

    Notes
    -----
    All logits are held for `reduction="none"`, whose gradients need the slope of every sample, for probabilities, and
    for weights of more axes.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> x, weight = torch.tensor([[1.0, 2.0]]), torch.zeros(2, 2, requires_grad=True)
    >>> loss = fastopt.torch.functional.linear_cross_entropy(x, weight, torch.tensor([1]))
    >>> loss.backward()
    >>> weight.grad
    tensor([[ 0.5000,  1.0000],
            [-0.5000, -1.0000]])
    """
    expect_reduction(reduction)
    _expect_shapes(input, linear_weight, linear_bias)
    expect_tensor(target, "target")
    max_bytes = expect.integer(max_bytes, "max_bytes", 1)
    shape = (*input.shape[:-1], *linear_weight.shape[:-1])
    if target.shape == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    ignore_index = -100 if ignore_index is None else expect.integer(ignore_index, "ignore_index")
    whole = input.dim() == 1 or linear_weight.dim() > 2 or target.is_floating_point() or reduction == "none"
    if whole or moves(target, weight) or not input.shape[0]:
        features = linear_weight.shape[-1]
        bias = None if linear_bias is None else linear_bias.reshape(-1)
        logits = theirs.linear(input, linear_weight.reshape(-1, features), bias).reshape(shape)
        return cross_entropy(
            logits, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing,
            in_place=True,
        )  # fmt: skip
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    return _by_chunks(input, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing,
                      max_bytes)  # fmt: skip


def _by_chunks(
    x: Tensor, matrix: Tensor, target: Tensor, bias: Tensor | None, weight: Tensor | None, reduction: str, ignored: int,
    smoothing: float, max_bytes: int,
) -> Tensor:  # fmt: skip
    if torch.is_autocast_enabled("cpu"):
        kind = torch.get_autocast_dtype("cpu")
        x, matrix, bias = x.to(kind), matrix.to(kind), None if bias is None else bias.to(kind)
    samples, classes = len(x), len(matrix)
    labels, sums = labels_of(target, (samples,), classes, ignored), x.dtype if x.dtype in WIDE else torch.float32
    weights = class_weights(weight, x.dtype, classes)
    formula = formulas.sparse_categorical_crossentropy(
        classes, True, ignored, float(smoothing), weighed=weight is not None
    )
    count = counted(labels, ignored, weights) if reduction == "mean" else 1.0
    factor, rows = 1.0 / count if count else 0.0, max(1, max_bytes // (classes * x.element_size()))
    inputs = [one for one in (x, matrix, bias) if one is not None and moves(one)]
    of_x, of_matrix, of_bias = (any(one is each for each in inputs) for one in (x, matrix, bias))

    def compute(wanted: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        samples_in, weights_in, bias_in = x.detach(), matrix.detach(), None if bias is None else bias.detach()
        grad_x = torch.empty_like(samples_in) if of_x else None
        grad_matrix = torch.zeros_like(weights_in, dtype=sums) if of_matrix else None
        grad_bias = torch.zeros(classes, dtype=sums) if of_bias else None
        value = 0.0
        for first in range(0, samples, rows):
            part = samples_in[first : first + rows]
            logits = theirs.linear(part, weights_in, bias_in)
            numbers, own = array(logits), labels[first : first + rows]
            value += way("losses").evaluate(
                formula, own, numbers, numbers if wanted else None, leading=own.shape, factor=factor,
                class_weight=weights,
            )  # fmt: skip
            if grad_x is not None:
                torch.mm(logits, weights_in, out=grad_x[first : first + rows])
            if grad_matrix is not None:
                _add_product(grad_matrix, logits, part)
            if grad_bias is not None:
                grad_bias += logits.sum(0, dtype=sums)
        found = [one for one in (grad_x, grad_matrix, grad_bias) if one is not None]
        gradients = tuple(one.to(of.dtype) for one, of in zip(found, inputs, strict=True))
        return value_of(value if count else math.nan, sums), gradients if wanted else ()

    with torch.autocast("cpu", enabled=False):
        return keep(compute, *inputs)


def _add_product(result: Tensor, slopes: Tensor, x: Tensor) -> None:
    """Add slopesᵀ @ x, some classes at a time where it is of a wider type."""
    if result.dtype == x.dtype:
        torch.addmm(result, slopes.t(), x, out=result)
        return
    step = tile(*result.shape)
    for first in range(0, len(result), step):
        result[first : first + step] += slopes[:, first : first + step].t() @ x


def _expect_shapes(input: Tensor, linear_weight: Tensor, linear_bias: Tensor | None) -> None:
    expect_float(input, "input")
    expect_float(linear_weight, "linear_weight")
    if not 1 <= input.dim() <= 2:
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.dim()}")
    if linear_weight.dim() < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.dim()}")
    if input.shape[-1] != linear_weight.shape[-1]:
        raise RuntimeError(
            f"expected equal input and linear_weight last dimensions (in_features), got {input.shape[-1]} and "
            f"{linear_weight.shape[-1]}, respectively"
        )
    if linear_bias is not None and linear_bias.shape != linear_weight.shape[:-1]:
        raise RuntimeError(
            f"expected linear_bias shape {tuple(linear_weight.shape[:-1])}, got {tuple(linear_bias.shape)}"
        )
    if linear_weight.dim() > 2 and input.dim() == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, "
            f"(N, {input.shape[-1]}), got unbatched input with shape {tuple(input.shape)}"
        )
