"""scikit-learn's errors and scores of regression. Notes are in its documentation; results agree to rounding."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import metrics as theirs

from fastopt import metrics as ours
from fastopt.sklearn.inputs import need, ours_first, weights_are


def _error(function: Callable[..., Any], y_true: Any, y_pred: Any, sample_weight: Any, multioutput: Any) -> Any:
    need(type(y_true) is np.ndarray and type(y_pred) is np.ndarray and y_true.shape == y_pred.shape)
    need(y_true.dtype == y_pred.dtype and y_true.ndim in (1, 2))
    weights_are(sample_weight, y_true.dtype)
    need(sample_weight is None or sample_weight.shape == y_true.shape[:1])
    if not isinstance(multioutput, str):
        multioutput = np.asarray(multioutput).tolist()
        need(y_true.ndim == 2 and y_true.shape[1] > 1)
    elif y_true.ndim == 1:
        need(multioutput == "uniform_average")
    elif function is ours.root_mean_squared_error and multioutput == "uniform_average":
        multioutput = [1.0] * y_true.shape[1]  # roots of columns are averaged
    found = function(y_true, y_pred, sample_weight, multioutput=multioutput)
    need(np.isfinite(found).all())
    return found.astype(y_true.dtype) if isinstance(found, np.ndarray) else found


def _explained(y_true: Any, y_pred: Any, sample_weight: Any, multioutput: Any, force_finite: Any) -> Any:
    """R²; what it is of one sample, and where it isn't finite, scikit-learn says."""
    need(force_finite is True and getattr(y_true, "ndim", 0) in (1, 2) and len(y_true) > 1)
    if getattr(y_true, "ndim", 0) == 1 and isinstance(multioutput, str):
        need(multioutput in ("uniform_average", "variance_weighted"))
        multioutput = "uniform_average"  # of one column
    return _error(ours.r2_score, y_true, y_pred, sample_weight, multioutput)


def mean_squared_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """Return the mean of squared errors, as `sklearn.metrics.mean_squared_error`.

    Examples
    --------
    >>> import numpy as np, fastopt.sklearn
    >>> fastopt.sklearn.mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    2.0
    """
    return ours_first(
        lambda: _error(ours.mean_squared_error, y_true, y_pred, sample_weight, multioutput),
        lambda: theirs.mean_squared_error(y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput),
    )


def mean_absolute_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """Return the mean of absolute errors, as `sklearn.metrics.mean_absolute_error`."""
    return ours_first(
        lambda: _error(ours.mean_absolute_error, y_true, y_pred, sample_weight, multioutput),
        lambda: theirs.mean_absolute_error(y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput),
    )


def root_mean_squared_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """Return the root of the mean of squared errors, as `sklearn.metrics.root_mean_squared_error`."""
    return ours_first(
        lambda: _error(ours.root_mean_squared_error, y_true, y_pred, sample_weight, multioutput),
        lambda: theirs.root_mean_squared_error(y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput),
    )


def r2_score(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: Any = "uniform_average",
    force_finite: Any = True,
) -> Any:
    """Return the coefficient of determination, R², as `sklearn.metrics.r2_score`.

    A column of equal values has a variance of exactly 0 here, whatever the rounding of their mean.

    Examples
    --------
    >>> import numpy as np, fastopt.sklearn
    >>> fastopt.sklearn.r2_score(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.5, 2.5]))
    0.75
    """
    how = {"sample_weight": sample_weight, "multioutput": multioutput, "force_finite": force_finite}
    return ours_first(
        lambda: _explained(y_true, y_pred, sample_weight, multioutput, force_finite),
        lambda: theirs.r2_score(y_true, y_pred, **how),
    )
