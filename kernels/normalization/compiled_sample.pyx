"""Normalization of rows by themselves, ahead of time. jit.py holds the same operations in the same order.

layer_*, rms_*: the unit is a row of `columns` elements; group_*: a row of `width` planes of `inner` elements each, one for
each of the group's channels. The parts are in sample.pxd.
"""
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uintptr_t

from kernels.normalization.sample cimport (
    ahead_of, gradient_piece, gradient_rows, leave_row, normalize_row, rows_in_cache, scale_row, square_sum, statistics)
from kernels.normalization.elements cimport clear, correction, load_affine, residual
from kernels.normalization.planes cimport HELD, LINE, TILE, Run, add_gradients, begin_run, normalize_plane
from kernels.runtime.abi cimport cloned_void, real
from kernels.runtime.lanes cimport LANES


cdef cloned_void layer_forward(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef real *y = buffers[3]
    cdef double *mean = <double *> buffers[4]
    cdef double *invstd = <double *> buffers[5]
    cdef int64_t columns = dims[0]
    cdef bint fetches = dims[1]
    cdef bint streams = dims[2] and y != x
    cdef double eps = scalars[0]
    cdef double highest = scalars[1]        # of invstd, else x is left for rows that are done again
    cdef real memory[LINE + HELD + TILE]
    cdef Run run
    cdef int64_t i = start, rows, r
    begin_run(&run, start * columns, stop * columns)
    while i < stop:
        rows = min(rows_in_cache(columns), stop - i)
        statistics(x + i * columns, columns, rows, eps, fetches, mean + i, invstd + i)
        for r in range(i, i + rows):
            if 0 < invstd[r] and invstd[r] < highest:
                normalize_row(x, y, memory + LINE, &run, r * columns, columns, mean[r], invstd[r], gamma, beta, fetches,
                              streams)
            else:
                leave_row(x, y, memory + LINE, &run, r * columns, columns, streams)
        i += rows


cdef cloned_void layer_backward(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Partial sums: dbeta, then dgamma."""
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const double *mean = <const double *> buffers[3]
    cdef const double *invstd = <const double *> buffers[4]
    cdef real *dx = buffers[5]
    cdef real *lanes = buffers[6]
    cdef int64_t columns = dims[0]
    cdef bint fetches = dims[1]
    cdef bint streams = dims[2] and dx != dy and dx != x
    cdef int64_t lanes_per_row = dims[3]
    lanes = lanes + start * lanes_per_row       # scratch memory begins with the first row
    gradient_rows(dy, x, gamma, mean, invstd, dx, columns, start, stop, True, fetches, streams, lanes, lanes + columns,
                  partials, partials + columns)


cdef cloned_void rms_forward(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef real *y = buffers[2]
    cdef double *invrms = <double *> buffers[3]
    cdef int64_t columns = dims[0]
    cdef bint fetches = dims[1]
    cdef bint streams = dims[2] and y != x
    cdef double eps = scalars[0]
    cdef double highest = scalars[1]        # of invstd, else x is left for rows that are done again
    cdef const real *row
    cdef real memory[LINE + HELD + TILE]
    cdef Run run
    cdef int64_t i = start, rows, r
    begin_run(&run, start * columns, stop * columns)
    while i < stop:
        rows = min(rows_in_cache(columns), stop - i)
        for r in range(i, i + rows):
            row = x + r * columns
            invrms[r] = square_sum(row, ahead_of(row, columns, 0, 2, fetches), columns) / <double> columns
        for r in range(i, i + rows):
            invrms[r] = 1 / sqrt(invrms[r] + eps)
        for r in range(i, i + rows):
            if 0 < invrms[r] and invrms[r] < highest:
                scale_row(x, y, memory + LINE, &run, r * columns, columns, invrms[r], gamma, fetches, streams)
            else:
                leave_row(x, y, memory + LINE, &run, r * columns, columns, streams)
        i += rows


cdef cloned_void rms_backward(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Partial sums: dgamma."""
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const double *invrms = <const double *> buffers[3]
    cdef real *dx = buffers[4]
    cdef real *lanes = buffers[5]
    cdef int64_t columns = dims[0]
    cdef bint fetches = dims[1]
    cdef bint streams = dims[2] and dx != dy and dx != x
    cdef int64_t lanes_per_row = dims[3]
    lanes = lanes + start * lanes_per_row       # scratch memory begins with the first row
    gradient_rows(dy, x, gamma, invrms, invrms, dx, columns, start, stop, False, fetches, streams, lanes, lanes + columns,
                  partials, partials)


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
    cdef double highest = scalars[1]        # of invstd, else x is left for rows that are done again
    cdef real center, scale, shift
    cdef int64_t i, k, at, c
    for i in range(start, stop):
        at = i * width * inner
        statistics(x + at, width * inner, 1, eps, False, mean + i, invstd + i)
        if not (0 < invstd[i] and invstd[i] < highest):
            leave_row(x, y, <real *> NULL, <Run *> NULL, at, width * inner, False)
            continue
        for k in range(width):
            c = i % groups * width + k
            load_affine(mean + i, invstd + i, gamma + c, beta + c, 1, &center, &scale, &shift)
            normalize_plane(x, x, y, <real *> NULL, <Run *> NULL, at, 0, 0, inner, center, scale, shift, False, False, False)
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
    cdef real lanes[LANES]
    cdef real products[LANES]
    cdef double total, total_product, slope, product, count = <double> (width * inner)
    cdef real center, rest, inv
    cdef int64_t i, k, at, c
    clear(lanes, LANES)
    clear(products, LANES)
    for i in range(start, stop):
        center = <real> mean[i]
        rest = <real> residual(mean[i], center)
        inv = <real> invstd[i]
        slope = 0
        product = 0
        for k in range(width):
            at = (i * width + k) * inner
            c = i % groups * width + k
            total = total_product = 0
            add_gradients(dy + at, x + at, x, 0, inner, center, inv, inv, inv, False, False, True, lanes,
                          products, &total, &total_product)
            total_product = total_product - correction(mean[i], center, invstd[i] * total)
            partials[c] = partials[c] + total
            partials[groups * width + c] = partials[groups * width + c] + total_product
            slope = slope + gamma[c] * total
            product = product + gamma[c] * total_product
        for k in range(width):
            at = (i * width + k) * inner
            gradient_piece(dy + at, x + at, dx + at, inner, center, rest, inv, gamma[i % groups * width + k],
                           <real> (slope / count), <real> (product / count))


KERNELS = {     # (float32, float64)
    "layer_forward": (<uintptr_t> <void *> layer_forward[float], <uintptr_t> <void *> layer_forward[double]),
    "layer_backward": (<uintptr_t> <void *> layer_backward[float], <uintptr_t> <void *> layer_backward[double]),
    "rms_forward": (<uintptr_t> <void *> rms_forward[float], <uintptr_t> <void *> rms_forward[double]),
    "rms_backward": (<uintptr_t> <void *> rms_backward[float], <uintptr_t> <void *> rms_backward[double]),
    "group_forward": (<uintptr_t> <void *> group_forward[float], <uintptr_t> <void *> group_forward[double]),
    "group_backward": (<uintptr_t> <void *> group_backward[float], <uintptr_t> <void *> group_backward[double]),
}
