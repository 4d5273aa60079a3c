"""Sums over samples, ahead of time. The operations are those of jit_sums.py, in the same order. They count what is no
valid input.
"""
from libc.stdint cimport int64_t, uintptr_t

from kernels.runtime.abi cimport cloned_void, real
from kernels.runtime.lanes cimport LANES, folded


cdef cloned_void ones(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Weights of samples that have none."""
    cdef real *value = buffers[0]
    cdef int64_t i
    for i in range(start, stop):
        value[i] = 1


cdef cloned_void total(real **buffers, const int64_t *dims, const double *scalars,
                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    """partials: the sum of the values."""
    cdef const real *value = buffers[0]
    cdef double lanes[LANES]
    cdef int64_t whole = start + (stop - start) // LANES * LANES
    cdef int64_t i, k
    for k in range(LANES):
        lanes[k] = 0
    for i in range(start, whole, 32):     # LANES; Cython wants a literal
        for k in range(LANES):
            lanes[k] += value[i + k]
    for i in range(whole, stop):
        lanes[i - whole] += value[i]
    partials[0] += folded(lanes)


cdef cloned_void weighted_total(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    """partials: the sum of weight times value, and of the weights."""
    cdef const real *value = buffers[0]
    cdef const real *sample_weight = buffers[1]
    cdef double lanes[LANES]
    cdef double weights[LANES]
    cdef int64_t whole = start + (stop - start) // LANES * LANES
    cdef int64_t i, k
    for k in range(LANES):
        lanes[k] = weights[k] = 0
    for i in range(start, whole, 32):     # LANES; Cython wants a literal
        for k in range(LANES):
            lanes[k] += <double> sample_weight[i + k] * <double> value[i + k]
            weights[k] += sample_weight[i + k]
    for i in range(whole, stop):
        lanes[i - whole] += <double> sample_weight[i] * <double> value[i]
        weights[i - whole] += sample_weight[i]
    partials[0] += folded(lanes)
    partials[1] += folded(weights)


cdef cloned_void column_totals(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    """partials: for each column the sum of weight times value; and the sum of weights."""
    cdef const real *value = buffers[0]
    cdef const real *sample_weight = buffers[1]
    cdef int64_t classes = dims[0]
    cdef int64_t i, k
    cdef double sum
    for k in range(classes):
        sum = 0
        for i in range(start, stop):
            sum += <double> sample_weight[i] * <double> value[i * classes + k]
        partials[k] += sum
    for i in range(start, stop):
        partials[classes] += sample_weight[i]


cdef cloned_void binary_counts(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    """partials: true negatives, false positives, false negatives, true positives, and 1 for an invalid label."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const int64_t *y_pred = <const int64_t *> buffers[1]
    cdef int64_t actual = 0, predicted = 0, both = 0, any_bit = 0
    cdef int64_t i
    for i in range(start, stop):
        actual += y_true[i] & 1
        predicted += y_pred[i] & 1
        both += y_true[i] & y_pred[i] & 1
        any_bit |= y_true[i] | y_pred[i]
    partials[0] += (stop - start) - actual - predicted + both
    partials[1] += predicted - both
    partials[2] += actual - both
    partials[3] += both
    partials[4] += (any_bit & ~1) != 0


cdef cloned_void counts(real **buffers, const int64_t *dims, const double *scalars,
                        int64_t start, int64_t stop, double *partials) noexcept nogil:
    """partials: the table of rows by columns, and the number of invalid labels."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const int64_t *y_pred = <const int64_t *> buffers[1]
    cdef int64_t columns = dims[0]
    cdef int64_t rows = dims[1]
    cdef int64_t i
    for i in range(start, stop):
        if 0 <= y_true[i] < rows and 0 <= y_pred[i] < columns:
            partials[y_true[i] * columns + y_pred[i]] += 1
        else:
            partials[rows * columns] += 1


cdef cloned_void counts_weighted(real **buffers, const int64_t *dims, const double *scalars,
                                 int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The same sums of weights."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const int64_t *y_pred = <const int64_t *> buffers[1]
    cdef const real *sample_weight = buffers[2]
    cdef int64_t columns = dims[0]
    cdef int64_t rows = dims[1]
    cdef int64_t i
    for i in range(start, stop):
        if 0 <= y_true[i] < rows and 0 <= y_pred[i] < columns:
            partials[y_true[i] * columns + y_pred[i]] += sample_weight[i]
        else:
            partials[rows * columns] += 1


cdef cloned_void label_counts(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    """partials: for each label the weight that is rightly predicted, predicted, and actual; and whether one is invalid."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const int64_t *y_pred = <const int64_t *> buffers[1]
    cdef const real *sample_weight = buffers[2]
    cdef int64_t classes = dims[0]
    cdef int64_t i, k, any_bit = 0
    cdef double weight
    for i in range(start, stop):
        weight = sample_weight[i]
        for k in range(classes):
            partials[3 * k] += weight * <double> (y_true[i * classes + k] & y_pred[i * classes + k] & 1)
            partials[3 * k + 1] += weight * <double> (y_pred[i * classes + k] & 1)
            partials[3 * k + 2] += weight * <double> (y_true[i * classes + k] & 1)
            any_bit |= y_true[i * classes + k] | y_pred[i * classes + k]
    partials[3 * classes] += (any_bit & ~1) != 0


cdef cloned_void row_ratios(real **buffers, const int64_t *dims, const double *scalars,
                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    """of_hit hit / (of_predicted predicted + of_actual actual) of each row's labels.

    partials: the sum of weight times ratio, of weights where it is defined, of all weights; and whether a label is
    invalid.
    """
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const int64_t *y_pred = <const int64_t *> buffers[1]
    cdef const real *sample_weight = buffers[2]
    cdef int64_t classes = dims[0]
    cdef double of_hit = scalars[0]
    cdef double of_predicted = scalars[1]
    cdef double of_actual = scalars[2]
    cdef int64_t i, k, hit, predicted, actual, any_bit = 0
    cdef double below, weight
    for i in range(start, stop):
        hit = predicted = actual = 0
        for k in range(i * classes, (i + 1) * classes):
            hit += y_true[k] & y_pred[k] & 1
            predicted += y_pred[k] & 1
            actual += y_true[k] & 1
            any_bit |= y_true[k] | y_pred[k]
        weight = sample_weight[i]
        below = of_predicted * <double> predicted + of_actual * <double> actual
        if below > 0:
            partials[0] += weight * (of_hit * <double> hit / below)
            partials[1] += weight
        partials[2] += weight
    partials[3] += (any_bit & ~1) != 0


KERNELS = {     # (float32, float64)
    "ones": (<uintptr_t> <void *> ones[float], <uintptr_t> <void *> ones[double]),
    "total": (<uintptr_t> <void *> total[float], <uintptr_t> <void *> total[double]),
    "weighted_total": (<uintptr_t> <void *> weighted_total[float], <uintptr_t> <void *> weighted_total[double]),
    "column_totals": (<uintptr_t> <void *> column_totals[float], <uintptr_t> <void *> column_totals[double]),
    "binary_counts": (<uintptr_t> <void *> binary_counts[float], <uintptr_t> <void *> binary_counts[double]),
    "counts": (<uintptr_t> <void *> counts[float], <uintptr_t> <void *> counts[double]),
    "counts_weighted": (<uintptr_t> <void *> counts_weighted[float], <uintptr_t> <void *> counts_weighted[double]),
    "label_counts": (<uintptr_t> <void *> label_counts[float], <uintptr_t> <void *> label_counts[double]),
    "row_ratios": (<uintptr_t> <void *> row_ratios[float], <uintptr_t> <void *> row_ratios[double]),
}
