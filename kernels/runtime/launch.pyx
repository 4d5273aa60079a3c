"""The launcher: runs kernels over many arrays, on the threads of a pool.

It owns everything that is not arithmetic: threads, the GIL, grains, blocks, scratch memory and the order in
which partial sums are added. Kernels never check, never allocate, never choose.

A job is one set of arrays (a row of the pointer table). Each job is cut into grains of a fixed number of
units; a grain is run by one thread, block by block, each block through every stage of the pipeline before the
next. Grains depend on sizes alone, so no result depends on the number of threads.
"""
import warnings

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc

cimport numpy as cnp
from kernels.runtime.abi cimport kernel
from kernels.runtime.request cimport Request
from kernels.runtime.work cimport LINE, MAX_SLOTS, Program, Stage, Work, carry_out, cut, threads_worth

import numpy as np

from fastopt.kernels.runtime import settings

cnp.import_array()

cdef extern from "simd.h":
    const char *fastopt_isa()

cdef extern from "pool.h" nogil:
    int pool_prepare()
    int pool_start(int threads)
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
    double float_mode_product(double, double)

cdef enum:
    MAX_NUMBERS = 512           # dims, and scalars, of a job that runs without tables

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


def product(double a, double b):
    """Return a b in the kernels' floating-point mode: a mean of subnormal numbers is one, whatever the caller's mode."""
    return float_mode_product(a, b)


def workers():
    """Return how many threads the pool has started in this process, beside those that call."""
    return pool_workers


def instruction_set():
    """Return the name of the instruction set whose kernel clones run on this CPU."""
    return fastopt_isa().decode()


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
        cdef int64_t g, units
        cdef cnp.ndarray sums
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
            add_up(work, <double *> cnp.PyArray_DATA(sums))
            return sums
        finally:
            free(work.first_grain)


cdef void add_up(Work *work, double *sums) noexcept nogil:
    """Add up each job's partial sums, which begin at 0, in the order of the grains."""
    cdef int64_t j, g, p, width = work.partials_width
    for j in range(work.jobs):
        for g in range(work.first_grain[j], work.first_grain[j + 1]):
            for p in range(width):
                sums[j * width + p] += work.partials[g * width + p]


cdef int submit(const Request *request) noexcept nogil:
    """Run a pipeline's program without Python. The number of threads must be known (`get_num_threads`)."""
    cdef Work work
    cdef int64_t jobs = request.jobs, j
    cdef int failed = 1
    work.jobs, work.units, work.pointers = jobs, request.units, request.pointers
    work.dims, work.dims_width = request.dims, request.dims_width
    work.scalars, work.scalars_width = request.scalars, request.scalars_width
    work.partials, work.partials_width = NULL, request.sums_width
    work.first_grain = <int64_t *> malloc((2 * jobs + 1) * sizeof(int64_t))
    if work.first_grain == NULL:
        return 1
    work.scalars_row = work.first_grain + jobs + 1
    for j in range(jobs):
        work.first_grain[jobs + 1 + j] = j
    for j in range(jobs * request.sums_width):
        request.sums[j] = 0
    failed = run_request(&work, request)
    free(work.partials)
    free(work.first_grain)
    return failed


cdef int run_request(Work *work, const Request *request) noexcept nogil:
    cdef int64_t units = cut(<Program *> request.program, work, request.grain, request.block)
    cdef int threads
    if work.partials_width:
        work.partials = <double *> calloc(max(1, work.first_grain[work.jobs] * work.partials_width), sizeof(double))
        if work.partials == NULL:
            return 1
    threads = threads_worth(work, units, max(1, cell[0]))
    if threads > 1:
        threads = pool_start(threads)
    threads = carry_out(work, units, threads)
    if threads < 0:
        return 1
    if work.partials_width:
        add_up(work, request.sums)
    return 0


SUBMIT = <uintptr_t> <void *> submit    # its address: kernels and what runs them cross modules as numbers
