"""Several calls as a whole: what is begun is done, whatever signals come."""


from cpython.exc cimport PyErr_WarnEx
from cpython.object cimport PyObject_Call


def whole(list calls):
    """Make calls one after the other, each (function, arguments, keyword arguments), and return what they returned.

    Where the functions are C's (the launcher's, methods of arrays, `setattr`), no handler of a signal runs between
    them: Python runs handlers between its own instructions, and there are none. A KeyboardInterrupt waits.
    """
    cdef list results = []
    for function, arguments, keywords in calls:
        results.append(PyObject_Call(function, <tuple?> arguments, <dict?> keywords))
    return results


def put(array, values):
    """Return the call that writes values into an array: of C alone, which `numpy.copyto` isn't (NumPy asks a function
    in Python first which arrays it is about)."""
    return array.__setitem__, (Ellipsis, values), {}


cdef class Innermost:
    """Base of what is used in `with`: until the block ends, its value is the last one in a context variable's tuple.

    Entered, left and dropped in C, where no handler of a signal runs: none can leave the value behind. If it is dropped
    unused, a warning says what to write.
    """

    cdef object variable
    cdef readonly object value
    cdef readonly str advice
    cdef public bint unused

    def __init__(self, variable, value, advice):
        self.variable, self.value, self.advice, self.unused = variable, value, advice, True

    def __enter__(self):
        self.unused = False
        self.variable.set((*self.variable.get(), self.value))

    def __exit__(self, *error):
        self.variable.set(self.variable.get()[:-1])

    def __del__(self):
        if self.unused:
            PyErr_WarnEx(RuntimeWarning, self.advice.encode(), 1)
