"""The launcher: runs kernels over many arrays, on the threads of a pool.

It owns everything that is not arithmetic: threads, the GIL, grains, blocks, scratch memory and the order in
which partial sums are added. Kernels never check, never allocate, never choose.

A job is one set of arrays (a row of the pointer table). Each job is cut into grains of a fixed number of
units; a grain is run by one thread, block by block, each block through every stage of the pipeline before the
next. Grains depend on sizes alone, so no result depends on the number of threads.
"""
import warnings

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free, malloc

cimport numpy as cnp
from kernels.runtime.abi cimport kernel

import numpy as np

from fastopt.kernels.runtime import settings

cnp.import_array()

cdef extern from "simd.h":
    const char *fastopt_isa()

cdef extern from "stream.h" nogil:
    void stream_end() noexcept

cdef extern from "fetch.h" nogil:
    void fetch(const void *, int64_t size) noexcept

cdef extern from "pool.h" nogil:
    ctypedef void (*pool_chunk)(void *context, int64_t chunk, int thread) noexcept
    int pool_prepare()
    int pool_start(int threads)
    double pool_run(pool_chunk run, void *context, int64_t chunks, int threads)
    int POOL_THREADS
    int pool_workers
    struct host:
        int (*max_threads)() noexcept
    const char *host_find(host *, const char *library)
    void host_enter(const host *)
    void host_leave()
    const host *host_of_calls
    ctypedef struct float_mode:         # whatever type it is there
        pass
    float_mode float_mode_enter()
    void float_mode_leave(float_mode)

cdef enum:
    MAX_SLOTS = 32              # arrays and scratch blocks of one pipeline
    MAX_NUMBERS = 512           # dims, and scalars, of a job that runs without tables
    WORTH = 20000               # nanoseconds of work that a further thread is worth waking for
    CHUNKS_PER_THREAD = 16      # work is handed out in this many pieces a thread, to even out slow cores
    LINE = 64                   # bytes of a cache line

if pool_prepare():
    raise MemoryError("no memory for what the pool of threads does after a fork")
cdef int[::1] cell = settings.threads_cell  # how many threads, 0 if not known yet; whether fastopt itself was told so
cdef bint told_of_missing = False
crews = {}                      # of hosts, by the name of the library


cdef int threads_wanted() except -1:
    """Return how many threads a call may use: as the settings say, or the host where they were not told."""
    cdef int set_here = cell[0] or <int> settings.get_num_threads()
    if host_of_calls == NULL or cell[1]:
        return set_here
    return max(1, min(host_of_calls.max_threads(), POOL_THREADS))


cdef int threads_there(int wanted) noexcept:
    """Return how many of these threads there are, after starting those that are missing; say once if some can't be."""
    global told_of_missing
    cdef int there = pool_start(wanted)
    if there < wanted and not told_of_missing:
        told_of_missing = True
        tell(wanted, there)
    return there


cdef void tell(int wanted, int there) noexcept:
    """Warn; where warnings are errors, this one is shown, and the call goes on."""
    warnings.warn(f"the system refused to start threads: {wanted} were asked for, {there} do the work", RuntimeWarning)


cdef class Crew:
    """A context in which this thread's calls run on the workers of a host's OpenMP, not on the pool's.

    For calls that come in turn with the host's own: its workers are awake then, and ours would wait for their cores.
    Where fastopt was not told a number of threads (`set_num_threads`, FASTOPT_NUM_THREADS), the host's holds. Results don't
    depend on it. A forked child has none of its parent's workers: its calls run on a pool of its own.

    Parameters
    ----------
    library : str
        Path or name of a shared library that is loaded, and uses OpenMP: torch's "libtorch_cpu.so".

    Examples
    --------
    >>> with Crew("libtorch_cpu.so"):                                           # doctest: +SKIP
    ...     optimizer.step(grads)
    """
    cdef host functions
    cdef readonly str found_in      # the file of the OpenMP that was found; None: there is none, calls run on the pool

    def __init__(self, str library):
        cdef const char *found = host_find(&self.functions, library.encode())
        self.found_in = None if found == NULL else (<bytes> found).decode()
        crews[library] = self

    def __enter__(self):
        host_enter(NULL if self.found_in is None else &self.functions)

    def __exit__(self, *unused):
        host_leave()


