"""The torch backend: tensors where they lie, and gradients kept from the forward pass. by_numpy.py has the same."""

import math
from typing import Any

import keras
import numpy as np
import torch

from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.runtime.targets import way
from fastopt.torch.crew import on_torchs_workers as opaque
from fastopt.torch.functional.base import WIDE, array, is_looked_into, keep
from fastopt.torch.tensors import NAMES

__all__ = [
    "array",
    "bare",
    "broadcast",
    "cast",
    "fit",
    "is_constant",
    "labels",
    "opaque",
    "outside",
    "reduced",
    "rows",
    "takes",
    "tensor",
    "values",
    "zeros_and_ones",
]
Tensor = torch.Tensor


def tensor(value: Any) -> Tensor:
    """Return what Keras makes a tensor of; one that is a tensor already doesn't go the long way."""
    return value if type(value) is Tensor else keras.ops.convert_to_tensor(value)


def cast(y_true: Any, y_pred: Tensor) -> Tensor:
    """Return labels as a tensor of the predictions' type."""
    return y_true.to(y_pred.dtype) if type(y_true) is Tensor else keras.ops.cast(y_true, y_pred.dtype)


def takes(y_pred: Tensor) -> bool:
    """Return whether the kernels take these predictions."""
    on_cpu = y_pred.device.type == "cpu" and y_pred.layout == torch.strided
    on_cpu = on_cpu and not is_looked_into()
    return on_cpu and y_pred.dtype in NAMES and y_pred.dim() > 0 and y_pred.numel() > 0


def is_constant(y_true: Tensor) -> bool:
    """Return whether no gradient of the labels is asked for: the kernels have none."""
    if y_true.device.type != "cpu":
        return False
    return not (y_true.requires_grad and torch.is_grad_enabled())


def fit(y_true: Tensor, y_pred: Tensor) -> bool:
    """Return whether both have one shape after broadcasting."""
    try:
        torch.broadcast_shapes(y_true.shape, y_pred.shape)
    except RuntimeError:
        return False
    return y_true.numel() > 0


def broadcast(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    y_true, y_pred = torch.broadcast_tensors(y_true, y_pred)
    return y_true, y_pred


def rows(tensor: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return the tensor with these axes as its last one; a view where its strides allow it."""
    last = tuple(range(tensor.dim() - len(axes), tensor.dim()))
    tensor = tensor if axes == last else tensor.movedim(axes, last)
    return tensor if len(axes) == 1 else tensor.reshape(*tensor.shape[: last[0]], -1)


def labels(y_true: Tensor, classes: int, ignore_class: int) -> Tensor | None:
    """Return labels as int64, or None where one is no class and not the ignored one."""
    found = y_true.detach().to(torch.int64).contiguous()
    return None if way("losses").labels_outside(array(found), classes, ignore_class)[0] else found


def outside(y_pred: Tensor, highest: float) -> bool:
    """Return whether any prediction is above `highest`."""
    return bool(way("losses").outside(array(y_pred), -np.inf, highest)[0])


def zeros_and_ones(y_true: Tensor) -> bool:
    """Return whether all labels are 0 or 1."""
    return bool(((y_true == 0) | (y_true == 1)).all())


def bare(y_true: Any, y_pred: Any, dtype: str) -> bool:
    """Return whether both are tensors that Keras would neither convert nor squeeze."""
    if type(y_pred) is not Tensor or type(y_true) is not Tensor or NAMES.get(y_pred.dtype) != dtype:
        return False
    return y_true.dim() == y_pred.dim() or (y_true.dim() == y_pred.dim() - 1 and y_pred.shape[-1] != 1)


def values(formula: Formula, y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the samples' values, of the predictions' type; their gradients come with them where one is asked for."""

    def compute(wanted: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        gradient = torch.empty_like(y_pred) if wanted else None
        found: Any = way("losses").evaluate(
            formula, array(y_true), array(y_pred), None if gradient is None else array(gradient),
            leading=tuple(y_pred.shape[:-1]), reduced=False,
        )  # fmt: skip
        value = torch.from_numpy(np.asarray(found)).to(y_pred.dtype)
        return value, () if gradient is None else (gradient,)

    return keep(compute, y_pred)


def reduced(formula: Formula, y_true: Tensor, y_pred: Tensor, sample_weight: Any, reduction: str) -> Tensor | None:
    """Return the mean or the sum of the samples' values; its gradient comes with it where one is asked for.

    None: there are weights that the kernels don't take.
    """
    leading, weight, total = tuple(y_pred.shape[:-1]), None, 1.0
    if sample_weight is not None:
        weight = _weight(sample_weight, y_pred, leading)
        if weight is None:
            return None
    if reduction == "mean_with_sample_weight" and weight is not None:
        total = weight.sum().item()
        if total == 0.0:
            return None
    elif reduction != "sum":
        total = float(math.prod(leading))

    def compute(wanted: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        gradient = torch.empty_like(y_pred) if wanted else None
        found: Any = way("losses").evaluate(
            formula, array(y_true), array(y_pred), None if gradient is None else array(gradient), leading=leading,
            factor=1.0 / total, weight=None if weight is None else weight.numpy(),
        )  # fmt: skip
        return torch.tensor(found, dtype=y_pred.dtype), () if gradient is None else (gradient,)

    return keep(compute, y_pred)


def _weight(given: Any, y_pred: Tensor, leading: tuple[int, ...]) -> Tensor | None:
    """Return a weight for each sample, of the type that is computed with; None where Keras is to weigh."""
    if type(given) is not Tensor or given.device.type != "cpu" or given.layout != torch.strided or given.is_complex():
        return None
    if tuple(given.shape) not in (leading, (*leading, 1)) or not is_constant(given) or not leading:
        return None
    kind = y_pred.dtype if y_pred.dtype in WIDE else torch.float32
    weight: Tensor = given.detach().reshape(leading).to(y_pred.dtype).to(kind).contiguous()
    return weight
