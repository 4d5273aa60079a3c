# What layer_* and rms_* kernels do with a row, and group_* kernels with the planes of one: statistics across the row
# itself. A row stays in L1 or L2 between its passes, and each of them fetches a share of what comes AHEAD, so that memory
# is busy all the time. Results go through a tile on the stack, or around the cache, see planes.pxd.
from libc.math cimport sqrt
from libc.stdint cimport int64_t

from kernels.normalization.elements cimport clear, correction, direction, residual, standardized
from kernels.normalization.planes cimport (
    BLOCK, HELD, LINE, TILE, Run, add_deviations, begin_run, fetch, fetch_share, stream_held, sum_of,
)
from kernels.normalization.rows cimport ROWS
from kernels.runtime.abi cimport inlined_void, real
from kernels.runtime.lanes cimport LANES, folded

cdef enum:
    AHEAD = 8192        # elements from what is worked on to what is fetched


cdef inline int64_t rows_in_cache(int64_t columns) noexcept nogil:
    """Return how many rows take each step together: their sums and roots need not wait for one another."""
    return min(<int64_t> 16, max(<int64_t> 1, 4096 // columns))


cdef inline const real *ahead_of(const real *x, int64_t columns, int part, int parts, bint fetches) noexcept nogil:
    """Return where the share begins that one of some passes over a row fetches; NULL: it fetches none."""
    return x + (AHEAD + part * columns // parts) if fetches else NULL


cdef inline inlined_void statistics(const real *x, int64_t columns, int64_t rows, double eps, bint fetches,
                                    double *mean, double *invstd) noexcept nogil:
    """Of each row: the mean, then variance and what is left of the mean from deviations about it."""
    cdef const real *row
    cdef real lanes[LANES]
    cdef real squares[LANES]
    cdef double total, square, delta, spread
    cdef real center
    cdef int64_t r
    clear(lanes, LANES)
    clear(squares, LANES)
    for r in range(rows):
        row = x + r * columns
        mean[r] = sum_of(row, ahead_of(row, columns, 0, 3, fetches), 3, columns) / <double> columns
    for r in range(rows):
        row = x + r * columns
        center = <real> mean[r]
        total = square = 0
        add_deviations(row, ahead_of(row, columns, 1, 3, fetches), 3, columns, center, True, lanes, squares,
                       &total, &square)
        delta = total / <double> columns
        if delta - delta == 0:
            mean[r] = center + delta
        spread = (square - total * delta) / <double> columns
        invstd[r] = 0 if spread < 0 else spread
    for r in range(rows):
        invstd[r] = 1 / sqrt(invstd[r] + eps)


cdef inline double square_sum(const real *x, const real *ahead, int64_t count) noexcept nogil:
    cdef real square[LANES]
    cdef double total = 0
    cdef int64_t k = 0, last
    cdef int j
    while k < count:
        last = min(k + BLOCK, count)
        for j in range(LANES):
            square[j] = 0
        while k + LANES <= last:
            fetch_share(ahead, k, 2)
            for j in range(LANES):
                square[j] = square[j] + x[k + j] * x[k + j]
            k += LANES
        for j in range(<int> (last - k)):
            square[j] = square[j] + x[k + j] * x[k + j]
        total += folded(square)
        k = last
    return total


cdef inline inlined_void normalize_row(const real *x, real *y, real *held, Run *run, int64_t at, int64_t columns,
                                       double mean, double invstd, const real *gamma, const real *beta, bint fetches,
                                       bint streams) noexcept nogil:
    cdef const real *row = x + at
    cdef const real *ahead = ahead_of(row, columns, 2, 3, fetches)
    cdef real *result
    cdef real tile[TILE]
    cdef real center = <real> mean
    cdef real rest = <real> residual(mean, center)
    cdef real inv = <real> invstd
    cdef int64_t k = 0, j, width
    while k < columns:
        width = min(<int64_t> TILE, columns - k)
        for j in range(width):
            tile[j] = standardized(row[k + j], center, rest, inv) * gamma[k + j]
        fetch(ahead + k // 3, width * <int64_t> sizeof(real) // 3 if ahead else 0)
        result = held + (at + k - run.begin) if streams else y + (at + k)
        for j in range(width):
            result[j] = tile[j] + beta[k + j]
        k += width
        if streams:
            stream_held(y, held, run, at + k)


cdef inline inlined_void leave_row(const real *x, real *y, real *held, Run *run, int64_t at, int64_t columns,
                                   bint streams) noexcept nogil:
    """y = x: a row whose squares the type can't hold, or that holds NaN or Inf. It is done again, in double precision."""
    cdef real *result
    cdef int64_t k = 0, j, width
    while k < columns:
        width = min(<int64_t> TILE, columns - k)
        result = held + (at + k - run.begin) if streams else y + (at + k)
        for j in range(width):
            result[j] = x[at + k + j]
        k += width
        if streams:
            stream_held(y, held, run, at + k)


cdef inline inlined_void scale_row(const real *x, real *y, real *held, Run *run, int64_t at, int64_t columns,
                                   double invrms, const real *gamma, bint fetches, bint streams) noexcept nogil:
    cdef const real *row = x + at
    cdef const real *ahead = ahead_of(row, columns, 1, 2, fetches)
    cdef real *result
    cdef real tile[TILE]
    cdef real inv = <real> invrms
    cdef int64_t k = 0, j, width
    while k < columns:
        width = min(<int64_t> TILE, columns - k)
        for j in range(width):
            tile[j] = row[k + j] * inv
        fetch(ahead + k // 2, width * <int64_t> sizeof(real) // 2 if ahead else 0)
        result = held + (at + k - run.begin) if streams else y + (at + k)
        for j in range(width):
            result[j] = tile[j] * gamma[k + j]
        k += width
        if streams:
            stream_held(y, held, run, at + k)


cdef inline inlined_void add_weighted(const real *dy, const real *x, const real *gamma, bint fetches, int64_t count,
                                      real center, real inv, double *total, double *total_product) noexcept nogil:
    """Add gamma dy and gamma dy (x − center) inv."""
    cdef real lane[LANES]
    cdef real product[LANES]
    cdef real d
    cdef int64_t k = 0, last
    cdef int j
    while k < count:
        last = min(k + BLOCK, count)
        for j in range(LANES):
            lane[j] = 0
            product[j] = 0
        while k + LANES <= last:
            fetch(x + AHEAD + k, LANES * <int64_t> sizeof(real) if fetches else 0)
            for j in range(LANES):
                d = dy[k + j] * gamma[k + j]
                lane[j] = lane[j] + d
                product[j] = product[j] + d * ((x[k + j] - center) * inv)
            k += LANES
        for j in range(<int> (last - k)):
            d = dy[k + j] * gamma[k + j]
            lane[j] = lane[j] + d
            product[j] = product[j] + d * ((x[k + j] - center) * inv)
        total[0] += folded(lane)
        total_product[0] += folded(product)
        k = last


cdef inline inlined_void finish_row(const real *dy, const real *x, real *dx, real *held, Run *run, int64_t at,
                                    int64_t columns, const real *gamma, real center, real rest, real inv,
                                    real mean_slope, real mean_product, bint centered, bint fetches, bint streams,
                                    real *sums, real *products) noexcept nogil:
    """dx = invstd (gamma dy − mean(gamma dy) − x̂ mean(gamma dy x̂)); dy and dy x̂ are added to each column's sums."""
    cdef const real *slope = dy + at
    cdef const real *row = x + at
    cdef real *result
    cdef real tile[TILE]
    cdef real xhat, d
    cdef int64_t k = 0, j, width
    while k < columns:
        width = min(<int64_t> TILE, columns - k)
        for j in range(width):
            xhat = standardized(row[k + j], center, rest, inv)
            d = slope[k + j]
            tile[j] = direction(d * gamma[k + j], xhat, mean_slope, mean_product)
            if centered:
                sums[k + j] = sums[k + j] + d
            products[k + j] = products[k + j] + d * xhat
        fetch(slope + AHEAD + k, width * <int64_t> sizeof(real) if fetches else 0)
        result = held + (at + k - run.begin) if streams else dx + (at + k)
        for j in range(width):
            result[j] = inv * tile[j]
        k += width
        if streams:
            stream_held(dx, held, run, at + k)


cdef inline inlined_void gradient_rows(const real *dy, const real *x, const real *gamma, const double *mean,
                                       const double *invstd, real *dx, int64_t columns, int64_t start, int64_t stop,
                                       bint centered, bint fetches, bint streams, real *sums, real *products,
                                       double *all_sums, double *all_products) noexcept nogil:
    """Row by row: what it needs as a whole, then dx and the columns' sums.

    Not centered: the mean is taken for 0 and isn't differentiated (RMS norm); there are no sums of dy then.
    """
    cdef real memory[LINE + HELD + TILE]    # pieces are shorter than a tile where a row ends
    cdef double slope, slope_product
    cdef real center, rest, inv
    cdef Run run
    cdef int64_t first, i, c, last
    begin_run(&run, start * columns, stop * columns)
    for first in range(start, stop, 32):
        last = min(first + ROWS, stop)
        for c in range(columns):
            products[c] = 0
        for c in range(columns if centered else 0):
            sums[c] = 0
        for i in range(first, last):
            center = <real> mean[i] if centered else 0
            rest = <real> residual(mean[i], center) if centered else 0
            inv = <real> invstd[i]
            slope = slope_product = 0
            add_weighted(dy + i * columns, x + i * columns, gamma, fetches, columns, center, inv, &slope, &slope_product)
            if centered:
                slope_product = slope_product - correction(mean[i], center, invstd[i] * slope)
            finish_row(dy, x, dx, memory + LINE, &run, i * columns, columns, gamma, center, rest, inv,
                       <real> (slope / <double> columns) if centered else 0, <real> (slope_product / <double> columns),
                       centered, fetches, streams, sums, products)
        for c in range(columns):
            all_products[c] = all_products[c] + products[c]
        for c in range(columns if centered else 0):
            all_sums[c] = all_sums[c] + sums[c]


cdef inline inlined_void gradient_piece(const real *dy, const real *x, real *dx, int64_t count, real center, real rest,
                                        real inv, real weight, real mean_slope, real mean_product) noexcept nogil:
    """dx of a plane of one channel, whose sums are made already."""
    cdef real tile[TILE]
    cdef int64_t k = 0, j, width
    while k < count:
        width = min(<int64_t> TILE, count - k)
        for j in range(width):
            tile[j] = direction(
                dy[k + j] * weight, standardized(x[k + j], center, rest, inv), mean_slope, mean_product)
        for j in range(width):
            dx[k + j] = inv * tile[j]
        k += width
