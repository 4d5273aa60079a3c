"""Optimizers under JAX: optax's trajectories, one operation for many leaves, in place where memory is donated."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from fastopt.jax import digests, optimizers
from fastopt.kernels.optimizers import scalars

MUON_ROWS = ((4.0848, -6.8946, 2.9270), (2.8366, -3.0525, 1.2012))
SETTINGS = [
    ("sgd", (0.1,), {}),
    ("sgd", (0.1,), {"momentum": 0.9}),
    ("sgd", (0.1,), {"momentum": 0.9, "nesterov": True}),
    ("adam", (1e-2,), {}),
    ("adam", (optax.cosine_decay_schedule(1e-2, 10),), {"b1": 0.5}),
    ("adamw", (1e-2,), {"weight_decay": 0.1}),
    ("adamw", (1e-2,), {"weight_decay": 0.1, "mask": {"w": True, "b": [False, True]}}),
    ("adamax", (1e-2,), {}),
    ("nadam", (1e-2,), {}),
    ("radam", (1e-2,), {"b2": 0.6}),
    ("radam", (1e-2,), {}),
    ("ademamix", (1e-2,), {"alpha": 2.0, "weight_decay": 0.1}),
    ("ademamix", (1e-2,), {"b3": optax.linear_schedule(0.5, 0.9, 10), "alpha": optax.linear_schedule(0.0, 5.0, 10)}),
    ("rmsprop", (1e-2,), {}),
    ("rmsprop", (1e-2,), {"eps_in_sqrt": False, "initial_scale": 1.0}),
    ("adagrad", (1e-2,), {}),
    ("adadelta", (1.0,), {}),
    ("rmsprop", (1e-2,), {"centered": True, "momentum": 0.9, "eps_in_sqrt": False}),
    ("rmsprop", (1e-2,), {"momentum": 0.5}),
    ("rmsprop", (1e-2,), {"centered": True}),
    ("lion", (1e-3,), {"weight_decay": 0.1}),
    ("adam", (1e-2,), {"nesterov": True}),
    ("nadamw", (1e-2,), {"weight_decay": 0.1, "mask": {"w": True, "b": [False, True]}}),
    ("adamaxw", (1e-2,), {"weight_decay": 0.1}),
    ("lars", (1.0,), {}),
    (
        "lars",
        (1.0,),
        {
            "weight_decay": 0.1,
            "nesterov": True,
            "eps": 1e-3,
            "trust_ratio_mask": {"w": True, "b": False},
            "weight_decay_mask": {"w": False, "b": True},
        },
    ),
    ("lamb", (1e-2,), {}),
    ("lamb", (1e-2,), {"weight_decay": 0.1, "mask": {"w": True, "b": [False, True]}}),
    ("adafactor", (1e-2,), {}),
    ("adafactor", (1e-2,), {"min_dim_size_to_factor": 2, "weight_decay_rate": 1e-3, "decay_rate": 0.7}),
    ("adafactor", (None, 2), {"multiply_by_parameter_scale": False, "clipping_threshold": None}),
    ("adafactor", (1e-2,), {"min_dim_size_to_factor": 2, "factored": False}),
    ("muon", (1e-2,), {}),
    ("muon", (1e-2,), {"nesterov": False, "weight_decay": 0.1, "consistent_rms": 0.2, "ns_steps": 3}),
    ("muon", (optax.linear_schedule(1e-2, 0.0, 10), MUON_ROWS), {"weight_decay": 0.1, "adam_weight_decay": 0.1}),
    ("schedule_free_adamw", (1e-2,), {"weight_decay": 0.1}),
    ("schedule_free_adamw", (1e-2, 3), {"b1": 0.5, "weight_lr_power": 1.0}),
]
IDS = [f"{name}-{k}" for k, (name, _, _) in enumerate(SETTINGS)]
for_each_setting = pytest.mark.parametrize(("name", "arguments", "options"), SETTINGS, ids=IDS)


def tree(rng, dtype="float32"):
    shapes = {"w": (17, 33), "b": [(33,), ()]}
    return jax.tree.map(
        lambda shape: jnp.asarray(rng.standard_normal(shape), dtype), shapes, is_leaf=lambda x: isinstance(x, tuple)
    )


def both(name, arguments, options):
    theirs = getattr(optax, name, None) or getattr(optax.contrib, name)
    return [make(*arguments, **options) for make in (getattr(optimizers, name), theirs)]


def trajectory(transformation, params, grads):
    """Return parameters and state after a step for each of the stacked gradients, by updates that are added."""

    def body(carry, now):
        updates, state = transformation.update(now, carry[1], carry[0])
        return (optax.apply_updates(carry[0], updates), state), None

    return jax.lax.scan(body, (params, transformation.init(params)), grads)[0]


def applied(transformation, params, grads):
    """Return the same by `apply`."""

    def body(carry, now):
        return transformation.apply(*carry, now), None

    return jax.lax.scan(body, (params, transformation.init(params)), grads)[0]


@for_each_setting
def test_trajectories_are_optaxs(name, arguments, options, jit):
    rng = np.random.default_rng(1)
    params, grads = tree(rng), jax.tree.map(lambda *leaves: jnp.stack(leaves), *(tree(rng) for _ in range(5)))
    ours, theirs = both(name, arguments, options)

    @jit
    def run(params, grads):
        wanted, _ = trajectory(theirs, params, grads)
        return wanted, trajectory(ours, params, grads), applied(ours, params, grads)

    wanted, *found = run(params, grads)
    for got, state in found:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), got, wanted)
        assert int(state.steps) == 5
        assert jax.tree.structure(state) == jax.tree.structure(ours.init(params))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bit_parameters_keep_float32_state(dtype):
    ours = optimizers.adam(1e-2)
    params = tree(np.random.default_rng(3), dtype)
    state = ours.init(params)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state.buffers))
    after, _ = jax.jit(ours.apply)(params, state, params)
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params)
    wanted, _ = jax.jit(ours.apply)(wide, ours.init(wide), wide)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b.astype(dtype)), after, wanted)


def test_donated_memory_is_updated_in_place():
    ours = optimizers.adam(1e-2)
    params = {"w": jnp.ones((100, 100))}
    state = ours.init(params)
    before = params["w"].unsafe_buffer_pointer(), state.buffers["exp_avg"]["w"].unsafe_buffer_pointer()
    after, state = jax.jit(ours.apply, donate_argnums=(0, 1))(params, state, {"w": jnp.ones((100, 100))})
    assert (after["w"].unsafe_buffer_pointer(), state.buffers["exp_avg"]["w"].unsafe_buffer_pointer()) == before


def test_what_is_not_donated_stays_as_it_was():
    ours = optimizers.adam(1e-2)
    params = {"w": jnp.ones(50)}
    state = ours.init(params)
    jax.jit(ours.apply)(params, state, {"w": jnp.ones(50)})
    assert (np.asarray(params["w"]) == 1).all()
    assert (np.asarray(state.buffers["exp_avg"]["w"]) == 0).all()


def test_many_leaves_and_empty_ones(jit):
    ours = optimizers.adam(1e-2)
    params = [np.full(k, 1.0, np.float32) for k in range(80)]

    @jit
    def stepped(params):
        return ours.apply(params, ours.init(params), params)[0]

    after = stepped(params)
    assert [leaf.shape for leaf in after] == [(k,) for k in range(80)]
    assert all(np.allclose(leaf, 0.99) for leaf in after)


def test_vmap_steps_each_member():
    ours = optimizers.sgd(0.5)
    params = jnp.arange(6.0).reshape(3, 2)
    after = jax.vmap(lambda p: ours.apply(p, ours.init(p), jnp.ones(2))[0])(params)
    np.testing.assert_array_equal(after, params - 0.5)


GROUPS = {
    "adam": (digests.adam(0.9, 0.999, 1e-8), scalars.adam, {"betas": (0.9, 0.999), "eps": 1e-8}),
    "adamax": (digests.adamax(0.9, 0.999, 1e-8), scalars.adamax,
               {"betas": (0.9, 0.999), "eps": 1e-8, "eps_in_divisor": False}),
    "adadelta": (digests.adadelta(0.9, 1e-6), scalars.adadelta, {"rho": 0.9, "eps": 1e-6}),
    "lion": (digests.lion(0.9, 0.99), scalars.lion, {"betas": (0.9, 0.99)}),
    "momentum": (digests.momentum(0.9), scalars.momentum, {"beta": 0.9}),
    "asgd": (digests.asgd(0.1, 0.75, 5.0), scalars.asgd, {"lambd": 0.1, "alpha": 0.75, "t0": 5.0}),
    "ftrl": (digests.ftrl(1.0, 0.1, 0.2, 0.3, (0.7,)), scalars.ftrl,
             {"beta": 1.0, "l1": 0.1, "l2": 0.2, "l2_shrinkage": 0.3, "lr_power": -0.7}),
    "lars": (digests.lars(0.9, True), scalars.lars, {"momentum": 0.9, "nesterov": True}),
    "lamb": (lambda lr, step, kept: digests.lamb(0.9, 0.999, 1e-6)(lr, step, 0.0), scalars.lamb,
             {"betas": (0.9, 0.999), "eps": 1e-6}),
    "muon": (lambda lr, step, kept: (1e-3, *digests.muon(0.95)(lr, step, kept)[1:]), scalars.muon,
             {"momentum": 0.95, "nesterov": False}),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("step", [1, 2, 7, 1000, 10**6])
def test_digests_are_those_of_the_kernels_room(name, step):
    digest, wanted, group = GROUPS[name]
    group = {"lr": 1e-3, "weight_decay": 0.0, "maximize": False, **group}
    with jax.enable_x64(True):
        got = [float(x) for x in digest(jnp.float64(1e-3), jnp.float64(step), 1.0)]
    np.testing.assert_allclose(got, wanted(group, step), rtol=1e-14)


@pytest.mark.parametrize(
    ("grads", "params", "words"),
    [
        ({"a": jnp.ones(2)}, {"b": jnp.ones(2)}, "grads: expected a tree like params"),
        ({"a": jnp.ones(3)}, {"a": jnp.ones(2)}, r"grads: expected shape \(2,\) of leaf 0, got \(3,\)"),
        ({"a": jnp.ones(2)}, {"a": jnp.ones(2, int)}, "params: expected leaves of float32"),
    ],
)
def test_wrong_trees_are_one_sentence(grads, params, words):
    ours = optimizers.sgd(0.1)
    with pytest.raises((TypeError, ValueError), match=words):
        ours.apply(params, ours.init(params), grads)


@pytest.mark.parametrize("name", ["adamw", "lamb", "lars", "adafactor", "ftrl"])
def test_updates_need_the_parameters_where_a_step_reads_them(name):
    ours = getattr(optimizers, name)(0.1)
    with pytest.raises(ValueError, match="params: expected the parameters"):
        ours.update(jnp.ones(2), ours.init(jnp.ones(2)))


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "lion", "muon", "rprop", "momentum"])
def test_other_updates_need_none(name):
    ours = getattr(optimizers, name)(0.1, **({"weight_decay": 0.0} if name == "lion" else {}))
    params, grads = jnp.linspace(1.0, 2.0, 12).reshape(3, 4), jnp.ones((3, 4))
    without, _ = ours.update(grads, ours.init(params))
    np.testing.assert_array_equal(without, ours.update(grads, ours.init(params), params)[0])


def test_an_update_is_no_difference_of_rounded_parameters():
    ours = optimizers.sgd(1e-10)
    for dtype in ("float32", "bfloat16"):
        params = jnp.ones(3, dtype)
        update, _ = ours.update(params, ours.init(params), params)
        np.testing.assert_array_equal(update, jnp.full(3, -1e-10, dtype))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("sgd", {"learning_rate": None}, "learning_rate: expected a number, got NoneType None"),
        ("sgd", {"momentum": [0.5]}, r"momentum: expected a number, got list \[0.5\]"),
        ("adam", {"b1": jnp.ones(2)}, "b1: expected a number, got"),
        ("adamw", {"weight_decay": lambda step: 0.1}, "weight_decay: expected a number, got function"),
        ("ademamix", {"b3": "fast"}, "b3: expected a number, got str 'fast'"),
        ("radam", {"threshold": None}, "threshold: expected a number, got NoneType None"),
        ("rmsprop", {"initial_scale": "x"}, "initial_scale: expected a number, got str 'x'"),
        ("nadam", {"b2": 2.0}, "b2: expected a number of 1 at the most, got 2.0"),
        ("adagrad", {"initial_accumulator_value": -1.0}, "initial_accumulator_value: expected a number ≥ 0, got -1.0"),
    ],
)
def test_wrong_hyper_parameters_are_one_sentence(name, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        getattr(optimizers, name)(**{"learning_rate": 0.1, **options})


@pytest.mark.parametrize("mask", [True, {"w": False, "b": True}, lambda params: {"w": True, "b": [False, True]}])
def test_a_mask_may_be_the_top_of_a_tree(mask, jit):
    params = tree(np.random.default_rng(0))

    @jit
    def updates(params):
        both = [make(0.1, weight_decay=0.5, mask=mask) for make in (optimizers.adamw, optax.adamw)]
        return [each.update(params, each.init(params), params)[0] for each in both]

    jax.tree.map(lambda own, theirs: np.testing.assert_allclose(own, theirs, rtol=1e-5), *updates(params))


def test_a_mask_of_another_tree_is_refused():
    params = {"w": jnp.ones(2), "b": jnp.ones(2)}
    ours = optimizers.adamw(0.1, mask={"w": True, "c": False})
    with pytest.raises(ValueError, match="mask: expected a tree like params"):
        ours.apply(params, ours.init(params), params)


@pytest.mark.parametrize(("name", "options"), [("sgd", {"momentum": 0.9}), ("adamw", {}), ("radam", {})])
def test_hyper_parameters_may_be_traced(name, options, jit):
    params, results = {"w": jnp.linspace(1.0, 2.0, 5)}, []
    for room in (optimizers, optax):
        transformation = optax.inject_hyperparams(getattr(room, name))(learning_rate=0.1, **options)
        state, now = transformation.init(params), params
        step = jit(transformation.update)
        for _ in range(3):
            update, state = step(now, state, now)
            now = optax.apply_updates(now, update)
        results.append(now["w"])
    np.testing.assert_allclose(*results, rtol=1e-5)
