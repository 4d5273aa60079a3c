"""What the examples share: training with and without fastopt, times, and both loss curves."""

import argparse
import statistics
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import torch

Step = Callable[[int], torch.Tensor]  # (number) -> the loss; it trains once
NAMES = ("torch", "fastopt")


def parser(text: str | None) -> argparse.ArgumentParser:
    """Return the parser of an example's arguments, with the one that all have."""
    found = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--plot", help="file to draw the curves to")
    return found


def sources(size: int) -> torch.Tensor:
    """Return so many bytes of the standard library's sources."""
    text = b""
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text += path.read_bytes()
        if len(text) >= size:
            break
    return torch.frombuffer(bytearray(text[:size]), dtype=torch.uint8).long()


def train(step: Step, steps: int) -> tuple[list[float], float]:
    """Return the loss of every step, and the median time of one in milliseconds."""
    curve, times = [], []
    for number in range(steps):
        begun = time.perf_counter()
        loss = step(number)
        times.append(time.perf_counter() - begun)
        curve.append(loss.item())
    return curve, 1e3 * statistics.median(times)


def report(curves: dict[str, list[float]], times: dict[str, float], plot: str | None) -> None:
    """Print the time of a step and the losses, and draw the curves where a file is named."""
    for name, curve in curves.items():
        print(f"{name:8} {times[name]:7.2f} ms a step, loss {curve[0]:.3f} to {curve[-1]:.3f}")
    if plot:
        from matplotlib import pyplot

        figure, axes = pyplot.subplots()
        for name, curve in curves.items():
            axes.plot(curve, label=name)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend()
        figure.savefig(plot)
        pyplot.close(figure)
