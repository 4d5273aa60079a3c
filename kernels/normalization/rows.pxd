# What row_* kernels do with rows of `columns` channels. Statistics take one pass, see planes.pxd; rows are summed four at
# a time, so that a channel's sums are loaded once for four elements, but one after the other all the same. Where rows
# are merely mapped, several short ones go as one: their constants are repeated.
from libc.stdint cimport int64_t

from kernels.normalization.elements cimport clear, correction, direction, finish, load_affine, load_slopes, passed
from kernels.normalization.planes cimport HELD, LINE, TILE, Run, begin_run, stream_held
from kernels.runtime.abi cimport inlined_void, real


cdef enum:
    ROWS = 32           # rows that are summed in the kernel's type, before the sums go on in double precision
    PANEL = 1024        # channels whose sums and constants are in L1 while rows go by


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


cdef inline inlined_void add_part(const real *x, int64_t columns, int64_t width, int64_t start, int64_t stop,
                                  const real *center, double *sums, double *squares) noexcept nogil:
    """For each channel: the sum of these rows' deviations from its center, and of their squares."""
    cdef real lane[PANEL]
    cdef real square[PANEL]
    cdef int64_t i = start, c, last
    clear(sums, width)
    clear(squares, width)
    while i < stop:
        last = min(i + ROWS, stop)
        for c in range(width):
            lane[c] = 0
            square[c] = 0
        while i + 4 <= last:
            add_row_deviations(x + i * columns, columns, width, center, lane, square, 4)
            i += 4
        while i < last:
            add_row_deviations(x + i * columns, columns, width, center, lane, square, 1)
            i += 1
        for c in range(width):
            sums[c] = sums[c] + lane[c]
            squares[c] = squares[c] + square[c]


cdef inline inlined_void row_statistics(const real *x, int64_t columns, int64_t start, int64_t stop, double *mean,
                                        double *variance) noexcept nogil:
    """For each channel: the mean of these rows, and the sum of squared deviations from it."""
    cdef real center[PANEL]
    cdef double sums[PANEL]
    cdef double squares[PANEL]
    cdef double count, before, part, rest, delta, between
    cdef int64_t first = 0, width, c, i, last
    while first < columns:
        width = min(<int64_t> PANEL, columns - first)
        for c in range(width):
            center[c] = 0
        last = min(start + ROWS, stop)
        add_part(x + first, columns, width, start, last, center, sums, squares)
        count = <double> (last - start)
        for c in range(width):
            center[c] = <real> (sums[c] / count)
            mean[first + c] = 0
            variance[first + c] = 0
        i = start
        while i < stop:
            last = min(max(start + ROWS, i + (i - start)), stop)
            add_part(x + first, columns, width, i, last, center, sums, squares)
            before = <double> (i - start)
            count = <double> (last - i)
            part = count / (before + count)
            rest = before * count / (before + count)
            for c in range(width):
                delta = sums[c] / count
                between = (center[c] + delta) - mean[first + c]
                mean[first + c] = mean[first + c] + between * part
                variance[first + c] = variance[first + c] + ((squares[c] - sums[c] * delta) + between * between * rest)
                center[c] = <real> mean[first + c]
            i = last
        for c in range(first, first + width):
            if mean[c] - mean[c] != 0:      # Inf in a part makes NaN of the next
                mean[c] = 0
                for i in range(start, stop):
                    mean[c] = mean[c] + x[i * columns + c]
                mean[c] = mean[c] / <double> (stop - start)
        first += width


cdef inline int64_t lines(int64_t columns) noexcept nogil:
    """Return how many rows go as one where they are merely mapped."""
    return TILE // columns if columns < TILE else 1


cdef inline inlined_void repeat(real *constants, int64_t columns, int64_t times) noexcept nogil:
    cdef int64_t c
    for c in range(columns, columns * times):
        constants[c] = constants[c - columns]


