"""fastopt.keras.layers beside Keras's own: values, gradients, moving statistics, saved models."""

import doctest
import inspect

import keras
import numpy as np
import pytest
import torch

from fastopt.keras import layers as ours
from fastopt.keras.layers import normalization
from fastopt.kernels.runtime.targets import way

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's to NumPy

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 6, 5, 8)).astype(np.float32) * 3.0 + 1.0
CASES = [
    ("BatchNormalization", {}, X),
    ("BatchNormalization", {"axis": 1, "momentum": 0.7}, X),
    ("BatchNormalization", {"axis": -2, "center": False}, X),
    ("BatchNormalization", {"scale": False, "epsilon": 1e-2}, X[:, :, 0, 0]),
    ("BatchNormalization", {"center": False, "scale": False}, X[:1, :1, 0]),
    ("BatchNormalization", {"renorm": True}, X),
    ("LayerNormalization", {}, X),
    ("LayerNormalization", {"axis": [-1, -2], "center": False}, X),
    ("LayerNormalization", {"axis": (1, 2, 3), "scale": False}, X),
    ("RMSNormalization", {}, X),
    ("RMSNormalization", {"axis": (2, 3), "epsilon": 1e-3}, X),
    ("UnitNormalization", {}, X),
    ("UnitNormalization", {"axis": 1}, X),
    ("UnitNormalization", {"axis": [-1, 1]}, X),
    ("GroupNormalization", {"groups": 4}, X),
    ("GroupNormalization", {"groups": 2, "axis": 1, "scale": False}, X),
    ("GroupNormalization", {"groups": -1, "axis": 2, "center": False}, X),
    ("GroupNormalization", {"groups": 2}, X[:, 0, 0]),
]
IDS = [f"{number}-{case[0]}" for number, case in enumerate(CASES)]
POLICIES = ["float32", "float64", "mixed_bfloat16", "float16"]


def run(room, name, options, x, training=None, mask=None, dtype="float32"):
    """Return the result, the gradients of the inputs and the weights, and the weights after three calls."""
    keras.utils.set_random_seed(0)
    layer = getattr(room, name)(**options, dtype=dtype)
    layer.build(x.shape)
    for weight in layer.trainable_weights:
        weight.assign(keras.random.uniform(weight.shape, 0.5, 1.5, seed=1))
    kind = layer.compute_dtype
    x = torch.tensor(x).to(getattr(torch, kind)).requires_grad_()
    more = {} if training is None else {"training": training}
    more |= {} if mask is None else {"mask": torch.tensor(mask)}
    for _ in range(3):
        y = layer(x, **more)
    slope = torch.linspace(-1.0, 1.0, y.numel(), dtype=y.dtype).reshape(y.shape)
    (y * slope).sum().backward()
    gradients = [x.grad, *[weight.value.grad for weight in layer.trainable_weights]]
    return y.detach(), gradients, [weight.value.detach() for weight in layer.weights]


def assert_same(found, expected, dtype="float32"):
    few = {"rtol": 3e-2, "atol": 5e-2 if dtype == "mixed_bfloat16" else 1e-2}
    tolerance = few if "16" in dtype else {"rtol": 2e-4, "atol": 2e-5}
    torch.testing.assert_close(found, expected, **tolerance)


@pytest.mark.parametrize("dtype", POLICIES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "options", "x"), CASES, ids=IDS)
def test_values_gradients_and_statistics_are_those_of_keras(name, options, x, training, dtype):
    if name != "BatchNormalization":
        training = None
    found, expected = (run(room, name, options, x, training, dtype=dtype) for room in (ours, keras.layers))
    assert_same(found, expected, dtype)


@pytest.mark.parametrize("mask", [
    RNG.random((4, 6, 5)) < 0.7, RNG.random((4, 1, 1)) < 2, np.zeros((4, 6, 5), bool), RNG.random((4, 6, 5)).round(),
], ids=["some", "all", "none", "numbers"])  # fmt: skip
@pytest.mark.parametrize("training", [True, False])
def test_masks_are_those_of_keras(mask, training):
    assert_same(*(run(room, "BatchNormalization", {}, X, training, mask) for room in (ours, keras.layers)))


