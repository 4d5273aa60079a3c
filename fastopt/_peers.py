"""The peers' best way to do the same work: for each op, what to time beside it.

A peer that is not installed is left out (`missing` names it); one that can't do an op's options gives None.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fastopt import _peers_numpy, _peers_torch
from fastopt._bench_clock import Job
from fastopt._bench_family import Case
from fastopt.kernels.op import Arrays, Op

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
    "optimizers": {"torch": _peers_torch.optimizer},
    "normalization": {"torch": _peers_torch.normalization},
    "losses": {"torch": _peers_torch.loss},
    "initializers": {"torch": _peers_torch.initializer, "numpy": _peers_numpy.initializer},
    "metrics": {"scikit-learn": _peers_numpy.sklearn_metric, "numpy": _peers_numpy.metric},
    "arrays": {"torch": _peers_torch.arrays},
}
