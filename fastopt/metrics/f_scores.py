"""F scores: harmonic means of precision and recall. A function stands under its class."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.metrics import results
from fastopt.metrics.base import metric_of
from fastopt.metrics.ratios import Ratio, ZeroDivision, filled


@filled
class F1Score(Ratio):
    """Harmonic mean of precision and recall, over batches: 2 TP / (2 TP + FP + FN).

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.f1_score` takes.

    Parameters
    ----------
    {options}

    {raises}

    Notes
    -----
    {state}

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.F1Score()
    >>> metric.update_state(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    >>> metric.result()
    0.5
    """

    _ratio = results.f_score(1.0)


@expect.nearest
@filled
def f1_score(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    average: str | None = "binary",
    threshold: Any = 0.5,
    num_classes: int | None = None,
    zero_division: ZeroDivision = "warn",
    labels: Any = None,
    multi_label: bool = False,
    class_id: int | None = None,
) -> float | np.ndarray:
    """Return the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    {arrays}
    {options}

    {result}

    {refused}

    Notes
    -----
    Keras's F1Score takes rows alone and averages over all classes; scikit-learn's `f1_score` takes labels alone and
    averages over labels that occur.

    References
    ----------
    van Rijsbergen, "Information retrieval", 2nd edition, 1979, chapter 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.f1_score(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    0.5
    >>> fo.metrics.f1_score(np.array([0, 1, 2]), np.array([0, 1, 1]), average="micro", num_classes=4) == 2 / 3
    True
    """
    return metric_of(F1Score, average, threshold, num_classes, zero_division, labels, multi_label, class_id)._once(
        y_true, y_pred, sample_weight
    )


f1 = f1_score


@filled
class FBetaScore(Ratio):
    """Weighted harmonic mean of precision and recall, over batches: (1 + β²) TP / (β² (TP + FN) + TP + FP).

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.fbeta_score` takes.

    Parameters
    ----------
    beta : float ≥ 0 (finite), default 1.0
        How much more recall counts than precision.
    {options}

    {raises}

    Notes
    -----
    {state}

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.FBetaScore()
    >>> metric.update_state(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    >>> metric.result()
    0.5
    """

    def __init__(
        self,
        beta: float = 1.0,
        average: str | None = "binary",
        threshold: Any = 0.5,
        num_classes: int | None = None,
        zero_division: ZeroDivision = "warn",
        labels: Any = None,
        multi_label: bool = False,
        class_id: int | None = None,
    ):
        beta = expect.number(beta, "beta", expect.NOT_NEGATIVE)
        super().__init__(average, threshold, num_classes, zero_division, labels, multi_label, class_id)
        self._options["beta"] = beta
        self._ratio = results.f_score(beta)


@expect.nearest
@filled
def fbeta_score(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    beta: float = 1.0,
    average: str | None = "binary",
    threshold: Any = 0.5,
    num_classes: int | None = None,
    zero_division: ZeroDivision = "warn",
    labels: Any = None,
    multi_label: bool = False,
    class_id: int | None = None,
) -> float | np.ndarray:
    """Return the weighted harmonic mean of precision and recall: (1 + β²) TP / (β² (TP + FN) + TP + FP).

    Parameters
    ----------
    {arrays}
    beta : float ≥ 0 (finite), default 1.0
        How much more recall counts than precision.
    {options}

    {result}

    {refused}

    Notes
    -----
    Keras's FBetaScore takes rows alone and averages over all classes; scikit-learn's `fbeta_score` takes labels alone,
    and an infinite beta.

    References
    ----------
    van Rijsbergen, "Information retrieval", 2nd edition, 1979, chapter 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.fbeta_score(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    0.5
    >>> round(fo.metrics.fbeta_score(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.7]), beta=2.0), 6)
    0.909091
    """
    return metric_of(
        FBetaScore, beta, average, threshold, num_classes, zero_division, labels, multi_label, class_id
    )._once(y_true, y_pred, sample_weight)
