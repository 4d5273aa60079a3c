# What layer_* and rms_* kernels do with a row, and group_* kernels with the planes of one: statistics across the row
# itself. A row stays in L1 or L2 between its passes. Results go through a tile on the stack, see planes.pxd.
from libc.math cimport sqrt
from libc.stdint cimport int64_t

from kernels.normalization.elements cimport clear, direction, residual, standardized
from kernels.normalization.planes cimport LANES, add_deviations, fold
from kernels.runtime.abi cimport inlined_void, real

cdef enum:
    BLOCK = 1024        # elements that lanes sum in the kernel's type, before the sums go on in double precision
    AT_ONCE = 16        # rows whose gradients of gamma and beta are summed in the kernel's type
    PANEL = 1024        # columns whose sums are in L1 while those rows go by
    TILE = 256


cdef inline inlined_void statistics(const real *x, int64_t count, double eps, double *mean, double *invstd) noexcept nogil:
    """The mean, then variance and what is left of the mean from deviations about it."""
    cdef double sums[LANES]
    cdef double squares[LANES]
    cdef double total, delta, spread
    cdef real center
    clear(sums, LANES)
    add_deviations(x, count, <real> 0, sums, squares)
    mean[0] = fold(sums) / <double> count
    center = <real> mean[0]
    clear(sums, LANES)
    clear(squares, LANES)
    add_deviations(x, count, center, sums, squares)
    total = fold(sums)
    delta = total / <double> count
    if delta - delta == 0:
        mean[0] = center + delta
    spread = (fold(squares) - total * delta) / <double> count
    invstd[0] = 1 / sqrt((0 if spread < 0 else spread) + eps)


cdef inline double inverse_rms(const real *x, int64_t count, double eps) noexcept nogil:
    cdef double sums[LANES]
    cdef double squares[LANES]
    clear(sums, LANES)
    clear(squares, LANES)
    add_deviations(x, count, <real> 0, sums, squares)
    return 1 / sqrt(fold(squares) / <double> count + eps)


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


cdef inline inlined_void add_weighted(const real *dy, const real *x, const real *gamma, int64_t count, real center,
                                      real rest, real inv, double *sums, double *products) noexcept nogil:
    """Add gamma dy and gamma dy x̂ to 32 sums each."""
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
            for j in range(LANES):
                d = dy[k + j] * gamma[k + j]
                lane[j] = lane[j] + d
                product[j] = product[j] + d * standardized(x[k + j], center, rest, inv)
            k += LANES
        for j in range(<int> (last - k)):
            d = dy[k + j] * gamma[k + j]
            lane[j] = lane[j] + d
            product[j] = product[j] + d * standardized(x[k + j], center, rest, inv)
        for j in range(LANES):
            sums[j] = sums[j] + lane[j]
            products[j] = products[j] + product[j]
        k = last


cdef inline inlined_void finish_rows(const real *dy, const real *x, real *dx, const real *gamma, int64_t columns,
                                     int64_t count, const real *center, const real *rest, const real *inv,
                                     const real *mean_slope, const real *mean_product, real *lane, real *product,
                                     int rows) noexcept nogil:
    """dx = invstd (gamma dy − mean(gamma dy) − x̂ mean(gamma dy x̂)); dy and dy x̂ are added to each column's sums.

    Up to four rows side by side, so that a column's sums are loaded and stored once for four elements.
    """
    cdef real tile[4 * TILE]
    cdef real xhat, d, s, q, weight
    cdef int64_t k = 0, j, width
    cdef int r
    while k < count:
        width = min(<int64_t> TILE, count - k)
        for j in range(width):
            s = lane[k + j]
            q = product[k + j]
            weight = gamma[k + j]
            for r in range(rows):
                xhat = standardized(x[r * columns + k + j], center[r], rest[r], inv[r])
                d = dy[r * columns + k + j]
                s = s + d
                q = q + d * xhat
                tile[r * TILE + j] = direction(d * weight, xhat, mean_slope[r], mean_product[r])
            lane[k + j] = s
            product[k + j] = q
        for r in range(rows):
            for j in range(width):
                dx[r * columns + k + j] = inv[r] * tile[r * TILE + j]
        k += width


cdef inline inlined_void gradient_rows(const real *dy, const real *x, const real *gamma, const double *mean,
                                       const double *invstd, real *dx, int64_t columns, int64_t start, int64_t stop,
                                       bint centered, double *sums, double *products) noexcept nogil:
    """Some rows at a time: what each needs as a whole, then dx and the columns' sums, panel by panel.

    Not centered: the mean is taken for 0 and isn't differentiated (RMS norm); there are no sums of dy then.
    """
    cdef double row_sums[LANES]
    cdef double row_products[LANES]
    cdef real center[AT_ONCE]
    cdef real rest[AT_ONCE]
    cdef real inv[AT_ONCE]
    cdef real mean_slope[AT_ONCE]
    cdef real mean_product[AT_ONCE]
    cdef real lane[PANEL]
    cdef real product[PANEL]
    cdef int64_t i = start, at, first, width, c
    cdef int r, rows
    while i < stop:
        rows = <int> min(<int64_t> AT_ONCE, stop - i)
        for r in range(rows):
            at = (i + r) * columns
            center[r] = <real> mean[i + r] if centered else 0
            rest[r] = <real> residual(mean[i + r], center[r]) if centered else 0
            inv[r] = <real> invstd[i + r]
            clear(row_sums, LANES)
            clear(row_products, LANES)
            add_weighted(dy + at, x + at, gamma, columns, center[r], rest[r], inv[r], row_sums, row_products)
            mean_slope[r] = <real> (fold(row_sums) / <double> columns) if centered else 0
            mean_product[r] = <real> (fold(row_products) / <double> columns)
        first = 0
        while first < columns:
            width = min(<int64_t> PANEL, columns - first)
            for c in range(width):
                lane[c] = 0
                product[c] = 0
            r = 0
            while r + 4 <= rows:
                at = (i + r) * columns + first
                finish_rows(dy + at, x + at, dx + at, gamma + first, columns, width, center + r, rest + r, inv + r,
                            mean_slope + r, mean_product + r, lane, product, 4)
                r += 4
            while r < rows:
                at = (i + r) * columns + first
                finish_rows(dy + at, x + at, dx + at, gamma + first, columns, width, center + r, rest + r, inv + r,
                            mean_slope + r, mean_product + r, lane, product, 1)
                r += 1
            if centered:
                for c in range(width):
                    sums[first + c] = sums[first + c] + lane[c]
            for c in range(width):
                products[first + c] = products[first + c] + product[c]
            first += width
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
