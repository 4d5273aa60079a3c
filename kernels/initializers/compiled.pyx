"""Initializer kernels, ahead of time. The formulas are in random.h, in the order of operations of rules.py.

Counters are taken 16 at a time, a group: word w of counter j is random word 16 w + j of its group. A group gives
64 float32 values (a word each) or 32 float64 values (value i has words i and i + 32), and every loop over the 16
counters vectorises.
"""
from libc.stdint cimport int64_t, uint32_t, uintptr_t

from kernels.runtime.abi cimport cloned_void, real

cdef extern from "random.h" nogil:
    ctypedef struct philox_words:
        uint32_t a, b, c, d
    philox_words philox(uint32_t counter_low, uint32_t counter_high, uint32_t k0, uint32_t k1)
    uint32_t philox_word(philox_words words, int which)
    float unit_float(uint32_t first, uint32_t second)
    double unit_double(uint32_t first, uint32_t second)
    float normal_float(uint32_t first, uint32_t second, float tail, float scale, float bound)
    double normal_double(uint32_t first, uint32_t second, double tail, double scale, double bound)

cdef enum:
    LANES = 16                  # counters of a group


cdef inline real uniform_value(uint32_t first, uint32_t second, real low, real span, real limit) noexcept nogil:
    cdef real value
    if real is float:           # a conditional expression would be a double
        value = low + unit_float(first, second) * span
    else:
        value = low + unit_double(first, second) * span
    return value if value < limit else limit


cdef inline real normal_value(uint32_t first, uint32_t second, real mean, real std,
                              real tail, real scale, real bound) noexcept nogil:
    if real is float:
        return mean + std * normal_float(first, second, tail, scale, bound)
    else:
        return mean + std * normal_double(first, second, tail, scale, bound)


cdef cloned_void uniform(real **buffers, const int64_t *dims, const double *scalars,
                         int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *weights = buffers[0]
    cdef int64_t seed_low = dims[0]
    cdef int64_t seed_high = dims[1]
    cdef real low = <real> scalars[0]
    cdef real span = <real> scalars[1]
    cdef real limit = <real> scalars[2]
    cdef int64_t size = 64 if real is float else 32     # values of a group; `start` is a multiple
    cdef uint32_t k0 = <uint32_t> seed_low, k1 = <uint32_t> seed_high, counter_low, counter_high
    cdef int64_t index, rest, i
    cdef uint32_t j
    cdef real *group
    cdef philox_words x
    for index in range(start // size, (stop + size - 1) // size):
        counter_low = <uint32_t> (index * LANES)
        counter_high = <uint32_t> (index * LANES >> 32)
        group = weights + index * size
        rest = stop - index * size
        if rest >= size:
            for j in range(LANES):
                x = philox(counter_low + j, counter_high, k0, k1)
                if real is float:
                    group[j] = uniform_value(x.a, 0, low, span, limit)
                    group[LANES + j] = uniform_value(x.b, 0, low, span, limit)
                    group[2 * LANES + j] = uniform_value(x.c, 0, low, span, limit)
                    group[3 * LANES + j] = uniform_value(x.d, 0, low, span, limit)
                else:
                    group[j] = uniform_value(x.a, x.c, low, span, limit)
                    group[LANES + j] = uniform_value(x.b, x.d, low, span, limit)
        else:                                           # the last values, one by one
            for i in range(rest):
                x = philox(counter_low + <uint32_t> (i % LANES), counter_high, k0, k1)
                group[i] = uniform_value(philox_word(x, <int> (i // LANES)), philox_word(x, <int> (i // LANES) + 2),
                                         low, span, limit)


cdef cloned_void normal(real **buffers, const int64_t *dims, const double *scalars,
                        int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef real *weights = buffers[0]
    cdef int64_t seed_low = dims[0]
    cdef int64_t seed_high = dims[1]
    cdef real mean = <real> scalars[0]
    cdef real std = <real> scalars[1]
    cdef real tail = <real> scalars[2]
    cdef real scale = <real> scalars[3]
    cdef real bound = <real> scalars[4]
    cdef int64_t size = 64 if real is float else 32     # values of a group; `start` is a multiple
    cdef uint32_t k0 = <uint32_t> seed_low, k1 = <uint32_t> seed_high, counter_low, counter_high
    cdef int64_t index, rest, i
    cdef uint32_t j
    cdef real *group
    cdef philox_words x
    for index in range(start // size, (stop + size - 1) // size):
        counter_low = <uint32_t> (index * LANES)
        counter_high = <uint32_t> (index * LANES >> 32)
        group = weights + index * size
        rest = stop - index * size
        if rest >= size:
            for j in range(LANES):
                x = philox(counter_low + j, counter_high, k0, k1)
                if real is float:
                    group[j] = normal_value(x.a, 0, mean, std, tail, scale, bound)
                    group[LANES + j] = normal_value(x.b, 0, mean, std, tail, scale, bound)
                    group[2 * LANES + j] = normal_value(x.c, 0, mean, std, tail, scale, bound)
                    group[3 * LANES + j] = normal_value(x.d, 0, mean, std, tail, scale, bound)
                else:
                    group[j] = normal_value(x.a, x.c, mean, std, tail, scale, bound)
                    group[LANES + j] = normal_value(x.b, x.d, mean, std, tail, scale, bound)
        else:                                           # the last values, one by one
            for i in range(rest):
                x = philox(counter_low + <uint32_t> (i % LANES), counter_high, k0, k1)
                group[i] = normal_value(philox_word(x, <int> (i // LANES)), philox_word(x, <int> (i // LANES) + 2),
                                        mean, std, tail, scale, bound)


KERNELS = {     # (float32, float64)
    "uniform": (<uintptr_t> <void *> uniform[float], <uintptr_t> <void *> uniform[double]),
    "normal": (<uintptr_t> <void *> normal[float], <uintptr_t> <void *> normal[double]),
}
