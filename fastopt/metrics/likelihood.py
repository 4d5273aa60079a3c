"""How likely the true labels are by the probabilities given: log loss. A function stands under its class."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.metrics.base import Mean, filled, metric_of
from fastopt.metrics.inputs import checked, flat, rows, samples


@filled
class LogLoss(Mean):
    """Mean of −log of the probability given to the true class, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.log_loss` takes.

    Parameters
    ----------
    multi_label : bool, default False
        As in :func:`fastopt.metrics.log_loss`.

    {raises}

    Notes
    -----
    State: two float64 sums.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.LogLoss()
    >>> metric.update_state(np.array([1]), np.array([0.25]))
    >>> metric.update_state(np.array([1]), np.array([[0.5, 0.25, 0.25]]))
    >>> round(metric.result(), 6)
    1.386294
    """

    def __init__(self, multi_label: bool = False) -> None:
        super().__init__(multi_label=expect.flag(multi_label, "multi_label"))

    def _measured(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        if self._options["multi_label"]:
            given = flat(rows(y_true, y_pred, sample_weight, scores=True))
        else:
            given = samples(y_true, y_pred, sample_weight, ("binary", "classes"))
        return checked(by.log_losses(given), given, "distribution")


@expect.nearest
def log_loss(
    y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None, *, multi_label: bool = False
) -> float:
    """Return the mean of −log of the probability given to the true class.

    Parameters
    ----------
    y_true : array (N,) or (N, 1), or one-hot (N, C)
        Labels from 0 to C − 1 (integers or bool; for binary probabilities also floats that are exactly 0 or 1), or
        one-hot rows of any of these dtypes.
    y_pred : float32 or float64 array (N,) or (N, 1), or (N, C)
        Probabilities of class 1, or of each class; rows of classes add up to 1, within the root of the dtype's epsilon.
        Clipped to [epsilon, 1 − epsilon] of the dtype.
    sample_weight : array (N,) of y_pred's dtype, optional
        Finite weights ≥ 0.
    multi_label : bool, default False
        Whether both are (N, L): labels, each 0 or 1, and the probability of each; the mean is over all.

    Returns
    -------
    float
        In nats; ≥ 0.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is out of range, a row is not one-hot, a probability is outside
        [0, 1] or NaN, there is no sample, a weight is negative or not finite, or all are 0.

    Notes
    -----
    scikit-learn clips likewise, and only warns of rows that don't add up to 1. Keras clips to 1e-7 whatever the dtype.

    References
    ----------
    Bishop, "Pattern recognition and machine learning", 2006, equations 4.90 and 4.108.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.metrics.log_loss(np.array([1, 0]), np.array([0.25, 0.75])), 6)
    1.386294
    """
    return metric_of(LogLoss, multi_label)._once(y_true, y_pred, sample_weight)
