"""A worked example: a network trained with fastopt's kernels and NumPy's matrix product.

`Network` is the model: dense layers with batch norm and ReLU between them. `train` is the loop, `evaluate` the watch.
What else NumPy does: it adds the last layer's bias, shuffles the images, and makes probabilities to watch.

    network = Network((64, 128, 10))
    optimizer = fo.optimizers.AdamW(network.parameters, lr=2e-3)
    for epoch in train(network, optimizer, images, labels, batch_size=32, epochs=10):
        print(epoch, evaluate(network, images, labels))
"""

from collections.abc import Callable, Iterator, Sequence
from inspect import signature
from itertools import pairwise
from typing import Any

import numpy as np

import fastopt as fo

Parameters = dict[str, np.ndarray]


class Network:
    """Dense → batch norm → ReLU, as often as there are hidden layers, then dense: pixels in, logits out.

    A hidden layer needs no bias, for batch norm's beta is one; and batch norm applies ReLU in its own pass.
    """

    def __init__(
        self,
        widths: Sequence[int],
        initializer: Callable[..., np.ndarray] = fo.initializers.he_normal,
        seed: int = 0,
        dtype: str = "float32",
        matmul: Callable[..., np.ndarray] = np.matmul,
    ):
        shapes = list(pairwise(widths))
        self.weights = [initializer(shape, seed=seed + k, dtype=dtype) for k, shape in enumerate(shapes)]
        self.norms = [fo.normalization.BatchNorm(n, activation="relu", dtype=dtype) for n in widths[1:-1]]
        self.bias = np.zeros(widths[-1], dtype)
        self.matmul = matmul
        self.inputs: list[np.ndarray] = []  # of each dense layer, kept for the backward pass

    @property
    def parameters(self) -> Parameters:
        """Everything that learns, by name: the arrays themselves, which the optimizer updates in place."""
        named = {f"weight {k}": weight for k, weight in enumerate(self.weights)}
        for k, norm in enumerate(self.norms):
            named |= {f"gamma {k}": norm.gamma, f"beta {k}": norm.beta}
        return named | {"bias": self.bias}

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the logits (n, classes) of images (n, pixels); training normalizes by the batch's statistics."""
        self.inputs = [x]
        for weight, norm in zip(self.weights, self.norms):
            self.inputs.append(norm.forward(self.matmul(self.inputs[-1], weight), training=training))
        logits = self.matmul(self.inputs[-1], self.weights[-1])
        logits += self.bias
        return logits

    def backward(self, dlogits: np.ndarray) -> Parameters:
        """Return the gradient of every parameter, given the loss's gradient with respect to the last logits."""
        ones = np.ones(len(dlogits), dlogits.dtype)
        grads = {"bias": self.matmul(ones, dlogits)}
        delta = dlogits
        for k in reversed(range(len(self.weights))):
            grads[f"weight {k}"] = self.matmul(self.inputs[k].T, delta)
            if k > 0:
                norm = self.norms[k - 1]
                delta = self.matmul(delta, self.weights[k].T)
                delta = norm.backward(delta, out=delta)  # in place
                grads |= {f"gamma {k - 1}": norm.grad_gamma, f"beta {k - 1}": norm.grad_beta}
        return grads

    def measure(self, x: np.ndarray) -> None:
        """Set batch norm's running statistics to those of all of `x`."""
        usual = [norm.momentum for norm in self.norms]
        for norm in self.norms:
            norm.momentum = 1.0
        self.forward(x, training=True)
        for norm, momentum in zip(self.norms, usual):
            norm.momentum = momentum


def train(
    network: Network,
    optimizer: fo.optimizers.Optimizer,
    x: np.ndarray,
    labels: np.ndarray,
    *,
    batch_size: int,
    epochs: int,
    seed: int = 0,
) -> Iterator[int]:
    """Train, and yield the number of each epoch when it is over.

    Every epoch shuffles anew; the images that don't fill a last batch sit that epoch out, for statistics of a few
    images would shake batch norm. A batch of one has no statistics at all: with `batch_size=1`, batch norm is held
    to those of the whole training set, measured once before the first step.
    """
    loss = fo.losses.SparseCategoricalCrossentropy(from_logits=True)
    rng = np.random.default_rng(seed)
    if batch_size == 1:
        network.measure(x)
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(x))
        for start in range(0, len(x) - batch_size + 1, batch_size):
            batch = order[start : start + batch_size]
            logits = network.forward(x[batch], training=batch_size > 1)
            _, dlogits = loss.value_and_grad(labels[batch], logits)
            optimizer.step(network.backward(dlogits))
        yield epoch


def evaluate(network: Network, x: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the loss and the metrics on images that are only looked at.

    Precision and recall are means over the classes; so is AUC, each class's probability against all the others.

    Raises
    ------
    FloatingPointError
        If training has diverged.
    """
    logits = network.forward(x)
    if not np.isfinite(logits).all():
        raise FloatingPointError("the network's outputs are no longer finite: training diverged")
    loss = fo.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = odds / odds.sum(axis=1, keepdims=True)
    watched: dict[str, Any] = {
        "loss": loss,
        "accuracy": fo.metrics.accuracy(labels, scores),
        "precision": fo.metrics.precision(labels, scores, average="macro", zero_division=0.0),
        "recall": fo.metrics.recall(labels, scores, average="macro", zero_division=0.0),
        "auc": fo.metrics.auc(labels, scores, multi_class="ovr"),
        "top_3": fo.metrics.sparse_top_k_categorical_accuracy(labels, scores, k=3),
    }
    return {name: float(value) for name, value in watched.items()}


def named_initializer(name: str) -> Callable[..., np.ndarray]:
    """Return an initializer of fastopt's by name; those that fill with a constant take no seed and get none."""
    make = getattr(fo.initializers, name)
    if "seed" in signature(make).parameters:
        return make
    return lambda shape, seed, dtype: make(shape, dtype=dtype)
