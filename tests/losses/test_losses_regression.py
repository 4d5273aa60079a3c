"""The rest of the losses of regression and of two classes: torch and scikit-learn as judges, extremes, ends."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss

import fastopt as fo

L = fo.losses
TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", TARGETS)


def given(kind, rng=None):
    rng = rng or np.random.default_rng(0)
    normal, positive = rng.standard_normal((50, 7)), rng.exponential(size=(50, 7))
    labels = rng.integers(0, 2, (50, 7)).astype(float)
    return {
        "real": (normal, rng.standard_normal((50, 7))),
        "positive": (positive, rng.exponential(size=(50, 7))),
        "signs": (2 * labels - 1, normal),
        "labels": (labels, rng.uniform(0.01, 0.99, (50, 7))),
        "logits": (labels, 3 * normal),
    }[kind]


@for_each_target
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 3.0])
def test_torchs_smooth_l1_is_the_same(beta, target):
    y_true, y_pred = given("real")
    prediction = torch.tensor(y_pred, requires_grad=True)
    value = torch.nn.functional.smooth_l1_loss(prediction, torch.tensor(y_true), beta=beta)
    value.backward()
    with fo.target(target):
        own, gradient = L.SmoothL1(beta).value_and_grad(y_true, y_pred)
    assert own == pytest.approx(value.item(), rel=1e-13)
    np.testing.assert_allclose(gradient, prediction.grad.numpy(), rtol=1e-12, atol=1e-16)


@for_each_target
@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
def test_scikit_learns_pinball_loss_is_the_same(quantile, target):
    y_true, y_pred = given("real")
    with fo.target(target):
        assert L.quantile(y_true, y_pred, quantile) == pytest.approx(
            mean_pinball_loss(y_true, y_pred, alpha=quantile), rel=1e-13
        )


@for_each_target
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_cosh_keeps_its_digits_and_takes_any_error(dtype, target):
    errors = np.array([[0.0], [1e-4], [1e-3], [0.5], [0.69], [0.71], [5.0], [1e4], [-1e4], [1e30]], dtype)
    with fo.target(target):
        loss = L.LogCosh(reduction="none")
        value, gradient = loss.value_and_grad(np.zeros_like(errors), errors)
    size = np.abs(errors[:, 0].astype(np.float64))
    small = size**2 / 2 - size**4 / 12 + size**6 / 45
    expected = np.where(size < 1e-2, small, size + np.log1p(np.exp(-2 * size)) - np.log(2))
    if target != "reference":  # which is the definition, and cancels
        np.testing.assert_allclose(value, expected, rtol=1e-6 if dtype == "float32" else 1e-13)
    np.testing.assert_allclose(gradient[:, 0], np.tanh(errors[:, 0].astype(np.float64)), rtol=1e-6, atol=1e-16)


@for_each_target
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_at_extreme_logits(gamma, target):
    labels, logits = np.array([[1.0, 0, 1, 0, 1, 0]]), np.array([[1e4, -1e4, np.inf, -np.inf, -1e4, 1e4]])
    with fo.target(target):
        loss = L.BinaryFocalCrossentropy(gamma=gamma, from_logits=True)
        value, gradient = loss.value_and_grad(labels, logits)
    assert value == pytest.approx(2e4 / 6)
    np.testing.assert_allclose(gradient * 6, [[0, 0, 0, 0, -1, 1]])


@for_each_target
def test_focal_loss_with_gamma_0_is_the_cross_entropy(target):
    for kind, logits in (("labels", False), ("logits", True)):
        y_true, y_pred = given(kind)
        with fo.target(target):
            focal = L.BinaryFocalCrossentropy(gamma=0.0, from_logits=logits).value_and_grad(y_true, y_pred)
            plain = L.BinaryCrossentropy(from_logits=logits).value_and_grad(y_true, y_pred)
        assert focal[0] == pytest.approx(plain[0], rel=1e-12)
        np.testing.assert_allclose(focal[1], plain[1], rtol=1e-11, atol=1e-15)


@for_each_target
@pytest.mark.parametrize("name", ["SquaredHinge", "LogCosh", "Poisson", "Quantile", "SmoothL1"])
def test_long_rows_and_weights_of_zero(name, target):
    rng = np.random.default_rng(0)
    y_true = np.ones((2, 100_000), np.float32)
    y_pred = rng.uniform(0.5, 2.0, y_true.shape).astype(np.float32)
    with fo.target(target):
        loss = getattr(L, name)(reduction="none")
        value, gradient = loss.value_and_grad(y_true, y_pred, np.array([1.0, 0.0], np.float32))
        whole = loss(y_true.astype(np.float64), y_pred.astype(np.float64))
    assert value[0] == pytest.approx(whole[0], rel=1e-5)
    assert value[1] == 0
    np.testing.assert_array_equal(gradient[1], 0)


@for_each_target
def test_torch_and_scikit_learn_take_logarithms_the_same_way(target):
    from sklearn._loss.loss import ExponentialLoss, HalfGammaLoss, HalfPoissonLoss, HalfTweedieLoss

    rng = np.random.default_rng(6)
    y_pred, positive = rng.standard_normal(50), rng.exponential(size=50)
    labels, counts = rng.integers(0, 2, 50).astype(float), rng.poisson(2.0, 50).astype(float)
    distribution, logs = rng.dirichlet(np.ones(7), 9), np.log(rng.dirichlet(np.ones(7), 9))
    distribution[0] = np.eye(7)[0]
    prediction, many = torch.tensor(y_pred, requires_grad=True), torch.tensor(logs, requires_grad=True)
    torch.nn.functional.poisson_nll_loss(prediction, torch.tensor(counts)).backward()
    value = torch.nn.functional.kl_div(many, torch.tensor(distribution), reduction="batchmean")
    value.backward()
    with fo.target(target):
        for loss, judge, y_true in (
            (L.Gamma(), HalfGammaLoss(), positive), (L.Exponential(), ExponentialLoss(), labels),
            *((L.Tweedie(p), HalfTweedieLoss(power=p), positive) for p in (-1.0, 1.0, 1.3, 2.0, 3.0)),
            (L.Poisson(from_logarithms=True), HalfPoissonLoss(), counts),
        ):  # fmt: skip
            own, gradient = loss.value_and_grad(y_true, y_pred)
            wanted, slope = judge.loss_gradient(y_true, y_pred)
            np.testing.assert_allclose(gradient * 50, slope, rtol=1e-11, atol=1e-14)
            assert own == pytest.approx(wanted.mean(), rel=1e-12)
        np.testing.assert_allclose(gradient, prediction.grad.numpy(), rtol=1e-12, atol=1e-15)
        own, gradient = L.KLDivergence(from_logarithms=True).value_and_grad(distribution, logs)
    assert own == pytest.approx(value.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, many.grad.numpy(), rtol=1e-13)


def test_aliases():
    assert L.PinballLoss is L.Quantile
    assert L.pinball_loss is L.quantile
