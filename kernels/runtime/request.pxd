# What another runtime's handler asks of the launcher: launch.pyx carries it out, xla.pyx fills it in.
from libc.stdint cimport int64_t


cdef struct Request:
    void *program               # a pipeline's, by its address
    void **pointers             # a row of all slots for each job
    int64_t *units              # of each job
    int64_t jobs
    int64_t grain
    int64_t block
    const int64_t *dims         # a row for each job
    int64_t dims_width
    const double *scalars       # a row for each job, or, where the width is 0, one for all
    int64_t scalars_width
    double *sums                # a row for each job, written
    int64_t sums_width


ctypedef int (*request_function)(const Request *request) noexcept nogil      # 0, or 1 where there is no memory
