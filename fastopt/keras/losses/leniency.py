"""What Keras accepts, made what the kernels take: one float type, one shape, the axis of a sample's elements last.

What kernels don't take (symbolic tensors, other devices, integer predictions, no elements, labels that need a gradient,
shapes that don't fit) is left to Keras's own function, which computes it or refuses it in its own words: `pair` and
`with_labels` return None then.
"""

from importlib import import_module
from typing import Any, NamedTuple

import keras
import numpy as np
from keras.src.backend import KerasTensor
from keras.src.losses.loss import squeeze_or_expand_to_same_rank

from fastopt.kernels.losses.formulas import CLIP

WAYS = {"torch": "by_torch", "numpy": "by_numpy"}  # what reads the arrays of Keras's backend
host: Any = import_module(f"fastopt.keras.losses.{WAYS.get(keras.backend.backend(), 'by_keras')}")
HIGHEST = float(np.float32(1.0 - CLIP))
Axis = int | tuple[int, ...] | None
kept_by_name = keras.saving.register_keras_serializable("fastopt")  # for classes and functions that a model saves


class Rows(NamedTuple):
    """A call's inputs: predictions of shape (samples..., elements), and what is said of them."""

    y_true: Any
    y_pred: Any


def pair(
    y_true: Any, y_pred: Any, axis: Axis = -1, *, squeezed: bool = False, broadcast: bool = True, clipped: bool = False
) -> Rows | None:
    """Return both of one type and shape, with a sample's elements along the last axis; or None, see above.

    Parameters
    ----------
    squeezed : bool, default False
        Whether a last axis of 1 goes or comes where the ranks differ by one.
    broadcast : bool, default True
        Whether shapes may differ. Not where labels are summed up by themselves: Keras sums them as they came.
    clipped : bool, default False
        Whether predictions are probabilities, to be clipped as Keras does in float32: by a number that is further from
        1 than the kernel's own 1e-7, and so 1% of a loss. Those in 16 bits are Keras's to clip.
    """
    if isinstance(y_pred, KerasTensor) or isinstance(y_true, KerasTensor) or keras.config.epsilon() != CLIP:
        return None
    y_pred = host.tensor(y_pred)
    y_true = host.cast(y_true, y_pred)
    if squeezed:
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    if not host.takes(y_pred) or not host.is_constant(y_true):
        return None
    if clipped and y_pred.dtype.itemsize == 2:
        return None
    if clipped and host.outside(y_pred, HIGHEST):
        y_pred = keras.ops.clip(y_pred, CLIP, 1.0 - CLIP)
    if y_true.shape != y_pred.shape:
        if not broadcast or not host.fit(y_true, y_pred):
            return None
        y_true, y_pred = host.broadcast(y_true, y_pred)
    axes = _from_the_front(axis, len(y_pred.shape))
    if axes is None:
        return None
    return Rows(host.rows(y_true, axes), host.rows(y_pred, axes))


def with_labels(
    y_true: Any, y_pred: Any, axis: int, ignore_class: int | None = None, *, squeezed: bool = False
) -> Rows | None:
    """Return labels as int64, one for each row of predictions, the classes last; or None, see above.

    `squeezed`: whether labels may have an axis of 1 in the place of the classes.
    """
    if isinstance(y_pred, KerasTensor) or isinstance(y_true, KerasTensor) or keras.config.epsilon() != CLIP:
        return None
    y_pred, y_true = host.tensor(y_pred), host.tensor(y_true)
    if not host.takes(y_pred):
        return None
    axes = _from_the_front(axis, len(y_pred.shape))
    if axes is None:
        return None
    if squeezed and len(y_true.shape) == len(y_pred.shape) and y_true.shape[axis] == 1:
        y_true = keras.ops.squeeze(y_true, axis=axis)
    y_pred = host.rows(y_pred, axes)
    if tuple(y_true.shape) != tuple(y_pred.shape[:-1]):
        return None
    labels = host.labels(y_true, y_pred.shape[-1], 0 if ignore_class is None else ignore_class)
    if labels is None or (ignore_class is not None and bool((labels != y_true).any())):  # 1.5 is not the 1 to ignore
        return None
    return Rows(labels, y_pred)


def _from_the_front(axis: Axis, rank: int) -> tuple[int, ...] | None:
    """Return the axes counted from the front, all for None; None where there are no such axes."""
    axes = tuple(range(rank)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if not all(isinstance(one, int) and not isinstance(one, bool) and -rank <= one < rank for one in axes):
        return None
    axes = tuple(one % rank for one in axes)
    return axes if len(set(axes)) == len(axes) else None
