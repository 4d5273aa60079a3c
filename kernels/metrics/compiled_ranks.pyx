"""Ranks, ahead of time: positives and negatives apart, each sorted, then one walk over both. The operations are those of
jit_ranks.py, in the same order.
"""
from libc.stdint cimport int64_t, uintptr_t

from kernels.metrics.pieces cimport SORT_COUNTS, place, radix_sort, walk, walk_weighted
from kernels.runtime.abi cimport cloned_void, real


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


KERNELS = {     # (float32, float64)
    "part": (<uintptr_t> <void *> part[float], <uintptr_t> <void *> part[double]),
    "part_weighted": (<uintptr_t> <void *> part_weighted[float], <uintptr_t> <void *> part_weighted[double]),
    "sort_parts": (<uintptr_t> <void *> sort_parts[float], <uintptr_t> <void *> sort_parts[double]),
    "sort_parts_weighted": (
        <uintptr_t> <void *> sort_parts_weighted[float],
        <uintptr_t> <void *> sort_parts_weighted[double]),
    "rank_sums": (<uintptr_t> <void *> rank_sums[float], <uintptr_t> <void *> rank_sums[double]),
    "rank_sums_weighted": (
        <uintptr_t> <void *> rank_sums_weighted[float],
        <uintptr_t> <void *> rank_sums_weighted[double]),
}
