"""Metrics: a function for one batch, and a streaming class for many. Names are Keras's; results are exact.

All take `(y_true, y_pred, sample_weight=None)`; the classes share `update_state`, `result`, `merge_state` and
`reset_state`: see :class:`Metric`. Errors (mean squared, mean absolute, root mean squared) and R² let NaN and Inf
travel; all others refuse NaN, since a count or a rank can't carry it.
"""

from fastopt.metrics.base import Metric
from fastopt.metrics.counts import ClassCounts, ConfusionMatrix, class_counts, confusion_matrix
from fastopt.metrics.determination import R2Score, r2_score
from fastopt.metrics.errors import (
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
    mean_absolute_error,
    mean_squared_error,
    root_mean_squared_error,
)
from fastopt.metrics.f_scores import F1Score, FBetaScore, f1, f1_score, fbeta_score
from fastopt.metrics.labels import (
    Accuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from fastopt.metrics.likelihood import LogLoss, log_loss
from fastopt.metrics.precision_curve import AveragePrecision, average_precision
from fastopt.metrics.ratios import Precision, Recall, precision, recall
from fastopt.metrics.scores import AUC, auc

__all__ = [
    "AUC",
    "Accuracy",
    "AveragePrecision",
    "ClassCounts",
    "ConfusionMatrix",
    "F1Score",
    "FBetaScore",
    "LogLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "auc",
    "average_precision",
    "class_counts",
    "confusion_matrix",
    "f1",
    "f1_score",
    "fbeta_score",
    "log_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "precision",
    "r2_score",
    "recall",
    "root_mean_squared_error",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]
