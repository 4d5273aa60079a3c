"""Metric kernels, ahead of time. The operations are those of rules.py and jit.py, in the same order.

Stages turn a block of inputs into values (numbers to be averaged) or labels (int64); sums end the pipeline.
What is no valid input comes out as NaN among values and as NOT_A_LABEL among labels, and sums count it.
"""
from libc.math cimport INFINITY, NAN, fabs
from libc.stdint cimport int64_t, uint64_t, uintptr_t

from kernels.runtime.abi cimport NOT_A_LABEL, cloned_void, real

cdef extern from "<math.h>" nogil:
    float fabsf(float)

cdef extern from "simd.h" nogil:
    float log_float(float)
    double log_double(double)
    float log1p_float(float)
    double log1p_double(double)
    uint64_t ordered_float(float)
    uint64_t ordered_double(double)

cdef enum:
    LANES = 32              # partial sums of a block, folded in halves: the same bits on every instruction set
    DIGIT = 11              # bits of one pass of the radix sort
    BUCKETS = 2048          # 2 ** DIGIT
    MAX_DIGITS = 6          # of 64 bits


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
        value[i] = fabsf(y_pred[i] - y_true[i]) if real is float else fabs(y_pred[i] - y_true[i])


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
        p = p if p > eps else eps
        p = p if p < one_minus_eps else one_minus_eps
        positive = log_float(p) if real is float else log_double(p)
        negative = log1p_float(-p) if real is float else log1p_double(-p)
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
    cdef const real *row
    cdef double sum0, sum1, sum2, sum3, total
    cdef int64_t i, k, outside
    cdef real p
    for i in range(start, stop):
        row = y_pred + i * classes
        sum0 = sum1 = sum2 = sum3 = 0
        outside = 0
        for k in range(classes):
            outside += not (row[k] >= 0) & (row[k] <= 1)
        for k in range(classes // 4):
            sum0 += row[4 * k]
            sum1 += row[4 * k + 1]
            sum2 += row[4 * k + 2]
            sum3 += row[4 * k + 3]
        for k in range(classes // 4 * 4, classes):
            sum0 += row[k]
        total = (sum0 + sum2) + (sum1 + sum3)
        if outside == 0 and fabs(total - 1) <= tolerance and 0 <= y_true[i] < classes:
            p = row[y_true[i]]
            p = p if p > eps else eps
            p = p if p < one_minus_eps else one_minus_eps
            value[i] = -(log_float(p) if real is float else log_double(p))
        else:
            value[i] = <real> NAN


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
    """The bin of a score, of `columns` equal ones over [0, 1]; the last one holds 1."""
    cdef const real *y_pred = buffers[0]
    cdef int64_t *label = <int64_t *> buffers[1]
    cdef int64_t columns = dims[1]
    cdef int64_t i, at
    for i in range(start, stop):
        if y_pred[i] >= 0 and y_pred[i] <= 1:
            at = <int64_t> (<double> y_pred[i] * <double> columns)
            label[i] = at if at < columns else columns - 1
        else:
            label[i] = NOT_A_LABEL


cdef cloned_void argmax(real **buffers, const int64_t *dims, const double *scalars,
                        int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The first of the row's largest scores; NOT_A_LABEL if one is NaN."""
    cdef const real *y_pred = buffers[0]
    cdef int64_t *label = <int64_t *> buffers[1]
    cdef int64_t classes = dims[0]
    cdef const real *row
    cdef real best
    cdef int64_t i, k, at
    for i in range(start, stop):
        row = y_pred + i * classes
        best = <real> -INFINITY
        at = 0
        for k in range(classes):
            if not row[k] <= best:
                at = k if row[k] == row[k] else NOT_A_LABEL
                best = row[k]
                if at == NOT_A_LABEL:
                    break
        label[i] = at


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

cdef inline double folded(double *lanes) noexcept nogil:
    cdef int width = LANES // 2
    cdef int k
    while width > 0:
        for k in range(width):
            lanes[k] += lanes[k + width]
        width //= 2
    return lanes[0]


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


cdef cloned_void binary_counts_weighted(real **buffers, const int64_t *dims, const double *scalars,
                                        int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The same sums of weights."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const int64_t *y_pred = <const int64_t *> buffers[1]
    cdef const real *sample_weight = buffers[2]
    cdef double lanes[4][LANES]
    cdef int64_t whole = start + (stop - start) // LANES * LANES
    cdef int64_t any_bit = 0, i, k, cell
    cdef double weight
    for cell in range(4):
        for k in range(LANES):
            lanes[cell][k] = 0
    for i in range(start, whole, 32):     # LANES; Cython wants a literal
        for k in range(LANES):
            weight = sample_weight[i + k]
            cell = 2 * (y_true[i + k] & 1) + (y_pred[i + k] & 1)
            any_bit |= y_true[i + k] | y_pred[i + k]
            lanes[0][k] += weight if cell == 0 else 0
            lanes[1][k] += weight if cell == 1 else 0
            lanes[2][k] += weight if cell == 2 else 0
            lanes[3][k] += weight if cell == 3 else 0
    for i in range(whole, stop):
        cell = 2 * (y_true[i] & 1) + (y_pred[i] & 1)
        any_bit |= y_true[i] | y_pred[i]
        lanes[cell][i - whole] += sample_weight[i]
    for cell in range(4):
        partials[cell] += folded(lanes[cell])
    partials[4] += (any_bit & ~1) != 0


cdef cloned_void counts(real **buffers, const int64_t *dims, const double *scalars,
                        int64_t start, int64_t stop, double *partials) noexcept nogil:
    """partials: the table of rows by columns, and the number of invalid labels."""
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const int64_t *y_pred = <const int64_t *> buffers[1]
    cdef int64_t rows = dims[0]
    cdef int64_t columns = dims[1]
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
    cdef int64_t rows = dims[0]
    cdef int64_t columns = dims[1]
    cdef int64_t i
    for i in range(start, stop):
        if 0 <= y_true[i] < rows and 0 <= y_pred[i] < columns:
            partials[y_true[i] * columns + y_pred[i]] += sample_weight[i]
        else:
            partials[rows * columns] += 1


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
    cdef int64_t front = <int64_t> partials[0], back = samples - 1 - (start - front), invalid = 0
    cdef int64_t i, positive
    for i in range(start, stop):
        positive = y_true[i] == 1
        invalid += (y_true[i] != 0) & (y_true[i] != 1) | (y_pred[i] != y_pred[i])
        scores[front] = y_pred[i]           # one of the two places stays free
        scores[back] = y_pred[i]
        front += positive
        back -= 1 - positive
    partials[0] = front
    partials[1] += invalid


cdef cloned_void part_weighted(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *y_true = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef const real *sample_weight = buffers[2]
    cdef real *scores = buffers[3]
    cdef real *weights = buffers[4]
    cdef int64_t samples = dims[0]
    cdef int64_t front = <int64_t> partials[0], back = samples - 1 - (start - front), invalid = 0
    cdef int64_t i, positive
    for i in range(start, stop):
        positive = y_true[i] == 1
        invalid += (y_true[i] != 0) & (y_true[i] != 1) | (y_pred[i] != y_pred[i])
        scores[front] = y_pred[i]
        scores[back] = y_pred[i]
        weights[front] = sample_weight[i]
        weights[back] = sample_weight[i]
        front += positive
        back -= 1 - positive
    partials[0] = front
    partials[1] += invalid


cdef inline int64_t digit_of(real score, int digit) noexcept nogil:
    cdef uint64_t bits = ordered_float(score) if real is float else ordered_double(score)
    return <int64_t> (bits >> (DIGIT * digit)) & (BUCKETS - 1)


cdef inline void radix_sort(real *scores, real *weights, real *spare_scores, real *spare_weights, int64_t *first,
                            int64_t low, int64_t high, bint weighted) noexcept nogil:
    """Sort scores[low:high] upwards, stable, by 11 bits at a time from the lowest; weights go along."""
    cdef int digits = 3 if real is float else 6
    cdef real *source = scores
    cdef real *target = spare_scores
    cdef real *source_weights = weights
    cdef real *target_weights = spare_weights
    cdef real *swap
    cdef int64_t i, at, count, before
    cdef int digit
    cdef int64_t bucket
    for i in range(digits * BUCKETS):
        first[i] = 0
    for i in range(low, high):
        for digit in range(digits):
            first[digit * BUCKETS + digit_of(scores[i], digit)] += 1
    for digit in range(digits):
        before = low
        for bucket in range(digit * BUCKETS, (digit + 1) * BUCKETS):
            count = first[bucket]
            first[bucket] = before
            before += count
    for digit in range(digits):
        for i in range(low, high):
            bucket = digit * BUCKETS + digit_of(source[i], digit)
            at = first[bucket]
            first[bucket] = at + 1
            target[at] = source[i]
            if weighted:
                target_weights[at] = source_weights[i]
        swap = source
        source = target
        target = swap
        if weighted:
            swap = source_weights
            source_weights = target_weights
            target_weights = swap
    if source != scores:
        for i in range(low, high):
            scores[i] = source[i]
            if weighted:
                weights[i] = source_weights[i]


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
        radix_sort(scores, <real *> NULL, spare, <real *> NULL, first + i * MAX_DIGITS * BUCKETS,
                   positives if i else 0, samples if i else positives, False)


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
        radix_sort(scores, weights, spare, spare_weights, first + i * MAX_DIGITS * BUCKETS,
                   positives if i else 0, samples if i else positives, True)


cdef cloned_void rank_sums(real **buffers, const int64_t *dims, const double *scalars,
                           int64_t start, int64_t stop, double *partials) noexcept nogil:
    """One walk from the highest score down, a group of equal ones at a time.

    partials: twice the number of (positive, negative) pairs in the right order, ties by half; and the sum over
    positives of the precision at their score.
    """
    cdef const real *scores = buffers[0]
    cdef int64_t samples = dims[0]
    cdef int64_t positives = dims[1]
    cdef int64_t i = positives - 1, j = samples - 1, passed = 0, group, ties, before, pairs = 0
    cdef double precision = 0
    cdef real value
    while i >= 0:
        value = scores[i]
        before = j
        while j >= positives and scores[j] > value:
            j -= 1
        pairs += 2 * passed * (before - j)
        before = j
        while j >= positives and scores[j] == value:
            j -= 1
        ties = before - j
        before = i
        while i >= 0 and scores[i] == value:
            i -= 1
        group = before - i
        pairs += (2 * passed + group) * ties
        passed += group
        precision += <double> group * (<double> passed / <double> (passed + samples - 1 - j))
    pairs += 2 * passed * (j - positives + 1)
    partials[0] += pairs
    partials[1] += precision


cdef cloned_void rank_sums_weighted(real **buffers, const int64_t *dims, const double *scalars,
                                    int64_t start, int64_t stop, double *partials) noexcept nogil:
    """The same, a pair counting the product of its weights; and the weight of positives and of negatives."""
    cdef const real *scores = buffers[0]
    cdef const real *weights = buffers[1]
    cdef int64_t samples = dims[0]
    cdef int64_t positives = dims[1]
    cdef int64_t i = positives - 1, j = samples - 1
    cdef double true_weight = 0, false_weight = 0, group, ties, pairs = 0, precision = 0
    cdef real value
    while i >= 0:
        value = scores[i]
        group = ties = 0
        while j >= positives and scores[j] > value:
            ties += weights[j]
            j -= 1
        pairs += 2 * true_weight * ties
        false_weight += ties
        ties = 0
        while j >= positives and scores[j] == value:
            ties += weights[j]
            j -= 1
        while i >= 0 and scores[i] == value:
            group += weights[i]
            i -= 1
        pairs += (2 * true_weight + group) * ties
        true_weight += group
        false_weight += ties
        if group > 0:
            precision += group * (true_weight / (true_weight + false_weight))
    ties = 0
    while j >= positives:
        ties += weights[j]
        j -= 1
    partials[0] += pairs + 2 * true_weight * ties
    partials[1] += precision
    partials[2] += true_weight
    partials[3] += false_weight + ties


KERNELS = {     # float32, float64
    "squared_error": (<uintptr_t> <void *> squared_error[float], <uintptr_t> <void *> squared_error[double]),
    "absolute_error": (<uintptr_t> <void *> absolute_error[float], <uintptr_t> <void *> absolute_error[double]),
    "binary_log_loss": (<uintptr_t> <void *> binary_log_loss[float], <uintptr_t> <void *> binary_log_loss[double]),
    "log_loss": (<uintptr_t> <void *> log_loss[float], <uintptr_t> <void *> log_loss[double]),
    "same": (<uintptr_t> <void *> same[float], <uintptr_t> <void *> same[double]),
    "above": (<uintptr_t> <void *> above[float], <uintptr_t> <void *> above[double]),
    "bin_of": (<uintptr_t> <void *> bin_of[float], <uintptr_t> <void *> bin_of[double]),
    "argmax": (<uintptr_t> <void *> argmax[float], <uintptr_t> <void *> argmax[double]),
    "one_hot": (<uintptr_t> <void *> one_hot[float], <uintptr_t> <void *> one_hot[double]),
    "in_top_k": (<uintptr_t> <void *> in_top_k[float], <uintptr_t> <void *> in_top_k[double]),
    "total": (<uintptr_t> <void *> total[float], <uintptr_t> <void *> total[double]),
    "weighted_total": (<uintptr_t> <void *> weighted_total[float], <uintptr_t> <void *> weighted_total[double]),
    "binary_counts": (<uintptr_t> <void *> binary_counts[float], <uintptr_t> <void *> binary_counts[double]),
    "binary_counts_weighted": (
        <uintptr_t> <void *> binary_counts_weighted[float], <uintptr_t> <void *> binary_counts_weighted[double]
    ),
    "counts": (<uintptr_t> <void *> counts[float], <uintptr_t> <void *> counts[double]),
    "counts_weighted": (<uintptr_t> <void *> counts_weighted[float], <uintptr_t> <void *> counts_weighted[double]),
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
