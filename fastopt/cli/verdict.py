"""What `fastopt check` and `fastopt bench` share: choosing rows of the table, judging results, saying what is wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastopt.table import FAMILIES, OPS
from fastopt.table.op import Op

NAMES = "an op as tables print it, such as adamw or optimizers.adamw; may be given several times"


def choose(family: str | None, names: Sequence[str]) -> list[Op]:
    """Return the rows of a family, or of these names (`adamw` or `optimizers.adamw`), in the table's order.

    Raises
    ------
    ValueError
        If there is no such family, or no op of that name in it.
    """
    if family is not None:
        one_of(family, "family", FAMILIES)
    rows = [op for op in OPS if family in (None, op.family)]
    for name in names:
        if not any(name in called(op) for op in rows):
            where = f" of {family}" if family else ""
            known = ", ".join(op.name for op in rows) or "none yet"
            raise ValueError(f"--op: expected an op{where} ({known}), got {name!r}")
    return [op for op in rows if not names or called(op) & set(names)]


def called(op: Op) -> set[str]:
    """Return the names of an op: its own, and with its family before it."""
    return {op.name, f"{op.family}.{op.name}"}


def one_of(value: str, name: str, among: Sequence[str]) -> str:
    if value not in among:
        raise ValueError(f"{name}: expected one of {', '.join(among)}, got {value!r}")
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
