"""Stages around the kernels of losses, ahead of time: row means, weights, sums, and one for an option each."""
from libc.stdint cimport int64_t, uint8_t, uintptr_t

from kernels.losses.pieces cimport SHORT, lane_sum, row_sum
from kernels.runtime.abi cimport cloned_void, real


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


cdef extern from "simd.h" nogil:
    float tanh_float(float)
    double tanh_double(double)


cdef inline real tanh_of(real x) noexcept nogil:
    if real is float:
        return tanh_float(x)
    else:
        return tanh_double(x)


cdef cloned_void soft_cap(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_pred = buffers[0]
    cdef real *capped = buffers[1]
    cdef real cap = <real> scalars[0]
    cdef int64_t i
    for i in range(start, stop):
        capped[i] = cap * tanh_of(y_pred[i] / cap)


cdef cloned_void uncap(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *capped = buffers[0]
    cdef real *gradient = buffers[1]
    cdef real cap = <real> scalars[0]
    cdef real one = 1
    cdef real ratio
    cdef int64_t i
    for i in range(start, stop):
        ratio = capped[i] / cap
        gradient[i] = gradient[i] * (one - ratio * ratio)


cdef cloned_void weigh_classes(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *class_weight = buffers[1]
    cdef real *weighed = buffers[2]
    cdef real keep = <real> scalars[0]
    cdef real shift = <real> scalars[1]
    cdef int64_t columns = dims[0]
    cdef int64_t r, c
    for r in range(start, stop):
        for c in range(columns):
            weighed[r * columns + c] = class_weight[c] * (keep * y_true[r * columns + c] + shift)


cdef cloned_void drop_rows(real **buffers, const int64_t *dims, const double *scalars,
                           int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const uint8_t *mask = <const uint8_t *> buffers[0]
    cdef real *values = buffers[1]
    cdef real *gradient = buffers[2]
    cdef int64_t columns = dims[0]
    cdef int64_t r, c
    for r in range(start, stop):
        if mask[r] == 0:
            values[r] = 0
            for c in range(r * columns, (r + 1) * columns):
                gradient[c] = 0


cdef cloned_void drop_ignored(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *labels = <const int64_t *> buffers[0]
    cdef real *values = buffers[1]
    cdef real *gradient = buffers[2]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef int64_t ignore_class = dims[2]
    cdef int64_t r, c
    for r in range(start, stop):
        if labels[r] == ignore_class:
            values[r] = 0
            for c in range(r * columns, (r + gradient_wanted) * columns):
                gradient[c] = 0


cdef cloned_void spread_labels(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *labels = <const int64_t *> buffers[0]
    cdef const real *class_weight = buffers[1]
    cdef real *weighed = buffers[2]
    cdef real keep = <real> scalars[0]
    cdef real shift = <real> scalars[1]
    cdef int64_t columns = dims[0]
    cdef int64_t ignore_class = dims[2]
    cdef int64_t r, c
    cdef real *row
    for r in range(start, stop):
        row = weighed + r * columns
        for c in range(columns):
            row[c] = class_weight[c] * shift
        if labels[r] != ignore_class:
            row[labels[r]] = class_weight[labels[r]] * (keep + shift)


KERNELS = {     # (float32, float64)
    "row_means": (<uintptr_t> <void *> row_means[float], <uintptr_t> <void *> row_means[double]),
    "weigh_values": (<uintptr_t> <void *> weigh_values[float], <uintptr_t> <void *> weigh_values[double]),
    "weigh_gradient": (<uintptr_t> <void *> weigh_gradient[float], <uintptr_t> <void *> weigh_gradient[double]),
    "total": (<uintptr_t> <void *> total[float], <uintptr_t> <void *> total[double]),
    "soft_cap": (<uintptr_t> <void *> soft_cap[float], <uintptr_t> <void *> soft_cap[double]),
    "uncap": (<uintptr_t> <void *> uncap[float], <uintptr_t> <void *> uncap[double]),
    "weigh_classes": (<uintptr_t> <void *> weigh_classes[float], <uintptr_t> <void *> weigh_classes[double]),
    "drop_rows": (<uintptr_t> <void *> drop_rows[float], <uintptr_t> <void *> drop_rows[double]),
    "drop_ignored": (<uintptr_t> <void *> drop_ignored[float], <uintptr_t> <void *> drop_ignored[double]),
    "spread_labels": (<uintptr_t> <void *> spread_labels[float], <uintptr_t> <void *> spread_labels[double]),
}
