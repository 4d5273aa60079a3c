"""The last layer and its cross-entropy in one sweep: logits of a few samples at a time, never of all."""

from copy import copy
from typing import Any, NamedTuple

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import reference
from fastopt.kernels.runtime.settings import get_target
from fastopt.losses.base import check_mask, check_weight
from fastopt.losses.categorical import SparseCategoricalCrossentropy

LAYOUTS = ("out_in", "in_out")
MAX_BYTES = 64 * 2**20


class LinearGradients(NamedTuple):
    """Gradients of a linear cross-entropy, each of its argument's shape.

    Attributes
    ----------
    x, weight : array
    bias : array, or None without a bias
    """

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None


class LinearCrossEntropy:
    """Cross-entropy of the logits x @ weightᵀ + bias, which are never held together: a language model's last layer.

    The samples go through in chunks. Each chunk's logits become their own gradient in place, and that goes into the
    gradients of x, weight and bias before the next chunk: three products of matrices, as many as if all logits were
    kept.

    Parameters
    ----------
    ignore_class : int (any label) or None, default None
        A label whose samples don't count; no work is done for them.
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values; `value_and_grad` takes the first two.
    layout : {"out_in", "in_out"}, default "out_in"
        Whether weight is (classes, features), as in torch, or (features, classes), as in Keras.
    max_bytes : int ≥ 1, default 67108864
        How much memory a call may take beside its arguments and results, 64 MiB unless told; a chunk is as long as that
        lets it be. At least one sample's logits must fit. Each thread takes the memory of one sample's logits, or two
        with a soft cap, on top of it.
    class_weight : array (classes,) of numbers ≥ 0, dtype of x, or None
        A sample's value and gradients are multiplied by its label's. "mean" divides by the number of those that count.
    z_loss : float ≥ 0, default 0
        z_loss (log sum exp(logits))² is added to every sample's value, which keeps logits near 0.
    logit_softcap : float > 0 or None, default None
        Logits are bent to logit_softcap tanh(logits / logit_softcap) first.
    label_smoothing : float in [0, 1], default 0
        Without class weights: labels are drawn towards equal shares of all classes.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    x: float32 or float64 array of shape (..., features); weight and bias: arrays of its dtype; y_true: integer array
    of shape (...). The products are NumPy's: its BLAS has threads of its own, and its results may depend on their
    number; all else has the same bits for any number. Matrices that are neither in C nor in Fortran order cost NumPy a
    copy, which `max_bytes` doesn't know of. torch needs the logits, their logarithms and their gradient for the same;
    Keras has no such loss. Compare Wijmans et al., "Cut your losses in large-vocabulary language models", 2025.

    References
    ----------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.LinearCrossEntropy()
    >>> x, weight = np.array([[1.0, 2.0]]), np.zeros((2, 2))
    >>> value, gradients = loss.value_and_grad(x, weight, np.array([1]))
    >>> round(value, 6), gradients.weight
    (0.693147, array([[ 0.5,  1. ],
           [-0.5, -1. ]]))
    """

    def __init__(
        self,
        ignore_class: int | None = None,
        reduction: str = "mean",
        layout: str = "out_in",
        max_bytes: int = MAX_BYTES,
        class_weight: np.ndarray | None = None,
        z_loss: float = 0.0,
        logit_softcap: float | None = None,
        label_smoothing: float = 0.0,
    ):
        self._loss = SparseCategoricalCrossentropy(
            True, ignore_class, reduction, class_weight, z_loss, logit_softcap, label_smoothing=label_smoothing
        )
        self.ignore_class, self.reduction = self._loss.ignore_class, self._loss.reduction
        self.layout = expect.choice(layout, "layout", LAYOUTS)
        self.max_bytes = expect.integer(max_bytes, "max_bytes", 1)

    def __call__(
        self,
        x: np.ndarray,
        weight: np.ndarray,
        y_true: np.ndarray,
        bias: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> Any:
        """Return the value alone: one product of matrices. Parameters and errors are those of `value_and_grad`."""
        return self._evaluate(x, weight, y_true, bias, sample_weight, None, mask, False)[0]

    def value_and_grad(
        self,
        x: np.ndarray,
        weight: np.ndarray,
        y_true: np.ndarray,
        bias: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
        out: LinearGradients | tuple | None = None,
        mask: np.ndarray | None = None,
    ) -> tuple[float, LinearGradients]:
        """Return the value and its gradients with respect to x, weight and bias.

        Parameters
        ----------
        x : float32 or float64 array (..., features)
        weight : array (classes, features), or (features, classes) with layout "in_out"; dtype of `x`
        y_true : integer array (...)
            Labels in [0, classes), or `ignore_class`.
        bias : array (classes,), dtype of `x`
        sample_weight : array, shape = leading axes of `x`, or the first of them; ≥ 0; dtype of `x`
        out : three arrays of the shapes and dtype of x, weight and bias (None without a bias)
            Where the gradients are written; apart from all arguments. None: new arrays.
        mask : bool array, shape = leading axes of `x`, or None
            Samples where it is False don't count, whatever their labels are; no work is done for them.

        Returns
        -------
        value : float
        gradients : LinearGradients

        Raises
        ------
        TypeError, ValueError
            If an argument is not as it should be, reduction is "none", or `max_bytes` is too little for one sample.
            Nothing has been written then.
        """
        if self.reduction == "none":
            raise ValueError("reduction: expected 'mean' or 'sum' where gradients are asked for, got 'none'")
        return self._evaluate(x, weight, y_true, bias, sample_weight, out, mask, True)

    # ---- one call

    def _evaluate(self, x, weight, y_true, bias, sample_weight, out, mask, wanted):
        expect.not_empty(expect.array(x, "x"), "x")
        if x.ndim < 2:
            raise ValueError(f"x: expected at least 2 axes, got shape {x.shape}")
        *leading, features = x.shape
        expect.array(weight, "weight", dtype=x.dtype)
        if weight.ndim != 2 or 0 in weight.shape or weight.shape[self.layout == "out_in"] != features:
            shape = f"(classes, {features})" if self.layout == "out_in" else f"({features}, classes)"
            raise ValueError(f"weight: expected shape {shape}, got {weight.shape}")
        matrix = weight if self.layout == "out_in" else weight.T
        if bias is not None:
            expect.array(bias, "bias", dtype=x.dtype, shape=(len(matrix),))
        labels = np.asarray(expect.labels(y_true, "y_true", tuple(leading)))
        x, matrix = np.asarray(x), np.asarray(matrix)  # of no subclass
        bias = None if bias is None else np.asarray(bias)
        weights = None if sample_weight is None else check_weight(sample_weight, x.dtype, tuple(leading))
        if self._loss.class_weight is not None:
            expect.array(self._loss.class_weight, "class_weight", dtype=x.dtype, shape=(len(matrix),))
        if mask is not None:
            check_mask(mask, tuple(leading))
        kept = self._kept(labels, len(matrix), mask)
        counted = labels.size if kept is None else len(kept)
        rows = self._rows(len(matrix), features, x.itemsize, counted, wanted)
        gradients = _outputs((x, weight, bias), (y_true, sample_weight, mask), out) if wanted else None
        factor = 1.0 / max(counted, 1) if self.reduction == "mean" else 1.0
        scale = np.full(tuple(leading), factor, x.dtype) if weights is None else weights * x.dtype.type(factor)
        samples = _Samples(x.reshape(-1, features), labels.reshape(-1), scale.reshape(-1), kept)
        values = np.zeros(labels.size, x.dtype)
        run = self._by_reference if get_target() == "reference" else self._by_kernels
        parts = None
        if gradients is not None:
            grad_x, grad_weight, grad_bias = gradients
            merged = grad_x.reshape(-1, features)  # a copy, where the leading axes of `out` can't be merged
            turned = grad_weight if self.layout == "out_in" else grad_weight.T
            parts = merged, turned, grad_bias
        with np.errstate(all="ignore"):  # NaN and Inf travel; some BLAS raise flags over what lies beside
            run(matrix, bias, samples, values, parts, rows)
        if gradients is not None and not np.may_share_memory(merged, grad_x):
            grad_x[...] = merged.reshape(grad_x.shape)
        value = values.reshape(tuple(leading)) if self.reduction == "none" else float(values.sum(dtype=np.float64))
        return value, gradients

    def _kept(self, labels: np.ndarray, classes: int, mask: np.ndarray | None) -> np.ndarray | None:
        """Return the numbers of the samples that count (None: all); refuse labels that name no class."""
        kept = np.ones(labels.shape, bool) if mask is None else mask
        if self.ignore_class is not None:
            kept = kept & (labels != self.ignore_class)
        wrong = labels[((labels < 0) | (labels >= classes)) & kept]
        if wrong.size:
            raise ValueError(f"y_true: expected labels in [0, {classes}), got {int(wrong[0])}")
        return None if kept.all() else np.flatnonzero(kept)

    def _rows(self, classes: int, features: int, itemsize: int, samples: int, wanted: bool) -> int:
        """Return how many samples a chunk holds."""
        per_row = (classes + features + (2 * features if wanted else 0)) * itemsize
        spare = self.max_bytes - (tile(classes, features) * features * itemsize if wanted else 0)
        if spare < per_row:
            raise ValueError(
                f"max_bytes: expected at least {self.max_bytes - spare + per_row} for one sample, got {self.max_bytes}"
            )
        return max(1, min(samples, spare // per_row))

    def _by_kernels(self, weight, bias, samples, values, gradients, rows) -> None:
        """Go through the samples, a chunk of rows after the other; `values` and the gradients are written."""
        classes, features = weight.shape
        loss = copy(self._loss)  # of the samples that count
        loss.reduction, loss.ignore_class = "none", None
        logits, begun = np.empty((rows, classes), weight.dtype), False
        step = tile(classes, features)
        if gradients is not None and samples.kept is not None:
            gradients[0][...] = 0
        for some in samples.chunks(rows):
            x, labels, scale = samples.x[some], samples.labels[some], samples.scale[some]
            part = logits[: len(x)]
            np.matmul(x, weight.T, out=part)
            if bias is not None:
                part += bias
            if gradients is None:
                values[some] = loss(labels, part, scale)
                continue
            values[some], _ = loss.value_and_grad(labels, part, scale, out=part)
            grad_x, grad_weight, grad_bias = gradients
            own = grad_x[some] if samples.kept is None else np.empty_like(x)
            for column in range(0, classes, step):
                few = slice(column, column + step)
                _product(part[:, few], weight[few], own, column > 0)
                _product(part[:, few].T, x, grad_weight[few], begun)
            if samples.kept is not None:
                grad_x[some] = own
            if grad_bias is not None:
                _put(part.sum(axis=0), grad_bias, begun)
            begun = True
        if gradients is not None and not begun:
            for gradient in gradients[1:]:
                if gradient is not None:
                    gradient[...] = 0

    def _by_reference(self, weight, bias, samples, values, gradients, rows) -> None:
        kept = slice(None) if samples.kept is None else samples.kept
        wide = [None if array is None else array.astype(np.float64) for array in (samples.x[kept], weight, bias)]
        scale = samples.scale[kept].astype(np.float64)
        options = self._loss._options() | {"class_weight": self._loss.class_weight, "ignore_class": None}
        values[kept], grad_x, *others = reference.linear_cross_entropy(*wide, samples.labels[kept], scale, **options)
        if gradients is not None:
            gradients[0][...] = 0
            gradients[0][kept] = grad_x
            for gradient, own in zip(gradients[1:], others, strict=True):
                if gradient is not None:
                    gradient[...] = own


class _Samples(NamedTuple):
    """All samples, flat, and the numbers of those that count (None: all)."""

    x: np.ndarray
    labels: np.ndarray
    scale: np.ndarray
    kept: np.ndarray | None

    def chunks(self, rows: int):
        """Yield which samples are next: a slice, or their numbers."""
        count = len(self.x) if self.kept is None else len(self.kept)
        for first in range(0, count, rows):
            stop = min(first + rows, count)
            yield slice(first, stop) if self.kept is None else self.kept[first:stop]


def _outputs(arguments: tuple, others: tuple, out: Any) -> LinearGradients:
    """Return the arrays that gradients are written to."""
    if out is not None and (not isinstance(out, tuple) or len(out) != 3):
        raise TypeError(f"out: expected a tuple of three arrays, got {expect.describe(out)}")
    apart = dict(zip(("x", "weight", "bias", "y_true", "sample_weight", "mask"), (*arguments, *others), strict=True))
    dtype = arguments[0].dtype
    made: list[Any] = []
    for k, (given, like) in enumerate(zip(out or (None,) * 3, arguments, strict=True)):
        if like is None:
            if given is not None:
                raise TypeError(f"out[{k}]: expected None without a bias, got {expect.describe(given)}")
            made.append(None)
            continue
        made.append(expect.output(given, f"out[{k}]", dtype=dtype, shape=like.shape, apart=apart))
        apart[f"out[{k}]"] = made[-1]
    return LinearGradients(*made)


def tile(classes: int, features: int) -> int:
    """Return how many classes' gradients are added up at a time: about 2^21 elements."""
    return max(1, min(classes, 2**21 // features))


def _product(a: np.ndarray, b: np.ndarray, result: np.ndarray, added: bool) -> None:
    """Write a @ b, or add it to what is there."""
    if added or not (result.flags.c_contiguous or result.flags.f_contiguous):
        _put(a @ b, result, added)
    else:
        np.matmul(a, b, out=result)


def _put(value: np.ndarray, result: np.ndarray, added: bool) -> None:
    if added:
        result += value
    else:
        result[...] = value


def linear_cross_entropy(
    x: np.ndarray,
    weight: np.ndarray,
    y_true: np.ndarray,
    bias: np.ndarray | None = None,
    ignore_class: int | None = None,
    sample_weight: np.ndarray | None = None,
    reduction: str = "mean",
    layout: str = "out_in",
    max_bytes: int = MAX_BYTES,
    class_weight: np.ndarray | None = None,
    z_loss: float = 0.0,
    logit_softcap: float | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """Cross-entropy of a linear layer's logits, never held together: the value of :class:`LinearCrossEntropy`.

    Parameters
    ----------
    x : float32 or float64 array of shape (..., features)
        The layer's input.
    weight : array of shape (classes, features), or (features, classes) with layout "in_out"; dtype of `x`
        The layer's weight.
    y_true : integer array of shape (...)
        Labels in [0, classes), or `ignore_class`.
    bias : array of shape (classes,) or None, default None
        The layer's bias.
    ignore_class : int (any label) or None, default None
        A label whose samples don't count.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    layout : str, default "out_in"
        The weight's: "out_in" or "in_out".
    max_bytes : int ≥ 1, default 67108864
        How much memory the call may take beside its arguments; 64 MiB unless told.
    class_weight : array of shape (classes,) or None, default None
        Numbers ≥ 0 that samples are multiplied by, each by its label's.
    z_loss : float ≥ 0, default 0
        How much (log sum exp(logits))² adds to a sample's value.
    logit_softcap : float > 0 or None, default None
        Where logits are bent to.
    label_smoothing : float in [0, 1], default 0.0
        How far labels are drawn towards equal shares.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    torch's cross_entropy(linear(x, weight, bias), y_true) is the same; Keras has no such loss.

    References
    ----------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.linear_cross_entropy(np.ones((1, 3)), np.zeros((4, 3)), np.array([2])), 6)
    1.386294
    """
    loss = LinearCrossEntropy(
        ignore_class, reduction, layout, max_bytes, class_weight, z_loss, logit_softcap, label_smoothing
    )
    return loss(x, weight, y_true, bias, sample_weight)
