"""Losses of elements: a sample's value is the mean of its elements'.

A function returns the samples' values; what it takes, and all its arguments, are as in Keras's of the same name. So are
those of a class, whose weights, masks and reductions are Keras's own.
"""

from typing import Any

from keras import losses as theirs

from fastopt.keras.losses.base import Prepared, Reduced, by_kernels
from fastopt.keras.losses.leniency import Axis, host, kept_by_name, pair
from fastopt.kernels.losses import formulas


@by_kernels(theirs.mean_squared_error)
def mean_squared_error(y_true: Any, y_pred: Any) -> Prepared:
    """:func:`keras.losses.mean_squared_error`."""
    given = pair(y_true, y_pred, squeezed=True)
    if given is None:
        return None
    return formulas.mean_squared_error(), *given


@kept_by_name
class MeanSquaredError(Reduced, theirs.MeanSquaredError):
    """:class:`keras.losses.MeanSquaredError`.

    Examples
    --------
    >>> import fastopt.keras
    >>> float(fastopt.keras.losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]]))
    2.5
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error", dtype: Any = None
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.fn = mean_squared_error


@by_kernels(theirs.mean_absolute_error)
def mean_absolute_error(y_true: Any, y_pred: Any) -> Prepared:
    """:func:`keras.losses.mean_absolute_error`."""
    given = pair(y_true, y_pred, squeezed=True)
    if given is None:
        return None
    return formulas.mean_absolute_error(), *given


@kept_by_name
class MeanAbsoluteError(Reduced, theirs.MeanAbsoluteError):
    """:class:`keras.losses.MeanAbsoluteError`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error", dtype: Any = None
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.fn = mean_absolute_error


@by_kernels(theirs.mean_absolute_percentage_error)
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Prepared:
    """:func:`keras.losses.mean_absolute_percentage_error`."""
    given = pair(y_true, y_pred, squeezed=True)
    if given is None:
        return None
    return formulas.mean_absolute_percentage_error(), *given


@kept_by_name
class MeanAbsolutePercentageError(Reduced, theirs.MeanAbsolutePercentageError):
    """:class:`keras.losses.MeanAbsolutePercentageError`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.fn = mean_absolute_percentage_error


@by_kernels(theirs.mean_squared_logarithmic_error)
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Prepared:
    """:func:`keras.losses.mean_squared_logarithmic_error`."""
    given = pair(y_true, y_pred, squeezed=True)
    if given is None:
        return None
    return formulas.mean_squared_logarithmic_error(), *given


@kept_by_name
class MeanSquaredLogarithmicError(Reduced, theirs.MeanSquaredLogarithmicError):
    """:class:`keras.losses.MeanSquaredLogarithmicError`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.fn = mean_squared_logarithmic_error


@by_kernels(theirs.huber)
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Prepared:
    """:func:`keras.losses.huber`."""
    given = pair(y_true, y_pred, squeezed=True) if isinstance(delta, int | float) and delta > 0 else None
    if given is None:
        return None
    return formulas.huber(float(delta)), *given


@kept_by_name
class Huber(Reduced, theirs.Huber):
    """:class:`keras.losses.Huber`."""

    def __init__(
        self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str = "huber_loss",
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(delta=delta, reduction=reduction, name=name, dtype=dtype)
        self.fn = huber


@by_kernels(theirs.log_cosh)
def log_cosh(y_true: Any, y_pred: Any) -> Prepared:
    """:func:`keras.losses.log_cosh`."""
    given = pair(y_true, y_pred, squeezed=True)
    if given is None:
        return None
    return formulas.log_cosh(), *given


@kept_by_name
class LogCosh(Reduced, theirs.LogCosh):
    """:class:`keras.losses.LogCosh`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "log_cosh", dtype: Any = None
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.fn = log_cosh


@by_kernels(theirs.poisson)
def poisson(y_true: Any, y_pred: Any) -> Prepared:
    """:func:`keras.losses.poisson`."""
    given = pair(y_true, y_pred)
    if given is None:
        return None
    return formulas.poisson(), *given


@kept_by_name
class Poisson(Reduced, theirs.Poisson):
    """:class:`keras.losses.Poisson`."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "poisson", dtype: Any = None) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.fn = poisson


@by_kernels(theirs.hinge)
def hinge(y_true: Any, y_pred: Any) -> Prepared:
    """:func:`keras.losses.hinge`. Labels that are all 0 or 1 are taken for −1 and 1."""
    given = pair(y_true, y_pred)
    if given is None:
        return None
    return formulas.hinge(zeros=host.zeros_and_ones(given.y_true)), *given


@kept_by_name
class Hinge(Reduced, theirs.Hinge):
    """:class:`keras.losses.Hinge`."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "hinge", dtype: Any = None) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.fn = hinge


@by_kernels(theirs.squared_hinge)
def squared_hinge(y_true: Any, y_pred: Any) -> Prepared:
    """:func:`keras.losses.squared_hinge`. Labels that are all 0 or 1 are taken for −1 and 1."""
    given = pair(y_true, y_pred)
    if given is None:
        return None
    return formulas.squared_hinge(zeros=host.zeros_and_ones(given.y_true)), *given


@kept_by_name
class SquaredHinge(Reduced, theirs.SquaredHinge):
    """:class:`keras.losses.SquaredHinge`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "squared_hinge", dtype: Any = None
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.fn = squared_hinge


@by_kernels(theirs.binary_crossentropy)
def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: Axis = -1
) -> Prepared:
    """:func:`keras.losses.binary_crossentropy`."""
    given = pair(y_true, y_pred, axis, broadcast=False, clipped=not from_logits)
    if given is None:
        return None
    return formulas.binary_crossentropy(bool(from_logits), float(label_smoothing)), *given


@kept_by_name
class BinaryCrossentropy(Reduced, theirs.BinaryCrossentropy):
    """:class:`keras.losses.BinaryCrossentropy`."""

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size", name: str = "binary_crossentropy", dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis, reduction=reduction, name=name,
            dtype=dtype,
        )  # fmt: skip
        self.fn = binary_crossentropy


@by_kernels(theirs.binary_focal_crossentropy)
def binary_focal_crossentropy(
    y_true: Any, y_pred: Any, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
    from_logits: bool = False, label_smoothing: float = 0.0, axis: Axis = -1,
) -> Prepared:  # fmt: skip
    """:func:`keras.losses.binary_focal_crossentropy`. Logits are not clipped."""
    usual = isinstance(alpha, int | float) and isinstance(gamma, int | float) and gamma > 0
    given = pair(y_true, y_pred, axis, broadcast=False, clipped=not from_logits) if usual else None
    if given is None:
        return None
    formula = formulas.binary_focal_crossentropy(
        bool(apply_class_balancing), float(alpha), float(gamma), bool(from_logits), float(label_smoothing)
    )
    return formula, *given


@kept_by_name
class BinaryFocalCrossentropy(Reduced, theirs.BinaryFocalCrossentropy):
    """:class:`keras.losses.BinaryFocalCrossentropy`."""

    def __init__(
        self, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
        from_logits: bool = False, label_smoothing: float = 0.0, axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size", name: str = "binary_focal_crossentropy", dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            apply_class_balancing=apply_class_balancing, alpha=alpha, gamma=gamma, from_logits=from_logits,
            label_smoothing=label_smoothing, axis=axis, reduction=reduction, name=name, dtype=dtype,
        )  # fmt: skip
        self.fn = binary_focal_crossentropy
