"""What the metric kernels are made of where that is more than a line. All inline: a kernel's clones hold them."""
from libc.math cimport INFINITY, NAN, fabs
from libc.stdint cimport int64_t, uint64_t

from kernels.runtime.abi cimport NOT_A_LABEL, real

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
    DIGIT = 11              # bits of one pass of the radix sort
    BUCKETS = 2048          # 2 ** DIGIT
    SORT_COUNTS = 12288     # BUCKETS times the 6 digits of 64 bits


cdef inline real distance(real x, real y) noexcept nogil:
    return fabsf(x - y) if real is float else fabs(x - y)


cdef inline real log_of(real x) noexcept nogil:
    return log_float(x) if real is float else log_double(x)


cdef inline real log1p_of(real x) noexcept nogil:
    return log1p_float(x) if real is float else log1p_double(x)


cdef inline real clipped(real p, real eps, real one_minus_eps) noexcept nogil:
    p = p if p > eps else eps
    return p if p < one_minus_eps else one_minus_eps


cdef inline real loss_of_row(const real *row, int64_t label, int64_t classes, real eps, real one_minus_eps,
                             real tolerance) noexcept nogil:
    """-log of the label's probability; NaN unless the row is a distribution."""
    cdef double sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0, total
    cdef int64_t k, outside = 0
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
    if outside or not fabs(total - 1) <= tolerance:
        return <real> NAN
    return -log_of(clipped(row[label], eps, one_minus_eps))


cdef inline int64_t first_maximum(const real *row, int64_t classes) noexcept nogil:
    cdef real best = <real> -INFINITY
    cdef int64_t k, at = 0
    for k in range(classes):
        if not row[k] <= best:
            if row[k] != row[k]:
                return NOT_A_LABEL
            at = k
            best = row[k]
    return at


cdef inline void place(const int64_t *y_true, const real *y_pred, const real *sample_weight, real *scores,
                       real *weights, int64_t samples, int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Scores (and weights, unless NULL) of positives to the front, of negatives to the back."""
    cdef bint weighted = weights != NULL
    cdef int64_t front = <int64_t> partials[0], back = samples - 1 - (start - front), invalid = 0
    cdef int64_t i, positive
    for i in range(start, stop):
        positive = y_true[i] == 1
        invalid += (y_true[i] != 0) & (y_true[i] != 1) | (y_pred[i] != y_pred[i])
        scores[front] = y_pred[i]           # one of the two places stays free
        scores[back] = y_pred[i]
        if weighted:
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
                            int64_t low, int64_t high) noexcept nogil:
    """Sort scores[low:high] upwards, stable, by 11 bits at a time from the lowest; weights go along."""
    cdef bint weighted = weights != NULL
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


cdef inline void walk(const real *scores, int64_t samples, int64_t positives, double *partials) noexcept nogil:
    """One walk from the highest score down, a group of equal ones at a time."""
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


cdef inline void walk_weighted(const real *scores, const real *weights, int64_t samples, int64_t positives,
                               double *partials) noexcept nogil:
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
