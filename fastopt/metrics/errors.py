"""Errors of regression: means over all elements."""

import math
from typing import Any

import numpy as np

from fastopt.kernels.metrics import cpu
from fastopt.metrics.base import Mean
from fastopt.metrics.inputs import errors


class MeanSquaredError(Mean):
    """Mean of squared errors over batches: Σ w (y_pred − y_true)² / Σ w.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.mean_squared_error` takes,
    batches of any shape.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: two float64 sums. Keras weighs and averages the means of rows, which is the same.

    References
    ----------
    Bickel and Doksum, "Mathematical statistics", 2nd edition, 2001, section 1.3.

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

    def __init__(self) -> None:
        super().__init__()

    def _measured(self, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        return cpu.errors(self._kernel, *errors(y_true, y_pred, sample_weight))


class MeanAbsoluteError(MeanSquaredError):
    """Mean of absolute errors over batches: Σ w |y_pred − y_true| / Σ w.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.mean_absolute_error` takes,
    batches of any shape.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: two float64 sums. Keras is the same.

    References
    ----------
    Bickel and Doksum, "Mathematical statistics", 2nd edition, 2001, section 1.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.MeanAbsoluteError()
    >>> metric.update_state(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> metric.result()
    1.0
    """

    _kernel = "absolute_error"


class RootMeanSquaredError(MeanSquaredError):
    """Root of the mean of squared errors over batches: √(Σ w (y_pred − y_true)² / Σ w).

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.root_mean_squared_error`
    takes, batches of any shape.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: two float64 sums. Keras is the same; scikit-learn takes the root of each column's mean and averages those.

    References
    ----------
    Bickel and Doksum, "Mathematical statistics", 2nd edition, 2001, section 1.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.RootMeanSquaredError()
    >>> metric.update_state(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> round(metric.result(), 6)
    1.414214
    """

    def _value(self, state: np.ndarray) -> float:
        return math.sqrt(super()._value(state))
