"""Losses of extreme logits, probabilities and vectors, of NaN and Inf."""

import numpy as np
import pytest

import fastopt as fo

TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", TARGETS)
L = fo.losses


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@for_each_target
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_of_extreme_logits(dtype, target):
    inf = np.inf
    y_pred = np.array([1e4, -1e4, 1e4, -1e4, inf, -inf, inf, -inf, 100, -100, 0], dtype)
    y_true = np.array([1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0.5], dtype)
    with fo.target(target):
        value, gradient = L.BinaryCrossentropy(True, reduction="none").value_and_grad(y_true, y_pred)
    np.testing.assert_allclose(value, [0, 0, 1e4, 1e4, 0, 0, inf, inf, 0, 0, np.log(2)], rtol=1e-6, atol=1e-40)
    np.testing.assert_allclose(gradient, [0, 0, 1, -1, 0, 0, 1, -1, 0, 0, 0], rtol=1e-6, atol=1e-40)


@for_each_target
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [4, 50])
@pytest.mark.parametrize("sparse", [True, False])
def test_cross_entropy_of_extreme_logits(sparse, classes, dtype, target):
    inf = np.inf
    rows = [[1e4, -1e4], [-1e4, 1e4], [inf, 0], [0, inf], [-inf, 0], [0, -inf], [inf, -inf], [inf, inf], [-inf, -inf]]
    values = [0, 2e4, 0, inf, inf, 0, 0, np.log(2), np.log(classes)]
    slopes = [0, -1, 0, -1, -1, 0, 0, -0.5, 1 / classes - 1]
    y_pred = np.full((len(rows), classes), -inf, dtype)
    y_pred[:, :2] = rows
    labels = np.zeros(len(rows), int)
    y_true = labels if sparse else np.eye(classes, dtype=dtype)[labels]
    loss = (L.SparseCategoricalCrossentropy if sparse else L.CategoricalCrossentropy)(True, reduction="none")
    with fo.target(target):
        value, gradient = loss.value_and_grad(y_true, y_pred)
    np.testing.assert_allclose(value, values, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(gradient[:, 0], slopes, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-6)


@for_each_target
def test_probabilities_of_0_and_1_are_clipped(target):
    y_true, y_pred = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0, 0.0])
    with fo.target(target):
        value, gradient = L.BinaryCrossentropy(reduction="none").value_and_grad(y_true, y_pred)
    np.testing.assert_allclose(value, -np.log([1e-7, 1e-7, 1 - 1e-7, 1 - 1e-7]), rtol=1e-8)
    assert not gradient.any()


@for_each_target
def test_a_row_of_zeros_has_cosine_0(target):
    y_true, y_pred = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [3.0, 4.0]])
    with fo.target(target):
        value, gradient = L.CosineProximity(reduction="none").value_and_grad(y_true, y_pred)
    assert not value.any()
    np.testing.assert_allclose(gradient, [[-0.6e7, -0.8e7], [0, 0]], rtol=1e-14)


@for_each_target
@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e20), ("float32", 3e38), ("float64", 1e200), ("float64", 1e308)]
)
@pytest.mark.parametrize("columns", [2, 8, 1500])
def test_cosines_of_vectors_too_long_to_be_squared(columns, dtype, size, target, rng):
    small = rng.uniform(-1, 1, (2, columns)).astype(dtype)
    large = (small * np.asarray(size, dtype)).astype(dtype)
    with fo.target(target):
        loss = L.CosineProximity(reduction="none")
        wanted, slope = loss.value_and_grad(small[:1], small[1:])
        itself, _ = loss.value_and_grad(large[:1], large[:1])
        both, of_both = loss.value_and_grad(large[:1], large[1:])
        one, of_one = loss.value_and_grad(large[:1], small[1:])
    rtol = 1e-5 if dtype == "float32" else 1e-12
    assert itself[0] == pytest.approx(-1, rel=rtol)
    np.testing.assert_allclose([both[0], one[0]], wanted[0], rtol=rtol)
    np.testing.assert_allclose(of_one, slope, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(of_both * np.asarray(size, dtype), slope, rtol=rtol, atol=rtol)


@for_each_target
def test_a_cosine_of_infinity_is_nan(target):
    with fo.target(target):
        value = L.cosine_proximity(np.array([[1.0, np.inf]]), np.array([[1.0, 1.0]]))
    assert np.isnan(value)


@for_each_target
@pytest.mark.parametrize("infinite", [0, 1, 2])
def test_zero_times_infinity_is_nan_in_the_categorical_hinge(infinite, target):
    y_pred = np.array([[0.5, 1.0, 0.25]])
    y_pred[0, infinite] = np.inf
    with fo.target(target):
        value, _ = L.CategoricalHinge().value_and_grad(np.array([[0.0, 1.0, 0.0]]), y_pred)
    assert np.isnan(value)


@for_each_target
@pytest.mark.parametrize("columns", [3, 40])
def test_an_ignored_sample_may_hold_nan_under_a_soft_cap(columns, target, rng):
    labels, y_pred = np.array([0, 1, 2]), rng.standard_normal((3, columns))
    weight = rng.random(columns)
    for options in ({"logit_softcap": 5.0}, {"class_weight": weight, "label_smoothing": 0.1}):
        loss = L.SparseCategoricalCrossentropy(True, ignore_class=1, **options)
        with fo.target(target):
            wanted, slope = loss.value_and_grad(labels, y_pred)
            spoilt = y_pred.copy()
            spoilt[1] = np.nan
            value, gradient = loss.value_and_grad(labels, spoilt)
        assert value == wanted
        np.testing.assert_array_equal(gradient, slope)
        assert not gradient[1].any()
