"""`fastopt check`: every op of the table against the reference, on the user's own machine."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from fastopt import report
from fastopt.cli.verdict import miss, one_of, words
from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.kernels.runtime.settings import TARGETS, target
from fastopt.table.op import Arrays, Op

SHAPES = 5  # of each op's shapes, from the smallest to the largest
WIDTH = 46  # of a name, with its family


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


def check(op: Op, targets: Sequence[str]) -> list[Verdict]:
    """Run an op's options, shapes and dtypes on the targets."""
    verdicts = [Verdict(op.name, op.family, name) for name in targets]
    for options, dtype, shape in product(op.options, DTYPES, shapes(op)):
        case = f"{op.name}({words(options)}) of {dtype} {shape}"
        arrays = op.inputs(np.random.default_rng(0), shape, dtype, options)
        expected = op.expect(options, _copies(arrays))
        for verdict in verdicts:
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


def usable(names: Sequence[str]) -> list[str]:
    """Return the targets of these names, or the compiled ones that are installed.

    Raises
    ------
    ValueError
        If there is no such target, or if it can't be used here; the reason is said.
    """
    for name in names:
        one_of(name, "--target", TARGETS)
        if reason := report.why_not(name):
            raise ValueError(f"--target {name}: {reason}")
    return list(names) or [name for name in ("cython", "numba") if report.why_not(name) is None]


def line(verdicts: Sequence[Verdict]) -> str:
    """Return the line of an op: its cases, and a cell for each target."""
    cells = "".join(f"{_cell(one):>20}" for one in verdicts)
    return f"{verdicts[0].family}.{verdicts[0].op:<{WIDTH - len(verdicts[0].family)}}{verdicts[0].cases:>7}{cells}"


def _cell(verdict: Verdict) -> str:
    if not verdict.passed:
        return f"{verdict.worst:.3g} WRONG"
    if verdict.missing == verdict.cases:
        return "not yet"
    missing = f", {verdict.missing} not yet" if verdict.missing else ""
    return f"{verdict.worst:.2f} ok{missing}"


def run(rows: Sequence[Op], targets: Sequence[str], as_json: bool) -> int:
    """Check these ops, a line for each as it is done, and return the exit code; JSON goes alone to stdout."""
    show = partial(print, file=sys.stderr if as_json else sys.stdout, flush=True)
    show("largest error, in tolerances (at most 1 is right)")
    show(f"{'op':<{WIDTH + 1}}{'cases':>7}{''.join(f'{name:>20}' for name in targets)}")
    verdicts: list[Verdict] = []
    for row in rows:
        found = check(row, targets)
        verdicts += found
        show(line(found))
    wrong = [verdict for verdict in verdicts if not verdict.passed]
    for one in wrong:
        show(f"{one.target}: {one.failure}")
    conclusion = f"{len(wrong)} of {len(verdicts)} verdicts are wrong" if wrong else "all right"
    show(f"{sum(one.cases for one in verdicts)} cases of {len(rows)} ops on {', '.join(targets)}: {conclusion}")
    if as_json:
        print(json.dumps([{**asdict(one), "passed": one.passed} for one in verdicts], indent=2))
    return 1 if wrong else 0
