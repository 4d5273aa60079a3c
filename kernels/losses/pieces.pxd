"""What the loss kernels are made of where that is more than a line. All inline: a kernel's clones hold them.

Rows of at least 32 elements are summed in 32 lanes inside the row. Shorter ones are taken 32 at a time, transposed into
a tile, so that a lane is a row: a loop over a short row does not vectorise. exp and log stand in loops of their own,
without a sum: those vectorise everywhere.
"""
from libc.math cimport INFINITY, copysign, copysignf, fabs, fabsf, frexp, ldexp
from libc.stdint cimport int64_t

from kernels.runtime.abi cimport real
from kernels.runtime.lanes cimport folded

cdef extern from "simd.h" nogil:
    float exp_float(float)
    float exp_nonpositive_float(float)
    float log_float(float)
    float log1p_float(float)
    float artanh_float(float)
    double exp_double(double)
    double exp_nonpositive_double(double)
    double log_double(double)
    double log1p_double(double)
    double artanh_double(double)

cdef extern from "fetch.h" nogil:
    void fetch(const void *, int64_t size) noexcept
    void fetch_near(const void *, int64_t size) noexcept

cdef enum:
    SHORT = 32      # rows below this length go 32 at a time
    FETCHED = 1 << 18   # bytes of a row: L2 holds it, its results, and the next one
    CHUNK = 1024    # elements that are summed in the kernel's type before double takes over; size of a tile
    PART = 128      # elements of a loop over single ones between two requests for memory ...
    WIDTH = 64      # samples that pass together where their classes lie a plane apart
    AHEAD = 1024    # ... that will be needed so many elements later


cdef inline void fetch_ahead(const real *x, const real *also) noexcept nogil:
    """Ask for PART elements of one array or two that will be needed soon: hardware stops at the end of a page."""
    fetch_near(x + AHEAD, PART * <int64_t> sizeof(real))
    fetch_near(also + AHEAD, PART * <int64_t> sizeof(real) if also != NULL else 0)


cdef inline real size_of(real x) noexcept nogil:
    if real is float:
        return fabsf(x)
    else:
        return fabs(x)


cdef inline real minus_size_of(real x) noexcept nogil:
    """-|x|, in one operation."""
    if real is float:
        return copysignf(x, -1)
    else:
        return copysign(x, -1)


cdef inline real exp_of(real x) noexcept nogil:
    if real is float:
        return exp_float(x)
    else:
        return exp_double(x)


cdef inline real exp_nonpositive(real x) noexcept nogil:
    if real is float:
        return exp_nonpositive_float(x)
    else:
        return exp_nonpositive_double(x)


cdef inline real log_of(real x) noexcept nogil:
    if real is float:
        return log_float(x)
    else:
        return log_double(x)


cdef inline real log1p_of(real x) noexcept nogil:
    if real is float:
        return log1p_float(x)
    else:
        return log1p_double(x)


cdef inline real artanh_of(real x) noexcept nogil:
    if real is float:
        return artanh_float(x)
    else:
        return artanh_double(x)


# ---- sums and tiles

cdef inline double lane_sum(const real *x, int64_t size) noexcept nogil:
    """Return the sum of x[:size]: for each chunk in 32 lanes, folded in halves."""
    cdef real lanes[32]
    cdef int64_t first, last, i, l
    cdef double total = 0
    for first in range(0, size, 1024):
        last = min(first + CHUNK, size)
        for l in range(32):
            lanes[l] = 0
        for i in range(first, last - 31, 32):
            for l in range(32):
                lanes[l] += x[i + l]
        i = last - (last - first) % 32
        for l in range(last - i):
            lanes[l] += x[i + l]
        total += folded(lanes)
    return total


cdef inline double row_sum(const real *row, int64_t columns) noexcept nogil:
    """Return the sum of a row: of a short one in order."""
    cdef real total = 0
    cdef int64_t c
    if columns >= SHORT:
        return lane_sum(row, columns)
    for c in range(columns):
        total += row[c]
    return total


cdef inline double product_sum(const real *a, const real *b, real *products, int64_t columns) noexcept nogil:
    """Return the sum of a b, through a chunk of memory for the products."""
    cdef int64_t first, size, c
    cdef double total = 0
    for first in range(0, columns, 1024):
        size = min(<int64_t> CHUNK, columns - first)
        for c in range(size):
            products[c] = a[first + c] * b[first + c]
        total += row_sum(products, size)
    return total


