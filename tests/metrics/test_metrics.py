"""Metrics: scikit-learn as the outside judge over all options, ranks, labels of every dtype."""

import warnings

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

import fastopt as fo

M = fo.metrics
TARGETS = ("cython", "numba", "reference")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def binary(rng, n=4000, decimals=None, dtype=np.float64):
    y = rng.integers(0, 2, n)
    scores = np.clip(rng.normal(0.4 + 0.2 * y, 0.25), 0, 1)
    return y, (scores if decimals is None else scores.round(decimals)).astype(dtype)


def several(rng, n=3000, classes=6):
    y = rng.integers(0, classes, n)
    p = rng.dirichlet(np.ones(classes), n)
    p[np.arange(n), y] += 0.2
    return y, p / p.sum(axis=1, keepdims=True)


def close(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


# ---- scikit-learn agrees


@pytest.mark.parametrize("weighted", [False, True])
def test_errors_agree_with_scikit_learn(rng, weighted):
    y, p = rng.standard_normal((2, 500, 3))
    w = rng.random(500) if weighted else None
    close(M.mean_squared_error(y, p, w), sk.mean_squared_error(y, p, sample_weight=w))
    close(M.mean_absolute_error(y, p, w), sk.mean_absolute_error(y, p, sample_weight=w))
    close(M.root_mean_squared_error(y, p, w) ** 2, sk.mean_squared_error(y, p, sample_weight=w))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranks_agree_with_scikit_learn_with_any_number_of_ties(rng, weighted, decimals, dtype):
    y, p = binary(rng, decimals=decimals, dtype=dtype)
    w = rng.random(y.size).astype(dtype) if weighted else None
    if weighted:
        w[::3] = 0
    wide = None if w is None else w.astype(np.float64)  # scikit-learn adds up in the weights' type
    close(M.auc(y, p, w), sk.roc_auc_score(y, p, sample_weight=wide))
    close(M.average_precision(y, p, w), sk.average_precision_score(y, p, sample_weight=wide))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("average", ["binary", "macro", "micro", "weighted", None])
@pytest.mark.parametrize("kind", ["scores", "two", "few", "many", "gaps"])
def test_precision_recall_and_f1_agree_with_scikit_learn(rng, weighted, average, kind):
    if kind == "scores":
        y, scores = binary(rng)
        given, p = scores, (scores > 0.5).astype(int)
    else:
        labels = {"two": [0, 1], "few": range(6), "many": range(90), "gaps": [0, 2, 5]}[kind]
        y, p = rng.choice(labels, 2000), rng.choice(labels, 2000)
        p = np.where(rng.random(2000) < 0.5, y, p)
        given = p
    if average == "binary" and kind not in ("scores", "two"):
        pytest.skip("binary is for two classes")
    w = rng.random(y.size) if weighted else None
    expected = sk.precision_recall_fscore_support(
        y, p, average=average, sample_weight=w, zero_division=0.0, labels=np.arange(6) if kind == "gaps" else None
    ) if average is None else sk.precision_recall_fscore_support(
        y, p, average=average, sample_weight=w, zero_division=0.0
    )  # fmt: skip
    ratios = (M.precision, M.recall, M.f1_score)
    got = [function(y, given, w, average=average, zero_division=0.0) for function in ratios]
    close(got, expected[:3])


@pytest.mark.parametrize("zero_division", [0.0, 1.0])
@pytest.mark.parametrize("average", ["binary", "macro", "micro", "weighted", None])
def test_zero_division_agrees_with_scikit_learn(average, zero_division):
    for y, p in (([0, 0, 1, 1], [0, 0, 0, 0]), ([0, 0, 0, 0], [0, 0, 0, 1]), ([0, 0], [0, 0])):
        y, p = np.array(y), np.array(p)
        labels = [0, 1] if average is None else None
        expected = sk.precision_recall_fscore_support(y, p, average=average, zero_division=zero_division, labels=labels)
        for function, value in zip((M.precision, M.recall, M.f1_score), expected[:3], strict=True):
            close(function(y, p, average=average, zero_division=zero_division), value)


def test_a_division_of_0_by_0_is_told_where_it_counts():
    y, none = np.array([0, 1, 1]), np.array([0, 0, 0])
    with pytest.warns(RuntimeWarning, match=r"^Precision: a class that is never predicted") as told:
        assert M.precision(y, none) == 0.0
    assert told[0].filename == __file__
    metric = M.F1Score(average=None)
    metric.update_state(none, none, None)
    with pytest.warns(RuntimeWarning, match=r"^F1Score: ") as told:
        assert metric.result().tolist() == [1.0, 0.0]
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert M.recall(y, none) == 0.0  # 0 of 2
        assert M.precision(y, none, average="weighted", zero_division=0.0) == pytest.approx(1 / 9)
        assert M.precision(none, none, average="weighted") == 1.0  # what weighs nothing makes no difference


@pytest.mark.parametrize("weighted", [False, True])
def test_r2_agrees_with_scikit_learn(rng, weighted):
    y, p = rng.standard_normal((60, 4)) + 100.0, rng.standard_normal((60, 4)) + 100.0
    y[:, 3], p[:, 2] = 0.1, y[:, 2]
    w = rng.random(60) if weighted else None
    for multioutput in ("raw_values", "uniform_average", "variance_weighted", [1.0, 2.0, 0.5]):
        expected = sk.r2_score(y[:, :3], p[:, :3], sample_weight=w, multioutput=multioutput)
        np.testing.assert_allclose(M.r2_score(y[:, :3], p[:, :3], w, multioutput=multioutput), expected, rtol=1e-12)
        metric = M.R2Score(multioutput)
        for some in (slice(0, 1), slice(1, 20), slice(20, 60)):
            metric.update_state(y[some, :3], p[some, :3], None if w is None else w[some])
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-12)
    assert M.r2_score(y, p, w, multioutput="raw_values")[3] == 0.0  # a column of one value
    assert M.r2_score(y, y, w) == 1.0
    column = sk.r2_score(y[:, 0], p[:, 0], sample_weight=w)
    np.testing.assert_allclose(M.r2_score(y[:, 0], p[:, 0], w), column, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_classes_agree_with_scikit_learn(rng, weighted):
    y, p = several(rng)
    w = rng.random(y.size) if weighted else None
    one_hot, found = np.eye(6, dtype=bool)[y], p.argmax(axis=1)
    for y_true in (y, y[:, None], one_hot, one_hot.astype(np.float32), one_hot.astype(np.int16)):
        close(M.accuracy(y_true, p, w), sk.accuracy_score(y, found, sample_weight=w))
        close(M.log_loss(y_true, p, w), sk.log_loss(y, p, sample_weight=w))
        close(M.confusion_matrix(y_true, p, w), sk.confusion_matrix(y, found, sample_weight=w))
        close(M.recall(y_true, p, w, average="macro"), sk.recall_score(y, found, sample_weight=w, average="macro"))
    for k in (1, 2, 5, 6):
        expected = 1.0 if k == 6 else sk.top_k_accuracy_score(y, p, k=k, sample_weight=w)
        close(M.sparse_top_k_categorical_accuracy(y, p, w, k=k), expected)
        close(M.top_k_categorical_accuracy(one_hot, p, w, k=k), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_binary_log_loss_agrees_with_scikit_learn_up_to_certainty(rng, weighted):
    y, p = binary(rng)
    p[:4], y[:4] = (0, 0, 1, 1), (0, 1, 0, 1)
    w = rng.random(y.size) if weighted else None
    close(M.log_loss(y, p, w), sk.log_loss(y, p, sample_weight=w))
    assert M.log_loss(np.array([0, 1]), np.array([0.0, 1.0], np.float32)) < 2e-7


@pytest.mark.parametrize("classes", [3, 64, 65, 200])
def test_confusion_matrix_of_any_number_of_classes_agrees_with_scikit_learn(rng, classes):
    y, p = rng.integers(0, classes, (2, 3000))
    w = rng.random(3000)
    for target in TARGETS:
        with fo.target(target):
            got = M.confusion_matrix(y, p, num_classes=classes)
            assert got.dtype == np.int64
            np.testing.assert_array_equal(got, sk.confusion_matrix(y, p, labels=np.arange(classes)))
            close(M.confusion_matrix(y, p, w), sk.confusion_matrix(y, p, sample_weight=w))


# ---- ranks to the last bit


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([-np.inf, -1.5, -1e-45, -0.0, 0.0, 1e-45, 0.5, 1e30, np.inf])),
        min_size=2,
        max_size=30,
    ),
    st.sampled_from([np.float32, np.float64]),
)
def test_auc_is_the_share_of_pairs_in_order(pairs, dtype):
    y, p = np.array([y for y, _ in pairs]), np.array([p for _, p in pairs]).astype(dtype)
    if y.all() or not y.any():
        for target in TARGETS:
            with fo.target(target), pytest.raises(ValueError, match="both classes"):
                M.auc(y, p)
        return
    positive, negative = p[y][:, None], p[~y][None, :]
    expected = np.mean((positive > negative) + 0.5 * (positive == negative))
    for target in TARGETS:
        with fo.target(target):
            close(M.auc(y, p), expected)


