"""The results: one row for each candidate of each case, and the places they are written to."""

import csv
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.markup import escape

import fastopt
from fastopt import report
from fastopt.cli.bench.clock import Bandwidth

OURS = ("cython", "cython, fresh outputs", "numba")


@dataclass(frozen=True)
class Row:
    """One candidate of one case: a line of the CSV file, whose columns these are."""

    time: str
    commit: str
    fastopt: str
    device: str
    instruction_set: str
    threads: int
    load: float
    copy_gb_s: float
    in_place_gb_s: float
    family: str
    op: str
    options: str
    shape: str
    arrays: int
    dtype: str
    candidate: str
    version: str
    rounds: int
    p20_us: float
    p50_us: float
    p80_us: float
    gb_s: float
    bandwidth_fraction: float
    best_peer: str
    times_faster_than_best_peer: float | None
    verified_on: str
    error_in_tolerances: float | None
    python: str
    numpy: str
    numba: str

    @property
    def ours(self) -> bool:
        return self.candidate in OURS

    @property
    def what(self) -> str:
        shape = re.sub("000000\\b", "M", self.shape)
        shape = f"{self.arrays} arrays of {shape}" if self.arrays > 1 else shape
        return f"{shape}, {self.options}" if self.options else shape


NAMES = [field.name for field in fields(Row)]


def circumstances(bandwidth: Bandwidth) -> dict[str, Any]:
    """Return the columns that all rows of a run share."""
    found = report.config()
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "fastopt": found["fastopt"],
        "device": found["device"],
        "instruction_set": found["instruction_set"],
        "threads": found["threads"],
        "load": round(load(), 2),
        "copy_gb_s": round(bandwidth.copy / 1e9, 2),
        "in_place_gb_s": round(bandwidth.in_place / 1e9, 2),
        **found["versions"],
    }


def load() -> float:
    """Return how many processes wanted a CPU during the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def commit() -> str:
    """Return the commit of the checkout that fastopt is run from ("+" if files have changed), or "" elsewhere."""
    package = Path(fastopt.__file__).resolve().parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(package), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != package.parent:
            return ""  # installed below somebody else's checkout
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def check_csv(path: Path) -> bool:
    """Return whether a CSV file is new; refuse one that has other columns, and a place that can't be written."""
    folder(path, "--csv")
    if not path.exists() or path.stat().st_size == 0:
        return True
    with path.open(newline="") as file:
        if next(csv.reader(file)) != NAMES:
            raise ValueError(f"--csv: expected a file with the columns that this version writes, got {path}")
    return False


def append_csv(path: Path, rows: Sequence[Row]) -> None:
    """Add the rows to a file, which is begun if it isn't there."""
    new = check_csv(path)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, NAMES)
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def folder(path: Path, option: str) -> None:
    """Refuse a file in a folder that is not there."""
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{option}: expected a file in a folder that exists, got {path}")


def counted(threads: int) -> str:
    return f"{threads} thread{'' if threads == 1 else 's'}"


def microseconds(value: float) -> str:
    """Return a time with three digits and a unit that suits it."""
    for unit, scale in (("µs", 1.0), ("ms", 1e3)):
        if value < 1e3 * scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e6:.3g} s"


def lines(rows: Sequence[Row]) -> list[str]:
    """Return the rows for the terminal, in rich's markup: a line for each case, and one for each candidate."""
    headings = ("p20", "p50", "p80", "vs peer", "GB/s", "bandwidth")
    widths = (9, 9, 9, 10, 8, 11)
    found = [f"[bold]{'':<24}{''.join(f'{word:>{width}}' for word, width in zip(headings, widths, strict=True))}[/]"]
    before = None
    for row in rows:
        case = f"{row.family}.{row.op}  {row.what}"
        if case != before:
            found.append(f"[bold]{escape(case)}[/]")
        before = case
        ratio = row.times_faster_than_best_peer if row.ours else None
        versus = f"{'' if ratio is None else _times(ratio):>10}"
        if ratio is not None:
            versus = f"[{'green' if ratio >= 1 else 'red'}]{versus}[/]"
        times = "".join(f"{microseconds(value):>9}" for value in (row.p20_us, row.p50_us, row.p80_us))
        found.append(f"  {row.candidate:<22}{times}{versus}{row.gb_s:>8.3g}{row.bandwidth_fraction:>11.0%}")
    return found


def _times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 100 else f"{ratio:.2f}×"


def markdown(rows: Sequence[Row], notes: Sequence[str]) -> str:
    """Return the table of docs/results.md: a line for each case, won or lost, by the time of the default target.

    AdamW is left out: benchmarks/steps.py measures it, and a fact has one number.
    """
    first = rows[0]
    cases: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        cases.setdefault((row.family, row.op, row.what), {})[row.candidate] = row
    cases = {case: found for case, found in cases.items() if "cython" in found and case[1] != "adamw"}
    ratios = [ratio for found in cases.values() if (ratio := found["cython"].times_faster_than_best_peer) is not None]
    peers = sorted({f"{row.candidate} {row.version}" for row in rows if not row.ours})
    text = [
        f"{first.device}, {first.instruction_set}, {counted(first.threads)}, {first.dtype}; memory moves "
        f"{first.copy_gb_s:.0f} GB/s in a copy and {first.in_place_gb_s:.0f} GB/s in place. fastopt {first.fastopt}"
        f"{f' at {first.commit}' if first.commit else ''}, Python {first.python}, NumPy {first.numpy}, Numba "
        f"{first.numba}{', beside ' + ', '.join(peers) if peers else ''}. Medians of {first.rounds} rounds, "
        f"{first.time[:10]}; every candidate was checked against the reference before it was timed. Outputs are "
        "reused, or new at every call in the column `fresh`; torch runs eagerly and makes new ones.",
        "",
        f"Faster than the best peer present in {sum(r >= 1 for r in ratios)} of {len(ratios)} cases; "
        "**bold** where slower.",
        "",
        "| op | size | cython | fresh | numba | best peer | faster by | GB/s | of bandwidth |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (family, op, what), found in cases.items():
        ours = found["cython"]
        peer, ratio = found.get(ours.best_peer), ours.times_faster_than_best_peer
        cells = [
            f"`{family}.{op}`", what, *(microseconds(found[name].p50_us) if name in found else "–" for name in OURS),
            f"{peer.candidate} {microseconds(peer.p50_us)}" if peer else "–",
            "–" if ratio is None else _times(ratio) if ratio >= 1 else f"**{_times(ratio)}**",
            f"{ours.gb_s:.3g}", f"{ours.bandwidth_fraction:.0%}",
        ]  # fmt: skip
        text.append("| " + " | ".join(cells) + " |")
    return "\n".join([*text, "", *(f"- {note}" for note in notes)]).rstrip() + "\n"
