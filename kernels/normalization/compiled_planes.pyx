"""Batch norm's kernels by channel, ahead of time; the parts are in planes.pxd.

The unit is a channel, made of `batch` planes of `inner` elements each. A channel's passes follow one another, so all but
the first find it in the L2 cache. Neighbouring channels take turns plane by plane, because their planes are neighbours
in memory and short ones would starve the prefetcher.
"""
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uintptr_t

from kernels.normalization.elements cimport clear, correction, load_affine, load_slopes
from kernels.normalization.planes cimport (
    HELD, LINE, TILE, Run, add_deviations, add_gradients, begin_run, first_center, gradient_plane, merge_part,
    normalize_plane, planes_together, way_to_the_next, worth_streaming,
)
from kernels.runtime.abi cimport cloned_void, inlined_void, real
from kernels.runtime.lanes cimport LANES

cdef enum:
    GROUP = 16          # channels that take turns


cdef cloned_void channel_forward(real **buffers, const int64_t *dims, const double *scalars,
                                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef const real *added = buffers[3]
    cdef real *y = buffers[4]
    cdef double *mean = <double *> buffers[5]
    cdef double *variance = <double *> buffers[6]
    cdef double *invstd = <double *> buffers[7]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double eps = scalars[0]
    cdef double relu = scalars[1]
    cdef double adds = scalars[2]
    cdef real center[GROUP]
    cdef real scale[GROUP]
    cdef real shift[GROUP]
    cdef int64_t first = start, last, ahead, following, c, n, k, at
    cdef real memory[LINE + HELD + TILE]
    cdef Run run
    cdef bint streams = worth_streaming(x, x, y, batch * batch_stride, inner)
    while first < stop:
        last = min(first + GROUP, stop)
        moments(x, first, last, batch, inner, batch_stride, channel_stride, center, mean, variance)
        for c in range(first, last):
            variance[c] = variance[c] / <double> (batch * inner)
            invstd[c] = 1 / sqrt(variance[c] + eps)
        load_affine(mean + first, invstd + first, gamma + first, beta + first, last - first, center, scale, shift)
        following = way_to_the_next(last - first, batch, inner, channel_stride, batch * batch_stride, sizeof(real))
        for n in range(batch - 1, -1, -1):
            ahead = -batch_stride if n > 0 else 0
            for c in range(first, last):
                k = c - first
                at = c * channel_stride + n * batch_stride
                begin_run(&run, at, at + inner)
                normalize_plane(x, added, y, memory + LINE, &run, at, ahead, following, inner, center[k], scale[k],
                                shift[k], adds != 0, relu != 0, streams)
        first = last


cdef inline inlined_void moments(const real *x, int64_t first, int64_t last, int64_t batch, int64_t inner,
                                 int64_t batch_stride, int64_t channel_stride, real *center, double *mean,
                                 double *variance) noexcept nogil:
    """The mean of some channels, and the sum of squared deviations from it."""
    cdef real lanes[GROUP * LANES]
    cdef real square_lanes[GROUP * LANES]
    cdef double sums[GROUP]
    cdef double squares[GROUP]
    cdef const real *plane
    cdef int64_t together = planes_together(inner), before = 0, n, c, k
    cdef bint merges, folds
    clear(lanes, GROUP * LANES)
    clear(square_lanes, GROUP * LANES)
    clear(sums, GROUP)
    clear(squares, GROUP)
    for c in range(first, last):
        center[c - first] = first_center(x + c * channel_stride, inner)
        mean[c] = variance[c] = 0
    for n in range(batch):
        merges = n + 1 == batch or n + 1 >= 2 * before
        folds = merges or (n + 1 - before) % together == 0
        for c in range(first, last):
            k = c - first
            plane = x + (c * channel_stride + n * batch_stride)
            add_deviations(plane, plane + batch_stride if n + 1 < batch else <const real *> NULL, 1, inner, center[k],
                           folds, lanes + k * LANES, square_lanes + k * LANES, sums + k, squares + k)
        if not merges:
            continue
        for c in range(first, last):
            k = c - first
            merge_part(sums[k], squares[k], center[k], <double> (before * inner), <double> ((n + 1 - before) * inner),
                       mean + c, variance + c)
            center[k] = <real> mean[c]
            sums[k] = squares[k] = 0
        before = n + 1
    for c in range(first, last):
        if mean[c] - mean[c] != 0:      # Inf in a part makes NaN of the next
            mean[c] = 0
            for n in range(batch):
                for k in range(inner):
                    mean[c] = mean[c] + x[c * channel_stride + n * batch_stride + k]
            mean[c] = mean[c] / <double> (batch * inner)


cdef cloned_void channel_moments(real **buffers, const int64_t *dims, const double *scalars,
                                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef double *mean = <double *> buffers[1]
    cdef double *variance = <double *> buffers[2]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef real center[GROUP]
    cdef int64_t first = start, last, c
    while first < stop:
        last = min(first + GROUP, stop)
        moments(x, first, last, batch, inner, batch_stride, channel_stride, center, mean, variance)
        for c in range(first, last):
            variance[c] = variance[c] / <double> (batch * inner)
        first = last


cdef cloned_void channel_normalize(real **buffers, const int64_t *dims, const double *scalars,
                                   int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef const double *mean = <const double *> buffers[3]
    cdef const double *invstd = <const double *> buffers[4]
    cdef const real *added = buffers[5]
    cdef real *y = buffers[6]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double relu = scalars[0]
    cdef double adds = scalars[1]
    cdef real center, scale, shift
    cdef int64_t c, n, at
    cdef real memory[LINE + HELD + TILE]
    cdef Run run
    cdef bint streams = worth_streaming(x, x, y, batch * batch_stride, inner)
    for c in range(start, stop):
        load_affine(mean + c, invstd + c, gamma + c, beta + c, 1, &center, &scale, &shift)
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            begin_run(&run, at, at + inner)
            normalize_plane(x, added, y, memory + LINE, &run, at, batch_stride if n + 1 < batch else 0, 0, inner, center,
                            scale, shift, adds != 0, relu != 0, streams)


cdef inline inlined_void gradient_sums(const real *dy, const real *x, const real *added, int64_t first, int64_t last,
                                       int64_t batch, int64_t inner, int64_t batch_stride, int64_t channel_stride,
                                       const real *center, const real *inv, const real *scale, const real *shift,
                                       const double *mean, const double *invstd, bint adds, bint relu, double *sums,
                                       double *products) noexcept nogil:
    """For some channels: the sum of dy, as ReLU lets it through, and of dy x̂."""
    cdef real lanes[GROUP * LANES]
    cdef real product_lanes[GROUP * LANES]
    cdef int64_t together = planes_together(inner), n, c, k, at
    cdef bint folds
    clear(lanes, GROUP * LANES)
    clear(product_lanes, GROUP * LANES)
    clear(sums, last - first)
    clear(products, last - first)
    for n in range(batch):
        folds = n + 1 == batch or (n + 1) % together == 0
        for c in range(first, last):
            k = c - first
            at = c * channel_stride + n * batch_stride
            add_gradients(dy + at, x + at, added + (at if adds else 0), batch_stride if n + 1 < batch else 0, inner,
                          center[k], inv[k], scale[k], shift[k], adds, relu, folds, lanes + k * LANES,
                          product_lanes + k * LANES, sums + k, products + k)
    for k in range(last - first):
        products[k] = products[k] - correction(mean[k], center[k], invstd[k] * sums[k])


cdef cloned_void channel_backward(real **buffers, const int64_t *dims, const double *scalars,
                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef const real *added = buffers[6]
    cdef real *dx = buffers[7]
    cdef real *dadded = buffers[8]
    cdef double *sums = <double *> buffers[9]
    cdef double *products = <double *> buffers[10]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double training = scalars[0]
    cdef double relu = scalars[1]
    cdef double adds = scalars[2]
    cdef real center[GROUP]
    cdef real scale[GROUP]
    cdef real shift[GROUP]
    cdef real inv[GROUP]
    cdef real mean_dy[GROUP]
    cdef real factor[GROUP]
    cdef int64_t first = start, last, ahead, following, c, n, k, at
    cdef real memory[LINE + HELD + TILE]
    cdef Run run
    cdef bint streams = worth_streaming(x, dy, dx, batch * batch_stride, inner)
    while first < stop:
        last = min(first + GROUP, stop)
        load_affine(mean + first, invstd + first, gamma + first, beta + first, last - first, center, scale, shift)
        for c in range(first, last):
            inv[c - first] = <real> invstd[c]
        gradient_sums(dy, x, added, first, last, batch, inner, batch_stride, channel_stride, center, inv, scale, shift,
                      mean + first, invstd + first, adds != 0, relu != 0, sums + first, products + first)
        load_slopes(mean + first, invstd + first, sums + first, products + first, <double> (batch * inner), training != 0,
                    last - first, mean_dy, factor)
        following = way_to_the_next(last - first, batch, inner, channel_stride, batch * batch_stride, 2 * sizeof(real))
        for n in range(batch - 1, -1, -1):
            ahead = -batch_stride if n > 0 else 0
            for c in range(first, last):
                k = c - first
                at = c * channel_stride + n * batch_stride
                begin_run(&run, at, at + inner)
                gradient_plane(dy, x, added, dx, dadded, memory + LINE, &run, at, ahead, following, inner, center[k],
                               scale[k], shift[k], mean_dy[k], factor[k], adds != 0, relu != 0, training != 0, streams)
        first = last


cdef cloned_void channel_sums(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef const real *added = buffers[6]
    cdef double *sums = <double *> buffers[7]
    cdef double *products = <double *> buffers[8]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double relu = scalars[0]
    cdef double adds = scalars[1]
    cdef real center[GROUP]
    cdef real scale[GROUP]
    cdef real shift[GROUP]
    cdef real inv[GROUP]
    cdef int64_t first = start, last, c
    while first < stop:
        last = min(first + GROUP, stop)
        load_affine(mean + first, invstd + first, gamma + first, beta + first, last - first, center, scale, shift)
        for c in range(first, last):
            inv[c - first] = <real> invstd[c]
        gradient_sums(dy, x, added, first, last, batch, inner, batch_stride, channel_stride, center, inv, scale, shift,
                      mean + first, invstd + first, adds != 0, relu != 0, sums + first, products + first)
        first = last


cdef cloned_void channel_gradient(real **buffers, const int64_t *dims, const double *scalars,
                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef const real *added = buffers[6]
    cdef const double *sums = <const double *> buffers[7]
    cdef const double *products = <const double *> buffers[8]
    cdef real *dx = buffers[9]
    cdef real *dadded = buffers[10]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double training = scalars[0]
    cdef double relu = scalars[1]
    cdef double adds = scalars[2]
    cdef double count = scalars[3]
    cdef real center, scale, shift, mean_dy, factor
    cdef int64_t c, n, at
    cdef real memory[LINE + HELD + TILE]
    cdef Run run
    cdef bint streams = worth_streaming(x, dy, dx, batch * batch_stride, inner)
    for c in range(start, stop):
        load_affine(mean + c, invstd + c, gamma + c, beta + c, 1, &center, &scale, &shift)
        load_slopes(mean + c, invstd + c, sums + c, products + c, count, training != 0, 1, &mean_dy, &factor)
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            begin_run(&run, at, at + inner)
            gradient_plane(dy, x, added, dx, dadded, memory + LINE, &run, at, batch_stride if n + 1 < batch else 0, 0, inner,
                           center, scale, shift, mean_dy, factor, adds != 0, relu != 0, training != 0, streams)


KERNELS = {     # (float32, float64)
    "channel_forward": (<uintptr_t> <void *> channel_forward[float], <uintptr_t> <void *> channel_forward[double]),
    "channel_moments": (<uintptr_t> <void *> channel_moments[float], <uintptr_t> <void *> channel_moments[double]),
    "channel_normalize": (
        <uintptr_t> <void *> channel_normalize[float],
        <uintptr_t> <void *> channel_normalize[double]),
    "channel_backward": (<uintptr_t> <void *> channel_backward[float], <uintptr_t> <void *> channel_backward[double]),
    "channel_sums": (<uintptr_t> <void *> channel_sums[float], <uintptr_t> <void *> channel_sums[double]),
    "channel_gradient": (<uintptr_t> <void *> channel_gradient[float], <uintptr_t> <void *> channel_gradient[double]),
}