def test_sorting_of_many_scores_of_both_signs_is_right(rng):
    for dtype in (np.float32, np.float64):
        p = rng.standard_normal(70_000).astype(dtype) * dtype(10) ** rng.integers(-30, 30, 70_000).astype(dtype)
        y = rng.integers(0, 2, p.size)
        close(M.auc(y, p), sk.roc_auc_score(y, p))
        assert M.auc(y, -p) == pytest.approx(1 - M.auc(y, p), abs=1e-15)


# ---- top k


@pytest.mark.parametrize("target", TARGETS)
def test_ties_at_the_boundary_count_and_the_first_maximum_wins(target):
    scores = np.array([[0.5, 0.5, 0.1, 0.5], [0.0, 0.0, 0.0, 0.0]], np.float32)
    with fo.target(target):
        for label, hits in ((0, 1.0), (1, 1.0), (3, 1.0)):
            assert M.sparse_top_k_categorical_accuracy(np.array([label, label]), scores, k=1) == hits
        assert M.sparse_top_k_categorical_accuracy(np.array([2, 2]), scores, k=3) == 0.5
        np.testing.assert_array_equal(M.confusion_matrix(np.array([3, 3]), scores)[3], [2, 0, 0, 0])


# ---- labels


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("code", "?bhilqBHILQ")
def test_labels_of_every_integer_dtype_count_the_same(rng, code, target):
    y, p = binary(rng, 700)
    labels = np.zeros((700, 3), code)[:, 1]
    labels[:] = y
    with fo.target(target):
        assert M.auc(labels, p) == M.auc(y, p)
        assert M.f1_score(labels, p) == M.f1_score(y, p)
        assert M.accuracy(labels, (p > 0.5).astype(code)) == M.accuracy(y, p)


