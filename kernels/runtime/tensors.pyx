"""Tables of pointers from torch's tensors, in C and without torch's headers.

A torch that speaks DLPack 1.3 offers a table of C functions (`torch.Tensor.__dlpack_c_exchange_api__`), one of which tells
address, type, device, shape and strides of a tensor in some 20 ns. An older torch is asked in Python.
"""
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t

cimport numpy as cnp
from kernels.runtime.seen cimport MAX_AXES, Seen, is_dense, same_order, same_shape

import numpy as np

cnp.import_array()

cdef extern from *:
    """
    #include <stdint.h>
    /* DLPack 1.3: https://github.com/dmlc/dlpack, include/dlpack/dlpack.h */
    typedef struct { int32_t device_type, device_id; } FastoptDevice;
    typedef struct { uint8_t code, bits; uint16_t lanes; } FastoptType;
    typedef struct {
        void *data; FastoptDevice device; int32_t ndim; FastoptType dtype; int64_t *shape, *strides; uint64_t byte_offset;
    } FastoptTensor;
    typedef struct {
        uint32_t major, minor; void *previous;
        void *allocate, *managed_from, *managed_to;
        int (*look)(void *object, FastoptTensor *out);
        void *stream;
    } FastoptExchange;
    """
    ctypedef struct FastoptDevice:
        int32_t device_type
    ctypedef struct FastoptType:
        uint8_t code, bits
        uint16_t lanes
    ctypedef struct FastoptTensor:
        void *data
        FastoptDevice device
        int32_t ndim
        FastoptType dtype
        int64_t *shape
        int64_t *strides
        uint64_t byte_offset
    ctypedef struct FastoptExchange:
        uint32_t major, minor
        int (*look)(void *, FastoptTensor *) except -1

cdef enum:
    CPU = 1
    INT = 0                     # DLPack's codes of types
    UINT = 1
    FLOAT = 2
    BFLOAT = 4

TYPES = {                       # what `Table` calls them
    "float32": FLOAT * 256 + 32, "float64": FLOAT * 256 + 64, "bfloat16": BFLOAT * 256 + 16,
    "float16": FLOAT * 256 + 16, "uint8": UINT * 256 + 8, "uint16": UINT * 256 + 16, "int64": INT * 256 + 64,
}  # fmt: skip

cdef const FastoptExchange *exchange = NULL
cdef tuple plain = ()          # classes whose objects are tensors themselves, and no wrappers
cdef object unwrapped = None    # what makes a tensor of others


def connect(tensor_class, classes, unwrap, bint use_table=True):
    """Learn how tensors are looked at.

    Parameters
    ----------
    tensor_class : type
        `torch.Tensor`.
    classes : tuple of types
        Exact types of tensors that hold their own memory.
    unwrap : callable
        Returns the local tensor of anything else.
    use_table : bool
        Whether the C table is used where there is one.

    Returns
    -------
    bool: whether it is.
    """
    global exchange, plain, unwrapped
    plain, unwrapped, exchange = classes, unwrap, NULL
    capsule = getattr(tensor_class, "__dlpack_c_exchange_api__", None)
    if use_table and capsule is not None:
        exchange = <const FastoptExchange *> PyCapsule_GetPointer(capsule, "dlpack_exchange_api")
        if exchange.major != 1:
            exchange = NULL
    return exchange != NULL


cdef bint look(object tensor, Seen *seen) except -1:
    """Fill in what a tensor is."""
    cdef FastoptTensor found
    cdef int k
    if not (PyTuple_GET_SIZE(plain) == 2 and (type(tensor) is <object> PyTuple_GET_ITEM(plain, 0)
            or type(tensor) is <object> PyTuple_GET_ITEM(plain, 1))):
        tensor = unwrapped(tensor)
    if exchange != NULL:
        exchange.look(<void *> <PyObject *> tensor, &found)
        seen.data, seen.device = <uintptr_t> found.data + found.byte_offset, found.device.device_type
        seen.dtype = -1 if found.dtype.lanes != 1 else found.dtype.code * 256 + found.dtype.bits
        seen.ndim, seen.shape, seen.strides = found.ndim, found.shape, found.strides
    else:
        seen.data, seen.device = tensor.data_ptr(), CPU if tensor.device.type == "cpu" else 0
        seen.dtype = TYPES.get(str(tensor.dtype).removeprefix("torch."), -1)
        seen.ndim = tensor.dim()
        if seen.ndim > MAX_AXES:
            raise ValueError(f"tensor: expected at most {MAX_AXES} axes, got {seen.ndim}")
        for k in range(seen.ndim):
            seen.axes[k], seen.axes[MAX_AXES + k] = tensor.shape[k], tensor.stride(k)
        seen.shape, seen.strides = seen.axes, seen.axes + MAX_AXES
    seen.size = 1
    for k in range(seen.ndim):
        seen.size *= seen.shape[k]
    return True


