"""The handler by which XLA runs pipelines: it holds no Python and takes no lock of Python's.

One handler serves every op. What it runs stands in the call's attributes, arrays of numbers that were fixed when
the JAX program was traced; the arguments' and results' memory and shapes come with each call.

numbers : int64 [program, its slots, columns that hold arrays, grain, block, dims of a job, the arguments that hold the
    dims and the scalars, or -1, scalars of a job, or 0 where all have the same, sums of a job, the process]
slots : int64, a row of `columns` for each job: an argument's index, or -1 - a result's
per_unit : int64, of each job: the elements of its first slot in one unit of work, or minus its units
dims : int64, of each job; where an argument holds them, it is theirs of the one job
scalars : float64; where an argument holds them, it is one of their bits as pairs of uint32

Where a job has sums, they are the last result: their bits as pairs of uint32.
"""
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free, malloc

from cpython.pycapsule cimport PyCapsule_New
from kernels.runtime.request cimport Request, request_function

from fastopt.kernels.runtime import launch

cdef extern from "xla_ffi.h" nogil:
    enum:
        XLA_STAGE_EXECUTE
        XLA_INVALID_ARGUMENT
        XLA_FAILED_PRECONDITION
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

cdef request_function submit = <request_function> <void *> <uintptr_t> launch.SUBMIT

cdef enum:
    DIMS, NUMBERS, PER_UNIT, SCALARS, SLOTS, ATTRIBUTES     # sorted by name, as they come
    PROGRAM = 0, WIDTH, COLUMNS, GRAIN, BLOCK, DIMS_OF_A_JOB, DIMS_AT, SCALARS_AT, SCALARS_OF_A_JOB, SUMS_OF_A_JOB
    PROCESS, COUNT_OF_NUMBERS


cdef int64_t process = 0    # the number of programs that may run


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
    cdef Request request
    cdef int failed
    if xla_asks_for_metadata(frame) or frame.stage != XLA_STAGE_EXECUTE:
        return NULL
    if not is_whole(frame):
        return xla_error(frame, XLA_INVALID_ARGUMENT, "fastopt: expected the attributes that this version of it gives")
    numbers = <const int64_t *> arrays[NUMBERS].data
    if numbers[PROCESS] != process:
        return xla_error(frame, XLA_FAILED_PRECONDITION,
                         "fastopt: this program was made in another process, whose kernels were elsewhere: trace it again")
    request.program, request.jobs = <void *> <uintptr_t> numbers[PROGRAM], arrays[PER_UNIT].size
    request.grain, request.block = numbers[GRAIN], numbers[BLOCK]
    request.dims, request.dims_width = <const int64_t *> arrays[DIMS].data, numbers[DIMS_OF_A_JOB]
    request.scalars, request.scalars_width = <const double *> arrays[SCALARS].data, numbers[SCALARS_OF_A_JOB]
    request.sums, request.sums_width = NULL, numbers[SUMS_OF_A_JOB]
    if numbers[DIMS_AT] >= 0:
        request.dims = <const int64_t *> frame.arguments.buffers[numbers[DIMS_AT]].data
    if numbers[SCALARS_AT] >= 0:
        request.scalars = <const double *> frame.arguments.buffers[numbers[SCALARS_AT]].data
    if numbers[SUMS_OF_A_JOB]:
        request.sums = <double *> frame.results.buffers[frame.results.size - 1].data
    request.pointers = <void **> malloc(request.jobs * numbers[WIDTH] * sizeof(void *))
    request.units = <int64_t *> malloc(request.jobs * sizeof(int64_t))
    failed = request.pointers == NULL or request.units == NULL
    if not failed:
        fill(frame, &request)
        failed = submit(&request)
    free(request.pointers)
    free(request.units)
    return xla_error(frame, XLA_RESOURCE_EXHAUSTED, "fastopt: no memory for a call's tables") if failed else NULL


cdef void fill(xla_frame *frame, Request *request) noexcept nogil:
    """Fill in the table of pointers, and each job's units."""
    cdef xla_array **arrays = frame.attributes.arrays
    cdef const int64_t *numbers = <const int64_t *> arrays[NUMBERS].data
    cdef const int64_t *slots = <const int64_t *> arrays[SLOTS].data
    cdef const int64_t *per_unit = <const int64_t *> arrays[PER_UNIT].data
    cdef int64_t columns = numbers[COLUMNS], j, k
    cdef xla_buffer *buffer
    for j in range(request.jobs):
        for k in range(columns):
            buffer = (frame.arguments.buffers[slots[j * columns + k]] if slots[j * columns + k] >= 0
                      else frame.results.buffers[-1 - slots[j * columns + k]])
            request.pointers[j * numbers[WIDTH] + k] = buffer.data
            if k == 0:
                request.units[j] = -per_unit[j] if per_unit[j] <= 0 else xla_elements(buffer) // per_unit[j]


def handler(number):
    """Return the handler as the capsule that `jax.ffi.register_ffi_target` takes.

    It runs programs with this number alone: those of this process, whose addresses are good.
    """
    global process
    process = number
    return PyCapsule_New(<void *> run, NULL, NULL)
