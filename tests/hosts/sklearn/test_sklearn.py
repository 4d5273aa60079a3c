"""fastopt.sklearn beside scikit-learn: the same numbers, the same weights, and what scikit-learn has not."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import metrics as theirs
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastopt as fo
import fastopt.sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N = 500


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x / 16, y


@pytest.fixture
def rng():
    return np.random.default_rng(3)


# ---- metrics


def cases():
    rng = np.random.default_rng(0)
    two, several = rng.integers(0, 2, N), np.r_[np.arange(5), rng.integers(0, 5, N - 5)]
    scores, other = rng.random(N), np.where(rng.random(N) < 0.6, several, rng.integers(0, 5, N))
    proba = rng.dirichlet(np.ones(5), N)
    rows, row_scores = rng.integers(0, 2, (N, 4)), rng.random((N, 4))
    rows[:, 0], rows[:, 1] = rows[:, 2], 1 - rows[:, 2]  # every row has both
    x, y = rng.standard_normal((2, N, 3))
    for average in ("macro", "micro", "weighted", None):
        yield "precision_recall_fscore_support", (several, other), {"average": average, "beta": 0.5}
        yield "precision_recall_fscore_support", (rows, row_scores > 0.5), {"average": average}
        yield "roc_auc_score", (rows, row_scores), {"average": average}
        yield "average_precision_score", (rows, row_scores), {"average": average}
        if average != "micro":
            yield "roc_auc_score", (several, proba), {"average": average, "multi_class": "ovr"}
    yield "roc_auc_score", (several, proba), {"multi_class": "ovo"}
    yield "roc_auc_score", (rows, row_scores), {"average": "samples"}
    for name in ("roc_auc_score", "average_precision_score", "log_loss", "brier_score_loss", "d2_log_loss_score",
                 "d2_brier_score"):  # fmt: skip
        yield name, (two, scores), {}
        yield name, (two > 0, scores), {}
    yield "roc_auc_score", (two, scores.round(1)), {"max_fpr": 0.3}
    yield "roc_auc_score", (np.where(two, "yes", "no"), scores), {}
    yield "log_loss", (several, proba), {}
    yield "d2_log_loss_score", (several, proba), {}
    yield "d2_brier_score", (several, proba), {}
    yield "d2_brier_score", (two, scores), {"pos_label": 0}
    yield "top_k_accuracy_score", (several, proba), {"k": 2}
    for normalize in (None, "true", "pred", "all"):
        yield "confusion_matrix", (several, other), {"normalize": normalize}
    for name in ("precision_score", "recall_score", "f1_score", "accuracy_score"):
        yield name, (two, (scores > 0.4).astype(int)), {}
    yield "fbeta_score", (two, (scores > 0.4).astype(int)), {"beta": 2}
    for name in ("mean_squared_error", "mean_absolute_error", "root_mean_squared_error"):
        for multioutput in ("uniform_average", "raw_values", [0.2, 0.3, 0.5]):
            yield name, (x, y), {"multioutput": multioutput}
        yield name, (x[:, 0], y[:, 0]), {}
    for multioutput in ("uniform_average", "raw_values", "variance_weighted", [0.2, 0.3, 0.5]):
        yield "r2_score", (x, x + 0.3 * y), {"multioutput": multioutput}
    for multioutput in ("uniform_average", "variance_weighted"):
        yield "r2_score", (x[:, 0], y[:, 0]), {"multioutput": multioutput}
    yield "r2_score", (x[:, 0], y[:, 0]), {"force_finite": False}


@pytest.mark.parametrize(("name", "given", "how"), list(cases()))
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_agree(name, given, how, weighted):
    if weighted and how.get("multi_class") == "ovo":
        pytest.skip("scikit-learn takes no weights there")
    how = {**how, "sample_weight": np.random.default_rng(1).random(N)} if weighted else how
    expected, got = getattr(theirs, name)(*given, **how), getattr(ours, name)(*given, **how)
    assert isinstance(got, tuple) == isinstance(expected, tuple)
    for one, other in zip(*((got, expected) if isinstance(got, tuple) else ((got,), (expected,))), strict=True):
        assert isinstance(one, float) == isinstance(other, float)
        if other is not None:
            assert np.asarray(one).dtype == np.asarray(other).dtype
            np.testing.assert_allclose(one, other, rtol=1e-11)


@pytest.mark.parametrize("name", ["mean_squared_error", "mean_absolute_error", "root_mean_squared_error", "r2_score"])
def test_values_of_columns_are_of_the_targets_type(name, rng):
    x, y = rng.standard_normal((2, 20, 3)).astype(np.float32)
    expected = getattr(theirs, name)(x, y, multioutput="raw_values")
    found = getattr(ours, name)(x, y, multioutput="raw_values")
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["precision_score", "confusion_matrix", "accuracy_score", "roc_auc_score"])
def test_weights_that_are_all_zero_are_refused_in_scikit_learns_words(name):
    y, refused = np.array([0, 1, 1, 0]), []
    for room in (ours, theirs):
        with pytest.raises(ValueError, match="Sample weights") as error:
            getattr(room, name)(y, y, sample_weight=np.zeros(4))
        refused.append(str(error.value))
    assert refused[0] == refused[1]


@pytest.mark.parametrize("y", [[0, 3, 1], [-1, 0, 1], [False, True, True]])
def test_labels_that_have_no_score_mean_what_they_mean_to_scikit_learn(y):
    scores, given = np.eye(3), []
    for room in (ours, theirs):
        try:
            given.append(room.top_k_accuracy_score(np.array(y), scores, k=1, labels=[0, 1, 2]))
        except ValueError as error:
            given.append(str(error))
    assert given[0] == given[1]


def test_what_scikit_learn_warns_of_or_refuses_it_says_itself():
    y = np.array([1, 1, 1])
    with pytest.warns(UndefinedMetricWarning):
        ours.precision_score(np.array([0, 1]), np.array([0, 0]))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        ours.accuracy_score(y, y[:2])
    for name in ("r2_score", "d2_log_loss_score", "d2_brier_score"):
        with pytest.warns(UndefinedMetricWarning, match="less than two samples"):
            assert np.isnan(getattr(ours, name)(y[:1], np.array([0.5])))
    with pytest.raises(ValueError, match="NaN"):
        ours.mean_squared_error(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    with pytest.warns(UserWarning, match="pos_label"):
        ours.f1_score(np.array([0, 1]), np.array([0, 1]), pos_label=0, average="macro")
    with pytest.raises(ValueError, match="only one label"):
        ours.log_loss(np.array([True]), np.array([0.5]))


# ---- perceptrons


@parametrize_with_checks([ours.MLPClassifier(max_iter=100), ours.MLPRegressor(max_iter=100)])
def test_estimators_are_scikit_learns(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "how",
    [
        {}, {"activation": "tanh", "alpha": 0.1}, {"activation": "logistic", "hidden_layer_sizes": (20, 10)},
        {"solver": "sgd", "learning_rate": "invscaling"}, {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1},
        {"solver": "sgd", "nesterovs_momentum": False, "momentum": 1.0}, {"early_stopping": True},
        {"shuffle": False, "batch_size": 100},
    ],
)  # fmt: skip
def test_the_classifier_goes_scikit_learns_way(digits, how):
    x, y = digits
    how = {"max_iter": 5, "random_state": 0, **how}
    theirs, own = neural_network.MLPClassifier(**how).fit(x, y), ours.MLPClassifier(**how).fit(x, y)
    np.testing.assert_allclose(own.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    for one, other in zip(own.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(own.predict_proba(x), theirs.predict_proba(x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_regressor_goes_scikit_learns_way(rng, loss, outputs):
    x = rng.standard_normal((300, 5))
    y, w = np.exp(x[:, :outputs]), rng.random(300)
    y = y[:, 0] if outputs == 1 else y
    how = {"loss": loss, "max_iter": 10, "random_state": 0}
    theirs, own = neural_network.MLPRegressor(**how).fit(x, y, w), ours.MLPRegressor(**how).fit(x, y, w)
    np.testing.assert_allclose(own.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(own.predict(x), theirs.predict(x), rtol=1e-6)


@pytest.mark.parametrize("outputs", [1, 4])
def test_weights_of_samples_mean_what_they_mean_to_scikit_learn(rng, outputs):
    x, w = rng.standard_normal((60, 5)), rng.uniform(-0.2, 1.0, 60)
    y = rng.integers(0, 2, (60, outputs))
    y = y[:, 0] if outputs == 1 else y
    how = {"max_iter": 5, "random_state": 0, "batch_size": 20}
    theirs, own = neural_network.MLPClassifier(**how).fit(x, y, w), ours.MLPClassifier(**how).fit(x, y, w)
    np.testing.assert_allclose(own.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(own.predict_proba(x), theirs.predict_proba(x), rtol=1e-6)
    w[1:] = 0.0  # some batch has the first sample, some hasn't
    with pytest.raises(ZeroDivisionError, match="sample_weight: expected weights of a sum other than 0"):
        own.fit(x, y, w)


@pytest.mark.parametrize("weighted", [False, True])
def test_robust_losses_are_means_over_samples_and_outputs(rng, weighted):
    x, y, w = rng.standard_normal((50, 4)), 0.1 * rng.standard_normal((50, 3)), rng.random(50) if weighted else None
    how = {"max_iter": 1, "batch_size": 50, "random_state": 0, "alpha": 0.0}
    curves = []
    for loss in ("huber", "squared_error"):
        model = ours.MLPRegressor(loss, (8,), initializer="glorot_uniform", **how)
        model.fit(0.1 * x, y, w)
        curves.append(model.loss_curve_)
    np.testing.assert_allclose(*curves, rtol=1e-9)  # errors are below 1, where both are squares


def test_partial_fit_goes_on_where_it_was_also_after_pickling(digits):
    x, y = digits
    one, other = (kind(random_state=0) for kind in (neural_network.MLPClassifier, ours.MLPClassifier))
    for part in range(4):
        rows = slice(part * 400, part * 400 + 400)
        one.partial_fit(x[rows], y[rows], classes=range(10))
        other = pickle.loads(pickle.dumps(other)).partial_fit(x[rows], y[rows], classes=range(10))
    np.testing.assert_allclose(other.coefs_[0], one.coefs_[0], rtol=1e-6, atol=1e-9)


def test_float32_stays_float32_and_threads_change_no_bit(digits):
    x, y = digits[0].astype(np.float32), digits[1]
    before, found = fo.get_num_threads(), []
    for threads in (1, 3):
        fo.set_num_threads(threads)
        found.append(ours.MLPClassifier((64,), max_iter=3, random_state=0, batch_norm=True).fit(x, y))
    fo.set_num_threads(before)
    assert all(array.dtype == np.float32 for array in (*found[0].coefs_, *found[0].intercepts_))
    assert found[0].predict_proba(x).dtype == np.float32
    for one, other in zip(found[0].coefs_, found[1].coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "how",
    [
        {"batch_norm": True}, {"batch_norm": True, "early_stopping": True}, {"optimizer": "AdamW"},
        {"optimizer": "RMSprop", "initializer": "he_normal"}, {"optimizer": "Lion", "learning_rate_init": 1e-3},
        {"initializer": "orthogonal", "class_weight": "balanced"},
    ],
)  # fmt: skip
def test_what_scikit_learn_has_not_learns_too(digits, how):
    x, y = digits
    model = clone(ours.MLPClassifier((64,), max_iter=30, random_state=0, **how)).fit(x, y)
    assert model.score(x, y) > 0.95
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(x), model.predict_proba(x))


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "log_cosh"])
def test_robust_losses_learn(rng, loss):
    x = rng.standard_normal((400, 3))
    model = ours.MLPRegressor(loss, (32,), max_iter=400, random_state=0, learning_rate_init=0.01).fit(
        x, x[:, 0] - x[:, 1]
    )
    assert model.score(x, x[:, 0] - x[:, 1]) > 0.95


def test_weights_of_classes_and_of_samples_weigh_as_repetition_does(digits):
    x, y = digits[0][:200], (digits[1][:200] > 4).astype(int)
    how = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0, "batch_size": 200, "shuffle": False}
    by_class = ours.MLPClassifier(class_weight={0: 1.0, 1: 3.0}, **how).fit(x, y)
    by_sample = ours.MLPClassifier(**how).fit(x, y, np.where(y == 1, 3.0, 1.0))
    np.testing.assert_allclose(by_class.coefs_[0], by_sample.coefs_[0], rtol=1e-12)


def test_the_solver_of_scikit_learn_refuses_what_is_ours():
    with pytest.raises(ValueError, match="solver: expected 'adam' or 'sgd' with batch_norm"):
        ours.MLPClassifier(solver="lbfgs", batch_norm=True).fit(np.eye(4), [0, 1, 0, 1])


def test_in_a_pipeline_and_a_grid_search(digits):
    x, y = digits
    pipeline = make_pipeline(
        StandardScaler(), ours.MLPClassifier((16,), max_iter=20, learning_rate_init=0.01, random_state=0)
    )
    search = GridSearchCV(pipeline, {"mlpclassifier__batch_norm": [False, True]}, n_jobs=2, cv=2).fit(x[:500], y[:500])
    assert search.best_score_ > 0.5


def test_the_example_runs():
    script = Path(__file__).parents[3] / "examples" / "sklearn" / "grid_search.py"
    done = subprocess.run([sys.executable, script, "--epochs", "2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "ms a step" in done.stdout
