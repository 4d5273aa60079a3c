# The one C signature of every kernel, whoever compiled it, and what kernels written in Cython share.
from libc.stdint cimport int64_t

cdef extern from "simd.h" nogil:
    ctypedef void cloned_void "CLONED void"     # return type of a kernel: one clone per instruction set
    ctypedef void inlined_void "INLINED void"   # return type of a `cdef inline` part of several kernels

cdef extern from *:
    """
    #define NOT_A_LABEL (-((int64_t) 1 << 62))
    """
    const int64_t NOT_A_LABEL               # what stands for a label that is none; labels are below 2^62 in size

ctypedef fused real:
    float
    double

ctypedef void (*kernel)(
    void **buffers,             # base address of each array
    const int64_t *dims,        # sizes and strides, in the op's own order
    const double *scalars,      # hyper-parameters, cast once to the kernel's type
    int64_t start,              # range of units of work: elements, rows or channels
    int64_t stop,
    double *partials,           # this grain's partial sums: a kernel adds to them
) noexcept nogil
