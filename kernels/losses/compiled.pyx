"""Loss kernels, ahead of time. The formulas are those of rules.py, pieces.py and jit.py, in the same order of operations.

Every loss kernel writes the gradient (times `scale`) and the value: one per element (elementwise losses), or one per row
(softmax, probabilities, cosine). Small kernels behind it turn values into row means, weigh rows, and add up.

A literal in a formula is a double in C, and would widen it: constants have the kernel's type (`one`, `two`).
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport int64_t, uintptr_t

from fastopt.kernels.losses import compiled_regression, compiled_rows, compiled_stages

from kernels.losses.pieces cimport (
    CHUNK, PART, SHORT, artanh_of, below, clipped, depth, exp_nonpositive, exponentials, fetch_ahead, inside, lane_sum,
    load_tile, log_of, minus_size_of, one_hot_tile, power_below, probabilities_tile, product_sum, row_max, row_sum,
    scaled_product_sum, size_of,
    softmax_tile, store_tile,
)
from kernels.runtime.abi cimport cloned_void, real



# ---- elementwise losses

cdef cloned_void mean_squared_error(real **buffers, const int64_t *dims, const double *scalars,
                                    int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real two = 2
    cdef real error
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            error = y_pred[i] - y_true[i]
            gradient[i] = scale * (two * error)
            value[i] = error * error


cdef cloned_void mean_absolute_error(real **buffers, const int64_t *dims, const double *scalars,
                                     int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real error, sign
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
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
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
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
    cdef real one = 1
    cdef real t, other, rest, p, q, slope
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = keep * y_true[i] + shift
            other = one - t
            rest = one - y_pred[i]
            p = epsilon if y_pred[i] < epsilon else y_pred[i]
            p = high if p > high else p
            q = epsilon if rest < epsilon else rest
            q = high if q > high else q
            slope = other / q - t / p
            slope = 0 if y_pred[i] < epsilon else slope
            slope = 0 if rest < epsilon else slope
            gradient[i] = scale * slope
            value[i] = -(t * log_of(p) + other * log_of(q))


cdef cloned_void binary_crossentropy_logits(real **buffers, const int64_t *dims, const double *scalars,
                                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real one = 1
    cdef real two = 2
    cdef real t, other, size, e, wrong, linear, part, less_likely
    cdef int64_t first, last, i
    for first in range(start, stop, 128):
        last = min(first + PART, stop)
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, last):    # a loop of its own: the chain of operations of both is longer than a CPU looks ahead
            value[i] = exp_nonpositive(minus_size_of(y_pred[i]))
        for i in range(first, last):
            t = keep * y_true[i] + shift
            other = one - t
            size = size_of(y_pred[i])
            e = value[i]
            wrong = other if y_pred[i] > 0 else t
            linear = size * wrong
            linear = 0 if wrong == 0 else linear
            part = e * (one / ((one + e) * (two + e)))
            less_likely = (two + e) * part      # e / (1 + e)
            gradient[i] = scale * (wrong - less_likely if y_pred[i] > 0 else less_likely - wrong)
            value[i] = linear + two * artanh_of((one + e) * part)   # log(1 + e) = 2 artanh(e / (2 + e))


cdef cloned_void hinge(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real slope = <real> scalars[1]
    cdef real offset = <real> scalars[2]
    cdef real one = 1
    cdef real t, margin, flat, steep
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = slope * y_true[i] + offset
            margin = one - t * y_pred[i]
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
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            t = epsilon if y_true[i] < epsilon else y_true[i]
            p = epsilon if y_pred[i] < epsilon else y_pred[i]
            ratio = t / p
            slope = -(scale * ratio)
            gradient[i] = 0 if y_pred[i] < epsilon else slope
            value[i] = t * log_of(ratio)


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


# ---- losses of rows

cdef cloned_void softmax(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real z_loss = <real> scalars[3]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef real x[1024]
    cdef real t[1024]
    cdef real value[32]
    cdef const real *row
    cdef const real *wanted
    cdef real *out
    cdef real two = 2
    cdef real top, mass, d, level, pull
    cdef double targets, dot
    cdef int64_t r, c, first, size
    for r in range(start, stop if columns < SHORT else start, 32):
        size = min(<int64_t> 32, stop - r)
        load_tile(x, y_pred + r * columns, columns, size, <real> 1, <real> 0)
        load_tile(t, y_true + r * columns, columns, size, keep, shift)
        softmax_tile(x, t, value, columns, scale, z_loss)
        for c in range(size):
            values[r + c] = value[c]
        if gradient_wanted:
            store_tile(gradient + r * columns, x, columns, size)
    for r in range(start if columns >= SHORT else stop, stop):
        row, wanted, out = y_pred + r * columns, y_true + r * columns, gradient + r * columns
        top = row_max(row, columns)
        targets = dot = 0
        for first in range(0, columns, 1024):
            size = min(<int64_t> CHUNK, columns - first)
            for c in range(size):
                t[c] = keep * wanted[first + c] + shift
                d = below(row[first + c], top)
                x[c] = t[c] * d
                x[c] = 0 if t[c] == 0 else x[c]
            targets += lane_sum(t, size)
            dot += lane_sum(x, size)
        mass = exponentials(row, out, columns, top)
        values[r] = <real> targets * log_of(mass) - <real> dot
        pull = <real> targets
        if z_loss != 0:
            level = top + log_of(mass)
            values[r] += z_loss * (level * level)
            pull = pull + two * z_loss * level
        if gradient_wanted:
            mass = scale * pull / mass
            for c in range(columns):
                d = keep * wanted[c] + shift
                out[c] = mass * out[c] - scale * d


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
    cdef real x[1024]
    cdef real t[1024]
    cdef real logs[1024]
    cdef real value[32]
    cdef const real *row
    cdef const real *wanted
    cdef real *out
    cdef real mass, q, slope, all_kept
    cdef double loss, kept
    cdef int64_t r, c, first, size
    for r in range(start, stop if columns < SHORT else start, 32):
        size = min(<int64_t> 32, stop - r)
        load_tile(x, y_pred + r * columns, columns, size, <real> 1, <real> 0)
        load_tile(t, y_true + r * columns, columns, size, keep, shift)
        probabilities_tile(x, t, logs, value, columns, scale)
        for c in range(size):
            values[r + c] = value[c]
        if gradient_wanted:
            store_tile(gradient + r * columns, x, columns, size)
    for r in range(start if columns >= SHORT else stop, stop):
        row, wanted, out = y_pred + r * columns, y_true + r * columns, gradient + r * columns
        mass = <real> lane_sum(row, columns)
        loss = kept = 0
        for first in range(0, columns, 1024):
            size = min(<int64_t> CHUNK, columns - first)
            for c in range(size):
                q = row[first + c] / mass
                slope = keep * wanted[first + c] + shift
                logs[c] = slope * log_of(clipped(q))
                t[c] = slope if inside(q) else 0
            loss -= lane_sum(logs, size)
            kept += lane_sum(t, size)
        values[r] = <real> loss
        if gradient_wanted:
            all_kept = <real> kept
            for c in range(columns):
                q = row[c] / mass
                slope = (keep * wanted[c] + shift) / clipped(q)
                slope = slope if inside(q) else 0
                out[c] = (all_kept - slope) * (scale / mass)


cdef cloned_void softmax_sparse(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *labels = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real z_loss = <real> scalars[1]
    cdef real keep = <real> scalars[2]
    cdef real shift = <real> scalars[3]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef int64_t ignore_class = dims[2]
    cdef real x[1024]
    cdef real t[1024]
    cdef real value[32]
    cdef const real *row
    cdef real *out
    cdef real one = 1
    cdef real two = 2
    cdef real top, picked, mass, level, pull, spread
    cdef int64_t r, c, size
    for r in range(start, stop if columns < SHORT else start, 32):
        size = min(<int64_t> 32, stop - r)
        load_tile(x, y_pred + r * columns, columns, size, <real> 1, <real> 0)
        one_hot_tile(t, labels + r, columns, size, ignore_class, keep, shift)
        softmax_tile(x, t, value, columns, scale, z_loss)
        for c in range(size):
            values[r + c] = value[c]
        if gradient_wanted:
            store_tile(gradient + r * columns, x, columns, size)
    for r in range(start if columns >= SHORT else stop, stop):
        if labels[r] == ignore_class:
            continue
        row, out = y_pred + r * columns, gradient + r * columns
        top = row_max(row, columns)
        picked = below(row[labels[r]], top)
        mass = exponentials(row, out, columns, top)
        values[r] = log_of(mass) - keep * picked
        if shift != 0:
            values[r] -= shift * <real> depth(row, x, columns, top)
        pull = one
        if z_loss != 0:
            level = top + log_of(mass)
            values[r] += z_loss * (level * level)
            pull = one + two * z_loss * level
        if gradient_wanted:
            mass = scale * pull / mass
            spread = scale * shift
            for c in range(columns):
                out[c] = mass * out[c] - spread
            out[labels[r]] -= scale * keep
    for r in range(start, stop):
        if labels[r] == ignore_class:
            values[r] = 0
            for c in range(r * columns, (r + gradient_wanted) * columns):
                gradient[c] = 0


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
    cdef real mass, q, kept
    cdef int64_t r, c
    for r in range(start, stop):
        out, kept, mass, q, values[r] = gradient + r * columns, 0, 1, 1, 0
        if labels[r] != ignore_class:
            mass = <real> row_sum(y_pred + r * columns, columns)
            q = y_pred[r * columns + labels[r]] / mass
            values[r] = -log_of(clipped(q))
            kept = 1 if inside(q) else 0
        if gradient_wanted:
            for c in range(columns):
                out[c] = kept * (scale / mass)
            if labels[r] != ignore_class:
                out[labels[r]] = (kept - kept / clipped(q)) * (scale / mass)


cdef cloned_void cosine_proximity(real **buffers, const int64_t *dims, const double *scalars,
                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef real products[1024]
    cdef const real *t
    cdef const real *p
    cdef double norm, length, product, cosine
    cdef real towards, back, of_true, of_pred
    cdef int64_t r, c
    for r in range(start, stop):
        t, p = y_true + r * columns, y_pred + r * columns
        of_true = of_pred = 1
        norm, length = product_sum(t, t, products, columns), product_sum(p, p, products, columns)
        product = product_sum(t, p, products, columns)
        if not (norm < INFINITY and length < INFINITY and fabs(product) < INFINITY):    # too large to be squared, maybe
            of_true, of_pred = power_below(t, columns), power_below(p, columns)
            norm = scaled_product_sum(t, t, of_true, of_true, products, columns)
            length = scaled_product_sum(p, p, of_pred, of_pred, products, columns)
            product = scaled_product_sum(t, p, of_true, of_pred, products, columns)
        norm, length = sqrt(norm), sqrt(length)
        norm = 1e-7 * of_true if norm < 1e-7 * of_true else norm
        back = 0 if length < 1e-7 * of_pred else 1      # a clipped length doesn't change with y_pred
        length = 1e-7 * of_pred if length < 1e-7 * of_pred else length
        cosine = product / norm / length
        values[r] = <real> -cosine
        if gradient_wanted:
            towards = <real> (scale / (norm * length)) * of_pred
            back = back * <real> (scale * cosine / (length * length)) * of_pred
            for c in range(columns):
                gradient[r * columns + c] = back * (of_pred * p[c]) - towards * (of_true * t[c])


# ---- checks: how many elements, rows or labels are not as they must be

cdef cloned_void outside(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *value = buffers[0]
    cdef real low = <real> scalars[0]
    cdef real high = <real> scalars[1]
    cdef int64_t first, i
    cdef int out, nan       # as wide as a float, so that it is counted in as many lanes
    for first in range(start, stop, 128):
        fetch_ahead(value + first, NULL)
        out = nan = 0
        for i in range(first, min(first + PART, stop)):
            out += (value[i] < low) | (value[i] > high)
            nan += value[i] != value[i]
        partials[0] += out
        partials[1] += nan


cdef cloned_void signs(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef int64_t first, i
    cdef int ones, zeros, minus_ones
    for first in range(start, stop, 1024):
        ones = zeros = minus_ones = 0
        for i in range(first, min(first + CHUNK, stop)):
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
    cdef int64_t r, first, i, wrong = 0
    cdef int outside
    cdef double sum
    for first in range(start * columns, stop * columns, 1024):
        outside = 0
        for i in range(first, min(first + CHUNK, stop * columns)):
            outside += not ((y_true[i] >= 0) & (y_true[i] <= 1))
        wrong += outside
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
        <uintptr_t> <void *> mean_squared_error[float],
        <uintptr_t> <void *> mean_squared_error[double]),
    "mean_absolute_error": (
        <uintptr_t> <void *> mean_absolute_error[float],
        <uintptr_t> <void *> mean_absolute_error[double]),
    "huber": (<uintptr_t> <void *> huber[float], <uintptr_t> <void *> huber[double]),
    "binary_crossentropy": (
        <uintptr_t> <void *> binary_crossentropy[float],
        <uintptr_t> <void *> binary_crossentropy[double]),
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
    "softmax": (<uintptr_t> <void *> softmax[float], <uintptr_t> <void *> softmax[double]),
    "probabilities": (<uintptr_t> <void *> probabilities[float], <uintptr_t> <void *> probabilities[double]),
    "softmax_sparse": (<uintptr_t> <void *> softmax_sparse[float], <uintptr_t> <void *> softmax_sparse[double]),
    "probabilities_sparse": (
        <uintptr_t> <void *> probabilities_sparse[float],
        <uintptr_t> <void *> probabilities_sparse[double]),
    "cosine_proximity": (<uintptr_t> <void *> cosine_proximity[float], <uintptr_t> <void *> cosine_proximity[double]),
    "outside": (<uintptr_t> <void *> outside[float], <uintptr_t> <void *> outside[double]),
    "signs": (<uintptr_t> <void *> signs[float], <uintptr_t> <void *> signs[double]),
    "not_distributions": (
        <uintptr_t> <void *> not_distributions[float],
        <uintptr_t> <void *> not_distributions[double]),
    "labels_outside": (<uintptr_t> <void *> labels_outside[float], <uintptr_t> <void *> labels_outside[double]),
} | compiled_regression.KERNELS | compiled_rows.KERNELS | compiled_stages.KERNELS
