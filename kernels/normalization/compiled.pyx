"""Normalization kernels, ahead of time. jit.py holds the same operations in the same order.

channel_*: the unit is a channel, made of `batch` planes of `inner` elements each. A channel's passes follow one
another, so all but the first find it in the L2 cache. Neighbouring channels take turns plane by plane, because their
planes are neighbours in memory and short ones would starve the prefetcher. The parts are in planes.pxd.

row_*: the unit is a row of `columns` channels. A batch that is one grain is done in one call (row_forward,
row_backward); a larger one in a launch for each pass, whose grains of rows give partial results for the channels. The
parts are in rows.pxd.

layer_*, rms_*: the unit is a row of `columns` elements, normalized by itself; group_*: a row of `width` planes of `inner`
elements each, one for each of the group's channels. The parts are in across.pxd.
"""
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uintptr_t

from kernels.normalization.across cimport (
    gradient_piece, gradient_rows, inverse_rms, normalize_row, scale_row, statistics)
from kernels.normalization.elements cimport clear, load_constants, residual
from kernels.normalization.planes cimport LANES, add_deviations, add_gradients, fold, gradient_plane, normalize_plane
from kernels.normalization.rows cimport gradient_all, normalize_all, row_statistics, sum_gradients
from kernels.runtime.abi cimport cloned_void, real

cdef enum:
    GROUP = 16          # channels that take turns