cdef class FloatMode:
    """A context in which this thread runs in the kernels' floating-point mode: round to nearest, subnormals kept.

    The launcher enters it by itself. It is for what NumPy computes beside the kernels, and may be entered once.
    """
    cdef float_mode own

    def __enter__(self):
        self.own = float_mode_enter()

    def __exit__(self, *unused):
        float_mode_leave(self.own)


def workers():
    """Return how many threads the pool has started in this process, beside those that call."""
    return pool_workers


def instruction_set():
    """Return the name of the instruction set whose kernel clones run on this CPU."""
    return fastopt_isa().decode()


cdef struct Stage:
    kernel function
    int64_t per_unit            # this stage's own units in one unit of the pipeline
    int64_t dims_offset
    int64_t scalars_offset
    int slot_count
    int slots[MAX_SLOTS]


cdef struct Program:            # what a pipeline runs
    Stage *stages
    int stage_count
    int slot_count
    int64_t scratch_bytes[MAX_SLOTS]    # per unit and slot; 0 for a slot that is an array
    double nanoseconds          # that a unit took in the last calls of several grains; 0: not known


cdef struct Work:               # one launch, as its threads see it
    Program *program
    int64_t scratch_offset[MAX_SLOTS]
    void **pointers
    int64_t jobs
    int64_t *units
    int64_t *first_grain        # of each job, and the total at the end
    int64_t grain
    int64_t block
    const int64_t *dims
    int64_t dims_width
    const double *scalars
    int64_t scalars_width
    const int64_t *scalars_row  # of each job, or NULL: all use row 0
    double *partials
    int64_t partials_width
    int64_t chunks              # the grains, as they are handed out
    char *scratch               # of all threads, one after the other
    int64_t scratch_size        # of one thread
    bint fetch                  # whether the next block's memory is asked for while one is computed


cdef void fetch_block(Work *work, void **arrays, int64_t start, int64_t stop) noexcept nogil:
    """Ask for the next block's memory while this one is computed: its arrays' bytes per unit are known."""
    cdef int64_t width
    cdef int k
    for k in range(work.program.slot_count):
        width = -work.program.scratch_bytes[k]
        if width > 0 and arrays[k] != NULL:
            fetch(<const char *> arrays[k] + start * width, (stop - start) * width)


cdef void run_grain(Work *work, int64_t job, int64_t index, char *scratch) noexcept nogil:
    """Run every stage over one grain, block by block."""
    cdef int64_t first = (index - work.first_grain[job]) * work.grain
    cdef int64_t last = min(first + work.grain, work.units[job])
    cdef int64_t row = 0 if work.scalars_row == NULL else work.scalars_row[job]
    cdef void **arrays = work.pointers + job * work.program.slot_count
    cdef const int64_t *dims = work.dims + job * work.dims_width
    cdef const double *scalars = work.scalars + row * work.scalars_width
    cdef double *partials = work.partials + index * work.partials_width
    cdef int64_t start = first, stop
    cdef void *bound[MAX_SLOTS]
    cdef Stage *stage
    cdef int s, k, slot
    while start < last:
        stop = min(start + work.block, last)
        if work.fetch:
            fetch_block(work, arrays, stop, min(stop + work.block, last))
        for s in range(work.program.stage_count):
            stage = work.program.stages + s
            for k in range(stage.slot_count):
                slot = stage.slots[k]
                if work.program.scratch_bytes[slot] <= 0:
                    bound[k] = arrays[slot]
                else:           # kernels index from `start`, a scratch block begins there
                    bound[k] = <void *> (<uintptr_t> (scratch + work.scratch_offset[slot])
                                         - <uintptr_t> (start * work.program.scratch_bytes[slot]))
            stage.function(bound, dims + stage.dims_offset, scalars + stage.scalars_offset,
                           start * stage.per_unit, stop * stage.per_unit, partials)
        start = stop


cdef void run_chunk(void *context, int64_t chunk, int thread) noexcept nogil:
    """Run the grains of one chunk, whichever jobs they belong to."""
    cdef Work *work = <Work *> context
    cdef int64_t grains = work.first_grain[work.jobs]
    cdef int64_t low = 0, high = work.jobs, middle, index
    cdef int64_t begin = chunk * grains // work.chunks, end = (chunk + 1) * grains // work.chunks
    while high - low > 1:       # the job that holds grain `begin`
        middle = (low + high) // 2
        if work.first_grain[middle] <= begin:
            low = middle
        else:
            high = middle
    for index in range(begin, end):
        while work.first_grain[low + 1] <= index:
            low += 1
        run_grain(work, low, index, work.scratch + thread * work.scratch_size)
    stream_end()


