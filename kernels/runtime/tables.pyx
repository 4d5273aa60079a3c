"""Pointer tables of calls over many arrays, made and checked at once: nanoseconds an array, not microseconds."""
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free, malloc, qsort

cimport numpy as cnp

cnp.import_array()

cdef struct Range:              # of memory
    uintptr_t start
    uintptr_t stop


cdef int by_start(const void *one, const void *other) noexcept nogil:
    cdef uintptr_t a = (<const Range *> one).start
    cdef uintptr_t b = (<const Range *> other).start
    return (a > b) - (a < b)


def tabulate(list columns, cnp.ndarray pointers, cnp.ndarray units, bint writes):
    """Fill the tables of a call whose arrays are as they mostly are.

    Parameters
    ----------
    columns : list of list of array
        Lists of one length, one for each kernel buffer; the last is the output, if the call `writes`.
    pointers : uintp array (rows, slots), units : int64 array (rows,)
        Become the arrays' addresses, and their sizes in elements.
    writes : bool

    Returns
    -------
    (int, bool) or None
        A bit for each input column with an array that is the very output of its row, and whether the last input is so
        in every row. None: an array needs a look of its own, because in some column dtypes differ, or it is not aligned, C-contiguous and of its row's shape, or
        the output isn't writable or may share memory with another array. Nothing says then that anything is wrong.
    """
    cdef Py_ssize_t width = len(columns), rows = cnp.PyArray_DIM(units, 0), c, i
    cdef cnp.npy_intp slots = cnp.PyArray_DIM(pointers, 1)
    cdef uintptr_t *table = <uintptr_t *> cnp.PyArray_DATA(pointers)
    cdef int64_t *sizes = <int64_t *> cnp.PyArray_DATA(units)
    cdef cnp.ndarray array, first
    cdef list column, firsts
    cdef cnp.PyArray_Descr *descr = NULL
    cdef int axis
    if rows == 0:
        return 0, False
    firsts = columns[0]
    for c in range(width):
        column = columns[c]
        if not isinstance(column[0], cnp.ndarray):
            return None
        descr = cnp.PyArray_DESCR(<cnp.ndarray> column[0])
        for i in range(rows):
            if not isinstance(column[i], cnp.ndarray):
                return None
            array, first = column[i], firsts[i]
            if (cnp.PyArray_DESCR(array) != descr or not cnp.PyArray_ISCARRAY_RO(array)
                    or cnp.PyArray_NDIM(array) != cnp.PyArray_NDIM(first)):
                return None
            for axis in range(cnp.PyArray_NDIM(array)):
                if cnp.PyArray_DIM(array, axis) != cnp.PyArray_DIM(first, axis):
                    return None
            if writes and c == width - 1 and not cnp.PyArray_ISWRITEABLE(array):
                return None
            table[i * slots + c] = <uintptr_t> cnp.PyArray_DATA(array)
            sizes[i] = cnp.PyArray_SIZE(array)
    if not writes:
        return 0, False
    bytes_each = [cnp.PyArray_ITEMSIZE(<cnp.ndarray> column[0]) for column in columns]
    same = [cnp.PyArray_DESCR(<cnp.ndarray> column[0]) == descr for column in columns]
    return matches(table, sizes, rows, slots, bytes_each, same)


cdef matches(const uintptr_t *table, const int64_t *sizes, Py_ssize_t rows, cnp.npy_intp slots, list bytes_each,
             list same):
    """Return what `tabulate` does, or None if an output may share memory otherwise."""
    cdef Py_ssize_t last = len(bytes_each) - 1, c, i, left, right, middle
    cdef int64_t width = bytes_each[last]
    cdef bint equal, every = True
    cdef int bits = 0
    cdef uintptr_t start, stop
    cdef Range *ranges = <Range *> malloc(rows * sizeof(Range))
    if ranges == NULL:
        raise MemoryError("no memory for a table of the outputs")
    try:
        for i in range(rows):
            ranges[i].start = table[i * slots + last]
            ranges[i].stop = ranges[i].start + <uintptr_t> (sizes[i] * width)
        qsort(ranges, rows, sizeof(Range), by_start)
        for i in range(rows - 1):
            if ranges[i].stop > ranges[i + 1].start:
                return None
        for c in range(last):
            width, equal = bytes_each[c], same[c]
            for i in range(rows):
                start = table[i * slots + c]
                if equal and start == table[i * slots + last]:
                    bits |= 1 << c
                    continue
                every = every and c != last - 1
                stop = start + <uintptr_t> (sizes[i] * width)
                left, right = 0, rows           # the first output that ends behind the array's begin
                while left < right:
                    middle = (left + right) // 2
                    if ranges[middle].stop <= start:
                        left = middle + 1
                    else:
                        right = middle
                if left < rows and ranges[left].start < stop:
                    return None
        return bits, every
    finally:
        free(ranges)
