"""A linear layer's cross-entropy under JAX: the values and gradients of the layer and the loss apart."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fastopt as fo
from fastopt.jax import losses

RNG = np.random.default_rng(0)


def sample(leading=(13,), features=5, classes=7, dtype="float32"):
    x, weight, bias = (RNG.standard_normal(shape) for shape in ((*leading, features), (features, classes), classes))
    labels = RNG.integers(0, classes, leading)
    return [jnp.asarray(each, dtype) for each in (x, weight, bias)], jnp.asarray(labels)


def plain(x, weight, bias, labels):
    logits = x @ weight + bias
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


@pytest.mark.parametrize("leading", [(13,), (1,), (3, 4)])
@pytest.mark.parametrize("max_bytes", [1, 4 * 7 * 4, 1 << 20])
def test_values_and_gradients(leading, max_bytes, jit):
    given, labels = sample(leading)

    @jit
    def both(x, weight, bias):
        ours = jax.value_and_grad(
            lambda x, w, b: losses.linear_cross_entropy(x, w, labels, b, max_bytes=max_bytes), (0, 1, 2)
        )
        theirs = jax.value_and_grad(lambda *a: plain(*a, labels).mean(), (0, 1, 2))
        return ours(x, weight, bias), theirs(x, weight, bias)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), *both(*given))


def test_value_alone_and_layouts():
    (x, weight, bias), labels = sample()
    wanted = plain(x, weight, bias, labels).sum()
    for options in ({"max_bytes": 100}, {}):
        found = losses.linear_cross_entropy(x, weight, labels, bias, reduction="sum", **options)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
        turned = losses.linear_cross_entropy(x, weight.T, labels, bias, reduction="sum", layout="out_in", **options)
        np.testing.assert_allclose(turned, found, rtol=1e-6)
    own = fo.losses.linear_cross_entropy(*map(np.array, (x, weight.T)), np.array(labels, np.int64), np.array(bias))
    np.testing.assert_allclose(losses.linear_cross_entropy(x, weight, labels, bias), own, rtol=1e-6)


def test_weights_are_masks():
    (x, weight, bias), labels = sample()
    w = jnp.arange(13.0) % 3
    wild = jnp.where(w == 0, 99, labels)

    def ours(x):
        return losses.linear_cross_entropy(x, weight, wild, bias, w, max_bytes=100)

    def theirs(x):
        return jnp.sum(w * plain(x, weight, bias, labels)) / w.sum()

    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(ours)(x), jax.grad(theirs)(x), rtol=1e-5, atol=1e-7)
    assert float(losses.linear_cross_entropy(x, weight, labels, sample_weight=jnp.zeros(13))) == 0.0
    assert np.isnan(losses.linear_cross_entropy(x, weight, labels.at[0].set(7)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits(dtype):
    (x, weight, _), labels = sample(dtype=dtype)
    value, gradients = jax.value_and_grad(lambda x, w: losses.linear_cross_entropy(x, w, labels), (0, 1))(x, weight)
    assert value.dtype == jnp.float32
    assert [g.dtype for g in gradients] == [x.dtype, weight.dtype]
    wide = x.astype(jnp.float32), weight.astype(jnp.float32)
    np.testing.assert_allclose(value, losses.linear_cross_entropy(*wide, labels), rtol=1e-5)


def test_vmap_and_scan():
    (x, weight, _), labels = sample((4, 6))
    wanted = [losses.linear_cross_entropy(x[k], weight, labels[k]) for k in range(4)]
    found = jax.vmap(losses.linear_cross_entropy, (0, None, 0))(x, weight, labels)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    _, found = jax.lax.scan(lambda c, xy: (c, losses.linear_cross_entropy(xy[0], weight, xy[1])), 0, (x, labels))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": jnp.ones((13, 5), int)}, "x: expected float32"),
        ({"x": jnp.ones((0, 5))}, r"x: expected shape \(\.\.\., features\)"),
        ({"weight": jnp.ones((7, 5))}, r"weight: expected shape \(5, classes\) with layout 'in_out', got \(7, 5\)"),
        (
            {"weight": jnp.ones((5, 7), jnp.bfloat16)},
            "weight: expected float32 as x, got bfloat16",
        ),
        ({"labels": jnp.ones(13)}, "labels: expected integers, got float32"),
        ({"labels": jnp.ones(12, int)}, r"labels: expected shape \(13,\), got \(12,\)"),
        ({"bias": jnp.ones(5)}, r"bias: expected shape \(7,\), got \(5,\)"),
        ({"sample_weight": jnp.ones(5)}, r"sample_weight: expected shape \(13,\), got \(5,\)"),
        ({"reduction": "none"}, "reduction: expected one of 'mean', 'sum', got 'none'"),
        ({"layout": "x"}, "layout: expected one of"),
        ({"max_bytes": 0}, "max_bytes: expected an integer ≥ 1, got 0"),
    ],
)
def test_wrong_arguments_are_one_sentence(change, words):
    (x, weight, bias), labels = sample()
    with pytest.raises((TypeError, ValueError), match=words):
        losses.linear_cross_entropy(**{"x": x, "weight": weight, "labels": labels, "bias": bias, **change})
