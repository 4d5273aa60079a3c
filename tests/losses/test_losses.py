"""The losses: gradients by finite differences, torch as an outside judge, Keras's semantics, edges.

The table's tests compare every target, size and layout with the reference; here the reference itself is held against
others, and what only losses have: reductions, weights, ignored classes, infinite logits, gradients in place.
"""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import fastopt as fo
from fastopt.table import OPS

OTHERS = ("linear_cross_entropy", "gaussian_nll")  # of other arguments, and with tests of their own
LOSSES = [op for op in OPS if op.family == "losses" and op.name not in OTHERS]
CASES = [pytest.param(op, options, id=f"{op.name}-{k}") for op in LOSSES for k, options in enumerate(op.options)]
TARGETS = ("cython", "numba", "reference")
ROWS = ((4, 3), (2, 3, 5), (3, 40))

for_each_target = pytest.mark.parametrize("target", TARGETS)
L = fo.losses


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def build(op, options):
    public = {name.lower(): value for name, value in vars(L).items() if isinstance(value, type)}
    cls = public[{"kullback_leibler_divergence": "kldivergence"}.get(op.name, op.name.replace("_", ""))]
    return cls(**{name: value for name, value in options.items() if name != "weighted"})


def distribution(rng, shape):
    rows = 0.1 + rng.random(shape)
    return rows / rows.sum(axis=-1, keepdims=True)


# ---- gradients


@for_each_target
@pytest.mark.parametrize(("op", "options"), CASES)
def test_gradients_are_those_of_finite_differences(op, options, target, rng):
    """Central differences of the value, h = 1e-6: exact to h^2, and 1e-16 / h of rounding."""
    loss = build(op, options)
    for shape in ROWS:
        arrays = op.inputs(rng, shape, "float64", options)
        y_true, y_pred, weight = arrays["y_true"], arrays["y_pred"], arrays.get("sample_weight")
        if op.name in ("hinge", "mean_absolute_error", "huber"):  # stay off the kinks
            y_pred += 1e-3
        with fo.target(target):
            _, gradient = loss.value_and_grad(y_true, y_pred, weight)
            for index in np.ndindex(shape):
                low, high = y_pred.copy(), y_pred.copy()
                low[index] -= 1e-6
                high[index] += 1e-6
                change = np.sum(loss(y_true, high, weight)) - np.sum(loss(y_true, low, weight))
                assert gradient[index] == pytest.approx(change / 2e-6, rel=1e-6, abs=2e-8)


@for_each_target
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "options"), CASES)
def test_a_gradient_in_place_is_the_same_to_the_bit(op, options, dtype, target, rng):
    loss = build(op, options)
    for shape in ((5, 3), (70, 9), (3, 1300), (2, 5, 33)):
        arrays = op.inputs(rng, shape, dtype, options)
        weight = arrays.get("sample_weight")
        with fo.target(target):
            value, gradient = loss.value_and_grad(arrays["y_true"], arrays["y_pred"], weight)
            alone = loss(arrays["y_true"], arrays["y_pred"], weight)
            for packed in (True, False):
                place = np.zeros((*shape[:-1], shape[-1] + 1), dtype)[..., : shape[-1]]
                place = np.ascontiguousarray(place) if packed else place
                place[...] = arrays["y_pred"]
                again, out = loss.value_and_grad(arrays["y_true"], place, weight, out=place)
                assert out is place
                np.testing.assert_array_equal(out, gradient)
                np.testing.assert_array_equal(again, value)
        np.testing.assert_array_equal(alone, value)


@for_each_target
def test_out_is_really_used(target, rng):
    y_true, y_pred = rng.standard_normal((2, 7, 5))
    for out in (np.empty((7, 5)), np.empty((5, 7)).T, np.empty((14, 5))[::2]):
        with fo.target(target):
            _, gradient = L.MeanSquaredError().value_and_grad(y_true, y_pred, out=out)
        assert gradient is out
        assert np.shares_memory(gradient, out)
        np.testing.assert_allclose(out, 2 * (y_pred - y_true) / 35, rtol=1e-14)


# ---- outside judges


