"""Several calls as a whole: what is begun is done, whatever signals come."""


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