cdef cloned_void channel_forward(real **buffers, const int64_t *dims, const double *scalars,
                                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef real *y = buffers[3]
    cdef double *mean = <double *> buffers[4]
    cdef double *variance = <double *> buffers[5]
    cdef double *invstd = <double *> buffers[6]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double eps = scalars[0]
    cdef double relu = scalars[1]
    cdef double sums[GROUP * LANES]
    cdef double squares[GROUP * LANES]
    cdef double total, delta, count = <double> (batch * inner)
    cdef int64_t first = start, last, c, n, k, at
    while first < stop:
        last = min(first + GROUP, stop)
        clear(sums, GROUP * LANES)
        for n in range(batch):
            for c in range(first, last):
                k = (c - first) * LANES
                add_deviations(x + (c * channel_stride + n * batch_stride), inner, <real> 0, sums + k, squares + k)
        for c in range(first, last):
            mean[c] = fold(sums + (c - first) * LANES) / count
        clear(sums, GROUP * LANES)
        clear(squares, GROUP * LANES)
        for n in range(batch):
            for c in range(first, last):
                k = (c - first) * LANES
                add_deviations(
                    x + (c * channel_stride + n * batch_stride), inner, <real> mean[c], sums + k, squares + k)
        for c in range(first, last):
            total = fold(sums + (c - first) * LANES)
            delta = total / count
            if delta - delta == 0:
                mean[c] = <real> mean[c] + delta
            delta = (fold(squares + (c - first) * LANES) - total * delta) / count
            variance[c] = 0 if delta < 0 else delta
            invstd[c] = 1 / sqrt(variance[c] + eps)
        for n in range(batch):
            for c in range(first, last):
                at = c * channel_stride + n * batch_stride
                normalize_plane(x + at, y + at, inner, mean[c], invstd[c], gamma[c], beta[c], relu != 0)
        first = last


cdef cloned_void channel_normalize(real **buffers, const int64_t *dims, const double *scalars,
                                   int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef const double *mean = <const double *> buffers[3]
    cdef const double *invstd = <const double *> buffers[4]
    cdef real *y = buffers[5]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double relu = scalars[0]
    cdef int64_t c, n, at
    for n in range(batch):
        for c in range(start, stop):
            at = c * channel_stride + n * batch_stride
            normalize_plane(x + at, y + at, inner, mean[c], invstd[c], gamma[c], beta[c], relu != 0)


cdef cloned_void channel_backward(real **buffers, const int64_t *dims, const double *scalars,
                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef real *dx = buffers[6]
    cdef real *dgamma = buffers[7]
    cdef real *dbeta = buffers[8]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double training = scalars[0]
    cdef double relu = scalars[1]
    cdef double sums[GROUP * LANES]
    cdef double products[GROUP * LANES]
    cdef real center[GROUP]
    cdef real rest[GROUP]
    cdef real inv[GROUP]
    cdef double count = <double> (batch * inner)
    cdef int64_t first = start, last, c, n, k, at
    while first < stop:
        last = min(first + GROUP, stop)
        clear(sums, GROUP * LANES)
        clear(products, GROUP * LANES)
        load_constants(mean + first, invstd + first, last - first, center, rest, inv)
        for n in range(batch):
            for c in range(first, last):
                k = c - first
                at = c * channel_stride + n * batch_stride
                add_gradients(dy + at, x + at, inner, center[k], rest[k], inv[k], gamma[c], beta[c], relu != 0,
                              sums + k * LANES, products + k * LANES)
        for k in range(last - first):
            dbeta[first + k] = <real> fold(sums + k * LANES)
            dgamma[first + k] = <real> fold(products + k * LANES)
        for n in range(batch):
            for c in range(first, last):
                k = c - first
                at = c * channel_stride + n * batch_stride
                gradient_plane(dy + at, x + at, dx + at, inner, center[k], rest[k], inv[k], gamma[c], beta[c],
                               relu != 0, training != 0, <real> (sums[k * LANES] / count),
                               <real> (products[k * LANES] / count))
        first = last


cdef cloned_void row_forward(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef real *y = buffers[3]
    cdef double *mean = <double *> buffers[4]
    cdef double *variance = <double *> buffers[5]
    cdef double *invstd = <double *> buffers[6]
    cdef int64_t columns = dims[0]
    cdef double eps = scalars[0]
    cdef double relu = scalars[1]
    cdef double count = <double> (stop - start)
    cdef int64_t c
    row_statistics(x, columns, start, stop, mean, variance)
    for c in range(columns):
        mean[c] = mean[c] / count
        variance[c] = 0 if variance[c] < 0 else variance[c] / count
        invstd[c] = 1 / sqrt(variance[c] + eps)
    normalize_all(x, y, columns, start, stop, gamma, beta, mean, invstd, relu != 0)


cdef cloned_void row_moments(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    """For each channel of a grain: its sum, then its squared deviations from the grain's own mean."""
    cdef const real *x = buffers[0]
    cdef int64_t columns = dims[0]
    row_statistics(x, columns, start, stop, partials, partials + columns)


cdef cloned_void row_normalize(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef const double *mean = <const double *> buffers[3]
    cdef const double *invstd = <const double *> buffers[4]
    cdef real *y = buffers[5]
    cdef int64_t columns = dims[0]
    cdef double relu = scalars[0]
    normalize_all(x, y, columns, start, stop, gamma, beta, mean, invstd, relu != 0)


cdef cloned_void row_backward(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef real *dx = buffers[6]
    cdef real *dgamma = buffers[7]
    cdef real *dbeta = buffers[8]
    cdef int64_t columns = dims[0]
    cdef double training = scalars[0]
    cdef double relu = scalars[1]
    cdef double *sums = partials
    cdef double *products = partials + columns
    cdef int64_t c
    sum_gradients(dy, x, columns, start, stop, gamma, beta, mean, invstd, relu != 0, sums, products)
    for c in range(columns):
        dbeta[c] = <real> sums[c]
        dgamma[c] = <real> products[c]
    gradient_all(dy, x, dx, columns, start, stop, gamma, beta, mean, invstd, sums, products, <double> (stop - start),
                 relu != 0, training != 0)


cdef cloned_void row_sums(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    """For each channel of a grain: the sum of dy, then the sum of dy x̂."""
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef int64_t columns = dims[0]
    cdef double relu = scalars[0]
    sum_gradients(dy, x, columns, start, stop, gamma, beta, mean, invstd, relu != 0, partials, partials + columns)


cdef cloned_void row_gradient(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef const double *sums = <const double *> buffers[6]
    cdef real *dx = buffers[7]
    cdef int64_t columns = dims[0]
    cdef int64_t rows = dims[1]
    cdef double training = scalars[0]
    cdef double relu = scalars[1]
    gradient_all(dy, x, dx, columns, start, stop, gamma, beta, mean, invstd, sums, sums + columns, <double> rows,
                 relu != 0, training != 0)


cdef cloned_void layer_forward(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef real *y = buffers[3]
    cdef double *mean = <double *> buffers[4]
    cdef double *invstd = <double *> buffers[5]
    cdef int64_t columns = dims[0]
    cdef double eps = scalars[0]
    cdef int64_t i, at
    for i in range(start, stop):
        at = i * columns
        statistics(x + at, columns, eps, mean + i, invstd + i)
        normalize_row(x + at, y + at, columns, mean[i], invstd[i], gamma, beta)


cdef cloned_void layer_backward(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Partial sums: dbeta, then dgamma."""
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const double *mean = <const double *> buffers[3]
    cdef const double *invstd = <const double *> buffers[4]
    cdef real *dx = buffers[5]
    cdef int64_t columns = dims[0]
    gradient_rows(dy, x, gamma, mean, invstd, dx, columns, start, stop, True, partials, partials + columns)


cdef cloned_void rms_forward(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef real *y = buffers[2]
    cdef double *invrms = <double *> buffers[3]
    cdef int64_t columns = dims[0]
    cdef double eps = scalars[0]
    cdef int64_t i, at
    for i in range(start, stop):
        at = i * columns
        invrms[i] = inverse_rms(x + at, columns, eps)
        scale_row(x + at, y + at, columns, invrms[i], gamma)


cdef cloned_void rms_backward(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Partial sums: dgamma."""
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const double *invrms = <const double *> buffers[3]
    cdef real *dx = buffers[4]
    cdef int64_t columns = dims[0]
    gradient_rows(dy, x, gamma, invrms, invrms, dx, columns, start, stop, False, partials, partials)


cdef cloned_void group_forward(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef real *y = buffers[3]
    cdef double *mean = <double *> buffers[4]
    cdef double *invstd = <double *> buffers[5]
    cdef int64_t groups = dims[0]
    cdef int64_t width = dims[1]
    cdef int64_t inner = dims[2]
    cdef double eps = scalars[0]
    cdef int64_t i, k, at, c
    for i in range(start, stop):
        at = i * width * inner
        statistics(x + at, width * inner, eps, mean + i, invstd + i)
        for k in range(width):
            c = i % groups * width + k
            normalize_plane(x + at, y + at, inner, mean[i], invstd[i], gamma[c], beta[c], False)
            at += inner


cdef cloned_void group_backward(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Partial sums: dbeta of every channel, then dgamma."""
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const double *mean = <const double *> buffers[3]
    cdef const double *invstd = <const double *> buffers[4]
    cdef real *dx = buffers[5]
    cdef int64_t groups = dims[0]
    cdef int64_t width = dims[1]
    cdef int64_t inner = dims[2]
    cdef double sums[LANES]
    cdef double products[LANES]
    cdef double slope, product, count = <double> (width * inner)
    cdef real center, rest, inv
    cdef int64_t i, k, at, c
    for i in range(start, stop):
        center = <real> mean[i]
        rest = <real> residual(mean[i], center)
        inv = <real> invstd[i]
        slope = 0
        product = 0
        for k in range(width):
            at = (i * width + k) * inner
            c = i % groups * width + k
            clear(sums, LANES)
            clear(products, LANES)
            add_gradients(dy + at, x + at, inner, center, rest, inv, <real> 1, <real> 0, False, sums, products)
            partials[c] = partials[c] + fold(sums)
            partials[groups * width + c] = partials[groups * width + c] + fold(products)
            slope = slope + gamma[c] * sums[0]
            product = product + gamma[c] * products[0]
        for k in range(width):
            at = (i * width + k) * inner
            gradient_piece(dy + at, x + at, dx + at, inner, center, rest, inv, gamma[i % groups * width + k],
                           <real> (slope / count), <real> (product / count))


KERNELS = {     # (float32, float64)
    "channel_forward": (<uintptr_t> <void *> channel_forward[float], <uintptr_t> <void *> channel_forward[double]),
    "channel_normalize": (
        <uintptr_t> <void *> channel_normalize[float], <uintptr_t> <void *> channel_normalize[double]),
    "channel_backward": (<uintptr_t> <void *> channel_backward[float], <uintptr_t> <void *> channel_backward[double]),
    "row_forward": (<uintptr_t> <void *> row_forward[float], <uintptr_t> <void *> row_forward[double]),
    "row_moments": (<uintptr_t> <void *> row_moments[float], <uintptr_t> <void *> row_moments[double]),
    "row_normalize": (<uintptr_t> <void *> row_normalize[float], <uintptr_t> <void *> row_normalize[double]),
    "row_backward": (<uintptr_t> <void *> row_backward[float], <uintptr_t> <void *> row_backward[double]),
    "row_sums": (<uintptr_t> <void *> row_sums[float], <uintptr_t> <void *> row_sums[double]),
    "row_gradient": (<uintptr_t> <void *> row_gradient[float], <uintptr_t> <void *> row_gradient[double]),
    "layer_forward": (<uintptr_t> <void *> layer_forward[float], <uintptr_t> <void *> layer_forward[double]),
    "layer_backward": (<uintptr_t> <void *> layer_backward[float], <uintptr_t> <void *> layer_backward[double]),
    "rms_forward": (<uintptr_t> <void *> rms_forward[float], <uintptr_t> <void *> rms_forward[double]),
    "rms_backward": (<uintptr_t> <void *> rms_backward[float], <uintptr_t> <void *> rms_backward[double]),
    "group_forward": (<uintptr_t> <void *> group_forward[float], <uintptr_t> <void *> group_forward[double]),
    "group_backward": (<uintptr_t> <void *> group_backward[float], <uintptr_t> <void *> group_backward[double]),
}
