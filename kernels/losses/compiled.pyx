"""Loss kernels, ahead of time. The formulas are those of rules.py and jit.py, in the same order of operations.

Every loss kernel writes the gradient (times `scale`) and the value: one per element (elementwise losses), or one per row
(softmax, probabilities, cosine). Small kernels behind it turn values into row means, weigh rows, and add up.

Rows of at least 32 elements are summed in 32 lanes inside the row. Shorter ones are taken 32 at a time, transposed in
a local tile, so that a lane is a row: a loop over a short row does not vectorise. exp and log stand in loops of their own,
without a sum: those vectorise everywhere.
"""
from libc.stdint cimport int64_t, uintptr_t

from kernels.runtime.abi cimport cloned_void, real

cdef extern from "simd.h" nogil:
    float exp_float(float)
    float log_float(float)
    float log1p_float(float)
    double exp_double(double)
    double log_double(double)
    double log1p_double(double)
    double sqrt(double)

cdef enum:
    SHORT = 32      # rows below this length go 32 at a time
    CHUNK = 1024    # elements that are summed in the kernel's type before double takes over


cdef inline real exp(real x) noexcept nogil:
    return exp_float(x) if real is float else exp_double(x)


cdef inline real log(real x) noexcept nogil:
    return log_float(x) if real is float else log_double(x)


cdef inline real log1p(real x) noexcept nogil:
    return log1p_float(x) if real is float else log1p_double(x)


# ---- elementwise losses

