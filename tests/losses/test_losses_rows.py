"""Further losses of rows and the Gaussian likelihood: torch as judge, finite differences, extremes."""

import numpy as np
import pytest
import torch

import fastopt as fo

L = fo.losses
for_each_target = pytest.mark.parametrize("target", ["cython", "numba", "reference"])
CLASSES = 7
FOCAL = {"alpha": 0.4, "gamma": 1.5, "label_smoothing": 0.1}
LOGITS = {"from_logits": True}
LOSSES = [
    ("CategoricalHinge", {}), ("Tversky", {"alpha": 0.7, "beta": 0.2}), ("Dice", {}),
    ("MultiMargin", {"margin": 0.4}), ("MultiMargin", {"p": 2}), ("CategoricalGeneralizedCrossEntropy", {"q": 0.3}),
    ("CategoricalFocalCrossentropy", FOCAL), ("CategoricalFocalCrossentropy", FOCAL | LOGITS),
    ("CategoricalFocalCrossentropy", LOGITS | {"gamma": 0.0}),
]  # fmt: skip


def given(name, options, rows=30, columns=CLASSES, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, columns, rows)
    scores = name in ("CategoricalHinge", "MultiMargin") or options.get("from_logits")
    y_pred = 2 * rng.standard_normal((rows, columns)) if scores else rng.dirichlet(np.ones(columns), rows)
    sparse = name in ("MultiMargin", "CategoricalGeneralizedCrossEntropy")
    return labels if sparse else (labels[:, None] == np.arange(columns)).astype(float), y_pred


@pytest.mark.parametrize(("name", "options"), LOSSES)
@pytest.mark.parametrize("columns", [CLASSES, 40])
def test_gradients_agree_with_finite_differences(name, options, columns):
    loss = getattr(L, name)(**options, reduction="sum")
    y_true, y_pred = given(name, options, 4, columns)
    _, gradient = loss.value_and_grad(y_true, y_pred)
    numeric = np.empty_like(y_pred)
    for index in np.ndindex(y_pred.shape):
        kept, step = y_pred[index], 1e-7
        ends = []
        for moved in (kept + step, kept - step):
            y_pred[index] = moved
            ends.append(loss(y_true, y_pred))
        y_pred[index] = kept
        numeric[index] = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-6)


@for_each_target
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("margin", [1.0, 0.3])
@pytest.mark.parametrize("columns", [CLASSES, 70])
def test_torchs_multi_margin_is_the_same(p, margin, columns, target):
    y_true, y_pred = given("MultiMargin", {}, columns=columns)
    prediction = torch.tensor(y_pred, requires_grad=True)
    value = torch.nn.functional.multi_margin_loss(prediction, torch.tensor(y_true), p=p, margin=margin)
    value.backward()
    with fo.target(target):
        own, gradient = L.MultiMargin(p, margin).value_and_grad(y_true, y_pred)
    assert own == pytest.approx(value.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, prediction.grad.numpy(), rtol=1e-12, atol=1e-15)


@for_each_target
def test_multi_margin_of_large_scores_keeps_its_margin(target):
    scores = np.full((1, 3), 2**31, np.float32)  # margin - own + other would be 0: the margin is lost in own
    with fo.target(target):
        value, gradient = L.MultiMargin(1, 1.0).value_and_grad(np.zeros(1, int), scores)
    assert value == pytest.approx(2 / 3)
    np.testing.assert_allclose(gradient, [[-2 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


@for_each_target
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(30, 7), (20,), (3, 4, 50)])
def test_torchs_gaussian_likelihood_is_the_same(full, shape, target):
    rng = np.random.default_rng(3)
    y_true, y_pred, var = rng.standard_normal(shape), rng.standard_normal(shape), rng.random(shape)
    mean, spread = torch.tensor(y_pred, requires_grad=True), torch.tensor(var, requires_grad=True)
    value = torch.nn.functional.gaussian_nll_loss(mean, torch.tensor(y_true), spread, full=full, eps=0.2)
    value.backward()
    with fo.target(target):
        own, gradient, gradient_var = L.GaussianNLL(full, 0.2).value_and_grad(y_true, y_pred, var)
        assert L.gaussian_nll(y_true, y_pred, var, full=full, eps=0.2) == pytest.approx(own, rel=1e-15)
    assert own == pytest.approx(value.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, mean.grad.numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(gradient_var, spread.grad.numpy(), rtol=1e-11, atol=1e-14)


@for_each_target
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_the_gaussian_take_the_place_of_predictions(dtype, target):
    rng = np.random.default_rng(4)
    y_true, y_pred, var = (rng.random((300, 11)).astype(dtype) for _ in range(3))
    weight = rng.random(300).astype(dtype)
    with fo.target(target):
        value, *apart = L.GaussianNLL().value_and_grad(y_true, y_pred, var, weight)
        again, *there = L.GaussianNLL().value_and_grad(y_true, y_pred, var, weight, out=y_pred, out_var=var)
    assert value == again
    assert there[0] is y_pred
    assert there[1] is var
    for one, other in zip(apart, there, strict=True):
        np.testing.assert_array_equal(one, other)


@for_each_target
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_logits_of_any_size(gamma, target):
    with fo.target(target):
        loss = L.CategoricalFocalCrossentropy(alpha=1.0, gamma=gamma, from_logits=True, reduction="none")
        y_pred = np.array([[1e4, -1e4], [-1e4, 1e4], [np.inf, 0.0], [0.0, -np.inf]], np.float32)
        value, gradient = loss.value_and_grad(np.array([[1.0, 0.0]] * 4, np.float32), y_pred)
    np.testing.assert_allclose(value, [0.0, 2e4, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(gradient, [[0, 0], [-1, 1], [0, 0], [0, 0]], atol=1e-6)


@for_each_target
def test_ends_of_probabilities(target):
    with fo.target(target):
        value, gradient = L.CategoricalGeneralizedCrossEntropy().value_and_grad(
            np.array([0, 0]), np.array([[0.0, 1.0], [1.0, 0.0]])
        )
        dice, slope = L.Dice(reduction="none").value_and_grad(np.zeros((1, 3)), np.zeros((1, 3)))
    assert value == 1.0
    np.testing.assert_array_equal(gradient, [[-np.inf, 0.0], [-0.5, 0.0]])
    assert dice[0] == 1.0  # two empty sets, as in Keras
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", [name for name, _ in LOSSES])
def test_one_class_and_very_many(name):
    options = dict(LOSSES)[name]
    for columns in (1, 100_000):
        y_true, y_pred = given(name, options, 2, columns)
        value, gradient = getattr(L, name)(**options).value_and_grad(y_true, y_pred)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