cdef bint any_negative(int64_t *numbers, int count) noexcept nogil:
    cdef int k
    for k in range(count):
        if numbers[k] < 0:
            return True
    return False


cdef int64_t cut(Program *program, Work *work, int64_t grain, int64_t block) noexcept nogil:
    """Lay a program's jobs out in grains, whose table has memory, and its scratch blocks; return all jobs' units."""
    cdef int64_t j, grains = 0, units = 0
    cdef int k
    work.program, work.grain, work.block = program, grain, grain if block == 0 else block
    work.fetch = program.stage_count > 1 and any_negative(program.scratch_bytes, program.slot_count)
    work.scratch_size = 0
    for k in range(program.slot_count):
        work.scratch_offset[k] = work.scratch_size + LINE   # a line in front of each block is for stream_block
        work.scratch_size += LINE + (max(<int64_t> 0, program.scratch_bytes[k]) * work.block + LINE - 1) // LINE * LINE
    for j in range(work.jobs):
        work.first_grain[j] = grains
        grains += (work.units[j] + grain - 1) // grain
        units += work.units[j]
    work.first_grain[work.jobs] = grains
    return units


cdef int threads_worth(Work *work, int64_t units, int threads) noexcept nogil:
    """Return how many of these threads this work is worth: one more for each WORTH nanoseconds that it would take one
    thread, going by what the last calls took; one a full grain, as long as that isn't known."""
    cdef double known = work.program.nanoseconds
    cdef double more = known * units / WORTH if known else (units - 1) // work.grain
    cdef int64_t grains = work.first_grain[work.jobs]
    if grains <= 1 or more < 1:
        return 1
    return <int> min(<double> min(<int64_t> threads, grains), 1 + more)


