"""What every call asks of its arrays, answered in nanoseconds. A no is not a refusal: it asks for a closer look."""
from libc.stdint cimport uintptr_t

cimport numpy as cnp

cnp.import_array()

cdef extern from "float_mode.h" nogil:
    ctypedef struct float_mode:         # whatever type it is there
        pass
    float_mode float_mode_enter()
    void float_mode_leave(float_mode)


cdef bint has_shape(cnp.ndarray array, tuple shape):
    cdef int axis
    if len(shape) != cnp.PyArray_NDIM(array):
        return False
    for axis in range(cnp.PyArray_NDIM(array)):
        if shape[axis] != cnp.PyArray_DIM(array, axis):
            return False
    return True


cdef bint is_fit(value, cnp.dtype dtype, tuple shape):
    cdef cnp.ndarray array
    if not cnp.PyArray_CheckExact(value):   # a subclass may mean more: a mask, units
        return False
    array = value
    if dtype is not None and cnp.PyArray_DESCR(array) != <cnp.PyArray_Descr *> dtype:
        return False
    if cnp.PyArray_TYPE(array) != cnp.NPY_FLOAT32 and cnp.PyArray_TYPE(array) != cnp.NPY_FLOAT64:
        return False
    if not (cnp.PyArray_ISALIGNED(array) and cnp.PyArray_ISNOTSWAPPED(array)):
        return False
    return shape is None or has_shape(array, shape)


def fits(value, cnp.dtype dtype, tuple shape):
    """Return whether this is an aligned float32 or float64 array (of this dtype and shape, where they aren't None)."""
    return is_fit(value, dtype, shape)


def all_fit(values, cnp.dtype dtype, tuple shape):
    """Return whether `fits` holds for all of them."""
    for value in values:
        if not is_fit(value, dtype, shape):
            return False
    return True


def are_labels(value, tuple shape):
    """Return whether this is an aligned int64 array of this shape."""
    return (cnp.PyArray_CheckExact(value) and cnp.PyArray_TYPE(<cnp.ndarray> value) == cnp.NPY_INT64
            and cnp.PyArray_ISALIGNED(<cnp.ndarray> value) and cnp.PyArray_ISNOTSWAPPED(<cnp.ndarray> value)
            and has_shape(<cnp.ndarray> value, shape))


cdef inline bint is_packed(array, cnp.npy_intp limit):
    """Return whether an array is C-contiguous, not of 16-bit floats, and less than `limit` bytes long (0: of any length)."""
    return (cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray> array)
            and cnp.PyArray_TYPE(<cnp.ndarray> array) != cnp.NPY_FLOAT16
            and not cnp.PyArray_ISUSERDEF(<cnp.ndarray> array)          # bfloat16 is a type that a package defined
            and (limit == 0 or cnp.PyArray_NBYTES(<cnp.ndarray> array) < limit))


def are_packed(tuple arrays, cnp.npy_intp limit):
    """Return whether `is_packed` holds for all of these that are arrays: kernels can take them as they are."""
    for array in arrays:
        if cnp.PyArray_Check(array) and not is_packed(array, limit):
            return False
    return True


def split(slots, cnp.npy_intp limit):
    """Return a pipeline's slots as (arrays, None for scratch memory; bytes of scratch memory, 0 for arrays; whether all
    arrays are packed, as in `are_packed`)."""
    cdef list arrays = []
    cdef list scratch = []
    cdef bint packed = True
    for value in slots.values():
        if cnp.PyArray_Check(value):
            arrays.append(value)
            scratch.append(0)
            packed = packed and is_packed(value, limit)
        else:
            arrays.append(None)
            scratch.append(value)
    return arrays, tuple(scratch), packed


