"""`fastopt demo`: a network learns scikit-learn's handwritten digits on fastopt's kernels, then on the reference.

The network and its loop stand in `network.py`, the runs and their comparison in `runs.py`, the table in `screen.py`,
the pictures in `curves.py`; here are the options.
"""

import inspect
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

import fastopt as fo
from fastopt.cli.demo.runs import CLASSES, PIXELS, TRAIN, Plan, Run, compare, fit, load, notes
from fastopt.cli.extras import need

# Learning rates for batches of 32. For other sizes they grow with the root of the size, as the noise of the mean
# gradient shrinks (Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014).
RATES = {
    "SGD": 0.1, "Momentum": 0.1, "Adam": 1e-3, "AdamW": 1e-3, "RMSprop": 5e-4, "Adagrad": 2e-2, "ASGD": 0.2,
    "Lion": 2e-4, "RAdam": 0.02, "LAMB": 3e-3, "LARS": 2.0,
}  # fmt: skip
# The length of their steps does not follow the gradient's, so larger batches make no longer steps right.
STEADY = ("LAMB", "LARS", "Rprop")
LEAST = {
    "LARS": (32, "its steps are as long for noise as for a gradient (You et al. 2017 made it for large batches)"),
    "Rprop": (TRAIN, "it compares the signs of whole gradients from step to step (Riedmiller and Braun 1993)"),
}
# FTRL forms weights from gradients alone: hidden layers would start equal and stay so. It is made for linear models.
# Muon takes matrices, and leaves biases to another optimizer.
OPTIMIZERS = tuple(name for name in fo.optimizers.__all__ if name not in ("Optimizer", "FTRL", "Muon"))
FOR_LARGE = "Rprop takes all images at once, LARS at least 32."
INITIALIZERS = tuple(name for name in fo.initializers.__all__ if name.islower())


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
    least, reason = LEAST.get(optimizer, (1, ""))
    if size < least:
        wanted = "'all'" if least == TRAIN else f"'all' or at least {least}"
        raise wrong("--batch-size", f"{wanted} with {optimizer}: {reason}", repr(batch_size))
    scale = (size / 32) ** 0.5
    if lr is None:
        usual = inspect.signature(getattr(fo.optimizers, optimizer)).parameters["lr"].default
        lr = (min(scale, 1) if optimizer in STEADY else scale) * RATES.get(optimizer, usual)
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
    optimizer: Annotated[str, typer.Option(help=f"One of {', '.join(OPTIMIZERS)}. {FOR_LARGE}")] = "AdamW",
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
    curves = need("fastopt.cli.demo.curves", "demo") if plot else None
    if curves and plot:
        if not plot.absolute().parent.is_dir():
            raise wrong("--plot", "a file in a folder that exists", repr(str(plot)))
        if plot.suffix[1:].lower() not in curves.FORMATS:
            raise wrong("--plot", f"a name that ends in one of {', '.join(curves.FORMATS)}", repr(str(plot)))
    digits = load()
    screen = None if as_json else need("fastopt.cli.demo.screen", "demo").Screen(plan, target)

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
