"""Batch norm's kernels by rows, ahead of time; the parts are in rows.pxd.

The unit is a row of `columns` channels. A batch that is one grain is done in one call (row_forward, row_backward); a
larger one in a launch for each pass, whose grains of rows give partial results for the channels.
"""
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uintptr_t

from kernels.normalization.rows cimport gradient_all, normalize_all, row_statistics, sum_gradients
from kernels.runtime.abi cimport cloned_void, real


cdef cloned_void row_forward(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef const real *added = buffers[3]
    cdef real *y = buffers[4]
    cdef double *mean = <double *> buffers[5]
    cdef double *variance = <double *> buffers[6]
    cdef double *invstd = <double *> buffers[7]
    cdef int64_t columns = dims[0]
    cdef double eps = scalars[0]
    cdef double relu = scalars[1]
    cdef double adds = scalars[2]
    cdef double count = <double> (stop - start)
    cdef int64_t c
    row_statistics(x, columns, start, stop, mean, variance)
    for c in range(columns):
        variance[c] = variance[c] / count
        invstd[c] = 1 / sqrt(variance[c] + eps)
    normalize_all(x, added, y, columns, start, stop, gamma, beta, mean, invstd, adds != 0, relu != 0, False)


cdef cloned_void row_moments(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    """For each channel of a grain: its mean, then its squared deviations from it."""
    cdef const real *x = buffers[0]
    cdef int64_t columns = dims[0]
    row_statistics(x, columns, start, stop, partials, partials + columns)


cdef cloned_void merge_moments(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Mean and variance from those of parts: `part` rows in each but the last, of `rows` in all."""
    cdef const double *parts = <const double *> buffers[0]
    cdef double *mean = <double *> buffers[1]
    cdef double *variance = <double *> buffers[2]
    cdef int64_t columns = dims[0]
    cdef int64_t part = dims[1]
    cdef int64_t rows = dims[2]
    cdef double total = <double> rows, count
    cdef const double *means
    cdef int64_t c, g
    for c in range(start, stop):
        mean[c] = variance[c] = 0
    for g in range((rows + part - 1) // part):
        means = parts + 2 * g * columns
        count = <double> min(part, rows - g * part)
        for c in range(start, stop):
            mean[c] = mean[c] + means[c] * (count / total)
    for g in range((rows + part - 1) // part):
        means = parts + 2 * g * columns
        count = <double> min(part, rows - g * part)
        for c in range(start, stop):
            variance[c] = variance[c] + (means[columns + c] + count * ((means[c] - mean[c]) * (means[c] - mean[c])))
    for c in range(start, stop):
        variance[c] = variance[c] / total


cdef cloned_void row_normalize(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef const double *mean = <const double *> buffers[3]
    cdef const double *invstd = <const double *> buffers[4]
    cdef const real *added = buffers[5]
    cdef real *y = buffers[6]
    cdef int64_t columns = dims[0]
    cdef bint streams = dims[1]
    cdef double relu = scalars[0]
    cdef double adds = scalars[1]
    normalize_all(x, added, y, columns, start, stop, gamma, beta, mean, invstd, adds != 0, relu != 0,
                  streams and y != x and y != added)


cdef cloned_void row_backward(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef const real *added = buffers[6]
    cdef real *dx = buffers[7]
    cdef real *dadded = buffers[8]
    cdef double *sums = <double *> buffers[9]
    cdef double *products = <double *> buffers[10]
    cdef int64_t columns = dims[0]
    cdef double training = scalars[0]
    cdef double relu = scalars[1]
    cdef double adds = scalars[2]
    sum_gradients(dy, x, added, columns, start, stop, gamma, beta, mean, invstd, adds != 0, relu != 0, sums, products)
    gradient_all(dy, x, added, dx, dadded, columns, start, stop, gamma, beta, mean, invstd, sums, products,
                 <double> (stop - start), adds != 0, relu != 0, training != 0, False)


cdef cloned_void row_sums(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    """For each channel of a grain: the sum of dy, then the sum of dy x̂."""
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef const real *added = buffers[6]
    cdef int64_t columns = dims[0]
    cdef double relu = scalars[0]
    cdef double adds = scalars[1]
    sum_gradients(dy, x, added, columns, start, stop, gamma, beta, mean, invstd, adds != 0, relu != 0, partials,
                  partials + columns)


cdef cloned_void row_gradient(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef const real *added = buffers[6]
    cdef const double *sums = <const double *> buffers[7]
    cdef const double *products = <const double *> buffers[8]
    cdef real *dx = buffers[9]
    cdef real *dadded = buffers[10]
    cdef int64_t columns = dims[0]
    cdef bint streams = dims[1]
    cdef double training = scalars[0]
    cdef double relu = scalars[1]
    cdef double adds = scalars[2]
    cdef double count = scalars[3]
    gradient_all(dy, x, added, dx, dadded, columns, start, stop, gamma, beta, mean, invstd, sums, products, count, adds != 0,
                 relu != 0, training != 0, streams and dx != dy and dx != x)


KERNELS = {     # (float32, float64)
    "row_forward": (<uintptr_t> <void *> row_forward[float], <uintptr_t> <void *> row_forward[double]),
    "row_moments": (<uintptr_t> <void *> row_moments[float], <uintptr_t> <void *> row_moments[double]),
    "merge_moments": (<uintptr_t> <void *> merge_moments[float], <uintptr_t> <void *> merge_moments[double]),
    "row_normalize": (<uintptr_t> <void *> row_normalize[float], <uintptr_t> <void *> row_normalize[double]),
    "row_backward": (<uintptr_t> <void *> row_backward[float], <uintptr_t> <void *> row_backward[double]),
    "row_sums": (<uintptr_t> <void *> row_sums[float], <uintptr_t> <void *> row_sums[double]),
    "row_gradient": (<uintptr_t> <void *> row_gradient[float], <uintptr_t> <void *> row_gradient[double]),
}