cdef cloned_void mean_squared_error(real **buffers, const int64_t *dims, const double *scalars,
                                    int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real error
    cdef int64_t i
    for i in range(start, stop):
        error = y_pred[i] - y_true[i]
        gradient[i] = scale * (2 * error)
        value[i] = error * error


cdef cloned_void mean_absolute_error(real **buffers, const int64_t *dims, const double *scalars,
                                     int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real error, sign
    cdef int64_t i
    for i in range(start, stop):
        error = y_pred[i] - y_true[i]
        sign = -1 if error < 0 else error
        sign = 1 if error > 0 else sign
        gradient[i] = scale * sign
        value[i] = -error if error < 0 else error


cdef cloned_void huber(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real delta = <real> scalars[1]
    cdef real half = <real> 0.5
    cdef real error, size, square, linear, slope
    cdef int64_t i
    for i in range(start, stop):
        error = y_pred[i] - y_true[i]
        size = -error if error < 0 else error
        square = half * error * error
        linear = delta * (size - half * delta)
        slope = delta if error > delta else error
        slope = -delta if error < -delta else slope
        gradient[i] = scale * slope
        value[i] = square if size <= delta else linear


cdef cloned_void binary_crossentropy(real **buffers, const int64_t *dims, const double *scalars,
                                     int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real epsilon = <real> 1e-7
    cdef real high = <real> 0.9999999
    cdef real t, other, rest, p, q, slope
    cdef int64_t i
    for i in range(start, stop):
        t = keep * y_true[i] + shift
        other = 1 - t
        rest = 1 - y_pred[i]
        p = epsilon if y_pred[i] < epsilon else y_pred[i]
        p = high if p > high else p
        q = epsilon if rest < epsilon else rest
        q = high if q > high else q
        slope = other / q - t / p
        slope = 0 if y_pred[i] < epsilon else slope
        slope = 0 if rest < epsilon else slope
        gradient[i] = scale * slope
        value[i] = -(t * log(p) + other * log(q))


cdef cloned_void binary_crossentropy_logits(real **buffers, const int64_t *dims, const double *scalars,
                                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real t, other, size, e, wrong, linear, less_likely, above, below
    cdef int64_t i
    for i in range(start, stop):
        t = keep * y_true[i] + shift
        other = 1 - t
        size = -y_pred[i] if y_pred[i] < 0 else y_pred[i]
        e = exp(-size)
        wrong = other if y_pred[i] > 0 else t
        linear = size * wrong
        linear = 0 if wrong == 0 else linear
        less_likely = e / (1 + e)
        above = other - less_likely
        below = less_likely - t
        gradient[i] = scale * (above if y_pred[i] > 0 else below)
        value[i] = linear + log1p(e)


cdef cloned_void hinge(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real slope = <real> scalars[1]
    cdef real offset = <real> scalars[2]
    cdef real t, margin, flat, steep
    cdef int64_t i
    for i in range(start, stop):
        t = slope * y_true[i] + offset
        margin = 1 - t * y_pred[i]
        flat = 0 if margin <= 0 else margin
        steep = -(scale * t)
        gradient[i] = steep if margin > 0 else flat
        value[i] = flat


cdef cloned_void kullback_leibler_divergence(real **buffers, const int64_t *dims, const double *scalars,
                                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real epsilon = <real> 1e-7
    cdef real t, p, ratio, slope
    cdef int64_t i
    for i in range(start, stop):
        t = epsilon if y_true[i] < epsilon else y_true[i]
        p = epsilon if y_pred[i] < epsilon else y_pred[i]
        ratio = t / p
        slope = -(scale * ratio)
        gradient[i] = 0 if y_pred[i] < epsilon else slope
        value[i] = t * log(ratio)


# ---- sums and tiles

cdef inline real folded(real *lanes) noexcept nogil:
    """Return the sum of 32 lanes, folded in halves."""
    cdef int64_t width = 16, l
    while width > 0:
        for l in range(width):
            lanes[l] += lanes[l + width]
        width = width // 2
    return lanes[0]


cdef inline double lane_sum(const real *x, int64_t size) noexcept nogil:
    """Return the sum of x[:size], in lanes of the kernel's type for each chunk."""
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
    cdef real total = 0
    cdef int64_t c
    if columns >= SHORT:
        return lane_sum(row, columns)
    for c in range(columns):
        total += row[c]
    return total


cdef inline void load_tile(real *tile, const real *rows, int64_t columns, int64_t count) noexcept nogil:
    """Transpose `count` rows into a tile of 32; the last one stands for those that are missing."""
    cdef int64_t l, c
    cdef const real *row
    for l in range(32):
        row = rows + min(l, count - 1) * columns
        for c in range(columns):
            tile[32 * c + l] = row[c]


cdef inline void store_tile(real *rows, const real *tile, int64_t columns, int64_t count) noexcept nogil:
    cdef int64_t l, c
    for l in range(count):
        for c in range(columns):
            rows[l * columns + c] = tile[32 * c + l]


# ---- what follows a loss kernel

cdef cloned_void row_means(real **buffers, const int64_t *dims, const double *scalars,
                           int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *value = buffers[0]
    cdef real *values = buffers[1]
    cdef int64_t columns = dims[0]
    cdef int64_t divisor = dims[1]
    cdef real lanes[32]
    cdef real share = <real> divisor
    cdef int64_t r, c, l
    r = start
    while columns < SHORT and r + 32 <= stop:
        for l in range(32):
            lanes[l] = 0
        for c in range(columns):
            for l in range(32):
                lanes[l] += value[(r + l) * columns + c]
        for l in range(32):
            values[r + l] = lanes[l] / share
        r += 32
    while r < stop:
        values[r] = <real> row_sum(value + r * columns, columns) / share
        r += 1


cdef cloned_void weigh_values(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *weight = buffers[0]
    cdef real *values = buffers[1]
    cdef int64_t i
    for i in range(start, stop):
        values[i] = weight[i] * values[i]


cdef cloned_void weigh_gradient(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *weight = buffers[0]
    cdef real *gradient = buffers[1]
    cdef int64_t columns = dims[0]
    cdef int64_t r, c
    if columns == 1:
        for r in range(start, stop):
            gradient[r] = weight[r] * gradient[r]
        return
    for r in range(start, stop):
        for c in range(r * columns, (r + 1) * columns):
            gradient[c] = weight[r] * gradient[c]


cdef cloned_void total(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *value = buffers[0]
    partials[0] += lane_sum(value + start, stop - start)


# ---- softmax losses. Logits that equal their row's maximum lie 0 below it, even when both are infinite.

cdef inline real row_max(const real *row, int64_t columns) noexcept nogil:
    """Return the largest element; NaN is passed over."""
    cdef real lanes[32]
    cdef real x
    cdef int64_t c, l
    for l in range(32):
        lanes[l] = row[l]
    for c in range(32, columns - 31, 32):
        for l in range(32):
            x = row[c + l]
            lanes[l] = x if x > lanes[l] else lanes[l]
    for c in range(columns - columns % 32, columns):
        x = row[c]
        lanes[c % 32] = x if x > lanes[c % 32] else lanes[c % 32]
    x = lanes[0]
    for l in range(1, 32):
        x = lanes[l] if not lanes[l] <= x else x
    return x


cdef inline real below(real x, real top) noexcept nogil:
    cdef real difference = x - top
    return 0 if x == top else difference


cdef inline void softmax_tile(real *x, const real *t, real *value, int64_t columns, real scale) noexcept nogil:
    """Turn a tile of logits into gradients; a lane is a row."""
    cdef real top[32]
    cdef real mass[32]
    cdef real targets[32]
    cdef real dot[32]
    cdef real factor[32]
    cdef real d, term
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
        x[c] = exp(x[c])
    for c in range(columns):
        for l in range(32):
            mass[l] += x[32 * c + l]
    for l in range(32):
        value[l] = targets[l] * log(mass[l]) - dot[l]
        factor[l] = scale * targets[l] / mass[l]
    for c in range(columns):
        for l in range(32):
            x[32 * c + l] = factor[l] * x[32 * c + l] - scale * t[32 * c + l]


cdef inline double exponentials(const real *row, real *out, int64_t columns, real top) noexcept nogil:
    """Write exp(row - top) and return its sum."""
    cdef int64_t first, last, c
    cdef double mass = 0
    for first in range(0, columns, 1024):
        last = min(first + CHUNK, columns)
        for c in range(first, last):
            out[c] = exp(below(row[c], top))
        mass += lane_sum(out + first, last - first)
    return mass


cdef cloned_void softmax_sparse(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *labels = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef int64_t ignore_class = dims[2]
    cdef real x[1024]
    cdef real t[1024]
    cdef real value[32]
    cdef const real *row
    cdef real *out
    cdef real top, picked, mass, factor
    cdef int64_t r, c, l, count
    if columns < SHORT:
        for r in range(start, stop, 32):
            count = min(<int64_t> 32, stop - r)
            load_tile(x, y_pred + r * columns, columns, count)
            for c in range(32 * columns):
                t[c] = 0
            for l in range(count):
                if labels[r + l] != ignore_class:
                    t[32 * labels[r + l] + l] = 1
            softmax_tile(x, t, value, columns, scale)
            for l in range(count):
                if labels[r + l] == ignore_class:
                    value[l] = 0
                    for c in range(columns):
                        x[32 * c + l] = 0
                values[r + l] = value[l]
            if gradient_wanted:
                store_tile(gradient + r * columns, x, columns, count)
        return
    for r in range(start, stop):
        row, out = y_pred + r * columns, gradient + r * columns
        if labels[r] == ignore_class:
            values[r] = 0
            if gradient_wanted:
                for c in range(columns):
                    out[c] = 0
            continue
        top = row_max(row, columns)
        picked = below(row[labels[r]], top)
        mass = <real> exponentials(row, out, columns, top)
        values[r] = log(mass) - picked
        if gradient_wanted:
            factor = scale / mass
            for c in range(columns):
                out[c] = factor * out[c]
            out[labels[r]] -= scale


cdef cloned_void softmax(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef real target_lanes[32]
    cdef real dot_lanes[32]
    cdef real x[1024]
    cdef real tile[1024]
    cdef real value[32]
    cdef const real *row
    cdef const real *wanted
    cdef real *out
    cdef real top, mass, t, d, term, factor
    cdef double targets, dot
    cdef int64_t r, c, l, first, last, count
    if columns < SHORT:
        for r in range(start, stop, 32):
            count = min(<int64_t> 32, stop - r)
            load_tile(x, y_pred + r * columns, columns, count)
            load_tile(tile, y_true + r * columns, columns, count)
            for c in range(32 * columns):
                tile[c] = keep * tile[c] + shift
            softmax_tile(x, tile, value, columns, scale)
            for l in range(count):
                values[r + l] = value[l]
            if gradient_wanted:
                store_tile(gradient + r * columns, x, columns, count)
        return
    for r in range(start, stop):
        row, wanted, out = y_pred + r * columns, y_true + r * columns, gradient + r * columns
        top = row_max(row, columns)
        targets = dot = 0
        for first in range(0, columns, 1024):
            last = min(first + CHUNK, columns)
            for l in range(32):
                target_lanes[l] = dot_lanes[l] = 0
            for c in range(first, last - 31, 32):
                for l in range(32):
                    t = keep * wanted[c + l] + shift
                    d = below(row[c + l], top)
                    term = t * d
                    dot_lanes[l] += 0 if t == 0 else term
                    target_lanes[l] += t
            c = last - (last - first) % 32
            for l in range(last - c):
                t = keep * wanted[c + l] + shift
                d = below(row[c + l], top)
                term = t * d
                dot_lanes[l] += 0 if t == 0 else term
                target_lanes[l] += t
            targets += folded(target_lanes)
            dot += folded(dot_lanes)
        mass = <real> exponentials(row, out, columns, top)
        values[r] = <real> targets * log(mass) - <real> dot
        if gradient_wanted:
            factor = scale * <real> targets / mass
            for c in range(columns):
                t = keep * wanted[c] + shift
                out[c] = factor * out[c] - scale * t


# ---- losses of probabilities: rows are divided by their sum, then clipped; no gradient where the clip bites

cdef inline real clipped(real q) noexcept nogil:
    cdef real epsilon = <real> 1e-7
    cdef real high = <real> 0.9999999
    q = epsilon if q < epsilon else q
    return high if q > high else q


cdef inline bint inside(real q) noexcept nogil:
    return (q >= <real> 1e-7) & (q <= <real> 0.9999999)


cdef cloned_void probabilities_sparse(real **buffers, const int64_t *dims, const double *scalars,
                                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *labels = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef int64_t ignore_class = dims[2]
    cdef real *out
    cdef real mass, q, kept, factor, rest
    cdef int64_t r, c
    for r in range(start, stop):
        kept = rest = factor = 0
        values[r] = 0
        if labels[r] != ignore_class:
            mass = <real> row_sum(y_pred + r * columns, columns)
            q = y_pred[r * columns + labels[r]] / mass
            values[r] = -log(clipped(q))
            kept = 1 if inside(q) else 0
            factor = scale / mass
            rest = kept * factor
        if gradient_wanted:
            out = gradient + r * columns
            for c in range(columns):
                out[c] = rest
            if labels[r] != ignore_class:
                out[labels[r]] = (kept - kept / clipped(q)) * factor


cdef inline void probabilities_tile(real *x, const real *t, real *logs, real *value, int64_t columns,
                                    real scale) noexcept nogil:
    """Turn a tile of probabilities into gradients; a lane is a row."""
    cdef real mass[32]
    cdef real kept[32]
    cdef real factor[32]
    cdef real q, slope
    cdef int64_t c, l
    for l in range(32):
        mass[l] = kept[l] = value[l] = 0
    for c in range(columns):
        for l in range(32):
            mass[l] += x[32 * c + l]
    for l in range(32):
        factor[l] = scale / mass[l]
    for c in range(columns):
        for l in range(32):
            x[32 * c + l] = x[32 * c + l] / mass[l]
    for c in range(32 * columns):
        logs[c] = log(clipped(x[c]))
    for c in range(columns):
        for l in range(32):
            value[l] -= t[32 * c + l] * logs[32 * c + l]
            kept[l] += t[32 * c + l] if inside(x[32 * c + l]) else 0
    for c in range(columns):
        for l in range(32):
            q = x[32 * c + l]
            slope = t[32 * c + l] / clipped(q)
            slope = slope if inside(q) else 0
            x[32 * c + l] = (kept[l] - slope) * factor[l]


cdef cloned_void probabilities(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef real lanes[32]
    cdef real kept_lanes[32]
    cdef real x[1024]
    cdef real tile[1024]
    cdef real logs[1024]
    cdef real value[32]
    cdef const real *row
    cdef const real *wanted
    cdef real *out
    cdef real mass, q, t, slope, factor, all_kept
    cdef double loss, kept
    cdef int64_t r, c, l, first, last, count
    if columns < SHORT:
        for r in range(start, stop, 32):
            count = min(<int64_t> 32, stop - r)
            load_tile(x, y_pred + r * columns, columns, count)
            load_tile(tile, y_true + r * columns, columns, count)
            for c in range(32 * columns):
                tile[c] = keep * tile[c] + shift
            probabilities_tile(x, tile, logs, value, columns, scale)
            for l in range(count):
                values[r + l] = value[l]
            if gradient_wanted:
                store_tile(gradient + r * columns, x, columns, count)
        return
    for r in range(start, stop):
        row, wanted, out = y_pred + r * columns, y_true + r * columns, gradient + r * columns
        mass = <real> row_sum(row, columns)
        loss = kept = 0
        for first in range(0, columns, 1024):
            last = min(first + CHUNK, columns)
            for c in range(last - first):
                x[c] = row[first + c] / mass
                tile[c] = keep * wanted[first + c] + shift
            for c in range(last - first):
                logs[c] = tile[c] * log(clipped(x[c]))
                tile[c] = tile[c] if inside(x[c]) else 0
            loss -= lane_sum(logs, last - first)
            kept += lane_sum(tile, last - first)
        values[r] = <real> loss
        if gradient_wanted:
            all_kept = <real> kept
            factor = scale / mass
            for c in range(columns):
                q = row[c] / mass
                t = keep * wanted[c] + shift
                slope = t / clipped(q)
                slope = slope if inside(q) else 0
                out[c] = (all_kept - slope) * factor


# ---- cosine

cdef inline double dot_product(const real *a, const real *b, int64_t columns) noexcept nogil:
    """Return the sum of a b: short rows in order, long ones in lanes."""
    cdef real lanes[32]
    cdef real in_order = 0
    cdef double result = 0
    cdef int64_t first, last, c, l
    if columns < SHORT:
        for c in range(columns):
            in_order += a[c] * b[c]
        return in_order
    for first in range(0, columns, 1024):
        last = min(first + CHUNK, columns)
        for l in range(32):
            lanes[l] = 0
        for c in range(first, last - 31, 32):
            for l in range(32):
                lanes[l] += a[c + l] * b[c + l]
        c = last - (last - first) % 32
        for l in range(last - c):
            lanes[l] += a[c + l] * b[c + l]
        result += folded(lanes)
    return result


cdef cloned_void cosine_proximity(real **buffers, const int64_t *dims, const double *scalars,
                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef const real *t
    cdef const real *p
    cdef real *out
    cdef double norm, length, cosine
    cdef real towards, back
    cdef int64_t r, c
    for r in range(start, stop):
        t, p, out = y_true + r * columns, y_pred + r * columns, gradient + r * columns
        norm = sqrt(dot_product(t, t, columns))
        norm = 1e-7 if norm < 1e-7 else norm
        length = sqrt(dot_product(p, p, columns))
        cosine = dot_product(t, p, columns) / norm
        back = 0 if length < 1e-7 else 1      # a clipped length doesn't change with y_pred
        length = 1e-7 if length < 1e-7 else length
        cosine = cosine / length
        values[r] = <real> -cosine
        if gradient_wanted:
            towards = <real> (scale / (norm * length))
            back = back * <real> (scale * cosine / (length * length))
            for c in range(columns):
                out[c] = back * p[c] - towards * t[c]


# ---- checks: how many elements, rows or labels are not as they must be

cdef cloned_void outside(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *value = buffers[0]
    cdef real low = <real> scalars[0]
    cdef real high = <real> scalars[1]
    cdef int64_t i, out = 0, nan = 0
    for i in range(start, stop):
        out += (value[i] < low) | (value[i] > high)
        nan += value[i] != value[i]
    partials[0] += out
    partials[1] += nan


cdef cloned_void signs(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef int64_t i, ones = 0, zeros = 0, minus_ones = 0
    for i in range(start, stop):
        ones += y_true[i] == 1
        zeros += y_true[i] == 0
        minus_ones += y_true[i] == -1
    partials[0] += ones
    partials[1] += zeros
    partials[2] += minus_ones


cdef cloned_void not_distributions(real **buffers, const int64_t *dims, const double *scalars,
                                   int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef int64_t columns = dims[0]
    cdef int64_t r, i, wrong = 0
    cdef double sum
    for i in range(start * columns, stop * columns):
        wrong += not ((y_true[i] >= 0) & (y_true[i] <= 1))
    for r in range(start, stop):
        sum = row_sum(y_true + r * columns, columns)
        wrong += (sum < 0.999) | (sum > 1.001)
    partials[0] += wrong


cdef cloned_void labels_outside(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *labels = <const int64_t *> buffers[0]
    cdef int64_t columns = dims[0]
    cdef int64_t ignore_class = dims[1]
    cdef int64_t i, out = 0, ignored = 0
    for i in range(start, stop):
        out += ((labels[i] < 0) | (labels[i] >= columns)) & (labels[i] != ignore_class)
        ignored += labels[i] == ignore_class
    partials[0] += out
    partials[1] += ignored


KERNELS = {     # (float32, float64)
    "mean_squared_error": (
        <uintptr_t> <void *> mean_squared_error[float], <uintptr_t> <void *> mean_squared_error[double]),
    "mean_absolute_error": (
        <uintptr_t> <void *> mean_absolute_error[float], <uintptr_t> <void *> mean_absolute_error[double]),
    "huber": (<uintptr_t> <void *> huber[float], <uintptr_t> <void *> huber[double]),
    "binary_crossentropy": (
        <uintptr_t> <void *> binary_crossentropy[float], <uintptr_t> <void *> binary_crossentropy[double]),
    "binary_crossentropy_logits": (
        <uintptr_t> <void *> binary_crossentropy_logits[float],
        <uintptr_t> <void *> binary_crossentropy_logits[double]),
    "hinge": (<uintptr_t> <void *> hinge[float], <uintptr_t> <void *> hinge[double]),
    "kullback_leibler_divergence": (
        <uintptr_t> <void *> kullback_leibler_divergence[float],
        <uintptr_t> <void *> kullback_leibler_divergence[double]),
    "row_means": (<uintptr_t> <void *> row_means[float], <uintptr_t> <void *> row_means[double]),
    "weigh_values": (<uintptr_t> <void *> weigh_values[float], <uintptr_t> <void *> weigh_values[double]),
    "weigh_gradient": (<uintptr_t> <void *> weigh_gradient[float], <uintptr_t> <void *> weigh_gradient[double]),
    "total": (<uintptr_t> <void *> total[float], <uintptr_t> <void *> total[double]),
    "softmax_sparse": (<uintptr_t> <void *> softmax_sparse[float], <uintptr_t> <void *> softmax_sparse[double]),
    "softmax": (<uintptr_t> <void *> softmax[float], <uintptr_t> <void *> softmax[double]),
    "probabilities_sparse": (
        <uintptr_t> <void *> probabilities_sparse[float], <uintptr_t> <void *> probabilities_sparse[double]),
    "probabilities": (<uintptr_t> <void *> probabilities[float], <uintptr_t> <void *> probabilities[double]),
    "cosine_proximity": (<uintptr_t> <void *> cosine_proximity[float], <uintptr_t> <void *> cosine_proximity[double]),
    "outside": (<uintptr_t> <void *> outside[float], <uintptr_t> <void *> outside[double]),
    "signs": (<uintptr_t> <void *> signs[float], <uintptr_t> <void *> signs[double]),
    "not_distributions": (
        <uintptr_t> <void *> not_distributions[float], <uintptr_t> <void *> not_distributions[double]),
    "labels_outside": (<uintptr_t> <void *> labels_outside[float], <uintptr_t> <void *> labels_outside[double]),
}
