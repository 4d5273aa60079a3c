# 8-bit codes: groups of 256 elements share a float32 scale, their largest magnitude. A code is a small float relative
# to it, cut out of a float32's bits (3 bits of mantissa): a mean has a sign and 4 bits of exponent (down to 2^-15 of the
# largest, then zero), a second moment 5 bits of exponent (down to 2^-31). A second moment above zero never becomes zero:
# the step would divide by epsilon alone. The largest value gets the largest code. NaN or Inf spoils its group.
#
# A second moment moves by less than half a code a step (beta2 is 0.999): to nearest, it would never move. So it is rounded
# up or down with the probability of the part that is cut off, by one Philox number a group and step, which walks the
# group in steps of the golden ratio: as good as a number for each element, since only an element's own steps add up.
from libc.stdint cimport int32_t, int64_t, uint32_t

from kernels.runtime.abi cimport real

cdef extern from "storage.h" nogil:
    uint32_t word_of_float(float)
    float float_of_word(uint32_t)

cdef extern from "random.h" nogil:
    ctypedef struct philox_words:
        uint32_t a, b, c, d
    philox_words philox(uint32_t counter_low, uint32_t counter_high, uint32_t k0, uint32_t k1)

cdef extern from "<math.h>" nogil:
    float fabsf(float)

cdef enum:
    GROUP = 256                 # elements that share a scale in 8-bit storage (a literal where range() needs one)


cdef extern from *:
    """
    #define MEAN_LEAST (112 << 23)
    #define SQUARE_LEAST (96 << 23)
    #define SQUARE_ABOVE ((96 << 23) + (1 << 20))
    #define MOST ((127 << 23) + (7 << 20))
    #define TINY 1e-37f
    #define GOLDEN 0x9E3779B1u
    """
    const int32_t MEAN_LEAST        # bits of the ratio of code 0
    const int32_t SQUARE_LEAST
    const int32_t SQUARE_ABOVE      # of code 1
    const int32_t MOST              # of the largest code: 1.875
    const uint32_t GOLDEN           # 2^32 over the golden ratio
    const float TINY                # a group below it is kept as zeros (or the least code): 1 / scale would overflow


cdef inline float largest(const real *block, int64_t size) noexcept nogil:
    """Return the largest magnitude. As bits, magnitudes are ordered like integers, NaN above all."""
    cdef uint32_t lanes[32]
    cdef uint32_t bits, top = 0
    cdef int64_t i, k
    for k in range(32):
        lanes[k] = 0
    for i in range(0, size - 31, 32):
        for k in range(32):
            bits = word_of_float(<float> block[i + k]) & 0x7FFFFFFF
            lanes[k] = bits if bits > lanes[k] else lanes[k]
    for i in range(size - size % 32, size):     # not into a lane: a word written there would stall the vector's load
        bits = word_of_float(<float> block[i]) & 0x7FFFFFFF
        top = bits if bits > top else top
    for k in range(32):
        top = lanes[k] if lanes[k] > top else top
    return float_of_word(top)


cdef inline float inverse_of(float top) noexcept nogil:
    """Return what brings a group's magnitudes to ratios."""
    return <float> 1.875 / top if top > TINY else <float> 0


cdef inline float mean_of(int32_t code, float scale) noexcept nogil:
    """Return a mean; its code comes with the sign extended."""
    cdef int32_t bits = ((code << 20) & <int32_t> 0x87F00000) + MEAN_LEAST
    return scale * float_of_word(<uint32_t> bits if code & 0x7F else 0)


cdef inline uint32_t code_of_mean(float x, float inverse) noexcept nogil:
    """Return the code in the lowest 8 bits: the ratio's upper bits, to nearest, and the sign."""
    cdef int32_t bits = <int32_t> word_of_float(fabsf(x) * inverse)
    bits = bits if bits > MEAN_LEAST else MEAN_LEAST
    return ((<uint32_t> (bits + 0x80000) >> 20) & 0x7F) | ((word_of_float(x) >> 24) & 0x80)


cdef inline float square_of(uint32_t code, float scale) noexcept nogil:
    cdef uint32_t bits = (code << 20) + SQUARE_LEAST
    return scale * float_of_word(bits if code != 0 else 0)


cdef inline uint32_t code_of_square(float x, float inverse, uint32_t noise) noexcept nogil:
    """Return the code of a second moment in the lowest 8 bits; 32 bits of noise say which way it is rounded.

    Bits of numbers that are not negative are ordered as the numbers are. SQUARE_LEAST has no bits above its code's.
    """
    cdef int32_t bits = <int32_t> word_of_float(x * inverse)
    cdef int32_t least = SQUARE_ABOVE if word_of_float(x) != 0 else SQUARE_LEAST
    bits = bits if bits > least else least
    bits = bits if bits < MOST else MOST
    return (<uint32_t> bits + (noise >> 12)) >> 20


cdef inline uint32_t first_noise(int64_t group, const int64_t *dims, const double *scalars) noexcept nogil:
    """Return the noise of a group's first element; dims begins with the parameter's number, scalars with seed, step."""
    return philox(<uint32_t> group, <uint32_t> dims[0], <uint32_t> <int64_t> scalars[0],
                  <uint32_t> <int64_t> scalars[1]).a


cdef inline uint32_t noise_of(uint32_t first, int64_t i) noexcept nogil:
    return first + <uint32_t> i * GOLDEN
