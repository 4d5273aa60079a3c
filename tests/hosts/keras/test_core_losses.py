"""fastopt.losses give what Keras's losses give, value and gradient; the optimizers' turn is in test_semantics.py."""

import keras
import numpy as np
import pytest
import torch

import fastopt as fo

L = fo.losses
for_each_target = pytest.mark.parametrize("target", ["cython", "numba", "reference"])


# ---- of elements


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


FOCAL = {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5, "label_smoothing": 0.1}
KERAS = [
    ("SquaredHinge", "signs", {}),
    ("LogCosh", "real", {}),
    ("MeanSquaredLogarithmicError", "positive", {}),
    ("MeanAbsolutePercentageError", "real", {}),
    ("Poisson", "positive", {}),
    ("BinaryFocalCrossentropy", "labels", {}),
    ("BinaryFocalCrossentropy", "labels", FOCAL),
    ("BinaryFocalCrossentropy", "logits", {"from_logits": True, **FOCAL}),
    ("BinaryFocalCrossentropy", "logits", {"from_logits": True, "gamma": 0.0}),
]


@for_each_target
@pytest.mark.parametrize(("name", "kind", "options"), KERAS)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_elements_are_the_same(name, kind, options, weighted, target):
    y_true, y_pred = given(kind)
    weight = np.random.default_rng(1).uniform(0, 2, 50) if weighted else None
    prediction = torch.tensor(y_pred, requires_grad=True)
    judge = getattr(keras.losses, name)(**options)
    value = judge(torch.tensor(y_true), prediction, None if weight is None else torch.tensor(weight))
    value.backward()
    with fo.target(target):
        own, gradient = getattr(L, name)(**options).value_and_grad(y_true, y_pred, weight)
    assert own == pytest.approx(value.item(), rel=3e-6)  # Keras computes in float32
    np.testing.assert_allclose(gradient, prediction.grad.numpy(), rtol=2e-5, atol=1e-7)


# ---- of rows

CLASSES = 7
ROW_FOCAL = {"alpha": 0.4, "gamma": 1.5, "label_smoothing": 0.1}
LOGITS = {"from_logits": True}
LOSSES = [
    ("CategoricalHinge", {}), ("Tversky", {"alpha": 0.7, "beta": 0.2}), ("Dice", {}),
    ("MultiMargin", {"margin": 0.4}), ("MultiMargin", {"p": 2}), ("CategoricalGeneralizedCrossEntropy", {"q": 0.3}),
    ("CategoricalFocalCrossentropy", ROW_FOCAL), ("CategoricalFocalCrossentropy", ROW_FOCAL | LOGITS),
    ("CategoricalFocalCrossentropy", LOGITS | {"gamma": 0.0}),
]  # fmt: skip


def rows_given(name, options, rows=30, columns=CLASSES, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, columns, rows)
    scores = name in ("CategoricalHinge", "MultiMargin") or options.get("from_logits")
    y_pred = 2 * rng.standard_normal((rows, columns)) if scores else rng.dirichlet(np.ones(columns), rows)
    sparse = name in ("MultiMargin", "CategoricalGeneralizedCrossEntropy")
    return labels if sparse else (labels[:, None] == np.arange(columns)).astype(float), y_pred


@for_each_target
@pytest.mark.parametrize(
    ("name", "options"), [(n, o) for n, o in LOSSES if n not in ("Tversky", "Dice", "MultiMargin")]
)
def test_losses_of_rows_are_the_same(name, options, target):
    y_true, y_pred = rows_given(name, options)
    weight = np.random.default_rng(1).uniform(0, 2, len(y_pred))
    prediction = torch.tensor(y_pred, requires_grad=True)
    value = getattr(keras.losses, name)(**options)(torch.tensor(y_true), prediction, torch.tensor(weight))
    value.backward()
    with fo.target(target):
        own, gradient = getattr(L, name)(**options).value_and_grad(y_true, y_pred, weight)
    assert own == pytest.approx(value.item(), rel=3e-6)  # Keras computes in float32
    np.testing.assert_allclose(gradient, prediction.grad.numpy(), rtol=3e-5, atol=1e-6)


@for_each_target
@pytest.mark.parametrize(("name", "options"), [("Tversky", {"alpha": 0.7, "beta": 0.2}), ("Dice", {})])
def test_overlaps_are_the_same_for_one_set(name, options, target):
    rng = np.random.default_rng(2)
    y_true, y_pred = rng.integers(0, 2, (5, 50)).astype(float), rng.random((5, 50))
    prediction = torch.tensor(y_pred, requires_grad=True)
    value = getattr(keras.losses, name)(**options)(torch.tensor(y_true), prediction)
    value.backward()
    with fo.target(target):
        own, gradient = getattr(L, name)(**options).value_and_grad(y_true.reshape(1, -1), y_pred.reshape(1, -1))
    assert own == pytest.approx(value.item(), rel=3e-6)
    np.testing.assert_allclose(gradient.reshape(5, 50), prediction.grad.numpy(), rtol=3e-5, atol=1e-8)
