"""Cross-entropies of classes, ahead of time. The operations are those of jit_categorical.py and pieces.py, in the same
order.
"""
from libc.stdint cimport int64_t, uintptr_t

from kernels.losses.pieces cimport (
    CHUNK, SHORT, below, clipped, depth, exp_of, exponentials, inside, lane_sum, load_tile, log_of, one_hot_tile,
    probabilities_tile, row_max, row_sum, softmax_tile, store_tile,
)
from kernels.runtime.abi cimport cloned_void, inlined_void, real


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


cdef cloned_void generalized_crossentropy(real **buffers, const int64_t *dims, const double *scalars,
                                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    """(1 − p^q) / q of the label's probability."""
    cdef const int64_t *labels = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real q = <real> scalars[1]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef real one = 1
    cdef real logarithm
    cdef int64_t r, c
    for r in range(start, stop):
        logarithm = log_of(y_pred[r * columns + labels[r]])
        values[r] = (one - exp_of(q * logarithm)) / q
        if gradient_wanted:
            for c in range(r * columns, (r + 1) * columns):
                gradient[c] = 0
            gradient[r * columns + labels[r]] = -(scale * exp_of((q - one) * logarithm))


cdef cloned_void focal_probabilities(real **buffers, const int64_t *dims, const double *scalars,
                                     int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Sum of −alpha t (1 − q)^gamma log q, q being the row over its sum, clipped."""
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real alpha = <real> scalars[3]
    cdef real gamma = <real> scalars[4]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef real logs[1024]
    cdef real powers[1024]
    cdef real slopes[1024]
    cdef const real *p
    cdef const real *wanted
    cdef real *out
    cdef real one = 1
    cdef real mass, t, q, rest, slope, level
    cdef double value, turned
    cdef int64_t r, c, first, size
    for r in range(start, stop):
        p, wanted, out = y_pred + r * columns, y_true + r * columns, gradient + r * columns
        mass = <real> row_sum(p, columns)
        value = turned = 0
        for first in range(0, columns, 1024):
            size = min(<int64_t> CHUNK, columns - first)
            for c in range(size):
                logs[c] = log_of(clipped(p[first + c] / mass))
            for c in range(size):
                powers[c] = exp_of(gamma * log_of(one - clipped(p[first + c] / mass)))
            for c in range(size):
                t = alpha * (keep * wanted[first + c] + shift)
                q = p[first + c] / mass
                rest = one - clipped(q)
                slope = t * (gamma * (powers[c] / rest) * logs[c] - powers[c] / clipped(q))
                slope = slope if inside(q) else 0
                logs[c] = -(t * powers[c] * logs[c])
                powers[c] = slope * q
                slopes[c] = slope
            value += row_sum(logs, size)
            turned += row_sum(powers, size)
            if gradient_wanted:
                for c in range(size):
                    out[first + c] = slopes[c]
        values[r] = <real> value
        if gradient_wanted:
            level = <real> turned
            for c in range(columns):
                out[c] = (out[c] - level) * (scale / mass)


cdef inline inlined_void focal_slopes(const real *p, const real *e, const real *wanted, int64_t count, real top, real mass,
                                      real keep, real shift, real alpha, real gamma, real *terms,
                                      real *slopes) noexcept nogil:
    """Values of some classes, and q times their slopes; `e` holds exp(p − top)."""
    cdef real one = 1
    cdef real log_mass = log_of(mass)
    cdef real t, q, rest, logarithm, ratio, exponent, weighed
    cdef int64_t c
    for c in range(count):
        exponent = gamma * log_of(one - e[c] / mass)
        exponent = 0 if gamma == 0 else exponent
        terms[c] = exp_of(exponent)
    for c in range(count):
        t = alpha * (keep * wanted[c] + shift)
        q = e[c] / mass
        rest = one - q
        logarithm = below(p[c], top) - log_mass
        ratio = logarithm / rest
        ratio = -one if rest == 0 else ratio        # the limit
        weighed = q * ratio
        weighed = 0 if q == 0 else weighed
        weighed = t * (gamma * terms[c] * weighed - terms[c])
        slopes[c] = 0 if t == 0 else weighed
        logarithm = -(t * terms[c] * logarithm)
        terms[c] = 0 if t == 0 else logarithm


cdef cloned_void focal_softmax(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The same from logits, without a clip: log q comes from the logits, and q times the slope has no division by q."""
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real keep = <real> scalars[1]
    cdef real shift = <real> scalars[2]
    cdef real alpha = <real> scalars[3]
    cdef real gamma = <real> scalars[4]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef real terms[1024]
    cdef real slopes[1024]
    cdef const real *p
    cdef const real *wanted
    cdef real *out
    cdef real top, mass, level
    cdef double value, turned
    cdef int64_t r, c, first, size
    for r in range(start, stop):
        p, wanted, out = y_pred + r * columns, y_true + r * columns, gradient + r * columns
        top = p[0]
        for c in range(columns):
            top = p[c] if p[c] > top else top
        mass = exponentials(p, out, columns, top)
        value = turned = 0
        for first in range(0, columns, 1024):
            size = min(<int64_t> CHUNK, columns - first)
            focal_slopes(p + first, out + first, wanted + first, size, top, mass, keep, shift, alpha, gamma, terms, slopes)
            value += row_sum(terms, size)
            turned += row_sum(slopes, size)
        values[r] = <real> value
        level = <real> turned
        for first in range(0, columns if gradient_wanted else 0, 1024):
            size = min(<int64_t> CHUNK, columns - first)
            focal_slopes(p + first, out + first, wanted + first, size, top, mass, keep, shift, alpha, gamma, terms, slopes)
            for c in range(size):
                out[first + c] = scale * (slopes[c] - out[first + c] / mass * level)


KERNELS = {     # (float32, float64)
    "softmax": (<uintptr_t> <void *> softmax[float], <uintptr_t> <void *> softmax[double]),
    "probabilities": (<uintptr_t> <void *> probabilities[float], <uintptr_t> <void *> probabilities[double]),
    "softmax_sparse": (<uintptr_t> <void *> softmax_sparse[float], <uintptr_t> <void *> softmax_sparse[double]),
    "probabilities_sparse": (
        <uintptr_t> <void *> probabilities_sparse[float],
        <uintptr_t> <void *> probabilities_sparse[double]),
    "generalized_crossentropy": (
        <uintptr_t> <void *> generalized_crossentropy[float],
        <uintptr_t> <void *> generalized_crossentropy[double]),
    "focal_probabilities": (
        <uintptr_t> <void *> focal_probabilities[float],
        <uintptr_t> <void *> focal_probabilities[double]),
    "focal_softmax": (<uintptr_t> <void *> focal_softmax[float], <uintptr_t> <void *> focal_softmax[double]),
}
