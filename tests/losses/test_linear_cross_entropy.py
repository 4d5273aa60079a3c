"""The linear layer's cross-entropy: torch and finite differences as judges, chunks, memory, ignored samples."""

import tracemalloc

import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.losses import LinearCrossEntropy

TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", TARGETS)


def given(shape=(30, 7, 11), dtype="float64", seed=0):
    samples, features, classes = shape
    rng = np.random.default_rng(seed)
    x, weight = rng.standard_normal((samples, features)), rng.standard_normal((classes, features))
    return (
        x.astype(dtype),
        weight.astype(dtype),
        rng.integers(0, classes, samples),
        rng.standard_normal(classes).astype(dtype),
    )


@for_each_target
@pytest.mark.parametrize(
    "options", [{}, {"ignore_class": 3}, {"reduction": "sum", "max_bytes": 1500}, {"label_smoothing": 0.1}]
)
def test_torch_goes_the_same_way(options, target):
    x, weight, labels, bias = given()
    theirs = [torch.tensor(array, requires_grad=True) for array in (x, weight, bias)]
    value = torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(*theirs), torch.tensor(labels),
        reduction=options.get("reduction", "mean"), ignore_index=options.get("ignore_class", -100),
        label_smoothing=options.get("label_smoothing", 0.0),
    )  # fmt: skip
    value.backward()
    with fo.target(target):
        own, gradients = LinearCrossEntropy(**options).value_and_grad(x, weight, labels, bias)
    np.testing.assert_allclose(own, value.item(), rtol=1e-13)
    for gradient, tensor in zip(gradients, theirs, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-11, atol=1e-14)


