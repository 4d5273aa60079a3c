"""Values and labels of single samples, ahead of time. The operations are those of rules.py and jit_values.py, in the same
order. What is no valid input comes out as NaN among values and as NOT_A_LABEL among labels.
"""
from libc.math cimport NAN
from libc.stdint cimport int64_t, uintptr_t

from kernels.metrics.pieces cimport clipped, distance, first_maximum, log1p_of, log_of, loss_of_row
from kernels.runtime.abi cimport NOT_A_LABEL, cloned_void, real


cdef cloned_void squared_error(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *value = buffers[2]
    cdef real error
    cdef int64_t i
    for i in range(start, stop):
        error = y_pred[i] - y_true[i]
        value[i] = error * error


cdef cloned_void absolute_error(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_true = buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *value = buffers[2]
    cdef int64_t i
    for i in range(start, stop):
        value[i] = distance(y_pred[i], y_true[i])


cdef cloned_void binary_log_loss(real **buffers, const int64_t *dims, const double *scalars,
                                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    """-log of the true class's probability, clipped to [eps, 1 - eps]."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *value = buffers[2]
    cdef real eps = <real> scalars[0]
    cdef real one_minus_eps = <real> scalars[1]
    cdef real p, positive, negative, loss
    cdef bint valid
    cdef int64_t i
    for i in range(start, stop):
        p = y_pred[i]
        valid = (p >= 0) & (p <= 1) & (y_true[i] >= 0) & (y_true[i] <= 1)
        p = clipped(p, eps, one_minus_eps)
        positive = log_of(p)
        negative = log1p_of(-p)
        loss = -(positive if y_true[i] > 0 else negative)
        value[i] = loss if valid else <real> NAN


cdef cloned_void log_loss(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    """-log of the true class's probability, clipped; NaN unless the row is a distribution over the classes."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *value = buffers[2]
    cdef int64_t classes = dims[0]
    cdef real eps = <real> scalars[0]
    cdef real one_minus_eps = <real> scalars[1]
    cdef real tolerance = <real> scalars[2]
    cdef int64_t i
    for i in range(start, stop):
        value[i] = <real> NAN
        if 0 <= y_true[i] < classes:
            value[i] = loss_of_row(y_pred + i * classes, y_true[i], classes, eps, one_minus_eps, tolerance)


cdef cloned_void same(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    """1 where the labels agree, else 0. `classes` 0: any label is valid."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const int64_t *y_pred = <const int64_t *> buffers[1]
    cdef real *value = buffers[2]
    cdef int64_t classes = dims[0]
    cdef int64_t first = 0 if classes else NOT_A_LABEL + 1
    cdef int64_t last = classes - 1 if classes else -first
    cdef real match
    cdef int64_t i
    for i in range(start, stop):
        match = 1 if y_true[i] == y_pred[i] else 0
        value[i] = match if (y_true[i] >= first) & (y_true[i] <= last) & (y_pred[i] != NOT_A_LABEL) else <real> NAN


cdef cloned_void same_rows(real **buffers, const int64_t *dims, const double *scalars,
                           int64_t start, int64_t stop, double *partials) noexcept nogil:
    """1 where all labels of a row agree, else 0; NaN unless all are 0 or 1."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const int64_t *y_pred = <const int64_t *> buffers[1]
    cdef real *value = buffers[2]
    cdef int64_t classes = dims[0]
    cdef int64_t i, k, differ, any_bit
    for i in range(start, stop):
        differ = any_bit = 0
        for k in range(i * classes, (i + 1) * classes):
            differ |= y_true[k] ^ y_pred[k]
            any_bit |= y_true[k] | y_pred[k]
        value[i] = <real> (differ == 0) if (any_bit & ~1) == 0 else <real> NAN


cdef cloned_void above(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const real *y_pred = buffers[0]
    cdef int64_t *label = <int64_t *> buffers[1]
    cdef real threshold = <real> scalars[0]
    cdef int64_t found
    cdef int64_t i
    for i in range(start, stop):
        found = 1 if y_pred[i] > threshold else 0
        label[i] = found if y_pred[i] == y_pred[i] else NOT_A_LABEL


cdef cloned_void bin_of(real **buffers, const int64_t *dims, const double *scalars,
                        int64_t start, int64_t stop, double *partials) noexcept nogil:
    """How many thresholds (upwards, one less than `columns`) a score is above; NOT_A_LABEL outside [low, high]."""
    cdef const real *y_pred = buffers[0]
    cdef const real *thresholds = buffers[1]
    cdef int64_t *label = <int64_t *> buffers[2]
    cdef int64_t columns = dims[0]
    cdef real low = <real> scalars[0]
    cdef real high = <real> scalars[1]
    cdef int64_t i, first, left, half
    for i in range(start, stop):
        first, left = 0, columns - 1
        while left > 1:     # halves are added without a branch, which would be mispredicted every other time
            half = left // 2
            first += half * (thresholds[first + half - 1] < y_pred[i])
            left -= half
        if left:
            first += thresholds[first] < y_pred[i]
        label[i] = first if (y_pred[i] >= low) & (y_pred[i] <= high) else NOT_A_LABEL


cdef cloned_void argmax(real **buffers, const int64_t *dims, const double *scalars,
                        int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The first of the row's largest scores; NOT_A_LABEL if one is NaN."""
    cdef const real *y_pred = buffers[0]
    cdef int64_t *label = <int64_t *> buffers[1]
    cdef int64_t classes = dims[0]
    cdef int64_t i
    for i in range(start, stop):
        label[i] = first_maximum(y_pred + i * classes, classes)


cdef cloned_void one_hot(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Where the row's only 1 is; NOT_A_LABEL unless all the others are 0."""
    cdef const int64_t *rows = <const int64_t *> buffers[0]
    cdef int64_t *label = <int64_t *> buffers[1]
    cdef int64_t classes = dims[0]
    cdef const int64_t *row
    cdef int64_t i, k, ones, at, others
    for i in range(start, stop):
        row = rows + i * classes
        ones = at = others = 0
        for k in range(classes):
            ones += row[k] == 1
            others += (row[k] != 0) & (row[k] != 1)
            at += k if row[k] == 1 else 0
        label[i] = at if ones == 1 and others == 0 else NOT_A_LABEL


cdef cloned_void in_top_k(real **buffers, const int64_t *dims, const double *scalars,
                          int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The true label if fewer than k scores of its row are greater than its own, else -1; NOT_A_LABEL with NaN."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef int64_t *label = <int64_t *> buffers[2]
    cdef int64_t classes = dims[0]
    cdef int64_t top_k = dims[1]
    cdef const real *row
    cdef real own
    cdef int64_t i, k, greater, nans
    for i in range(start, stop):
        row = y_pred + i * classes
        label[i] = NOT_A_LABEL
        if 0 <= y_true[i] < classes:
            own = row[y_true[i]]
            greater = nans = 0
            for k in range(classes):
                greater += row[k] > own
                nans += row[k] != row[k]
            if nans == 0:
                label[i] = y_true[i] if greater < top_k else -1


KERNELS = {     # (float32, float64)
    "squared_error": (<uintptr_t> <void *> squared_error[float], <uintptr_t> <void *> squared_error[double]),
    "absolute_error": (<uintptr_t> <void *> absolute_error[float], <uintptr_t> <void *> absolute_error[double]),
    "binary_log_loss": (<uintptr_t> <void *> binary_log_loss[float], <uintptr_t> <void *> binary_log_loss[double]),
    "log_loss": (<uintptr_t> <void *> log_loss[float], <uintptr_t> <void *> log_loss[double]),
    "same": (<uintptr_t> <void *> same[float], <uintptr_t> <void *> same[double]),
    "same_rows": (<uintptr_t> <void *> same_rows[float], <uintptr_t> <void *> same_rows[double]),
    "above": (<uintptr_t> <void *> above[float], <uintptr_t> <void *> above[double]),
    "bin_of": (<uintptr_t> <void *> bin_of[float], <uintptr_t> <void *> bin_of[double]),
    "argmax": (<uintptr_t> <void *> argmax[float], <uintptr_t> <void *> argmax[double]),
    "one_hot": (<uintptr_t> <void *> one_hot[float], <uintptr_t> <void *> one_hot[double]),
    "in_top_k": (<uintptr_t> <void *> in_top_k[float], <uintptr_t> <void *> in_top_k[double]),
}
