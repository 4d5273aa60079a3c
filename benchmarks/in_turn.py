"""Our calls in turn with those of libraries that have threads of their own, beside each alone.

python benchmarks/in_turn.py [--docs .]

NumPy's products, numexpr and Numba's parallel loops come in turn with calls on NumPy arrays, which run on our pool;
torch's products with calls of `fastopt.torch`, which run on torch's threads. numexpr is left out where it isn't
installed.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numba
import numpy as np
import tables
import torch
import typer

import fastopt as fo
import fastopt.torch
from fastopt.cli.bench import company, pages

ROUNDS = 15
LENGTH = 1_000_000
Work = Callable[[], object]


def torch_products() -> Work:
    x, first, second = (torch.randn(shape) for shape in ((256, 100), (100, 256), (256, 256)))
    return lambda: x @ first @ second @ second.T @ first.T


def torch_adamw(size: int = LENGTH) -> Work:
    parameter = torch.nn.Parameter(torch.randn(size))
    parameter.grad = torch.randn(size)
    return fastopt.torch.optim.AdamW([parameter]).step


def torch_loss_and_step() -> Work:
    shapes = ((100, 256), (256,), (256, 256), (256,), (256, 10), (10,))
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimizer, labels = fastopt.torch.optim.Adam(parameters), torch.randint(0, 10, (256,))
    logits = torch.randn(256, 10, requires_grad=True)

    def run() -> None:
        fastopt.torch.functional.cross_entropy(logits, labels).backward()
        optimizer.step()

    return run


def numba_loop() -> Work:
    @numba.njit(parallel=True)
    def smooth(x: np.ndarray, out: np.ndarray) -> None:
        for i in numba.prange(x.size):
            out[i] = np.tanh(x[i])

    x = np.linspace(-1, 1, LENGTH)
    return partial(smooth, x, np.empty_like(x))


def numexpr_expression() -> Work:
    import numexpr

    x = np.linspace(-1, 1, LENGTH)
    return partial(numexpr.evaluate, "tanh(x)", {"x": x}, out=np.empty_like(x))


def pairs() -> list[tuple[str, str, Work, Work, float]]:
    """Return the other library's work, ours, both as calls, and the goal: how many times the sum of each alone."""
    ours = (("loss and Adam step", company.loss_and_step), ("AdamW of 1M", company.adamw))
    others = [("NumPy's products", company.products, company.GOAL), ("Numba's parallel loop", numba_loop, 1.3)]
    if find_spec("numexpr"):
        others.append(("numexpr", numexpr_expression, 1.3))
    found = [(name, what, make(), work(), goal) for name, make, goal in others for what, work in ours]
    on_torch = (("loss and Adam step", torch_loss_and_step), ("AdamW of 1M", torch_adamw))
    return found + [("torch's products", what, torch_products(), work(), 1.1) for what, work in on_torch]


def main(docs: tables.Docs = None) -> None:
    """Measure all pairs, and print the table."""
    if docs is not None:
        pages.refuse_early(docs, "in_turn")
    torch.set_num_threads(fo.get_num_threads())
    rows = []
    for other, what, its, ours, goal in pairs():
        apart, alone, paused, together = (1e6 * seconds for seconds in company.measure(its, ours, ROUNDS))
        ratio = together / (apart + alone)
        rows.append([
            other, what, *(f"{time:.0f}" for time in (apart, alone, paused, together)), f"{ratio:.2f}×", f"{goal:g}×",
            "met" if ratio <= goal else "**missed**", f"{together / (apart + paused):.2f}×",
        ])  # fmt: skip
    introduction = (
        "Medians in microseconds. After a pause as long as the other's work, caches and threads have cooled down as in "
        f"turn, with nobody else at work. {tables.machine(fo.get_num_threads())}"
    )
    headings = [
        "in turn with", "ours", "its time alone", "ours alone", "ours after a pause", "in turn",
        "of the sum", "goal", "", "of the sum with the pause",
    ]  # fmt: skip
    tables.show("in_turn", introduction, headings, rows, docs)


if __name__ == "__main__":
    typer.run(main)
