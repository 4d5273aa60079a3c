"""Stages around the kernels of losses, one for an option each, ahead of time."""
from libc.stdint cimport int64_t, uint8_t, uintptr_t

from kernels.runtime.abi cimport cloned_void, real

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
    "soft_cap": (<uintptr_t> <void *> soft_cap[float], <uintptr_t> <void *> soft_cap[double]),
    "uncap": (<uintptr_t> <void *> uncap[float], <uintptr_t> <void *> uncap[double]),
    "weigh_classes": (<uintptr_t> <void *> weigh_classes[float], <uintptr_t> <void *> weigh_classes[double]),
    "drop_rows": (<uintptr_t> <void *> drop_rows[float], <uintptr_t> <void *> drop_rows[double]),
    "drop_ignored": (<uintptr_t> <void *> drop_ignored[float], <uintptr_t> <void *> drop_ignored[double]),
    "spread_labels": (<uintptr_t> <void *> spread_labels[float], <uintptr_t> <void *> spread_labels[double]),
}
