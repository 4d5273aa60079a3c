"""fastopt.keras.losses beside Keras's own: values, gradients, configurations, saved models."""

import doctest
import inspect

import keras
import numpy as np
import pytest
import torch

from fastopt.keras import losses as ours
from fastopt.keras.losses import elements

RNG = np.random.default_rng(0)
REAL = RNG.standard_normal((6, 4, 5)).astype(np.float32)
TRUE = RNG.standard_normal((6, 4, 5)).astype(np.float32)
SHARES = np.exp(REAL) / np.exp(REAL).sum(-1, keepdims=True)
GIVEN = RNG.dirichlet(np.ones(5), (6, 4)).astype(np.float32)
BITS = RNG.integers(0, 2, (6, 4, 5)).astype(np.float32)
LABELS = RNG.integers(0, 5, (6, 4))
CASES = [
    ("MeanSquaredError", {}, TRUE, REAL),
    ("MeanAbsoluteError", {}, TRUE, REAL),
    ("MeanAbsolutePercentageError", {}, TRUE, REAL),
    ("MeanSquaredLogarithmicError", {}, TRUE, REAL),
    ("Huber", {"delta": 0.7}, TRUE, REAL),
    ("LogCosh", {}, TRUE, REAL),
    ("Poisson", {}, BITS, SHARES),
    ("Hinge", {}, BITS, REAL),
    ("Hinge", {}, 3 * BITS - 1, REAL),
    ("SquaredHinge", {}, 2 * BITS - 1, REAL),
    ("BinaryCrossentropy", {}, BITS, SHARES),
    ("BinaryCrossentropy", {"axis": 1, "label_smoothing": 0.1}, BITS, SHARES),
    ("BinaryCrossentropy", {}, BITS, 1.2 * SHARES.round() - 0.1),
    ("BinaryCrossentropy", {"from_logits": True, "axis": (1, 2)}, BITS, REAL),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True}, BITS, SHARES),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 3.0, "label_smoothing": 0.1}, BITS, REAL),
    ("KLDivergence", {}, GIVEN, SHARES),
    ("CosineSimilarity", {}, TRUE, REAL),
    ("CosineSimilarity", {"axis": 0}, TRUE, REAL),
    ("CategoricalHinge", {}, GIVEN, REAL),
    ("CategoricalCrossentropy", {}, GIVEN, SHARES),
    ("CategoricalCrossentropy", {}, 0 * GIVEN, SHARES),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, GIVEN, REAL),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1, "axis": 1}, GIVEN, REAL),
    ("CategoricalCrossentropy", {"from_logits": True, "axis": 1}, GIVEN, REAL),
    ("CategoricalFocalCrossentropy", {}, GIVEN, SHARES),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "alpha": 0.5}, GIVEN, REAL),
    ("CategoricalFocalCrossentropy", {"alpha": [0.1, 0.2, 0.3, 0.2, 0.2]}, GIVEN, SHARES),
    ("SparseCategoricalCrossentropy", {}, LABELS, SHARES),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS[..., None], REAL),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": 2}, LABELS, REAL),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1, "axis": 1}, LABELS[:, :1].repeat(5, 1) % 4 - 1, SHARES),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, LABELS, SHARES),
    ("Dice", {}, BITS, SHARES),
    ("Dice", {"axis": (1, 2)}, BITS, SHARES),
    ("Tversky", {"alpha": 0.3, "beta": 0.7, "axis": -1}, BITS, SHARES),
    # broadcast, squeezed, of one axis, of another type, empty, of integers
    ("MeanSquaredError", {}, TRUE[:1], REAL),
    ("MeanSquaredError", {}, TRUE[0, :, 0], REAL[0, :, :1]),
    ("LogCosh", {}, TRUE[0, 0], REAL[0, 0]),
    ("KLDivergence", {}, GIVEN[0], SHARES),
    ("Hinge", {}, BITS[:, :1], REAL),
    ("CosineSimilarity", {}, TRUE[..., :1], REAL),
    ("Dice", {}, BITS[..., :1], SHARES),
    ("Tversky", {}, BITS[:1], SHARES),
    ("MeanAbsoluteError", {"dtype": "float64"}, TRUE, REAL),
    ("MeanAbsoluteError", {"dtype": "bfloat16"}, TRUE, REAL),
    ("BinaryCrossentropy", {"dtype": "float16", "from_logits": True}, BITS, REAL),
    ("MeanSquaredError", {}, TRUE[:0], REAL[:0]),
    ("MeanSquaredError", {}, BITS.astype(int), BITS.astype(int) + 1),
]  # fmt: skip
IDS = [f"{number}-{case[0]}" for number, case in enumerate(CASES)]


