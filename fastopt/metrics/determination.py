"""How much of the targets' variance is explained: R². The function stands under its class."""

from math import fsum
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.metrics.base import Metric, filled, metric_of
from fastopt.metrics.errors import averaging, expect_columns
from fastopt.metrics.inputs import errors, weights

AVERAGES = ("uniform_average", "raw_values", "variance_weighted")
PIECE = 1 << 16  # rows that are widened at a time


@filled
class R2Score(Metric):
    """Coefficient of determination over batches: 1 − Σ w (y_true − y_pred)² / Σ w (y_true − mean)².

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.r2_score` takes.

    Parameters
    ----------
    multioutput : {"uniform_average", "raw_values", "variance_weighted"} or a sequence, default "uniform_average"
        As in :func:`fastopt.metrics.r2_score`.

    {raises}

    Notes
    -----
    State: four float64 numbers per column, among them the mean of the targets and the squares about it, which are
    merged as in Chan, Golub and LeVeque 1983: a mean far from 0 costs no digits, as it does where sums of squares are
    kept.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.R2Score()
    >>> metric.update_state(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
    >>> metric.update_state(np.array([3.0]), np.array([2.5]))
    >>> metric.result()
    0.75
    """

    def __init__(self, multioutput: Any = "uniform_average"):
        super().__init__(multioutput=averaging(multioutput, AVERAGES))

    def _measured(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        errors(y_true, y_pred)
        if y_true.ndim not in (1, 2):
            raise ValueError(f"y_true: expected shape (N,) or (N, C), got {y_true.shape}")
        if self._options["multioutput"] != "uniform_average":
            expect_columns(y_true, self._options["multioutput"])
        w = weights(sample_weight, y_true.shape[:1], y_true.dtype)
        measure = by.error_sums if y_true.ndim == 1 else by.error_columns
        *missed, weight = measure("squared_error", y_true, y_pred, w)
        with np.errstate(all="ignore"):
            mean = _means(y_true.reshape(len(y_true), -1), w, weight)
            center = mean.astype(y_true.dtype)
            *about, _ = measure("squared_error", y_true, np.broadcast_to(center, y_true.shape), w)
            squares = np.maximum(about - weight * (mean - center) ** 2, 0.0)
        return np.stack([missed, mean, squares, np.full(len(mean), weight)])

    def _joined(self, state: np.ndarray | None, more: np.ndarray) -> np.ndarray:
        if state is None:
            return more
        if state.shape != more.shape:
            raise ValueError(f"y_true: expected {state.shape[1]} columns as before, got {more.shape[1]}")
        with np.errstate(all="ignore"):
            total, apart = state[3] + more[3], more[1] - state[1]
            share = np.divide(more[3], total, out=np.zeros(len(total)), where=total > 0)
            squares = state[2] + more[2] + apart**2 * state[3] * share
            return np.stack([state[0] + more[0], state[1] + share * apart, squares, total])

    def _value(self, by: Any, state: np.ndarray) -> Any:
        missed, _, squares, weight = state
        if weight[0] == 0:
            raise ValueError("sample_weight: expected a positive sum, got 0.0")
        with np.errstate(all="ignore"):
            scores = np.where(squares == 0, np.where(missed == 0, 1.0, 0.0), 1.0 - missed / squares)
        multioutput = self._options["multioutput"]
        if isinstance(multioutput, str) and multioutput == "raw_values":
            return scores
        shares = np.ones(len(scores))
        if not isinstance(multioutput, str):
            shares = np.array(multioutput)
        elif multioutput == "variance_weighted" and squares.any():
            shares = squares
        return fsum((shares * scores).tolist()) / fsum(shares.tolist())


@expect.nearest
def r2_score(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    multioutput: Any = "uniform_average",
) -> float | np.ndarray:
    """Return the coefficient of determination: 1 − Σ w (y_true − y_pred)² / Σ w (y_true − mean)².

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays (N,) or (N, C), the same for both, and one dtype
        Targets and predictions, any real numbers, at least one; any strides.
    sample_weight : array (N,) of y_true's dtype, optional
        Finite weights ≥ 0 of samples.
    multioutput : {"uniform_average", "raw_values", "variance_weighted"} or a sequence, default "uniform_average"
        The mean of the columns' scores; an array of them; their mean by the columns' variances; or their average by
        these C weights ≥ 0.

    Returns
    -------
    float, or float64 array (C,) for "raw_values"
        In (−∞, 1]; 1 is exact, 0 as good as the mean. NaN travels.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes differ, there is no element, a weight is negative or not finite, or all are 0.

    Notes
    -----
    A column of one value scores 1 where it is predicted exactly, else 0, as in scikit-learn, which gives NaN for one
    sample. Keras's R2Score gives NaN for such a column that is predicted exactly. torch has no such function.

    References
    ----------
    Draper and Smith, "Applied regression analysis", 3rd edition, 1998, section 1.3; Chan, Golub and LeVeque,
    "Algorithms for computing the sample variance", The American Statistician 37, 1983.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.r2_score(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.5, 2.5]))
    0.75
    """
    return metric_of(R2Score, multioutput)._once(y_true, y_pred, sample_weight)


def _means(columns: np.ndarray, w: np.ndarray | None, weight: float) -> np.ndarray:
    """Return the weighted means of columns (N, C) in float64; of equal values they are that value."""
    first = columns[0].astype(np.float64)
    total = np.zeros(len(first))
    for start in range(0, len(columns), PIECE):
        piece = columns[start : start + PIECE] - first
        total += np.add.reduce(piece if w is None else piece * w[start : start + PIECE, None], axis=0)
    return first + (total / weight if weight > 0 else 0.0)
