"""Initializers under JAX: the numbers of fastopt.initializers, from a key."""

import jax
import numpy as np
import pytest

import fastopt as fo
from fastopt.jax import initializers

SCALED = ["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"]
KEY = jax.random.key(12345)


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (300, 400), (3, 3, 8, 16)])
def test_weights_are_those_of_the_seed(name, shape):
    cut = {"truncated": True} if name.endswith("normal") else {}
    wanted = getattr(fo.initializers, name)(shape, seed=initializers.seed_of(KEY), **cut)
    init = getattr(initializers, name)()
    np.testing.assert_array_equal(init(KEY, shape), wanted)
    np.testing.assert_array_equal(jax.jit(lambda key: init(key, shape))(KEY), wanted)
    np.testing.assert_array_equal(init(jax.random.key_data(KEY), shape), wanted)


@pytest.mark.parametrize("name", SCALED)
def test_the_spread_is_jaxs(name):
    ours, theirs = (
        np.asarray(getattr(module, name)()(KEY, (3, 500, 300)), np.float64)
        for module in (initializers, jax.nn.initializers)
    )
    assert abs(ours.std() / theirs.std() - 1) < 0.01
    assert abs(ours.mean()) < 0.01 * ours.std()
    assert abs(np.abs(ours).max() / np.abs(theirs).max() - 1) < 0.01


def test_plain_ones_are_as_in_fastopt():
    seed = initializers.seed_of(KEY)
    shape = (1000,)
    np.testing.assert_array_equal(
        initializers.uniform(0.5)(KEY, shape), fo.initializers.uniform(shape, low=0.0, high=0.5, seed=seed)
    )
    np.testing.assert_array_equal(
        initializers.normal(0.5)(KEY, shape), fo.initializers.normal(shape, std=0.5, seed=seed)
    )
    np.testing.assert_array_equal(
        initializers.truncated_normal(0.5)(KEY, shape), fo.initializers.truncated_normal(shape, std=0.5, seed=seed)
    )


def test_vmap_over_keys():
    keys = jax.random.split(KEY, 4)
    found = jax.vmap(lambda key: initializers.normal(1.0)(key, (33,)))(keys)
    for key, row in zip(keys, found, strict=True):
        np.testing.assert_array_equal(row, initializers.normal(1.0)(key, (33,)))


def test_wrong_arguments_are_one_sentence():
    with pytest.raises(ValueError, match=r"shape: expected at least two axes, .* got \(3,\)"):
        initializers.he_normal()(KEY, (3,))
    with pytest.raises(TypeError, match="dtype: expected float32 or float64, got int32"):
        initializers.normal()(KEY, (3,), np.int32)
    with pytest.raises(TypeError, match="dtype: expected float32, got float64: write jax"):
        initializers.normal()(KEY, (3,), np.float64)
    with pytest.raises(TypeError, match="key: expected a key"):
        initializers.normal()(jax.numpy.zeros(3), (3,))
