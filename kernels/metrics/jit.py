"""Metric kernels that are no plain elementwise loop, for Numba: the operations of compiled.pyx, in the same order.

LANES float64 sums of a block are folded in halves. What is no valid input comes out as NaN among values and as
NOT_A_LABEL among labels, and sums count it.
"""

# ruff: noqa: F821 (the generated module has the kernel's type `real`, NAN, INFINITY and `ordered`)

from math import log, log1p

import numpy as np

PIECES = ()  # modules of this room whose text stands in front of the loops

LANES = 32
DIGIT = 11
BUCKETS = 2048
SORT_COUNTS = 12288
NOT_A_LABEL = np.int64(-(2**62))


# ---- values: one number per element or row


def clipped(p, eps, one_minus_eps):
    p = p if p > eps else eps
    return p if p < one_minus_eps else one_minus_eps


def binary_log_loss(y_true, y_pred, value, dims, scalars, start, stop, partials):
    eps = real(scalars[0])
    one_minus_eps = real(scalars[1])
    y_true, y_pred, value = y_true[start:stop], y_pred[start:stop], value[start:stop]
    for i in range(stop - start):
        p = y_pred[i]
        valid = (p >= 0.0) & (p <= 1.0) & (y_true[i] >= 0) & (y_true[i] <= 1)
        p = clipped(p, eps, one_minus_eps)
        positive = log(p)
        negative = log1p(-p)
        loss = -(positive if y_true[i] > 0 else negative)
        value[i] = loss if valid else NAN


