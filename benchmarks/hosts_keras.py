"""Keras's losses, optimizers, layers and metrics, on torch, beside ours: rows of hosts.py."""

import os
from collections.abc import Callable, Iterator
from functools import partial

os.environ.setdefault("KERAS_BACKEND", "torch")  # where the kernels read the tensors

import keras
import numpy as np
import torch
from host_rows import Row

import fastopt as fo
import fastopt.keras as ours

ROOMS = (ours, keras)


def rows(small: bool) -> Iterator[Row]:
    torch.set_num_threads(fo.get_num_threads())
    rng = np.random.default_rng(0)
    for samples, classes, goal in ((64, 10, 1.0), (512, 100, 1.2), (256, 1000, 1.5) if small else (2048, 10_000, 1.5)):
        logits, labels = tensor(rng, samples, classes), torch.tensor(rng.integers(0, classes, samples))
        losses = (room.losses.SparseCategoricalCrossentropy(from_logits=True) for room in ROOMS)
        calls = (slope(partial(loss, labels), logits) for loss in losses)
        yield Row(f"cross-entropy and gradient, {samples} × {classes}", *calls, goal)
    for name in ("AdamW", "SGD", "Lamb"):
        for count, size in ((8, 1000), (100, 10_000), (1, 100_000 if small else 10_000_000)):
            values = [[tensor(rng, size) for _ in range(count)] for _ in ("variables", "gradients")]
            steps = (stepping(getattr(room.optimizers, name)(), *values) for room in ROOMS)
            yield Row(f"{name}, {count} variables of {size}", *steps, 1.0)
    x = tensor(rng, 8, 16, 16, 32) if small else tensor(rng, 64, 32, 32, 64)
    for name, options in (
        ("BatchNormalization", {}), ("GroupNormalization", {"groups": 8}), ("LayerNormalization", {}),
        ("RMSNormalization", {}), ("UnitNormalization", {}),
    ):  # fmt: skip
        how = {"training": True} if name == "BatchNormalization" else {}
        layers = [getattr(room.layers, name)(**options) for room in ROOMS]
        for layer in layers:
            layer.build(tuple(x.shape))
        yield Row(
            f"{name} and gradient, {'×'.join(map(str, x.shape))}",
            *(slope(partial(layer, **how), x) for layer in layers), 1.0,
        )  # fmt: skip
    for n in (256, 10_000 if small else 1_000_000):
        y, p = torch.tensor(rng.integers(0, 2, n)), torch.tensor(rng.random(n), dtype=torch.float32)
        for name in ("AUC", "Precision"):
            yield Row(
                f"{name}.update_state, {n}", *(counting(getattr(room.metrics, name)(), y, p) for room in ROOMS), 1.0
            )


def tensor(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.tensor(rng.standard_normal(shape), dtype=torch.float32)


def slope(call: Callable, x: torch.Tensor) -> Callable[[], object]:
    """Return a call with its gradient; of a layer, that of its outputs weighed by their places."""
    x = x.clone().requires_grad_()
    weights = torch.linspace(-1, 1, x.numel()).reshape(x.shape)

    def run() -> object:
        x.grad = None
        y = call(x)
        y.backward(weights if y.dim() else None)
        return x.grad

    return run


def stepping(optimizer: keras.optimizers.Optimizer, values: list, grads: list) -> Callable[[], object]:
    variables = [keras.Variable(value.clone()) for value in values]
    optimizer.build(variables)

    def run() -> object:
        optimizer.apply(grads)
        return variables[0].value.detach().numpy()

    return run


def counting(metric: keras.metrics.Metric, y: torch.Tensor, p: torch.Tensor) -> Callable[[], object]:
    def run() -> object:
        metric.update_state(y, p)
        return metric.variables[0].value.detach().numpy()

    return run
