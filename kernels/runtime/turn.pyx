"""One call at a time on what keeps state."""
from cpython.exc cimport PyErr_CheckSignals
from cpython.pythread cimport (
    NOWAIT_LOCK, PY_LOCK_ACQUIRED, PyLockStatus, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock,
    PyThread_get_thread_ident, PyThread_release_lock, PyThread_type_lock,
)

cdef extern from "pythread.h" nogil:
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock, long long microseconds, int interruptible)


cdef class Turn:
    """A lock for `with`: other threads wait for their turn, and a call within a call is refused.

    Signals' handlers run before it is taken, or behind; a copy of it, or what a pickle makes of it, is free.
    """
    cdef PyThread_type_lock lock
    cdef unsigned long owner    # the thread whose turn it is, or 0

    def __cinit__(self):
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError("no memory for a lock")

    def __dealloc__(self):
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    def __enter__(self):
        cdef unsigned long me = <unsigned long> PyThread_get_thread_ident()
        cdef int taken
        if self.owner == me:
            raise RuntimeError("expected calls one after the other, got one from within another on the same object "
                               "(from a schedule or a signal's handler that is called on the way)")
        if not PyThread_acquire_lock(self.lock, NOWAIT_LOCK):
            taken = 0
            while not taken:
                with nogil:
                    taken = PyThread_acquire_lock_timed(self.lock, -1, 1) == PY_LOCK_ACQUIRED
                if not taken:
                    PyErr_CheckSignals()
        self.owner = me

    def __exit__(self, *unused):
        self.owner = 0
        PyThread_release_lock(self.lock)

    def __reduce__(self):
        return Turn, ()
