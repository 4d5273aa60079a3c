# What row_* kernels do with rows of `columns` channels, four at a time, so that a channel's constants are loaded once
# for four elements. Sums take the rows one after the other all the same.
from libc.stdint cimport int64_t

from kernels.normalization.elements cimport clear, direction, load_constants, passed, residual, standardized
from kernels.runtime.abi cimport inlined_void, real

cdef extern from *:
    """
    #define FETCH_ROWS(p, columns, width, rows) \\
        do { for (int r_ = 0; r_ < (rows); r_++) \\
            for (int64_t c_ = 0; c_ < (width); c_ += 64 / (int) sizeof(*(p))) \\
                __builtin_prefetch((p) + ((rows) + r_) * (columns) + c_); } while (0)
    """
    void FETCH_ROWS(const void *, int64_t, int64_t, int) noexcept nogil


cdef enum:
    ROWS = 32           # rows that are summed in the kernel's type, before the sums go on in double precision
    PANEL = 1024        # channels whose sums and constants are in L1 while rows go by
    TILE = 256          # results of a row on the stack, see planes.pxd


cdef inline inlined_void add_row_deviations(const real *x, int64_t columns, int64_t width, const real *center, real *lane,
                                            real *square, int rows) noexcept nogil:
    cdef int64_t c
    cdef int r
    cdef real d, s, q
    for c in range(width):
        s = lane[c]
        q = square[c]
        for r in range(rows):
            d = x[r * columns + c] - center[c]
            s = s + d
            q = q + d * d
        lane[c] = s
        square[c] = q


cdef inline inlined_void row_statistics(const real *x, int64_t columns, int64_t start, int64_t stop, double *sums,
                                        double *squares) noexcept nogil:
    """For each channel: the sum of these rows, and their squared deviations from their own mean."""
    cdef real center[PANEL]
    cdef real lane[PANEL]
    cdef real square[PANEL]
    cdef double total[PANEL]
    cdef const real *panel
    cdef double count = <double> (stop - start)
    cdef int64_t first = 0, width, c, i, last
    cdef int turn
    while first < columns:
        width = min(<int64_t> PANEL, columns - first)
        panel = x + first
        for c in range(width):
            center[c] = 0
        for turn in range(2):       # deviations from zero, then from the mean that they give
            clear(total, width)
            clear(squares + first, width)
            i = start
            while i < stop:
                last = min(i + ROWS, stop)
                for c in range(width):
                    lane[c] = 0
                    square[c] = 0
                while i + 4 <= last:
                    add_row_deviations(panel + i * columns, columns, width, center, lane, square, 4)
                    i += 4
                while i < last:
                    add_row_deviations(panel + i * columns, columns, width, center, lane, square, 1)
                    i += 1
                for c in range(width):
                    total[c] = total[c] + lane[c]
                    squares[first + c] = squares[first + c] + square[c]
            for c in range(width):
                if turn == 0:
                    sums[first + c] = total[c]
                    center[c] = <real> (total[c] / count)
                elif total[c] - total[c] == 0:
                    sums[first + c] = count * center[c] + total[c]
        for c in range(width):
            squares[first + c] = squares[first + c] - total[c] * (total[c] / count)
        first += width


cdef inline inlined_void normalize_rows(const real *x, real *y, int64_t columns, int64_t width, const real *center,
                                        const real *rest, const real *inv, const real *weight, const real *bias,
                                        bint relu, int rows) noexcept nogil:
    cdef real tile[4 * TILE]
    cdef real z
    cdef int64_t c, j, count
    cdef int r
    c = 0
    while c < width:
        count = min(<int64_t> TILE, width - c)
        FETCH_ROWS(x + c, columns, count, rows)
        for j in range(count):
            for r in range(rows):
                z = standardized(x[r * columns + c + j], center[c + j], rest[c + j], inv[c + j])
                tile[r * TILE + j] = z * weight[c + j]
        for r in range(rows):
            for j in range(count):
                z = tile[r * TILE + j] + bias[c + j]
                y[r * columns + c + j] = passed(z, z, relu)
        c += count


cdef inline inlined_void normalize_all(const real *x, real *y, int64_t columns, int64_t start, int64_t stop,
                                       const real *gamma, const real *beta, const double *mean, const double *invstd,
                                       bint relu) noexcept nogil:
    cdef real center[PANEL]
    cdef real rest[PANEL]
    cdef real inv[PANEL]
    cdef int64_t first = 0, width, i, at
    while first < columns:
        width = min(<int64_t> PANEL, columns - first)
        load_constants(mean + first, invstd + first, width, center, rest, inv)
        i = start
        while i < stop:
            at = i * columns + first
            if i + 4 <= stop:
                normalize_rows(x + at, y + at, columns, width, center, rest, inv, gamma + first, beta + first, relu, 4)
                i += 4
            else:
                normalize_rows(x + at, y + at, columns, width, center, rest, inv, gamma + first, beta + first, relu, 1)
                i += 1
        first += width