cdef int carry_out(Work *work, int64_t units, int threads) noexcept nogil:
    """Run all grains on this many threads; return that number, or less than 0 where there is no memory for scratch blocks."""
    cdef char *scratch = NULL
    cdef double took, known = work.program.nanoseconds
    cdef int64_t grains = work.first_grain[work.jobs]
    if grains == 0:
        return threads
    work.chunks = min(grains, <int64_t> threads * CHUNKS_PER_THREAD)
    work.scratch = NULL
    if work.scratch_size:
        scratch = <char *> malloc(threads * work.scratch_size + LINE)
        if scratch == NULL:
            return -threads
        work.scratch = <char *> ((<uintptr_t> scratch + LINE - 1) // LINE * LINE)
    took = pool_run(run_chunk, work, work.chunks, threads)
    if took:
        took *= work.chunks / <double> units
        work.program.nanoseconds = took if known == 0 else known + (took - known) / 8
    free(scratch)
    return threads


cdef zeros(int64_t rows, int64_t width):
    """Return float64 zeros (rows, width); np.zeros takes half the time of a small call."""
    cdef cnp.npy_intp shape[2]
    shape[0], shape[1] = rows, width
    return cnp.PyArray_ZEROS(2, shape, cnp.NPY_FLOAT64, 0)


cdef zeros_on_lines(int64_t rows, int64_t width):
    """Return zeros (rows, width) that begin with a cache line, if there are many: else each vector lies across two."""
    cdef int64_t line = LINE // sizeof(double), skip
    if width < 4 * line:
        return zeros(rows, width)
    memory = np.zeros(rows * width + line)
    skip = line - <int64_t> (<uintptr_t> cnp.PyArray_DATA(<cnp.ndarray> memory) % LINE // sizeof(double))
    return memory[skip : skip + rows * width].reshape(rows, width)


cdef class Pipeline:
    """Kernels that are run one after the other over each block.

    Parameters
    ----------
    stages : sequence of (address, slots, per_unit, dims_offset, scalars_offset)
        The kernel's address; which slots of the pipeline are its buffers; how many of its own units one unit
        of the pipeline holds; where its part of the dims and of the scalars begins.
    scratch_bytes : sequence of int
        One per slot: 0 for an array of the job, otherwise the bytes per unit of a block of scratch memory
        that each thread has for itself.
    """
    cdef Program program

    def __cinit__(self, stages, scratch_bytes):
        cdef int s, k
        self.program.stage_count, self.program.slot_count = len(stages), len(scratch_bytes)
        if self.program.slot_count > MAX_SLOTS:
            raise ValueError(f"a pipeline has at most {MAX_SLOTS} slots, got {self.program.slot_count}")
        if any(len(stage[1]) > MAX_SLOTS for stage in stages):
            raise ValueError(f"a stage has at most {MAX_SLOTS} slots, got {max(len(stage[1]) for stage in stages)}")
        self.program.stages = <Stage *> malloc(max(1, self.program.stage_count) * sizeof(Stage))
        if self.program.stages == NULL:
            raise MemoryError("no memory for a pipeline")
        for k in range(self.program.slot_count):
            self.program.scratch_bytes[k] = scratch_bytes[k]
        for s, (address, slots, per_unit, dims_offset, scalars_offset) in enumerate(stages):
            self.program.stages[s].function = <kernel> <void *> <uintptr_t> address
            self.program.stages[s].per_unit = per_unit
            self.program.stages[s].dims_offset = dims_offset
            self.program.stages[s].scalars_offset = scalars_offset
            self.program.stages[s].slot_count = len(slots)
            for k, slot in enumerate(slots):
                if not 0 <= slot < self.program.slot_count:
                    raise ValueError(f"a stage names slot {slot}, but the pipeline has {self.program.slot_count}")
                self.program.stages[s].slots[k] = slot

    def __dealloc__(self):
        free(self.program.stages)

    def run(self, cnp.ndarray pointers, cnp.ndarray units, int64_t grain, int64_t block=0, *,
            cnp.ndarray dims=None, cnp.ndarray scalars=None, cnp.ndarray scalars_row=None,
            int partials=0, int threads=0, bint per_grain=False):
        """Run the pipeline over every job and return the partial sums, added in the order of the grains.

        Parameters
        ----------
        pointers : uintp array (jobs, slots)
            Base addresses; entries of scratch slots are not read.
        units : int64 array (jobs,)
            Units of work of each job.
        grain, block : int
            Units that one thread runs at a time; units that pass all stages before the next (0: the grain).
        dims : int64 array (jobs, width), scalars : float64 array (rows, width), scalars_row : int64 (jobs,)
        partials : int
            Number of sums that the kernels add up.
        threads : int
            At most this many; 0: as the settings say. Results don't depend on it.
        per_grain : bool
            Return each grain's sums (grains, partials), for sums that don't simply add.

        Returns
        -------
        float64 array (jobs, partials), or (grains, partials)
        """
        cdef Work work
        work.jobs, work.units = cnp.PyArray_DIM(units, 0), <int64_t *> cnp.PyArray_DATA(units)
        work.pointers = <void **> cnp.PyArray_DATA(pointers)
        work.dims, work.dims_width, work.scalars, work.scalars_width = NULL, 0, NULL, 0
        work.scalars_row = NULL
        if dims is not None:
            work.dims, work.dims_width = <int64_t *> cnp.PyArray_DATA(dims), cnp.PyArray_DIM(dims, 1)
        if scalars is not None:
            work.scalars, work.scalars_width = <double *> cnp.PyArray_DATA(scalars), cnp.PyArray_DIM(scalars, 1)
        if scalars_row is not None:
            work.scalars_row = <int64_t *> cnp.PyArray_DATA(scalars_row)
        return self.execute(&work, grain, block, partials, threads, per_grain)

    def run_one(self, list arrays, int64_t units, int64_t grain, int64_t block, tuple dims, tuple scalars,
                int partials=0, int threads=0, bint per_grain=False):
        """Run the pipeline over one job, without tables: for calls that are over in microseconds.

        `arrays` holds an array for each slot that is one, and None for scratch slots; `dims` and `scalars` hold
        numbers. The rest is as in `run`.
        """
        cdef Work work
        cdef void *pointers[MAX_SLOTS]
        cdef int64_t sizes[MAX_NUMBERS]
        cdef double numbers[MAX_NUMBERS]
        cdef Py_ssize_t k
        if len(arrays) != self.program.slot_count:
            raise ValueError(f"the pipeline has {self.program.slot_count} slots, got {len(arrays)} arrays")
        if len(dims) > MAX_NUMBERS or len(scalars) > MAX_NUMBERS:
            raise ValueError(f"a job has at most {MAX_NUMBERS} dims and scalars, got {len(dims)} and {len(scalars)}")
        for k in range(self.program.slot_count):
            pointers[k] = NULL if arrays[k] is None else cnp.PyArray_DATA(<cnp.ndarray?> arrays[k])
        for k in range(len(dims)):
            sizes[k] = dims[k]
        for k in range(len(scalars)):
            numbers[k] = scalars[k]
        work.jobs, work.units, work.pointers = 1, &units, pointers
        work.dims, work.dims_width, work.scalars, work.scalars_width = sizes, len(dims), numbers, len(scalars)
        work.scalars_row = NULL
        return self.execute(&work, grain, block, partials, threads, per_grain)

    @property
    def address(self):
        """The address of the program, for whoever runs it by `SUBMIT`; it is good for as long as this pipeline lives."""
        return <uintptr_t> &self.program

    @property
    def slots(self):
        """How many slots a row of the pointer table has."""
        return self.program.slot_count

    cdef execute(self, Work *work, int64_t grain, int64_t block, int partials, int threads, bint per_grain):
        """Cut the jobs into grains, run them, and add up the partial sums."""
        cdef int64_t j, g, p, units
        cdef cnp.ndarray sums
        cdef double *total
        if grain < 1 or block < 0:
            raise ValueError(f"grain: expected at least one unit, and a block of 0 or more, got {grain} and {block}")
        if threads > POOL_THREADS:
            raise ValueError(f"threads: expected at most {POOL_THREADS}, got {threads}")
        work.first_grain = <int64_t *> malloc((work.jobs + 1) * sizeof(int64_t))
        if work.first_grain == NULL:
            raise MemoryError("no memory for the launcher's table of grains")
        try:
            units = cut(&self.program, work, grain, block)
            g = work.first_grain[work.jobs]
            threads = threads_worth(work, units, threads or threads_wanted())
            if threads > 1:
                threads = threads_there(threads)
            grain_sums = None
            work.partials, work.partials_width = NULL, partials
            if partials:
                grain_sums = zeros_on_lines(g, partials)
                work.partials = <double *> cnp.PyArray_DATA(<cnp.ndarray> grain_sums)
            with nogil:
                threads = carry_out(work, units, threads)
            if threads < 0:
                raise MemoryError(f"no memory for the scratch blocks of {-threads} threads")
            if per_grain or not partials or (g == 1 and work.jobs == 1):
                return grain_sums
            sums = zeros(work.jobs, partials)
            total = <double *> cnp.PyArray_DATA(sums)
            for j in range(work.jobs):
                for g in range(work.first_grain[j], work.first_grain[j + 1]):
                    for p in range(partials):
                        total[j * partials + p] += work.partials[g * partials + p]
            return sums
        finally:
            free(work.first_grain)


cdef int submit(void *program, void **pointers, int64_t jobs, int64_t *units, int64_t grain, int64_t block,
                const int64_t *dims, int64_t dims_width, const double *scalars) noexcept nogil:
    """Run a pipeline's program without Python: for handlers that other runtimes call. Returns 0, or 1 without memory.

    All jobs use the one row of scalars; there are no partial sums. The number of threads must be known (`get_num_threads`).
    """
    cdef Work work
    cdef int64_t total
    cdef int threads
    work.jobs, work.units, work.pointers = jobs, units, pointers
    work.dims, work.dims_width, work.scalars, work.scalars_width, work.scalars_row = dims, dims_width, scalars, 0, NULL
    work.partials, work.partials_width = NULL, 0
    work.first_grain = <int64_t *> malloc((jobs + 1) * sizeof(int64_t))
    if work.first_grain == NULL:
        return 1
    total = cut(<Program *> program, &work, grain, block)
    threads = threads_worth(&work, total, max(1, cell[0]))
    if threads > 1:
        threads = pool_start(threads)
    threads = carry_out(&work, total, threads)
    free(work.first_grain)
    return threads < 0


SUBMIT = <uintptr_t> <void *> submit    # its address: kernels and what runs them cross modules as numbers
