"""Many sets of arrays for one pipeline: the pointer table is kept, and bound anew where arrays change."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.tables import bind
from fastopt.kernels.runtime.whole import whole

BLOCK = 512  # elements that pass all stages before the next; a multiple of the 256 that share an 8-bit scale
SUM_BLOCK = 4096  # of a kernel alone that adds up sums: of one length for packed and strided arrays, for the same bits
NOTHING = np.zeros(0)
Call = tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]]  # a function, its arguments, its keyword arguments


class Program(NamedTuple):
    """A pipeline, and what it was made of, so that a job with strided arrays gets one of its own."""

    pipeline: Pipeline
    stages: tuple[tuple[Any, ...], ...]
    scratch: tuple[int, ...]  # as `Pipeline` takes it; scratch slots stand behind the columns
    written: Collection[int]  # slots of arrays that are written

    @classmethod
    def of(
        cls, stages: Sequence[tuple[Any, ...]], scratch: tuple[int, ...], written: Collection[int] = ()
    ) -> "Program":
        return cls(Pipeline(stages, scratch), tuple(stages), scratch, written)


class Launch(NamedTuple):
    """A run that is ready: `calls` into the launcher, and whose sums they return."""

    calls: list[Call]
    alone: list[int]  # which of the jobs the calls behind the first are for: strided ones
    partials: int

    def sums(self, results: list[np.ndarray]) -> np.ndarray:
        """Return each job's sums (jobs, partials) from what the calls returned."""
        if not self.partials:
            return NOTHING
        found = results[0]
        for k, own in zip(self.alone, results[1:], strict=True):
            found[k] = own.sum(axis=0)
        return found


