"""The pictures of `fastopt demo --plot`: loss and accuracy by epoch, and how wide activations spread by layer."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

import fastopt as fo
from fastopt.cli.demo.network import named_initializer

if TYPE_CHECKING:
    from fastopt.cli.demo.runs import Plan

FORMATS = ("png", "pdf", "svg", "jpg", "webp")
DEPTH = 16  # layers of the network whose activations are drawn: deep enough for a scale to vanish or explode
BESIDE = ("he_normal", "glorot_normal", "normal")  # drawn in grey beside the chosen initializer
INK, GREY, TRAIN, TEST, CHOSEN = "#1f2937", "#9ca3af", "#60a5fa", "#1d4ed8", "#c2410c"


def spread(name: str, x: np.ndarray, width: int, seed: int, batch_norm: bool = False) -> np.ndarray:
    """Return quantiles (5, 25, 50, 75, 95 %) and the root mean square of each layer's outputs, before ReLU.

    Of a network of `DEPTH` dense layers, just initialized; rows are layers. Magnitudes, so that they fit a log axis.
    """
    make, rows = named_initializer(name), []
    for k, shape in enumerate(pairwise([x.shape[1], *[width] * DEPTH])):
        x = np.matmul(x, make(shape, seed=seed + k, dtype="float32"))
        if batch_norm:
            x = fo.normalization.BatchNorm(width, dtype="float32").forward(x, training=True)
        size = np.abs(x, dtype=np.float64)
        rows.append([*np.quantile(size, (0.05, 0.25, 0.5, 0.75, 0.95)), np.sqrt(np.mean(size**2))])
        x = np.maximum(x, 0)
    return np.array(rows)


def draw(path: Path, plan: "Plan", epochs: list[dict[str, float]], x: np.ndarray) -> None:
    """Draw three panels into a file: loss and accuracy by epoch, and the spread of activations by layer."""
    layout = ConstrainedLayoutEngine(wspace=0.05, w_pad=0.1, h_pad=0.1)
    figure = Figure(figsize=(15, 5), layout=layout, facecolor="white")
    figure.suptitle(f"fastopt demo: {plan}", x=0.01, ha="left", fontsize=11, color=INK)
    loss, accuracy, layers = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
    _draw_epochs(loss, epochs, "loss", "Loss (softmax cross-entropy)")
    _draw_epochs(accuracy, epochs, "accuracy", "Accuracy")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _draw_spread(layers, plan, x)
    figure.savefig(path, dpi=150)


def _dress(axes: Axes, title: str, xlabel: str) -> None:
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=10)
    axes.set_xlabel(xlabel, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, which="both")
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_epochs(axes: Axes, epochs: list[dict[str, float]], name: str, title: str) -> None:
    at = [row["epoch"] for row in epochs]
    for part, colour in (("train", TRAIN), ("test", TEST)):
        values = [row[f"{part}_{name}"] for row in epochs]
        last = f"{values[-1]:.1%}" if name == "accuracy" else f"{values[-1]:.3f}"
        axes.plot(at, values, color=colour, linewidth=2, marker="o", markersize=3.5 if len(at) < 40 else 0)
        axes.plot(at[-1:], values[-1:], "o", color=colour, markersize=6, label=f"{part}, {last} at the end")
    _dress(axes, title, "epoch")
    axes.legend(frameon=False, labelcolor=INK)
    axes.set_xlim(0.5, len(at) + 0.5)
    values = [row[f"{part}_{name}"] for row in epochs for part in ("train", "test")]
    if name == "loss":
        axes.set_ylim(0, 1.08 * max(values))
    else:
        axes.set_ylim(max(0, min(0.9, min(values) - 0.02)), 1.01)


def _draw_spread(axes: Axes, plan: "Plan", x: np.ndarray) -> None:
    layers, width = np.arange(1, DEPTH + 1), plan.widths[1]
    for name in BESIDE:
        if name != plan.init:
            rms = spread(name, x, width, plan.seed)[:, -1]
            axes.plot(layers, rms, color=GREY, linewidth=1.3)
            axes.annotate(name, (DEPTH, rms[-1]), (6, 0), textcoords="offset points", va="center", color="#6b7280")
    _dress(axes, "Activations by layer, at the start", f"dense layer, {width} wide, ReLU between, no batch norm")
    chosen = spread(plan.init, x, width, plan.seed)
    if not chosen[:, -1].any():
        said = f"{plan.init}: exactly 0 in every layer"
        axes.text(0.03, 0.05, said, transform=axes.transAxes, color=CHOSEN, fontweight="bold")
    else:
        low, lower, _, upper, high, rms = chosen.T
        axes.fill_between(layers, low, high, color=CHOSEN, alpha=0.15, linewidth=0, label="5 to 95 % of activations")
        axes.fill_between(layers, lower, upper, color=CHOSEN, alpha=0.3, linewidth=0, label="25 to 75 %")
        axes.plot(layers, rms, color=CHOSEN, linewidth=2.5, label="root mean square")
        axes.annotate(
            plan.init,
            (DEPTH, rms[-1]),
            (6, 0),
            textcoords="offset points",
            va="center",
            color=CHOSEN,
            fontweight="bold",
        )
    normed = spread(plan.init, x, width, plan.seed, batch_norm=True)[:, -1]
    if normed.any():
        axes.plot(layers, normed, color=INK, linewidth=1.5, linestyle=(0, (4, 2)), label="with batch norm")
    axes.set_yscale("log")
    axes.set_ylabel("magnitude", color=INK)
    if chosen[:, -1].any():
        axes.legend(frameon=False, labelcolor=INK, loc="best", fontsize=9)
