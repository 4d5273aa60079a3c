"""Other losses that compare distributions or rows, and the Gaussian likelihood, ahead of time. The operations are those
of rules.py, jit_rows.py and pieces.py, in the same order.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport int64_t, uintptr_t

from kernels.losses.pieces cimport (
    CHUNK, PART, clipped, fetch_ahead, log_of, power_below, product_sum, row_sum, scaled_product_sum,
)
from kernels.runtime.abi cimport cloned_void, real


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


cdef cloned_void kullback_leibler_logarithms(real **buffers, const int64_t *dims, const double *scalars,
                                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *gradient = buffers[2]
    cdef real *value = buffers[3]
    cdef real scale = <real> scalars[0]
    cdef real own
    cdef int64_t first, i
    for first in range(start, stop, 128):
        fetch_ahead(y_true + first, y_pred + first)
        for i in range(first, min(first + PART, stop)):
            own = y_true[i] * log_of(y_true[i])
            own = 0 if y_true[i] == 0 else own
            gradient[i] = -(scale * y_true[i])
            value[i] = own - y_true[i] * y_pred[i]


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
    "kullback_leibler_divergence": (
        <uintptr_t> <void *> kullback_leibler_divergence[float],
        <uintptr_t> <void *> kullback_leibler_divergence[double]),
    "cosine_proximity": (<uintptr_t> <void *> cosine_proximity[float], <uintptr_t> <void *> cosine_proximity[double]),
    "kullback_leibler_logarithms": (
        <uintptr_t> <void *> kullback_leibler_logarithms[float],
        <uintptr_t> <void *> kullback_leibler_logarithms[double]),
    "categorical_hinge": (
        <uintptr_t> <void *> categorical_hinge[float],
        <uintptr_t> <void *> categorical_hinge[double]),
    "overlap": (<uintptr_t> <void *> overlap[float], <uintptr_t> <void *> overlap[double]),
    "multi_margin": (<uintptr_t> <void *> multi_margin[float], <uintptr_t> <void *> multi_margin[double]),
    "gaussian_likelihood": (
        <uintptr_t> <void *> gaussian_likelihood[float],
        <uintptr_t> <void *> gaussian_likelihood[double]),
}
