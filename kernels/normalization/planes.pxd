# What channel_* and group_* kernels do with a plane: elements of one channel, side by side in memory.
#
# Results go through a tile on the stack: the compiler need not ask whether y is x, or dx is dy, before it vectorises. A
# tile that is merely copied would be a `rep movs`, slower than all the rest; so the last operation is left for the copy.
#
# Statistics take one pass. Deviations are taken from a center that is near the mean: that of the values before, renewed
# whenever their number has doubled. The part's sums are then merged with the rest (Chan, Golub and LeVeque 1983), so
# that cancellation costs a factor of 3 at the most, whatever the data: a part that is no longer than all before it can't
# lie far from them without widening the spread itself.
#
# `ahead` is the way from a plane to the one after it, 0 where there is none: it is fetched while this one is worked on;
# for gradients its beginning is, the rest is the prefetcher's. `following` is the way to the same plane of the channel
# that will be next: it is fetched whole while this one, which is in L2, is mapped, so that memory doesn't wait for
# arithmetic. The mapping walks planes backwards: what was read last is in L2 for sure.
#
# Lanes go on from one short plane of a channel to the next, and are folded when they hold BLOCK elements: folding takes
# longer than adding 49 or 196.
#
# `streams`: the result is too large for a cache and goes around it (stream.h), from memory of its own: a tile whose address
# is handed out would have to be told apart from x in every loop.
from libc.stdint cimport int64_t

from kernels.normalization.elements cimport direction, finish, passed
from kernels.runtime.abi cimport inlined_void, real
from kernels.runtime.lanes cimport LANES, folded

cdef extern from "fetch.h" nogil:
    void fetch(const void *, int64_t size) noexcept
    void fetch_near(const void *, int64_t size) noexcept
    void fetch_to_write(const void *, int64_t size) noexcept
    int64_t l2_bytes() noexcept

cdef extern from "stream.h" nogil:
    const int64_t STREAMED_BYTES
    void stream_block(void *target, void *block, int64_t start, int64_t stop, bint first, bint last) noexcept


cdef enum:
    BLOCK = 1024        # lanes sum at most this many elements in the kernel's type, then go on in double precision
    TILE = 256          # results on the stack
    HELD = 1024         # results that go around the cache together
    LINE = 16           # elements of a cache line at the most
    PAGE = 4096         # of memory: prefetchers don't look beyond


