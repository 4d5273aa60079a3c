"""Metrics: a function for one batch, and a streaming class for many. Names are Keras's; results are exact.

All take `(y_true, y_pred, sample_weight=None)`; the classes share `update_state`, `result`, `merge_state` and
`reset_state`: see :class:`Metric`. Errors (mean squared, mean absolute, root mean squared) let NaN and Inf travel;
all others refuse NaN, since a count or a rank can't carry it.
"""

import numpy as np

from fastopt.metrics.base import Metric
from fastopt.metrics.counts import ConfusionMatrix, F1Score, Precision, Recall
from fastopt.metrics.errors import MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError
from fastopt.metrics.labels import Accuracy, SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy
from fastopt.metrics.scores import AUC, AveragePrecision, LogLoss

__all__ = [
    "AUC",
    "Accuracy",
    "AveragePrecision",
    "ConfusionMatrix",
    "F1Score",
    "LogLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "Recall",
    "RootMeanSquaredError",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "auc",
    "average_precision",
    "confusion_matrix",
    "f1",
    "f1_score",
    "log_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "precision",
    "recall",
    "root_mean_squared_error",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def mean_squared_error(y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the mean of squared errors: Σ w (y_pred − y_true)² / Σ w.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays (any shape, the same for both, and one dtype)
        Targets and predictions, any real numbers, at least one; any strides.
    sample_weight : array of y_true's dtype (shape y_true.shape[:1] or y_true.shape), optional
        Finite weights ≥ 0 of samples, or of single elements.

    Returns
    -------
    float
        In squared units of y; ≥ 0. NaN and Inf travel.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes differ, there is no element, a weight is negative or not finite, or all are 0.

    Notes
    -----
    Errors are computed in the arrays' type and added in float64. scikit-learn is the same for uniform averages; torch's
    `mse_loss` knows no weights; Keras's function gives a mean per row.

    References
    ----------
    Bickel and Doksum, "Mathematical statistics", 2nd edition, 2001, section 1.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    2.0
    """
    return MeanSquaredError()._once(y_true, y_pred, sample_weight)


def mean_absolute_error(y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the mean of absolute errors: Σ w |y_pred − y_true| / Σ w.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays (any shape, the same for both, and one dtype)
        Targets and predictions, any real numbers, at least one; any strides.
    sample_weight : array of y_true's dtype (shape y_true.shape[:1] or y_true.shape), optional
        Finite weights ≥ 0 of samples, or of single elements.

    Returns
    -------
    float
        In units of y; ≥ 0. NaN and Inf travel.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes differ, there is no element, a weight is negative or not finite, or all are 0.

    Notes
    -----
    scikit-learn is the same for uniform averages; torch's `l1_loss` knows no weights; Keras's function gives a mean per
    row.

    References
    ----------
    Bickel and Doksum, "Mathematical statistics", 2nd edition, 2001, section 1.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    1.0
    """
    return MeanAbsoluteError()._once(y_true, y_pred, sample_weight)


def root_mean_squared_error(y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the root of the mean of squared errors: √(Σ w (y_pred − y_true)² / Σ w).

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays (any shape, the same for both, and one dtype)
        Targets and predictions, any real numbers, at least one; any strides.
    sample_weight : array of y_true's dtype (shape y_true.shape[:1] or y_true.shape), optional
        Finite weights ≥ 0 of samples, or of single elements.

    Returns
    -------
    float
        In units of y; ≥ 0. NaN and Inf travel.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes differ, there is no element, a weight is negative or not finite, or all are 0.

    Notes
    -----
    One root over all elements, as in Keras. scikit-learn takes the root of each column's mean and averages those.

    References
    ----------
    Bickel and Doksum, "Mathematical statistics", 2nd edition, 2001, section 1.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.metrics.root_mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])), 6)
    1.414214
    """
    return RootMeanSquaredError()._once(y_true, y_pred, sample_weight)


def accuracy(
    y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None, *, threshold: float = 0.5
) -> float:
    """Return the share of samples whose label was predicted.

    What `y_pred` is, its dtype and shape tell; N is the number of samples, C ≥ 2 of classes:

    =================  ======================  =======================================================
    y_pred             means                   y_true
    =================  ======================  =======================================================
    integers or bool,  predicted labels        integers or bool, (N,) or (N, 1); any labels
    (N,) or (N, 1)
    float,             scores of class 1:      labels 0 or 1 (integers, bool, or floats that are
    (N,) or (N, 1)     1 if above `threshold`  exactly 0 or 1), (N,) or (N, 1)
    float, (N, C)      scores of classes: the  integers or bool from 0 to C − 1, (N,) or (N, 1);
                       first of the highest    or one-hot rows (N, C) of any of these dtypes or float
    =================  ======================  =======================================================

    Anything else is refused.

    Parameters
    ----------
    y_true, y_pred : arrays
        As above; integers of any size, floats are float32 or float64; any strides.
    sample_weight : float array (N,), optional
        Finite weights ≥ 0, of y_pred's dtype if that is a float.
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1; logits want 0. Other predictions don't use it.

    Returns
    -------
    float
        A share in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is out of range, a row is not one-hot, a score is NaN (a count
        can't carry it), there is no sample, a weight is negative or not finite, or all are 0.

    Notes
    -----
    Integers that are not int64 are widened block by block; nothing is copied as a whole. scikit-learn takes labels
    alone; Keras has a function for each row of the table; on equal scores all take the first.

    References
    ----------
    Manning, Raghavan and Schütze, "Introduction to information retrieval", 2008, section 8.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.accuracy(np.array([0, 1, 1, 0]), np.array([0.2, 0.9, 0.4, 0.1]))
    0.75
    """
    return Accuracy(threshold)._once(y_true, y_pred, sample_weight)


def top_k_categorical_accuracy(
    y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None, *, k: int = 5
) -> float:
    """Return the share of samples whose class, given by one-hot rows, is among the k highest scores.

    A class is among them if fewer than k scores of its row are greater than its own: ties count for it.

    Parameters
    ----------
    y_true : array (N, C)
        One-hot rows: one 1, else 0; integers, bool, float32 or float64.
    y_pred : float32 or float64 array (N, C)
        Scores of classes, any real numbers.
    sample_weight : array (N,) of y_pred's dtype, optional
        Finite weights ≥ 0.
    k : int in [1, C], default 5
        How many of the highest scores count.

    Returns
    -------
    float
        A share in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a row is not one-hot, a score is NaN, k is out of range, there is no
        sample, a weight is negative or not finite, or all are 0.

    Notes
    -----
    Keras treats ties likewise, gives a value per sample, and lets k exceed C. torch's `topk` and scikit-learn break
    ties by position.

    References
    ----------
    Russakovsky et al., "ImageNet large scale visual recognition challenge", IJCV 115, 2015, section 4.1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> scores = np.array([[0.5, 0.3, 0.2], [0.4, 0.1, 0.5]])
    >>> fo.metrics.top_k_categorical_accuracy(np.eye(3)[:2], scores, k=2)
    0.5
    """
    return TopKCategoricalAccuracy(k)._once(y_true, y_pred, sample_weight)


def sparse_top_k_categorical_accuracy(
    y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None, *, k: int = 5
) -> float:
    """Return the share of samples whose class, given by integer labels, is among the k highest scores.

    A class is among them if fewer than k scores of its row are greater than its own: ties count for it.

    Parameters
    ----------
    y_true : integer or bool array (N,) or (N, 1)
        Labels from 0 to C − 1.
    y_pred : float32 or float64 array (N, C)
        Scores of classes, any real numbers.
    sample_weight : array (N,) of y_pred's dtype, optional
        Finite weights ≥ 0.
    k : int in [1, C], default 5
        How many of the highest scores count.

    Returns
    -------
    float
        A share in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is out of range, a score is NaN, k is out of range, there is no
        sample, a weight is negative or not finite, or all are 0.

    Notes
    -----
    Keras treats ties likewise, gives a value per sample, and lets k exceed C. torch's `topk` and scikit-learn break
    ties by position.

    References
    ----------
    Russakovsky et al., "ImageNet large scale visual recognition challenge", IJCV 115, 2015, section 4.1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> scores = np.array([[0.5, 0.3, 0.2], [0.4, 0.1, 0.5]])
    >>> fo.metrics.sparse_top_k_categorical_accuracy(np.array([1, 1]), scores, k=2)
    0.5
    """
    return SparseTopKCategoricalAccuracy(k)._once(y_true, y_pred, sample_weight)


def precision(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    average: str | None = "binary",
    threshold: float = 0.5,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> float | np.ndarray:
    """Return the share of right ones among the samples predicted to be of a class: TP / (TP + FP).

    Parameters
    ----------
    y_true, y_pred : arrays
        Labels and predictions as :func:`accuracy` takes them, told by shape and dtype: labels ≥ 0 (N,), binary scores
        (N,) or scores of classes (N, C); scores are float32 or float64.
    sample_weight : float array (N,), optional
        Finite weights ≥ 0, of y_pred's dtype if that is a float.
    average : {"binary", "macro", "micro", "weighted"} or None, default "binary"
        Class 1 of two; the mean over classes that occur (in y_true or y_pred, with weight); all classes' counts taken
        together; the mean weighted by the classes' weight in y_true; or None: a value per class.
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1.
    num_classes : int ≥ 2, optional
        How many classes predicted labels come from; by default the largest label + 1 (labels beyond 65 535 need it
        said). Scores have it by their shape.
    zero_division : float in [0, 1], default 0
        Value of 0/0.

    Returns
    -------
    float, or float64 array (classes,) if average is None
        In [0, 1].

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is out of range, a row is not one-hot, a score is NaN (a count
        can't carry it), there is no sample, a weight is negative or not finite, or `average` does not suit the classes.

    Notes
    -----
    Keras's Precision is binary and its 0/0 is 0; scikit-learn's `precision_score` takes labels alone and averages
    over labels that occur.

    References
    ----------
    van Rijsbergen, "Information retrieval", 2nd edition, 1979, chapter 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.precision(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    0.5
    >>> fo.metrics.precision(np.array([0, 1, 2]), np.array([0, 1, 1]), average="micro", num_classes=4) == 2 / 3
    True
    """
    return Precision(average, threshold, num_classes, zero_division)._once(y_true, y_pred, sample_weight)


def recall(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    average: str | None = "binary",
    threshold: float = 0.5,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> float | np.ndarray:
    """Return the share of a class's samples that were predicted to be of it: TP / (TP + FN).

    Parameters
    ----------
    y_true, y_pred : arrays
        Labels and predictions as :func:`accuracy` takes them, told by shape and dtype: labels ≥ 0 (N,), binary scores
        (N,) or scores of classes (N, C); scores are float32 or float64.
    sample_weight : float array (N,), optional
        Finite weights ≥ 0, of y_pred's dtype if that is a float.
    average : {"binary", "macro", "micro", "weighted"} or None, default "binary"
        Class 1 of two; the mean over classes that occur (in y_true or y_pred, with weight); all classes' counts taken
        together; the mean weighted by the classes' weight in y_true; or None: a value per class.
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1.
    num_classes : int ≥ 2, optional
        How many classes predicted labels come from; by default the largest label + 1 (labels beyond 65 535 need it
        said). Scores have it by their shape.
    zero_division : float in [0, 1], default 0
        Value of 0/0.

    Returns
    -------
    float, or float64 array (classes,) if average is None
        In [0, 1].

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is out of range, a row is not one-hot, a score is NaN (a count
        can't carry it), there is no sample, a weight is negative or not finite, or `average` does not suit the classes.

    Notes
    -----
    Keras's Recall is binary and its 0/0 is 0; scikit-learn's `recall_score` takes labels alone and averages over
    labels that occur.

    References
    ----------
    van Rijsbergen, "Information retrieval", 2nd edition, 1979, chapter 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.recall(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.1]))
    0.5
    >>> fo.metrics.recall(np.array([0, 1, 2]), np.array([0, 1, 1]), average="micro", num_classes=4) == 2 / 3
    True
    """
    return Recall(average, threshold, num_classes, zero_division)._once(y_true, y_pred, sample_weight)


def f1_score(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    average: str | None = "binary",
    threshold: float = 0.5,
    num_classes: int | None = None,
    zero_division: float = 0.0,
) -> float | np.ndarray:
    """Return the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    Parameters
    ----------
    y_true, y_pred : arrays
        Labels and predictions as :func:`accuracy` takes them, told by shape and dtype: labels ≥ 0 (N,), binary scores
        (N,) or scores of classes (N, C); scores are float32 or float64.
    sample_weight : float array (N,), optional
        Finite weights ≥ 0, of y_pred's dtype if that is a float.
    average : {"binary", "macro", "micro", "weighted"} or None, default "binary"
        Class 1 of two; the mean over classes that occur (in y_true or y_pred, with weight); all classes' counts taken
        together; the mean weighted by the classes' weight in y_true; or None: a value per class.
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1.
    num_classes : int ≥ 2, optional
        How many classes predicted labels come from; by default the largest label + 1 (labels beyond 65 535 need it
        said). Scores have it by their shape.
    zero_division : float in [0, 1], default 0
        Value of 0/0.

    Returns
    -------
    float, or float64 array (classes,) if average is None
        In [0, 1].

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is out of range, a row is not one-hot, a score is NaN (a count
        can't carry it), there is no sample, a weight is negative or not finite, or `average` does not suit the classes.

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
    return F1Score(average, threshold, num_classes, zero_division)._once(y_true, y_pred, sample_weight)


f1 = f1_score


def confusion_matrix(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    num_classes: int | None = None,
    threshold: float = 0.5,
) -> np.ndarray:
    """Return how often each class was predicted for each: rows are true classes, columns predicted ones.

    Parameters
    ----------
    y_true, y_pred : arrays
        Labels and predictions as :func:`accuracy` takes them, told by shape and dtype: labels ≥ 0 (N,), binary scores
        (N,) or scores of classes (N, C); scores are float32 or float64.
    sample_weight : float array (N,), optional
        Finite weights ≥ 0, of y_pred's dtype if that is a float.
    num_classes : int ≥ 2, optional
        How many classes predicted labels come from; by default the largest label + 1, at least 2
        (labels beyond 65 535 need it said).
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1.

    Returns
    -------
    array (classes, classes)
        int64 counts, or float64 sums of weights if there are weights.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is out of range, a row is not one-hot, a score is NaN (a count
        can't carry it), there is no sample, or a weight is negative or not finite.

    Notes
    -----
    scikit-learn takes labels alone, and gives a row to those that occur; here every class from 0 has one. Keras
    has no such metric.

    References
    ----------
    Stehman, "Selecting and interpreting measures of thematic classification accuracy", 1997.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.confusion_matrix(np.array([0, 1, 2]), np.array([0, 2, 2]))
    array([[1, 0, 0],
           [0, 0, 1],
           [0, 0, 1]])
    """
    matrix = ConfusionMatrix(num_classes, threshold)._once(y_true, y_pred, sample_weight)
    return matrix.astype(np.int64) if sample_weight is None else matrix


def log_loss(y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
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
    return LogLoss()._once(y_true, y_pred, sample_weight)


def auc(y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the area under the receiver operating characteristic: how likely a positive is to outscore a negative.

    Exact: the share of (positive, negative) pairs that scores put in the right order, ties by half (Mann and Whitney).

    Parameters
    ----------
    y_true : array (N,) or (N, 1)
        Labels 0 or 1: integers, bool, or floats that are exactly 0 or 1; both occur.
    y_pred : float32 or float64 array (N,) or (N, 1)
        Scores, any numbers but NaN; higher means class 1.
    sample_weight : array (N,) of y_pred's dtype, optional
        Finite weights ≥ 0; a pair counts by the product of its weights.

    Returns
    -------
    float
        A share in [0, 1]; 0.5 for scores that tell nothing.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is neither 0 nor 1, a score is NaN, there is no sample of one
        class with weight, or a weight is negative or not finite.

    Notes
    -----
    Allocates three times y_pred's memory. scikit-learn's `roc_auc_score` is the same; Keras's AUC is an approximation
    by 200 thresholds.

    References
    ----------
    Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
    Radiology 143, 1982.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.metrics.auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.8, 0.4, 0.3]))
    0.75
    """
    return AUC()._once(y_true, y_pred, sample_weight)


def average_precision(y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> float:
    """Return the area under the steps of the precision-recall curve: Σ (Rₙ − Rₙ₋₁) Pₙ over distinct scores.

    Parameters
    ----------
    y_true : array (N,) or (N, 1)
        Labels 0 or 1: integers, bool, or floats that are exactly 0 or 1; a 1 occurs.
    y_pred : float32 or float64 array (N,) or (N, 1)
        Scores, any numbers but NaN; higher means class 1.
    sample_weight : array (N,) of y_pred's dtype, optional
        Finite weights ≥ 0.

    Returns
    -------
    float
        In (0, 1]; the share of positives for scores that tell nothing.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes are not as above, a label is neither 0 nor 1, a score is NaN, there is no positive sample
        with weight, or a weight is negative or not finite.

    Notes
    -----
    Allocates three times y_pred's memory. scikit-learn is the same, but gives 0 with a warning where there is no
    positive; Keras's `AUC(curve="PR")` interpolates.

    References
    ----------
    Zhu, "Recall, precision and average precision", University of Waterloo, 2004.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.metrics.average_precision(np.array([0, 1, 0, 1]), np.array([0.1, 0.8, 0.4, 0.3])), 6)
    0.833333
    """
    return AveragePrecision()._once(y_true, y_pred, sample_weight)