def log_loss(y_true, y_pred, value, dims, scalars, start, stop, partials):
    classes = dims[0]
    eps = real(scalars[0])
    one_minus_eps = real(scalars[1])
    tolerance = real(scalars[2])
    for i in range(start, stop):
        row = y_pred[i * classes : (i + 1) * classes]
        outside = 0
        for k in range(classes):
            outside += not ((row[k] >= 0.0) & (row[k] <= 1.0))
        sum0 = sum1 = sum2 = sum3 = np.float64(0)
        for k in range(classes // 4):
            sum0 += row[4 * k]
            sum1 += row[4 * k + 1]
            sum2 += row[4 * k + 2]
            sum3 += row[4 * k + 3]
        for k in range(classes // 4 * 4, classes):
            sum0 += row[k]
        total = (sum0 + sum2) + (sum1 + sum3)
        if outside == 0 and abs(total - 1) <= tolerance and 0 <= y_true[i] < classes:
            value[i] = -log(clipped(row[y_true[i]], eps, one_minus_eps))
        else:
            value[i] = NAN


def same(y_true, y_pred, value, dims, scalars, start, stop, partials):
    classes = dims[0]
    first = 0 if classes else NOT_A_LABEL + 1
    last = classes - 1 if classes else -first
    y_true, y_pred, value = y_true[start:stop], y_pred[start:stop], value[start:stop]
    for i in range(stop - start):
        match = 1.0 if y_true[i] == y_pred[i] else 0.0
        value[i] = match if (y_true[i] >= first) & (y_true[i] <= last) & (y_pred[i] != NOT_A_LABEL) else NAN


def same_rows(y_true, y_pred, value, dims, scalars, start, stop, partials):
    classes = dims[0]
    for i in range(start, stop):
        differ = any_bit = np.int64(0)
        for k in range(i * classes, (i + 1) * classes):
            differ |= y_true[k] ^ y_pred[k]
            any_bit |= y_true[k] | y_pred[k]
        value[i] = (1.0 if differ == 0 else 0.0) if (any_bit & ~1) == 0 else NAN


# ---- labels: one int64 per element or row


def above(y_pred, label, dims, scalars, start, stop, partials):
    threshold = real(scalars[0])
    y_pred, label = y_pred[start:stop], label[start:stop]
    for i in range(stop - start):
        found = 1 if y_pred[i] > threshold else 0
        label[i] = found if y_pred[i] == y_pred[i] else NOT_A_LABEL


def bin_of(y_pred, thresholds, label, dims, scalars, start, stop, partials):
    columns = dims[0]
    low = real(scalars[0])
    high = real(scalars[1])
    for i in range(start, stop):
        first = np.int64(0)
        last = columns - 1
        while first < last:
            middle = (first + last) // 2
            if thresholds[middle] < y_pred[i]:
                first = middle + 1
            else:
                last = middle
        label[i] = first if (y_pred[i] >= low) & (y_pred[i] <= high) else NOT_A_LABEL


def argmax(y_pred, label, dims, scalars, start, stop, partials):
    classes = dims[0]
    for i in range(start, stop):
        row = y_pred[i * classes : (i + 1) * classes]
        best = real(-INFINITY)
        at = np.int64(0)
        for k in range(classes):
            if not row[k] <= best:
                at = k if row[k] == row[k] else NOT_A_LABEL
                best = row[k]
                if at == NOT_A_LABEL:
                    break
        label[i] = at


def one_hot(rows, label, dims, scalars, start, stop, partials):
    classes = dims[0]
    for i in range(start, stop):
        row = rows[i * classes : (i + 1) * classes]
        ones = at = others = 0
        for k in range(classes):
            ones += row[k] == 1
            others += (row[k] != 0) & (row[k] != 1)
            at += k if row[k] == 1 else 0
        label[i] = at if ones == 1 and others == 0 else NOT_A_LABEL


def in_top_k(y_true, y_pred, label, dims, scalars, start, stop, partials):
    classes = dims[0]
    top_k = dims[1]
    for i in range(start, stop):
        row = y_pred[i * classes : (i + 1) * classes]
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


def folded(lanes):
    width = LANES // 2
    while width > 0:
        for k in range(width):
            lanes[k] += lanes[k + width]
        width //= 2
    return lanes[0]


def ones(value, dims, scalars, start, stop, partials):
    for i in range(start, stop):
        value[i] = 1


def total(value, dims, scalars, start, stop, partials):
    lanes = np.zeros(LANES)
    value = value[start:stop]
    whole = value.size // LANES * LANES
    for i in range(0, whole, LANES):
        for k in range(LANES):
            lanes[k] += value[i + k]
    for i in range(whole, value.size):
        lanes[i - whole] += value[i]
    partials[0] += folded(lanes)


def weighted_total(value, sample_weight, dims, scalars, start, stop, partials):
    lanes = np.zeros(LANES)
    weights = np.zeros(LANES)
    value, sample_weight = value[start:stop], sample_weight[start:stop]
    whole = value.size // LANES * LANES
    for i in range(0, whole, LANES):
        for k in range(LANES):
            lanes[k] += np.float64(sample_weight[i + k]) * np.float64(value[i + k])
            weights[k] += sample_weight[i + k]
    for i in range(whole, value.size):
        lanes[i - whole] += np.float64(sample_weight[i]) * np.float64(value[i])
        weights[i - whole] += sample_weight[i]
    partials[0] += folded(lanes)
    partials[1] += folded(weights)


def column_totals(value, sample_weight, dims, scalars, start, stop, partials):
    classes = dims[0]
    for k in range(classes):
        sum_of_column = np.float64(0)
        for i in range(start, stop):
            sum_of_column += np.float64(sample_weight[i]) * np.float64(value[i * classes + k])
        partials[k] += sum_of_column
    for i in range(start, stop):
        partials[classes] += sample_weight[i]


def binary_counts(y_true, y_pred, dims, scalars, start, stop, partials):
    actual = predicted = both = any_bit = np.int64(0)
    y_true, y_pred = y_true[start:stop], y_pred[start:stop]
    for i in range(stop - start):
        actual += y_true[i] & 1
        predicted += y_pred[i] & 1
        both += y_true[i] & y_pred[i] & 1
        any_bit |= y_true[i] | y_pred[i]
    partials[0] += (stop - start) - actual - predicted + both
    partials[1] += predicted - both
    partials[2] += actual - both
    partials[3] += both
    partials[4] += 1 if (any_bit & ~1) != 0 else 0


def counts(y_true, y_pred, dims, scalars, start, stop, partials):
    columns = dims[0]
    rows = dims[1]
    for i in range(start, stop):
        if 0 <= y_true[i] < rows and 0 <= y_pred[i] < columns:
            partials[y_true[i] * columns + y_pred[i]] += 1
        else:
            partials[rows * columns] += 1


def counts_weighted(y_true, y_pred, sample_weight, dims, scalars, start, stop, partials):
    columns = dims[0]
    rows = dims[1]
    for i in range(start, stop):
        if 0 <= y_true[i] < rows and 0 <= y_pred[i] < columns:
            partials[y_true[i] * columns + y_pred[i]] += sample_weight[i]
        else:
            partials[rows * columns] += 1


def label_counts(y_true, y_pred, sample_weight, dims, scalars, start, stop, partials):
    classes = dims[0]
    any_bit = np.int64(0)
    for i in range(start, stop):
        weight = np.float64(sample_weight[i])
        for k in range(classes):
            partials[3 * k] += weight * np.float64(y_true[i * classes + k] & y_pred[i * classes + k] & 1)
            partials[3 * k + 1] += weight * np.float64(y_pred[i * classes + k] & 1)
            partials[3 * k + 2] += weight * np.float64(y_true[i * classes + k] & 1)
            any_bit |= y_true[i * classes + k] | y_pred[i * classes + k]
    partials[3 * classes] += 1 if (any_bit & ~1) != 0 else 0


def row_ratios(y_true, y_pred, sample_weight, dims, scalars, start, stop, partials):
    classes = dims[0]
    of_hit = scalars[0]
    of_predicted = scalars[1]
    of_actual = scalars[2]
    any_bit = np.int64(0)
    for i in range(start, stop):
        hit = predicted = actual = np.int64(0)
        for k in range(i * classes, (i + 1) * classes):
            hit += y_true[k] & y_pred[k] & 1
            predicted += y_pred[k] & 1
            actual += y_true[k] & 1
            any_bit |= y_true[k] | y_pred[k]
        weight = np.float64(sample_weight[i])
        below = of_predicted * np.float64(predicted) + of_actual * np.float64(actual)
        if below > 0:
            partials[0] += weight * (of_hit * np.float64(hit) / below)
            partials[1] += weight
        partials[2] += weight
    partials[3] += 1 if (any_bit & ~1) != 0 else 0


# ---- ranks: positives and negatives apart, each sorted, then one walk over both


def place(y_true, y_pred, sample_weight, scores, weights, weighted, samples, start, stop, partials):
    """Scores (and weights) of positives to the front, of negatives to the back."""
    front = np.int64(partials[0])
    back = samples - 1 - (start - front)
    invalid = 0
    for i in range(start, stop):
        positive = np.int64(y_true[i] == 1)
        invalid += (y_true[i] != 0) & (y_true[i] != 1) | (y_pred[i] != y_pred[i])
        scores[front] = y_pred[i]
        scores[back] = y_pred[i]
        if weighted:
            weights[front] = sample_weight[i]
            weights[back] = sample_weight[i]
        front += positive
        back -= 1 - positive
    partials[0] = front
    partials[1] += invalid


def part(y_true, y_pred, scores, dims, scalars, start, stop, partials):
    samples = dims[0]
    place(y_true, y_pred, y_pred, scores, scores, False, samples, start, stop, partials)


def part_weighted(y_true, y_pred, sample_weight, scores, weights, dims, scalars, start, stop, partials):
    samples = dims[0]
    place(y_true, y_pred, sample_weight, scores, weights, True, samples, start, stop, partials)


def digit_of(score, digit):
    return (ordered(score) >> (DIGIT * digit)) & (BUCKETS - 1)


def bucket_starts(scores, first, low, high):
    """Where the first score of every bucket goes, for each digit; returns the number of digits."""
    digits = (ORDERED_BITS + DIGIT - 1) // DIGIT
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
    return digits


def radix_sort(scores, weights, spare, spare_weights, weighted, first, low, high):
    """Sort scores[low:high] upwards, stable, by 11 bits at a time from the lowest; weights go along."""
    digits = bucket_starts(scores, first, low, high)
    source, target, source_weights, target_weights = scores, spare, weights, spare_weights
    for digit in range(digits):
        for i in range(low, high):
            bucket = digit * BUCKETS + digit_of(source[i], digit)
            at = first[bucket]
            first[bucket] = at + 1
            target[at] = source[i]
            if weighted:
                target_weights[at] = source_weights[i]
        source, target, source_weights, target_weights = target, source, target_weights, source_weights
    if digits % 2:
        for i in range(low, high):
            scores[i] = spare[i]
            if weighted:
                weights[i] = spare_weights[i]


def sort_parts(scores, spare, first, dims, scalars, start, stop, partials):
    samples = dims[0]
    positives = dims[1]
    for i in range(start, stop):
        low = positives if i else 0
        high = samples if i else positives
        counts_of_part = first[i * SORT_COUNTS : (i + 1) * SORT_COUNTS]
        radix_sort(scores, scores, spare, spare, False, counts_of_part, low, high)


def sort_parts_weighted(scores, weights, spare, spare_weights, first, dims, scalars, start, stop, partials):
    samples = dims[0]
    positives = dims[1]
    for i in range(start, stop):
        low = positives if i else 0
        high = samples if i else positives
        counts_of_part = first[i * SORT_COUNTS : (i + 1) * SORT_COUNTS]
        radix_sort(scores, weights, spare, spare_weights, True, counts_of_part, low, high)


def rank_sums(scores, dims, scalars, start, stop, partials):
    samples = dims[0]
    positives = dims[1]
    i = positives - 1
    j = samples - 1
    passed = pairs = np.int64(0)
    precision = np.float64(0)
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
        precision += group * (passed / (passed + samples - 1 - j))
    pairs += 2 * passed * (j - positives + 1)
    partials[0] += pairs
    partials[1] += precision


def rank_sums_weighted(scores, weights, dims, scalars, start, stop, partials):
    samples = dims[0]
    positives = dims[1]
    i = positives - 1
    j = samples - 1
    true_weight = false_weight = pairs = precision = np.float64(0)
    while i >= 0:
        value = scores[i]
        group = ties = np.float64(0)
        while j >= positives and scores[j] > value:
            ties += weights[j]
            j -= 1
        pairs += 2 * true_weight * ties
        false_weight += ties
        ties = np.float64(0)
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
    ties = np.float64(0)
    while j >= positives:
        ties += weights[j]
        j -= 1
    partials[0] += pairs + 2 * true_weight * ties
    partials[1] += precision
    partials[2] += true_weight
    partials[3] += false_weight + ties
