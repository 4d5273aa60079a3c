"""scikit-learn's metrics and perceptrons beside ours: rows of hosts.py."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from host_rows import Row
from sklearn import metrics, neural_network
from sklearn.datasets import load_digits

import fastopt.sklearn as ours


def rows(small: bool) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    yield from of_metrics(rng, 1000, 5.0)
    yield from of_metrics(rng, 10_000 if small else 1_000_000, 15.0)
    x, y = load_digits(return_X_y=True)
    large = rng.standard_normal((2000 if small else 100_000, 100))
    labels = (large[:, :10] @ rng.standard_normal((10, 5))).argmax(axis=1)
    for dtype, goal in ((np.float64, 3.0), (np.float32, 2.5)):
        yield fitting("digits, (100,)", (x / 16).astype(dtype), y, (100,), 2 if small else 20, goal)
        name = f"{len(large)} × 100, (256, 256)"
        yield fitting(name, large.astype(dtype), labels, (256, 256), 1 if small else 3, goal)


def of_metrics(rng: np.random.Generator, n: int, goal: float) -> Iterator[Row]:
    y, p = rng.integers(0, 2, n), rng.random(n)
    y5, q5, proba = rng.integers(0, 5, n), rng.integers(0, 5, n), rng.dirichlet(np.ones(5), n)
    for name, given, how in (
        ("roc_auc_score", (y, p), {}),
        ("average_precision_score", (y, p), {}),
        ("precision_recall_fscore_support", (y5, q5), {"average": "macro"}),
        ("confusion_matrix", (y5, q5), {}),
        ("accuracy_score", (y5, q5), {}),
        ("log_loss", (y5, proba), {}),
        ("top_k_accuracy_score", (y5, proba), {}),
        ("brier_score_loss", (y, p), {}),
        ("mean_squared_error", (p, p[::-1].copy()), {}),
    ):
        one, other = (partial(getattr(room, name), *given, **how) for room in (ours, metrics))
        yield Row(f"{name}, {n}", one, other, goal)


def fitting(name: str, x: np.ndarray, y: np.ndarray, layers: tuple[int, ...], epochs: int, goal: float) -> Row:
    def fit(kind: Callable) -> list[float]:
        return kind(layers, max_iter=epochs, random_state=0).fit(x, y).loss_curve_

    one, other = (partial(fit, room.MLPClassifier) for room in (ours, neural_network))
    return Row(f"MLPClassifier.fit, {name}, {x.dtype}, {epochs} epochs", one, other, goal)