@for_each_target
@pytest.mark.parametrize("layout", ["out_in", "in_out"])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_are_those_of_finite_differences(layout, weighted, target):
    x, weight, labels, bias = given((5, 3, 4))
    sample_weight = np.array([0.5, 2.0, 0.0, 1.0, 3.0]) if weighted else None
    weight = weight if layout == "out_in" else np.ascontiguousarray(weight.T)
    loss = LinearCrossEntropy(layout=layout, ignore_class=1)
    with fo.target(target):
        _, gradients = loss.value_and_grad(x, weight, labels, bias, sample_weight)
        for array, gradient in zip((x, weight, bias), gradients, strict=True):
            for index in np.ndindex(array.shape):
                kept = array[index]
                array[index] = kept + 1e-6
                above = loss(x, weight, labels, bias, sample_weight)
                array[index] = kept - 1e-6
                below = loss(x, weight, labels, bias, sample_weight)
                array[index] = kept
                np.testing.assert_allclose(gradient[index], (above - below) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chunks_change_nothing_but_the_order_of_sums(dtype):
    x, weight, labels, bias = given((64, 20, 300), dtype)
    whole = LinearCrossEntropy().value_and_grad(x, weight, labels, bias)
    least = 320 * 4 * (1 if dtype == "float32" else 2) + weight.nbytes + 4 * x.nbytes // 64
    small = LinearCrossEntropy(max_bytes=3 * least).value_and_grad(x, weight, labels, bias)
    rtol = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(whole[0], small[0], rtol=rtol)
    for one, other in zip(whole[1], small[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("ignored", [None, 0])
@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("max_bytes", [2**21, 2**23, 2**25])
def test_memory_stays_within_the_bound(max_bytes, wanted, ignored):
    x, weight, labels, bias = given((2000, 16, 20_000), "float32")
    labels[::2] = 0
    loss = LinearCrossEntropy(max_bytes=max_bytes, ignore_class=ignored)
    out = (np.empty_like(x), np.empty_like(weight), np.empty_like(bias))
    call = (
        (lambda: loss.value_and_grad(x, weight, labels, bias, out=out))
        if wanted
        else (lambda: loss(x, weight, labels, bias))
    )
    if max_bytes == 2**21 and wanted:  # a tile of the weight's gradient and a sample's logits are more
        max_bytes = loss.max_bytes = 2**22
    call()
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= max_bytes + 64 * len(x), peak  # labels, scales, values: a few numbers a sample
    assert x.shape[0] * len(weight) * 4 > 4 * max_bytes  # all logits wouldn't have fit


@for_each_target
def test_options_are_those_of_the_loss_of_whole_logits(target):
    x, weight, labels, bias = given((50, 7, 11))
    class_weight, mask = np.random.default_rng(3).random(11), np.arange(50) % 4 > 0
    labels[~mask] = 99
    options = {"class_weight": class_weight, "z_loss": 0.2, "logit_softcap": 3.0, "ignore_class": 2}
    with fo.target(target):
        value, gradients = LinearCrossEntropy(max_bytes=3000, **options).value_and_grad(
            x, weight, labels, bias, mask=mask
        )
        alone = LinearCrossEntropy(**options)(x, weight, labels, bias, mask=mask)
        wanted, slope = fo.losses.SparseCategoricalCrossentropy(True, **options).value_and_grad(
            labels, x @ weight.T + bias, mask=mask
        )
    assert value == pytest.approx(wanted, rel=1e-13)
    assert alone == pytest.approx(wanted, rel=1e-13)
    for gradient, whole in zip(gradients, (slope @ weight, slope.T @ x, slope.sum(axis=0)), strict=True):
        np.testing.assert_allclose(gradient, whole, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("target", TARGETS[:2])
def test_threads_of_fastopt_change_no_bit(target):
    x, weight, labels, bias = given((300, 16, 1000), "float32")
    found, before = set(), fo.get_num_threads()
    with fo.target(target):
        for threads in (1, 2, 3, 7):
            fo.set_num_threads(threads)
            value, gradients = LinearCrossEntropy(max_bytes=2**19).value_and_grad(x, weight, labels, bias)
            found.add((value, *(gradient.tobytes() for gradient in gradients)))
    fo.set_num_threads(before)
    assert len(found) == 1


@for_each_target
def test_all_ignored_is_nothing(target):
    x, weight, labels, bias = given()
    labels[...] = 2
    with fo.target(target):
        value, gradients = LinearCrossEntropy(ignore_class=2).value_and_grad(x, weight, labels, bias)
    assert value == 0.0
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0.0)


@for_each_target
def test_an_ignored_sample_may_hold_anything(target):
    x, weight, labels, _ = given()
    x[4], labels[4] = np.nan, -100
    with fo.target(target):
        value, gradients = LinearCrossEntropy(ignore_class=-100).value_and_grad(x, weight, labels)
        fewer = LinearCrossEntropy().value_and_grad(np.delete(x, 4, 0), weight, np.delete(labels, 4))
    np.testing.assert_allclose(value, fewer[0], rtol=1e-14)
    np.testing.assert_array_equal(gradients.x[4], 0.0)
    np.testing.assert_allclose(gradients.weight, fewer[1].weight, rtol=1e-13, atol=1e-16)
    assert gradients.bias is None


@for_each_target
def test_batches_of_sequences_strides_and_outputs(target):
    x, weight, labels, bias = given((24, 6, 9))
    wide = np.zeros((4, 12, 6))[:, ::2]
    wide[...] = x.reshape(4, 6, 6)
    out = np.zeros((4, 12, 6))[:, ::2], np.zeros((9, 12))[:, ::2], np.zeros(18)[::2]
    with fo.target(target):
        plain = LinearCrossEntropy().value_and_grad(x, weight, labels, bias)
        value, gradients = LinearCrossEntropy().value_and_grad(
            wide, np.asfortranarray(weight), labels.reshape(4, 6).astype(np.int32), bias, out=out
        )
    np.testing.assert_allclose(value, plain[0], rtol=1e-14)
    for own, gradient, expected in zip(out, gradients, plain[1], strict=True):
        assert own is gradient
        np.testing.assert_allclose(own, expected.reshape(own.shape), rtol=1e-12, atol=1e-15)


@for_each_target
def test_extreme_logits(target):
    x, weight = np.array([[1e4], [-1e4]]), np.array([[1.0], [-1.0], [0.0]])
    with fo.target(target):
        value, gradients = LinearCrossEntropy(reduction="sum").value_and_grad(x, weight, np.array([0, 0]))
    assert value == 2e4
    np.testing.assert_array_equal(gradients.x, [[0.0], [-2.0]])


def test_gradients_of_single_samples_are_refused():
    x, weight, labels, _ = given()
    with pytest.raises(ValueError, match=r"^reduction: expected 'mean' or 'sum' where gradients"):
        LinearCrossEntropy(reduction="none").value_and_grad(x, weight, labels)
    with pytest.raises(TypeError, match=r"^out: expected a tuple of three arrays"):
        LinearCrossEntropy().value_and_grad(x, weight, labels, out=[1])
    with pytest.raises(TypeError, match=r"^out\[2\]: expected None without a bias"):
        LinearCrossEntropy().value_and_grad(x, weight, labels, out=(None, None, np.ones(11)))


@pytest.mark.parametrize("target", ["cython", "numba", "reference"])
def test_infinite_features_travel_without_a_warning(target):
    x, weight = np.ones((3, 5), np.float32), np.ones((4, 5), np.float32)
    x[1] = (np.inf, -np.inf, 1, 1, 1)
    with fo.target(target):
        value, gradients = LinearCrossEntropy().value_and_grad(x, weight, np.array([0, 1, 2]))
    assert np.isnan(value)
    assert np.isfinite(gradients.x[[0, 2]]).all()
    assert np.isnan(gradients.weight).all()
