"""Batch normalization kernels, ahead of time. jit.py holds the same operations in the same order.

channel_*: the unit is a channel, made of `batch` planes of `inner` elements each. A channel's passes follow one
another, so all but the first find it in the L2 cache. row_*: the unit is a row of `columns` channels; every pass is a
launch of its own, and grains of rows give partial results for the channels.

x̂ = ((x − center) − residual) · invstd, where center is the mean in the kernel's type and residual what that rounding
left: x − center is exact near the mean, so a mean of 1e4 with a spread of 1e-2 loses nothing. Forward and backward
share the expression, so ReLU's mask, made anew in the backward, is the forward's to the bit.
"""
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uintptr_t

from kernels.runtime.abi cimport cloned_void, real

cdef enum:
    LANES = 32          # sums run side by side in the kernel's type ...
    BLOCK = 1024        # ... over at most this many elements, then go on in double precision
    ROWS = BLOCK // LANES
    PANEL = 256         # channels whose sums and constants are in L1 while rows go by


cdef inline double residual(double mean, real center) noexcept nogil:
    """What the center leaves of the mean; an infinite mean leaves nothing."""
    cdef double rest = mean - center
    return rest if rest - rest == 0 else 0


cdef inline real activate(real z, bint relu) noexcept nogil:
    return <real> 0 if relu and z <= 0 else z


cdef inline double fold(double *lanes) noexcept nogil:
    cdef int width = LANES // 2, j
    while width:
        for j in range(width):
            lanes[j] = lanes[j] + lanes[width + j]
        width //= 2
    return lanes[0]


cdef inline void clear(double *lanes) noexcept nogil:
    cdef int j
    for j in range(LANES):
        lanes[j] = 0


# ---- a plane of one channel


