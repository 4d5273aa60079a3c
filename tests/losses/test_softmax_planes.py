"""Softmax along an axis that is not the last one: the kernel for planes of samples gives what rows give."""

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.losses import cpu, formulas

SHAPES = [(2, 3, 16), (1, 31, 70), (2, 32, 64), (2, 150, 5, 13), (3, 33, 129), (2, 1025, 17), (2, 2050, 16)]
OPTIONS = {
    "plain": {},
    "ignored": {"ignore_class": 1},
    "smoothed": {"label_smoothing": 0.1, "z_loss": 0.3, "ignore_class": 0},
    "class weights": {"class_weight": True, "ignore_class": 2},
}


def problem(shape, dtype):
    rng = np.random.default_rng(5)
    y_pred = (3 * rng.standard_normal(shape)).astype(dtype)
    labels = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    return labels, y_pred, np.asarray(rng.random(labels.shape)).astype(dtype)


def evaluated(labels, y_pred, weight, options, reduction, axis):
    kept = dict(options)
    if kept.pop("class_weight", False):
        kept["class_weight"] = np.linspace(0.5, 2.0, y_pred.shape[axis]).astype(y_pred.dtype)
    loss = fo.losses.SparseCategoricalCrossentropy(True, reduction=reduction, axis=axis, **kept)
    value, gradient = loss.value_and_grad(labels, y_pred, weight)
    alone = loss(labels, y_pred, weight)
    np.testing.assert_array_equal(alone, value)
    over = y_pred.copy()
    loss.value_and_grad(labels, over, weight, out=over)
    np.testing.assert_array_equal(over, gradient)
    return value, gradient


@pytest.mark.parametrize("target", ["cython", "numba"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_planes_give_what_rows_give(shape, name, dtype, target):
    """Gradients to the bit; values are sums of the same numbers in another order."""
    labels, y_pred, weight = problem(shape, dtype)
    if name == "smoothed" or shape[1] == 3:
        weight = None
    for reduction in ("mean", "none"):
        with fo.target(target):
            value, gradient = evaluated(labels, y_pred, weight, OPTIONS[name], reduction, 1)
            rows = np.ascontiguousarray(np.moveaxis(y_pred, 1, -1))
            wanted, of_rows = evaluated(labels, rows, weight, OPTIONS[name], reduction, -1)
        np.testing.assert_allclose(value, wanted, rtol=2e-6 if dtype == np.float32 else 4e-15)
        np.testing.assert_array_equal(gradient, np.moveaxis(of_rows, -1, 1))


def test_what_is_taken_by_planes():
    formula = formulas.sparse_categorical_crossentropy(5, True)

    def plane(shape, axis, dtype=np.float32, out=True, formula=formula):
        array = np.zeros(shape, dtype)
        other = np.moveaxis(np.zeros(shape, dtype), axis, -1) if out is True else out
        return cpu.plane_of(formula, np.moveaxis(array, axis, -1), other)

    assert plane((2, 5, 4, 8), 1) == 32
    assert plane((5, 20), 0) == 20
    assert plane((3, 2, 5, 16), 2) == 16
    assert plane((2, 5, 4, 8), 1, out=None) == 32
    assert plane((2, 4, 8, 5), 3) == 0
    assert plane((2, 5, 3), 1) == 0  # too few samples side by side
    assert plane((2, 5, 4, 8), 1, np.float16) == 0
    assert plane((2, 5, 4, 8), 1, formula=formulas.categorical_crossentropy(5, True)) == 0
    logits = np.moveaxis(np.zeros((2, 5, 4, 8), np.float32), 1, -1)
    assert cpu.plane_of(formula, logits, logits) == 32  # in place
    twice = np.zeros((3, 5, 4, 8), np.float32)
    assert cpu.plane_of(formula, np.moveaxis(twice[1:], 1, -1), np.moveaxis(twice[:-1], 1, -1)) == 0  # partly
    assert cpu.plane_of(formula, np.zeros((2, 5, 4, 16), np.float32)[..., ::2].transpose(0, 2, 3, 1), None) == 0


ALONG = {
    "probabilities": (fo.losses.CategoricalCrossentropy, {"from_logits": True}, np.float32),
    "divergence": (fo.losses.KLDivergence, {}, np.float64),
}


@pytest.mark.parametrize("target", ["cython", "numba"])
@pytest.mark.parametrize("name", ALONG, ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 40, 7, 11), (3, 33, 129), (2, 1025, 17), (1, 2, 300)], ids=str)
def test_rows_that_lie_side_by_side_are_gathered(shape, name, target):
    """Whichever way a loss goes through classes that lie a plane apart, its gradient has the bits of packed rows."""
    rng = np.random.default_rng(6)
    kind, options, dtype = ALONG[name]
    scores, wanted = rng.random(shape).astype(dtype), rng.random(shape).astype(dtype)
    wanted /= wanted.sum(1, keepdims=True)
    rows = [np.ascontiguousarray(np.moveaxis(array, 1, -1)) for array in (wanted, scores)]
    with fo.target(target):
        value, gradient = kind(axis=1, **options).value_and_grad(wanted, scores)
        of_rows, expected = kind(axis=-1, **options).value_and_grad(*rows)
    np.testing.assert_allclose(value, of_rows, rtol=2e-6)
    np.testing.assert_array_equal(gradient, np.moveaxis(expected, -1, 1))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same_bits(threads):
    labels, y_pred, _ = problem((4, 40, 33, 31), np.float32)
    loss = fo.losses.SparseCategoricalCrossentropy(True, axis=1)
    before = fo.get_num_threads()
    try:
        fo.set_num_threads(1)
        value, gradient = loss.value_and_grad(labels, y_pred)
        fo.set_num_threads(threads)
        again, other = loss.value_and_grad(labels, y_pred)
    finally:
        fo.set_num_threads(before)
    assert value == again
    np.testing.assert_array_equal(gradient, other)


@pytest.mark.parametrize("target", ["cython", "numba"])
@pytest.mark.parametrize("spoilt", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_travels_through_its_sample_alone(spoilt, target):
    labels, y_pred, _ = problem((1, 40, 20), np.float32)
    y_pred[0, 7, 3] = spoilt
    loss = fo.losses.SparseCategoricalCrossentropy(True, axis=1, reduction="none")
    with fo.target(target):
        value, gradient = loss.value_and_grad(labels, y_pred)
    with fo.target("reference"):
        wanted, expected = loss.value_and_grad(labels, y_pred)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