cdef (uintptr_t, uintptr_t) bounds(cnp.ndarray array):
    """Return where an array's memory begins and ends."""
    cdef uintptr_t low = <uintptr_t> cnp.PyArray_DATA(array)
    cdef uintptr_t high = low + <uintptr_t> cnp.PyArray_ITEMSIZE(array)
    cdef cnp.npy_intp reach
    cdef int axis
    if cnp.PyArray_SIZE(array) == 0:
        return low, low
    for axis in range(cnp.PyArray_NDIM(array)):
        reach = (cnp.PyArray_DIM(array, axis) - 1) * cnp.PyArray_STRIDE(array, axis)
        if reach < 0:
            low -= <uintptr_t> -reach
        else:
            high += <uintptr_t> reach
    return low, high


def may_overlap(cnp.ndarray out, others):
    """Return whether some of the others that are arrays reach into the memory between out's first and last byte."""
    cdef uintptr_t low, high, start, stop
    low, high = bounds(out)
    for other in others:
        if cnp.PyArray_Check(other):
            start, stop = bounds(<cnp.ndarray> other)
            if start < high and low < stop:
                return True
    return False


def takes(out, cnp.dtype dtype, tuple shape, dict apart, str same):
    """Return whether results can go to `out` as it is: `fits` holds, it is writable and C-contiguous, and reaches into
    the memory of no array in `apart`, unless it is the one called `same` itself."""
    cdef uintptr_t low, high, start, stop
    if not is_fit(out, dtype, shape) or not cnp.PyArray_ISCARRAY(<cnp.ndarray> out):
        return False
    low, high = bounds(<cnp.ndarray> out)
    for name, other in apart.items():
        if cnp.PyArray_Check(other) and not (other is out and name == same):
            start, stop = bounds(<cnp.ndarray> other)
            if start < high and low < stop:
                return False
    return True


def all_within(cnp.ndarray numbers, double low, double high):
    """Return whether low < number < high for all of a C-contiguous float64 array."""
    cdef const double *values = <const double *> cnp.PyArray_DATA(numbers)
    cdef bint within = True
    cdef cnp.npy_intp k
    for k in range(cnp.PyArray_SIZE(numbers)):
        within = within and low < values[k] and values[k] < high
    return within


def move_average(cnp.ndarray average, cnp.ndarray fresh, double weight, double factor):
    """Write (1 − weight) average + weight (fresh factor), computed in double precision, to a float32 or float64 vector of
    any stride; `fresh` is float64 and C-contiguous."""
    cdef char *into = <char *> cnp.PyArray_DATA(average)
    cdef const double *values = <const double *> cnp.PyArray_DATA(fresh)
    cdef cnp.npy_intp step = cnp.PyArray_STRIDE(average, 0), k
    cdef bint narrow = average.descr.type_num == cnp.NPY_FLOAT32
    cdef double kept
    cdef float_mode own = float_mode_enter()
    for k in range(cnp.PyArray_DIM(average, 0)):
        kept = (<float *> into)[0] if narrow else (<double *> into)[0]
        kept = (1 - weight) * kept + weight * (values[k] * factor)
        if narrow:
            (<float *> into)[0] = <float> kept
        else:
            (<double *> into)[0] = kept
        into += step
    float_mode_leave(own)


def narrow(cnp.ndarray sums, cnp.dtype dtype, tuple shape):
    """Return float64 sums, side by side and C-contiguous, as arrays of this shape and dtype (float32 or float64): what is
    beyond its range is infinite."""
    cdef const double *wide = <const double *> cnp.PyArray_DATA(sums)
    cdef cnp.npy_intp lengths[64]
    cdef cnp.npy_intp size = 1, total = cnp.PyArray_SIZE(sums), first, k
    cdef int axis
    cdef cnp.ndarray part
    cdef list parts = []
    cdef float_mode own = float_mode_enter()
    for axis in range(len(shape)):
        lengths[axis] = shape[axis]
        size *= lengths[axis]
    for first in range(0, total, size):
        part = cnp.PyArray_EMPTY(<int> len(shape), lengths, dtype.type_num, 0)
        for k in range(size):
            if dtype.type_num == cnp.NPY_FLOAT32:
                (<float *> cnp.PyArray_DATA(part))[k] = <float> wide[first + k]
            else:
                (<double *> cnp.PyArray_DATA(part))[k] = wide[first + k]
        parts.append(part)
    float_mode_leave(own)
    return parts
