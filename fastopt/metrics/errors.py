"""Errors of regression: means over all elements, or over columns. A function stands under its class."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.metrics.base import Metric, filled, metric_of
from fastopt.metrics.inputs import errors, sequence, weights


def averaging(value: Any, among: tuple[str, ...]) -> str | tuple[float, ...]:
    """Return how columns are averaged: one of these words, or a weight for each."""
    if isinstance(value, str):
        return expect.choice(value, "multioutput", among)
    wanted = f"{', '.join(map(repr, among))} or numbers ≥ 0"
    shares = tuple(expect.number(x, "multioutput", expect.NOT_NEGATIVE) for x in sequence(value, "multioutput", wanted))
    if sum(shares) == 0:
        raise ValueError("multioutput: expected a positive sum, got 0.0")
    return shares


def expect_columns(y_true: np.ndarray, multioutput: str | tuple[float, ...]) -> None:
    """Refuse arrays without columns, or with others than there are weights of."""
    columns = "C" if isinstance(multioutput, str) else len(multioutput)
    if y_true.ndim != 2 or columns not in ("C", y_true.shape[1]):
        raise ValueError(f"y_true: expected shape (N, {columns}) with multioutput={multioutput!r}, got {y_true.shape}")


@filled
class MeanSquaredError(Metric):
    """Mean of squared errors over batches: Σ w (y_pred − y_true)² / Σ w.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.mean_squared_error` takes,
    batches of any shape.

    Parameters
    ----------
    multioutput : {"uniform_average", "raw_values"} or a sequence of weights, default "uniform_average"
        As in :func:`fastopt.metrics.mean_squared_error`.

    {raises}

    Notes
    -----
    State: two float64 sums, or one per column and one of weights. Keras weighs and averages the means of rows, which is
    the same.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.MeanSquaredError()
    >>> metric.update_state(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> metric.update_state(np.array([0.0]), np.array([4.0]), sample_weight=np.array([2.0]))
    >>> metric.result()
    9.0
    """

    _kernel = "squared_error"
    _last: Callable[[float], float] = staticmethod(float)

    def __init__(self, multioutput: Any = "uniform_average"):
        super().__init__(multioutput=averaging(multioutput, ("uniform_average", "raw_values")))

    def _measured(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        errors(y_true, y_pred)
        if self._options["multioutput"] == "uniform_average":
            w = weights(sample_weight, y_true.shape, y_true.dtype)
            return by.error_sums(self._kernel, y_true, y_pred, w)
        expect_columns(y_true, self._options["multioutput"])
        w = weights(sample_weight, y_true.shape[:1], y_true.dtype)
        return by.error_columns(self._kernel, y_true, y_pred, w)

    def _joined(self, state: Any, more: Any) -> Any:
        if state is not None and len(state) != len(more):
            raise ValueError(f"y_true: expected {len(state) - 1} columns as before, got {len(more) - 1}")
        return super()._joined(state, more)

    def _value(self, by: Any, state: np.ndarray) -> Any:
        *totals, weight = state.tolist()
        if weight == 0:
            raise ValueError("sample_weight: expected a positive sum, got 0.0")
        if self._options["multioutput"] == "uniform_average":
            return self._last(totals[0] / weight)
        means = [self._last(total / weight) for total in totals]
        if self._options["multioutput"] == "raw_values":
            return np.array(means)
        shares = self._options["multioutput"]
        return math.fsum(share * mean for share, mean in zip(shares, means, strict=True)) / math.fsum(shares)


@expect.nearest
def mean_squared_error(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    multioutput: Any = "uniform_average",
) -> float | np.ndarray:
    """Return the mean of squared errors: Σ w (y_pred − y_true)² / Σ w.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays (any shape, the same for both, and one dtype)
        Targets and predictions, any real numbers, at least one; any strides.
    sample_weight : array of y_true's dtype (shape y_true.shape[:1] or y_true.shape), optional
        Finite weights ≥ 0 of samples, or of single elements.
    multioutput : {"uniform_average", "raw_values"} or a sequence of weights, default "uniform_average"
        The mean over all elements; an array with the mean of each column of (N, C); or the average of the columns'
        by these C weights ≥ 0. With the last two, weights of samples are (N,).

    Returns
    -------
    float, or float64 array (C,) for "raw_values"
        In squared units of y; ≥ 0. NaN and Inf travel.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes differ, there is no element, a weight is negative or not finite, or all are 0.

    Notes
    -----
    Errors are computed in the arrays' type and added in float64. scikit-learn is the same; torch's `mse_loss` knows no
    weights; Keras's function gives a mean per row.

    References
    ----------
    Bickel and Doksum, "Mathematical statistics", 2nd edition, 2001, section 1.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    2.0
    >>> fo.metrics.mean_squared_error(np.zeros((2, 2)), np.array([[1.0, 2], [1, 2]]), multioutput="raw_values")
    array([1., 4.])
    """
    return metric_of(MeanSquaredError, multioutput)._once(y_true, y_pred, sample_weight)


@filled
class MeanAbsoluteError(MeanSquaredError):
    """Mean of absolute errors over batches: Σ w |y_pred − y_true| / Σ w.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.mean_absolute_error` takes,
    batches of any shape.

    Parameters
    ----------
    multioutput : {"uniform_average", "raw_values"} or a sequence of weights, default "uniform_average"
        As in :func:`fastopt.metrics.mean_squared_error`.

    {raises}

    Notes
    -----
    State as in :class:`MeanSquaredError`. Keras is the same.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.MeanAbsoluteError()
    >>> metric.update_state(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> metric.result()
    1.0
    """

    _kernel = "absolute_error"


@expect.nearest
def mean_absolute_error(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    multioutput: Any = "uniform_average",
) -> float | np.ndarray:
    """Return the mean of absolute errors: Σ w |y_pred − y_true| / Σ w.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays (any shape, the same for both, and one dtype)
        As in :func:`mean_squared_error`.
    sample_weight : array of y_true's dtype (shape y_true.shape[:1] or y_true.shape), optional
        Finite weights ≥ 0 of samples, or of single elements.
    multioutput : {"uniform_average", "raw_values"} or a sequence of weights, default "uniform_average"
        As in :func:`mean_squared_error`.

    Returns
    -------
    float, or float64 array (C,) for "raw_values"
        In units of y; ≥ 0. NaN and Inf travel; errors above 1e154, whose squares float64 can't hold, give Inf.

    Raises
    ------
    TypeError, ValueError
        As :func:`mean_squared_error`.

    Notes
    -----
    scikit-learn is the same; torch's `l1_loss` knows no weights; Keras's function gives a mean per row.

    References
    ----------
    Bickel and Doksum, "Mathematical statistics", 2nd edition, 2001, section 1.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    1.0
    """
    return metric_of(MeanAbsoluteError, multioutput)._once(y_true, y_pred, sample_weight)


@filled
class RootMeanSquaredError(MeanSquaredError):
    """Root of the mean of squared errors over batches: √(Σ w (y_pred − y_true)² / Σ w).

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.root_mean_squared_error`
    takes, batches of any shape.

    Parameters
    ----------
    multioutput : {"uniform_average", "raw_values"} or a sequence of weights, default "uniform_average"
        As in :func:`fastopt.metrics.root_mean_squared_error`.

    {raises}

    Notes
    -----
    State as in :class:`MeanSquaredError`. Keras is the same.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.RootMeanSquaredError()
    >>> metric.update_state(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> round(metric.result(), 6)
    1.414214
    """

    _last = staticmethod(math.sqrt)


@expect.nearest
def root_mean_squared_error(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    multioutput: Any = "uniform_average",
) -> float | np.ndarray:
    """Return the root of the mean of squared errors: √(Σ w (y_pred − y_true)² / Σ w).

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays (any shape, the same for both, and one dtype)
        As in :func:`mean_squared_error`.
    sample_weight : array of y_true's dtype (shape y_true.shape[:1] or y_true.shape), optional
        Finite weights ≥ 0 of samples, or of single elements.
    multioutput : {"uniform_average", "raw_values"} or a sequence of weights, default "uniform_average"
        One root over all elements; an array with the root of each column of (N, C); or the average of the columns' by
        these C weights ≥ 0.

    Returns
    -------
    float, or float64 array (C,) for "raw_values"
        In units of y; ≥ 0. NaN and Inf travel.

    Raises
    ------
    TypeError, ValueError
        As :func:`mean_squared_error`.

    Notes
    -----
    One root over all elements, as in Keras. scikit-learn takes the root of each column's mean and averages those: here
    `multioutput=[1, 1, ...]` does.

    References
    ----------
    Bickel and Doksum, "Mathematical statistics", 2nd edition, 2001, section 1.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.metrics.root_mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])), 6)
    1.414214
    """
    return metric_of(RootMeanSquaredError, multioutput)._once(y_true, y_pred, sample_weight)
