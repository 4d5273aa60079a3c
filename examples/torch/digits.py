"""A convolutional network with batch norm on scikit-learn's digits, with and without fastopt.

    python examples/torch/digits.py [--epochs 3] [--plot curves.png]

Prints the time of a step and the loss of both, and draws both curves where a file is named.
"""

from typing import Any

import torch
from both_ways import parser, report, train
from sklearn.datasets import load_digits

import fastopt.torch

BATCH = 64


def network() -> torch.nn.Sequential:
    """Return the network, with the same weights in every call."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, padding=1, stride=2), torch.nn.BatchNorm2d(32), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(32 * 4 * 4, 10),
    )  # fmt: skip


def trained(model: torch.nn.Module, optimizer: Any, loss: Any, epochs: int) -> tuple[list[float], float]:
    """Return the loss of every step, and the median time of one in milliseconds."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16.0
    labels = torch.tensor(digits.target)
    batches: list[torch.Tensor] = []
    for epoch in range(epochs):
        torch.manual_seed(epoch)
        batches += torch.randperm(len(images)).split(BATCH)

    def step(number: int) -> torch.Tensor:
        optimizer.zero_grad()
        value: torch.Tensor = loss(model(images[batches[number]]), labels[batches[number]])
        value.backward()
        optimizer.step()
        return value

    return train(step, len(batches))


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Train both ways; return the curves."""
    flags = parser(__doc__)
    flags.add_argument("--epochs", type=int, default=3)
    chosen = flags.parse_args(arguments)
    plain, model, curves, times = network(), network(), {}, {}
    print(fastopt.torch.accelerate(model))
    theirs = torch.optim.AdamW(plain.parameters(), lr=3e-3)
    ours = fastopt.torch.optim.AdamW(model.parameters(), lr=3e-3)
    curves["torch"], times["torch"] = trained(plain, theirs, torch.nn.CrossEntropyLoss(), chosen.epochs)
    curves["fastopt"], times["fastopt"] = trained(model, ours, fastopt.torch.nn.CrossEntropyLoss(), chosen.epochs)
    report(curves, times, chosen.plot)
    return curves


if __name__ == "__main__":
    main()