cdef inline double scaled_product_sum(const real *a, const real *b, real of_a, real of_b, real *products,
                                      int64_t columns) noexcept nogil:
    """Return the sum of (of_a a) (of_b b), through a chunk of memory for the products."""
    cdef int64_t first, size, c
    cdef double total = 0
    for first in range(0, columns, 1024):
        size = min(<int64_t> CHUNK, columns - first)
        for c in range(size):
            products[c] = (of_a * a[first + c]) * (of_b * b[first + c])
        total += row_sum(products, size)
    return total


cdef inline void fold(real *lanes, double *totals) noexcept nogil:
    """Add up 32 lanes of each of 64 sums in halves, and add them to the totals; the lanes are 0 then."""
    cdef int64_t width = 16, k
    while width > 0:
        for k in range(width * WIDTH):
            lanes[k] += lanes[width * WIDTH + k]
        width = width // 2
    for k in range(WIDTH):
        totals[k] += lanes[k]
    for k in range(32 * WIDTH):
        lanes[k] = 0


cdef inline real power_below(const real *row, int64_t columns) noexcept nogil:
    """Return a power of two that brings the row's largest size to 1 to 4; 1 for a row that is 0, or holds NaN or Inf."""
    cdef real largest = 0
    cdef int exponent = 0
    cdef int64_t c
    for c in range(columns):
        if not size_of(row[c]) < INFINITY:
            return 1
        largest = size_of(row[c]) if size_of(row[c]) > largest else largest
    frexp(<double> largest, &exponent)      # largest = 0.5 to 1 times 2^exponent
    return <real> ldexp(1, 2 - exponent) if largest > 1 else <real> 1


cdef inline real row_max(const real *row, int64_t columns) noexcept nogil:
    """Return the largest element of a long row; NaN is passed over, or comes out."""
    cdef real lanes[32]
    cdef real x
    cdef int64_t c, l
    for l in range(32):
        lanes[l] = row[l]
    for c in range(32, columns - 31, 32):
        for l in range(32):
            x = row[c + l]
            lanes[l] = x if x > lanes[l] else lanes[l]
    c = columns - columns % 32
    for l in range(columns - c):
        x = row[c + l]
        lanes[l] = x if x > lanes[l] else lanes[l]
    for l in range(16):
        lanes[l] = lanes[l + 16] if lanes[l + 16] > lanes[l] else lanes[l]
    for l in range(8):
        lanes[l] = lanes[l + 8] if lanes[l + 8] > lanes[l] else lanes[l]
    for l in range(1, 8):
        lanes[0] = lanes[l] if lanes[l] > lanes[0] else lanes[0]
    return lanes[0]


cdef inline void load_tile(real *tile, const real *rows, int64_t columns, int64_t count, real keep,
                           real shift) noexcept nogil:
    """Transpose `count` rows, times keep, plus shift, into a tile; the last one stands for those that are missing."""
    cdef int64_t l, c
    cdef const real *row
    for l in range(32):
        row = rows + min(l, count - 1) * columns
        for c in range(columns):
            tile[32 * c + l] = row[c]
    for c in range(32 * columns):
        tile[c] = keep * tile[c] + shift


cdef inline void one_hot_tile(real *tile, const int64_t *labels, int64_t columns, int64_t count,
                              int64_t ignore_class, real keep, real shift) noexcept nogil:
    """Fill a tile with what the labels stand for, smoothed: shift, and keep more at the label."""
    cdef int64_t l, c
    for c in range(32 * columns):
        tile[c] = shift
    for l in range(count):
        if labels[l] != ignore_class:
            tile[32 * labels[l] + l] = keep + shift


cdef inline void store_tile(real *rows, const real *tile, int64_t columns, int64_t count) noexcept nogil:
    cdef int64_t l, c
    for l in range(count):
        for c in range(columns):
            rows[l * columns + c] = tile[32 * c + l]


# ---- softmax. Logits that equal their row's maximum lie 0 below it, even when both are infinite.

cdef inline real below(real x, real top) noexcept nogil:
    cdef real difference = x - top
    return 0 if x == top else difference


