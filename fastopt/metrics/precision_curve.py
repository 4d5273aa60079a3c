"""How well scores rank by precision: average precision. A function stands under its class."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.metrics.base import filled, metric_of
from fastopt.metrics.scores import Rank


@filled
class AveragePrecision(Rank):
    """Area under the steps of the precision-recall curve, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.average_precision` takes,
    scores of one dtype and number of columns in all batches.

    Parameters
    ----------
    num_thresholds, thresholds, multi_label, average : optional
        As in :func:`fastopt.metrics.auc`.

    {raises}

    Notes
    -----
    Memory as in :class:`AUC`.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.AveragePrecision()
    >>> metric.update_state(np.array([0, 1]), np.array([0.1, 0.8]))
    >>> metric.update_state(np.array([0, 1]), np.array([0.4, 0.3]))
    >>> round(metric.result(), 6)
    0.833333
    """

    def __init__(
        self,
        num_thresholds: int | None = None,
        thresholds: Any = None,
        multi_label: bool = False,
        average: str | None = "macro",
    ):
        super().__init__(num_thresholds, thresholds, multi_label, average)

    def _of(self, pairs: float, precision: float, positives: float, negatives: float) -> float:
        if positives == 0:
            raise ValueError("y_true: expected at least one positive sample with weight, got none")
        return precision / positives


@expect.nearest
def average_precision(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    num_thresholds: int | None = None,
    thresholds: Any = None,
    multi_label: bool = False,
    average: str | None = "macro",
) -> float | np.ndarray:
    """Return the area under the steps of the precision-recall curve: Σ (Rₙ − Rₙ₋₁) Pₙ over distinct scores.

    Parameters
    ----------
    y_true : array (N,) or (N, 1)
        Labels 0 or 1: integers, bool, or floats that are exactly 0 or 1; a 1 occurs. With `multi_label` (N, L).
    y_pred : float32 or float64 array (N,) or (N, 1), or (N, L)
        Scores, any numbers but NaN; higher means class 1.
    sample_weight : array (N,) of y_pred's dtype, optional
        Finite weights ≥ 0.
    num_thresholds, thresholds, multi_label, average : optional
        As in :func:`auc`.

    Returns
    -------
    float, or float64 array (L,) if average is None
        In (0, 1]; the share of positives for scores that tell nothing.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is neither 0 nor 1, a score is NaN, there is no positive sample
        with weight, or a weight is negative or not finite.

    Notes
    -----
    Allocates three times y_pred's memory. scikit-learn is the same, but gives 0 with a warning where there is no
    positive; Keras's `AUC(curve="PR")` interpolates, as :func:`auc` does.

    References
    ----------
    Zhu, "Recall, precision and average precision", University of Waterloo, 2004.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.metrics.average_precision(np.array([0, 1, 0, 1]), np.array([0.1, 0.8, 0.4, 0.3])), 6)
    0.833333
    """
    return metric_of(AveragePrecision, num_thresholds, thresholds, multi_label, average)._once(
        y_true, y_pred, sample_weight
    )
