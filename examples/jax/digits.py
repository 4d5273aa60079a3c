"""A network on scikit-learn's digits in an optax loop, with and without fastopt.

    python examples/jax/digits.py [--epochs 3] [--plot curves.png]

Prints the time of a step and the loss of both, and draws both curves where a file is named. The curves
part by rounding alone, which grows from step to step: the optimizer, the loss and the line that steps are all that
changes.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import fastopt.jax

BATCH, WIDTHS = 64, (64, 256, 256, 128, 10)
Step = Callable[[Any, Any, jax.Array, jax.Array], tuple[Any, Any, jax.Array]]


def network() -> list[dict[str, jax.Array]]:
    """Return the weights, the same in every call."""
    keys = jax.random.split(jax.random.key(0), len(WIDTHS) - 1)
    init = fastopt.jax.initializers.he_normal()
    pairs = zip(keys, WIDTHS, WIDTHS[1:])
    return [{"w": init(key, (fan_in, fan_out)), "b": jnp.zeros(fan_out)} for key, fan_in, fan_out in pairs]


def logits(params: list[dict[str, jax.Array]], images: jax.Array) -> jax.Array:
    *hidden, last = params
    for layer in hidden:
        images = jax.nn.relu(images @ layer["w"] + layer["b"])
    return images @ last["w"] + last["b"]


def with_optax() -> tuple[Any, Step]:
    optimizer = optax.adamw(1e-3)

    def loss(params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(logits(params, images), labels).mean()

    def step(params: Any, state: Any, images: jax.Array, labels: jax.Array) -> tuple[Any, Any, jax.Array]:
        value, grads = jax.value_and_grad(loss)(params, images, labels)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    return optimizer.init, jax.jit(step, donate_argnums=(0, 1))


def with_fastopt() -> tuple[Any, Step]:
    optimizer = fastopt.jax.optimizers.adamw(1e-3)

    def loss(params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
        values = fastopt.jax.losses.softmax_cross_entropy_with_integer_labels(logits(params, images), labels)
        return values.mean()

    def step(params: Any, state: Any, images: jax.Array, labels: jax.Array) -> tuple[Any, Any, jax.Array]:
        value, grads = jax.value_and_grad(loss)(params, images, labels)
        return *optimizer.apply(params, state, grads), value

    return optimizer.init, jax.jit(step, donate_argnums=(0, 1))


def train(init: Any, step: Step, epochs: int) -> tuple[list[float], float]:
    """Return the loss of every step, and the median time of one in milliseconds."""
    digits = load_digits()
    images, labels = (digits.data / 16.0).astype(np.float32), digits.target
    rng = np.random.default_rng(0)
    params, curve, times = network(), [], []
    state = init(params)
    for _ in range(epochs):
        order = rng.permutation(len(images))
        for first in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[first : first + BATCH]
            begun = time.perf_counter()
            params, state, value = step(params, state, images[rows], labels[rows])
            curve.append(float(value))
            jax.block_until_ready(params)
            times.append(time.perf_counter() - begun)
    return curve, 1e3 * statistics.median(times)


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Train both ways; return the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--plot", help="file to draw the curves to")
    chosen = parser.parse_args(arguments)
    curves = {}
    for name, make in (("optax", with_optax), ("fastopt", with_fastopt)):
        curves[name], took = train(*make(), chosen.epochs)
        print(f"{name:8} {took:7.2f} ms a step, loss {curves[name][0]:.3f} to {curves[name][-1]:.3f}")
    if chosen.plot:
        from matplotlib import pyplot

        figure, axes = pyplot.subplots()
        for name, curve in curves.items():
            axes.plot(curve, label=name)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend()
        figure.savefig(chosen.plot)
        pyplot.close(figure)
    return curves


if __name__ == "__main__":
    main()
