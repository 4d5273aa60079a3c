"""The runs of `fastopt demo`: what is trained, the digits, one training with its times, and two compared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

import fastopt as fo
from fastopt.cli.demo.network import Network, Parameters, evaluate, named_initializer, train
from fastopt.cli.extras import need

TRAIN, PIXELS, CLASSES = 1347, 64, 10  # images to learn from (450 more are for testing), and each one's sizes


@dataclass(frozen=True)
class Plan:
    """What is trained, and how; every choice made."""

    optimizer: str
    lr: float
    batch_size: int
    init: str
    epochs: int
    seed: int
    widths: tuple[int, ...]

    def __str__(self) -> str:
        batches = "all images at once" if self.batch_size == TRAIN else f"batches of {self.batch_size}"
        epochs = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        return f"{self.init}, {self.optimizer} with lr {self.lr:.3g}, {batches}, {epochs}"

    def network(self, matmul: Callable[..., np.ndarray] = np.matmul) -> Network:
        return Network(self.widths, named_initializer(self.init), self.seed, matmul=matmul)

    def optimize(self, network: Network) -> fo.optimizers.Optimizer:
        return getattr(fo.optimizers, self.optimizer)(network.parameters, lr=self.lr)


@dataclass(frozen=True)
class Digits:
    """8 × 8 images as rows of 64 pixels in [0, 1], and their labels 0 to 9."""

    x: np.ndarray
    labels: np.ndarray
    test_x: np.ndarray
    test_labels: np.ndarray


@dataclass
class Run:
    """One training: the metrics by epoch, the seconds of each epoch, and the seconds of those in matrix products."""

    target: str
    epochs: list[dict[str, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    products: list[float] = field(default_factory=list)
    warm_up: float = 0.0
    first: Parameters = field(default_factory=dict)  # a copy, after the first epoch
    last: Parameters = field(default_factory=dict)

    def time(self) -> dict[str, float]:
        """Return the middle epoch's milliseconds: all, in matrix products, and in everything else."""
        middle = sorted(range(len(self.seconds)), key=self.seconds.__getitem__)[len(self.seconds) // 2]
        total, products = 1e3 * self.seconds[middle], 1e3 * self.products[middle]
        return {"epoch_ms": total, "products_ms": products, "rest_ms": total - products}


class Products:
    """NumPy's matrix product, with a stopwatch."""

    seconds = 0.0

    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        start = perf_counter()
        product = np.matmul(a, b)
        self.seconds += perf_counter() - start
        return product


def load() -> Digits:
    """Return scikit-learn's digits: three quarters to learn from, a quarter to test on, each digit's share kept.

    The split is scikit-learn's `train_test_split(test_size=0.25, stratify=labels, random_state=0)`, whatever the seed.
    """
    images, labels = need("sklearn.datasets", "demo").load_digits(return_X_y=True)
    x = (images / 16.0).astype(np.float32)
    split = need("sklearn.model_selection", "demo").train_test_split
    x, test_x, labels, test_labels = split(x, labels, test_size=0.25, stratify=labels, random_state=0)
    return Digits(x, labels, test_x, test_labels)


def fit(plan: Plan, digits: Digits, target: str, on_epoch: Callable[[Run], None] | None = None) -> Run:
    """Train the plan's network on a target; only training is timed, not the watching."""
    run = Run(target)
    how = {"batch_size": plan.batch_size, "seed": plan.seed}
    one = need("threadpoolctl", "demo").threadpool_limits(
        1, user_api="blas"
    )  # products this small lose by a second thread
    with one, fo.target(target), np.errstate(over="ignore", invalid="ignore"):
        start = perf_counter()  # one step of another network, so that no compiler stands in the first epoch's time
        rehearsal, few = plan.network(), max(2, plan.batch_size)
        list(train(rehearsal, plan.optimize(rehearsal), digits.x[:few], digits.labels[:few], epochs=1, **how))
        evaluate(rehearsal, digits.test_x, digits.test_labels)
        run.warm_up = perf_counter() - start

        products = Products()
        network = plan.network(products)
        course = train(network, plan.optimize(network), digits.x, digits.labels, epochs=plan.epochs, **how)
        while True:
            start, products.seconds = perf_counter(), 0.0
            epoch = next(course, None)
            if epoch is None:
                break
            run.seconds.append(perf_counter() - start)
            run.products.append(products.seconds)
            seen = evaluate(network, digits.x, digits.labels)
            unseen = evaluate(network, digits.test_x, digits.test_labels)
            run.epochs.append(
                {"epoch": epoch, "train_loss": seen["loss"], "train_accuracy": seen["accuracy"]}
                | {f"test_{name}" if name in ("loss", "accuracy") else name: value for name, value in unseen.items()}
            )
            run.last = network.parameters
            run.first = run.first or {name: array.copy() for name, array in run.last.items()}
            if on_epoch:
                on_epoch(run)
    return run


def compare(run: Run, reference: Run) -> dict[str, Any]:
    """Return how far two runs of one plan differ, and how much faster the first was."""

    def apart(a: Parameters, b: Parameters) -> float:
        return max(float(np.max(np.abs(a[name] - b[name]))) for name in a)

    fast, slow = run.time(), reference.time()
    return {
        "parameters_after_first_epoch": apart(run.first, reference.first),
        "parameters": apart(run.last, reference.last),
        "test_loss": abs(run.epochs[-1]["test_loss"] - reference.epochs[-1]["test_loss"]),
        "test_accuracy": abs(run.epochs[-1]["test_accuracy"] - reference.epochs[-1]["test_accuracy"]),
        "faster": slow["epoch_ms"] / fast["epoch_ms"],
        "faster_without_products": slow["rest_ms"] / fast["rest_ms"],
    }


def notes(plan: Plan, run: Run, given: int) -> list[str]:
    """Return what should be known about this run: choices made for the user, and why it failed to learn."""
    said = []
    if plan.batch_size == 1:
        said.append(
            "A batch of one image has no mean and variance to normalize by: batch norm was held to the statistics "
            "of the whole training set, measured once before the first step."
        )
    left = given % plan.batch_size
    if left:
        said.append(
            f"{left} of {given} images don't fill a batch of {plan.batch_size}: every epoch left out another {left}."
        )
    units = run.last["weight 0"]
    distinct = np.unique(np.round(units, 3), axis=1).shape[1]
    if distinct < units.shape[1] and run.epochs[-1]["test_accuracy"] < 0.9:
        alike = "are all alike" if distinct == 1 else f"are only {distinct} different ones"
        said.append(
            f"The {units.shape[1]} units of the first layer {alike}: {plan.init} starts them alike, so they get the "
            "same gradient (from zeros: none at all) and stay alike. Random weights are what lets units differ."
        )
    return said
