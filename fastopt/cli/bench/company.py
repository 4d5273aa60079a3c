"""Our calls in turn with NumPy's products, beside each alone: threads of two pools want the same cores."""

from collections.abc import Callable
from functools import partial
from time import perf_counter, sleep

import numpy as np

import fastopt

BATCH, INPUTS, WIDTH, CLASSES = 256, 100, 256, 10
GOAL = 1.2  # times the sum of each alone
CALLS = 10  # one after the other, in one round
SLEEP = 0.05  # seconds: an OpenBLAS's thread looks for work for some 20 ms after a product


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


def both(first: Callable[[], object], second: Callable[[], object]) -> Callable[[], object]:
    return lambda: (first(), second())


def pause(seconds: float) -> None:
    """Keep this thread busy without touching memory."""
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass


def after(before: Callable[[], object], work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes when `before` has just run."""
    before()
    begin = perf_counter()
    work()
    return perf_counter() - begin


def measure(product: Callable[[], object], work: Callable[[], object], rounds: int) -> list[float]:
    """Return the median seconds of the products, the work, the work after a pause of their length, and both in turn.

    The four are measured in turn. Before each, the threads that the one before it kept awake have gone to sleep.
    """
    length = min(after(product, product) for _ in range(CALLS))
    ways: tuple[tuple[Callable[[], object], Callable[[], object]], ...] = (
        (product, product),
        (work, work),
        (partial(pause, length), work),
        (both(product, work), both(product, work)),
    )
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for found, (before, what) in zip(seconds, ways, strict=True):
            sleep(SLEEP)
            found += [after(before, what) for _ in range(2 * CALLS)][CALLS:]  # the first ones warm the caches
    return [float(np.median(found)) for found in seconds]


def lines(rounds: int) -> list[str]:
    """Measure both, each alone and in turn with the products, and say what company costs."""
    product, said = products(), []
    for name, work in (("a small network's loss and Adam step", loss_and_step()), ("AdamW of 1M", adamw())):
        apart, alone, paused, together = (1e6 * seconds for seconds in measure(product, work, rounds))
        ratio, beside = together / (apart + alone), together / (apart + paused)
        said.append(
            f"in turn with a product: {name} {alone:.0f} µs ({paused:.0f} after a pause as long as the products), "
            f"the products {apart:.0f}, in turn {together:.0f}: {ratio:.2f}× the sum of each alone "
            f"(goal: at most {GOAL:g}×), {beside:.2f}× that with the pause"
        )
    return said
