"""The peers' best way to do the same work: for each op, what to time beside it.

A peer that is not installed is left out (`missing` names it); one that can't do an op's options gives None.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fastopt.cli.bench.cases import Case
from fastopt.cli.bench.clock import Job
from fastopt.cli.bench.peers import by_numpy, by_torch
from fastopt.table.op import Arrays, Op

MODULES = {"torch": "torch", "scikit-learn": "sklearn", "numpy": "numpy"}  # peer: what it is imported as

Maker = Callable[[Op, Mapping[str, Any], Sequence[Arrays]], Job | None]


def missing() -> list[str]:
    """Return the peers that are not installed."""
    return [peer for peer, module in MODULES.items() if find_spec(module) is None]


def prepare(case: Case, sets: Sequence[Arrays]) -> dict[str, Job]:
    """Return what each peer present makes of a case, by the peer's name, with its arrays its own."""
    absent = missing()
    jobs = {}
    for peer, make in MAKERS.get(case.op.family, {}).items():
        job = None if peer.split()[0] in absent else make(case.op, case.options, sets)
        if job is not None:
            jobs[peer] = job
    return jobs


def set_num_threads(threads: int) -> None:
    """Give the peers present the same number of threads."""
    if "torch" not in missing():
        import_module("torch").set_num_threads(threads)


MAKERS: dict[str, dict[str, Maker]] = {
    "optimizers": {"torch": by_torch.optimizer},
    "normalization": {"torch": by_torch.normalization},
    "losses": {"torch": by_torch.loss},
    "initializers": {"torch": by_torch.initializer, "numpy": by_numpy.initializer},
    "metrics": {"scikit-learn": by_numpy.sklearn_metric, "numpy": by_numpy.metric},
    "arrays": {"torch": by_torch.arrays},
}
