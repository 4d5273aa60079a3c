"""Tables of calls over many arrays, made, checked and compared at once: nanoseconds an array, not microseconds."""
from cpython.dict cimport PyDict_Next
from cpython.ref cimport PyObject
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
            if not cnp.PyArray_CheckExact(column[i]):
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


def bind(list arrays, list like, cnp.ndarray pointers, int column, bint writable=False, bint complete=False):
    """Write the arrays' addresses into a column of the pointer table, if every one can be used as it is.

    Returns the index of the first array that is not an aligned, C-contiguous (and writable) array of the shape
    and dtype of its partner in `like` (the column is then incomplete), or -1. None is nothing for a job whose units
    are 0, and not to be found where the column is to be `complete`.
    """
    cdef Py_ssize_t i, n = len(arrays)
    cdef cnp.ndarray array, other
    cdef uintptr_t *table = <uintptr_t *> cnp.PyArray_DATA(pointers)
    cdef cnp.npy_intp width = cnp.PyArray_DIM(pointers, 1)
    cdef int axis
    for i in range(n):
        if arrays[i] is None:
            if complete:
                return i
            table[i * width + column] = 0
            continue
        if not cnp.PyArray_CheckExact(arrays[i]):    # subclasses carry meaning of their own: they get a closer look
            return i
        array, other = arrays[i], like[i]
        if (cnp.PyArray_TYPE(array) != cnp.PyArray_TYPE(other) or not cnp.PyArray_ISCARRAY_RO(array)
                or (writable and not cnp.PyArray_ISWRITEABLE(array))
                or cnp.PyArray_NDIM(array) != cnp.PyArray_NDIM(other)):
            return i
        for axis in range(cnp.PyArray_NDIM(array)):
            if cnp.PyArray_DIM(array, axis) != cnp.PyArray_DIM(other, axis):
                return i
        table[i * width + column] = <uintptr_t> cnp.PyArray_DATA(array)
    return -1


def first_overlap(cnp.ndarray starts, cnp.ndarray stops, cnp.ndarray pointers, int column, cnp.ndarray sizes):
    """Return the row of the first array in a column that reaches into one of the ranges starts:stops, or -1.

    The ranges are sorted and apart from each other (uintp); sizes are in bytes (int64), one per row.
    """
    cdef const uintptr_t *low = <uintptr_t *> cnp.PyArray_DATA(starts)
    cdef const uintptr_t *high = <uintptr_t *> cnp.PyArray_DATA(stops)
    cdef const uintptr_t *table = <uintptr_t *> cnp.PyArray_DATA(pointers)
    cdef const int64_t *size = <int64_t *> cnp.PyArray_DATA(sizes)
    cdef cnp.npy_intp ranges = cnp.PyArray_DIM(starts, 0), width = cnp.PyArray_DIM(pointers, 1)
    cdef cnp.npy_intp i, left, right, middle
    cdef uintptr_t at
    for i in range(cnp.PyArray_DIM(pointers, 0)):
        at = table[i * width + column]
        left, right = 0, ranges         # the first range that ends behind the array's begin
        while left < right:
            middle = (left + right) // 2
            if high[middle] <= at:
                left = middle + 1
            else:
                right = middle
        if left < ranges and low[left] < at + <uintptr_t> size[i]:
            return i
    return -1


def unchanged(cnp.ndarray pointers, int first, int second, cnp.ndarray seen):
    """Return whether two columns of a pointer table are as in `seen` (uintp, two columns)."""
    cdef const uintptr_t *table = <uintptr_t *> cnp.PyArray_DATA(pointers)
    cdef const uintptr_t *before = <uintptr_t *> cnp.PyArray_DATA(seen)
    cdef cnp.npy_intp i, width = cnp.PyArray_DIM(pointers, 1)
    for i in range(cnp.PyArray_DIM(pointers, 0)):
        if table[i * width + first] != before[2 * i] or table[i * width + second] != before[2 * i + 1]:
            return False
    return True


def hold_the_same(list dicts, list others):
    """Return whether each of the first is a dict that `holds_the_same` as its partner, and whether there are as many."""
    cdef Py_ssize_t k
    if len(dicts) != len(others):
        return False
    for k in range(len(others)):
        if type(dicts[k]) is not dict or not holds_the_same(dicts[k], others[k]):
            return False
    return True


cpdef holds_the_same(dict first, dict second):
    """Return whether two dicts hold the very same objects under the same keys, in the same order."""
    cdef PyObject *key
    cdef PyObject *value
    cdef PyObject *other_key
    cdef PyObject *other_value
    cdef Py_ssize_t at = 0, other_at = 0
    if len(first) != len(second):
        return False
    while PyDict_Next(first, &at, &key, &value):
        PyDict_Next(second, &other_at, &other_key, &other_value)
        if key != other_key or value != other_value:
            return False
    return True


def fill_row(cnp.ndarray table, Py_ssize_t row, tuple first, tuple rest, double factor):
    """Write numbers into a row of a C-contiguous float64 table that is as wide; the last one times the factor."""
    cdef double *place = <double *> cnp.PyArray_DATA(table) + row * cnp.PyArray_DIM(table, 1)
    cdef Py_ssize_t k, width = len(first) + len(rest)
    if width != cnp.PyArray_DIM(table, 1) or not 0 <= row < cnp.PyArray_DIM(table, 0):
        raise ValueError(f"the table has {table.shape[0]} rows of {table.shape[1]} numbers, got {width} for row {row}")
    for k in range(len(first)):
        place[k] = first[k]
    place += len(first)
    for k in range(len(rest)):
        place[k] = rest[k]
    if rest:
        place[len(rest) - 1] *= factor


def address(cnp.ndarray array):
    """Return the address of an array's first element."""
    return <uintptr_t> cnp.PyArray_DATA(array)
