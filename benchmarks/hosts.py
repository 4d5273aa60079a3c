"""What the adapters gain: a host's own way and ours, in turn in one process.

    python benchmarks/hosts.py [--host sklearn] [--docs .]

A table for each host, or for the one that is named. NumPy's BLAS should be as it is: unset OPENBLAS_CORETYPE and
OPENBLAS_L2_SIZE for this command. A host that is not installed is named, and left out.
"""

import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated

import numpy as np
import tables
import typer
from host_rows import Row

import fastopt as fo
from fastopt.cli.bench import pages
from fastopt.cli.bench.clock import Job, interleave

HOSTS = {"sklearn": ("scikit-learn",), "keras": ("keras", "torch"), "jax": ("jax", "optax")}  # and what to install
HEADINGS = ["work", "fastopt", "theirs", "faster by", "goal", ""]


def main(
    host: Annotated[str, typer.Option(help="sklearn, keras, jax or all")] = "all",
    rounds: Annotated[int, typer.Option(min=1)] = 9,
    small: Annotated[bool, typer.Option("--small", help="Small sizes, to see that it runs.")] = False,
    docs: tables.Docs = None,
) -> None:
    """Measure a host's rows, or all hosts', and print the tables."""
    if host not in (*HOSTS, "all"):
        raise typer.BadParameter(f"--host: expected {', '.join(HOSTS)} or all, got {host}")
    if small and docs is not None:
        raise typer.BadParameter("--small: expected none with --docs, whose tables have full sizes")
    chosen = [each for each in HOSTS if host in (each, "all")]
    if docs is not None:
        for each in chosen:
            pages.refuse_early(docs, f"hosts: {each}")
    for each in chosen:
        if not find_spec(each):
            print(f"{each} is not installed: pip install 'fastopt[{each}]'")
            continue
        found = [measured(row, rounds) for row in import_module(f"hosts_{each}").rows(small)]
        versions = ", ".join(f"{package} {version(package)}" for package in HOSTS[each])
        machine = "Small sizes." if small else tables.machine(fo.get_num_threads())
        introduction = f"p20 / p50 / p80 beside {versions}. {machine}"
        tables.show(f"hosts: {each}", introduction, HEADINGS, found, docs)


def measured(row: Row, rounds: int) -> list[str]:
    """Return the cells of a row; what both give is the same."""
    ours, theirs = (list(numbers(call())) for call in (row.ours, row.theirs))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4, err_msg=row.work)
    times = interleave([Job(row.ours), Job(row.theirs)], rounds)
    ratio = float(np.median(times[1]) / np.median(times[0]))
    judged = "met" if ratio >= row.goal else "**missed**"
    return [row.work, *map(tables.times, times), f"{ratio:.2f}×", f"{row.goal:g}×", judged]


def numbers(found: object) -> Iterator[np.ndarray]:
    """Yield what a call has returned as arrays, each apart, and nothing for what isn't there."""
    for each in found if isinstance(found, tuple) else (found,):
        if each is not None:
            yield np.array(each, np.float64)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # a fixed number of epochs is what is compared
    typer.run(main)