cdef inline real exponentials(const real *row, real *out, int64_t columns, real top) noexcept nogil:
    """Write exp(row - top) and return its sum; the row behind this one is fetched meanwhile."""
    cdef int64_t first, last, begin, end, c
    cdef double mass = 0
    cdef bint finite = top - top == 0
    cdef bint fetches = columns * <int64_t> sizeof(real) <= FETCHED
    for first in range(0, columns, 1024):
        last = min(first + CHUNK, columns)
        for begin in range(first, last, 256):
            end = min(begin + 256, last)
            if fetches:
                fetch(row + columns + begin, (end - begin) * <int64_t> sizeof(real))
            for c in range(begin, end if finite else begin):
                out[c] = exp_nonpositive(row[c] - top)
            for c in range(end if finite else begin, end):
                out[c] = exp_nonpositive(below(row[c], top))
        mass += lane_sum(out + first, last - first)
    return <real> mass


cdef inline double depth(const real *row, real *chunk, int64_t columns, real top) noexcept nogil:
    """Return the sum of row - top, through a chunk of memory."""
    cdef int64_t first, size, c
    cdef double total = 0
    for first in range(0, columns, 1024):
        size = min(<int64_t> CHUNK, columns - first)
        for c in range(size):
            chunk[c] = below(row[first + c], top)
        total += lane_sum(chunk, size)
    return total


cdef inline void softmax_tile(real *x, const real *t, real *value, int64_t columns, real scale,
                              real z_loss) noexcept nogil:
    """Turn a tile of logits into gradients; a lane is a row."""
    cdef real top[32]
    cdef real mass[32]
    cdef real targets[32]
    cdef real dot[32]
    cdef real factor[32]
    cdef real d, term, level
    cdef real two = 2
    cdef int64_t c, l
    for l in range(32):
        top[l] = x[l]
        mass[l] = targets[l] = dot[l] = 0
    for c in range(columns):
        for l in range(32):
            top[l] = x[32 * c + l] if x[32 * c + l] > top[l] else top[l]
    for c in range(columns):
        for l in range(32):
            d = below(x[32 * c + l], top[l])
            x[32 * c + l] = d
            term = t[32 * c + l] * d
            dot[l] += 0 if t[32 * c + l] == 0 else term
            targets[l] += t[32 * c + l]
    for c in range(32 * columns):
        x[c] = exp_nonpositive(x[c])
    for c in range(columns):
        for l in range(32):
            mass[l] += x[32 * c + l]
    for l in range(32):
        value[l] = targets[l] * log_of(mass[l]) - dot[l]
        factor[l] = scale * targets[l] / mass[l]
    for l in range(32 if z_loss != 0 else 0):
        level = top[l] + log_of(mass[l])
        value[l] += z_loss * (level * level)
        factor[l] = scale * (targets[l] + two * z_loss * level) / mass[l]
    for c in range(columns):
        for l in range(32):
            x[32 * c + l] = factor[l] * x[32 * c + l] - scale * t[32 * c + l]


# ---- probabilities: a row is divided by its sum, then clipped; no gradient where the clip bites

cdef inline real clipped(real q) noexcept nogil:
    cdef real epsilon = <real> 1e-7
    cdef real high = <real> 0.9999999
    q = epsilon if q < epsilon else q
    return high if q > high else q


cdef inline bint inside(real q) noexcept nogil:
    return (q >= <real> 1e-7) & (q <= <real> 0.9999999)


cdef inline void probabilities_tile(real *x, const real *t, real *logs, real *value, int64_t columns,
                                    real scale) noexcept nogil:
    """Turn a tile of probabilities into gradients; a lane is a row."""
    cdef real mass[32]
    cdef real kept[32]
    cdef real q, slope
    cdef int64_t c, l
    for l in range(32):
        mass[l] = kept[l] = value[l] = 0
    for c in range(columns):
        for l in range(32):
            mass[l] += x[32 * c + l]
    for c in range(columns):
        for l in range(32):
            x[32 * c + l] = x[32 * c + l] / mass[l]
    for c in range(32 * columns):
        logs[c] = log_of(clipped(x[c]))
    for c in range(columns):
        for l in range(32):
            value[l] -= t[32 * c + l] * logs[32 * c + l]
            kept[l] += t[32 * c + l] if inside(x[32 * c + l]) else 0
    for l in range(32):
        mass[l] = scale / mass[l]
    for c in range(columns):
        for l in range(32):
            q = x[32 * c + l]
            slope = t[32 * c + l] / clipped(q)
            slope = slope if inside(q) else 0
            x[32 * c + l] = (kept[l] - slope) * mass[l]
