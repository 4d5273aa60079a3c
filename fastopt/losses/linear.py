"""The last layer and its cross-entropy in one sweep: logits of a few samples at a time, never of all."""

from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import formulas
from fastopt.kernels.losses.products import Rows, tile
from fastopt.kernels.runtime.targets import way
from fastopt.losses import checks
from fastopt.losses.base import Reduction, filled
from fastopt.losses.categorical import ClassWeight, SoftCap, check_weighed_smoothing
from fastopt.losses.options import Options, function_of

Layout = Literal["out_in", "in_out"]


def size(value: Any, name: str) -> int:
    return expect.integer(value, name, 1)


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


@filled
class LinearCrossEntropy(Options):
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
    class_weight, z_loss, logit_softcap, label_smoothing
        As in :class:`SparseCategoricalCrossentropy`; class weights have the dtype of x.

    {raises}

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

    ignore_class: int | None
    reduction: Reduction
    layout: Layout
    max_bytes: int
    class_weight: np.ndarray | None
    z_loss: float
    logit_softcap: float | None
    label_smoothing: float

    def __init__(
        self,
        *,
        ignore_class: Annotated[int | None, checks.any_class] = None,
        reduction: Reduction = "mean",
        layout: Layout = "out_in",
        max_bytes: Annotated[int, size] = 67108864,
        class_weight: ClassWeight = None,
        z_loss: Annotated[float, expect.NOT_NEGATIVE] = 0.0,
        logit_softcap: SoftCap = None,
        label_smoothing: Annotated[float, expect.UNIT] = 0.0,
    ):
        super().__init__(
            ignore_class=ignore_class, reduction=reduction, layout=layout, max_bytes=max_bytes,
            class_weight=class_weight, z_loss=z_loss, logit_softcap=logit_softcap, label_smoothing=label_smoothing,
        )  # fmt: skip

    def _check_together(self, options):
        check_weighed_smoothing(options)

    def __call__(
        self,
        x: np.ndarray,
        weight: np.ndarray,
        y_true: np.ndarray,
        bias: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
        *,
        mask: np.ndarray | None = None,
    ) -> Any:
        """Return the value alone: one product of matrices. Parameters and errors are those of `value_and_grad`."""
        return self._of_layer(x, weight, y_true, bias, sample_weight, mask, None, False)[0]

    def value_and_grad(
        self,
        x: np.ndarray,
        weight: np.ndarray,
        y_true: np.ndarray,
        bias: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
        *,
        out: LinearGradients | tuple[Any, ...] | None = None,
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
        return self._of_layer(x, weight, y_true, bias, sample_weight, mask, out, True)

    # ---- one call

    def _of_layer(self, x, weight, y_true, bias, sample_weight, mask, out, wanted):
        by = way("losses")
        evaluate = by.linear_cross_entropy
        expect.not_empty(expect.array(x, "x"), "x")
        if x.ndim < 2:
            raise ValueError(f"x: expected at least 2 axes, got shape {x.shape}")
        leading, features = x.shape[:-1], x.shape[-1]
        matrix = self._expect_weight(weight, x.dtype, features)
        classes = len(matrix)
        if bias is not None:
            expect.array(bias, "bias", dtype=x.dtype, shape=(classes,))
        labels = expect.labels(y_true, "y_true", leading)
        weights = None if sample_weight is None else checks.weight(by, sample_weight, x.dtype, leading)
        if self.class_weight is not None:
            expect.array(self.class_weight, "class_weight", dtype=x.dtype, shape=(classes,))
        if mask is not None:
            checks.mask(mask, leading)
        kept = self._kept(labels, classes, mask)
        counted = labels.size if kept is None else len(kept)
        rows = self._rows(classes, features, x.itemsize, counted, wanted)
        gradients = _outputs((x, weight, bias), (y_true, sample_weight, mask), out) if wanted else None
        formula = formulas.sparse_categorical_crossentropy(
            classes, True, None, self.label_smoothing, self.z_loss, self.logit_softcap or 0.0,
            self.class_weight is not None,
        )  # fmt: skip

        factor = 1.0 / max(counted, 1) if self.reduction == "mean" else 1.0
        scale = np.full(leading, factor, x.dtype) if weights is None else weights * x.dtype.type(factor)
        samples = Rows(x.reshape(-1, features), labels.reshape(-1), scale.reshape(-1), kept)
        values, parts = np.zeros(labels.size, x.dtype), None
        if gradients is not None:
            grad_x, grad_weight, grad_bias = gradients
            merged = grad_x.reshape(-1, features)  # a copy, where the leading axes of `out` can't be merged
            parts = merged, grad_weight if self.layout == "out_in" else grad_weight.T, grad_bias
        with np.errstate(all="ignore"):  # NaN and Inf travel; some BLAS raise flags over what lies beside
            evaluate(formula, matrix, bias, samples, values, parts, rows, self.class_weight)

        if gradients is not None and not np.may_share_memory(merged, grad_x):
            grad_x[...] = merged.reshape(grad_x.shape)
        value = values.reshape(leading) if self.reduction == "none" else float(values.sum(dtype=np.float64))
        return value, gradients

    def _expect_weight(self, weight: Any, dtype: np.dtype, features: int) -> np.ndarray:
        """Return the weight as (classes, features)."""
        expect.array(weight, "weight", dtype=dtype)
        if weight.ndim != 2 or 0 in weight.shape or weight.shape[self.layout == "out_in"] != features:
            shape = f"(classes, {features})" if self.layout == "out_in" else f"({features}, classes)"
            raise ValueError(f"weight: expected shape {shape}, got {weight.shape}")
        return weight if self.layout == "out_in" else weight.T

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


linear_cross_entropy = function_of(LinearCrossEntropy, "linear_cross_entropy")


def _outputs(arguments: tuple[Any, ...], others: tuple[Any, ...], out: Any) -> LinearGradients:
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
