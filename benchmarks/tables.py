"""A benchmark's table: on the screen, and between its own two markers in a file of Markdown."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from fastopt.cli.bench.clock import measure_bandwidth
from fastopt.cli.bench.results import circumstances, split_readme, write_readme


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def refuse_early(readme: Path | None, name: str) -> None:
    """Raise now, not after the work, if a file has no place for the table."""
    if readme is not None:
        split_readme(readme, *marks(name))


def machine(threads: int) -> str:
    """Return what a table was measured on, as a sentence."""
    found = circumstances(measure_bandwidth(threads))
    memory = f"{found['copy_gb_s']:.0f} GB/s in a copy and {found['in_place_gb_s']:.0f} GB/s in place"
    commit = f" at {found['commit']}" if found["commit"] else ""
    version = f"fastopt {found['fastopt']}{commit}, {found['time'][:10]}"
    return f"{found['device']}, {found['instruction_set']}, {threads} threads; memory moves {memory}. {version}."


def show(name: str, introduction: str, headings: Sequence[str], rows: Sequence[Sequence[str]], readme: Path | None):
    """Print a table, and write it to a file if there is one; numbers stand to the right of the first column."""
    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    console = Console(width=max(160, Console().width))
    console.print(introduction)
    console.print(table)
    if readme is not None:
        lines = [headings, ["---"] + ["--:"] * (len(headings) - 1), *rows]
        text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        write_readme(readme, f"{introduction}\n\n{text}\n", *marks(name))


def times(seconds: np.ndarray) -> str:
    """Return p20 / p50 / p80 in a unit that reads well."""
    unit, name = next((u, n) for u, n in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if np.median(seconds) * u > 0.5)
    return " / ".join(f"{unit * t:.3g}" for t in np.percentile(seconds, (20, 50, 80))) + f" {name}"
