"""A convolutional network with batch norm on scikit-learn's digits, with and without fastopt.

    python examples/torch/digits.py [--epochs 3] [--plot curves.png]

Prints the time of a step and the loss of both, and draws both curves where a file is named.
"""

import argparse
import statistics
import time
from typing import Any

import torch
from sklearn.datasets import load_digits

import fastopt.torch


def network() -> torch.nn.Sequential:
    """Return the network, with the same weights in every call."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, padding=1, stride=2), torch.nn.BatchNorm2d(32), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(32 * 4 * 4, 10),
    )  # fmt: skip


def train(model: torch.nn.Module, optimizer: Any, loss: Any, epochs: int) -> tuple[list[float], float]:
    """Return the loss of every step, and the median time of one in milliseconds."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16.0
    labels = torch.tensor(digits.target)
    curve, times = [], []
    for epoch in range(epochs):
        torch.manual_seed(epoch)
        for chosen in torch.randperm(len(images)).split(64):
            begun = time.perf_counter()
            optimizer.zero_grad()
            value = loss(model(images[chosen]), labels[chosen])
            value.backward()
            optimizer.step()
            times.append(time.perf_counter() - begun)
            curve.append(value.item())
    return curve, 1e3 * statistics.median(times)


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Train both ways; return the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--plot", help="file to draw the curves to")
    chosen = parser.parse_args(arguments)
    plain = network()
    curves, theirs = {}, torch.optim.AdamW(plain.parameters(), lr=3e-3)
    curves["torch"], of_torch = train(plain, theirs, torch.nn.CrossEntropyLoss(), chosen.epochs)
    model = network()
    print(fastopt.torch.accelerate(model))
    ours = fastopt.torch.optim.AdamW(model.parameters(), lr=3e-3)
    curves["fastopt"], of_fastopt = train(model, ours, fastopt.torch.nn.CrossEntropyLoss(), chosen.epochs)
    for name, milliseconds in (("torch", of_torch), ("fastopt", of_fastopt)):
        print(f"{name:8} {milliseconds:6.2f} ms a step, loss {curves[name][0]:.3f} to {curves[name][-1]:.3f}")
    if chosen.plot:
        from matplotlib import pyplot

        for name, curve in curves.items():
            pyplot.plot(curve, label=name)
        pyplot.legend()
        pyplot.savefig(chosen.plot)
    return curves


if __name__ == "__main__":
    main()
