"""What `fastopt check` and `fastopt bench` share: choosing rows of the table, judging results, saying what is wrong."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import typer

from fastopt.table import FAMILIES, OPS
from fastopt.table.op import Op

Family = Annotated[str | None, typer.Argument(help=f"One of {', '.join(FAMILIES)}; default: all.")]
Names = Annotated[list[str] | None, typer.Option("--op", help="One op of the table; may be given several times.")]


def choose(family: str | None, names: Sequence[str]) -> list[Op]:
    """Return the rows of a family, or of these names, in the table's order."""
    if family is not None and family not in FAMILIES:
        raise typer.BadParameter(f"family: expected one of {', '.join(FAMILIES)}, got {family!r}")
    rows = [op for op in OPS if family in (None, op.family)]
    known = [op.name for op in rows]
    for name in names:
        if name not in known:
            where = f" of {family}" if family else ""
            raise typer.BadParameter(f"--op: expected an op{where} ({', '.join(known) or 'none yet'}), got {name!r}")
    return [op for op in rows if not names or op.name in names]


def one_of(value: str, name: str, among: Sequence[str]) -> str:
    if value not in among:
        raise typer.BadParameter(f"{name}: expected one of {', '.join(among)}, got {value!r}")
    return value


def miss(got: Mapping[str, Any], expected: Mapping[str, Any], tolerance: tuple[float, float]) -> float:
    """Return the largest error relative to the tolerance: at most 1 is right. NaN and Inf must match exactly."""
    if got.keys() != expected.keys():
        return np.inf
    rtol, atol = tolerance
    worst = 0.0
    for name, value in expected.items():
        wanted, came = np.asarray(value, np.float64), np.asarray(got[name], np.float64)
        if wanted.shape != came.shape:
            return np.inf
        same = (wanted == came) | (np.isnan(wanted) & np.isnan(came))
        with np.errstate(all="ignore"):
            error = np.abs(came - wanted) / (atol + rtol * np.abs(wanted))
        error = np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))
        worst = max(worst, float(np.max(error, initial=0.0)))
    return worst


def apart(got: Mapping[str, Any], expected: Mapping[str, Any]) -> float:
    """Return how far results are from those expected, relative to the largest of each: a peer rounds in its own way."""
    worst = 0.0
    for name, value in got.items():
        came, wanted = np.asarray(value, np.float64), np.asarray(expected[name], np.float64)
        if came.shape != wanted.shape or not np.isfinite(came).all():
            return np.inf
        largest = float(np.max(np.abs(wanted), initial=1e-30))
        worst = max(worst, float(np.max(np.abs(came - wanted), initial=0.0)) / largest)
    return worst


def words(options: Mapping[str, Any]) -> str:
    """Return options as they are written in a call; `given` is in words already."""
    return ", ".join(value if name == "given" else f"{name}={value!r}" for name, value in options.items())