@pytest.mark.parametrize("target", TARGETS)
def test_labels_of_accuracy_may_be_any_integers(target):
    with fo.target(target):
        assert M.accuracy(np.array([-1, 1, -1, 1]), np.array([-1, 1, 1, 1], np.int8)) == 0.75
        assert M.accuracy(np.array([2**40, 7]), np.array([2**40, 2**40 + 7])) == 0.5
        for huge in (np.array([2**63], np.uint64), np.array([-(2**63)])):
            with pytest.raises(ValueError, match=r"y_true: expected labels below 2\*\*62"):
                M.accuracy(huge, np.array([0]))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.5, 1e30, -1.0])
def test_float_labels_are_exactly_zero_or_one(target, value):
    p = np.array([0.1, 0.7, 0.2])
    with fo.target(target):
        assert M.precision(np.array([0.0, 1.0, -0.0]), p) == 1.0
        with pytest.raises(ValueError, match=r"y_true: expected labels 0 or 1, got .* at 1"):
            M.precision(np.array([0.0, value, 1.0]), p)


def test_byte_order_and_alignment_are_refused():
    with pytest.raises(TypeError, match=r"y_true: expected labels .*, got >i4"):
        M.accuracy(np.array([0, 1], ">i4"), np.array([0.1, 0.9]))
    memory = np.zeros(17, np.uint8)
    with pytest.raises(ValueError, match="aligned"):
        M.accuracy(np.array([0, 1]), memory[1:].view(np.float64))
    with pytest.raises(ValueError, match="aligned"):
        M.accuracy(memory[1:].view(np.int64), np.array([0.1, 0.9]))


