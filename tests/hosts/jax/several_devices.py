"""What test_devices.py runs in a process of its own, that has two CPU devices."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import fastopt as fo
from fastopt.jax import initializers, losses, metrics, optimizers

assert jax.device_count() == 2
mesh = jax.sharding.Mesh(np.array(jax.devices()), ("d",))
rng = np.random.default_rng(0)


def near(found, wanted):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


def loss_of_shards():
    logits = jnp.asarray(rng.standard_normal((8, 50)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 50, 8))

    def total(module):
        def part(x, y):
            return jax.lax.psum(module.softmax_cross_entropy_with_integer_labels(x, y).sum(), "d")

        return jax.shard_map(part, mesh=mesh, in_specs=(P("d"), P("d")), out_specs=P())

    ours, theirs = (jax.jit(jax.value_and_grad(total(module)))(logits, labels) for module in (losses, optax))
    near(ours, theirs)


def steps_of_shards():
    params = {"w": jnp.asarray(rng.standard_normal((4, 6)), jnp.float32), "b": jnp.ones(2)}
    grads = jax.tree.map(jnp.cos, params)
    optimizer = optimizers.adamw(0.1)
    whole, _ = optimizer.apply(params, optimizer.init(params), grads)

    def step(params, grads):
        return optimizer.apply(params, optimizer.init(params), grads)[0]

    sharded = jax.shard_map(step, mesh=mesh, in_specs=P("d"), out_specs=P("d"))
    near(jax.jit(sharded)(params, grads), whole)
    placed = jax.device_put((params, grads), NamedSharding(mesh, P("d")))
    near(jax.jit(step)(*placed), whole)


def both_devices_at_once():
    y, p = rng.integers(0, 2, (2, 200_000)), rng.random((2, 200_000)).astype(np.float32)
    area = jax.shard_map(
        lambda y, p: metrics.auc(y[0], p[0])[None], mesh=mesh, in_specs=(P("d"), P("d")), out_specs=P("d"),

    )  # fmt: skip
    np.testing.assert_allclose(jax.jit(area)(y, p), [fo.metrics.auc(*each) for each in zip(y, p)], rtol=1e-6)


def weights_on_any_device():
    key, init = jax.random.key(3), initializers.glorot_uniform()
    wanted = init(key, (7, 5))
    for device in jax.devices():
        np.testing.assert_array_equal(init(jax.device_put(key, device), (7, 5)), wanted)


for check in (loss_of_shards, steps_of_shards, both_devices_at_once, weights_on_any_device):
    check()
    print(check.__name__)
