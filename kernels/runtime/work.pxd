# How a pipeline's program runs over its jobs, without Python: what launch.pyx is made of, and includes alone.
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free, malloc

from kernels.runtime.abi cimport kernel

cdef extern from "stream.h" nogil:
    void stream_end() noexcept

cdef extern from "fetch.h" nogil:
    void fetch(const void *, int64_t size) noexcept

cdef extern from "pool.h" nogil:        # it holds the pool itself: one module may include it
    ctypedef void (*pool_chunk)(void *context, int64_t chunk, int thread) noexcept
    double pool_run(pool_chunk run, void *context, int64_t chunks, int threads)
    double pool_told(const double *place)
    void pool_tell(double *place, double value)

cdef enum:
    MAX_SLOTS = 32              # arrays and scratch blocks of one pipeline
    WORTH = 20000               # nanoseconds of work that a further thread is worth waking for
    CHUNKS_PER_THREAD = 16      # work is handed out in this many pieces a thread, to even out slow cores
    LINE = 64                   # bytes of a cache line


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


cdef inline void fetch_block(Work *work, void **arrays, int64_t start, int64_t stop) noexcept nogil:
    """Ask for the next block's memory while this one is computed: its arrays' bytes per unit are known."""
    cdef int64_t width
    cdef int k
    for k in range(work.program.slot_count):
        width = -work.program.scratch_bytes[k]
        if width > 0 and arrays[k] != NULL:
            fetch(<const char *> arrays[k] + start * width, (stop - start) * width)


cdef inline void run_grain(Work *work, int64_t job, int64_t index, char *scratch) noexcept nogil:
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


cdef inline void run_chunk(void *context, int64_t chunk, int thread) noexcept nogil:
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


cdef inline bint any_negative(int64_t *numbers, int count) noexcept nogil:
    cdef int k
    for k in range(count):
        if numbers[k] < 0:
            return True
    return False


cdef inline int64_t cut(Program *program, Work *work, int64_t grain, int64_t block) noexcept nogil:
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


cdef inline int threads_worth(Work *work, int64_t units, int threads) noexcept nogil:
    """Return how many of these threads this work is worth: one more for each WORTH nanoseconds that it would take one
    thread, going by what the last calls took; one a full grain, as long as that isn't known."""
    cdef double known = pool_told(&work.program.nanoseconds)
    cdef double more = known * units / WORTH if known else (units - 1) // work.grain
    cdef int64_t grains = work.first_grain[work.jobs]
    if grains <= 1 or more < 1:
        return 1
    return <int> min(<double> min(<int64_t> threads, grains), 1 + more)


cdef inline int carry_out(Work *work, int64_t units, int threads) noexcept nogil:
    """Run all grains on this many threads; return that number, or less than 0 where there is no memory for scratch blocks."""
    cdef char *scratch = NULL
    cdef double took, known = pool_told(&work.program.nanoseconds)
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
        # a call that was preempted tells of the machine, not of the work
        pool_tell(&work.program.nanoseconds, took if known == 0 else known + (min(took, 4 * known) - known) / 8)
    free(scratch)
    return threads
