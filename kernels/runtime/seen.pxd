# What is seen of a tensor, and how two of them lie in memory.
from libc.stdint cimport int64_t, uint64_t, uintptr_t

cdef enum:
    MAX_AXES = 64

cdef struct Seen:
    uintptr_t data
    int device, dtype, ndim     # dtype: DLPack's code × 256 + bits
    int64_t size
    const int64_t *shape
    const int64_t *strides
    int64_t axes[2 * MAX_AXES]  # of a torch without the table


cdef inline bint is_dense(const Seen *seen) noexcept:
    """Whether the elements fill their memory, in whatever order of the axes, none of them twice."""
    cdef int64_t expected = 1
    cdef uint64_t left = 0
    cdef int k
    cdef bint found
    if seen.size == 0:
        return True
    for k in range(seen.ndim - 1, -1, -1):      # packed in C order: the common case
        if seen.shape[k] != 1:
            if seen.strides[k] != expected:
                break
            expected *= seen.shape[k]
    else:
        return True
    expected = 1
    for k in range(seen.ndim):
        left |= (<uint64_t> (seen.shape[k] != 1)) << k
    while left:
        found = False
        for k in range(seen.ndim):
            if left >> k & 1 and seen.strides[k] == expected:
                expected *= seen.shape[k]
                left &= ~((<uint64_t> 1) << k)
                found = True
        if not found:
            return False
    return True


cdef inline bint same_shape(const Seen *one, const Seen *other) noexcept:
    cdef int k
    if one.ndim != other.ndim:
        return False
    for k in range(one.ndim):
        if one.shape[k] != other.shape[k]:
            return False
    return True


cdef inline bint same_order(const Seen *one, const Seen *other) noexcept:
    """Whether elements of two tensors of one shape stand in the same order in memory."""
    cdef int k
    if one.size == 0:
        return True
    for k in range(one.ndim):
        if one.shape[k] != 1 and one.strides[k] != other.strides[k]:
            return False
    return True