def run(loss, y_true, y_pred, sample_weight=None):
    y_pred = torch.tensor(y_pred, requires_grad=np.asarray(y_pred).dtype == np.float32)
    value = loss(y_true, y_pred, sample_weight)
    if y_pred.requires_grad:
        (value * torch.arange(1, 1 + value.numel()).reshape(value.shape)).sum().backward()
    return value.detach(), y_pred.grad


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras reading a list of tensors
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", None])
@pytest.mark.parametrize(("name", "options", "y_true", "y_pred"), CASES, ids=IDS)
def test_values_and_gradients_are_those_of_keras(name, options, y_true, y_pred, reduction):
    said = {**options, "reduction": reduction}
    y_true = torch.tensor(y_true) if reduction else y_true  # tensors that need no conversion take a shorter way
    value, gradient = run(getattr(ours, name)(**said), y_true, y_pred)
    expected, slope = run(getattr(keras.losses, name)(**said), y_true, y_pred)
    assert value.dtype == expected.dtype
    assert value.shape == expected.shape
    few = options.get("dtype") in ("bfloat16", "float16")  # Keras rounds every step of the way to 8 or 11 bits
    tolerance = {"rtol": 3e-2, "atol": 3e-2} if few else {"rtol": 2e-5, "atol": 2e-6}
    torch.testing.assert_close(value, expected, equal_nan=True, **tolerance)
    if slope is not None:
        assert gradient.dtype == slope.dtype
        torch.testing.assert_close(gradient, slope, equal_nan=True, **tolerance)


def test_a_loss_of_bare_tensors_is_reduced_by_the_kernel(monkeypatch):
    loss, y_pred = ours.SparseCategoricalCrossentropy(from_logits=True), torch.tensor(REAL, requires_grad=True)
    expected = loss(LABELS, y_pred)
    monkeypatch.setattr(keras.losses.Loss, "__call__", None)
    torch.testing.assert_close(loss(torch.tensor(LABELS), y_pred), expected)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1), (6, 1), (1, 4), (4,), ()])
def test_weights_of_bare_tensors_are_those_of_keras(shape, kind, reduction):
    weight = torch.tensor(3.0 * RNG.standard_normal(shape)).to(getattr(torch, kind))
    results = []
    for room in (ours, keras.losses):
        for name, y_true in (("SparseCategoricalCrossentropy", LABELS), ("Huber", TRUE)):
            options = {"from_logits": True} if y_true is LABELS else {}
            loss = getattr(room, name)(reduction=reduction, **options)
            results.append(run(loss, torch.tensor(y_true), REAL, weight))
    torch.testing.assert_close(results[:2], results[2:], rtol=2e-5, atol=1e-6)


def test_weights_of_samples_are_the_kernels(monkeypatch):
    loss, weight = ours.MeanSquaredError(), torch.rand(6, 4)
    expected = loss(TRUE, torch.tensor(REAL), weight)
    monkeypatch.setattr(keras.losses.Loss, "__call__", None)
    torch.testing.assert_close(loss(torch.tensor(TRUE), torch.tensor(REAL), weight), expected)


def test_weights_may_have_gradients_and_sum_to_nothing():
    results = []
    for room in (ours, keras.losses):
        weight = torch.linspace(0, 1, 24).reshape(6, 4).requires_grad_()
        room.MeanSquaredError()(torch.tensor(TRUE), torch.tensor(REAL), weight).backward()
        none = room.MeanSquaredError("mean_with_sample_weight")(
            torch.tensor(TRUE), torch.tensor(REAL), torch.zeros(6, 4)
        )
        results.append((weight.grad, none))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("ignored", [None, 2])
def test_masks_of_predictions_are_those_of_keras(ignored):
    results = []
    for room in (ours, keras.losses):
        y_pred = torch.tensor(REAL)
        y_pred._keras_mask = torch.tensor(RNG.random((6, 4)) < 2) & (torch.arange(4) > 1)
        loss = room.SparseCategoricalCrossentropy(from_logits=True, ignore_class=ignored)
        results.append(loss(torch.tensor(LABELS), y_pred))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("weight", [0.5, -1.0, RNG.random(4), RNG.random((6, 1)), RNG.random((6, 4))], ids=str)
def test_weights_are_those_of_keras(weight):
    weight = np.asarray(weight, np.float32)
    value, gradient = run(ours.Huber(), TRUE, REAL, weight)
    expected, slope = run(keras.losses.Huber(), TRUE, REAL, weight)
    torch.testing.assert_close((value, gradient), (expected, slope))


@pytest.mark.parametrize("name", [name for name in ours.__all__ if name[0].isupper()])
def test_classes_are_keras_classes_with_their_arguments(name):
    ours_, theirs = getattr(ours, name), getattr(keras.losses, name)
    assert issubclass(ours_, theirs)
    said = inspect.signature(ours_.__init__).parameters
    expected = inspect.signature(theirs.__init__).parameters
    assert [(one.name, one.default) for one in said.values()] == [(one.name, one.default) for one in expected.values()]
    loss = ours_()
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is ours_
    assert again.get_config() == loss.get_config() == theirs().get_config()


