"""Metrics from the weights of true and false positives and negatives at thresholds."""

import math
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import metrics as theirs
from keras.src.backend import KerasTensor
from keras.src.losses.loss import squeeze_or_expand_to_same_rank
from keras.src.metrics.metrics_utils import ConfusionMatrix, _filter_top_k

from fastopt.keras.losses.leniency import host
from fastopt.kernels.metrics.samples import Samples
from fastopt.kernels.runtime.targets import way

kept_by_name = keras.saving.register_keras_serializable("fastopt")
WIDE = ("float32", "float64")
Array = np.ndarray


class Counted:
    """Base of the metrics, before Keras's class: the kernels count where they can, else Keras does."""

    def update_state(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch's counts: as Keras's."""
        counts = _counts(self, y_true, y_pred, sample_weight)
        if counts is None:
            super().update_state(y_true, y_pred, sample_weight)  # type: ignore[misc]
            return
        for condition, variable in self._variables_of_counts().items():
            variable.assign(variable + keras.ops.convert_to_tensor(counts[condition], variable.dtype))

    def _variables_of_counts(self) -> dict[ConfusionMatrix, Any]:
        found = {one: getattr(self, one.name.lower(), None) for one in ConfusionMatrix}
        return {one: variable for one, variable in found.items() if variable is not None}


class _OneCount(Counted):
    def _variables_of_counts(self: Any) -> dict[ConfusionMatrix, Any]:
        return {self._confusion_matrix_cond: self.accumulator}


@kept_by_name
class TruePositives(_OneCount, theirs.TruePositives):
    """:class:`keras.metrics.TruePositives`."""


@kept_by_name
class TrueNegatives(_OneCount, theirs.TrueNegatives):
    """:class:`keras.metrics.TrueNegatives`."""


@kept_by_name
class FalsePositives(_OneCount, theirs.FalsePositives):
    """:class:`keras.metrics.FalsePositives`."""


@kept_by_name
class FalseNegatives(_OneCount, theirs.FalseNegatives):
    """:class:`keras.metrics.FalseNegatives`."""


@kept_by_name
class Precision(Counted, theirs.Precision):
    """:class:`keras.metrics.Precision`."""


@kept_by_name
class Recall(Counted, theirs.Recall):
    """:class:`keras.metrics.Recall`."""


@kept_by_name
class SensitivityAtSpecificity(Counted, theirs.SensitivityAtSpecificity):
    """:class:`keras.metrics.SensitivityAtSpecificity`."""


@kept_by_name
class SpecificityAtSensitivity(Counted, theirs.SpecificityAtSensitivity):
    """:class:`keras.metrics.SpecificityAtSensitivity`."""


@kept_by_name
class PrecisionAtRecall(Counted, theirs.PrecisionAtRecall):
    """:class:`keras.metrics.PrecisionAtRecall`."""


@kept_by_name
class RecallAtPrecision(Counted, theirs.RecallAtPrecision):
    """:class:`keras.metrics.RecallAtPrecision`."""


@kept_by_name
class AUC(Counted, theirs.AUC):
    """:class:`keras.metrics.AUC`.

    Examples
    --------
    >>> import fastopt.keras
    >>> auc = fastopt.keras.metrics.AUC(num_thresholds=3)
    >>> auc.update_state([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    >>> float(auc.result())
    0.75
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch's counts: as Keras's."""
        if not self._built:
            self._build(y_pred.shape)
        super().update_state(y_true, y_pred, sample_weight)


class _Given(NamedTuple):
    """A batch as the kernels take it: whether labels are positive, scores and weights, of one shape."""

    positive: Array
    scores: Array
    weights: Array | None

    def samples(self, column: Any) -> Samples:
        """Return the samples of a label, or (...) of all of them, in a row."""
        positive, scores = _row(self.positive, column), _row(self.scores, column)
        return Samples("binary", positive, scores, None if self.weights is None else _row(self.weights, column), 2)


def _row(array: Array, column: Any) -> Array:
    return np.ascontiguousarray(array[column]).reshape(-1)


def _counts(metric: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> dict[ConfusionMatrix, Array] | None:
    """Return the weight of each condition at each of the metric's thresholds; None where Keras is to count."""
    given = _given(metric, y_true, y_pred, sample_weight)
    if given is None:
        return None
    several = getattr(metric, "multi_label", False)
    thresholds = np.asarray(getattr(metric, "_thresholds", metric.thresholds), given.scores.dtype)
    limits = (0.0, 1.0) if metric._thresholds_distributed_evenly else (-math.inf, math.inf)  # Keras clips to [0, 1]
    order = np.argsort(thresholds)
    columns = [np.s_[:, label] for label in range(given.scores.shape[1])] if several else [...]
    tables = [way("metrics").by_bin(given.samples(column), thresholds[order], *limits) for column in columns]
    if any(table is None for table in tables):
        return None
    found = np.stack(tables, axis=-1) if several else tables[0]  # (negatives and positives, bins, labels)
    above = np.empty((2, *found[0, 1:].shape))
    above[:, order] = found[:, :0:-1].cumsum(axis=1)[:, ::-1]
    below = found.sum(axis=1, keepdims=True) - above
    one = ConfusionMatrix
    return {
        one.FALSE_POSITIVES: above[0], one.TRUE_POSITIVES: above[1], one.TRUE_NEGATIVES: below[0],
        one.FALSE_NEGATIVES: below[1],
    }  # fmt: skip


def _given(metric: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> _Given | None:
    """Return a batch as Keras sees it: cast, squeezed, of one class, of the top k; None where Keras is to count."""
    kind = next(iter(metric._variables_of_counts().values())).dtype
    if kind not in WIDE or any(isinstance(each, KerasTensor) for each in (y_true, y_pred, sample_weight)):
        return None
    y_true, y_pred = keras.ops.cast(y_true, kind), keras.ops.cast(y_pred, kind)
    if getattr(metric, "_from_logits", False):
        y_pred = keras.ops.sigmoid(y_pred)
    y_pred, y_true = squeeze_or_expand_to_same_rank(y_pred, y_true)
    if sample_weight is not None:  # of samples, of labels, or one for all
        sample_weight = keras.ops.expand_dims(keras.ops.cast(sample_weight, kind), axis=-1)
        _, sample_weight = squeeze_or_expand_to_same_rank(y_true, sample_weight, expand_rank_1=False)
    if getattr(metric, "top_k", None) is not None:
        y_pred = _filter_top_k(y_pred, metric.top_k)
    chosen, rank = getattr(metric, "class_id", None), len(y_pred.shape)
    if tuple(y_true.shape) != tuple(y_pred.shape) or (chosen is not None and rank == 1):
        return None
    if chosen is not None:
        y_true, y_pred = y_true[..., chosen, None], y_pred[..., chosen, None]
    several = getattr(metric, "multi_label", False)
    if not host.takes(y_pred) or not host.takes(y_true) or (several and rank != 2):
        return None
    scores = host.array(y_pred)
    try:
        weights = _weights(sample_weight, None if several else getattr(metric, "label_weights", None), scores)
    except ValueError:  # of another shape, which Keras refuses in its words
        return None
    return _Given(host.array(y_true) != 0, scores, weights)


def _weights(sample_weight: Any, label_weights: Any, scores: Array) -> Array | None:
    """Return the weight of every score, or None where all weigh 1."""
    if sample_weight is None and label_weights is None:
        return None
    weights = np.ones((), scores.dtype)
    if sample_weight is not None:
        weights = weights * keras.ops.convert_to_numpy(sample_weight)
    if label_weights is not None:
        weights = weights * keras.ops.convert_to_numpy(keras.ops.cast(label_weights, scores.dtype.name))[None]
    return np.broadcast_to(weights, scores.shape)
