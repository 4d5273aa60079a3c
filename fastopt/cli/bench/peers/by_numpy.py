"""What NumPy and scikit-learn make of an op's work: each function returns a job, or None where they can't."""

from functools import partial

import numpy as np

from fastopt.cli.bench.cases import without
from fastopt.cli.bench.clock import Job

# ---- initializers: the fastest generator, in place


def initializer(op, options, sets):
    out = sets[0]["out"].copy()
    draw = np.random.default_rng(0)

    def uniform():
        draw.random(out=out, dtype=out.dtype)
        np.multiply(out, 0.1, out=out)
        np.subtract(out, 0.05, out=out)

    def normal():
        draw.standard_normal(out=out, dtype=out.dtype)
        np.multiply(out, 0.05, out=out)

    if options or op.name in ("truncated_normal", "orthogonal"):
        return None
    return Job(uniform if "uniform" in op.name else normal)


# ---- metrics

SKLEARN = {
    "mean_squared_error": "mean_squared_error",
    "mean_absolute_error": "mean_absolute_error",
    "root_mean_squared_error": "root_mean_squared_error",
    "log_loss": "log_loss",
    "auc": "roc_auc_score",
    "average_precision": "average_precision_score",
}
SKLEARN_LABELS = {
    "accuracy": "accuracy_score",
    "precision": "precision_score",
    "recall": "recall_score",
    "f1_score": "f1_score",
    "confusion_matrix": "confusion_matrix",
}


def sklearn_metric(op, options, sets):
    from sklearn import metrics

    options, (arrays,) = without(options, "given"), sets
    true, pred = arrays["y_true"], arrays["y_pred"]
    if op.name.endswith("top_k_categorical_accuracy"):
        k, classes = options.pop("k"), np.arange(pred.shape[1])
        sparse = true.ndim == 1

        def call():
            return metrics.top_k_accuracy_score(true if sparse else true.argmax(axis=1), pred, k=k, labels=classes)
    elif op.name in SKLEARN_LABELS:
        function = getattr(metrics, SKLEARN_LABELS[op.name])

        def call():
            return function(true, pred > 0.5)
    elif op.name in SKLEARN:
        call = partial(getattr(metrics, SKLEARN[op.name]), true, pred)
    else:
        return None
    return None if options or len(arrays) > 2 else Job(call, lambda: [{"value": np.asarray(call())}])


def metric(op, options, sets):
    options, (arrays,) = without(options, "given"), sets
    true, pred = arrays["y_true"], arrays["y_pred"]

    def confusion():
        return np.bincount(2 * true + (pred > 0.5), minlength=4)

    def f1():
        counts = confusion()
        return 2 * counts[3] / (2 * counts[3] + counts[1] + counts[2])

    call = {
        "mean_squared_error": lambda: np.mean(np.square(pred - true)),
        "mean_absolute_error": lambda: np.mean(np.abs(pred - true)),
        "root_mean_squared_error": lambda: np.sqrt(np.mean(np.square(pred - true))),
        "accuracy": lambda: np.mean((pred > 0.5) == true),
        "precision": lambda: np.divide(*(lambda c: (c[3], c[3] + c[1]))(confusion())),
        "recall": lambda: np.divide(*(lambda c: (c[3], c[3] + c[2]))(confusion())),
        "f1_score": f1,
        "confusion_matrix": lambda: confusion().reshape(2, 2),
    }.get(op.name)
    return None if options or len(arrays) > 2 or call is None else Job(call, lambda: [{"value": np.asarray(call())}])
