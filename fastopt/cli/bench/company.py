"""Our calls in turn with NumPy's products, beside each alone: threads of two pools want the same cores."""

from collections.abc import Callable
from functools import partial

import numpy as np

import fastopt
from fastopt.cli.bench.clock import Job, interleave

BATCH, INPUTS, WIDTH, CLASSES = 256, 100, 256, 10
GOAL = 1.2  # times the sum of each alone


def products() -> Callable[[], object]:
    """Return the four products of a small network's hidden layers, forward and backward."""
    rng = np.random.default_rng(0)
    x, first, second = (
        rng.standard_normal(shape, np.float32) for shape in ((BATCH, INPUTS), (INPUTS, WIDTH), (WIDTH, WIDTH))
    )
    return lambda: x @ first @ second @ second.T @ first.T


def loss_and_step() -> Callable[[], object]:
    """Return the same network's loss with its gradient, and its Adam step."""
    rng = np.random.default_rng(1)
    labels, logits = rng.integers(0, CLASSES, BATCH), rng.standard_normal((BATCH, CLASSES), np.float32)
    shapes = ((INPUTS, WIDTH), (WIDTH,), (WIDTH, WIDTH), (WIDTH,), (WIDTH, CLASSES), (CLASSES,))
    params, grads = ([rng.standard_normal(shape, np.float32) for shape in shapes] for _ in range(2))
    loss, optimizer = fastopt.losses.SparseCategoricalCrossentropy(from_logits=True), fastopt.optimizers.Adam(params)
    slope = np.empty_like(logits)
    return lambda: (loss.value_and_grad(labels, logits, out=slope), optimizer.step(grads))


def adamw(size: int = 1_000_000) -> Callable[[], object]:
    """Return an AdamW step of one large array."""
    rng = np.random.default_rng(2)
    param, grad = rng.standard_normal((2, size), np.float32)
    optimizer = fastopt.optimizers.AdamW([param])
    return lambda: optimizer.step([grad])


def one_after_the_other(first: Callable[[], object], second: Callable[[], object]) -> None:
    first()
    second()


def lines(rounds: int) -> list[str]:
    """Measure both, each alone and in turn with the products, and say what company costs."""
    product, said = products(), []
    for name, work in (("a small network's loss and Adam step", loss_and_step()), ("AdamW of 1M", adamw())):
        jobs = [Job(product), Job(work), Job(partial(one_after_the_other, product, work))]
        apart, alone, together = (1e6 * float(np.median(seconds)) for seconds in interleave(jobs, rounds))
        ratio = together / (apart + alone)
        said.append(
            f"in turn with a product: {name} {alone:.0f} µs, the products {apart:.0f}, in turn {together:.0f}: "
            f"{ratio:.2f}× the sum of each alone (goal: at most {GOAL:g}×)"
        )
    return said