# ---- ranks in bounded memory


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("num_thresholds", [2, 11, 200, 5000])
def test_ranks_by_thresholds_are_those_of_the_rounded_scores(rng, target, num_thresholds):
    y, p = binary(rng, 3000)
    w = rng.random(3000)
    p[:3] = (0, 1, 0.5)
    rounded = (p[:, None] > np.arange(num_thresholds) / (num_thresholds - 1)).sum(axis=1)
    with fo.target(target):
        for kind, function in ((M.AUC, sk.roc_auc_score), (M.AveragePrecision, sk.average_precision_score)):
            for weight in (None, w):
                metric = kind(num_thresholds=num_thresholds)
                for part in (slice(0, 1000), slice(1000, 3000)):
                    metric.update_state(y[part], p[part], None if weight is None else weight[part])
                close(metric.result(), function(y, rounded, sample_weight=weight))
        metric = M.AUC(num_thresholds=num_thresholds)
        with pytest.raises(ValueError, match=r"y_pred: expected numbers in \[0, 1\], got 1.5 at 0"):
            metric.update_state(np.array([0, 1]), np.array([1.5, 0.5]))


@pytest.mark.parametrize("target", TARGETS)
def test_a_score_on_a_threshold_is_not_above_it(target):
    y, p = np.array([0, 1]), np.array([0.5, 0.9])
    with fo.target(target):
        assert M.auc(y, p, num_thresholds=3) == 1.0
        assert M.auc(y, p, thresholds=[0.5]) == 1.0
        assert M.auc(y, p, thresholds=[0.4]) == 0.5
        np.testing.assert_array_equal(M.recall(y, np.array([0.3, 0.5]), threshold=[0.4, 0.5]), [1, 0])


def test_the_error_of_thresholds_is_within_its_bound(rng):
    y, p = binary(rng, 20_000)
    for bins in (10, 100):
        at = np.ceil(p * bins).astype(int)
        shared = np.bincount(at, y, bins + 1) @ np.bincount(at, 1 - y, bins + 1) / (y.sum() * (1 - y).sum())
        assert abs(M.auc(y, p, num_thresholds=bins + 1) - M.auc(y, p)) <= shared / 2


def test_scores_of_two_dtypes_do_not_mix_in_an_exact_rank(rng):
    y, p = binary(rng, 50)
    metric = M.AUC()
    metric.update_state(y, p)
    before = metric.result()
    with pytest.raises(TypeError, match="y_pred: expected float64 as before, got float32"):
        metric.update_state(y, p.astype(np.float32))
    assert metric.result() == before


# ---- what is not a number


@pytest.mark.parametrize("target", TARGETS)
def test_nan_and_infinity_travel_in_errors(target):
    y = np.array([0.0, 1.0, 2.0], np.float32)
    with fo.target(target):
        for value, expected in ((np.nan, np.nan), (np.inf, np.inf)):
            p = np.array([0, value, 2], np.float32)
            np.testing.assert_equal(M.mean_squared_error(y, p), expected)
            np.testing.assert_equal(M.mean_absolute_error(y, p), expected)
            np.testing.assert_equal(M.root_mean_squared_error(y, p), expected)


@pytest.mark.parametrize("target", TARGETS)
def test_the_first_invalid_row_is_named(target):
    p = np.full((3, 4), 0.25)
    with fo.target(target):
        with pytest.raises(ValueError, match="y_true: expected labels from 0 to 3, got 4 at 2"):
            M.accuracy(np.array([0, 1, 4]), p)
        with pytest.raises(ValueError, match=r"y_true: expected one-hot rows .*, got \[0, 2, 0, 0\] in row 1"):
            M.log_loss(np.array([[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1]]), p)
        with pytest.raises(ValueError, match=r"y_pred: expected rows that add up to 1, got 1.25 in row 2"):
            M.log_loss(np.zeros(3, int), p + np.array([[0], [0], [0.0625]]))
        p[1, 3] = np.nan
        with pytest.raises(ValueError, match=r"y_pred: expected scores that are not NaN, got nan at \(1, 3\)"):
            M.sparse_top_k_categorical_accuracy(np.zeros(3, int), p, k=1)


@pytest.mark.parametrize("target", TARGETS)
def test_squares_beyond_float32_are_summed_in_float64(target):
    y, p = np.zeros((3, 2), np.float32), np.full((3, 2), 1e25, np.float32)
    with fo.target(target):
        np.testing.assert_allclose(M.root_mean_squared_error(y, p), 1e25, rtol=1e-6)
        np.testing.assert_allclose(M.mean_squared_error(y, p, multioutput="raw_values"), 1e50, rtol=1e-6)
        y, p = np.array([[1.0, 2.0, 3.0], [1.0, 2.5, 2.5]], np.float32) * np.float32(1e25)
        np.testing.assert_allclose(M.r2_score(y, p), 0.75, rtol=1e-6)