@pytest.mark.parametrize("name", [name for name in ours.__all__ if name[0].islower()])
def test_functions_have_keras_arguments(name):
    said, expected = (inspect.signature(getattr(room, name)).parameters for room in (ours, keras.losses))
    assert [(one.name, one.default) for one in said.values()] == [(one.name, one.default) for one in expected.values()]


@pytest.mark.parametrize(("name", "y_true"), [("MeanSquaredError", TRUE), ("KLDivergence", GIVEN)])
def test_labels_that_want_a_gradient_get_it(name, y_true):
    y_true = torch.tensor(y_true, requires_grad=True)
    getattr(ours, name)()(y_true, torch.tensor(SHARES)).backward()
    grad, y_true.grad = y_true.grad, None
    getattr(keras.losses, name)()(y_true, torch.tensor(SHARES)).backward()
    torch.testing.assert_close(grad, y_true.grad)


def test_what_keras_refuses_is_refused_in_its_words():
    with pytest.raises(ValueError, match="must have the same shape"):
        ours.CategoricalCrossentropy()(GIVEN[:, :2], SHARES)
    with pytest.raises(IndexError, match="out of bounds"):
        ours.SparseCategoricalCrossentropy()(LABELS + 5, SHARES)
    with pytest.raises(ValueError, match="interval"):
        ours.CategoricalGeneralizedCrossEntropy(q=2.0)


def test_the_inputs_are_left_as_they_are():
    true, pred = GIVEN.copy(), REAL.copy()
    run(ours.CategoricalCrossentropy(from_logits=True), true, pred)
    np.testing.assert_array_equal(true, GIVEN)
    np.testing.assert_array_equal(pred, REAL)


@pytest.mark.parametrize("loss", [ours.SparseCategoricalCrossentropy(), ours.sparse_categorical_crossentropy])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_model_fits_and_is_saved(loss, tmp_path):
    x, y = RNG.standard_normal((64, 8)).astype(np.float32), RNG.integers(0, 3, 64)
    histories = []
    for one in (loss, "sparse_categorical_crossentropy"):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, activation="softmax")])
        model.compile("sgd", one)
        histories.append(model.fit(x, y, epochs=3, batch_size=16, verbose=0).history["loss"])
        if one is loss:
            model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(*histories, rtol=1e-5)
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.loss is loss or type(again.loss) is type(loss)
    np.testing.assert_allclose(again.evaluate(x, y, verbose=0), keras.losses.sparse_categorical_crossentropy(
        y, again.predict(x, verbose=0)
    ).mean().item(), rtol=1e-5)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "options"),
    [
        ("huber", TRUE, REAL, {"delta": torch.tensor([0.1, 0.5, 1.0, 2.0, 3.0])}),
        ("binary_focal_crossentropy", BITS, SHARES, {"alpha": None}),
        ("sparse_categorical_crossentropy", LABELS + 0.4, REAL, {"from_logits": True}),
        ("sparse_categorical_crossentropy", LABELS, REAL, {"from_logits": True, "ignore_class": 1.5}),
        ("sparse_categorical_crossentropy", LABELS + 0.4, REAL, {"from_logits": True, "ignore_class": 1}),
        ("categorical_generalized_cross_entropy", LABELS[:4, :1], SHARES[:4, 0], {"q": 0.5}),
        ("mean_squared_error", TRUE[:, :, ::-1], REAL.transpose(0, 1, 2)[::-1], {}),
    ],
)
def test_odd_arguments_mean_what_they_mean_to_keras(name, y_true, y_pred, options):
    y_true, y_pred = torch.tensor(y_true.copy()), torch.tensor(y_pred.copy())
    found, expected = (getattr(room, name)(y_true, y_pred, **options) for room in (ours, keras.losses))
    torch.testing.assert_close(found, expected)


def test_a_label_of_nan_is_refused():
    with pytest.raises(IndexError, match="out of bounds"):
        ours.sparse_categorical_crossentropy(torch.tensor([0.0, float("nan")]), torch.zeros(2, 3), from_logits=True)


def test_transforms_of_functions_are_left_to_keras():
    x, y = torch.tensor(REAL[0]), torch.tensor(TRUE[0])
    slope = torch.func.grad(lambda x: ours.mean_squared_error(y, x).sum())(x)
    torch.testing.assert_close(slope, 2 * (x - y) / 5)
    values = torch.func.vmap(ours.mean_squared_error)(y, x)
    torch.testing.assert_close(values, ((x - y) ** 2).mean(-1))


def test_symbolic_tensors_are_left_to_keras():
    found = ours.mean_squared_error(keras.KerasTensor((2, 3)), keras.KerasTensor((2, 3)))
    assert found.shape == (2,)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_examples_do_what_they_say():
    result = doctest.testmod(elements)
    assert result.attempted > 0
    assert result.failed == 0