@pytest.mark.parametrize("axes", [(1,), (2,), (1, 3)], ids=str)
@pytest.mark.parametrize("name", ["LayerNormalization", "RMSNormalization"])
def test_any_axes_may_be_rows(name, axes):
    """Keras's own fail under torch, but for the last axes."""
    last = tuple(range(4 - len(axes), 4))
    moved = np.moveaxis(X, axes, last)
    layer, judge = getattr(ours, name)(axis=axes), getattr(keras.layers, name)(axis=last)
    layer.build(X.shape), judge.build(moved.shape)
    for own, theirs in zip(layer.weights, judge.weights, strict=True):
        own.assign(keras.random.uniform(own.shape, 0.5, 1.5, seed=1))
        theirs.assign(own)
    x, y = (torch.tensor(one, requires_grad=True) for one in (X, moved))
    found, expected = layer(x), judge(y).movedim(last, axes)
    assert_same(found, expected)
    for result in (found, expected):
        (result * torch.linspace(-1.0, 1.0, X.size).reshape(X.shape)).sum().backward()
    assert_same(x.grad, y.grad.movedim(last, axes))


def test_a_frozen_layer_uses_its_statistics():
    layer = ours.BatchNormalization()
    layer.build((None, 2))
    layer.trainable = False
    x = keras.ops.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x, training=True)), [[1, 2], [3, 4]], rtol=1e-3)
    assert float(layer.moving_mean[0]) == 0.0


@pytest.mark.parametrize(("name", "kernel"), [
    ("BatchNormalization", "batch_forward"), ("LayerNormalization", "sample_forward"),
    ("RMSNormalization", "sample_forward"), ("GroupNormalization", "sample_forward"),
    ("UnitNormalization", "sample_forward"),
])  # fmt: skip
def test_the_kernels_run(name, kernel, monkeypatch):
    door = way("normalization")
    called, before = [], getattr(door, kernel)
    monkeypatch.setattr(door, kernel, lambda *args, **keywords: called.append(1) or before(*args, **keywords))
    options = {"GroupNormalization": {"groups": 2}, "LayerNormalization": {"axis": 1}}.get(name, {})
    layer = getattr(ours, name)(**options)
    layer(torch.tensor(X), **({"training": True} if name == "BatchNormalization" else {}))
    assert called


def test_rows_of_zeros_stay_zeros_and_others_get_length_1():
    x = torch.tensor([[0.0, 0.0], [3e-10, 4e-10], [3e30, 4e30]], requires_grad=True)
    y = ours.UnitNormalization()(x)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), torch.tensor([[0.0, 0.0], [0.6, 0.8], [0.6, 0.8]]))
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("axis", [2, -3, [0, 0]])
def test_axes_that_are_not_there_are_refused_in_keras_words(axis):
    refused = []
    for room in (ours, keras.layers):
        with pytest.raises((IndexError, RuntimeError)) as error:
            room.UnitNormalization(axis)(torch.ones(2, 2))
        refused.append((error.type, str(error.value)))
    assert refused[0] == refused[1]


@pytest.mark.parametrize("name", ours.__all__)
def test_exported_programs_and_transforms_have_keras_own_code(name):
    layer, x = getattr(ours, name)(**({"groups": 2} if name == "GroupNormalization" else {})), torch.tensor(X)
    expected = layer(x).detach()
    batched = torch.func.vmap(lambda each: layer(each[None])[0])(x)
    torch.testing.assert_close(batched.detach(), expected)
    exported = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(exported(x).detach(), expected)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch.compile's to itself
def test_a_step_that_is_compiled_as_a_whole_is_not_looked_into():
    slopes, seen = [], []
    for compiled in (False, True):
        layer, x = ours.BatchNormalization(), torch.tensor(X, requires_grad=True)
        layer.build(X.shape)

        def step(layer, x):
            (layer(x, training=True) ** 2).sum().backward()

        def backend(module, inputs):
            seen.append(module)
            return module.forward

        (torch.compile(step, backend=backend) if compiled else step)(layer, x)
        slopes.append(x.grad)
    torch.testing.assert_close(*slopes)
    assert len(seen) <= 1  # the square and the sum


@pytest.mark.parametrize("name", ours.__all__)
def test_classes_are_keras_classes_with_their_arguments(name, tmp_path):
    own, theirs = getattr(ours, name), getattr(keras.layers, name)
    assert issubclass(own, theirs)
    assert inspect.signature(own) == inspect.signature(theirs)
    one = own(name="one", **({"groups": 2} if name == "GroupNormalization" else {}))
    again = keras.layers.deserialize(keras.layers.serialize(one))
    assert type(again) is own
    assert again.get_config() == one.get_config()
    model = keras.Sequential([keras.Input((4, 8)), one])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[-1]) is own
    np.testing.assert_array_equal(loaded.predict(X[:, :4, 0], verbose=0), model.predict(X[:, :4, 0], verbose=0))


def test_examples_do_what_they_say():
    result = doctest.testmod(normalization)
    assert result.attempted > 0
    assert result.failed == 0
