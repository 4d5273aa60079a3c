"""`pytest benchmarks` tracks speed from commit to commit; `fastopt bench` judges it. Both time the same jobs."""

import pytest

import fastopt
from fastopt.cli.bench import peers


@pytest.fixture(scope="session", autouse=True)
def _same_threads_for_everybody():
    peers.set_num_threads(fastopt.get_num_threads())
