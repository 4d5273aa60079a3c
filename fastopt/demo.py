"""`fastopt demo`: a network learns scikit-learn's handwritten digits on fastopt's kernels, then on the reference.

The network and its loop stand in `_network.py`, the pictures in `_curves.py`; here are the options, the two runs,
what is printed, and the comparison.
"""

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import typer

import fastopt as fo
from fastopt._network import Network, Parameters, evaluate, initializer, train

# Learning rates for batches of 32. For other sizes they grow with the root of the size, as the noise of the mean
# gradient shrinks (Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014).
RATES = {"SGD": 0.1, "Momentum": 0.1, "Adam": 1e-3, "AdamW": 1e-3, "RMSprop": 5e-4, "Adagrad": 2e-2}
OPTIMIZERS = tuple(name for name in fo.optimizers.__all__ if name != "Optimizer")
INITIALIZERS = tuple(name for name in fo.initializers.__all__ if name.islower())
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
        return Network(self.widths, initializer(self.init), self.seed, matmul=matmul)

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
    images, labels = need("sklearn.datasets").load_digits(return_X_y=True)
    x = (images / 16.0).astype(np.float32)
    split = need("sklearn.model_selection").train_test_split
    x, test_x, labels, test_labels = split(x, labels, test_size=0.25, stratify=labels, random_state=0)
    return Digits(x, labels, test_x, test_labels)


def fit(plan: Plan, digits: Digits, target: str, on_epoch: Callable[[Run], None] | None = None) -> Run:
    """Train the plan's network on a target; only training is timed, not the watching."""
    run = Run(target)
    how = {"batch_size": plan.batch_size, "seed": plan.seed}
    one = need("threadpoolctl").threadpool_limits(1, user_api="blas")  # products this small lose by a second thread
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


def need(module: str) -> ModuleType:
    """Import a module of the `cli` extra, or end with a sentence."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = {"sklearn": "scikit-learn"}.get(str(error.name), error.name)
        raise SystemExit(f"fastopt demo: needs {package}; install it with: pip install 'fastopt[cli]'") from None


def wrong(option: str, expected: str, got: object) -> typer.BadParameter:
    return typer.BadParameter(f"{option}: expected {expected}, got {got}")


def one_of(value: str, option: str, among: Sequence[str]) -> str:
    """Return the name as it is written in `among`, whatever its case."""
    for name in among:
        if name.lower() == value.lower():
            return name
    raise wrong(option, f"one of {', '.join(among)}", repr(value))


def whole(text: object, option: str, least: int, most: int, or_else: str = "") -> int:
    """Return a number in a range, be it written out or one already."""
    digits = str(text).strip()
    if not digits.isascii() or not digits.isdigit() or not least <= int(digits) <= most:
        raise wrong(option, f"{or_else}a whole number from {least} to {most}", repr(text))
    return int(digits)


def read(
    optimizer: str, batch_size: str, init: str, epochs: int | None, lr: float | None, hidden: str, seed: int
) -> Plan:
    """Return the plan that the options ask for; a choice that was left open is made here."""
    optimizer = one_of(optimizer, "--optimizer", OPTIMIZERS)
    size = TRAIN if batch_size == "all" else whole(batch_size, "--batch-size", 1, TRAIN, "'all' or ")
    scale = (size / 32) ** 0.5
    if lr is None:
        usual = inspect.signature(getattr(fo.optimizers, optimizer)).parameters["lr"].default
        lr = scale * RATES.get(optimizer, usual)
    elif not (lr >= 0 and isfinite(lr)):
        raise wrong("--lr", "a finite number ≥ 0", lr)
    return Plan(
        optimizer=optimizer,
        lr=lr,
        batch_size=size,
        init=one_of(init, "--init", INITIALIZERS),
        epochs=min(100, max(5, round(20 * scale))) if epochs is None else whole(epochs, "--epochs", 1, 100_000),
        seed=whole(seed, "--seed", 0, 2**31),
        widths=(PIXELS, *(whole(width, "--hidden", 1, 65536) for width in hidden.split(",")), CLASSES),
    )


def read_target(name: str | None) -> str:
    """Return the target's name if it can be used here; the library says why not."""
    try:
        with fo.target(fo.get_target() if name is None else name):
            return fo.get_target()
    except (ValueError, RuntimeError) as error:
        raise typer.BadParameter(f"--{error}") from None


def run(
    optimizer: Annotated[str, typer.Option(help=f"One of {', '.join(OPTIMIZERS)}.")] = "AdamW",
    batch_size: Annotated[
        str, typer.Option(help="Images a step: 'all' is batch gradient descent, 1 is stochastic, 32 is mini-batch.")
    ] = "32",
    init: Annotated[str, typer.Option(help=f"One of {', '.join(INITIALIZERS)}.")] = "he_normal",
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the training images.  [default: 20; 5 for batch size 1, 100 for all]"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Whose kernels: cython, numba or reference.  [default: FASTOPT_TARGET, or cython]"),
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.  [default: suits optimizer and batch]")] = None,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers, with commas between.")] = "128,128",
    seed: Annotated[int, typer.Option(help="Of the weights and of the order of the images.")] = 0,
    comparison: Annotated[
        bool, typer.Option("--compare/--no-compare", help="Train again on the reference target, and compare.")
    ] = True,
    plot: Annotated[Path | None, typer.Option(help="Draw loss, accuracy and activations into this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
) -> None:
    """Train a network on handwritten digits, with fastopt's kernels and NumPy's matrix product.

    \b
    Examples:
      fastopt demo                                    AdamW, mini-batches, and the comparison
      fastopt demo --optimizer SGD --batch-size all   batch gradient descent
      fastopt demo --init zeros                       why weights don't start from zero
      fastopt demo --plot curves.png                  loss, accuracy, activations by layer
    """
    plan = read(optimizer, batch_size, init, epochs, lr, hidden, seed)
    target = read_target(target)
    curves = need("fastopt._curves") if plot else None
    if curves and plot:
        if not plot.absolute().parent.is_dir():
            raise wrong("--plot", "a file in a folder that exists", repr(str(plot)))
        if plot.suffix[1:].lower() not in curves.FORMATS:
            raise wrong("--plot", f"a name that ends in one of {', '.join(curves.FORMATS)}", repr(str(plot)))
    digits = load()
    screen = None if as_json else need("fastopt._screen").Screen(plan, target)

    def watched(target: str, table: bool) -> Run:
        with screen.follow(target, table) if screen else nullcontext() as on_epoch:
            return fit(plan, digits, target, on_epoch)

    try:
        first = watched(target, table=True)
        second = watched("reference", table=False) if comparison and target != "reference" else None
    except FloatingPointError as error:
        raise SystemExit(f"fastopt demo: {error}; a smaller --lr than {plan.lr:.3g} helps") from None
    difference = compare(first, second) if second else None
    remarks = notes(plan, first, len(digits.labels))
    if curves and plot:
        curves.draw(plot, plan, first.epochs, digits.test_x)
    if screen:
        screen.conclude(first, second, difference, remarks, plot)
    else:
        result = {
            "plan": asdict(plan) | {"target": target, "threads": fo.get_num_threads()},
            "data": {"train": len(digits.labels), "test": len(digits.test_labels)},
            "epochs": first.epochs,
            "time": first.time() | {"warm_up_ms": 1e3 * first.warm_up},
            "reference": {"epochs": second.epochs, "time": second.time()} if second else None,
            "difference": difference,
            "notes": remarks,
        }
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
