"""Right or wrong: accuracy and top-k accuracy, means over samples. A function stands under its class."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.metrics.base import Mean, filled, metric_of
from fastopt.metrics.inputs import checked, rows, samples, whole


@filled
class Accuracy(Mean):
    """Share of samples whose label was predicted, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.accuracy` takes.

    Parameters
    ----------
    threshold : float (finite), default 0.5
        Binary scores above it mean class 1.
    multi_label : bool, default False
        As in :func:`fastopt.metrics.accuracy`.

    {raises}

    Notes
    -----
    State: two float64 sums, exact for counts up to 2^53. One class for what are `Accuracy`, `BinaryAccuracy`,
    `CategoricalAccuracy` and `SparseCategoricalAccuracy` in Keras: shapes and dtypes tell which.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.Accuracy()
    >>> metric.update_state(np.array([0, 1]), np.array([0.2, 0.9]))
    >>> metric.update_state(np.array([2, 0]), np.array([[0.1, 0.2, 0.7], [0.1, 0.8, 0.1]]))
    >>> metric.result()
    0.75
    """

    def __init__(self, threshold: float = 0.5, multi_label: bool = False):
        super().__init__(
            threshold=expect.number(threshold, "threshold", expect.FINITE),
            multi_label=expect.flag(multi_label, "multi_label"),
        )

    def _measured(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        take = rows if self._options["multi_label"] else samples
        given = take(y_true, y_pred, sample_weight, threshold=self._options["threshold"])
        return checked(by.matches(given), given)


@expect.nearest
def accuracy(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: np.ndarray | None = None,
    *,
    threshold: float = 0.5,
    multi_label: bool = False,
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

    Anything else is refused, unless `multi_label` says that both have L labels a sample.

    Parameters
    ----------
    y_true, y_pred : arrays
        As above; integers of any size, floats are float32 or float64; any strides.
    sample_weight : float array (N,), optional
        Finite weights ≥ 0, of y_pred's dtype if that is a float.
    threshold : float (finite), default 0.5
        Binary scores above it (not equal to it) mean class 1; logits want 0. Other predictions don't use it.
    multi_label : bool, default False
        Both are (N, L): y_true holds 0 or 1 for each label (integers, bool or floats), y_pred holds 0 or 1 (integers or
        bool) or scores (floats). A sample is right if all its labels are.

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
    >>> fo.metrics.accuracy(np.eye(2), np.array([[0.9, 0.2], [0.8, 0.9]]), multi_label=True)
    0.5
    """
    return metric_of(Accuracy, threshold, multi_label)._once(y_true, y_pred, sample_weight)


@filled
class TopKCategoricalAccuracy(Mean):
    """Share of samples whose class, given by one-hot rows, is among the k highest scores, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.top_k_categorical_accuracy`
    takes.

    Parameters
    ----------
    k : int ≥ 1, default 5
        At most the number of classes.

    {raises}

    Notes
    -----
    State: two float64 sums. Keras is the same, but lets k exceed the number of classes.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.TopKCategoricalAccuracy(k=2)
    >>> metric.update_state(np.eye(3), np.array([[0.5, 0.3, 0.2], [0.4, 0.1, 0.5], [0.1, 0.6, 0.3]]))
    >>> round(metric.result(), 6)
    0.666667
    """

    _targets = "one-hot"

    def __init__(self, k: int = 5):
        super().__init__(k=whole(k, "k", 1, None))

    def _measured(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        given = samples(y_true, y_pred, sample_weight, ("classes",), targets=self._targets)
        k = whole(self._options["k"], "k", 1, given.classes, f" ({given.classes} classes)")
        return checked(by.top_k_matches(given, k), given)


@expect.nearest
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
    return metric_of(TopKCategoricalAccuracy, k)._once(y_true, y_pred, sample_weight)


@filled
class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """Share of samples whose class, given by integer labels, is among the k highest scores, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what
    :func:`fastopt.metrics.sparse_top_k_categorical_accuracy` takes.

    Parameters
    ----------
    k : int ≥ 1, default 5
        At most the number of classes.

    {raises}

    Notes
    -----
    State: two float64 sums. Keras is the same, but lets k exceed the number of classes.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.SparseTopKCategoricalAccuracy(k=2)
    >>> metric.update_state(np.array([0, 1]), np.array([[0.5, 0.3, 0.2], [0.4, 0.1, 0.5]]))
    >>> metric.result()
    0.5
    """

    _targets = "labels"


@expect.nearest
def sparse_top_k_categorical_accuracy(
    y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None, *, k: int = 5
) -> float:
    """Return the share of samples whose class, given by integer labels, is among the k highest scores.

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
        As :func:`top_k_categorical_accuracy`, and if a label is out of range.

    Notes
    -----
    Ties as in :func:`top_k_categorical_accuracy`, where Keras, torch and scikit-learn are compared.

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
    return metric_of(SparseTopKCategoricalAccuracy, k)._once(y_true, y_pred, sample_weight)
