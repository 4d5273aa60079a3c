"""fastopt.torch beside torch, in turn in one process: single calls, whole training steps, and memory.

    python benchmarks/torch_training.py [--only WORDS] [--docs .]

Run it on a quiet machine: each is timed as the caches are its own. What torch.compile makes is compiled before it is
timed, which takes a minute.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Annotated

import numpy as np
import tables
import torch
import torch_calls as calls
import torch_networks as networks
import typer
from torch_memory import memory
from torch_row import Row

from fastopt.cli.bench import pages
from fastopt.cli.bench.clock import Job, interleave

HEADINGS = ["work", "fastopt", "beside", "its time", "faster by", "goal", ""]
NAME = "torch"


def rows(small: bool) -> Iterator[Callable[[], Row]]:
    """Yield what makes each row: no two of them hold memory at a time."""
    yield from calls.rows(small)
    yield from networks.rows(small)


def main(
    only: Annotated[str, typer.Option(help="Rows whose work holds these words.")] = "",
    rounds: Annotated[int, typer.Option(min=1)] = 15,
    small: Annotated[bool, typer.Option("--small", help="Small sizes, to see that it runs.")] = False,
    docs: tables.Docs = None,
) -> None:
    """Measure the rows, and print the tables."""
    if docs is not None:
        if small or only:
            raise typer.BadParameter("--docs: expected neither --small nor --only, as its tables are whole")
        pages.refuse_early(docs, NAME)
    found = [line for make in rows(small) if only in make.__doc__ for line in measured(make(), rounds)]
    machine = "Small sizes." if small else tables.machine(torch.get_num_threads())
    tables.show(NAME, f"p20 / p50 / p80 beside torch {version('torch')}. {machine}", HEADINGS, found, docs)
    if not only:
        heading = ["one step", "most memory added, MiB"]
        tables.show(f"{NAME}: memory", "Each in a process of its own.", heading, memory(small), docs)


def measured(row: Row, rounds: int) -> Iterator[list[str]]:
    """Yield a line for each peer."""
    own, *theirs = interleave([Job(row.ours), *[Job(run) for run, _ in row.peers.values()]], rounds)
    for (name, (_, goal)), seconds in zip(row.peers.items(), theirs, strict=True):
        ratio = float(np.median(seconds) / np.median(own))
        judged = "" if not goal else "met" if ratio >= goal else "**missed**"
        goal_told = f"{goal:g}×" if goal else "–"
        yield [row.work, tables.times(own), name, tables.times(seconds), f"{ratio:.2f}×", goal_told, judged]


if __name__ == "__main__":
    typer.run(main)