cdef inline inlined_void add_row_gradients(const real *dy, const real *x, int64_t columns, int64_t width,
                                           const real *center, const real *rest, const real *inv, const real *weight,
                                           const real *bias, bint relu, real *lane, real *product,
                                           int rows) noexcept nogil:
    cdef int64_t c
    cdef int r
    cdef real xhat, d, s, q
    for c in range(width):
        s = lane[c]
        q = product[c]
        for r in range(rows):
            xhat = standardized(x[r * columns + c], center[c], rest[c], inv[c])
            d = passed(dy[r * columns + c], xhat * weight[c] + bias[c], relu)
            s = s + d
            q = q + d * xhat
        lane[c] = s
        product[c] = q


cdef inline inlined_void sum_gradients(const real *dy, const real *x, int64_t columns, int64_t start, int64_t stop,
                                       const real *gamma, const real *beta, const double *mean, const double *invstd,
                                       bint relu, double *sums, double *products) noexcept nogil:
    cdef real center[PANEL]
    cdef real rest[PANEL]
    cdef real inv[PANEL]
    cdef real lane[PANEL]
    cdef real product[PANEL]
    cdef int64_t first = 0, width, c, i, at, last
    while first < columns:
        width = min(<int64_t> PANEL, columns - first)
        load_constants(mean + first, invstd + first, width, center, rest, inv)
        clear(sums + first, width)
        clear(products + first, width)
        i = start
        while i < stop:
            last = min(i + ROWS, stop)
            for c in range(width):
                lane[c] = 0
                product[c] = 0
            while i < last:
                at = i * columns + first
                if i + 4 <= last:
                    add_row_gradients(dy + at, x + at, columns, width, center, rest, inv, gamma + first, beta + first,
                                      relu, lane, product, 4)
                    i += 4
                else:
                    add_row_gradients(dy + at, x + at, columns, width, center, rest, inv, gamma + first, beta + first,
                                      relu, lane, product, 1)
                    i += 1
            for c in range(width):
                sums[first + c] = sums[first + c] + lane[c]
                products[first + c] = products[first + c] + product[c]
        first += width


cdef inline inlined_void gradient_rows(const real *dy, const real *x, real *dx, int64_t columns, int64_t width,
                                       const real *center, const real *rest, const real *inv, const real *weight,
                                       const real *bias, const real *scale, const real *mean_dy,
                                       const real *mean_product, bint relu, bint training, int rows) noexcept nogil:
    cdef real tile[4 * TILE]
    cdef real xhat, d
    cdef int64_t c = 0, j, count
    cdef int r
    while c < width:
        count = min(<int64_t> TILE, width - c)
        FETCH_ROWS(x + c, columns, count, rows)
        FETCH_ROWS(dy + c, columns, count, rows)
        for j in range(count):
            for r in range(rows):
                xhat = standardized(x[r * columns + c + j], center[c + j], rest[c + j], inv[c + j])
                d = passed(dy[r * columns + c + j], xhat * weight[c + j] + bias[c + j], relu)
                tile[r * TILE + j] = direction(d, xhat, mean_dy[c + j], mean_product[c + j]) if training else d
        for r in range(rows):
            for j in range(count):
                dx[r * columns + c + j] = scale[c + j] * tile[r * TILE + j]
        c += count


cdef inline inlined_void gradient_all(const real *dy, const real *x, real *dx, int64_t columns, int64_t start,
                                      int64_t stop, const real *gamma, const real *beta, const double *mean,
                                      const double *invstd, const double *sums, const double *products, double count,
                                      bint relu, bint training) noexcept nogil:
    cdef real center[PANEL]
    cdef real rest[PANEL]
    cdef real inv[PANEL]
    cdef real scale[PANEL]
    cdef real mean_dy[PANEL]
    cdef real mean_product[PANEL]
    cdef int64_t first = 0, width, c, i, at
    while first < columns:
        width = min(<int64_t> PANEL, columns - first)
        load_constants(mean + first, invstd + first, width, center, rest, inv)
        for c in range(width):
            scale[c] = gamma[first + c] * inv[c]
            mean_dy[c] = <real> (sums[first + c] / count)
            mean_product[c] = <real> (products[first + c] / count)
        i = start
        while i < stop:
            at = i * columns + first
            if i + 4 <= stop:
                gradient_rows(dy + at, x + at, dx + at, columns, width, center, rest, inv, gamma + first, beta + first,
                              scale, mean_dy, mean_product, relu, training, 4)
                i += 4
            else:
                gradient_rows(dy + at, x + at, dx + at, columns, width, center, rest, inv, gamma + first, beta + first,
                              scale, mean_dy, mean_product, relu, training, 1)
                i += 1
        first += width