def judged(function, y_pred, *arguments):
    """Return the value that a torch function gives, and its gradient."""
    tensor = torch.tensor(y_pred, requires_grad=True)
    value = function(tensor, *arguments)
    value.sum().backward()
    return value.detach().numpy(), tensor.grad.numpy()


def assert_judged(loss, y_true, y_pred, function, *arguments, rtol=1e-11, weight=None):
    value, gradient = judged(function, y_pred, *arguments)
    got, grad = loss.value_and_grad(y_true, y_pred, weight)
    np.testing.assert_allclose(got, value, rtol=rtol)
    np.testing.assert_allclose(grad, gradient, rtol=rtol, atol=1e-15)


@pytest.mark.parametrize("shape", [(50,), (9, 7), (3, 4, 50)])
def test_torch_agrees_on_elementwise_losses(shape, rng):
    y_pred, y_true = 2 * rng.standard_normal((2, *shape))
    target = torch.tensor(y_true)
    assert_judged(L.MeanSquaredError(), y_true, y_pred, F.mse_loss, target)
    assert_judged(L.MeanAbsoluteError(), y_true, y_pred, F.l1_loss, target)
    for delta in (0.5, 1.0, 3.0):
        assert_judged(L.Huber(delta), y_true, y_pred, partial(F.huber_loss, delta=delta), target)
    labels = rng.random(shape)
    target = torch.tensor(labels)
    logits = L.BinaryCrossentropy(from_logits=True)
    assert_judged(logits, labels, y_pred, F.binary_cross_entropy_with_logits, target)
    p = 1 / (1 + np.exp(-y_pred))
    assert_judged(L.BinaryCrossentropy(), labels, p, F.binary_cross_entropy, target)
    smooth = L.BinaryCrossentropy(from_logits=True, label_smoothing=0.3)
    assert_judged(smooth, labels, y_pred, F.binary_cross_entropy_with_logits, 0.7 * target + 0.15)


@pytest.mark.parametrize("classes", [1, 2, 10, 31, 32, 33, 1000, 2500])
def test_torch_agrees_on_cross_entropy(classes, rng):
    y_pred = 4 * rng.standard_normal((6, classes))
    labels = rng.integers(0, classes, 6)
    target = torch.tensor(labels)
    for reduction in ("mean", "sum", "none"):
        loss = L.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
        assert_judged(loss, labels, y_pred, partial(F.cross_entropy, reduction=reduction), target)
    labels[:3] = [-7, -7, 0]
    loss = L.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-7)
    assert_judged(loss, labels, y_pred, partial(F.cross_entropy, ignore_index=-7), torch.tensor(labels))
    soft = distribution(rng, (6, classes))
    for smoothing in (0.0, 0.2):
        loss = L.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
        function = partial(F.cross_entropy, label_smoothing=smoothing)
        assert_judged(loss, soft, y_pred, function, torch.tensor(soft))


def normalized_log(y_pred):
    """Keras's way from probabilities to their logarithms."""
    return (y_pred / y_pred.sum(-1, keepdim=True)).clip(1e-7, 1 - 1e-7).log()


@pytest.mark.parametrize("classes", [2, 10, 40, 1500])
def test_losses_of_probabilities_are_keras_formulas(classes, rng):
    y_pred, soft = rng.random((6, classes)), distribution(rng, (6, classes))
    y_pred[0, :2] = 1e-9, 0.0  # below the clip
    target, labels = torch.tensor(soft), rng.integers(0, classes, 6)
    assert_judged(
        L.CategoricalCrossentropy(label_smoothing=0.1), soft, y_pred,
        lambda p: -((0.9 * target + 0.1 / classes) * normalized_log(p)).sum(-1).mean(),
    )  # fmt: skip
    assert_judged(
        L.SparseCategoricalCrossentropy(), labels, y_pred, lambda p: -normalized_log(p)[range(6), labels].mean()
    )
    y_pred = distribution(rng, (6, classes))
    assert_judged(L.KLDivergence(), soft, y_pred, lambda p: F.kl_div(p.log(), target, reduction="batchmean"))
    assert_judged(L.KLDivergence(reduction="sum"), soft, y_pred, lambda p: F.kl_div(p.log(), target, reduction="sum"))


