"""The handler by which XLA runs pipelines: it holds no Python and takes no lock of Python's.

One handler serves every op. What it runs stands in the call's attributes, arrays of numbers that were fixed when
the JAX program was traced; the arguments' and results' memory and shapes come with each call.

numbers : int64 [program, its slots, columns that hold arrays, grain, block, dims of a job, the arguments that hold the
    dims and the scalars, or -1]
slots : int64, a row of `columns` for each job: an argument's index, or -1 - a result's
per_unit : int64, of each job: the elements of its first slot in one unit of work
dims : int64, of each job; where an argument holds them, it is theirs of the one job
scalars : float64; where an argument holds them, it is one of their bits as pairs of uint32
"""
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free, malloc

from cpython.pycapsule cimport PyCapsule_New

from fastopt.kernels.runtime import launch

cdef extern from "xla_ffi.h" nogil:
    enum:
        XLA_STAGE_EXECUTE
        XLA_INVALID_ARGUMENT
        XLA_RESOURCE_EXHAUSTED
        XLA_ATTRIBUTE_ARRAY
    struct xla_buffer:
        void *data
    struct xla_buffers:
        int64_t size
        xla_buffer **buffers
    struct xla_array:
        size_t size
        void *data
    struct xla_attributes:
        int64_t size
        int *types
        xla_array **arrays
    struct xla_frame:
        int stage
        xla_buffers arguments
        xla_buffers results
        xla_attributes attributes
    int xla_asks_for_metadata(xla_frame *frame)
    void *xla_error(xla_frame *frame, int code, const char *message)
    int64_t xla_elements(const xla_buffer *buffer)

# As launch.pyx declares it: a program, its table of pointers (a row of all slots for each job) and their units.
ctypedef int (*submit_function)(void *program, void **pointers, int64_t jobs, int64_t *units, int64_t grain, int64_t block,
                                const int64_t *dims, int64_t dims_width, const double *scalars) noexcept nogil

cdef submit_function submit = <submit_function> <void *> <uintptr_t> launch.SUBMIT

cdef enum:
    DIMS, NUMBERS, PER_UNIT, SCALARS, SLOTS, ATTRIBUTES     # sorted by name, as they come
    PROGRAM = 0, WIDTH, COLUMNS, GRAIN, BLOCK, DIMS_OF_A_JOB, DIMS_AT, SCALARS_AT, COUNT_OF_NUMBERS


cdef bint is_whole(xla_frame *frame) noexcept nogil:
    """Return whether the attributes are those that this handler was written for."""
    cdef int64_t k
    if frame.attributes.size != ATTRIBUTES:
        return False
    for k in range(ATTRIBUTES):
        if frame.attributes.types[k] != XLA_ATTRIBUTE_ARRAY:
            return False
    return frame.attributes.arrays[NUMBERS].size == COUNT_OF_NUMBERS


cdef void *run(xla_frame *frame) noexcept nogil:
    """Run one call. Every index was made together with the attributes; none comes from the program's data."""
    cdef xla_array **arrays = frame.attributes.arrays
    cdef const int64_t *numbers
    cdef const int64_t *slots
    cdef const int64_t *per_unit
    cdef const int64_t *dims
    cdef const double *scalars
    cdef xla_buffer *buffer
    cdef void **pointers
    cdef int64_t *units
    cdef int64_t jobs, columns, j, k
    cdef int failed
    if xla_asks_for_metadata(frame) or frame.stage != XLA_STAGE_EXECUTE:
        return NULL
    if not is_whole(frame):
        return xla_error(frame, XLA_INVALID_ARGUMENT, "fastopt: expected the attributes that this version of it gives")
    numbers, slots = <const int64_t *> arrays[NUMBERS].data, <const int64_t *> arrays[SLOTS].data
    per_unit, jobs, columns = <const int64_t *> arrays[PER_UNIT].data, arrays[PER_UNIT].size, numbers[COLUMNS]
    dims, scalars = <const int64_t *> arrays[DIMS].data, <const double *> arrays[SCALARS].data
    if numbers[DIMS_AT] >= 0:
        dims = <const int64_t *> frame.arguments.buffers[numbers[DIMS_AT]].data
    if numbers[SCALARS_AT] >= 0:
        scalars = <const double *> frame.arguments.buffers[numbers[SCALARS_AT]].data
    pointers = <void **> malloc(jobs * numbers[WIDTH] * sizeof(void *))
    units = <int64_t *> malloc(jobs * sizeof(int64_t))
    failed = pointers == NULL or units == NULL
    if not failed:
        for j in range(jobs):
            for k in range(columns):
                buffer = (frame.arguments.buffers[slots[j * columns + k]] if slots[j * columns + k] >= 0
                          else frame.results.buffers[-1 - slots[j * columns + k]])
                pointers[j * numbers[WIDTH] + k] = buffer.data
                if k == 0:
                    units[j] = xla_elements(buffer) // per_unit[j]
        failed = submit(<void *> <uintptr_t> numbers[PROGRAM], pointers, jobs, units, numbers[GRAIN], numbers[BLOCK],
                        dims, numbers[DIMS_OF_A_JOB], scalars)
    free(pointers)
    free(units)
    return xla_error(frame, XLA_RESOURCE_EXHAUSTED, "fastopt: no memory for a call's tables") if failed else NULL


def handler():
    """Return the handler as the capsule that `jax.ffi.register_ffi_target` takes."""
    return PyCapsule_New(<void *> run, NULL, NULL)
