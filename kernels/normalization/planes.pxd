# What channel_* kernels do with a plane: elements of one channel, side by side in memory.
#
# Results go through a tile on the stack: the compiler need not ask whether y is x, or dx is dy, before it vectorises. A
# tile that is merely copied would be a `rep movs`, slower than all the rest; so the last operation is left for the copy.
from libc.stdint cimport int64_t

from kernels.normalization.elements cimport direction, passed, residual, standardized
from kernels.runtime.abi cimport inlined_void, real

cdef enum:
    LANES = 32          # sums run side by side in the kernel's type ...
    BLOCK = 1024        # ... over at most this many elements, then go on in double precision
    TILE = 256          # results on the stack


cdef inline double fold(double *sums) noexcept nogil:
    cdef int width = LANES // 2, j
    while width:
        for j in range(width):
            sums[j] = sums[j] + sums[width + j]
        width //= 2
    return sums[0]


cdef inline inlined_void add_deviations(const real *x, int64_t count, real center, double *sums,
                                        double *squares) noexcept nogil:
    """Add deviations from the center, and their squares, to 32 sums each."""
    cdef real lane[LANES]
    cdef real square[LANES]
    cdef real d
    cdef int64_t k = 0, last
    cdef int j
    while k < count:
        last = min(k + BLOCK, count)
        for j in range(LANES):
            lane[j] = 0
            square[j] = 0
        while k + LANES <= last:
            for j in range(LANES):
                d = x[k + j] - center
                lane[j] = lane[j] + d
                square[j] = square[j] + d * d
            k += LANES
        for j in range(<int> (last - k)):
            d = x[k + j] - center
            lane[j] = lane[j] + d
            square[j] = square[j] + d * d
        for j in range(LANES):
            sums[j] = sums[j] + lane[j]
            squares[j] = squares[j] + square[j]
        k = last


cdef inline inlined_void add_gradients(const real *dy, const real *x, int64_t count, real center, real rest, real inv,
                                       real weight, real bias, bint relu, double *sums,
                                       double *products) noexcept nogil:
    """Add dy, as ReLU lets it through, and dy x̂ to 32 sums each."""
    cdef real lane[LANES]
    cdef real product[LANES]
    cdef real xhat, d
    cdef int64_t k = 0, last
    cdef int j
    while k < count:
        last = min(k + BLOCK, count)
        for j in range(LANES):
            lane[j] = 0
            product[j] = 0
        while k + LANES <= last:
            for j in range(LANES):
                xhat = standardized(x[k + j], center, rest, inv)
                d = passed(dy[k + j], xhat * weight + bias, relu)
                lane[j] = lane[j] + d
                product[j] = product[j] + d * xhat
            k += LANES
        for j in range(<int> (last - k)):
            xhat = standardized(x[k + j], center, rest, inv)
            d = passed(dy[k + j], xhat * weight + bias, relu)
            lane[j] = lane[j] + d
            product[j] = product[j] + d * xhat
        for j in range(LANES):
            sums[j] = sums[j] + lane[j]
            products[j] = products[j] + product[j]
        k = last


cdef inline inlined_void normalize_plane(const real *x, real *y, int64_t count, double mean, double invstd, real weight,
                                         real bias, bint relu) noexcept nogil:
    cdef real tile[TILE]
    cdef real center = <real> mean
    cdef real rest = <real> residual(mean, center)
    cdef real inv = <real> invstd
    cdef real z
    cdef int64_t k = 0, j, width
    while k < count:
        width = min(<int64_t> TILE, count - k)
        for j in range(width):
            tile[j] = standardized(x[k + j], center, rest, inv) * weight
        for j in range(width):
            z = tile[j] + bias
            y[k + j] = passed(z, z, relu)
        k += width


cdef inline inlined_void gradient_plane(const real *dy, const real *x, real *dx, int64_t count, real center, real rest,
                                        real inv, real weight, real bias, bint relu, bint training, real mean_dy,
                                        real mean_product) noexcept nogil:
    """dx = gamma invstd (dy − mean(dy) − x̂ mean(dy x̂)), or gamma invstd dy where the statistics were constants."""
    cdef real tile[TILE]
    cdef real scale = weight * inv
    cdef real xhat, d
    cdef int64_t k = 0, j, width
    while k < count:
        width = min(<int64_t> TILE, count - k)
        for j in range(width):
            xhat = standardized(x[k + j], center, rest, inv)
            d = passed(dy[k + j], xhat * weight + bias, relu)
            tile[j] = direction(d, xhat, mean_dy, mean_product) if training else d
        for j in range(width):
            dx[k + j] = scale * tile[j]
        k += width
