"""optax's losses and optimizers, compiled by JAX, beside ours: rows of hosts.py."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from host_rows import Row

from fastopt.jax import losses, optimizers


def rows(small: bool) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    samples, classes = (128, 1000) if small else (2048, 32_000)
    logits = jnp.asarray(rng.standard_normal((samples, classes)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, classes, samples), jnp.int32)

    def gradient(room) -> Callable[[], object]:
        loss = room.softmax_cross_entropy_with_integer_labels
        run = jax.jit(jax.value_and_grad(lambda x: loss(x, labels).mean()))
        return lambda: jax.block_until_ready(run(logits))[1]

    yield Row(f"cross-entropy and gradient, {samples} × {classes}", gradient(losses), gradient(optax), 4.0)
    for count, size, goal in ((50 if small else 1000, 1000, 5.0), (1, 100_000 if small else 20_000_000, 0.9)):
        start = [jnp.asarray(rng.standard_normal(size), jnp.float32) for _ in range(count)]
        grads = [jnp.asarray(rng.standard_normal(size), jnp.float32) for _ in range(count)]
        own, theirs = optimizers.adamw(1e-3), optax.adamw(1e-3)
        one, other = stepping(own.apply, own.init, start, grads), stepping(applied(theirs), theirs.init, start, grads)
        yield Row(f"AdamW, {count} leaves of {size}", one, other, goal)


def applied(transformation) -> Callable:
    """Return optax's update and what applies it, as one function like our `apply`."""

    def apply(params, state, grads):
        updates, state = transformation.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return apply


def stepping(apply: Callable, init: Callable, start: list, grads: list) -> Callable[[], object]:
    """Return a step that donates parameters and state, and keeps what it returns for the next one."""
    step = jax.jit(apply, donate_argnums=(0, 1))
    kept = [[leaf.copy() for leaf in start], init(start)]

    def run() -> object:
        kept[:] = step(*kept, grads)
        return jax.block_until_ready(kept)[0][0]

    return run
