"""`fastopt check`: every op of the table against the reference, on the user's own machine."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from fastopt import report
from fastopt.cli.verdict import Family, Names, choose, miss, one_of, words
from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.kernels.runtime.settings import TARGETS, target
from fastopt.table.op import Arrays, Op

SHAPES = 5  # of each op's shapes, from the smallest to the largest


@dataclass
class Verdict:
    """What was found of one op on one target."""

    op: str
    family: str
    target: str
    cases: int = 0
    worst: float = 0.0  # error relative to the tolerance: at most 1 is right
    failure: str = ""
    missing: int = 0  # cases that the target has no kernel for yet

    @property
    def passed(self) -> bool:
        return not self.failure


def shapes(op: Op) -> list[tuple[int, ...]]:
    """Return a few of an op's shapes: the smallest, the largest, and some between."""
    by_size = sorted(op.shapes, key=lambda shape: np.prod(shape, dtype=int))
    count = min(SHAPES, len(by_size))
    return [by_size[k] for k in np.linspace(0, len(by_size) - 1, count).round().astype(int)]


def check(op: Op, targets: Sequence[str], advance: Callable[[str], None]) -> list[Verdict]:
    """Run an op's options, shapes and dtypes on the targets; `advance` is told of every case."""
    verdicts = [Verdict(op.name, op.family, name) for name in targets]
    for options, dtype, shape in product(op.options, DTYPES, shapes(op)):
        case = f"{op.name}({words(options)}) of {dtype} {shape}"
        arrays = op.inputs(np.random.default_rng(0), shape, dtype, options)
        expected = op.expect(options, _copies(arrays))
        for verdict in verdicts:
            advance(f"{op.name} on {verdict.target}")
            verdict.cases += 1
            try:
                with target(verdict.target):
                    got = _on_host(op.call(options, _placed(arrays, verdict.target)))
            except NotImplementedError:
                verdict.missing += 1
                continue
            except Exception as error:  # to report it, and to go on, is what this command is for
                verdict.failure = verdict.failure or f"{case}: {type(error).__name__}: {error}"
                continue
            error_in_tolerances = miss(got, expected, op.tolerance[dtype])
            verdict.worst = max(verdict.worst, error_in_tolerances)
            if error_in_tolerances > 1:
                verdict.failure = verdict.failure or f"{case}: off by {error_in_tolerances:.3g} tolerances"
    return verdicts


def _copies(arrays: Arrays) -> Arrays:
    return {name: array.copy(order="K") for name, array in arrays.items()}


def _placed(arrays: Arrays, name: str) -> Any:
    """Return copies of arrays where a target works."""
    if name != "cuda":
        return _copies(arrays)
    from fastopt.kernels.runtime.cuda_arrays import on_device

    return {name: on_device(array) for name, array in arrays.items()}


def _on_host(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return results in the host's memory."""
    return {
        name: value.copy() if hasattr(value, "__cuda_array_interface__") else value for name, value in results.items()
    }


def cases(op: Op) -> int:
    return len(op.options) * len(DTYPES) * len(shapes(op))


def table(verdicts: Sequence[Verdict]) -> Table:
    """Return a table with a row for each op and a column for each target."""
    names = list(dict.fromkeys(verdict.target for verdict in verdicts))
    drawn = Table(title="largest error, in tolerances (at most 1 is right)")
    for heading in ("family", "op"):
        drawn.add_column(heading)
    for heading in ("cases", *names):
        drawn.add_column(heading, justify="right")
    rows: dict[tuple[str, str], dict[str, Verdict]] = {}
    for verdict in verdicts:
        rows.setdefault((verdict.family, verdict.op), {})[verdict.target] = verdict
    for (family, op), found in rows.items():
        cells = [_cell(one) for one in found.values()]
        drawn.add_row(family, op, str(sum(one.cases for one in found.values())), *cells)
    return drawn


def _cell(verdict: Verdict) -> str:
    if not verdict.passed:
        return f"[red]{verdict.worst:.3g} WRONG"
    if verdict.missing == verdict.cases:
        return "not yet"
    missing = f", {verdict.missing} not yet" if verdict.missing else ""
    return f"[green]{verdict.worst:.2f} ok{missing}"


Targets = Annotated[
    list[str] | None, typer.Option("--target", help="cython, numba, reference or cuda; default: the first two.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")]


def run(family: Family = None, op: Names = None, targets: Targets = None, as_json: AsJson = False) -> None:
    """Check every kernel against the float64 reference, on this machine.

    Each op of the table runs with all its options, in float32 and float64, at a few sizes, on both compiled
    targets. Numba compiles its kernels on the way: the first run takes a minute or two.

    \b
    Examples:
      fastopt check                          everything
      fastopt check losses                   one family
      fastopt check --op adamw --target numba
      fastopt check --json > verdicts.json

    The exit code is 1 if anything is wrong.
    """
    rows = choose(family, op or ())
    targets = targets or [name for name in ("cython", "numba") if report.why_not(name) is None]
    for name in targets:
        one_of(name, "--target", TARGETS)
        if reason := report.why_not(name):
            raise typer.BadParameter(f"--target {name}: {reason}")
    console = Console(stderr=as_json)
    verdicts: list[Verdict] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("checking", total=sum(cases(row) for row in rows) * len(targets))
        for row in rows:
            verdicts += check(row, targets, lambda what: progress.update(task, advance=1, description=what))
    wrong = [verdict for verdict in verdicts if not verdict.passed]
    if as_json:
        sys.stdout.write(json.dumps([{**asdict(one), "passed": one.passed} for one in verdicts], indent=2) + "\n")
    else:
        console.print(table(verdicts))
        for one in wrong:
            console.print(f"[red]{one.target}[/]: {escape(one.failure)}", highlight=False)
        total = sum(one.cases for one in verdicts)
        verdict_line = f"{len(wrong)} of {len(verdicts)} verdicts are wrong" if wrong else "all right"
        console.print(f"{total} cases of {len(rows)} ops on {', '.join(targets)}: {verdict_line}")
    raise typer.Exit(1 if wrong else 0)
