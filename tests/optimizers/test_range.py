"""Steps are right over the whole range of their type: norms, clipping, layers, momentum."""

import numpy as np
import pytest

import fastopt as fo
from fastopt.optimizers import LAMB, LARS, SGD, Adafactor, Muon

TARGETS = ("cython", "reference")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_norms_are_right_over_the_whole_range(target, size):
    w = np.zeros(2)
    opt = SGD(w, lr=1.0, clip_norm=min(1.0, size))
    with fo.target(target):
        stats = opt.step(np.array([3.0, 4.0]) * size, return_stats=True)
    assert stats.gradient_norm == pytest.approx(5 * size, rel=1e-12)
    np.testing.assert_allclose(w, np.array([-0.6, -0.8]) * min(1.0, size), rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_single_gradients_are_clipped_over_the_whole_range(target, size):
    w = [np.zeros(2), np.zeros(2)]
    with fo.target(target):
        SGD(w, lr=1.0, clip_each=size).step([np.array([3.0, 4.0]) * size, np.array([0.3, 0.4]) * size])
    np.testing.assert_allclose(w[0], np.array([-0.6, -0.8]) * size, rtol=1e-12)
    np.testing.assert_allclose(w[1], np.array([-0.3, -0.4]) * size, rtol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [1e200, 1e-200])
@pytest.mark.parametrize(("made", "slope"), [
    (lambda w, size: LARS(w, weight_decay=0.1), True),
    (lambda w, size: LARS(w, weight_decay=0.1, clip_value=1.5 * size, decoupled_weight_decay=True), True),
    (lambda w, size: LAMB(w, lr=0.1), False),
    (lambda w, size: LAMB(w, lr=0.1, clip_value=1.5, state_dtype="bfloat16"), False),
    (lambda w, size: Adafactor(w, lr=0.1, eps=(1e-7, 0.0)), False),
])  # fmt: skip
def test_layers_are_measured_over_the_whole_range(made, slope, size, target):
    """A step of parameters (and gradients, where that is so) in another unit is the same step in that unit."""
    start, grad = np.array([[3.0, 4.0, -1.0]]), np.array([[1.0, -2.0, 0.5]])
    w, plain = start * size, start.copy()
    with fo.target(target):
        made(w, size).step(grad * size if slope else grad)
        made(plain, 1.0).step(grad)
    np.testing.assert_allclose(w / size, plain, rtol=1e-12)
    assert (plain != start).all()


def test_muon_of_huge_momentum():
    w, small = np.zeros((3, 3), np.float32), np.zeros((3, 3), np.float32)
    grad = np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32)
    Muon(w, lr=1.0).step(grad * np.float32(1e25))
    Muon(small, lr=1.0).step(grad)
    np.testing.assert_allclose(w, small, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_adafactor_keeps_no_bound_that_nan_has_passed(target):
    w = np.ones((2, 2), np.float32)
    with fo.target(target):
        Adafactor(w, lr=0.1).step(np.array([[1e20, 1.0], [1.0, 1.0]], np.float32))
    assert np.isnan(w).all() if target == "cython" else np.isfinite(w).all()  # 1e40 is no float32