class Jobs:
    """Sets of arrays that go through the same stages, a job each.

    The tables may be filled by whoever knows the addresses, in C or by NumPy: `Jobs.of_pointers` makes empty ones.

    Parameters
    ----------
    columns : list of list of array
        One list per column of the pointer table: an array per job.
    rows : list of int
        Each job's row in the table of scalars.
    numbers : list of tuple of int
        Each job's dims: first its number, for stages that draw random numbers, then the rule's.
    slots : int
        Of the pipelines to be run: the columns, and scratch behind them.

    Attributes
    ----------
    pointers : uintp array (jobs, slots)
        Addresses of packed arrays; what stands in scratch slots is not read.
    units : int64 array (jobs,)
        Elements of each job; 0 leaves it out.
    numbers : int64 array (jobs, width)
    rows : int64 array (jobs,)
    columns : list of (list of array or None)
        The arrays that were bound by `bind`, until `release`.
    """

    def __init__(self, columns: list[list[np.ndarray]], rows: list[int], numbers: list[tuple[int, ...]], slots: int):
        self.columns: list[list[np.ndarray] | None] = list(columns)
        self.like = [list(map(_like, column)) for column in columns]
        self.numbers = np.array(numbers, np.int64).reshape(len(rows), -1)
        self.rows = np.array(rows, np.int64)
        self.units = np.array([array.size for array in columns[0]], np.int64)
        self.pointers = np.zeros((len(rows), slots), np.uintp)
        for column, arrays in enumerate(columns):
            self.bind(column, arrays)

    @classmethod
    def of_pointers(cls, jobs: int, width: int, slots: int) -> "Jobs":
        """Return empty tables for so many jobs, of `width` dims each."""
        made = cls.__new__(cls)
        made.columns, made.like = [], []
        made.numbers, made.rows = np.zeros((jobs, width), np.int64), np.zeros(jobs, np.int64)
        made.units, made.pointers = np.zeros(jobs, np.int64), np.zeros((jobs, slots), np.uintp)
        return made

    def bind(
        self, column: int, arrays: list[np.ndarray] | None = None, writable: bool = False, complete: bool = False
    ) -> bool:
        """Bind a column, its own arrays again by default; True if every array is contiguous and as the first ones.

        None is nothing for a job, unless the column is to be `complete`.
        """
        if arrays is not None:
            self.columns[column] = arrays
        return bind(self.columns[column], self.like[column], self.pointers, column, writable, complete) < 0

    def release(self, column: int) -> None:
        """Forget a column's arrays, which may go then; its addresses are read no more until it is bound again."""
        self.columns[column] = None

    def launch(
        self, program: Program, scalars: np.ndarray, contiguous: bool, partials: int = 0,
        rows: np.ndarray | None = None, only: int | None = None, grain: int = pipeline.GRAIN,
    ) -> Launch:  # fmt: skip
        """Make a run of the program ready, over every job in one call of the pool; strided ones go one by one.

        Parameters
        ----------
        program : Program
        scalars : float64 array (rows, width)
        contiguous : bool
            Whether every array is bound and contiguous.
        partials : int
            Number of partial sums.
        rows : int64 array (jobs,), optional
            Each job's row of `scalars`, if not as given at the start.
        only : int, optional
            The one job that is to run.
        grain : int
            Units that a thread runs at a time.
        """
        pointers, units, numbers = self.pointers, self.units, self.numbers
        rows = self.rows if rows is None else rows
        block = BLOCK if len(program.stages) > 1 else SUM_BLOCK if partials else 0
        which = slice(None) if only is None else slice(only, only + 1)
        if only is not None and len(units) > 1:
            pointers, units, numbers, rows = pointers[which], units[which], numbers[which], rows[which]
        calls: list[Call] = []
        alone: list[int] = []
        if not contiguous:
            units = units.copy()
            for k, job in enumerate(range(len(self.units))[which]):
                if not units[k]:
                    continue
                arrays = [column[job] for column in self.columns if column is not None]
                if all(array.flags.c_contiguous and type(array) is np.ndarray for array in arrays):
                    for column, array in enumerate(arrays):
                        bind([array], [array], self.pointers[job : job + 1], column)
                    continue
                alone.append(k)
                calls.append(self._strided(job, arrays, program, scalars[rows[k]], partials, grain, block))
                units[k] = 0
        tables = {"dims": numbers, "scalars": scalars, "scalars_row": rows, "partials": partials}
        return Launch([(program.pipeline.run, (pointers, units, grain, block), tables), *calls], alone, partials)

    def run(self, program: Program, **how: Any) -> np.ndarray:
        """Run the program at once, as `launch` says; returns each job's sums (jobs, partials)."""
        launch = self.launch(program, **how)
        return launch.sums(whole(launch.calls))

    def _strided(
        self, job: int, arrays: list[Any], program: Any, scalars: Any, partials: int, grain: int, block: int
    ) -> Call:
        sizes, packed = tuple(self.numbers[job].tolist()), []
        for slot, array in enumerate(arrays):
            if not array.flags.c_contiguous:
                packed.append(pipeline.Packed(slot, array.itemsize, 1, len(sizes)))
                sizes += pipeline.strides(array)
        scratch = tuple([max(0, ahead) for ahead in program.scratch])  # what is strided is not fetched ahead
        strided, blocks = _through_blocks(program.stages, scratch, frozenset(program.written), tuple(packed))
        slots = arrays + [None] * (blocks - len(arrays))
        numbers = tuple(scalars.tolist())
        units = int(self.units[job])
        return (
            strided.run_one,
            (slots, units, grain, block or BLOCK, sizes, numbers, partials),
            {},
        )


@lru_cache(maxsize=1024)
def _through_blocks(
    stages: tuple[tuple[Any, ...], ...],
    scratch: tuple[int, ...],
    written: frozenset[int],
    packed: tuple[pipeline.Packed, ...],
) -> tuple[Pipeline, int]:
    """Return the pipeline with scratch blocks for the arrays to be packed, and how many slots it has."""
    calls, blocks = pipeline.through_blocks(stages, scratch, written, packed)
    return Pipeline(calls, blocks), len(blocks)


def _like(array: np.ndarray) -> np.ndarray:
    """Return an array of this shape and dtype without memory of its own: what its successors should be like."""
    return np.broadcast_to(np.empty((), array.dtype), array.shape)
