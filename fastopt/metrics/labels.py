"""Right or wrong: accuracy and top-k accuracy, means over samples."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.metrics import cpu
from fastopt.metrics.base import Mean
from fastopt.metrics.inputs import measured, samples, whole


class Accuracy(Mean):
    """Share of samples whose label was predicted, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.accuracy` takes.

    Parameters
    ----------
    threshold : float (finite), default 0.5
        Binary scores above it mean class 1.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: two float64 cpu, exact for counts up to 2^53. One class for what are `Accuracy`, `BinaryAccuracy`,
    `CategoricalAccuracy` and `SparseCategoricalAccuracy` in Keras: shapes and dtypes tell which.

    References
    ----------
    Manning, Raghavan and Schütze, "Introduction to information retrieval", 2008, section 8.3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.Accuracy()
    >>> metric.update_state(np.array([0, 1]), np.array([0.2, 0.9]))
    >>> metric.update_state(np.array([2, 0]), np.array([[0.1, 0.2, 0.7], [0.1, 0.8, 0.1]]))
    >>> metric.result()
    0.75
    """

    def __init__(self, threshold: float = 0.5):
        super().__init__(threshold=expect.number(threshold, "threshold", expect.FINITE))

    def _measured(self, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        return measured(cpu.matches, samples(y_true, y_pred, sample_weight, threshold=self._options["threshold"]))


class TopKCategoricalAccuracy(Mean):
    """Share of samples whose class, given by one-hot rows, is among the k highest scores, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what :func:`fastopt.metrics.top_k_categorical_accuracy`
    takes.

    Parameters
    ----------
    k : int ≥ 1, default 5
        At most the number of classes.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: two float64 sums. Keras is the same, but lets k exceed the number of classes.

    References
    ----------
    Russakovsky et al., "ImageNet large scale visual recognition challenge", IJCV 115, 2015, section 4.1.

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

    def _measured(self, y_true: Any, y_pred: Any, sample_weight: Any) -> np.ndarray:
        given = samples(y_true, y_pred, sample_weight, ("classes",), targets=self._targets)
        whole(self._options["k"], "k", 1, given.classes, f" ({given.classes} classes)")
        return measured(cpu.matches, given, self._options["k"])


class SparseTopKCategoricalAccuracy(TopKCategoricalAccuracy):
    """Share of samples whose class, given by integer labels, is among the k highest scores, over batches.

    `update_state(y_true, y_pred, sample_weight=None)` takes what
    :func:`fastopt.metrics.sparse_top_k_categorical_accuracy` takes.

    Parameters
    ----------
    k : int ≥ 1, default 5
        At most the number of classes.

    Raises
    ------
    TypeError, ValueError
        As the function; `result()` also before any update.

    Notes
    -----
    State: two float64 sums. Keras is the same, but lets k exceed the number of classes.

    References
    ----------
    Russakovsky et al., "ImageNet large scale visual recognition challenge", IJCV 115, 2015, section 4.1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> metric = fo.metrics.SparseTopKCategoricalAccuracy(k=2)
    >>> metric.update_state(np.array([0, 1]), np.array([[0.5, 0.3, 0.2], [0.4, 0.1, 0.5]]))
    >>> metric.result()
    0.5
    """

    _targets = "labels"
