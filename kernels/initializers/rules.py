"""Random numbers by counter, and what turns their words into values: plain Python that Numba compiles.

The same formulas as in runtime/random.h, operation by operation, where the papers are named: Philox4x32-10 (Salmon
et al. 2011) and AS 241 (Wichura 1988). Change them together.
"""

from math import log, sqrt

import numpy as np

WIDE = 1.0 + 1e-10 > 1.0  # literals take the kernel's type: true in float64, false in float32
MULTIPLIER_A = np.uint64(0xD2511F53)
MULTIPLIER_C = np.uint64(0xCD9E8D57)
WEYL_0 = np.uint32(0x9E3779B9)
WEYL_1 = np.uint32(0xBB67AE85)
UPPER = np.uint64(32)
MAGNITUDE = np.uint32(0x7FFFFFFF)
LARGEST = np.int32(0x7FFFFFFF)
ZERO = np.int32(0)


def philox(counter_low, counter_high, k0, k1):
    """The four words of one counter, whose upper 64 bits are zero; the key is the seed's two halves."""
    a, b, c, d = counter_low, counter_high, np.uint32(0), np.uint32(0)
    for _ in range(10):
        p = MULTIPLIER_A * np.uint64(a)
        q = MULTIPLIER_C * np.uint64(c)
        a = np.uint32(np.uint32(np.uint32(q >> UPPER) ^ b) ^ k0)
        b = np.uint32(q)
        c = np.uint32(np.uint32(np.uint32(p >> UPPER) ^ d) ^ k1)
        d = np.uint32(p)
        k0 = np.uint32(k0 + WEYL_0)
        k1 = np.uint32(k1 + WEYL_1)
    return a, b, c, d


def unit(first, second):
    """A multiple of 2^-24 (float32, one word) or 2^-53 (two words) in [0, 1)."""
    if WIDE:
        high = np.float64(np.int32(first >> np.uint32(5)))
        low = np.float64(np.int32(second >> np.uint32(6)))
        return (high * 67108864.0 + low) * 1.1102230246251565e-16
    return np.float32(np.int32(first >> np.uint32(8))) * 5.9604644775390625e-08


def quantile_float32(p, q):
    """PPND7 of a tail probability p in (0, 1/2], q = 1/2 - p; without the region p < 1.4e-11."""
    r = 0.180625 - q * q
    t = sqrt(-log(p)) - 1.6
    top = q * (((59.10937472 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179)
    bottom = ((67.1875636 * r + 78.757757664) * r + 17.895169469) * r + 1.0
    tail_top = ((0.17023821103 * t + 1.3067284816) * t + 2.75681539) * t + 1.4234372777
    tail_bottom = (0.12021132975 * t + 0.7370016425) * t + 1.0
    top = top if q <= 0.425 else tail_top
    bottom = bottom if q <= 0.425 else tail_bottom
    return top / bottom


def quantile_float64(p, q):
    """PPND16 of a tail probability p in (0, 1/2], q = 1/2 - p."""
    r = 0.180625 - q * q
    root = sqrt(-log(p))
    t = root - 1.6
    u = root - 5.0
    top = 2509.0809287301227
    top = top * r + 33430.57558358813
    top = top * r + 67265.7709270087
    top = top * r + 45921.95393154987
    top = top * r + 13731.69376550946
    top = top * r + 1971.5909503065513
    top = top * r + 133.14166789178438
    top = q * (top * r + 3.3871328727963665)
    bottom = 5226.495278852854
    bottom = bottom * r + 28729.085735721943
    bottom = bottom * r + 39307.89580009271
    bottom = bottom * r + 21213.794301586597
    bottom = bottom * r + 5394.196021424751
    bottom = bottom * r + 687.1870074920579
    bottom = bottom * r + 42.31333070160091
    bottom = bottom * r + 1.0
    tail_top = 0.0007745450142783414
    tail_top = tail_top * t + 0.022723844989269184
    tail_top = tail_top * t + 0.2417807251774506
    tail_top = tail_top * t + 1.2704582524523684
    tail_top = tail_top * t + 3.6478483247632045
    tail_top = tail_top * t + 5.769497221460691
    tail_top = tail_top * t + 4.630337846156546
    tail_top = tail_top * t + 1.4234371107496835
    tail_bottom = 1.0507500716444169e-09
    tail_bottom = tail_bottom * t + 0.0005475938084995345
    tail_bottom = tail_bottom * t + 0.015198666563616457
    tail_bottom = tail_bottom * t + 0.14810397642748008
    tail_bottom = tail_bottom * t + 0.6897673349851
    tail_bottom = tail_bottom * t + 1.6763848301838038
    tail_bottom = tail_bottom * t + 2.053191626637759
    tail_bottom = tail_bottom * t + 1.0
    far_top = 2.0103343992922881e-07
    far_top = far_top * u + 2.7115555687434876e-05
    far_top = far_top * u + 0.0012426609473880784
    far_top = far_top * u + 0.026532189526576124
    far_top = far_top * u + 0.29656057182850487
    far_top = far_top * u + 1.7848265399172913
    far_top = far_top * u + 5.463784911164114
    far_top = far_top * u + 6.657904643501103
    far_bottom = 2.0442631033899397e-15
    far_bottom = far_bottom * u + 1.421511758316446e-07
    far_bottom = far_bottom * u + 1.8463183175100548e-05
    far_bottom = far_bottom * u + 0.0007868691311456133
    far_bottom = far_bottom * u + 0.014875361290850615
    far_bottom = far_bottom * u + 0.1369298809227358
    far_bottom = far_bottom * u + 0.599832206555888
    far_bottom = far_bottom * u + 1.0
    tail_top = tail_top if root <= 5.0 else far_top
    tail_bottom = tail_bottom if root <= 5.0 else far_bottom
    top = top if q <= 0.425 else tail_top
    bottom = bottom if q <= 0.425 else tail_bottom
    return top / bottom


def standard_normal(first, second, tail, scale, bound):
    """A normal value from a sign bit and a tail probability tail + (m + 1/2) scale, m the other 31 (62) bits."""
    if WIDE:
        high = np.int32(first & MAGNITUDE)
        low = np.int32(second >> np.uint32(1))
        p = tail + (np.float64(high) * 2147483648.0 + (np.float64(low) + 0.5)) * scale
        from_high = np.float64(np.int32(LARGEST - high))
        from_low = np.float64(np.int32(LARGEST - low))
        q = (from_high * 2147483648.0 + (from_low + 0.5)) * scale
        z = quantile_float64(p, q)
    else:
        m = np.int32(first & MAGNITUDE)
        p = tail + (np.float32(m) + 0.5) * scale
        q = (np.float32(np.int32(LARGEST - m)) + 0.5) * scale
        z = quantile_float32(p, q)
    z = z if z < bound else bound
    return -z if np.int32(first) < ZERO else z


def uniform_value(first, second, low, span, limit):
    value = low + unit(first, second) * span
    return value if value < limit else limit


def normal_value(first, second, mean, std, tail, scale, bound):
    return mean + std * standard_normal(first, second, tail, scale, bound)