cdef inline inlined_void normalize_all(const real *x, const real *added, real *y, int64_t columns, int64_t start,
                                       int64_t stop, const real *gamma, const real *beta, const double *mean,
                                       const double *invstd, bint adds, bint relu, bint streams) noexcept nogil:
    cdef real center[PANEL]
    cdef real scale[PANEL]
    cdef real shift[PANEL]
    cdef real tile[TILE]
    cdef real memory[LINE + HELD + TILE]    # pieces are shorter than a tile where that is no whole number of rows
    cdef real *held = memory + LINE
    cdef real *result
    cdef Run run
    cdef int64_t first = 0, width, times, i, at, k, j, size, count
    while first < columns:
        width = min(<int64_t> PANEL, columns - first)
        times = lines(columns)
        load_affine(mean + first, invstd + first, gamma + first, beta + first, width, center, scale, shift)
        repeat(center, width, times)
        repeat(scale, width, times)
        repeat(shift, width, times)
        i = start
        begin_run(&run, start * columns, stop * columns)
        while i < stop:
            at = i * columns + first
            size = min(times, stop - i) * width
            if width < columns:     # a part of a row
                begin_run(&run, at, at + size)
            for k in range(0, size, 256):
                count = min(<int64_t> TILE, size - k)
                for j in range(count):
                    tile[j] = (x[at + k + j] - center[k + j]) * scale[k + j]
                result = held + (at + k - run.begin) if streams else y + (at + k)
                finish(tile, added + (at + k if adds else 0), result, count, shift + k, 1, adds, relu)
                if streams:
                    stream_held(y, held, &run, at + k + count)
            i += times
        first += width


cdef inline inlined_void mask_row(const real *dy, const real *x, const real *added, real *slope, int64_t count,
                                  const real *center, const real *scale, const real *shift, bint adds) noexcept nogil:
    """dy, as ReLU lets it through."""
    cdef int64_t j
    if adds:
        for j in range(count):
            slope[j] = passed(dy[j], ((x[j] - center[j]) * scale[j] + shift[j]) + added[j])
    else:
        for j in range(count):
            slope[j] = passed(dy[j], (x[j] - center[j]) * scale[j] + shift[j])


cdef inline inlined_void add_row_gradients(const real *slope, int64_t step, const real *x, int64_t columns, int64_t width,
                                           const real *center, const real *inv, real *lane, real *product,
                                           int rows) noexcept nogil:
    cdef int64_t c
    cdef int r
    cdef real s, q
    for c in range(width):
        s = lane[c]
        q = product[c]
        for r in range(rows):
            s = s + slope[r * step + c]
            q = q + slope[r * step + c] * ((x[r * columns + c] - center[c]) * inv[c])
        lane[c] = s
        product[c] = q


cdef inline inlined_void add_masked_rows(const real *dy, const real *x, const real *added, int64_t columns, int64_t width,
                                         const real *center, const real *scale, const real *shift, const real *inv,
                                         bint adds, bint relu, real *lane, real *product, int rows) noexcept nogil:
    cdef real masked[4 * TILE]
    cdef int64_t k, count
    cdef int r
    if not relu:
        add_row_gradients(dy, columns, x, columns, width, center, inv, lane, product, rows)
        return
    for k in range(0, width, 256):
        count = min(<int64_t> TILE, width - k)
        for r in range(rows):
            mask_row(dy + r * columns + k, x + r * columns + k, added + (r * columns + k if adds else 0), masked + r * TILE,
                     count, center + k, scale + k, shift + k, adds)
        add_row_gradients(masked, TILE, x + k, columns, count, center + k, inv + k, lane + k, product + k, rows)


