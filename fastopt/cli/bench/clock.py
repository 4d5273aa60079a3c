"""The clock: this machine's memory bandwidth, and candidates timed in turn."""

import gc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.pipeline import GRAIN
from fastopt.kernels.runtime.settings import target
from fastopt.kernels.runtime.stages import STREAM
from fastopt.table.op import Arrays

SAMPLE = 2e-3  # seconds that one sample lasts at least: short work is repeated
CALLS = 1 << 20  # at most, in one sample


@dataclass(frozen=True)
class Job:
    """Work that is ready to be timed: `run` does it once, `results` returns what it has made, for the judge.

    `results` holds some or all of the outputs of the op's `expect`, one dict for each set of arrays; None if
    what it makes can't be compared (another generator's random numbers). `target` is what it runs on, if it is ours.
    """

    run: Callable[[], Any]
    results: Callable[[], list[Arrays]] | None = None
    target: str | None = None


@dataclass(frozen=True)
class Bandwidth:
    """Bytes per second that this machine's memory moves with the threads at hand.

    `copy` is the limit of work that reads one array and writes another, `in_place` of work that writes what it reads.
    """

    copy: float
    in_place: float

    @property
    def best(self) -> float:
        return max(self.copy, self.in_place)


def measure_bandwidth(threads: int, megabytes: int = 256, rounds: int = 9) -> Bandwidth:
    """Copy an array, and multiply one in place, each thread its own part; the best of some rounds.

    NumPy does the work, so that our own kernels are not their own judge; one more copy goes around the cache, in case
    NumPy's reads the lines that it overwrites. Counted are the bytes of the state, read and written.
    """
    length = megabytes * (1 << 20) // 4 // threads
    parts = [(np.ones(length, np.float32), np.ones(length, np.float32)) for _ in range(threads)]
    moved = 2 * sum(source.nbytes for source, _ in parts)

    def copy(part):
        np.copyto(part[1], part[0])

    def stream(part):
        around.run_one([part[1], part[0]], part[0].size, GRAIN, 0, (GRAIN, part[0].size), (), 0, 1)

    def scale(part):
        np.multiply(part[0], np.float32(1), out=part[0])

    around = Pipeline([(STREAM[4], (0, 1), 1, 0, 0)], (0, 0))
    with ThreadPoolExecutor(threads) as pool:

        def on_all(work):
            return lambda: list(pool.map(work, parts))

        samples = interleave([Job(on_all(work)) for work in (copy, stream, scale)], rounds)
    copied, streamed, scaled = (moved / float(sample.min()) for sample in samples)
    return Bandwidth(max(copied, streamed), scaled)


def interleave(jobs: Sequence[Job], rounds: int) -> list[np.ndarray]:
    """Time the jobs in turn (A B A B) and return each one's seconds per call, round by round.

    Before each sample its job is run once untimed: the caches and the threads are its own then, not its rival's.
    """
    calls = [_calls_per_sample(job) for job in jobs]
    seconds = np.empty((len(jobs), rounds))
    collecting = gc.isenabled()
    gc.disable()
    try:
        for k in range(rounds):
            for j, job in enumerate(jobs):
                seconds[j, k] = _sample(job, calls[j])
    finally:
        if collecting:
            gc.enable()
    return list(seconds)


def _calls_per_sample(job: Job) -> int:
    """Return how many calls last long enough for the clock; the job is compiled and warm then."""
    calls = 1
    while calls < CALLS:
        seconds = _sample(job, calls)
        if calls * seconds >= SAMPLE:
            break
        calls = min(CALLS, max(2 * calls, int(1.2 * SAMPLE / max(seconds, 1e-9))))
    return calls


def _sample(job: Job, calls: int) -> float:
    """Return the seconds that a call takes."""
    run = job.run
    with nullcontext() if job.target is None else target(job.target):
        run()
        begin = perf_counter()
        for _ in range(calls):
            run()
        return (perf_counter() - begin) / calls
