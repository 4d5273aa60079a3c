"""Ranks, for Numba: positives and negatives apart, each sorted, then one walk over both, as in compiled_ranks.pyx."""

import numpy as np

from fastopt.kernels.metrics.pieces import SORT_COUNTS, place, radix_sort

PIECES = ("pieces",)  # modules of this room whose text stands in front of the loops


def part(y_true, y_pred, scores, dims, scalars, start, stop, partials):
    samples = dims[0]
    place(y_true, y_pred, y_pred, scores, scores, False, samples, start, stop, partials)


def part_weighted(y_true, y_pred, sample_weight, scores, weights, dims, scalars, start, stop, partials):
    samples = dims[0]
    place(y_true, y_pred, sample_weight, scores, weights, True, samples, start, stop, partials)


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
