"""Many sets of arrays for one pipeline: the pointer table is kept, and bound anew where arrays change."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.tables import bind

BLOCK = 512  # elements that pass all stages before the next; a multiple of the 256 that share an 8-bit scale
SUM_BLOCK = 4096  # of a kernel alone that adds up sums: of one length for packed and strided arrays, for the same bits
NOTHING = np.zeros(0)


class Program(NamedTuple):
    """A pipeline, and what it was made of, so that a job with strided arrays gets one of its own."""

    pipeline: Pipeline
    stages: tuple[tuple, ...]
    scratch: tuple[int, ...]  # as `Pipeline` takes it; scratch slots stand behind the columns
    written: Collection[int]  # slots of arrays that are written

    @classmethod
    def of(cls, stages: Sequence[tuple], scratch: tuple[int, ...], written: Collection[int] = ()) -> "Program":
        return cls(Pipeline(stages, scratch), tuple(stages), scratch, written)


class Jobs:
    """Sets of arrays that go through the same stages, a job each.

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
    """

    def __init__(self, columns: list[list[np.ndarray]], rows: list[int], numbers: list[tuple[int, ...]], slots: int):
        self.columns, self.like = columns, [list(map(_like, column)) for column in columns]
        self.numbers = np.array(numbers, np.int64).reshape(len(rows), -1)
        self.rows = np.array(rows, np.int64)
        self.units = np.array([array.size for array in columns[0]], np.int64)
        self.pointers = np.zeros((len(rows), slots), np.uintp)
        for column in range(len(columns)):
            self.bind(column)

    def bind(self, column: int, arrays: list[np.ndarray] | None = None, writable: bool = False) -> bool:
        """Bind a column; True if every array is contiguous and of the shape and dtype of the first ones."""
        if arrays is not None:
            self.columns[column] = arrays
        return bind(self.columns[column], self.like[column], self.pointers, column, writable) < 0

    def run(
        self,
        program: Program,
        *,
        scalars: np.ndarray,
        threads: int,
        contiguous: bool,
        partials: int = 0,
        rows: np.ndarray | None = None,
        only: int | None = None,
        grain: int = pipeline.GRAIN,
    ) -> np.ndarray:
        """Run the program over every job under one parallel region; jobs with strided arrays go one by one.

        Parameters
        ----------
        program : Program
        scalars : float64 array (rows, width)
        threads : int
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

        Returns
        -------
        float64 array (jobs, partials): each job's sums
        """
        pointers, units, numbers = self.pointers, self.units, self.numbers
        jobs, rows = range(len(units)), self.rows if rows is None else rows
        if only is not None:
            which = slice(only, only + 1)
            jobs, pointers, units, numbers = jobs[which], pointers[which], units[which], numbers[which]
        block = BLOCK if len(program.stages) > 1 else SUM_BLOCK if partials else 0
        alone = NOTHING
        if not contiguous:
            units, alone = units.copy(), np.zeros((len(units), partials))
            for k, job in enumerate(jobs):
                arrays = [column[job] for column in self.columns]
                if all(array.flags.c_contiguous for array in arrays):
                    for column, array in enumerate(arrays):
                        bind([array], [array], self.pointers[job : job + 1], column)
                    continue
                units[k] = 0
                sums = self._run_strided(job, arrays, program, scalars[rows[job]], threads, partials, grain, block)
                if partials:
                    alone[k] = sums.sum(axis=0)
        sums = program.pipeline.run(
            pointers,
            units,
            grain,
            block,
            dims=numbers,
            scalars=scalars,
            scalars_row=rows if only is None else rows[which],
            partials=partials,
            threads=threads,
        )
        if not partials:
            return NOTHING
        return sums if contiguous else sums + alone

    def _run_strided(self, job, arrays, program, scalars, threads, partials, grain, block):
        sizes, packed = tuple(self.numbers[job].tolist()), []
        for slot, array in enumerate(arrays):
            if not array.flags.c_contiguous:
                packed.append(pipeline.Packed(slot, array.itemsize, 1, len(sizes)))
                sizes += pipeline.strides(array)
        scratch = tuple([max(0, ahead) for ahead in program.scratch])  # what is strided is not fetched ahead
        calls, blocks = pipeline.through_blocks(program.stages, scratch, program.written, packed)
        return Pipeline(calls, blocks).run_one(
            arrays + [None] * (len(blocks) - len(arrays)), int(self.units[job]), grain, block or BLOCK, sizes,
            tuple(scalars.tolist()), partials, threads,
        )  # fmt: skip


def _like(array: np.ndarray) -> np.ndarray:
    """Return an array of this shape and dtype without memory of its own: what its successors should be like."""
    return np.broadcast_to(np.empty((), array.dtype), array.shape)
