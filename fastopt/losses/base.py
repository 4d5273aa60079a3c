"""What all losses share: how arrays fall into samples, and the way of a call."""

import math
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from fastopt import expect
from fastopt.docstrings import filler
from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.runtime.settings import get_target
from fastopt.kernels.runtime.targets import way_of
from fastopt.losses import checks
from fastopt.losses.options import Options
from fastopt.losses.samples import Samples, samples_of

Reduction = Literal["mean", "sum", "none"]
Axis = Annotated[int, checks.axis]
Axes = Annotated[int | tuple[int, ...] | None, checks.axes]

RAISES = """\
Raises
------
TypeError, ValueError
    If an argument is not as it should be; nothing has been written then."""
AXES = """\
reduction : {"mean", "sum", "none"}, default "mean"
    What becomes of the samples' values: their mean, their sum, or an array of them.
axis : int, tuple of int, or None, default -1
    Which axes of y_pred make up a sample, None being all; see :class:`Loss`."""
filled = filler(raises=RAISES, axes=AXES, shared=f"{AXES}\n\n{RAISES}")


class Loss(Options):
    """Base of all losses.

    A sample is a row along `axis`; in 1-D arrays every element is a sample of its own. Call a loss for its value alone,
    or `value_and_grad` for both in one pass over memory. Options are attributes: one that is set is checked, and holds
    from the next call on.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values: their sum over the number of samples (weights don't count as samples,
        as in Keras), their sum, or an array of them.
    axis : int, tuple of int, or None, default -1
        Which axes of y_pred make up a sample, None being all; the others number the samples. Axes other than the last
        ones are read and written with strides. Where classes lie along it, one axis alone.
    **options
        Those of the loss.

    Raises
    ------
    TypeError, ValueError
        If an option is outside its domain, or unknown.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.MeanSquaredError(reduction="none")
    >>> loss(np.zeros((2, 2)), np.array([[1.0, 3.0], [0.0, 2.0]]), sample_weight=np.array([1.0, 0.5]))
    array([5., 1.])
    """

    reduction: Reduction
    axis: Any
    _least_dimensions: ClassVar[int] = 1
    _takes_labels: ClassVar[bool] = False  # y_true has one integer a sample, rather than the shape of y_pred
    _labels_tell: ClassVar[bool] = False  # a masked sample is one whose label is ignored

    def __init__(self, reduction: Reduction = "mean", *, axis: Axes = -1, **options: Any):
        super().__init__(**options, reduction=reduction, axis=axis)

    def __call__(
        self,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        sample_weight: np.ndarray | None = None,
        *,
        mask: np.ndarray | None = None,
    ) -> Any:
        """Return the value; no gradient is kept, and nothing of the size of `y_pred` is written.

        Parameters and errors are those of `value_and_grad`.
        """
        return self._evaluate(y_true, y_pred, sample_weight, mask, None, False)[0]

    def value_and_grad(
        self,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        sample_weight: np.ndarray | None = None,
        *,
        out: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> tuple[Any, np.ndarray]:
        """Return the value and its gradient with respect to `y_pred`, in one pass.

        Parameters
        ----------
        y_true, y_pred : arrays
            As the class says. float32 or float64, any strides.
        sample_weight : array, the shape of `y_pred` without `axis`, or its first axes; >= 0; dtype of `y_pred`
            Multiplies the samples' values and gradients. 0 times NaN or Inf is NaN.
        out : array, shape and dtype of `y_pred`
            Where the gradient is written; may be `y_pred` itself, and no other array's memory. None: a new array.
        mask : bool array, the shape of `y_pred` without `axis`, or None
            Samples where it is False don't count: value 0 and gradient 0, whatever their weight and predictions are,
            and "mean" divides by the number of the others. Where all are False the value is 0. Labels are checked all
            the same, but for SparseCategoricalCrossentropy.

        Returns
        -------
        value : float, or with reduction "none" an array of the shape without `axis`
        gradient : array
            Holds the weights, and with reduction "mean" 1 / samples. With reduction "none" each row is the gradient
            of its own sample's value.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as it should be; nothing has been written then.
        """
        return self._evaluate(y_true, y_pred, sample_weight, mask, out, True)

    # ---- what a subclass says

    def _formula(self, classes: int) -> Formula:
        """Return what the options run, over rows of so many elements."""
        raise NotImplementedError("Loss: expected one of the losses, such as MeanSquaredError(), got their base")

    def _expect_labels(self, y_true: Any, y_pred: np.ndarray, samples: Samples) -> np.ndarray:
        """Return y_true as kernels take it, if its type and shape are right."""
        if self._takes_labels:
            return expect.labels(y_true, "y_true", samples.leading)
        labels = expect.array(y_true, "y_true", dtype=y_pred.dtype, shape=y_pred.shape)
        return samples.rows(labels) if samples.moved else labels

    def _plan(self, by: ModuleType, y_true: np.ndarray, y_pred: np.ndarray, samples: Samples) -> tuple[Formula, int]:
        """Refuse values outside the loss's domain; return what to run, and how many samples labels ignore."""
        return self._formula(samples.columns), 0

    def _mask_labels(self, labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return labels that say themselves which samples are dropped, where a loss has such."""
        return labels

    def _more(self, y_pred: np.ndarray, classes: int) -> dict[str, np.ndarray]:
        """Return arrays among the options that the formula takes beside its own."""
        return {}

    # ---- one call

    def _samples(self, y_pred: Any) -> Samples:
        """Return how a call's arrays fall into samples."""
        expect.not_empty(expect.array(y_pred, "y_pred"), "y_pred")
        return samples_of(y_pred.shape, self.axis, self._least_dimensions)

    def _evaluate(self, y_true, y_pred, sample_weight, mask, out, wanted):
        target = get_target()
        if target == "cuda":
            from fastopt.losses import device

            return device.evaluate(self, y_true, y_pred, out, wanted, sample_weight=sample_weight, mask=mask)
        by, samples = way_of("losses", target), self._samples(y_pred)
        leading, rows = samples.leading, samples.rows(y_pred) if samples.moved else y_pred
        labels = self._expect_labels(y_true, y_pred, samples)
        more = self._more(y_pred, samples.columns)
        weight = None if sample_weight is None else checks.weight(by, sample_weight, y_pred.dtype, leading)
        if mask is not None:
            checks.mask(mask, leading)
            labels = self._mask_labels(labels, mask)
        if wanted:
            out = self._expect_out(out, "out", {"y_pred": y_pred, "y_true": y_true, "sample_weight": sample_weight})
        formula, ignored = self._plan(by, labels, rows, samples)
        place = samples.rows(out) if wanted and samples.moved else out
        value = by.evaluate(
            formula, labels, rows, place, leading=leading, weight=weight, mask=mask,
            factor=self._factor(leading, ignored, mask), reduced=self.reduction != "none", **more,
        )  # fmt: skip
        return value, out

    def _factor(self, leading: tuple[int, ...], ignored: int, mask: np.ndarray | None) -> float:
        """Return what the sum over samples is multiplied by."""
        if self.reduction != "mean":
            return 1.0
        counted = math.prod(leading) - ignored
        if mask is not None and not ignored:  # else the labels tell
            counted = int(np.count_nonzero(mask))
        return 1.0 / (counted or 1)

    def _expect_out(self, out: Any, name: str, apart: dict[str, Any]) -> np.ndarray:
        """Return the array that a gradient goes to: the first one's, whose memory it may take, not the others'.

        A new one lies in memory as the first array does, if axes are moved.
        """
        same = next(iter(apart))
        like = apart[same]
        if out is None and self.axis != -1:
            return np.empty_like(like, subok=False)
        return expect.output(out, name, dtype=like.dtype, shape=like.shape, apart=apart, same=same)


class PlainLoss(Loss):
    """Base of the losses without options of their own."""

    def __init__(self, reduction: Reduction = "mean", *, axis: Axes = -1):
        super().__init__(reduction, axis=axis)
