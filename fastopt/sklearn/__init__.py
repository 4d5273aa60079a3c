"""scikit-learn's metric functions and multi-layer perceptrons on fastopt's kernels: change the import, nothing else.

Names, signatures, results, warnings and errors are scikit-learn's. The kernels take NumPy arrays of numbers; what they
do not take (strings, pandas objects, lists, sparse matrices, other array libraries, rare combinations of options), and
what scikit-learn warns of or refuses, goes to scikit-learn's own function, in its own words.

Installed by `pip install 'fastopt[sklearn]'`, imported by name alone: `import fastopt.sklearn`.
"""

from fastopt.sklearn.classification import (
    accuracy_score,
    brier_score_loss,
    confusion_matrix,
    d2_brier_score,
    d2_log_loss_score,
    f1_score,
    fbeta_score,
    log_loss,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
    top_k_accuracy_score,
)
from fastopt.sklearn.perceptron import MLPClassifier, MLPRegressor
from fastopt.sklearn.ranking import average_precision_score, roc_auc_score
from fastopt.sklearn.regression import mean_absolute_error, mean_squared_error, r2_score, root_mean_squared_error

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "accuracy_score",
    "average_precision_score",
    "brier_score_loss",
    "confusion_matrix",
    "d2_brier_score",
    "d2_log_loss_score",
    "f1_score",
    "fbeta_score",
    "log_loss",
    "mean_absolute_error",
    "mean_squared_error",
    "precision_recall_fscore_support",
    "precision_score",
    "r2_score",
    "recall_score",
    "roc_auc_score",
    "root_mean_squared_error",
    "top_k_accuracy_score",
]