cdef cloned_void add_values(const real *x, int64_t count, double *sums) noexcept nogil:
    """Add the elements of a plane to 32 sums."""
    cdef real lane[LANES]
    cdef int64_t part, first, last, k
    cdef int j
    for part in range((count + BLOCK - 1) // BLOCK):
        first = part * BLOCK
        last = min(first + BLOCK, count)
        for j in range(LANES):
            lane[j] = 0
        k = first
        while k + LANES <= last:
            for j in range(LANES):
                lane[j] = lane[j] + x[k + j]
            k += LANES
        for j in range(<int> (last - k)):
            lane[j] = lane[j] + x[k + j]
        for j in range(LANES):
            sums[j] = sums[j] + lane[j]


cdef cloned_void add_deviations(const real *x, int64_t count, real center, double *sums,
                                double *squares) noexcept nogil:
    """Add the elements' deviations from the center, and their squares, to 32 sums each."""
    cdef real lane[LANES]
    cdef real square[LANES]
    cdef real d
    cdef int64_t part, first, last, k
    cdef int j
    for part in range((count + BLOCK - 1) // BLOCK):
        first = part * BLOCK
        last = min(first + BLOCK, count)
        for j in range(LANES):
            lane[j] = 0
            square[j] = 0
        k = first
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


cdef cloned_void normalize_plane(const real *x, real *y, int64_t count, real center, real rest, real inv,
                                 real weight, real bias, bint relu) noexcept nogil:
    cdef int64_t i
    if relu:
        for i in range(count):
            y[i] = activate(((x[i] - center) - rest) * inv * weight + bias, True)
    else:
        for i in range(count):
            y[i] = ((x[i] - center) - rest) * inv * weight + bias


cdef cloned_void add_gradients(const real *dy, const real *x, int64_t count, real center, real rest, real inv,
                               real weight, real bias, bint relu, double *sums, double *products) noexcept nogil:
    """Add dy and dy x̂ of a plane to 32 sums each."""
    cdef real lane[LANES]
    cdef real product[LANES]
    cdef real xhat, d
    cdef int64_t part, first, last, k
    cdef int j
    for part in range((count + BLOCK - 1) // BLOCK):
        first = part * BLOCK
        last = min(first + BLOCK, count)
        for j in range(LANES):
            lane[j] = 0
            product[j] = 0
        k = first
        if relu:
            while k + LANES <= last:
                for j in range(LANES):
                    xhat = ((x[k + j] - center) - rest) * inv
                    d = <real> 0 if xhat * weight + bias <= 0 else dy[k + j]
                    lane[j] = lane[j] + d
                    product[j] = product[j] + d * xhat
                k += LANES
        else:
            while k + LANES <= last:
                for j in range(LANES):
                    xhat = ((x[k + j] - center) - rest) * inv
                    lane[j] = lane[j] + dy[k + j]
                    product[j] = product[j] + dy[k + j] * xhat
                k += LANES
        for j in range(<int> (last - k)):
            xhat = ((x[k + j] - center) - rest) * inv
            d = <real> 0 if relu and xhat * weight + bias <= 0 else dy[k + j]
            lane[j] = lane[j] + d
            product[j] = product[j] + d * xhat
        for j in range(LANES):
            sums[j] = sums[j] + lane[j]
            products[j] = products[j] + product[j]


cdef cloned_void gradient_plane(const real *dy, const real *x, real *dx, int64_t count, real center, real rest,
                                real inv, real weight, real bias, bint relu, bint training, real mean_dy,
                                real mean_product) noexcept nogil:
    """dx = gamma invstd (dy − mean(dy) − x̂ mean(dy x̂)), or gamma invstd dy where the statistics were constants."""
    cdef real scale = weight * inv
    cdef real xhat, d
    cdef int64_t i
    if training and relu:
        for i in range(count):
            xhat = ((x[i] - center) - rest) * inv
            d = <real> 0 if xhat * weight + bias <= 0 else dy[i]
            dx[i] = scale * ((d - mean_dy) - xhat * mean_product)
    elif training:
        for i in range(count):
            xhat = ((x[i] - center) - rest) * inv
            dx[i] = scale * ((dy[i] - mean_dy) - xhat * mean_product)
    elif relu:
        for i in range(count):
            xhat = ((x[i] - center) - rest) * inv
            d = <real> 0 if xhat * weight + bias <= 0 else dy[i]
            dx[i] = scale * d
    else:
        for i in range(count):
            dx[i] = scale * dy[i]


# ---- kernels whose unit is a channel


cdef cloned_void channel_forward(real **buffers, const int64_t *dims, const double *scalars,
                                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef real *y = buffers[3]
    cdef double *mean = <double *> buffers[4]
    cdef double *variance = <double *> buffers[5]
    cdef double *invstd = <double *> buffers[6]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double eps = scalars[0]
    cdef double relu = scalars[1]
    cdef double sums[LANES]
    cdef double squares[LANES]
    cdef double average, delta, total
    cdef real center
    cdef double count = <double> (batch * inner)
    cdef int64_t c, n, base
    for c in range(start, stop):
        base = c * channel_stride
        clear(sums)
        for n in range(batch):
            add_values(x + (base + n * batch_stride), inner, sums)
        average = fold(sums) / count
        center = <real> average
        clear(sums)
        clear(squares)
        for n in range(batch):
            add_deviations(x + (base + n * batch_stride), inner, center, sums, squares)
        total = fold(sums)
        delta = total / count
        mean[c] = center + delta if delta - delta == 0 else average
        delta = (fold(squares) - total * delta) / count
        variance[c] = 0 if delta < 0 else delta
        invstd[c] = 1 / sqrt(variance[c] + eps)
        for n in range(batch):
            normalize_plane(
                x + (base + n * batch_stride), y + (base + n * batch_stride), inner, <real> mean[c],
                <real> residual(mean[c], <real> mean[c]), <real> invstd[c], gamma[c], beta[c], relu != 0)


cdef cloned_void channel_normalize(real **buffers, const int64_t *dims, const double *scalars,
                                   int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef const double *mean = <const double *> buffers[3]
    cdef const double *invstd = <const double *> buffers[4]
    cdef real *y = buffers[5]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double relu = scalars[0]
    cdef real center
    cdef int64_t c, n, at
    for c in range(start, stop):
        center = <real> mean[c]
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            normalize_plane(x + at, y + at, inner, center, <real> residual(mean[c], center), <real> invstd[c],
                            gamma[c], beta[c], relu != 0)


cdef cloned_void channel_backward(real **buffers, const int64_t *dims, const double *scalars,
                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef real *dx = buffers[6]
    cdef real *dgamma = buffers[7]
    cdef real *dbeta = buffers[8]
    cdef int64_t batch = dims[0]
    cdef int64_t inner = dims[1]
    cdef int64_t batch_stride = dims[2]
    cdef int64_t channel_stride = dims[3]
    cdef double training = scalars[0]
    cdef double relu = scalars[1]
    cdef double sums[LANES]
    cdef double products[LANES]
    cdef double total, product
    cdef real center, rest, inv
    cdef double count = <double> (batch * inner)
    cdef int64_t c, n, at
    for c in range(start, stop):
        center = <real> mean[c]
        rest = <real> residual(mean[c], center)
        inv = <real> invstd[c]
        clear(sums)
        clear(products)
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            add_gradients(dy + at, x + at, inner, center, rest, inv, gamma[c], beta[c], relu != 0, sums, products)
        total = fold(sums)
        product = fold(products)
        dbeta[c] = <real> total
        dgamma[c] = <real> product
        for n in range(batch):
            at = c * channel_stride + n * batch_stride
            gradient_plane(dy + at, x + at, dx + at, inner, center, rest, inv, gamma[c], beta[c], relu != 0,
                           training != 0, <real> (total / count), <real> (product / count))


# ---- kernels whose unit is a row


cdef cloned_void row_moments(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    """For each channel of a grain: its sum, then its squared deviations from the grain's own mean."""
    cdef const real *x = buffers[0]
    cdef int64_t columns = dims[0]
    cdef real center[PANEL]
    cdef real lane[PANEL]
    cdef real square[PANEL]
    cdef double sums[PANEL]
    cdef double squares[PANEL]
    cdef const real *row
    cdef real d
    cdef double count = <double> (stop - start)
    cdef int64_t part, group, first, block, i, c, width
    for part in range((columns + PANEL - 1) // PANEL):
        first = part * PANEL
        width = min(<int64_t> PANEL, columns - first)
        for c in range(width):
            sums[c] = 0
        for group in range((stop - start + ROWS - 1) // ROWS):
            block = start + group * ROWS
            for c in range(width):
                lane[c] = 0
            for i in range(block, min(block + ROWS, stop)):
                row = x + (i * columns + first)
                for c in range(width):
                    lane[c] = lane[c] + row[c]
            for c in range(width):
                sums[c] = sums[c] + lane[c]
        for c in range(width):
            partials[first + c] = sums[c]
            center[c] = <real> (sums[c] / count)
            sums[c] = 0
            squares[c] = 0
        for group in range((stop - start + ROWS - 1) // ROWS):
            block = start + group * ROWS
            for c in range(width):
                lane[c] = 0
                square[c] = 0
            for i in range(block, min(block + ROWS, stop)):
                row = x + (i * columns + first)
                for c in range(width):
                    d = row[c] - center[c]
                    lane[c] = lane[c] + d
                    square[c] = square[c] + d * d
            for c in range(width):
                sums[c] = sums[c] + lane[c]
                squares[c] = squares[c] + square[c]
        for c in range(width):
            if sums[c] - sums[c] == 0:
                partials[first + c] = count * center[c] + sums[c]
            partials[columns + first + c] = squares[c] - sums[c] * (sums[c] / count)


cdef cloned_void row_normalize(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *x = buffers[0]
    cdef const real *gamma = buffers[1]
    cdef const real *beta = buffers[2]
    cdef const double *mean = <const double *> buffers[3]
    cdef const double *invstd = <const double *> buffers[4]
    cdef real *y = buffers[5]
    cdef int64_t columns = dims[0]
    cdef double relu = scalars[0]
    cdef real center[PANEL]
    cdef real rest[PANEL]
    cdef real inv[PANEL]
    cdef const real *row
    cdef const real *weight
    cdef const real *bias
    cdef real *out
    cdef int64_t part, first, i, c, width
    for part in range((columns + PANEL - 1) // PANEL):
        first = part * PANEL
        width = min(<int64_t> PANEL, columns - first)
        weight = gamma + first
        bias = beta + first
        for c in range(width):
            center[c] = <real> mean[first + c]
            rest[c] = <real> residual(mean[first + c], center[c])
            inv[c] = <real> invstd[first + c]
        for i in range(start, stop):
            row = x + (i * columns + first)
            out = y + (i * columns + first)
            if relu != 0:
                for c in range(width):
                    out[c] = activate(((row[c] - center[c]) - rest[c]) * inv[c] * weight[c] + bias[c], True)
            else:
                for c in range(width):
                    out[c] = ((row[c] - center[c]) - rest[c]) * inv[c] * weight[c] + bias[c]


cdef cloned_void row_sums(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    """For each channel: the sum of dy, then the sum of dy x̂."""
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef int64_t columns = dims[0]
    cdef double relu = scalars[0]
    cdef real center[PANEL]
    cdef real rest[PANEL]
    cdef real inv[PANEL]
    cdef real lane[PANEL]
    cdef real product[PANEL]
    cdef const real *row
    cdef const real *weight
    cdef const real *bias
    cdef const real *slope
    cdef real xhat, d
    cdef int64_t part, group, first, block, i, c, width
    for part in range((columns + PANEL - 1) // PANEL):
        first = part * PANEL
        width = min(<int64_t> PANEL, columns - first)
        weight = gamma + first
        bias = beta + first
        for c in range(width):
            center[c] = <real> mean[first + c]
            rest[c] = <real> residual(mean[first + c], center[c])
            inv[c] = <real> invstd[first + c]
        for group in range((stop - start + ROWS - 1) // ROWS):
            block = start + group * ROWS
            for c in range(width):
                lane[c] = 0
                product[c] = 0
            for i in range(block, min(block + ROWS, stop)):
                row = x + (i * columns + first)
                slope = dy + (i * columns + first)
                if relu != 0:
                    for c in range(width):
                        xhat = ((row[c] - center[c]) - rest[c]) * inv[c]
                        d = <real> 0 if xhat * weight[c] + bias[c] <= 0 else slope[c]
                        lane[c] = lane[c] + d
                        product[c] = product[c] + d * xhat
                else:
                    for c in range(width):
                        xhat = ((row[c] - center[c]) - rest[c]) * inv[c]
                        lane[c] = lane[c] + slope[c]
                        product[c] = product[c] + slope[c] * xhat
            for c in range(width):
                partials[first + c] = partials[first + c] + lane[c]
                partials[columns + first + c] = partials[columns + first + c] + product[c]


cdef cloned_void row_backward(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *dy = buffers[0]
    cdef const real *x = buffers[1]
    cdef const real *gamma = buffers[2]
    cdef const real *beta = buffers[3]
    cdef const double *mean = <const double *> buffers[4]
    cdef const double *invstd = <const double *> buffers[5]
    cdef const double *sums = <const double *> buffers[6]
    cdef real *dx = buffers[7]
    cdef int64_t columns = dims[0]
    cdef int64_t rows = dims[1]
    cdef double training = scalars[0]
    cdef double relu = scalars[1]
    cdef real center[PANEL]
    cdef real rest[PANEL]
    cdef real inv[PANEL]
    cdef real scale[PANEL]
    cdef real mean_dy[PANEL]
    cdef real mean_product[PANEL]
    cdef const real *row
    cdef const real *weight
    cdef const real *bias
    cdef const real *slope
    cdef real *out
    cdef real xhat, d
    cdef int64_t part, first, i, c, width
    for part in range((columns + PANEL - 1) // PANEL):
        first = part * PANEL
        width = min(<int64_t> PANEL, columns - first)
        weight = gamma + first
        bias = beta + first
        for c in range(width):
            center[c] = <real> mean[first + c]
            rest[c] = <real> residual(mean[first + c], center[c])
            inv[c] = <real> invstd[first + c]
            scale[c] = weight[c] * inv[c]
            mean_dy[c] = <real> (sums[first + c] / <double> rows)
            mean_product[c] = <real> (sums[columns + first + c] / <double> rows)
        for i in range(start, stop):
            row = x + (i * columns + first)
            slope = dy + (i * columns + first)
            out = dx + (i * columns + first)
            if training != 0 and relu != 0:
                for c in range(width):
                    xhat = ((row[c] - center[c]) - rest[c]) * inv[c]
                    d = <real> 0 if xhat * weight[c] + bias[c] <= 0 else slope[c]
                    out[c] = scale[c] * ((d - mean_dy[c]) - xhat * mean_product[c])
            elif training != 0:
                for c in range(width):
                    xhat = ((row[c] - center[c]) - rest[c]) * inv[c]
                    out[c] = scale[c] * ((slope[c] - mean_dy[c]) - xhat * mean_product[c])
            elif relu != 0:
                for c in range(width):
                    xhat = ((row[c] - center[c]) - rest[c]) * inv[c]
                    d = <real> 0 if xhat * weight[c] + bias[c] <= 0 else slope[c]
                    out[c] = scale[c] * d
            else:
                for c in range(width):
                    out[c] = scale[c] * slope[c]


KERNELS = {     # (float32, float64)
    "channel_forward": (<uintptr_t> <void *> channel_forward[float], <uintptr_t> <void *> channel_forward[double]),
    "channel_normalize": (
        <uintptr_t> <void *> channel_normalize[float], <uintptr_t> <void *> channel_normalize[double]),
    "channel_backward": (
        <uintptr_t> <void *> channel_backward[float], <uintptr_t> <void *> channel_backward[double]),
    "row_moments": (<uintptr_t> <void *> row_moments[float], <uintptr_t> <void *> row_moments[double]),
    "row_normalize": (<uintptr_t> <void *> row_normalize[float], <uintptr_t> <void *> row_normalize[double]),
    "row_sums": (<uintptr_t> <void *> row_sums[float], <uintptr_t> <void *> row_sums[double]),
    "row_backward": (<uintptr_t> <void *> row_backward[float], <uintptr_t> <void *> row_backward[double]),
}
