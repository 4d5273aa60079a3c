"""The peers' best way to do the same work: for each op, what to time beside it.

A peer that is not installed is left out (`missing` names it); one that can't do an op's options gives None.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import fastopt
from fastopt._bench_clock import Job
from fastopt._bench_family import OPTIMIZERS, Case
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


# ---- optimizers: torch, fused where it is, one call for all tensors where not


def _torch_optimizer(op, options, sets):
    import torch

    hyper = dict(getattr(fastopt.optimizers, OPTIMIZERS[op.name])(np.zeros(1), **options).groups[0])
    params = [torch.from_numpy(arrays["param"].copy()) for arrays in sets]
    for param, arrays in zip(params, sets, strict=True):
        param.grad = torch.from_numpy(arrays["grad1"])
    if op.name == "momentum":  # the running average is SGD with this dampening, begun at zero
        beta = hyper.pop("beta")
        optimizer = torch.optim.SGD(params, **hyper, momentum=beta, dampening=beta, fused=True)
        for param in params:
            optimizer.state[param]["momentum_buffer"] = torch.zeros_like(param)
    elif op.name == "rmsprop":
        optimizer = torch.optim.RMSprop(params, **hyper, foreach=True)
    else:
        optimizer = getattr(torch.optim, OPTIMIZERS[op.name])(params, **hyper, fused=True)
    return Job(optimizer.step, lambda: [{"param": param.numpy()} for param in params])


MAKERS: dict[str, dict[str, Maker]] = {"optimizers": {"torch": _torch_optimizer}}
