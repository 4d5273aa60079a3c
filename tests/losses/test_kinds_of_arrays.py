"""Labels of any integer type, logits of 16 bits, and arrays that mean more than numbers."""

import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.kernels.losses import formulas
from fastopt.kernels.runtime.kinds import bfloat16
from fastopt.kernels.runtime.targets import way

TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", TARGETS)
L = fo.losses


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@for_each_target
@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4"])
def test_labels_are_of_any_integer_dtype(dtype, target, rng):
    y_pred, labels = rng.standard_normal((4, 3)), np.array([2, 0, 1, 2])
    loss = L.SparseCategoricalCrossentropy(from_logits=True)
    expected = loss(labels, y_pred)
    with fo.target(target):
        assert loss(labels.astype(dtype), y_pred) == pytest.approx(expected, rel=1e-14)
        assert loss(labels.astype(dtype)[:, None], y_pred) == pytest.approx(expected, rel=1e-14)
        assert loss(np.repeat(labels, 2).astype(dtype)[::2], y_pred) == pytest.approx(expected, rel=1e-14)


def test_an_unsigned_label_is_no_negative_one():
    y_pred = np.zeros((2, 3))
    loss = L.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    with pytest.raises(ValueError, match="y_true: expected labels in"):
        loss(np.array([0, 255], np.uint8), y_pred)
    with pytest.raises(ValueError, match="y_true: expected labels below"):
        loss(np.array([0, 2**64 - 1], np.uint64), y_pred)


@for_each_target
@pytest.mark.parametrize("stored", [np.float16, "bfloat16"])
@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize("columns", [3, 40, 1500])
def test_logits_of_16_bits_are_those_numbers_in_float32(columns, reduced, stored, target, rng):
    """Values are the same to the bit, in float32; the gradient is that in float32, rounded (of the reference, that in
    float64)."""
    stored = bfloat16() if stored == "bfloat16" else np.dtype(stored)
    logits, labels = rng.standard_normal((6, columns)).astype(stored), rng.integers(0, columns, 6)
    rounding, smallest = (2.0**-8, 2.0**-134) if stored == bfloat16() else (2.0**-11, 2.0**-25)
    formula = formulas.sparse_categorical_crossentropy(columns, True)
    found = []
    with fo.target(target):
        for given in (logits, logits.astype(np.float32)):
            out = np.empty_like(given)
            value = way("losses").evaluate(formula, labels, given, out, leading=(6,), factor=1.0 / 6.0, reduced=reduced)
            found.append((value, out))
    (value, gradient), (wanted, slope) = found
    assert np.asarray(value).dtype == (np.float64 if reduced else np.float32)
    np.testing.assert_array_equal(value, wanted)
    assert gradient.dtype == stored
    np.testing.assert_allclose(gradient.astype(np.float64), slope, rtol=rounding + 2.0**-24, atol=smallest)


class Metres(np.ndarray):
    """An array with a unit."""


def test_what_means_more_than_numbers_is_refused():
    y_true, y_pred = np.zeros((2, 2)), np.ma.array(np.full((2, 2), 2.0), mask=[[False, True], [False, True]])
    with pytest.raises(TypeError, match=r"^y_pred: expected a plain NumPy array.*\.filled\(.*mask="):
        L.mean_squared_error(y_true, y_pred)
    with pytest.raises(TypeError, match=r"^y_true: expected a plain NumPy array"):
        L.mean_squared_error(y_pred, y_true)
    with pytest.raises(TypeError, match=r"^y_true: expected a plain NumPy array .*, got Metres"):
        L.mean_squared_error(y_true.view(Metres), y_true)
    with pytest.raises(TypeError, match=r"^y_true: expected a plain NumPy array"):
        L.sparse_categorical_crossentropy(np.ma.array([0, 1], mask=[0, 1]), y_true + 0.5)
    with pytest.raises(TypeError, match=r"^mask: expected a plain NumPy array"):
        L.mean_squared_error(y_true, y_true, mask=np.ma.array([True, True]))


@pytest.mark.parametrize(
    ("y_pred", "remedy"),
    [
        ([[1.0, 2.0]], "write np.asarray(y_pred, 'float32')"),
        (torch.ones(1, 2), "write y_pred.detach().numpy()"),
        (np.ones((1, 2), int), "convert it with astype('float32')"),
        ((x for x in (1.0, 2.0)), "write np.array(list(y_pred), 'float32')"),
        (np.ones((1, 2), "float16"), "convert it with astype('float32')"),
    ],
)
def test_a_refusal_says_what_to_write(y_pred, remedy):
    with pytest.raises(TypeError) as caught:
        L.mean_squared_error(np.ones((1, 2), "float32"), y_pred)
    assert remedy in str(caught.value)


def test_the_remedy_for_a_place_of_results_is_no_copy():
    y_pred = np.ones((2, 2), "float32")
    with pytest.raises(TypeError, match=r"^out: expected float32, got .*; make one with np\.empty\(\(2, 2\), "):
        L.MeanSquaredError().value_and_grad(y_pred, y_pred, out=np.ones((2, 2)))