def is_flat(*tensors):
    """Return whether tensors of one shape are all dense, with their elements in one order."""
    cdef Seen first, other
    look(tensors[0], &first)
    if not is_dense(&first):
        return False
    for tensor in tensors[1:]:
        look(tensor, &other)
        if not (same_shape(&first, &other) and same_order(&first, &other)):
            return False
    return True


cdef class Table:
    """The tensors of parameters that share a recipe, a job each, as a launch wants them.

    Parameters and gradients are looked at in every `read`. State is known by the identity of its tensors: whoever makes the
    table keeps their memory from going.

    Parameters
    ----------
    params : list of tensor
    states : list of dict
        Each parameter's state, which must hold the `state` and `counters` below.
    columns : tuple of (str, int)
        In the order of the pointer table: "param", "grad" or a name in the state, and its type, of `TYPES`. A name that ends in
        "_scale" has a number for each 256 elements; the others are of the parameter's shape.
    counters : tuple of str
        Names in the state of tensors of one number: the step count, and what else is carried from step to step.
    groups : list of int
        Each parameter's group.
    counts : list of int
        Steps so far, where known better than by the step's tensor: float32 counts to 2²⁴ alone. Else 0.
    slots : int
        Width of the pointer table.

    Attributes
    ----------
    pointers, units : arrays
        What `Pipeline.run` takes; 0 units for a job that doesn't take part, or stands in `odd`.
    rows : int64 array
        Which of `settings` is each job's.
    settings : list of (group, number, …)
        The groups, and values of counters, that occur among the jobs that take part.
    active : uint8 array
        Whether a parameter has a gradient.
    odd : list of int
        Jobs that take part whose tensors are not in one order in memory.
    grads : list of tensor or None
        Kept until `release`.
    stepped : list of tensor
        The parameters that have a gradient.
    own : bool
        Whether a parameter is its own gradient.
    counts : int64 array

    Raises
    ------
    ValueError
        If state is not of the expected types and sizes, in memory of the CPU.
    """
    cdef readonly list params, states, grads, odd, settings, stepped
    cdef readonly cnp.ndarray pointers, units, rows, active, counts
    cdef readonly tuple columns, counters
    cdef readonly bint own
    cdef list held                              # a tuple per job: the state's tensors, columns before counters
    cdef cnp.ndarray groups, at, kinds, values, axes, known, strange
    cdef tuple names                            # of `held`

    def __init__(self, list params, list states, tuple columns, tuple counters, list groups, list counts, int slots):
        cdef Seen first, other
        cdef Py_ssize_t job, k, place, jobs = len(params), width = len(counters)
        cdef int kind
        cdef int64_t *axes
        if not len(states) == len(groups) == len(counts) == jobs or slots < len(columns):
            raise ValueError(f"expected as many states, groups and counts as parameters ({jobs}), and {len(columns)} slots")
        self.params, self.states, self.columns, self.counters = params, states, columns, counters
        self.grads, self.odd, self.settings, self.stepped = [None] * jobs, [], [], []
        self.pointers, self.units = np.zeros((jobs, slots), np.uintp), np.zeros(jobs, np.int64)
        self.rows, self.active = np.zeros(jobs, np.int64), np.zeros(jobs, np.uint8)
        self.groups, self.counts = np.array(groups, np.int64), np.array(counts, np.int64)
        self.at, self.kinds = np.zeros((jobs, width), np.uintp), np.zeros((jobs, width), np.int64)
        self.values = np.zeros((jobs, width))
        self.names = (*[name for name, _ in columns if name not in ("param", "grad")], *counters)
        self.held = [tuple([state[name] for name in self.names]) for state in states]
        self.axes = np.zeros((jobs, 2 * max([param.dim() for param in params], default=0)), np.int64)
        self.known, self.strange = np.zeros(jobs, np.int64), np.zeros(jobs, np.uint8)
        for job in range(jobs):
            look(params[job], &first)
            axes = <int64_t *> cnp.PyArray_DATA(self.axes) + job * cnp.PyArray_DIM(self.axes, 1)
            for k in range(first.ndim):
                axes[k], axes[first.ndim + k] = first.shape[k], first.strides[k]
            (<int64_t *> cnp.PyArray_DATA(self.known))[job] = first.ndim
            (<uint8_t *> cnp.PyArray_DATA(self.strange))[job] = not is_dense(&first)
            for k, (name, expected) in enumerate(columns):
                if name in ("param", "grad"):
                    continue
                look(states[job][name], &other)
                (<uintptr_t *> cnp.PyArray_DATA(self.pointers))[job * slots + k] = other.data
                if other.device != CPU or other.dtype != <int> expected:
                    raise ValueError(f"state {name!r}: expected another type, got {states[job][name].dtype}")
                if name.endswith("_scale"):
                    if other.ndim != 1 or other.size != (first.size + 255) // 256 or not is_dense(&other):
                        raise RuntimeError(f"state {name!r}: expected a packed number for each 256 elements")
                elif not same_shape(&first, &other):
                    raise RuntimeError(
                        f"state {name!r}: expected the parameter's shape {tuple(params[job].shape)}, got "
                        f"{tuple(states[job][name].shape)}"
                    )
                elif not same_order(&first, &other):
                    (<uint8_t *> cnp.PyArray_DATA(self.strange))[job] = True
            for k, name in enumerate(counters):
                look(states[job][name], &other)
                place = job * width + k
                if other.device != CPU or other.size != 1 or other.dtype not in (FLOAT * 256 + 32, FLOAT * 256 + 64):
                    raise ValueError(f"state {name!r}: expected one number, float32 or float64, got {states[job][name]}")
                (<uintptr_t *> cnp.PyArray_DATA(self.at))[place] = other.data
                (<int64_t *> cnp.PyArray_DATA(self.kinds))[place] = other.dtype

    def read(self, list given=None):
        """Look at every parameter and gradient; return the first job with something that doesn't fit, or -1.

        `given`: the gradients, where they are not the parameters' `.grad`.
        """
        cdef Py_ssize_t job, jobs = len(self.params), width = cnp.PyArray_DIM(self.pointers, 1), param_at = 0, grad_at = 0, k
        cdef uintptr_t *pointers = <uintptr_t *> cnp.PyArray_DATA(self.pointers)
        cdef int64_t *units = <int64_t *> cnp.PyArray_DATA(self.units)
        cdef uint8_t *active = <uint8_t *> cnp.PyArray_DATA(self.active)
        cdef const uint8_t *strange = <uint8_t *> cnp.PyArray_DATA(self.strange)
        cdef list params = self.params, grads = self.grads, stepped = []
        cdef int param_type = 0, grad_type = 0
        cdef Seen first, other
        if given is not None and len(given) != jobs:
            raise ValueError(f"given: expected a gradient for each of {jobs} parameters, got {len(given)}")
        for k, (name, kind) in enumerate(self.columns):
            if name == "param":
                param_at, param_type = k, kind
            elif name == "grad":
                grad_at, grad_type = k, kind
        self.odd, self.stepped, self.own = [], stepped, False
        for job in range(jobs):
            grad = params[job].grad if given is None else given[job]
            grads[job] = grad
            active[job], units[job] = grad is not None, 0
            if grad is None:
                continue
            stepped.append(params[job])
            try:
                look(params[job], &first)
                look(grad, &other)
            except (RuntimeError, ValueError, TypeError, BufferError, AttributeError):
                return job      # a sparse tensor, say: whoever asks will see
            if (first.device != CPU or other.device != CPU or first.dtype != param_type or other.dtype != grad_type
                    or not self.is_known(job, &first) or not same_shape(&first, &other)
                    or not self.holds(job) or not self.read_counters(job)):
                return job
            if strange[job] or not same_order(&first, &other):
                self.odd.append(job)
                continue
            units[job], self.own = first.size, self.own or (first.data == other.data and first.size > 0)
            pointers[job * width + param_at] = first.data
            pointers[job * width + grad_at] = other.data
        self.number_rows()
        return -1

    def release(self):
        """Let go of the gradients, whose memory may be given back then."""
        cdef Py_ssize_t job
        for job in range(len(self.grads)):
            self.grads[job] = None

    cdef bint is_known(self, Py_ssize_t job, const Seen *seen) noexcept:
        """Whether a parameter has the shape and strides that it had."""
        cdef const int64_t *axes = <int64_t *> cnp.PyArray_DATA(self.axes) + job * cnp.PyArray_DIM(self.axes, 1)
        cdef int k
        if seen.ndim != (<int64_t *> cnp.PyArray_DATA(self.known))[job]:
            return False
        for k in range(seen.ndim):
            if seen.shape[k] != axes[k] or seen.strides[k] != axes[seen.ndim + k]:
                return False
        return True

    cdef bint holds(self, Py_ssize_t job) except -1:
        """Whether a parameter's state holds the very tensors that it held."""
        cdef dict state = <dict> self.states[job]
        cdef tuple held = <tuple> self.held[job]
        cdef Py_ssize_t k
        for k in range(len(held)):
            if state.get(<str> self.names[k]) is not held[k]:
                return False
        return True

    cdef bint read_counters(self, Py_ssize_t job) noexcept:
        """Read the counters; a step count that float32 can't tell from ours is ours."""
        cdef int64_t *counts = <int64_t *> cnp.PyArray_DATA(self.counts)
        cdef const uintptr_t *at = <uintptr_t *> cnp.PyArray_DATA(self.at)
        cdef const int64_t *kinds = <int64_t *> cnp.PyArray_DATA(self.kinds)
        cdef double *values = <double *> cnp.PyArray_DATA(self.values)
        cdef Py_ssize_t k, place, width = cnp.PyArray_DIM(self.at, 1)
        cdef double value
        for k in range(width):
            place = job * width + k
            if kinds[place] == FLOAT * 256 + 32:
                value = (<float *> at[place])[0]
            else:
                value = (<double *> at[place])[0]
            if k == 0:
                if not fabs(value) < 9e15:
                    return False
                if (<double> <float> counts[job] if kinds[place] == FLOAT * 256 + 32 else <double> counts[job]) != value:
                    counts[job] = <int64_t> value
                value = <double> counts[job]
            values[place] = value
        return True

    cdef number_rows(self):
        """Give jobs of one group whose counters agree one row."""
        cdef Py_ssize_t job, k, width = cnp.PyArray_DIM(self.at, 1), last = -1
        cdef const int64_t *groups = <int64_t *> cnp.PyArray_DATA(self.groups)
        cdef const uint8_t *active = <uint8_t *> cnp.PyArray_DATA(self.active)
        cdef const double *values = <double *> cnp.PyArray_DATA(self.values)
        cdef int64_t *rows = <int64_t *> cnp.PyArray_DATA(self.rows)
        cdef bint same
        cdef dict known = {}
        for job in range(len(self.params)):
            rows[job] = 0
            if not active[job]:
                continue
            same = last >= 0 and groups[job] == groups[last]
            for k in range(width):
                same = same and values[job * width + k] == values[last * width + k]
            if same:
                rows[job] = rows[last]
            else:
                key = (groups[job], *[values[job * width + k] for k in range(width)])
                rows[job] = known.setdefault(key, len(known))
            last = job
        self.settings = list(known)

    def write(self, cnp.ndarray table):
        """Write the counters of the jobs that took part: a row (float64, C-contiguous) for each of `settings`."""
        cdef Py_ssize_t job, k, width = cnp.PyArray_DIM(self.at, 1), place
        cdef const uint8_t *active = <uint8_t *> cnp.PyArray_DATA(self.active)
        cdef const int64_t *rows = <int64_t *> cnp.PyArray_DATA(self.rows)
        cdef const int64_t *kinds = <int64_t *> cnp.PyArray_DATA(self.kinds)
        cdef const uintptr_t *at = <uintptr_t *> cnp.PyArray_DATA(self.at)
        cdef int64_t *counts = <int64_t *> cnp.PyArray_DATA(self.counts)
        cdef const double *values = <double *> cnp.PyArray_DATA(table)
        cdef double value
        shape = (<object> table).shape
        if shape != (len(self.settings), width) or cnp.PyArray_TYPE(table) != cnp.NPY_FLOAT64:
            raise ValueError(f"table: expected float64 of shape {(len(self.settings), width)}, got shape {shape}")
        for job in range(len(self.params)):
            if not active[job]:
                continue
            for k in range(width):
                place, value = job * width + k, values[rows[job] * width + k]
                if kinds[place] == FLOAT * 256 + 32:
                    (<float *> at[place])[0] = <float> value
                else:
                    (<double *> at[place])[0] = value
                if k == 0:
                    counts[job] = <int64_t> value


def is_bound(list seen, list groups, dict seen_state, object state):
    """Return whether lists hold the very objects of `seen`, and a dict the very entries of `seen_state`, in its order."""
    cdef list one, other
    cdef Py_ssize_t k, i, at = 0, other_at = 0
    cdef PyObject *key
    cdef PyObject *value
    cdef PyObject *other_key
    cdef PyObject *other_value
    if len(seen) != len(groups) or len(seen_state) != len(state):
        return False
    for k in range(len(seen)):
        one, other = seen[k], groups[k]
        if len(one) != len(other):
            return False
        for i in range(len(one)):
            if one[i] is not other[i]:
                return False
    while PyDict_Next(seen_state, &at, &key, &value):
        PyDict_Next(state, &other_at, &other_key, &other_value)
        if key != other_key or value != other_value:
            return False
    return True


def any_gradient(list params):
    """Return whether any of these has a gradient."""
    for param in params:
        if param.grad is not None:
            return True
    return False
