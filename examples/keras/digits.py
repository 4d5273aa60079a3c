"""A network with batch norm on scikit-learn's digits, trained by `fit`, with and without fastopt.

    KERAS_BACKEND=torch python examples/keras/digits.py [--epochs 3] [--plot curves.png]

Prints the time of a step and the loss of both, and draws both curves where a file is named. The curves are the same
within rounding: change the imports, and nothing else.
"""

import argparse
import os
import statistics
import time
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")  # where fastopt's kernels read the tensors

import keras
import numpy as np
from sklearn.datasets import load_digits

import fastopt.keras


class Steps(keras.callbacks.Callback):
    """The loss of every step so far in its epoch, and the time of each."""

    def __init__(self) -> None:
        super().__init__()
        self.curve: list[float] = []
        self.times: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.times.append(time.perf_counter() - self.begun)
        self.curve.append(float(logs["loss"]))


def train(rooms: Any, epochs: int) -> Steps:
    """Train the network of these rooms (`keras` or `fastopt.keras`), from the same weights in every call."""
    digits = load_digits()
    images, labels = (digits.data / 16.0).astype(np.float32), digits.target
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,))])
    for width in (256, 128):
        model.add(keras.layers.Dense(width, use_bias=False))
        model.add(rooms.layers.BatchNormalization())
        model.add(keras.layers.ReLU())
    model.add(keras.layers.Dense(10))
    loss = rooms.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(rooms.optimizers.AdamW(3e-3), loss)
    steps = Steps()
    model.fit(images, labels, batch_size=64, epochs=epochs, verbose=0, callbacks=[steps])
    return steps


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Train both ways; return the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--plot", help="file to draw the curves to")
    chosen = parser.parse_args(arguments)
    found = {"keras": train(keras, chosen.epochs), "fastopt": train(fastopt.keras, chosen.epochs)}
    curves = {name: steps.curve for name, steps in found.items()}
    for name, steps in found.items():
        milliseconds = 1e3 * statistics.median(steps.times)
        print(f"{name:8} {milliseconds:6.2f} ms a step, loss {steps.curve[0]:.3f} to {steps.curve[-1]:.3f}")
    if chosen.plot:
        from matplotlib import pyplot

        for (name, curve), style in zip(curves.items(), ("-", "--"), strict=True):
            pyplot.plot(curve, style, label=name)
        pyplot.xlabel("step")
        pyplot.ylabel("loss, mean of the epoch so far")
        pyplot.legend()
        pyplot.savefig(chosen.plot)
        pyplot.close()
    return curves


if __name__ == "__main__":
    main()
