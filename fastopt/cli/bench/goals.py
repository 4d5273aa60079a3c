"""The goals, numbers that fastopt has set itself, and what this run says of them."""

import subprocess
import sys
from collections.abc import Sequence
from statistics import median

from fastopt.cli.bench.results import Row

MANY_GOAL = 10.0  # times as fast as the best peer, on 1000 arrays of 1000
LARGE_GOAL = 1.05  # of the best peer's time, on one array of 20 million
IMPORT_GOAL = 50.0  # milliseconds over `import numpy`
IMPORT = """
from time import perf_counter
begin = perf_counter(); import numpy
middle = perf_counter(); import fastopt
end = perf_counter()
import sys
fastopt.optimizers.AdamW(numpy.ones(3)).step(numpy.ones(3))
print(middle - begin, end - middle, "numba" in sys.modules)
"""


def import_times(rounds: int = 7) -> tuple[float, float, bool]:
    """Return the milliseconds that `import numpy` takes, and `import fastopt` after it, in fresh processes.

    The third is whether Numba was imported, by that or by a step on the cython target.
    """
    seconds = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        numpy, ours, numba = done.stdout.split()
        seconds.append((float(numpy), float(ours), numba == "True"))
    return (
        1e3 * median(numpy for numpy, _, _ in seconds),
        1e3 * median(ours for _, ours, _ in seconds),
        any(numba for *_, numba in seconds),
    )


def judge(rows: Sequence[Row], with_import: bool) -> list[str]:
    """Return a sentence for each goal that this run has measured."""
    sentences = []
    found = {(row.op, row.arrays, row.shape): row for row in rows if row.candidate == "cython"}
    many = found.get(("adamw", 1000, "1000"))
    large = found.get(("adamw", 1, "20000000"))
    if many is not None and many.times_faster_than_best_peer is not None:
        ratio = many.times_faster_than_best_peer
        sentences.append(
            f"AdamW on 1000 arrays of 1000: {ratio:.1f}× as fast as {many.best_peer} "
            f"(goal: {MANY_GOAL:g}×; {_met(ratio >= MANY_GOAL)})"
        )
    if large is not None and large.times_faster_than_best_peer is not None:
        share = 1 / large.times_faster_than_best_peer
        sentences.append(
            f"AdamW on one array of 20 million: {share:.2f} of {large.best_peer}'s time "
            f"(goal: {LARGE_GOAL}; {_met(share <= LARGE_GOAL)})"
        )
    if with_import:
        numpy, ours, numba = import_times()
        sentences.append(
            f"import fastopt adds {ours:.0f} ms to the {numpy:.0f} ms of import numpy (goal: {IMPORT_GOAL:.0f} ms; "
            f"{_met(ours <= IMPORT_GOAL)}) and {'imports Numba (MISSED)' if numba else 'imports no Numba'}"
        )
    return sentences


def _met(holds: bool) -> str:
    return "met" if holds else "MISSED"
