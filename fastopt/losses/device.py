"""A loss's call on a GPU: the checks of arrays there, and the room's way."""

from typing import Any

import numpy as np

from fastopt.kernels.losses import by_reference, cuda
from fastopt.kernels.runtime.cuda_arrays import (
    DeviceArray,
    OwnArray,
    device_array,
    host_copy,
    packed_steps,
    stream_of,
)  # fmt: skip
from fastopt.kernels.runtime.driver import driver
from fastopt.losses.samples import Samples

FLOATS = ("float32", "float64")


class _Look(Exception):
    """Elements are not as they must be: which, the host's checks say."""


class _Counts:
    """The checks of values, on the device; where one finds something, the host looks at copies."""

    def __init__(self, stream: int):
        self._stream = stream

    def outside(self, array: DeviceArray, low: float, high: float) -> tuple[int, ...]:
        found = cuda.outside(array, low, high, self._stream)
        if any(found):
            raise _Look
        return found

    def signs(self, y_true: DeviceArray) -> tuple[int, ...]:
        ones, zeros, minus_ones = cuda.signs(y_true, self._stream)
        if ones + zeros + minus_ones < y_true.size or (zeros and minus_ones):
            raise _Look
        return ones, zeros, minus_ones

    def not_distributions(self, *unused: Any) -> int:
        raise NotImplementedError("target 'cuda' can't check distributions yet; use target 'cython'")


def evaluate(loss: Any, y_true: Any, y_pred: Any, out: Any, wanted: bool, **rest: Any) -> tuple[float, Any]:
    """Return the value of a `Loss`, and the array of its gradient if it is `wanted`."""
    for name, value in rest.items():
        if value is not None:
            raise NotImplementedError(f"{name}: not under target 'cuda' yet")
    if loss.reduction == "none" or loss.axis != -1:
        raise NotImplementedError("target 'cuda' has losses with a reduction, along the last axis, as yet")
    pred = _place(y_pred, "y_pred")
    if not pred.size:
        raise ValueError(f"y_pred: expected at least one element, got shape {pred.shape}")
    true = _place(y_true, "y_true", pred)
    columns = pred.shape[-1] if len(pred.shape) > 1 else 1
    samples = Samples(pred.shape[:-1] if len(pred.shape) > 1 else pred.shape, columns)
    _refuse_rows(loss, columns)
    place, given = None, out
    if wanted:
        device = driver().device(pred.ordinal)
        given = OwnArray(device, pred.shape, np.dtype(pred.dtype)) if out is None else out
        place = _output(given, pred, true)
    stream = stream_of(y_pred)
    try:
        counts: Any = _Counts(stream)
        formula, ignored = loss._plan(counts, true, pred, samples)  # it asks for counts alone
    except _Look:
        formula, ignored = loss._plan(by_reference, host_copy(true), host_copy(pred), samples)
    factor = loss._factor(samples.leading, ignored, None)
    return cuda.evaluate(formula, true, pred, place, columns=columns, factor=factor, stream=stream), given


def _refuse_rows(loss: Any, columns: int) -> None:
    try:
        of_elements = loss._formula(columns).of_elements
    except (TypeError, NotImplementedError):  # hinges: what labels are decides
        of_elements = True
    if not of_elements or loss._takes_labels:
        raise NotImplementedError(f"target 'cuda' has no kernel for {type(loss).__name__} yet; use target 'cython'")


def _place(value: Any, name: str, like: DeviceArray | None = None) -> DeviceArray:
    """Return where an array is, if it can be used (and is of the shape, dtype and device of another)."""
    place = device_array(value, name)
    if place.dtype not in FLOATS:
        raise TypeError(f"{name}: expected float32 or float64, got {place.dtype}")
    if place.layout != packed_steps(place.shape):
        raise ValueError(f"{name}: expected a packed array in C order under target 'cuda', got strides {place.steps}")
    if like is not None and place.dtype != like.dtype:
        raise TypeError(f"{name}: expected {like.dtype}, got {place.dtype}")
    if like is not None and place.shape != like.shape:
        raise ValueError(f"{name}: expected shape {like.shape}, got {place.shape}")
    if like is not None and place.ordinal != like.ordinal:
        raise ValueError(f"{name}: expected an array on GPU {like.ordinal}, as y_pred is, got GPU {place.ordinal}")
    return place


def _output(out: Any, pred: DeviceArray, true: DeviceArray) -> DeviceArray:
    place = _place(out, "out", pred)
    if not place.writable:
        raise ValueError("out: expected a writable array, got a read-only one")
    for name, other in (("y_pred", pred), ("y_true", true)):
        apart = place.address + place.nbytes <= other.address or other.address + other.nbytes <= place.address
        if not apart and not (name == "y_pred" and place.address == other.address):
            raise ValueError(f"out: expected memory apart from {name}, got arrays that overlap")
    return place