@pytest.mark.parametrize("features", [2, 3, 32, 1700])
def test_torch_agrees_on_cosine(features, rng):
    y_pred, y_true = rng.standard_normal((2, 4, features))
    target = torch.tensor(y_true)
    assert_judged(L.CosineProximity(), y_true, y_pred, lambda p: -F.cosine_similarity(p, target).mean(), rtol=1e-9)


def test_hinge_takes_0_and_1_as_keras_does(rng):
    y_pred = rng.standard_normal((5, 4))
    y_true = rng.integers(0, 2, (5, 4)) * 2.0 - 1.0
    expected = np.maximum(1 - y_true * y_pred, 0).mean()
    assert L.hinge(y_true, y_pred) == pytest.approx(expected, rel=1e-14)
    assert L.hinge((y_true + 1) / 2, y_pred) == pytest.approx(expected, rel=1e-14)
    assert L.hinge(np.ones((5, 4)), y_pred) == pytest.approx(np.maximum(1 - y_pred, 0).mean(), rel=1e-14)


# ---- reductions and weights


@for_each_target
@pytest.mark.parametrize("shape", [(6,), (6, 3), (6, 4, 3), (6, 4, 50)])
def test_reductions_and_weights_are_keras_formulas(shape, target, rng):
    y_true, y_pred = rng.standard_normal((2, *shape))
    leading = shape[:-1] or shape
    values = (y_true - y_pred) ** 2 if len(shape) == 1 else ((y_true - y_pred) ** 2).mean(-1)
    for cut in range(len(leading) + 1):  # weights of the first axes alone
        weight = np.asarray(rng.random(leading[:cut]))
        weighted = values * weight.reshape(weight.shape + (1,) * (len(leading) - cut))
        with fo.target(target):
            none = L.mean_squared_error(y_true, y_pred, sample_weight=weight, reduction="none")
            np.testing.assert_allclose(none, weighted, rtol=1e-14)
            mean, gradient = L.MeanSquaredError().value_and_grad(y_true, y_pred, weight)
            total = L.mean_squared_error(y_true, y_pred, sample_weight=weight, reduction="sum")
        assert mean == pytest.approx(weighted.sum() / values.size, rel=1e-14)
        assert total == pytest.approx(weighted.sum(), rel=1e-14)
        spread = np.broadcast_to(weighted / values, leading).reshape(leading if len(shape) == 1 else (*leading, 1))
        np.testing.assert_allclose(gradient, 2 * (y_pred - y_true) * spread / y_true.size, rtol=1e-13)


@for_each_target
@pytest.mark.parametrize("op", LOSSES, ids=lambda op: op.name)
def test_weights_of_zero_give_zero(op, target, rng):
    arrays = op.inputs(rng, (5, 4), "float32", op.options[0])
    with fo.target(target):
        value, gradient = build(op, op.options[0]).value_and_grad(
            arrays["y_true"], arrays["y_pred"], np.zeros(5, "float32")
        )
    assert value == 0.0
    assert not gradient.any()


@for_each_target
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("classes", [3, 40])
def test_ignored_samples_count_for_nothing(classes, from_logits, target, rng):
    y_pred = rng.random((6, classes))
    labels = np.array([1, 2, 0, 2, 2, 0])
    kept = labels != 2
    weight = rng.random(6)
    loss = L.SparseCategoricalCrossentropy(from_logits, ignore_class=2)
    plain = L.SparseCategoricalCrossentropy(from_logits)
    spoilt = y_pred.copy()
    if from_logits:
        spoilt[~kept] = np.nan  # whatever an ignored row holds
    with fo.target(target):
        value, gradient = loss.value_and_grad(labels, spoilt, weight)
        expected, of_kept = plain.value_and_grad(labels[kept], y_pred[kept], weight[kept])
        nothing, zeros = loss.value_and_grad(np.full(6, 2), y_pred)
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(gradient[kept], of_kept, rtol=1e-13)
    assert not gradient[~kept].any()
    assert nothing == 0.0
    assert not zeros.any()


