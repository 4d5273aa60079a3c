"""What all losses share: checks of their arrays, weights and reduction, and the pipeline that a call runs."""

import math
from collections.abc import Callable
from copy import copy
from functools import lru_cache
from typing import Any, ClassVar, TypeAlias

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import reference
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.checks import may_overlap
from fastopt.kernels.runtime.kernel import Kernel
from fastopt.kernels.runtime.settings import get_num_threads, get_target

REDUCTIONS = ("mean", "sum", "none")
NO_CLASS = -(2**63)  # stands for "no class is ignored"
LARGEST = {np.dtype(np.float32): float(np.finfo(np.float32).max), np.dtype(np.float64): float(np.finfo(np.float64).max)}

NAMES = {np.dtype(name): name for name in ("float32", "float64")}
Numbers: TypeAlias = tuple[float, ...]

BUFFERS = ("y_true", "y_pred", "gradient", "value")
ROW_BUFFERS = ("y_true", "y_pred", "gradient", "values")
MEANS = (KERNELS["row_means"], ("value", "values"), 1)
WEIGH = (
    (KERNELS["weigh_values"], ("weight", "values"), 1),
    (KERNELS["weigh_gradient"], ("weight", "gradient"), 1),
)
GRADIENT = ("gradient",)
DROP = (KERNELS["drop_rows"], ("mask", "values", "gradient"), 1)
TOTAL = (KERNELS["total"], ("values",), 1)
TOTAL_OF_ELEMENTS = (KERNELS["total"], ("value",), 1)