cdef inline inlined_void fetch_share(const real *ahead, int64_t k, int passes) noexcept nogil:
    """Fetch what goes with the elements k to k + LANES, where `passes` over as many share in what comes ahead;
    into L1 where one pass fetches all of it."""
    if passes == 1:
        fetch_near(ahead + k, LANES * <int64_t> sizeof(real) if ahead else 0)
    else:
        fetch(ahead + k // passes, LANES * <int64_t> sizeof(real) // passes if ahead else 0)


cdef inline double sum_of(const real *x, const real *ahead, int passes, int64_t count) noexcept nogil:
    cdef real lane[LANES]
    cdef double total = 0
    cdef int64_t k = 0, last
    cdef int j
    while k < count:
        last = min(k + BLOCK, count)
        for j in range(LANES):
            lane[j] = 0
        while k + LANES <= last:
            fetch_share(ahead, k, passes)
            for j in range(LANES):
                lane[j] = lane[j] + x[k + j]
            k += LANES
        for j in range(<int> (last - k)):
            lane[j] = lane[j] + x[k + j]
        total += folded(lane)
        k = last
    return total


cdef inline int64_t planes_together(int64_t inner) noexcept nogil:
    """Return how many planes' values lanes sum before they are folded: folding a short plane takes longer than adding."""
    return max(<int64_t> 1, BLOCK // inner)


cdef inline inlined_void add_deviations(const real *x, const real *ahead, int passes, int64_t count, real center,
                                        bint folds, real *lanes, real *squares, double *total,
                                        double *total_square) noexcept nogil:
    """Add the deviations from the center, and their squares, to the lanes; where it `folds`, on to the totals."""
    cdef real lane[LANES]
    cdef real square[LANES]
    cdef real d
    cdef int64_t k = 0, last
    cdef int j
    for j in range(LANES):
        lane[j] = lanes[j]
        square[j] = squares[j]
    while k < count:
        last = min(k + BLOCK, count)
        while k + LANES <= last:
            fetch_share(ahead, k, passes)
            for j in range(LANES):
                d = x[k + j] - center
                lane[j] = lane[j] + d
                square[j] = square[j] + d * d
            k += LANES
        for j in range(<int> (last - k)):
            d = x[k + j] - center
            lane[j] = lane[j] + d
            square[j] = square[j] + d * d
        k = last
        if folds or k < count:
            total[0] += folded(lane)
            total_square[0] += folded(square)
            for j in range(LANES):
                lane[j] = 0
                square[j] = 0
    for j in range(LANES):
        lanes[j] = lane[j]
        squares[j] = square[j]


cdef inline real first_center(const real *x, int64_t count) noexcept nogil:
    """The mean of a plane's beginning."""
    count = min(<int64_t> BLOCK, count)
    return <real> (sum_of(x, <const real *> NULL, 1, count) / <double> count)


cdef inline inlined_void merge_part(double total, double square, double center, double before, double count,
                                    double *mean, double *variance) noexcept nogil:
    """Merge a part, by its deviations from the center, with the values before; `variance` is not divided yet."""
    cdef double delta = total / count
    cdef double between = (center + delta) - mean[0]
    cdef double within = square - total * delta
    mean[0] = mean[0] + between * (count / (before + count))
    variance[0] = variance[0] + (within + between * between * (before * count / (before + count)))


cdef inline bint worth_streaming(const real *x, const real *also, const real *result, int64_t count,
                                 int64_t inner) noexcept nogil:
    """Whether a result is too large for a cache. In place, its lines are there already; of short planes, too many lines
    are shared by two."""
    cdef int64_t size = sizeof(real)
    return result != x and result != also and count * size >= STREAMED_BYTES and inner * size >= PAGE


cdef inline int64_t way_to_the_next(int64_t channels, int64_t batch, int64_t inner, int64_t channel_stride,
                                    int64_t whole, int64_t bytes_each) noexcept nogil:
    """Return how far it is to the planes of the channels after these, 0 where they aren't to be fetched: where planes are
    shorter than a page, all data fit a cache anyway, or these channels don't fit L2 twice."""
    cdef int64_t cache = l2_bytes()
    if inner * bytes_each < PAGE or whole * bytes_each < cache or 2 * channels * batch * inner * bytes_each > cache:
        return 0
    return channels * channel_stride


cdef struct Run:            # results that lie together and are streamed one after the other
    int64_t start
    int64_t begin           # of those that are still held
    int64_t stop


cdef inline inlined_void begin_run(Run *run, int64_t start, int64_t stop) noexcept nogil:
    run.start = run.begin = start
    run.stop = stop


cdef inline inlined_void stream_held(real *result, real *held, Run *run, int64_t last) noexcept nogil:
    """Store what is held, up to `last`, once HELD elements are together. In front of `held` is memory of a cache line."""
    if last - run.begin < HELD and last < run.stop:
        return
    stream_block(result, held, run.begin * <int64_t> sizeof(real), last * <int64_t> sizeof(real), run.begin == run.start,
                 last == run.stop)
    run.begin = last


cdef inline inlined_void normalize_plane(const real *x, const real *added, real *y, real *held, Run *run, int64_t at,
                                         int64_t ahead, int64_t following, int64_t count, real center, real scale,
                                         real shift, bint adds, bint relu, bint streams) noexcept nogil:
    cdef real tile[TILE]
    cdef real *result
    cdef int64_t k = at, stop = at + count, j, width
    while k < stop:
        width = min(<int64_t> TILE, stop - k)
        if following:
            fetch(x + k + following, width * <int64_t> sizeof(real))
        if ahead and not streams:
            fetch_to_write(y + k + ahead, width * <int64_t> sizeof(real))
        for j in range(width):
            tile[j] = (x[k + j] - center) * scale
        result = held + (k - run.begin) if streams else y + k
        finish(tile, added + (k if adds else 0), result, width, &shift, 0, adds, relu)
        k += width
        if streams:
            stream_held(y, held, run, k)


cdef inline inlined_void mask_plane(const real *dy, const real *x, const real *added, real *slope, int64_t count,
                                    real center, real scale, real shift, bint adds) noexcept nogil:
    """dy, as ReLU lets it through."""
    cdef int64_t j
    if adds:
        for j in range(count):
            slope[j] = passed(dy[j], ((x[j] - center) * scale + shift) + added[j])
    else:
        for j in range(count):
            slope[j] = passed(dy[j], (x[j] - center) * scale + shift)


cdef inline inlined_void add_gradients(const real *dy, const real *x, const real *added, int64_t ahead, int64_t count,
                                       real center, real inv, real scale, real shift, bint adds, bint relu,
                                       bint folds, real *lanes, real *products, double *total,
                                       double *total_product) noexcept nogil:
    """Add dy, as ReLU lets it through, and dy (x − center) inv to the lanes; where it `folds`, on to the totals."""
    cdef real tile[BLOCK]
    cdef real lane[LANES]
    cdef real product[LANES]
    cdef const real *slope
    cdef const real *values
    cdef int64_t k = 0, i, size
    cdef int j
    for j in range(LANES):
        lane[j] = lanes[j]
        product[j] = products[j]
    while k < count:
        size = min(<int64_t> BLOCK, count - k)
        slope, values = dy + k, x + k
        if ahead and k == 0:
            fetch_near(slope + ahead, size * <int64_t> sizeof(real))
            fetch_near(values + ahead, size * <int64_t> sizeof(real))
        if relu:
            mask_plane(slope, values, added + (k if adds else 0), tile, size, center, scale, shift, adds)
            slope = tile
        for i in range(0, size - LANES + 1, 32):
            for j in range(LANES):
                lane[j] = lane[j] + slope[i + j]
                product[j] = product[j] + slope[i + j] * ((values[i + j] - center) * inv)
        i = size - size % LANES
        for j in range(<int> (size - i)):
            lane[j] = lane[j] + slope[i + j]
            product[j] = product[j] + slope[i + j] * ((values[i + j] - center) * inv)
        k += size
        if folds or k < count:
            total[0] += folded(lane)
            total_product[0] += folded(product)
            for j in range(LANES):
                lane[j] = 0
                product[j] = 0
    for j in range(LANES):
        lanes[j] = lane[j]
        products[j] = product[j]


cdef inline inlined_void gradient_plane(const real *dy, const real *x, const real *added, real *dx, real *dadded,
                                        real *held, Run *run, int64_t at, int64_t ahead, int64_t following, int64_t count,
                                        real center, real scale, real shift, real mean_dy, real factor, bint adds,
                                        bint relu, bint training, bint streams) noexcept nogil:
    """dx = scale ((dy − mean_dy) − (x − center) factor), and the gradient of what was added, where it is not dy."""
    cdef real tile[TILE]
    cdef real masked[TILE]
    cdef const real *slope
    cdef real *result
    cdef int64_t k = at, stop = at + count, j, width
    while k < stop:
        width = min(<int64_t> TILE, stop - k)
        slope = dy + k
        if ahead and not streams:
            fetch_to_write(dx + k + ahead, width * <int64_t> sizeof(real))
        if following:
            fetch(x + k + following, width * <int64_t> sizeof(real))
            fetch(slope + following, width * <int64_t> sizeof(real))
        if relu:
            mask_plane(slope, x + k, added + (k if adds else 0), masked, width, center, scale, shift, adds)
            slope = masked
        for j in range(width if training else 0):
            tile[j] = direction(slope[j], x[k + j] - center, mean_dy, factor)
        for j in range(0 if training else width):
            tile[j] = slope[j] - mean_dy
        result = held + (k - run.begin) if streams else dx + k
        for j in range(width):
            result[j] = scale * tile[j]
        if adds and relu:
            for j in range(width):
                dadded[k + j] = masked[j]
        k += width
        if streams:
            stream_held(dx, held, run, k)
