"""optax's losses and optimizers, compiled by JAX, beside ours: rows of hosts.py."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from host_rows import Row

from fastopt.jax import losses, metrics, optimizers


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
    yield from of_layers(small, rng)
    yield from of_scores(small, rng)


def of_layers(small: bool, rng: np.random.Generator) -> Iterator[Row]:
    """Yield optimizers that measure whole leaves, and a last layer with its loss."""
    count, shape = (2, (64, 48)) if small else (8, (1024, 1024))
    start, grads = ([jnp.asarray(rng.standard_normal(shape), jnp.float32) for _ in range(count)] for _ in range(2))
    for name in ("lamb", "lars", "adafactor", "muon"):
        own = getattr(optimizers, name)(1e-3)
        theirs = (getattr(optax, name, None) or getattr(optax.contrib, name))(1e-3)
        one, other = stepping(own.apply, own.init, start, grads), stepping(applied(theirs), theirs.init, start, grads)
        yield Row(f"{name}, {count} matrices of {shape[0]} × {shape[1]}", one, other, 1.0)
    samples, features, classes = (64, 16, 500) if small else (2048, 256, 32_000)
    shapes = (samples, features), (features, classes)
    x, weight = (jnp.asarray(rng.standard_normal(each) / 16, jnp.float32) for each in shapes)
    labels = jnp.asarray(rng.integers(0, classes, samples), jnp.int32)

    def layer(x, weight):
        return optax.softmax_cross_entropy_with_integer_labels(x @ weight, labels).mean()

    runs = [jax.jit(jax.grad(loss, (0, 1))) for loss in (lambda x, w: losses.linear_cross_entropy(x, w, labels), layer)]
    one, other = (lambda run=run: jax.block_until_ready(run(x, weight))[0] for run in runs)
    yield Row(f"linear cross-entropy, {samples} × {features}, {classes} classes", one, other, 1.0)


def of_scores(small: bool, rng: np.random.Generator) -> Iterator[Row]:
    """Yield the area under the curve, beside a sort and sums of JAX's own."""
    count = 1000 if small else 1_000_000
    y, p = jnp.asarray(rng.integers(0, 2, count), jnp.int32), jnp.asarray(rng.random(count), jnp.float32)

    def area(y, p):
        p, y = jax.lax.sort((p, y), num_keys=1)
        ones, last = jnp.cumsum(y), jnp.append(p[1:] != p[:-1], True)
        zeros = jnp.arange(1, len(y) + 1) - ones
        before = jax.lax.cummax(jnp.where(last, jnp.arange(len(y)), -1))
        before = jnp.append(-1, before[:-1])  # the end of the scores below
        ones_below, zeros_below = (jnp.where(before < 0, 0, each[before]) for each in (ones, zeros))
        below = (zeros + zeros_below).astype(jnp.float32) / (2.0 * zeros[-1])
        return jnp.sum(jnp.where(last, (ones - ones_below) * below, 0.0)) / ones[-1]

    runs = [jax.jit(each) for each in (metrics.auc, area)]
    one, other = (lambda run=run: jax.block_until_ready(run(y, p)) for run in runs)
    yield Row(f"AUC, {count}", one, other, 10.0)


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
