"""What the metric kernels are made of where that is more than a line, for Numba: the pieces of pieces.pxd."""

# ruff: noqa: F821 (the generated module has the kernel's type `real`, NAN, INFINITY and `ordered`)

import numpy as np

DIGIT = 11
BUCKETS = 2048
SORT_COUNTS = 12288
NOT_A_LABEL = np.int64(-(2**62))


def clipped(p, eps, one_minus_eps):
    p = p if p > eps else eps
    return p if p < one_minus_eps else one_minus_eps


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
