"""Losses: gradients by finite differences, torch as outside judge, gradients in place, extreme logits."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import fastopt as fo

ROWS, COLUMNS = 6, 5


def distribution(rng, shape=(ROWS, COLUMNS)):
    x = rng.uniform(0.1, 1.0, shape)
    return x / x.sum(axis=-1, keepdims=True)


def case(name, rng):
    """Return a loss with its targets and predictions, away from kinks."""
    L = fo.losses
    shape = (ROWS, COLUMNS)
    x, t = rng.standard_normal(shape) * 2, rng.standard_normal(shape)
    zero_one, labels = rng.integers(0, 2, shape).astype(float), rng.integers(0, COLUMNS, ROWS)
    p = rng.uniform(0.1, 0.9, shape)
    return {
        "mse": (L.MeanSquaredError(), t, x),
        "mae": (L.MeanAbsoluteError(), t, x),
        "huber": (L.Huber(delta=0.7), t, x),
        "bce": (L.BinaryCrossentropy(), zero_one, p),
        "bce smoothed": (L.BinaryCrossentropy(label_smoothing=0.2), zero_one, p),
        "bce logits": (L.BinaryCrossentropy(from_logits=True, label_smoothing=0.1), zero_one, x),
        "hinge": (L.Hinge(), 2 * zero_one - 1, x),
        "categorical": (L.CategoricalCrossentropy(), distribution(rng), distribution(rng)),
        "categorical logits": (L.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), distribution(rng), x),
        "sparse": (L.SparseCategoricalCrossentropy(), labels, distribution(rng)),
        "sparse logits": (L.SparseCategoricalCrossentropy(from_logits=True), labels, x),
        "sparse ignored": (L.SparseCategoricalCrossentropy(from_logits=True, ignore_class=int(labels[0])), labels, x),
        "kl": (L.KLDivergence(), distribution(rng), distribution(rng)),
        "cosine": (L.CosineProximity(), t, x),
    }[name]


NAMES = (
    "mse", "mae", "huber", "bce", "bce smoothed", "bce logits", "hinge", "categorical", "categorical logits", "sparse",
    "sparse logits", "sparse ignored", "kl", "cosine",
)  # fmt: skip


@pytest.mark.parametrize("target", ["cython", "numba", "reference"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name, weighted, target):
    rng = np.random.default_rng(3)
    loss, y_true, y_pred = case(name, rng)
    weight = rng.uniform(0, 2, ROWS) if weighted else None
    with fo.target(target):
        value, gradient = loss.value_and_grad(y_true, y_pred, sample_weight=weight)
        assert value == pytest.approx(loss(y_true, y_pred, sample_weight=weight), rel=1e-12)
        step = 1e-6
        for at in np.ndindex(y_pred.shape):
            up, down = y_pred.copy(), y_pred.copy()
            up[at] += step
            down[at] -= step
            slope = (loss(y_true, up, sample_weight=weight) - loss(y_true, down, sample_weight=weight)) / (2 * step)
            assert gradient[at] == pytest.approx(slope, rel=1e-5, abs=1e-8)


JUDGES = {
    "mse": lambda t, x: F.mse_loss(x, t),
    "mae": lambda t, x: F.l1_loss(x, t),
    "huber": lambda t, x: F.huber_loss(x, t, delta=0.7),
    "bce": lambda t, x: F.binary_cross_entropy(x, t),
    "bce logits": lambda t, x: F.binary_cross_entropy_with_logits(x, 0.9 * t + 0.05),
    "categorical logits": lambda t, x: F.cross_entropy(x, t, label_smoothing=0.1),
    "sparse logits": lambda t, x: F.cross_entropy(x, t),
    "kl": lambda t, x: F.kl_div(x.log(), t, reduction="batchmean"),
    "cosine": lambda t, x: -F.cosine_similarity(x, t).mean(),
}


@pytest.mark.parametrize("name", JUDGES)
def test_torch_agrees(name):
    loss, y_true, y_pred = case(name, np.random.default_rng(4))
    x = torch.from_numpy(y_pred.copy()).requires_grad_()
    judged = JUDGES[name](torch.from_numpy(y_true), x)
    judged.backward()
    value, gradient = loss.value_and_grad(y_true, y_pred)
    assert value == pytest.approx(judged.item(), rel=1e-10)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_may_take_the_place_of_the_predictions(name):
    loss, y_true, y_pred = case(name, np.random.default_rng(5))
    value, gradient = loss.value_and_grad(y_true, y_pred)
    same_value, same = loss.value_and_grad(y_true, y_pred, out=y_pred)
    assert same is y_pred
    assert value == same_value
    np.testing.assert_array_equal(same, gradient)


@pytest.mark.parametrize("size", [1e4, np.inf])
def test_binary_logits_are_stable_at_the_ends(size):
    loss = fo.losses.BinaryCrossentropy(from_logits=True, reduction="none")
    x = np.array([size, -size], np.float32)
    for y_true, wrong in ((np.array([1, 0], np.float32), 0.0), (np.array([0, 1], np.float32), size)):
        value, gradient = loss.value_and_grad(y_true, x)
        np.testing.assert_array_equal(value, np.full(2, wrong, np.float32))
        assert np.all(np.isfinite(gradient))


def test_softmax_is_stable_at_extreme_logits_and_ignores_what_it_is_told_to():
    loss = fo.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    x = np.array([[1e4, -1e4, 0], [3, 2, 1]], np.float32)
    value, gradient = loss.value_and_grad(np.array([0, -1]), x)
    assert value == 0.0
    np.testing.assert_array_equal(gradient, np.zeros((2, 3), np.float32))
    value, gradient = loss.value_and_grad(np.array([-1, -1]), x)
    assert value == 0.0
    assert not gradient.any()
