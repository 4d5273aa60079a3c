"""A benchmark's table: on the screen, and between its own two markers in docs/results.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from fastopt.cli.bench import pages
from fastopt.cli.bench.clock import measure_bandwidth
from fastopt.cli.bench.results import circumstances

Docs = Annotated[Path | None, typer.Option(help="Rewrite docs/results.md and README.md of this checkout.")]


def machine(threads: int) -> str:
    """Return what a table was measured on, as a sentence."""
    found = circumstances(measure_bandwidth(threads))
    memory = f"{found['copy_gb_s']:.0f} GB/s in a copy and {found['in_place_gb_s']:.0f} GB/s in place"
    commit = f" at {found['commit']}" if found["commit"] else ""
    version = f"fastopt {found['fastopt']}{commit}, {found['time'][:10]}"
    return f"{found['device']}, {found['instruction_set']}, {threads} threads; memory moves {memory}. {version}."


def show(name: str, introduction: str, headings: Sequence[str], rows: Sequence[Sequence[str]], docs: Path | None):
    """Print a table, and write it to the pages of a checkout if one is given; behind the first column stand numbers."""
    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    console = Console(width=max(160, Console().width))
    console.print(introduction)
    console.print(table)
    if docs is not None:
        lines = [headings, ["---"] + ["--:"] * (len(headings) - 1), *rows]
        text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        pages.write(docs, name, f"{introduction}\n\n{text}\n")


def times(seconds: np.ndarray) -> str:
    """Return p20 / p50 / p80 in a unit that reads well."""
    unit, name = next((u, n) for u, n in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if np.median(seconds) * u > 0.5)
    return " / ".join(f"{unit * t:.3g}" for t in np.percentile(seconds, (20, 50, 80))) + f" {name}"
