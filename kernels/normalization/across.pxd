# What layer_* and rms_* kernels do with a row, and group_* kernels with the planes of one: statistics across the row
# itself. A row stays in L1 or L2 between its passes. Results go through a tile on the stack, see planes.pxd.
from libc.math cimport sqrt
from libc.stdint cimport int64_t

from kernels.normalization.elements cimport correction, direction, residual, standardized
from kernels.normalization.planes cimport LANES, add_deviations, fetch, fold, sum_of
from kernels.runtime.abi cimport inlined_void, real

cdef enum:
    BLOCK = 1024        # elements that lanes sum in the kernel's type, before the sums go on in double precision
    AT_ONCE = 2         # rows whose gradients of gamma and beta are summed in the kernel's type: L1 holds them
    TILE = 256


cdef inline int64_t rows_in_cache(int64_t columns) noexcept nogil:
    """Return how many rows take each step together: their sums and roots need not wait for one another."""
    return min(<int64_t> 16, max(<int64_t> 1, 4096 // columns))


cdef inline inlined_void statistics(const real *x, int64_t count, int64_t rows, double eps, bint fetches,
                                    double *mean, double *invstd) noexcept nogil:
    """Of each row: the mean, then variance and what is left of the mean from deviations about it."""
    cdef const real *ahead = x + rows * count
    cdef double total, square, delta, spread
    cdef real center
    cdef int64_t r
    for r in range(rows):
        mean[r] = sum_of(x + r * count, count) / <double> count
    for r in range(rows):
        center = <real> mean[r]
        total = square = 0
        add_deviations(x + r * count, ahead + r * count if fetches else NULL, count, center, &total, &square)
        delta = total / <double> count
        if delta - delta == 0:
            mean[r] = center + delta
        spread = (square - total * delta) / <double> count
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
            fetch(ahead + k, LANES * <int64_t> sizeof(real) if ahead else 0)
            for j in range(LANES):
                square[j] = square[j] + x[k + j] * x[k + j]
            k += LANES
        for j in range(<int> (last - k)):
            square[j] = square[j] + x[k + j] * x[k + j]
        total += fold(square)
        k = last
    return total


cdef inline inlined_void normalize_row(const real *x, real *y, int64_t count, double mean, double invstd,
                                       const real *gamma, const real *beta) noexcept nogil:
    cdef real tile[TILE]
    cdef real center = <real> mean
    cdef real rest = <real> residual(mean, center)
    cdef real inv = <real> invstd
    cdef int64_t k = 0, j, width
    while k < count:
        width = min(<int64_t> TILE, count - k)
        for j in range(width):
            tile[j] = standardized(x[k + j], center, rest, inv) * gamma[k + j]
        for j in range(width):
            y[k + j] = tile[j] + beta[k + j]
        k += width


cdef inline inlined_void scale_row(const real *x, real *y, int64_t count, double invrms, const real *gamma) noexcept nogil:
    cdef real tile[TILE]
    cdef real inv = <real> invrms
    cdef int64_t k = 0, j, width
    while k < count:
        width = min(<int64_t> TILE, count - k)
        for j in range(width):
            tile[j] = x[k + j] * inv
        for j in range(width):
            y[k + j] = tile[j] * gamma[k + j]
        k += width


cdef inline inlined_void add_weighted(const real *dy, const real *x, const real *gamma, int64_t ahead, int64_t count,
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
            fetch(x + ahead + k, LANES * <int64_t> sizeof(real) if ahead else 0)
            for j in range(LANES):
                d = dy[k + j] * gamma[k + j]
                lane[j] = lane[j] + d
                product[j] = product[j] + d * ((x[k + j] - center) * inv)
            k += LANES
        for j in range(<int> (last - k)):
            d = dy[k + j] * gamma[k + j]
            lane[j] = lane[j] + d
            product[j] = product[j] + d * ((x[k + j] - center) * inv)
        total[0] += fold(lane)
        total_product[0] += fold(product)
        k = last


cdef inline inlined_void finish_rows(const real *dy, const real *x, real *dx, const real *gamma, int64_t ahead,
                                     int64_t columns, const real *center, const real *rest, const real *inv,
                                     const real *mean_slope, const real *mean_product, double *sums, double *products,
                                     bint centered, int rows) noexcept nogil:
    """dx = invstd (gamma dy − mean(gamma dy) − x̂ mean(gamma dy x̂)); dy and dy x̂ are added to each column's sums."""
    cdef real tile[AT_ONCE * TILE]
    cdef real xhat, d, s, q, weight
    cdef int64_t k = 0, j, width
    cdef int r
    while k < columns:
        width = min(<int64_t> TILE, columns - k)
        for j in range(width):
            s = q = 0
            weight = gamma[k + j]
            for r in range(rows):
                xhat = standardized(x[r * columns + k + j], center[r], rest[r], inv[r])
                d = dy[r * columns + k + j]
                s = s + d
                q = q + d * xhat
                tile[r * TILE + j] = direction(d * weight, xhat, mean_slope[r], mean_product[r])
            if centered:
                sums[k + j] = sums[k + j] + s
            products[k + j] = products[k + j] + q
        for r in range(rows):
            fetch(dy + ahead + r * columns + k, width * <int64_t> sizeof(real) if ahead else 0)
            for j in range(width):
                dx[r * columns + k + j] = inv[r] * tile[r * TILE + j]
        k += width


cdef inline inlined_void gradient_rows(const real *dy, const real *x, const real *gamma, const double *mean,
                                       const double *invstd, real *dx, int64_t columns, int64_t start, int64_t stop,
                                       bint centered, bint fetches, double *sums, double *products) noexcept nogil:
    """A few rows at a time, in L1: what each needs as a whole, then dx and the columns' sums.

    Not centered: the mean is taken for 0 and isn't differentiated (RMS norm); there are no sums of dy then.
    """
    cdef double slope, slope_product
    cdef real center[AT_ONCE]
    cdef real rest[AT_ONCE]
    cdef real inv[AT_ONCE]
    cdef real mean_slope[AT_ONCE]
    cdef real mean_product[AT_ONCE]
    cdef int64_t i = start, at, ahead = AT_ONCE * columns if fetches else 0
    cdef int r, rows
    while i < stop:
        rows = <int> min(<int64_t> AT_ONCE, stop - i)
        for r in range(rows):
            at = (i + r) * columns
            center[r] = <real> mean[i + r] if centered else 0
            rest[r] = <real> residual(mean[i + r], center[r]) if centered else 0
            inv[r] = <real> invstd[i + r]
            slope = slope_product = 0
            add_weighted(dy + at, x + at, gamma, ahead, columns, center[r], inv[r], &slope, &slope_product)
            if centered:
                slope_product = slope_product - correction(mean[i + r], center[r], invstd[i + r] * slope)
            mean_slope[r] = <real> (slope / <double> columns) if centered else 0
            mean_product[r] = <real> (slope_product / <double> columns)
        at = i * columns
        if rows == AT_ONCE:     # a number that the compiler knows: the loop over rows is unrolled, and vectorises
            finish_rows(dy + at, x + at, dx + at, gamma, ahead, columns, center, rest, inv, mean_slope, mean_product,
                        sums, products, centered, AT_ONCE)
        else:
            finish_rows(dy + at, x + at, dx + at, gamma, ahead, columns, center, rest, inv, mean_slope, mean_product,
                        sums, products, centered, rows)
        i += rows


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
