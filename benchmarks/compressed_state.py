"""Does compressed optimizer state cost quality? Two networks, trained to their final loss with AdamW, three seeds each.

python benchmarks/compressed_state.py [--docs .]

The first is the demo's network on a harder task: two noisy digits side by side are one of 100 classes. The second reads
eight characters of Python's manual, which comes with Python, and says which one is next. Losses are of data not trained
on, in nats; neither goes to zero.
"""

from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import numpy as np
import tables
import typer
from rich.console import Console

import fastopt as fo
from fastopt.cli.bench import pages
from fastopt.cli.demo.network import Network, Parameters, train
from fastopt.cli.demo.runs import load

STORAGE = ("float32", "bfloat16", "8bit")
SEEDS = (0, 1, 2)
RATE = 2e-3


def optimizer(params: Parameters, steps: int, storage: str) -> fo.optimizers.AdamW:
    return fo.optimizers.AdamW(params, lr=fo.schedules.CosineDecay(RATE, decay_steps=steps), state_dtype=storage)


# ---- pairs of digits

PAIRS, NOISE, BATCH, EPOCHS = 32_768, 0.35, 64, 3


def pairs(x: np.ndarray, labels: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images of two digits each, with noise, and their labels 0 to 99."""
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, len(x), (2, count))
    images = np.concatenate([x[left], x[right]], axis=1)
    return images + rng.normal(0, NOISE, images.shape).astype(np.float32), 10 * labels[left] + labels[right]


def digits(storage: str, seed: int) -> float:
    """Train the demo's network on pairs of digits, and return its loss on pairs of others."""
    found = load()
    x, labels = pairs(found.x, found.labels, PAIRS, seed)
    test_x, test_labels = pairs(found.test_x, found.test_labels, 8192, seed=200)
    network = Network((128, 256, 128, 100), seed=1000 * seed)
    opt = optimizer(network.parameters, EPOCHS * (PAIRS // BATCH), storage)
    for _ in train(network, opt, x, labels, batch_size=BATCH, epochs=EPOCHS, seed=seed):
        pass
    return loss(test_labels, network.forward(test_x))


# ---- characters

CONTEXT, WIDTH, HIDDEN, WINDOWS, STEPS = 8, 48, 256, 128, 2500


def manual() -> tuple[np.ndarray, int]:
    """Return the text of Python's manual as numbers of characters, and how many characters there are."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    alphabet, numbers = np.unique(np.array(list(text)), return_inverse=True)
    return numbers, len(alphabet)


class Characters:
    """Embedding → dense → ReLU → dense: the characters before, and the logits of the next."""

    def __init__(self, alphabet: int, seed: int):
        make = fo.initializers.he_normal
        self.parameters = {
            "embedding": fo.initializers.normal((alphabet, WIDTH), seed=seed, std=1.0),
            "hidden": make((CONTEXT * WIDTH, HIDDEN), seed=seed + 1),
            "hidden bias": np.zeros(HIDDEN, np.float32),
            "output": make((HIDDEN, alphabet), seed=seed + 2, gain=1.0),
            "output bias": np.zeros(alphabet, np.float32),
        }

    def forward(self, contexts: np.ndarray) -> np.ndarray:
        p = self.parameters
        self.contexts = contexts
        self.features = p["embedding"][contexts].reshape(len(contexts), -1)
        self.active = np.maximum(self.features @ p["hidden"] + p["hidden bias"], 0)
        return self.active @ p["output"] + p["output bias"]

    def backward(self, dlogits: np.ndarray) -> Parameters:
        p = self.parameters
        dactive = (dlogits @ p["output"].T) * (self.active > 0)
        dfeatures = (dactive @ p["hidden"].T).reshape(-1, WIDTH)
        chosen = np.zeros((len(p["embedding"]), self.contexts.size), np.float32)
        chosen[self.contexts.ravel(), np.arange(self.contexts.size)] = 1
        return {
            "embedding": chosen @ dfeatures,
            "hidden": self.features.T @ dactive,
            "hidden bias": dactive.sum(axis=0),
            "output": self.active.T @ dlogits,
            "output bias": dlogits.sum(axis=0),
        }


def characters(storage: str, seed: int) -> float:
    """Train the character model on the manual's first nine tenths, and return its loss on the last one."""
    text, alphabet = manual()
    windows = np.lib.stride_tricks.sliding_window_view(text, CONTEXT + 1)
    split = len(windows) * 9 // 10
    model = Characters(alphabet, 1000 * seed)
    opt = optimizer(model.parameters, STEPS, storage)
    cross_entropy = fo.losses.SparseCategoricalCrossentropy(from_logits=True)
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        batch = windows[rng.integers(0, split, WINDOWS)]
        _, dlogits = cross_entropy.value_and_grad(batch[:, -1], model.forward(batch[:, :-1]))
        opt.step(model.backward(dlogits))
    test = windows[np.random.default_rng(300).integers(split, len(windows), 16_384)]
    return loss(test[:, -1], model.forward(test[:, :-1]))


# ---- judging


def loss(labels: np.ndarray, logits: np.ndarray) -> float:
    return float(fo.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits))


class Result(NamedTuple):
    """Final losses of a task, by storage, a number for each seed."""

    task: str
    losses: dict[str, list[float]]

    @property
    def within(self) -> bool:
        """Whether the mean with 8-bit state lies between the best and the worst seed of float32."""
        whole = self.losses["float32"]
        return min(whole) <= float(np.mean(self.losses["8bit"])) <= max(whole)

    @property
    def cells(self) -> list[str]:
        found = [f"{np.mean(each):.4f} ({min(each):.4f} to {max(each):.4f})" for each in self.losses.values()]
        return [self.task, *found, "yes" if self.within else "**no**"]


TASKS: dict[str, Callable[[str, int], float]] = {"pairs of digits": digits, "characters": characters}


def main(docs: tables.Docs = None) -> None:
    """Train every task with every storage and seed, and print the table."""
    fo.set_num_threads(1)  # steps of a millisecond: a second pool of threads beside the matrix product's only waits
    if docs is not None:
        pages.refuse_early(docs, "compressed state")
    console, start, results = Console(highlight=False), perf_counter(), []
    for task, run in TASKS.items():
        losses = {}
        for storage in STORAGE:
            losses[storage] = [run(storage, seed) for seed in SEEDS]
            console.print(f"{task}, {storage}: {', '.join(f'{value:.4f}' for value in losses[storage])}")
        results.append(Result(task, losses))
    introduction = f"Final loss on held-out data after AdamW, the mean of {len(SEEDS)} seeds (best to worst seed):"
    headings = ["task", *(f"{storage} state" for storage in STORAGE), "8-bit within float32's seeds"]
    tables.show("compressed state", introduction, headings, [result.cells for result in results], docs)
    console.print(f"{perf_counter() - start:.0f} s")


if __name__ == "__main__":
    typer.run(main)
