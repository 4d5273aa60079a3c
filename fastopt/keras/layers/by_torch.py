"""The torch backend: the kernels of `fastopt.torch`, on Keras's axes. Each returns None for what is Keras's to do."""

import math
from typing import Any

import torch
from keras.src.backend.common.stateless_scope import in_stateless_scope

from fastopt.keras.losses.by_torch import takes
from fastopt.torch.crew import on_torchs_workers
from fastopt.torch.functional import norms, passes
from fastopt.torch.functional.base import WIDE

Tensor = torch.Tensor
SHORTEST = 1e-12  # Keras's: shorter rows stay shorter than 1


@on_torchs_workers
def batch_norm(layer: Any, x: Any, train: bool, mask: Tensor | None) -> Tensor | None:
    """Return batch norm of a layer's inputs; in training, its moving statistics are updated in place."""
    if not isinstance(x, Tensor) or not takes(x) or in_stateless_scope():
        return None
    kind, axis = x.dtype if x.dtype in WIDE else torch.float32, layer.axis % x.dim()
    moving = [layer.moving_mean._value, layer.moving_variance._value]
    if not all([one.dtype == kind and one.device.type == "cpu" for one in moving]):
        return None
    chosen = None
    if mask is not None:
        if axis != x.dim() - 1 or mask.dim() != axis or mask.device.type != "cpu":
            return None
        chosen = mask.bool().broadcast_to(x.shape[:-1])
        if not chosen.any():
            return None
    gamma = None if layer.gamma is None else layer.gamma.value.to(kind)
    beta = None if layer.beta is None else layer.beta.value.to(kind)
    return passes.batch(
        x, gamma, beta, moving, training=train, momentum=1.0 - layer.momentum, eps=layer.epsilon, axis=axis,
        mask=chosen, biased=True,
    )  # fmt: skip


def row_norm(norm: str, x: Any, gamma: Any, beta: Any, axis: Any, eps: float) -> Tensor | None:
    """Return layer or RMS norm over any axes."""
    if not isinstance(x, Tensor) or not takes(x):
        return None
    axes = sorted(one % x.dim() for one in (axis if isinstance(axis, list | tuple) else [axis]))
    last, gamma, beta = range(x.dim() - len(axes), x.dim()), _value(gamma), _value(beta)
    if norm == "layer" and axes == list(last) and x.dtype in WIDE:  # Keras calls torch's own, which is fast
        return None
    rows = x if axes == list(last) else x.movedim(axes, tuple(last))
    shape = tuple(rows.shape[last.start :])
    if norm == "rms":
        found = norms.rms_norm(rows, shape, gamma, eps)
    else:
        found = norms.layer_norm(rows, shape, gamma, beta, eps)
    return found if rows is x else found.movedim(tuple(last), axes)


def unit_norm(x: Any, axis: Any) -> Tensor | None:
    """Return rows of length 1, over any axes: RMS norm with 1 / √elements for its scale."""
    axes = axis if isinstance(axis, list) else [axis]
    if not isinstance(x, Tensor) or not takes(x) or not all(-x.dim() <= one < x.dim() for one in axes):
        return None
    axes = sorted(one % x.dim() for one in axes)
    if not axes or len(set(axes)) < len(axes):
        return None
    last = list(range(x.dim() - len(axes), x.dim()))
    rows = x if axes == last else x.movedim(axes, last)
    shape = tuple(rows.shape[last[0] :])
    count = math.prod(shape)
    scale = torch.full(shape, count**-0.5, dtype=x.dtype if x.dtype in WIDE else torch.float32)
    found = norms.rms_norm(rows, shape, scale, SHORTEST**2 / count)
    return found if rows is x else found.movedim(last, axes)


def group_norm(x: Any, gamma: Any, beta: Any, axis: int, groups: int, eps: float) -> Tensor | None:
    """Return group norm, the channels being any axis but the first."""
    if not isinstance(x, Tensor) or not takes(x) or x.dim() < 2 or axis % x.dim() == 0:
        return None
    return norms.group_norm(x.movedim(axis, 1), groups, _value(gamma), _value(beta), eps).movedim(1, axis)


def _value(variable: Any) -> Tensor | None:
    value: Tensor | None = None if variable is None else variable.value
    return value
