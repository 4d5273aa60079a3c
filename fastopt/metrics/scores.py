"""How good scores are as such: log loss, the area under the ROC curve, average precision."""

from typing import Any

import numpy as np

from fastopt.kernels.metrics import cpu, results
from fastopt.metrics.base import Mean, Metric
from fastopt.metrics.inputs import measured, samples, whole


class LogLoss(Mean):
    """Mean of −log of the probability given to the true class, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.log_loss` takes.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: two float64 sums.

    References
    ----------
    Bishop, "Pattern recognition and machine learning", 2006, equations 4.90 and 4.108.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.LogLoss()
    >>> metric.update_state(np.array([1]), np.array([0.25]))
    >>> metric.update_state(np.array([1]), np.array([[0.5, 0.25, 0.25]]))
    >>> round(metric.result(), 6)
    1.386294
    """

    def __init__(self) -> None:
        super().__init__()

    def _measured(self, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        given = samples(y_true, y_pred, sample_weight, ("binary", "classes"))
        return measured(cpu.log_losses, given, scores="distribution")


class _Rank(Metric):
    """A metric of the order of scores. State: all scores, or what each bin of them weighs."""

    def __init__(self, num_thresholds: int | None = None):
        super().__init__(
            num_thresholds=None if num_thresholds is None else whole(num_thresholds, "num_thresholds", 2, None)
        )

    def _measured(self, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
        given = samples(y_true, y_pred, sample_weight, ("binary",))
        if self._options["num_thresholds"] is None:
            return (measured(cpu.part, given),)
        return measured(cpu.by_bin, given, self._options["num_thresholds"] - 1, scores="unit")

    def _joined(self, state: Any, more: Any) -> Any:
        if isinstance(state, tuple) and state[0].scores.dtype != more[0].scores.dtype:
            raise TypeError(f"y_pred: expected {state[0].scores.dtype} as before, got {more[0].scores.dtype}")
        return super()._joined(state, more)

    def _value(self, state: Any) -> float:
        found = cpu.rank(cpu.join(state)) if isinstance(state, tuple) else results.rank_sums(state)
        pairs, precision, positives, negatives = found.tolist()
        return self._of(pairs, precision, positives, negatives)

    def _of(self, pairs: float, precision: float, positives: float, negatives: float) -> float:
        raise NotImplementedError


class AUC(_Rank):
    """Area under the receiver operating characteristic, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.auc` takes, scores of one
    dtype in all batches.

    Parameters
    ----------
    num_thresholds : int ≥ 2, optional
        None: exact, keeps every score. Otherwise scores must be in [0, 1] and are told apart by so many equally spaced
        thresholds (0 and 1 among them); scores between two of them count as equal.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    Memory: one number per sample (and one per weight) of y_pred's dtype, and three times that while `result` sorts; or
    2 (num_thresholds − 1) float64 numbers. The approximate result is off by at most half the share of (positive,
    negative) pairs that fall between the same two thresholds. Keras has the approximate way alone, with a
    trapezoidal sum over 200 thresholds.

    References
    ----------
    Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
    Radiology 143, 1982.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.AUC()
    >>> metric.update_state(np.array([0, 1]), np.array([0.1, 0.8]))
    >>> metric.update_state(np.array([0, 1]), np.array([0.4, 0.3]))
    >>> metric.result()
    0.75
    """

    def _of(self, pairs: float, precision: float, positives: float, negatives: float) -> float:
        if positives == 0 or negatives == 0:
            absent = "positive (1)" if positives == 0 else "negative (0)"
            raise ValueError(f"y_true: expected samples of both classes, got none that is {absent} and has weight")
        return pairs / (positives * negatives)


class AveragePrecision(_Rank):
    """Area under the steps of the precision-recall curve, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.average_precision` takes,
    scores of one dtype in all batches.

    Parameters
    ----------
    num_thresholds : int ≥ 2, optional
        None: exact, keeps every score. Otherwise scores must be in [0, 1] and are told apart by so many equally spaced
        thresholds (0 and 1 among them); scores between two of them count as equal.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    Memory: one number per sample (and one per weight) of y_pred's dtype, and three times that while `result` sorts; or
    2 (num_thresholds − 1) float64 numbers. Keras's `AUC(curve="PR")` interpolates, and is close but not the same.

    References
    ----------
    Zhu, "Recall, precision and average precision", University of Waterloo, 2004.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.AveragePrecision()
    >>> metric.update_state(np.array([0, 1]), np.array([0.1, 0.8]))
    >>> metric.update_state(np.array([0, 1]), np.array([0.4, 0.3]))
    >>> round(metric.result(), 6)
    0.833333
    """

    def _of(self, pairs: float, precision: float, positives: float, negatives: float) -> float:
        if positives == 0:
            raise ValueError("y_true: expected at least one positive sample with weight, got none")
        return precision / positives
