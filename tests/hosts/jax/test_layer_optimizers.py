"""Optimizers that measure whole leaves, under JAX: large leaves, odd axes, extreme values."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import fastopt as fo
from fastopt.jax import optimizers

RNG = np.random.default_rng(3)


def normal(*shape):
    return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


def steps(transformation, params, grads, jit):
    @jit
    def run(params, grads):
        state = transformation.init(params)
        for grad in grads:
            updates, state = transformation.update(grad, state, params)
            params = optax.apply_updates(params, updates)
        return params

    return run(params, grads)


@pytest.mark.parametrize(
    "shape", [(300, 400), (400, 300), (5, 130, 140), (150, 3, 3, 140), (130, 140, 4), (2, 2), (1, 200)]
)
def test_adafactor_takes_the_two_longest_axes(shape, jit):
    params, grads = normal(*shape), [normal(*shape) for _ in range(3)]
    wanted, found = (steps(room.adafactor(0.1), params, grads, jit) for room in (optax, optimizers))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_large_leaves_take_fastopts_steps_to_the_bit(jit):
    for name, arguments, options in (("lamb", (1e-2,), {"lr": 1e-2}), ("lars", (0.5,), {"lr": 0.5})):
        start, grad = (np.asarray(normal(70_000)) for _ in range(2))
        wanted = start.copy()
        getattr(fo.optimizers, name.upper())(wanted, **options).step(grad)
        ours = getattr(optimizers, name)(*arguments)
        found, _ = jit(ours.apply)(start, ours.init(start), grad)
        np.testing.assert_allclose(found, wanted, rtol=3e-7)


def test_any_number_of_threads_gives_the_same_bits():
    ours = optimizers.adafactor(0.1)
    params, grads = normal(400, 500), normal(400, 500)
    step, before, found = jax.jit(ours.apply), fo.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            fo.set_num_threads(threads)
            found.append(step(params, ours.init(params), grads)[0])
    finally:
        fo.set_num_threads(before)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("name", ["lamb", "lars", "adafactor", "muon"])
@pytest.mark.parametrize("where", ["params", "grads"])
def test_zeros_are_as_optaxs(name, where, jit):
    zeros = {"m": jnp.zeros((4, 6)), "v": jnp.zeros(3)}
    other = {"m": normal(4, 6), "v": normal(3)}
    params, grads = (zeros, other) if where == "params" else (other, zeros)
    theirs = getattr(optax, name, None) or getattr(optax.contrib, name)
    if (name, where) == ("muon", "grads"):
        found = steps(optimizers.muon(0.1), params, [grads], jit)
        jax.tree.map(np.testing.assert_array_equal, found, params)
        return
    wanted, found = (steps(make(0.1), params, [grads] * 2, jit) for make in (theirs, getattr(optimizers, name)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


@pytest.mark.parametrize("name", ["lamb", "lars", "adafactor", "muon"])
def test_a_nan_reaches_its_leaf_and_no_other(name, jit):
    params = {"a": normal(5, 6), "b": normal(5, 6)}
    grads = {"a": normal(5, 6).at[2, 3].set(jnp.nan), "b": normal(5, 6)}
    found = steps(getattr(optimizers, name)(0.1), params, [grads], jit)
    assert np.isnan(found["a"]).all()
    assert np.isfinite(found["b"]).all()


@pytest.mark.parametrize("name", ["lamb", "lars", "adafactor", "muon"])
def test_leaves_of_16_bits_and_empty_ones(name, jit):
    params = {"m": normal(8, 8).astype(jnp.bfloat16), "e": jnp.zeros((0, 4)), "n": jnp.zeros((0,), jnp.float16)}
    ours = getattr(optimizers, name)(100.0 if name == "lars" else 0.1)
    after, state = jit(ours.apply)(params, ours.init(params), params)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), params)
    assert (after["m"] != params["m"]).any()
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state.buffers))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("adafactor", {"min_dim_size_to_factor": 1.5}, "min_dim_size_to_factor: expected an integer"),
        ("adafactor", {"factored": "yes"}, "factored: expected True or False, got str 'yes'"),
        ("adafactor", {"weight_decay_rate": "x"}, "weight_decay_rate: expected a number, got str 'x'"),
        ("muon", {"ns_coeffs": "standard"}, "ns_coeffs: expected three numbers, or rows of three, got str 'standard'"),
        ("muon", {"ns_coeffs": (1.0, 2.0)}, r"ns_coeffs: expected three numbers, or rows of three, got shape \(2,\)"),
        ("muon", {"ns_steps": 0}, "ns_steps: expected an integer ≥ 1, got 0"),
        ("lars", {"nesterov": 1}, "nesterov: expected True or False, got int 1"),
        ("lamb", {"b2": 1.5}, "b2: expected a number of 1 at the most, got 1.5"),
    ],
)
def test_wrong_hyper_parameters_are_one_sentence(name, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        getattr(optimizers, name)(0.1, **options)
