"""Metric kernels, ahead of time. The operations are those of rules.py and jit.py, in the same order.

Stages turn a block of inputs into values (numbers to be averaged) or labels (int64); sums end the pipeline.
What is no valid input comes out as NaN among values and as NOT_A_LABEL among labels, and sums count it.
"""
from libc.math cimport NAN
from libc.stdint cimport int64_t, uintptr_t

from kernels.metrics.pieces cimport (
    LANES, SORT_COUNTS, clipped, distance, first_maximum, folded, log1p_of, log_of, loss_of_row, place, radix_sort,
    walk, walk_weighted,
)
from kernels.runtime.abi cimport NOT_A_LABEL, cloned_void, real


# ---- values: one number per element or row

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


# ---- labels: one int64 per element or row

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
    cdef int64_t i, first, last, middle
    for i in range(start, stop):
        first, last = 0, columns - 1
        while first < last:
            middle = (first + last) // 2
            if thresholds[middle] < y_pred[i]:
                first = middle + 1
            else:
                last = middle
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


# ---- sums

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


# ---- ranks: positives and negatives apart, each sorted, then one walk over both


cdef cloned_void part(real **buffers, const int64_t *dims, const double *scalars,
                      int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Scores of positives to the front of `scores`, of negatives to the back (in reverse).

    One grain: partials are the number of positives so far, and of invalid labels and scores.
    """
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef real *scores = buffers[2]
    cdef int64_t samples = dims[0]
    place(y_true, y_pred, <const real *> NULL, scores, <real *> NULL, samples, start, stop, partials)


cdef cloned_void part_weighted(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef const real *sample_weight = buffers[2]
    cdef real *scores = buffers[3]
    cdef real *weights = buffers[4]
    cdef int64_t samples = dims[0]
    place(y_true, y_pred, sample_weight, scores, weights, samples, start, stop, partials)


cdef cloned_void sort_parts(real **buffers, const int64_t *dims, const double *scalars,
                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Sort a part of the scores in place: part 0 the positives, part 1 the negatives. `spare` is work space."""
    cdef real *scores = buffers[0]
    cdef real *spare = buffers[1]
    cdef int64_t *first = <int64_t *> buffers[2]
    cdef int64_t samples = dims[0]
    cdef int64_t positives = dims[1]
    cdef int64_t i
    for i in range(start, stop):
        radix_sort(scores, <real *> NULL, spare, <real *> NULL, first + i * SORT_COUNTS,
                   positives if i else 0, samples if i else positives)


cdef cloned_void sort_parts_weighted(real **buffers, const int64_t *dims, const double *scalars,
                                     int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *scores = buffers[0]
    cdef real *weights = buffers[1]
    cdef real *spare = buffers[2]
    cdef real *spare_weights = buffers[3]
    cdef int64_t *first = <int64_t *> buffers[4]
    cdef int64_t samples = dims[0]
    cdef int64_t positives = dims[1]
    cdef int64_t i
    for i in range(start, stop):
        radix_sort(scores, weights, spare, spare_weights, first + i * SORT_COUNTS,
                   positives if i else 0, samples if i else positives)


cdef cloned_void rank_sums(real **buffers, const int64_t *dims, const double *scalars,
                           int64_t start, int64_t stop, double *partials) noexcept nogil:
    """partials: twice the number of (positive, negative) pairs in the right order, ties by half; and the sum over
    positives of the precision at their score."""
    cdef const real *scores = buffers[0]
    cdef int64_t samples = dims[0]
    cdef int64_t positives = dims[1]
    walk(scores, samples, positives, partials)


cdef cloned_void rank_sums_weighted(real **buffers, const int64_t *dims, const double *scalars,
                                    int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The same, a pair counting the product of its weights; and the weight of positives and of negatives."""
    cdef const real *scores = buffers[0]
    cdef const real *weights = buffers[1]
    cdef int64_t samples = dims[0]
    cdef int64_t positives = dims[1]
    walk_weighted(scores, weights, samples, positives, partials)


KERNELS = {     # float32, float64
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
    "ones": (<uintptr_t> <void *> ones[float], <uintptr_t> <void *> ones[double]),
    "total": (<uintptr_t> <void *> total[float], <uintptr_t> <void *> total[double]),
    "weighted_total": (<uintptr_t> <void *> weighted_total[float], <uintptr_t> <void *> weighted_total[double]),
    "column_totals": (<uintptr_t> <void *> column_totals[float], <uintptr_t> <void *> column_totals[double]),
    "binary_counts": (<uintptr_t> <void *> binary_counts[float], <uintptr_t> <void *> binary_counts[double]),
    "counts": (<uintptr_t> <void *> counts[float], <uintptr_t> <void *> counts[double]),
    "counts_weighted": (<uintptr_t> <void *> counts_weighted[float], <uintptr_t> <void *> counts_weighted[double]),
    "label_counts": (<uintptr_t> <void *> label_counts[float], <uintptr_t> <void *> label_counts[double]),
    "row_ratios": (<uintptr_t> <void *> row_ratios[float], <uintptr_t> <void *> row_ratios[double]),
    "part": (<uintptr_t> <void *> part[float], <uintptr_t> <void *> part[double]),
    "part_weighted": (<uintptr_t> <void *> part_weighted[float], <uintptr_t> <void *> part_weighted[double]),
    "sort_parts": (<uintptr_t> <void *> sort_parts[float], <uintptr_t> <void *> sort_parts[double]),
    "sort_parts_weighted": (
        <uintptr_t> <void *> sort_parts_weighted[float], <uintptr_t> <void *> sort_parts_weighted[double]
    ),
    "rank_sums": (<uintptr_t> <void *> rank_sums[float], <uintptr_t> <void *> rank_sums[double]),
    "rank_sums_weighted": (
        <uintptr_t> <void *> rank_sums_weighted[float], <uintptr_t> <void *> rank_sums_weighted[double]
    ),
}
