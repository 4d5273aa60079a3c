"""How numbers are kept, one element at a time: what storage.h and codes.pxd do, in plain Python for the CUDA target.

The same bits as in C, operation by operation. Numba widens every sum of small integers, so each is cut back to 32 bits
by hand. `noise` is random bits that say which way a number is rounded.
"""

import numpy as np

U1 = np.uint32(1)
U12 = np.uint32(12)
U13 = np.uint32(13)
U16 = np.uint32(16)
U20 = np.uint32(20)
U24 = np.uint32(24)
MAGNITUDE_BITS = np.uint32(0x7FFFFFFF)
INFINITE = np.uint32(0x7F800000)
QUIET = np.uint32(0x7FC00000)
MEAN_LEAST = np.int32(112 << 23)  # bits of the ratio of code 0, as all of these
SQUARE_LEAST = np.int32(96 << 23)
SQUARE_ABOVE = np.int32((96 << 23) + (1 << 20))  # of code 1
SQUARE_MOST = np.int32((127 << 23) + (7 << 20))  # of the largest code: 1.875
GOLDEN = np.uint32(0x9E3779B1)


def bits_of(x):
    return np.float32(x).view(np.uint32)


def float_of(i):
    return np.uint32(i).view(np.float32)


# ---- 16 bits


def decode_bfloat16(h):
    return float_of(np.uint32(np.uint32(h) << U16))


def encode_bfloat16(x):
    i = bits_of(x)
    rounded = np.uint32(i + np.uint32(0x7FFF) + np.uint32(np.uint32(i >> U16) & U1))
    quiet = np.uint32(i | np.uint32(0x00400000))
    kept = rounded if x == x else quiet
    return np.uint16(kept >> U16)


def encode_stochastic(x, noise):
    """`noise` has 16 bits."""
    i = bits_of(x)
    special = np.uint32(i & INFINITE) == INFINITE
    nan_bit = np.uint32(0x0040) if np.uint32(i & np.uint32(0x007FFFFF)) != np.uint32(0) else np.uint32(0)
    kept = np.uint32(np.uint32(i >> U16) | nan_bit)
    rounded = np.uint32(np.uint32(i + noise) >> U16)
    return np.uint16(kept if special else rounded)


def encode_square16(x, noise):
    """`noise` has 32 bits, of which the upper 16 are used."""
    i = bits_of(x)
    i = i if i < QUIET else QUIET
    return np.uint16(np.uint32(i + np.uint32(noise >> U16)) >> U16)


def decode_float16(h):
    h = np.uint32(h)
    magnitude = float_of(np.uint32(np.uint32(h & np.uint32(0x7FFF)) << U13)) * np.float32(5.192296858534828e33)
    special = INFINITE if np.uint32(h & np.uint32(0x7C00)) == np.uint32(0x7C00) else np.uint32(0)
    sign = np.uint32(np.uint32(h & np.uint32(0x8000)) << U16)
    return float_of(np.uint32(np.uint32(bits_of(magnitude) | special) | sign))


def encode_float16(x):
    i = bits_of(x)
    sign = np.uint32(np.uint32(i >> U16) & np.uint32(0x8000))
    a = np.uint32(i & MAGNITUDE_BITS)
    half = np.uint32(np.uint32(a >> U13) & U1)
    normal = np.uint32(np.uint32(a + np.uint32(0x0FFF) + half - np.uint32(112 << 23)) >> U13)
    small = np.uint32(bits_of(float_of(a) + np.float32(0.5)) - np.uint32(0x3F000000))
    h = small if a < np.uint32(0x38800000) else normal
    h = np.uint32(0x7C00) if a >= np.uint32(0x477FF000) else h
    h = np.uint32(0x7E00) if a > INFINITE else h
    return np.uint16(np.uint32(sign | h))


def decode_split(upper, lower):
    lower = np.uint32(lower)
    up = np.uint32(np.uint32(upper) << U16)
    back = np.uint32(np.uint32(lower & np.uint32(0x8000)) << U1)
    return float_of(np.uint32(np.uint32(up - back) + lower))


def encode_split_upper(x):
    i = bits_of(x)
    i = i if x == x else QUIET
    return np.uint16(np.uint32(i + np.uint32(0x8000)) >> U16)


def encode_split_lower(x):
    i = bits_of(x)
    i = i if x == x else QUIET
    return np.uint16(i)


# ---- 8 bits: a code, relative to its group's largest magnitude


def ratio_scale(scale):
    return np.float32(scale * np.float32(0.5333333333333333))


def inverse_of(top):
    return np.float32(1.875) / top if top > np.float32(1e-37) else np.float32(0)


def decode_mean8(code, scale):
    code = np.int32(np.int8(code))
    i = np.int32(np.int32(np.int32(code << np.int32(20)) & np.int32(-2014314496)) + MEAN_LEAST)
    i = i if np.int32(code & np.int32(0x7F)) != np.int32(0) else np.int32(0)
    return scale * np.int32(i).view(np.float32)


def encode_mean8(x, inverse):
    i = np.float32(abs(x) * inverse).view(np.int32)
    i = i if i > MEAN_LEAST else MEAN_LEAST
    code = np.uint32(np.uint32(np.uint32(i + np.int32(0x80000)) >> U20) & np.uint32(0x7F))
    sign = np.uint32(np.uint32(bits_of(x) >> U24) & np.uint32(0x80))
    return np.uint8(np.uint32(code | sign))


def decode_square8(code, scale):
    code = np.uint32(code)
    i = np.uint32(np.uint32(code << U20) + np.uint32(96 << 23))
    i = i if code != np.uint32(0) else np.uint32(0)
    return scale * float_of(i)


def encode_square8(x, inverse, noise):
    """`noise` has 32 bits, of which the upper 20 are used."""
    i = np.float32(x * inverse).view(np.int32)
    least = SQUARE_ABOVE if bits_of(x) != np.uint32(0) else SQUARE_LEAST
    i = i if i > least else least
    i = i if i < SQUARE_MOST else SQUARE_MOST
    return np.uint8(np.uint32(np.uint32(i) + np.uint32(noise >> U12)) >> U20)


# ---- noise


def noise_of(first, o):
    """The noise of element `o` of a group: it walks the group in steps of the golden ratio."""
    return np.uint32(first + np.uint32(np.uint32(o) * GOLDEN))


def noise_of_word(a, b, c, d, k):
    """The 16 random bits of element 16 k + j of 128, from the words of counter j of 16."""
    low = a if k & 1 == 0 else b
    high = c if k & 1 == 0 else d
    word = low if k & 2 == 0 else high
    word = np.uint32(word >> U16) if k >= 4 else word
    return np.uint32(word & np.uint32(0xFFFF))
