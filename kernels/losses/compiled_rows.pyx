"""Further losses that couple the elements of a row, and the Gaussian likelihood, ahead of time; compiled.pyx has the
foundation's. jit.py and rules.py hold the same operations in the same order."""
from libc.stdint cimport int64_t, uintptr_t

from kernels.losses.pieces cimport (
    CHUNK, below, clipped, exp_of, exponentials, inside, log_of, product_sum, row_sum,
)
from kernels.runtime.abi cimport cloned_void, inlined_void, real


cdef cloned_void categorical_hinge(real **buffers, const int64_t *dims, const double *scalars,
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
    cdef real *out
    cdef real one = 1
    cdef real zero = 0
    cdef real other, best, flat, steep
    cdef double margin
    cdef int64_t r, c, at
    for r in range(start, stop):
        t, p, out = y_true + r * columns, y_pred + r * columns, gradient + r * columns
        best, at = (one - t[0]) * p[0], 0
        for c in range(1, columns):
            other = (one - t[c]) * p[c]
            if other > best or other != other:     # 0 times Inf is NaN, and travels
                best, at = other, c
        margin = (best - product_sum(t, p, products, columns)) + 1
        flat = <real> (0 if margin <= 0 else margin)        # NaN stays NaN
        values[r] = flat
        if gradient_wanted:
            steep = scale if margin > 0 else flat
            for c in range(columns):
                out[c] = zero - steep * t[c]
            out[at] = out[at] + steep * (one - t[at])


cdef cloned_void overlap(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    """1 − I / D, I = sum(t p), D = (1 − missed − added) I + missed sum(t) + added sum(p) + epsilon: Tversky's index."""
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef double scale = scalars[0]
    cdef double missed = scalars[1]
    cdef double added = scalars[2]
    cdef double epsilon = scalars[3]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef real products[1024]
    cdef const real *t
    cdef const real *p
    cdef double common, whole, rest = (1 - missed) - added
    cdef real slope, level
    cdef int64_t r, c
    for r in range(start, stop):
        t, p = y_true + r * columns, y_pred + r * columns
        common = product_sum(t, p, products, columns)
        whole = ((rest * common + missed * row_sum(t, columns)) + added * row_sum(p, columns)) + epsilon
        values[r] = <real> (1 - common / whole)
        if gradient_wanted:
            slope = <real> (scale * ((rest * common - whole) / (whole * whole)))
            level = <real> (scale * (added * common / (whole * whole)))
            for c in range(columns):
                gradient[r * columns + c] = slope * t[c] + level


cdef cloned_void multi_margin(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *labels = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *values = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real margin = <real> scalars[1]
    cdef double squared = scalars[2]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef real tile[1024]
    cdef const real *p
    cdef real *out
    cdef real one = 1
    cdef real two = 2
    cdef real share = scale / <real> columns
    cdef real own, short_of, steep
    cdef double total
    cdef int64_t r, c, first, size
    for r in range(start, stop):
        p, out = y_pred + r * columns, gradient + r * columns
        own = p[labels[r]]
        total = 0
        for first in range(0, columns, 1024):
            size = min(<int64_t> CHUNK, columns - first)
            for c in range(size):
                short_of = margin - (own - p[first + c])
                short_of = 0 if short_of <= 0 else short_of
                tile[c] = short_of * short_of if squared != 0 else short_of
            if first <= labels[r] < first + size:
                tile[labels[r] - first] = 0
            total += row_sum(tile, size)
        values[r] = <real> (total / <double> columns)
        if gradient_wanted:
            for c in range(columns):
                short_of = margin - (own - p[c])
                short_of = 0 if short_of <= 0 else short_of
                steep = one if short_of > 0 else short_of
                out[c] = share * (two * short_of if squared != 0 else steep)
            out[labels[r]] = 0
            out[labels[r]] = <real> -row_sum(out, columns)


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


cdef cloned_void gaussian_likelihood(real **buffers, const int64_t *dims, const double *scalars,
                                     int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef const real *var = buffers[2]
    cdef real *gradient = buffers[3]
    cdef real *gradient_var = buffers[4]
    cdef real *value = buffers[5]
    cdef real scale = <real> scalars[0]
    cdef real eps = <real> scalars[1]
    cdef real constant = <real> scalars[2]
    cdef real one = 1
    cdef real half = <real> 0.5
    cdef real error[256]        # tiles on the stack: with six arrays a compiler gives up asking which of them overlap
    cdef real v[256]
    cdef real ratio[256]
    cdef int64_t first, i, size
    for first in range(start, stop, 256):
        size = min(<int64_t> 256, stop - first)
        for i in range(size):
            error[i] = y_pred[first + i] - y_true[first + i]
            v[i] = eps if var[first + i] < eps else var[first + i]
            ratio[i] = error[i] / v[i]
        for i in range(size):
            gradient[first + i] = scale * ratio[i]
        for i in range(size):
            gradient_var[first + i] = scale * (half * (one / v[i] - ratio[i] * ratio[i]))
        for i in range(size):
            value[first + i] = half * (log_of(v[i]) + error[i] * ratio[i]) + constant


KERNELS = {     # (float32, float64)
    "categorical_hinge": (
        <uintptr_t> <void *> categorical_hinge[float],
        <uintptr_t> <void *> categorical_hinge[double]),
    "overlap": (<uintptr_t> <void *> overlap[float], <uintptr_t> <void *> overlap[double]),
    "multi_margin": (<uintptr_t> <void *> multi_margin[float], <uintptr_t> <void *> multi_margin[double]),
    "generalized_crossentropy": (
        <uintptr_t> <void *> generalized_crossentropy[float],
        <uintptr_t> <void *> generalized_crossentropy[double]),
    "focal_probabilities": (
        <uintptr_t> <void *> focal_probabilities[float],
        <uintptr_t> <void *> focal_probabilities[double]),
    "focal_softmax": (<uintptr_t> <void *> focal_softmax[float], <uintptr_t> <void *> focal_softmax[double]),
    "gaussian_likelihood": (
        <uintptr_t> <void *> gaussian_likelihood[float],
        <uintptr_t> <void *> gaussian_likelihood[double]),
}
