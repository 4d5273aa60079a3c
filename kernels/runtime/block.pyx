"""A block of memory that arrays look at, and that nobody can resize or free while they do."""
from libc.stdlib cimport free
from libc.string cimport memset

cimport numpy as cnp

cnp.import_array()

cdef extern from *:
    """
    #include <stdlib.h>
    #include <sys/mman.h>
    static void *zeroable(size_t size) {
        void *memory = NULL;
        size_t huge = (size_t) 1 << 21;
        if (posix_memalign(&memory, size >= 2 * huge ? huge : 64, size)) return NULL;
    #ifdef MADV_HUGEPAGE
        if (size >= 2 * huge) madvise(memory, size, MADV_HUGEPAGE);     /* as NumPy does */
    #endif
        return memory;
    }
    """
    void *zeroable(size_t size)


cdef class Block:
    """So many bytes of zeros, beginning with a cache line; their pages are there."""
    cdef void *memory

    def __cinit__(self, size_t size):
        self.memory = zeroable(max(<size_t> 1, size))
        if self.memory == NULL:
            raise MemoryError(f"no memory for {size} bytes of state")
        memset(self.memory, 0, max(<size_t> 1, size))

    def __dealloc__(self):
        free(self.memory)


def array_of(Block block not None, cnp.npy_intp size):
    """Return the block's first bytes as an array, which keeps it."""
    cdef cnp.ndarray array = cnp.PyArray_SimpleNewFromData(1, &size, cnp.NPY_UINT8, block.memory)
    cnp.set_array_base(array, block)
    return array