cdef inline inlined_void sum_gradients(const real *dy, const real *x, const real *added, int64_t columns, int64_t start,
                                       int64_t stop, const real *gamma, const real *beta, const double *mean,
                                       const double *invstd, bint adds, bint relu, double *sums,
                                       double *products) noexcept nogil:
    """For each channel: the sum of dy, as ReLU lets it through, and of dy x̂."""
    cdef real center[PANEL]
    cdef real scale[PANEL]
    cdef real shift[PANEL]
    cdef real inv[PANEL]
    cdef real lane[PANEL]
    cdef real product[PANEL]
    cdef int64_t first = 0, width, c, i, at, last
    while first < columns:
        width = min(<int64_t> PANEL, columns - first)
        load_affine(mean + first, invstd + first, gamma + first, beta + first, width, center, scale, shift)
        for c in range(width):
            inv[c] = <real> invstd[first + c]
        clear(sums + first, width)
        clear(products + first, width)
        i = start
        while i < stop:
            last = min(i + ROWS, stop)
            for c in range(width):
                lane[c] = 0
                product[c] = 0
            while i + 4 <= last:
                at = i * columns + first
                add_masked_rows(dy + at, x + at, added + (at if adds else 0), columns, width, center, scale, shift, inv, adds,
                                relu, lane, product, 4)
                i += 4
            while i < last:
                at = i * columns + first
                add_masked_rows(dy + at, x + at, added + (at if adds else 0), columns, width, center, scale, shift, inv, adds,
                                relu, lane, product, 1)
                i += 1
            for c in range(width):
                sums[first + c] = sums[first + c] + lane[c]
                products[first + c] = products[first + c] + product[c]
        for c in range(first, first + width):
            products[c] = products[c] - correction(mean[c], <real> mean[c], invstd[c] * sums[c])
        first += width


cdef inline inlined_void gradient_all(const real *dy, const real *x, const real *added, real *dx, real *dadded,
                                      int64_t columns, int64_t start, int64_t stop, const real *gamma, const real *beta,
                                      const double *mean, const double *invstd, const double *sums,
                                      const double *products, double total, bint adds, bint relu,
                                      bint training, bint streams) noexcept nogil:
    """dx, and the gradient of what was added, where it is not dy."""
    cdef real center[PANEL]
    cdef real scale[PANEL]
    cdef real shift[PANEL]
    cdef real mean_dy[PANEL]
    cdef real factor[PANEL]
    cdef real tile[TILE]
    cdef real masked[TILE]
    cdef real memory[LINE + HELD + TILE]    # pieces are shorter than a tile where that is no whole number of rows
    cdef real *held = memory + LINE
    cdef real *result
    cdef const real *slope
    cdef Run run
    cdef int64_t first = 0, width, times, i, at, k, j, size, count
    while first < columns:
        width = min(<int64_t> PANEL, columns - first)
        times = lines(columns)
        load_affine(mean + first, invstd + first, gamma + first, beta + first, width, center, scale, shift)
        load_slopes(mean + first, invstd + first, sums + first, products + first, total, training, width, mean_dy, factor)
        repeat(center, width, times)
        repeat(scale, width, times)
        repeat(shift, width, times)
        repeat(mean_dy, width, times)
        repeat(factor, width, times)
        i = start
        begin_run(&run, start * columns, stop * columns)
        while i < stop:
            at = i * columns + first
            size = min(times, stop - i) * width
            if width < columns:     # a part of a row
                begin_run(&run, at, at + size)
            for k in range(0, size, 256):
                count = min(<int64_t> TILE, size - k)
                slope = dy + at + k
                if relu:
                    mask_row(slope, x + at + k, added + (at + k if adds else 0), masked, count, center + k, scale + k,
                             shift + k, adds)
                    slope = masked
                for j in range(count if training else 0):
                    tile[j] = direction(slope[j], x[at + k + j] - center[k + j], mean_dy[k + j], factor[k + j])
                for j in range(0 if training else count):
                    tile[j] = slope[j] - mean_dy[k + j]
                result = held + (at + k - run.begin) if streams else dx + (at + k)
                for j in range(count):
                    result[j] = scale[k + j] * tile[j]
                if streams:
                    stream_held(dx, held, &run, at + k + count)
                if adds and relu:
                    for j in range(count):
                        dadded[at + k + j] = masked[j]
            i += times
        first += width
