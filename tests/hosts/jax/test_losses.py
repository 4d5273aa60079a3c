"""Softmax cross-entropy under JAX: optax's values and gradients, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fastopt as fo
from fastopt.jax import losses

RNG = np.random.default_rng(0)
SHAPES = [(1, 2), (3, 5), (128, 10), (33, 1000), (2, 3, 7), (4, 40_000)]


def sample(shape, dtype="float32"):
    logits = jnp.asarray(3 * RNG.standard_normal(shape), dtype)
    return logits, jnp.asarray(RNG.integers(0, shape[-1], shape[:-1]), jnp.int32)


def total(loss, *rest, **options):
    return lambda logits: loss(logits, *rest, **options).astype(jnp.float32).sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_integer_labels_are_as_optax(shape):
    logits, labels = sample(shape)
    ours, theirs = (module.softmax_cross_entropy_with_integer_labels for module in (losses, optax))
    np.testing.assert_allclose(ours(logits, labels), theirs(logits, labels), rtol=2e-6, atol=2e-6)
    got, wanted = (jax.jit(jax.grad(total(loss, labels)))(logits) for loss in (ours, theirs))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_distributions_are_as_optax(shape):
    logits, _ = sample(shape)
    labels = jax.nn.softmax(jnp.asarray(RNG.standard_normal(shape), jnp.float32))
    ours, theirs = losses.softmax_cross_entropy, optax.softmax_cross_entropy
    np.testing.assert_allclose(ours(logits, labels), theirs(logits, labels), rtol=5e-6, atol=2e-6)
    got, wanted = (jax.jit(jax.grad(total(loss, labels)))(logits) for loss in (ours, theirs))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_the_axis_of_classes_may_be_any():
    logits, labels = sample((4, 6, 5))
    moved = jnp.moveaxis(logits, -1, 0)
    loss = losses.softmax_cross_entropy_with_integer_labels
    np.testing.assert_array_equal(loss(moved, labels, axis=0), loss(logits, labels))
    got = jax.grad(total(loss, labels, axis=0))(moved)
    np.testing.assert_array_equal(jnp.moveaxis(got, 0, -1), jax.grad(total(loss, labels))(logits))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bit_logits_are_computed_in_float32(dtype):
    logits, labels = sample((7, 33), dtype)
    loss = losses.softmax_cross_entropy_with_integer_labels
    value, gradient = loss(logits, labels), jax.grad(total(loss, labels))(logits)
    wide = logits.astype(jnp.float32)
    assert value.dtype == jnp.float32
    assert gradient.dtype == logits.dtype
    np.testing.assert_array_equal(value, loss(wide, labels))
    np.testing.assert_array_equal(gradient, jax.grad(total(loss, labels))(wide).astype(dtype))


def test_float64_where_jax_has_it():
    with jax.enable_x64(True):
        logits, labels = sample((9, 11), "float64")
        loss = losses.softmax_cross_entropy_with_integer_labels
        theirs = optax.softmax_cross_entropy_with_integer_labels
        np.testing.assert_allclose(loss(logits, labels), theirs(logits, labels), rtol=1e-14)


def test_a_mean_and_a_weight_scale_the_kept_gradient():
    logits, labels = sample((6, 9))
    weight = jnp.arange(6.0)
    ours, theirs = (
        jax.jit(jax.grad(lambda x, loss=loss: (loss(x, labels) * weight).mean()))(logits)
        for loss in (losses.softmax_cross_entropy_with_integer_labels, optax.softmax_cross_entropy_with_integer_labels)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("reuse", [False, True])
def test_logits_stay_whole_where_something_needs_them(reuse):
    logits, labels = sample((8, 12))
    before = np.array(logits)

    @jax.jit
    def both(x):
        doubled = 2 * x
        value, gradient = jax.value_and_grad(
            total(losses.softmax_cross_entropy_with_integer_labels, labels, reuse_logits=reuse)
        )(doubled)
        return value, gradient, doubled

    _, gradient, doubled = both(logits)
    np.testing.assert_array_equal(doubled, 2 * before)
    np.testing.assert_array_equal(logits, before)
    wanted = jax.grad(total(optax.softmax_cross_entropy_with_integer_labels, labels))(doubled)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-6)


def test_vmap_and_scan():
    logits, labels = sample((5, 6, 7))
    loss = losses.softmax_cross_entropy_with_integer_labels
    np.testing.assert_array_equal(jax.vmap(loss)(logits, labels), loss(logits, labels))
    one = labels[0]
    np.testing.assert_array_equal(
        jax.vmap(lambda x: loss(x, one))(logits), loss(logits, jnp.broadcast_to(one, labels.shape))
    )
    gradients = jax.vmap(jax.grad(total(loss, one)))(logits)
    np.testing.assert_allclose(
        gradients, jax.grad(total(loss, jnp.broadcast_to(one, labels.shape)))(logits), rtol=1e-6, atol=1e-7
    )
    _, values = jax.lax.scan(lambda carry, xy: (carry, loss(*xy)), 0, (logits, labels))
    np.testing.assert_array_equal(values, loss(logits, labels))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint32"])
def test_labels_may_be_of_few_bits(dtype):
    logits, labels = sample((5, 1000))
    labels = labels % 100
    loss = losses.softmax_cross_entropy_with_integer_labels
    np.testing.assert_array_equal(loss(logits, labels.astype(dtype)), loss(logits, labels))


def test_distributions_have_a_gradient_too():
    logits, _ = sample((3, 5))
    labels = jax.nn.softmax(jnp.cos(logits))
    found, wanted = (
        jax.grad(lambda x, y: loss(x, y).sum(), (0, 1))(logits, labels)  # noqa: B023
        for loss in (losses.softmax_cross_entropy, optax.softmax_cross_entropy)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


@pytest.mark.parametrize("reuse", [False, True])
def test_forward_mode(reuse):
    logits, labels = sample((3, 5))
    tangent = jnp.cos(logits)
    ours = losses.softmax_cross_entropy_with_integer_labels
    found = jax.jvp(lambda x: ours(x, labels, reuse_logits=reuse), (logits,), (tangent,))
    theirs = optax.softmax_cross_entropy_with_integer_labels
    wanted = jax.jvp(lambda x: theirs(x, labels), (logits,), (tangent,))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


def test_gradients_of_gradients_are_refused():
    logits, labels = sample((2, 3))
    slope = jax.grad(total(losses.softmax_cross_entropy_with_integer_labels, labels))
    with pytest.raises(ValueError, match="FFI"):
        jax.grad(lambda x: (slope(x) ** 2).sum())(logits)


def test_labels_that_are_no_class_are_nan_and_touch_nothing():
    logits = sample((6, 4))[0]
    labels = jnp.array([0, 4, -1, -5, 2**30, -(2**31)], jnp.int32)
    loss = losses.softmax_cross_entropy_with_integer_labels
    value, gradient = loss(logits, labels), jax.grad(total(loss, labels))(logits)
    assert np.isnan(value).tolist() == [False, True, False, True, True, True]
    assert value[2] == loss(logits[2:3], jnp.array([3]))[0]
    assert not np.asarray(gradient)[[1, 3, 4, 5]].any()


def test_the_same_bits_as_without_jax_for_any_number_of_threads():
    logits, labels = sample((300, 1000))
    wanted = fo.losses.SparseCategoricalCrossentropy(True, reduction="none")(
        np.asarray(labels, np.int64), np.asarray(logits)
    )
    before = fo.get_num_threads()
    try:
        for threads in (1, 2, 3, 7):
            fo.set_num_threads(threads)
            loss = losses.softmax_cross_entropy_with_integer_labels
            np.testing.assert_array_equal(jax.jit(loss)(logits, labels), wanted)
    finally:
        fo.set_num_threads(before)


@pytest.mark.parametrize(
    ("logits", "labels", "words"),
    [
        (jnp.zeros((2, 3), int), jnp.zeros(2, int), "logits: expected float32"),
        (jnp.zeros((2, 3)), jnp.zeros(2), "labels: expected integers, got float32: write softmax_cross_entropy"),
        (jnp.zeros((2, 3)), jnp.zeros(3, int), r"labels: expected shape \(2,\)"),
        (jnp.zeros((0, 3)), jnp.zeros(0, int), "logits: expected at least one sample"),
    ],
)
def test_wrong_arguments_are_one_sentence(logits, labels, words):
    with pytest.raises((TypeError, ValueError), match=words):
        losses.softmax_cross_entropy_with_integer_labels(logits, labels)


def test_a_program_is_never_traced_for_the_reference():
    with fo.target("reference"), pytest.raises(RuntimeError, match="target: expected 'cython' or 'numba'"):
        losses.softmax_cross_entropy_with_integer_labels(jnp.zeros((2, 3)), jnp.zeros(2, int))