@for_each_target
@pytest.mark.parametrize("shape", [(40, 3), (5, 40)])
@pytest.mark.parametrize("op", LOSSES, ids=lambda op: op.name)
def test_a_nan_stays_in_its_row(op, shape, target, rng):
    options = {**op.options[0], "reduction": "none"}
    arrays = op.inputs(rng, shape, "float64", options)
    loss = build(op, options)
    good_value, good = loss.value_and_grad(arrays["y_true"], arrays["y_pred"])
    column = 1
    if op.name == "categorical_generalized_cross_entropy":  # it looks at the label's probability alone
        column = arrays["y_true"][2]
    arrays["y_pred"][2, column] = np.nan
    with fo.target(target):
        value, gradient = loss.value_and_grad(arrays["y_true"], arrays["y_pred"])
    others = np.arange(shape[0]) != 2
    assert np.isnan(value[2])
    assert np.isnan(gradient[2, column])
    np.testing.assert_allclose(value[others], good_value[others], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(gradient[others], good[others], rtol=1e-13, atol=1e-15)


# ---- names


def test_functions_are_the_values_of_classes(rng):
    for op in LOSSES:
        for options in op.options:
            arrays = op.inputs(rng, (4, 3), "float64", options)
            keywords = {name: value for name, value in options.items() if name != "weighted"}
            got = getattr(L, op.name)(**arrays, **keywords)
            np.testing.assert_array_equal(got, build(op, options)(**arrays))
    assert L.cosine_similarity is L.cosine_proximity
    assert L.kl_divergence is L.kullback_leibler_divergence
    assert L.CosineSimilarity is L.CosineProximity
    assert L.KullbackLeiblerDivergence is L.KLDivergence


@for_each_target
def test_the_value_is_a_float_or_an_array_of_the_dtype(target, rng):
    y_true, y_pred = rng.standard_normal((2, 3, 4), dtype="float32")
    with fo.target(target):
        assert isinstance(L.huber(y_true, y_pred), float)
        none = L.huber(y_true, y_pred, reduction="none")
    assert (none.dtype, none.shape) == (np.dtype("float32"), (3,))


@pytest.mark.parametrize("target", ["cython", "numba"])
@pytest.mark.parametrize("name", ["MeanSquaredError", "SparseCategoricalCrossentropy"])
def test_a_gradient_that_goes_around_the_cache_has_the_same_bits(name, target):
    rng = np.random.default_rng(5)
    rows, columns = (2_500_001, 2) if name == "MeanSquaredError" else (1001, 5003)
    y_pred = rng.standard_normal((rows, columns), dtype=np.float32)
    dense = name == "MeanSquaredError"
    y_true = y_pred[::-1].copy() if dense else rng.integers(0, columns, rows)
    loss, before = getattr(fo.losses, name)(**({} if dense else {"from_logits": True})), fo.get_num_threads()
    memory = np.full(rows * columns + 32, np.float32(7))
    with fo.target(target):
        place = y_pred.copy()
        wanted, _ = loss.value_and_grad(y_true, place, out=place)
        for threads, shift in ((1, 0), (2, 1), (7, 15)):
            fo.set_num_threads(threads)
            out = memory[shift : shift + rows * columns].reshape(rows, columns)
            value, _ = loss.value_and_grad(y_true, y_pred, out=out)
            assert value == wanted
            np.testing.assert_array_equal(out, place)
            assert (memory[shift + rows * columns :] == 7).all()
            memory[...] = 7
    fo.set_num_threads(before)


@for_each_target
@pytest.mark.parametrize("columns", [3, 40, 1500])
@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_torch_weighs_smoothed_labels_the_same(columns, reduction, target, rng):
    labels, y_pred, weight = rng.integers(0, columns, 6), rng.standard_normal((6, columns)), rng.random(columns)
    labels[2] = -100
    loss = L.SparseCategoricalCrossentropy(
        True, ignore_class=-100, reduction=reduction, class_weight=weight, label_smoothing=0.2
    )
    with fo.target(target):
        assert_judged(
            loss, labels, y_pred,
            partial(F.cross_entropy, weight=torch.tensor(weight), label_smoothing=0.2, reduction=reduction),
            torch.tensor(labels),
        )  # fmt: skip
