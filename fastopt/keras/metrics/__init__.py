"""Keras's metrics of true and false positives and negatives, counted by fastopt's kernels in one pass.

A class is Keras's of the same name, with its arguments, configuration, variables and results; only the counting is
another: the time doesn't grow with the number of thresholds. Keras counts where a kernel can't: under other backends
than torch and numpy, on devices other than the CPU, without samples, and for scores that are NaN, or out of [0, 1]
where thresholds are even.

All other metrics are Keras's alone: they are few operations on a batch, and nothing is gained by a kernel.
"""

from fastopt.keras.metrics.counts import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)

__all__ = [
    "AUC",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
]