@lru_cache(maxsize=1024)
def rows_in_a_block(columns: int) -> int:
    """Return how many rows pass all stages together; a multiple of 32 where rows are short (see compiled.pyx)."""
    rows = max(1, pipeline.BLOCK // columns)
    return rows - rows % 32 if rows >= 32 else rows


def count(kernel: str, array: np.ndarray, units: int, partials: int, *, dims=(), scalars=()) -> tuple[int, ...]:
    """Run a checking kernel over an array: one cheap pass that counts what is not as it must be."""
    target = get_target()
    if target == "reference":
        rows = array.reshape(units, -1) if kernel == "not_distributions" else array
        return getattr(reference, kernel)(rows, *(() if kernel == "not_distributions" else dims), *scalars)
    sums = pipeline.run_kernel(
        KERNELS[kernel],
        (array,),
        units,
        "float64" if array.dtype == expect.FLOAT64 else "float32",
        target,
        get_num_threads(),
        max(1, pipeline.GRAIN * units // array.size),
        0,
        dims,
        scalars,
        partials,
    )
    return tuple(map(int, sums.tolist()))


def check_within(array: np.ndarray, name: str, low: float, high: float, wanted: str, nan: bool = False) -> None:
    """Refuse elements outside [low, high]; NaN too, unless it may travel."""
    out, nans = count("outside", array, array.size, 2, scalars=(low, high))
    if out or (nans and not nan):
        wrong = (array < low) | (array > high) if out else np.isnan(array)
        raise ValueError(f"{name}: expected {wanted}, got {float(array[wrong][0])!r}")


def check_distributions(array: np.ndarray, name: str) -> None:
    """Refuse rows that are not one-hot nor any other distribution over the classes."""
    columns = array.shape[-1]
    if count("not_distributions", array, array.size // columns, 1, dims=(columns,))[0]:
        rows = array.reshape(-1, columns)
        total = rows.sum(axis=-1, dtype=np.float64)
        wrong = ~((rows >= 0) & (rows <= 1)).all(axis=-1) | (total < 0.999) | (total > 1.001)
        index = np.unravel_index(int(wrong.argmax()), array.shape[:-1])
        raise ValueError(
            f"{name}: expected rows in [0, 1] that sum to 1 within 0.001 (one-hot or a distribution), got a row with "
            f"minimum {float(array[index].min())!r} and sum {float(array[index].sum())!r} at {tuple(map(int, index))}"
        )


def check_weight(weight: Any, dtype: np.dtype, leading: tuple[int, ...]) -> np.ndarray:
    """Return the weights, broadcast to all samples."""
    expect.array(weight, "sample_weight", dtype=dtype)
    if weight.shape != leading[: weight.ndim]:
        raise ValueError(f"sample_weight: expected shape {leading} or the first axes of it, got {weight.shape}")
    check_within(weight, "sample_weight", 0.0, LARGEST[dtype], "finite numbers ≥ 0")
    return np.broadcast_to(weight.reshape(weight.shape + (1,) * (len(leading) - weight.ndim)), leading)


def check_mask(mask: Any, leading: tuple[int, ...]) -> None:
    if not isinstance(mask, np.ndarray) or mask.dtype != bool:
        raise TypeError(f"mask: expected a NumPy array of bool, got {expect.describe(mask)}")
    if mask.shape != leading:
        raise ValueError(f"mask: expected shape {leading}, got {mask.shape}")


class Loss:
    """Base of all losses.

    A sample is a row along `axis`; in 1-D arrays every element is a sample of its own. Call a loss for its
    value alone, or `value_and_grad` for both in one pass over memory.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values: their sum over the number of samples (weights don't count as samples,
        as in Keras), their sum, or an array of them.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples. Others than the last are read and
        written with strides.

    Raises
    ------
    TypeError, ValueError
        If `reduction` is none of the three, or `axis` no integer.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.MeanSquaredError(reduction="none")
    >>> loss(np.zeros((2, 2)), np.array([[1.0, 3.0], [0.0, 2.0]]), sample_weight=np.array([1.0, 0.5]))
    array([5., 1.])
    """

    _least_dimensions: ClassVar[int] = 1
    _takes_labels: ClassVar[bool] = False  # y_true has one integer a sample, rather than the shape of y_pred
    _reference: ClassVar[Callable[..., tuple[np.ndarray, np.ndarray]]]

    def __init__(self, reduction: str = "mean", axis: int = -1):
        self.reduction = expect.choice(reduction, "reduction", REDUCTIONS)
        self.axis = expect.integer(axis, "axis")

    def __call__(
        self,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        sample_weight: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> Any:
        """Return the value; no gradient is kept, and nothing of the size of `y_pred` is written.

        Parameters and errors are those of `value_and_grad`.
        """
        return self._evaluate(y_true, y_pred, sample_weight, None, mask, False)[0]

    def value_and_grad(
        self,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        sample_weight: np.ndarray | None = None,
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
        return self._evaluate(y_true, y_pred, sample_weight, out, mask, True)

    # ---- what a subclass says

    def _kernel(self) -> Kernel:
        """Return the kernel that the options ask for."""
        raise NotImplementedError

    def _options(self) -> dict[str, Any]:
        """Return the options as the reference takes them."""
        return {}

    def _check_labels(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        """Return y_true as the kernel takes it, if its type and shape are right."""
        return expect.array(y_true, "y_true", dtype=y_pred.dtype, shape=y_pred.shape)

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        """Refuse values outside the loss's domain; return how many samples count, and scalars behind `scale`."""
        return samples, ()

    def _head(self, columns: int, wanted: bool, itemsize: int) -> tuple[tuple, dict[str, Any], tuple[int, ...], int]:
        """Return the stages that make samples' values, their own slots, their dims, and what rows are divided by."""
        raise NotImplementedError

    # ---- one call

    def _begin(self, y_true, y_pred, sample_weight):
        """Check what every loss takes; return the samples' shape, the labels and the weights as kernels take them."""
        expect.not_empty(expect.array(y_pred, "y_pred"), "y_pred")
        if y_pred.ndim < self._least_dimensions:
            axes = "axis" if self._least_dimensions == 1 else "axes"
            raise ValueError(f"y_pred: expected at least {self._least_dimensions} {axes}, got shape {y_pred.shape}")
        leading = y_pred.shape[:-1] if y_pred.ndim > 1 else y_pred.shape
        labels = self._check_labels(y_true, y_pred)
        weight = None if sample_weight is None else check_weight(sample_weight, y_pred.dtype, leading)
        return leading, labels, weight

    def _evaluate(self, y_true, y_pred, sample_weight, out, mask, wanted):
        if self.axis != -1:
            return self._turned(y_true, y_pred, sample_weight, out, mask, wanted)
        leading, labels, weight = self._begin(y_true, y_pred, sample_weight)
        if mask is not None:
            check_mask(mask, leading)
        if wanted:
            apart = {"y_pred": y_pred, "y_true": y_true, "sample_weight": sample_weight}
            out = expect.output(out, "out", dtype=y_pred.dtype, shape=y_pred.shape, apart=apart, same="y_pred")
        samples = math.prod(leading)
        if mask is not None:
            labels = self._mask_labels(labels, mask)
        counted, scalars = self._check_values(labels, y_pred, samples)
        if mask is not None and counted == samples:  # else the labels tell
            counted = int(np.count_nonzero(mask))
        run = self._run_reference if get_target() == "reference" else self._run
        return run(labels, y_pred, weight, leading, max(counted, 1), scalars, out, mask)

    def _turned(self, y_true, y_pred, sample_weight, out, mask, wanted):
        """Evaluate views with the samples' axis last; the gradient lies in memory as `y_pred` does."""
        same, last = self._of_last_axis(y_pred)
        if wanted and out is None:
            out = np.empty_like(y_pred, subok=False)
        labels = y_true if self._takes_labels else last(y_true, "y_true")
        place = last(out, "out") if wanted else None
        return same._evaluate(labels, last(y_pred, "y_pred"), sample_weight, place, mask, wanted)[0], out

    def _of_last_axis(self, y_pred) -> tuple["Loss", Callable[[Any, str], np.ndarray]]:
        """Return this loss with its axis last, and what makes a view of that kind of an array like `y_pred`."""
        expect.array(y_pred, "y_pred")
        if not -y_pred.ndim <= self.axis < y_pred.ndim:
            raise ValueError(f"axis: expected an axis of y_pred with shape {y_pred.shape}, got {self.axis}")
        same = copy(self)
        same.axis = -1
        like = {"dtype": y_pred.dtype, "shape": y_pred.shape}
        return same, lambda array, name: np.moveaxis(expect.array(array, name, **like), self.axis, -1)

    def _mask_labels(self, labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return labels that say themselves which samples are dropped, where a loss has such."""
        return labels

    def _run(self, y_true, y_pred, weight, leading, counted, scalars, out, mask):
        """Run the kernels over the samples, a block of rows after the other."""
        samples, size, reduced = math.prod(leading), y_pred.itemsize, self.reduction != "none"
        columns = y_pred.size // samples
        head, slots, dims, divisor = self._head(columns, out is not None, size)
        values = size if reduced else np.empty(leading, y_pred.dtype)
        slots |= {
            "y_true": y_true,
            "y_pred": y_pred,
            "values": values,
            "gradient": columns * size if out is None else out,
        }
        if weight is not None:
            slots["weight"] = weight
            head += WEIGH if out is not None else WEIGH[:1]
        if mask is not None:
            slots["mask"] = mask.view(np.uint8)
            head += (DROP,)
        factor = 1.0 / counted if self.reduction == "mean" else 1.0
        sums = launch(
            head + (TOTAL,) if reduced else head,
            slots,
            samples,
            y_pred,
            out,
            grain=max(1, pipeline.GRAIN // columns),
            block=rows_in_a_block(columns),
            dims=dims,
            scalars=(factor / divisor, *scalars),
        )
        return float(sums[0]) * factor if reduced else values, out

    def _run_reference(self, y_true, y_pred, weight, leading, counted, scalars, out, mask):
        samples = math.prod(leading)
        rows = y_pred.astype(np.float64).reshape(samples, -1)
        labels = y_true.reshape(samples) if y_true.dtype == np.int64 else y_true.astype(np.float64).reshape(rows.shape)
        with np.errstate(all="ignore"):  # NaN and Inf travel, in rows that a mask drops too
            value, gradient = type(self)._reference(labels, rows, **self._options())
        if mask is not None:
            value, gradient = reference.dropped(value, gradient, mask.reshape(samples))
        weight = None if weight is None else weight.astype(np.float64).reshape(samples)
        value, gradient = reference.weighted_and_reduced(value, gradient, weight, self.reduction, counted)
        if out is not None:
            out[...] = gradient.reshape(y_pred.shape)
        return value.astype(y_pred.dtype).reshape(leading) if self.reduction == "none" else float(value), out


class ElementLoss(Loss):
    """Base of the losses whose value is a mean (or a sum) over the elements of a sample."""

    _mean: ClassVar[bool] = True

    def _run(self, y_true, y_pred, weight, leading, counted, scalars, out, mask):
        if weight is not None or mask is not None or self.reduction == "none":
            return super()._run(y_true, y_pred, weight, leading, counted, scalars, out, mask)
        size, factor = y_pred.itemsize, 1.0 / counted if self.reduction == "mean" else 1.0
        if self._mean and y_pred.ndim > 1:
            factor /= y_pred.shape[-1]
        slots = {"y_true": y_true, "y_pred": y_pred, "gradient": size if out is None else out, "value": size}
        sums = launch(
            ((self._kernel(), BUFFERS, 1), TOTAL_OF_ELEMENTS),
            slots,
            y_pred.size,
            y_pred,
            out,
            grain=pipeline.GRAIN,
            block=pipeline.BLOCK,
            dims=(),
            scalars=(factor, *scalars),
        )
        return float(sums[0]) * factor, out

    def _head(self, columns, wanted, itemsize):
        divisor = columns if self._mean else 1
        if columns == 1:
            return ((self._kernel(), ROW_BUFFERS, 1),), {}, (1, 1), 1
        stages = ((self._kernel(), BUFFERS, columns), MEANS)
        return stages, {"value": columns * itemsize}, (columns, divisor), divisor


class RowLoss(Loss):
    """Base of the losses that couple the elements of a row."""

    _least_dimensions = 2
    ignore_class: int | None = None

    def _head(self, columns, wanted, itemsize):
        ignored = NO_CLASS if self.ignore_class is None else self.ignore_class
        return ((self._kernel(), ROW_BUFFERS, 1),), {}, (columns, int(wanted), ignored), 1


def needs_staging(out: np.ndarray | None, given: np.ndarray) -> bool:
    """Return whether a gradient is kept in scratch memory until its block is done: where it may take the place of what
    it is the gradient of, so that no kernel's buffers overlap, and where it is strided."""
    return out is not None and (not out.flags.c_contiguous or may_overlap(out, (given,)))


def launch(stages, slots, units, y_pred, out, **job):
    """Run a loss's pipeline; a large gradient apart from y_pred goes around the cache."""
    return pipeline.run(
        stages,
        slots,
        units,
        dtype=NAMES[y_pred.dtype],
        target=get_target(),
        threads=get_num_threads(),
        partials=1,
        staged=GRADIENT if needs_staging(out, y_pred) else (),
        streamed=GRADIENT,
        **job,
    )
