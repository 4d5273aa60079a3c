"""One group for each op of the table: our targets, and the peers present, on one case each."""

from functools import lru_cache

import pytest

import fastopt
from fastopt.cli.bench import peers
from fastopt.cli.bench.cases import Case
from fastopt.cli.bench.command import candidates, selection, verify
from fastopt.table import OPS

MANY = Case(next(op for op in OPS if op.name == "adamw"), {}, (1000,), 1000)
CASES = [*selection(OPS, quick=True), MANY]
NAMES = [
    pytest.param(case, name, id=f"{case.name}-{name}")
    for case in CASES
    for name in ("cython", "numba", *peers.MAKERS[case.op.family])
]


@lru_cache(maxsize=1)  # the candidates of a case follow one another
def prepared(case):
    errors, wrong = verify(case.smaller(), "float32", peers=True)
    return candidates(case, case.inputs("float32"), peers=True), errors, wrong


@pytest.mark.benchmark(min_rounds=5, max_time=0.1)
@pytest.mark.parametrize(("case", "name"), NAMES)
def test_speed(request, case, name):
    jobs, errors, wrong = prepared(case)
    if name not in jobs:
        pytest.skip(f"{name} is not installed" if name in peers.missing() else f"{name} has no {case.op.name}")
    assert name in errors, wrong[name]
    job, benchmark = jobs[name], request.getfixturevalue("benchmark")
    benchmark.group = case.name
    benchmark.extra_info["threads"] = fastopt.get_num_threads()
    with fastopt.target(job.target or fastopt.get_target()):
        job.run()
        benchmark(job.run)
