"""How numbers are kept, apart from how they are computed: load and store stages for every storage type.

A load stage decodes the elements start:stop of an array into a scratch block of the compute type; a store stage
encodes the block back. Buffers: the array (or arrays), then the block. One stage per storage type and compute type
serves every optimizer.
"""
from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint32_t, uintptr_t

from kernels.runtime.abi cimport cloned_void, real
from kernels.runtime.codes cimport (
    GROUP, code_of_mean, code_of_square, first_noise, inverse_of, largest, mean_of, noise_of, philox, philox_words,
    square_of,
)

cdef extern from "storage.h" nogil:
    float float_of_bfloat16(uint16_t)
    uint16_t nearest_bfloat16(float)
    uint16_t bfloat16_of_float(float, uint32_t)
    uint16_t bfloat16_of_square(float, uint32_t)
    float float_of_float16(uint16_t)
    uint16_t float16_of_float(float)
    uint32_t word_of_float(float)
    float float_of_word(uint32_t)

# ---- the other float type

cdef cloned_void load_float32(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const float *stored = <const float *> buffers[0]
    cdef real *block = buffers[1]
    cdef int64_t i
    for i in range(start, stop):
        block[i] = stored[i]


cdef cloned_void store_float32(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef float *stored = <float *> buffers[0]
    cdef const real *block = buffers[1]
    cdef int64_t i
    for i in range(start, stop):
        stored[i] = <float> block[i]


cdef cloned_void load_float64(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const double *stored = <const double *> buffers[0]
    cdef real *block = buffers[1]
    cdef int64_t i
    for i in range(start, stop):
        block[i] = <real> stored[i]


# ---- 16 bits

cdef cloned_void load_bfloat16(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const uint16_t *stored = <const uint16_t *> buffers[0]
    cdef real *block = buffers[1]
    cdef int64_t i
    for i in range(start, stop):
        block[i] = float_of_bfloat16(stored[i])


cdef cloned_void store_bfloat16(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef uint16_t *stored = <uint16_t *> buffers[0]
    cdef const real *block = buffers[1]
    cdef int64_t i
    for i in range(start, stop):
        stored[i] = nearest_bfloat16(<float> block[i])


cdef cloned_void store_square16(real **buffers, const int64_t *dims, const double *scalars,
                                int64_t start, int64_t stop, double *partials) noexcept nogil:
    """A second moment as bfloat16, rounded as in 8 bits: see codes.pxd."""
    cdef uint16_t *stored = <uint16_t *> buffers[0]
    cdef const real *block = buffers[1]
    cdef uint32_t noise
    cdef int64_t first, i
    for first in range(start, stop, 256):
        noise = first_noise(first // GROUP, dims, scalars)
        for i in range(first, min(first + GROUP, stop)):
            stored[i] = bfloat16_of_square(<float> block[i], noise_of(noise, i - first) >> 16)


cdef cloned_void load_float16(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const uint16_t *stored = <const uint16_t *> buffers[0]
    cdef real *block = buffers[1]
    cdef int64_t i
    for i in range(start, stop):
        block[i] = float_of_float16(stored[i])


cdef cloned_void store_float16(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef uint16_t *stored = <uint16_t *> buffers[0]
    cdef const real *block = buffers[1]
    cdef int64_t i
    for i in range(start, stop):
        stored[i] = float16_of_float(<float> block[i])


cdef cloned_void store_stochastic(real **buffers, const int64_t *dims, const double *scalars,
                                  int64_t start, int64_t stop, double *partials) noexcept nogil:
    """Round up with the probability of the part cut off. The 16 random bits of an element are a function of the seed,
    the step, the parameter's number and the element's index: 128 elements share 16 counters."""
    cdef uint16_t *stored = <uint16_t *> buffers[0]
    cdef const real *block = buffers[1]
    cdef uint32_t number = <uint32_t> dims[0]
    cdef uint32_t seed = <uint32_t> <int64_t> scalars[0]
    cdef uint32_t step = <uint32_t> <int64_t> scalars[1]
    cdef uint32_t noise[128]
    cdef uint32_t counter, k
    cdef philox_words x
    cdef int64_t first, i
    for first in range(start, stop, 128):
        counter = <uint32_t> (first // 8)
        for k in range(16):
            x = philox(counter + k, number, seed, step)
            noise[k] = x.a
            noise[16 + k] = x.b
            noise[32 + k] = x.c
            noise[48 + k] = x.d
        for k in range(64):
            noise[64 + k] = noise[k] >> 16
        for i in range(first, min(first + 128, stop)):
            stored[i] = bfloat16_of_float(<float> block[i], noise[i - first] & 0xFFFF)


# ---- bfloat16 with the lost 16 bits beside it: together an exact float32

cdef cloned_void load_split(real **buffers, const int64_t *dims, const double *scalars,
                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const uint16_t *upper = <const uint16_t *> buffers[0]
    cdef const uint16_t *lower = <const uint16_t *> buffers[1]
    cdef real *block = buffers[2]
    cdef int64_t i
    for i in range(start, stop):
        # the upper half was rounded to nearest even: take its rounding back where the lower half says so
        block[i] = float_of_word(((<uint32_t> upper[i] << 16) - (<uint32_t> (lower[i] & 0x8000) << 1)) + lower[i])


cdef cloned_void store_split(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef uint16_t *upper = <uint16_t *> buffers[0]
    cdef uint16_t *lower = <uint16_t *> buffers[1]
    cdef const real *block = buffers[2]
    cdef uint32_t bits
    cdef int64_t i
    for i in range(start, stop):
        bits = word_of_float(<float> block[i])
        bits = bits if block[i] == block[i] else 0x7FC00000     # a NaN's low bits must not carry into the sign
        upper[i] = <uint16_t> ((bits + 0x8000) >> 16)
        lower[i] = <uint16_t> bits


# ---- 8 bits: codes and a scale for each group of 256

cdef cloned_void load_mean8(real **buffers, const int64_t *dims, const double *scalars,
                            int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int8_t *codes = <const int8_t *> buffers[0]
    cdef const float *scales = <const float *> buffers[1]
    cdef real *block = buffers[2]
    cdef int64_t first, i
    cdef float scale
    for first in range(start, stop, 256):
        scale = scales[first // GROUP] * <float> (1 / 1.875)
        for i in range(first, min(first + GROUP, stop)):
            block[i] = mean_of(codes[i], scale)


cdef cloned_void store_mean8(real **buffers, const int64_t *dims, const double *scalars,
                             int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef uint8_t *codes = <uint8_t *> buffers[0]
    cdef float *scales = <float *> buffers[1]
    cdef const real *block = buffers[2]
    cdef int64_t first, i, size
    cdef float inverse
    for first in range(start, stop, 256):
        size = min(<int64_t> GROUP, stop - first)
        scales[first // GROUP] = largest(block + first, size)
        inverse = inverse_of(scales[first // GROUP])
        for i in range(first, first + size):
            codes[i] = <uint8_t> code_of_mean(<float> block[i], inverse)


cdef cloned_void load_square8(real **buffers, const int64_t *dims, const double *scalars,
                              int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const uint8_t *codes = <const uint8_t *> buffers[0]
    cdef const float *scales = <const float *> buffers[1]
    cdef real *block = buffers[2]
    cdef int64_t first, i
    cdef float scale
    for first in range(start, stop, 256):
        scale = scales[first // GROUP] * <float> (1 / 1.875)
        for i in range(first, min(first + GROUP, stop)):
            block[i] = square_of(codes[i], scale)


cdef cloned_void store_square8(real **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef uint8_t *codes = <uint8_t *> buffers[0]
    cdef float *scales = <float *> buffers[1]
    cdef const real *block = buffers[2]
    cdef int64_t first, i, size
    cdef float inverse
    cdef uint32_t noise
    for first in range(start, stop, 256):
        size = min(<int64_t> GROUP, stop - first)
        scales[first // GROUP] = largest(block + first, size)
        inverse = inverse_of(scales[first // GROUP])
        noise = first_noise(first // GROUP, dims, scalars)
        for i in range(first, first + size):
            codes[i] = <uint8_t> code_of_square(<float> block[i], inverse, noise_of(noise, i - first))


LOAD = {        # storage -> addresses by compute type (float32, float64)
    "float32": (<uintptr_t> <void *> load_float32[float], <uintptr_t> <void *> load_float32[double]),
    "float64": (<uintptr_t> <void *> load_float64[float], <uintptr_t> <void *> load_float64[double]),
    "bfloat16": (<uintptr_t> <void *> load_bfloat16[float], <uintptr_t> <void *> load_bfloat16[double]),
    "float16": (<uintptr_t> <void *> load_float16[float], <uintptr_t> <void *> load_float16[double]),
    "stochastic": (<uintptr_t> <void *> load_bfloat16[float], <uintptr_t> <void *> load_bfloat16[double]),
    "square16": (<uintptr_t> <void *> load_bfloat16[float], <uintptr_t> <void *> load_bfloat16[double]),
    "split": (<uintptr_t> <void *> load_split[float], <uintptr_t> <void *> load_split[double]),
    "mean8": (<uintptr_t> <void *> load_mean8[float], <uintptr_t> <void *> load_mean8[double]),
    "square8": (<uintptr_t> <void *> load_square8[float], <uintptr_t> <void *> load_square8[double]),
}
STORE = {
    "float32": (<uintptr_t> <void *> store_float32[float], <uintptr_t> <void *> store_float32[double]),
    "bfloat16": (<uintptr_t> <void *> store_bfloat16[float], <uintptr_t> <void *> store_bfloat16[double]),
    "float16": (<uintptr_t> <void *> store_float16[float], <uintptr_t> <void *> store_float16[double]),
    "square16": (<uintptr_t> <void *> store_square16[float], <uintptr_t> <void *> store_square16[double]),
    "split": (<uintptr_t> <void *> store_split[float], <uintptr_t> <void *> store_split[double]),
    "stochastic": (<uintptr_t> <void *> store_stochastic[float], <uintptr_t> <void *> store_stochastic[double]),
    "mean8": (<uintptr_t> <void *> store_mean8[float], <uintptr_t> <void *> store_mean8[double]),
    "square8": (<uintptr_t> <void *> store_square8[float], <uintptr_t> <void *> store_square8[double]),
}
