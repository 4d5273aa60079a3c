"""Metrics over batches: states that update, merge and are reset, and what refuses to."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest

import fastopt as fo
from fastopt.table.metrics import OPS

M = fo.metrics
TARGETS = ("cython", "numba", "reference")
CLASS_OF = {
    "mean_squared_error": M.MeanSquaredError,
    "mean_absolute_error": M.MeanAbsoluteError,
    "root_mean_squared_error": M.RootMeanSquaredError,
    "r2_score": M.R2Score,
    "accuracy": M.Accuracy,
    "top_k_categorical_accuracy": M.TopKCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": M.SparseTopKCategoricalAccuracy,
    "precision": M.Precision,
    "recall": M.Recall,
    "f1_score": M.F1Score,
    "fbeta_score": M.FBetaScore,
    "class_counts": M.ClassCounts,
    "confusion_matrix": M.ConfusionMatrix,
    "log_loss": M.LogLoss,
    "auc": M.AUC,
    "average_precision": M.AveragePrecision,
}
CASES = [pytest.param(op, options, id=f"{op.name}-{k}") for op in OPS for k, options in enumerate(op.options)]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def without_given(options):
    return {name: value for name, value in options.items() if name != "given"}


def batches(arrays):
    """Uneven parts of a case, the empty ones left out."""
    n = len(next(iter(arrays.values())))
    cuts = sorted({0, n // 7, n // 7 + 1, n // 2, n})
    return [{name: a[i:j] for name, a in arrays.items()} for i, j in pairwise(cuts)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("op", "options"), CASES)
def test_batches_and_merged_parts_give_what_the_whole_gives(op, options, target):
    arrays = op.inputs(np.random.default_rng(1), (3001,), "float64", options)
    floats = op.name in ("log_loss", "r2_score") or "error" in op.name or options.get("average") == "samples"
    exact = "sample_weight" not in arrays and not floats
    kind, options = CLASS_OF[op.name], without_given(options)
    with fo.target(target):
        whole = getattr(M, op.name)(**arrays, **options)
        stream, parts = kind(**options), [kind(**options) for _ in range(2)]
        for k, batch in enumerate(batches(arrays)):
            stream.update_state(**batch)
            parts[k % 2].update_state(**batch)
        before = copy.deepcopy(parts[1])
        parts[0].merge_state(parts[1])
        assert np.array_equal(before.result(), parts[1].result()), "the other one was changed"
        for metric in (stream, parts[0], pickle.loads(pickle.dumps(stream))):
            got = metric.result()
            if exact:
                np.testing.assert_array_equal(got, whole)
            np.testing.assert_allclose(got, whole, rtol=1e-13)
            np.testing.assert_array_equal(metric.result(), got)
        stream.reset_state()
        stream.update_state(**arrays)
        np.testing.assert_array_equal(stream.result(), whole)


@pytest.mark.parametrize(("op", "options"), [case for case in CASES if case.id.endswith("-0")])
def test_results_before_updates_and_wrong_merges_are_clear_errors(op, options):
    kind, options = CLASS_OF[op.name], without_given(options)
    metric = kind(**options)
    with pytest.raises(ValueError, match=rf"{kind.__name__}.result: expected at least one update before it, got none"):
        metric.result()
    metric.merge_state(kind(**options))  # nothing with nothing
    with pytest.raises(ValueError, match="got none"):
        metric.result()
    other = M.Precision() if kind is not M.Precision else M.Recall()
    with pytest.raises(TypeError, match=f"other: expected another {kind.__name__}, got {type(other).__name__}"):
        metric.merge_state(other)
    with pytest.raises(TypeError, match=r"other: expected another .*, got float"):
        metric.merge_state(1.0)


def test_other_options_do_not_merge():
    for one, other in (
        (M.AUC(), M.AUC(num_thresholds=200)),
        (M.Precision(threshold=0.5), M.Precision(threshold=0.4)),
        (M.F1Score(average="macro"), M.F1Score(average="micro")),
        (M.TopKCategoricalAccuracy(k=2), M.TopKCategoricalAccuracy(k=3)),
        (M.ConfusionMatrix(), M.ConfusionMatrix(num_classes=3)),
    ):
        with pytest.raises(ValueError, match=r"other: expected the same options as in .*, got "):
            one.merge_state(other)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("op", "options"), [case for case in CASES if case.id.endswith("-0")])
def test_a_refused_update_leaves_the_state_as_it_was(op, options, target):
    arrays = op.inputs(np.random.default_rng(1), (50,), "float32", options)
    with fo.target(target):
        metric = CLASS_OF[op.name](**without_given(options))
        metric.update_state(**arrays)
        before = metric.result()
        for spoilt in (
            {**arrays, "y_true": arrays["y_true"][:-1]},
            {**arrays, "sample_weight": -np.ones(50, np.float32)},
            {**arrays, "y_true": np.full_like(arrays["y_true"], 17)} if arrays["y_true"].dtype != np.float32 else None,
        ):
            if spoilt is not None:
                with pytest.raises(ValueError, match=r": expected .*, got "):
                    metric.update_state(**spoilt)
        np.testing.assert_array_equal(metric.result(), before)


def test_later_labels_may_be_larger(rng):
    y, p = rng.integers(0, 9, (2, 500))
    small = (y < 4) & (p < 4)
    for order in ((small, ~small), (~small, small)):
        matrix, recall = M.ConfusionMatrix(), M.Recall(average=None)
        for part in order:
            matrix.update_state(y[part], p[part])
            recall.update_state(y[part], p[part])
        np.testing.assert_array_equal(matrix.result(), M.confusion_matrix(y, p))
        np.testing.assert_array_equal(recall.result(), M.recall(y, p, average=None))


def test_batches_with_and_without_weights_mix(rng):
    y = rng.integers(0, 2, 900)
    p = np.clip(rng.normal(0.4 + 0.2 * y, 0.25), 0, 1).round(1)
    w = np.where(np.arange(900) < 300, 1.0, rng.random(900))
    for name in ("accuracy", "precision", "auc", "average_precision", "log_loss", "confusion_matrix"):
        metric = CLASS_OF[name]()
        metric.update_state(y[:300], p[:300])
        metric.update_state(y[300:], p[300:], w[300:])
        np.testing.assert_allclose(metric.result(), getattr(M, name)(y, p, w), rtol=1e-12, atol=1e-14)


def test_a_result_is_the_callers_own(rng):
    metric = M.ConfusionMatrix()
    metric.update_state(np.array([0, 1]), np.array([0, 1]))
    metric.result()[:] = 9
    np.testing.assert_array_equal(metric.result(), np.eye(2))
