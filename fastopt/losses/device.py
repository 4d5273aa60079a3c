"""A loss's call on a GPU: the checks of arrays there, and the room's way."""

from threading import local
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastopt.device_arrays import output, place
from fastopt.kernels.losses import by_reference, cuda
from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.runtime.cuda_arrays import DeviceArray, host_copy, on_device, stream_of
from fastopt.losses import checks
from fastopt.losses.samples import Samples, samples_of

LABELS = ("int64", "int32")
KEPT = 8  # class weights on the device, of a thread
_copies = local()


class _Look(Exception):
    """Elements are not as they must be: which, the host's checks say."""


class _Counts:
    """The checks of values, on the device; where one finds something, the host looks at copies."""

    def __init__(self, stream: int, mask: DeviceArray | None):
        self._stream, self._mask = stream, mask

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

    def not_distributions(self, y_true: DeviceArray, columns: int) -> int:
        if cuda.not_distributions(y_true, columns, self._stream):
            raise _Look
        return 0

    def labels_outside(self, labels: DeviceArray, classes: int, ignore_class: int) -> tuple[int, ...]:
        out, ignored = cuda.labels_outside(labels, classes, ignore_class, self._mask, self._stream)
        if out:
            raise _Look
        return out, ignored


def evaluate(
    loss: Any, y_true: Any, y_pred: Any, out: Any, wanted: bool, sample_weight: Any = None, mask: Any = None
) -> tuple[Any, Any]:
    """Return the value of a `Loss`, and the array of its gradient if it is `wanted`."""
    pred = place(y_pred, "y_pred")
    if not pred.size:
        raise ValueError(f"y_pred: expected at least one element, got shape {pred.shape}")
    samples = samples_of(pred.shape, loss.axis, loss._least_dimensions)
    if samples.moved:
        raise NotImplementedError("axis: target 'cuda' takes samples along the last axes alone, as yet")
    true = _expect_true(loss, y_true, pred, samples)
    stream, real = stream_of(y_pred), cuda.real_of(pred)
    more = loss._more(SimpleNamespace(dtype=np.dtype(real)), samples.columns)
    weight = None if sample_weight is None else _expect_weight(sample_weight, pred, samples, stream)
    dropped = None
    if mask is not None:
        dropped = place(mask, "mask", ("bool",), shape=samples.leading, beside=("y_pred", pred))
    given, at = out, None
    if wanted:
        given, at = output(out, ("y_pred", pred), {"y_true": true, "sample_weight": weight, "mask": dropped})
    formula, ignored = _plan(loss, true, pred, samples, dropped, stream)
    if loss.reduction != "mean":
        factor = 1.0
    elif dropped is not None and not loss._labels_tell:
        factor = 1.0 / (dropped.size - cuda.labels_outside(dropped, 2, 0, None, stream)[1] or 1)
    else:
        factor = loss._factor(samples.leading, ignored, None)
    value = cuda.evaluate(
        formula, true, pred, at, leading=samples.leading, factor=factor, reduced=loss.reduction != "none",
        weight=weight, mask=dropped, stream=stream,
        class_weight=_kept_copy(more["class_weight"], pred.ordinal) if more else None,
    )  # fmt: skip
    return value, given


def _plan(
    loss: Any, true: DeviceArray, pred: DeviceArray, samples: Samples, mask: DeviceArray | None, stream: int
) -> tuple[Formula, int]:
    """Check values on the device; where something is wrong, the host's checks say what."""
    counts: Any = _Counts(stream, mask if loss._labels_tell else None)
    try:
        return loss._plan(counts, true, pred, samples)
    except _Look:
        labels = host_copy(true)
        if mask is not None:
            labels = loss._mask_labels(labels, host_copy(mask).astype(bool))
        return loss._plan(by_reference, labels, host_copy(pred), samples)


def _kept_copy(values: np.ndarray, ordinal: int) -> DeviceArray:
    """Return where a copy of class weights is on a device: a loss's never change, so it is kept."""
    kept = _copies.__dict__.setdefault("arrays", {})
    if (id(values), ordinal) not in kept:
        while len(kept) >= KEPT:
            del kept[next(iter(kept))]
        kept[id(values), ordinal] = values, on_device(values, ordinal)
    return kept[id(values), ordinal][1].place


# ---- arrays


def _expect_true(loss: Any, y_true: Any, pred: DeviceArray, samples: Samples) -> DeviceArray:
    """Return where labels are, or what is like predictions; beside those of 16 bits it may be float32."""
    beside = ("y_pred", pred)
    if not loss._takes_labels:
        wanted = tuple(dict.fromkeys((pred.dtype, cuda.real_of(pred))))
        return place(y_true, "y_true", wanted, shape=pred.shape, beside=beside)
    found = place(y_true, "y_true", LABELS, beside=beside)
    if found.shape not in (samples.leading, (*samples.leading, 1)):
        raise ValueError(f"y_true: expected shape {samples.leading}, got {found.shape}")
    return found


def _expect_weight(value: Any, pred: DeviceArray, samples: Samples, stream: int) -> DeviceArray:
    real, leading = cuda.real_of(pred), samples.leading
    found = place(value, "sample_weight", (real,), beside=("y_pred", pred))
    if found.shape != leading[: len(found.shape)]:
        raise ValueError(f"sample_weight: expected shape {leading} or the first axes of it, got {found.shape}")
    largest = checks.LARGEST[np.dtype(real)]
    if any(cuda.outside(found, 0.0, largest, stream)):
        checks.within(by_reference, host_copy(found), "sample_weight", 0.0, largest, "finite numbers ≥ 0")
    return found
