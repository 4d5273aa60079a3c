"""Whole training steps of a small network (products, norm, loss, gradients, optimizer) beside scikit-learn and torch.

python benchmarks/training_step.py [--docs .]

The products are NumPy's in fastopt's step, whose threads are the BLAS's: it is the time in company that a user gets.
Rows are measured in turn (A B A B). All have the same layers and the same Adam; scikit-learn's network has no norm,
and is compared with ours without one.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import tables
import torch
import typer
from sklearn.neural_network import MLPClassifier

import fastopt as fo
from fastopt.cli.bench import company, pages
from fastopt.cli.bench.clock import Job, interleave

ROUNDS = 31
BATCH, INPUTS, WIDTH, CLASSES = company.BATCH, company.INPUTS, company.WIDTH, company.CLASSES
RNG = np.random.default_rng(0)
X = RNG.standard_normal((BATCH, INPUTS), np.float32)
LABELS = RNG.integers(0, CLASSES, BATCH)


def ours(norm: bool) -> Callable[[], float]:
    """Return a step of a network of two hidden layers, written by hand as in the demo."""
    sizes = (INPUTS, WIDTH, WIDTH, CLASSES)
    weights = [fo.initializers.he_normal(pair, seed=k) for k, pair in enumerate(pairwise(sizes))]
    biases = [np.zeros(size, np.float32) for size in sizes[1:]]
    norms = [fo.normalization.BatchNorm(WIDTH, channel_axis=1) for _ in range(2)] if norm else []
    params = [*weights, *biases, *(part for layer in norms for part in (layer.gamma, layer.beta))]
    optimizer = fo.optimizers.Adam(params)
    loss = fo.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step() -> float:
        inputs, alive = [X], []
        for k in range(2):
            h = inputs[-1] @ weights[k] + biases[k]
            h = norms[k].forward(h, training=True) if norm else h
            alive.append(h > 0)
            inputs.append(np.maximum(h, 0))
        value, slope = loss.value_and_grad(LABELS, inputs[-1] @ weights[2] + biases[2])
        of_weights, of_biases, of_norms = [], [], []
        for k in (2, 1, 0):
            if k < 2:
                slope = (slope @ weights[k + 1].T) * alive[k]
                slope = norms[k].backward(slope) if norm else slope
            of_weights.append(inputs[k].T @ slope)
            of_biases.append(slope.sum(axis=0))
        for layer in norms:
            of_norms += [layer.grad_gamma, layer.grad_beta]
        optimizer.step([*of_weights[::-1], *of_biases[::-1], *of_norms])
        return float(value)

    return step


def scikit_learn() -> Callable[[], object]:
    """Return one batch of `partial_fit`, which is one step."""
    network = MLPClassifier((WIDTH, WIDTH), batch_size=BATCH, solver="adam", alpha=0.0)
    network.partial_fit(X, LABELS, classes=np.arange(CLASSES))
    return lambda: network.partial_fit(X, LABELS)


def by_torch(norm: bool) -> Callable[[], object]:
    """Return a step of the same network in torch, with its fused Adam."""
    between = [torch.nn.BatchNorm1d(WIDTH), torch.nn.BatchNorm1d(WIDTH)] if norm else [torch.nn.Identity()] * 2
    network = torch.nn.Sequential(
        torch.nn.Linear(INPUTS, WIDTH), between[0], torch.nn.ReLU(),
        torch.nn.Linear(WIDTH, WIDTH), between[1], torch.nn.ReLU(), torch.nn.Linear(WIDTH, CLASSES),
    )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    x, labels = torch.from_numpy(X), torch.from_numpy(LABELS)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), labels).backward()
        optimizer.step()

    return step


def main(docs: tables.Docs = None) -> None:
    """Measure the steps, and print the table."""
    if docs is not None:
        pages.refuse_early(docs, "training_step")
    torch.set_num_threads(fo.get_num_threads())
    works = (
        ("256-wide network", ours(False), {"scikit-learn": (scikit_learn(), 2.0), "torch": (by_torch(False), 1.0)}),
        ("with batch norm", ours(True), {"torch": (by_torch(True), 1.0)}),
    )
    rows = []
    for what, step, rivals in works:
        values = [step() for _ in range(20)]
        assert values[-1] < values[0], f"{what}: the loss did not fall: {values[0]} to {values[-1]}"
        for name, (other, goal) in rivals.items():
            mine, its = interleave([Job(step, target="cython"), Job(other)], ROUNDS)
            ratio = float(np.median(its) / np.median(mine))
            met = "met" if ratio >= goal else "**missed**"
            rows.append([what, name, tables.times(mine), tables.times(its), f"{ratio:.2f}×", f"{goal:g}×", met])
    introduction = f"A whole step, batch {BATCH}, float32, p20 / p50 / p80. {tables.machine(fo.get_num_threads())}"
    headings = ["network", "beside", "fastopt and NumPy", "peer", "faster by", "goal", ""]
    tables.show("training_step", introduction, headings, rows, docs)


if __name__ == "__main__":
    typer.run(main)
