"""exp, log, log1p and tanh in float32 that LLVM can vectorise: no branches, no tables, no calls.

The same formulas as in simd.h, operation by operation, so both targets give the same bits. Change them together.
jit.py puts this text into the modules it compiles; every float literal takes the kernel's type there, and fma(a, b, c)
is a b + c, rounded once.
"""
# ruff: noqa: F821
# mypy: disable-error-code="name-defined"

import numpy as np

INFINITY = np.float32(np.inf)  # a plain np.inf is a float64, and would widen what log returns
NAN = np.float32(np.nan)
MAGIC = 12582912.0
MAGIC_BITS = np.int32(1262485504)
ROOT_HALF_BITS = np.int32(0x3F3504F3)
MANTISSA = np.int32(0x007FFFFF)
SHIFT = np.int32(23)
BIAS = np.int32(127)
HIGH_BIAS = np.int32(190)
ONE = np.int32(1)
SIGN = np.int32(31)
REST = np.int32(0x7FFFFFFF)
LOWEST = np.int64(-(2**31))
ORDERED_BITS = 32


def ordered(x):
    i = np.float32(x + 0.0).view(np.int32)
    return np.int64(np.int32(i ^ np.int32(np.int32(i >> SIGN) & REST))) - LOWEST


def exp_of_rest(r):
    p = 0.0013814532430842519
    p = fma(p, r, 0.008368746377527714)
    p = fma(p, r, 0.04166839271783829)
    p = fma(p, r, 0.1666652113199234)
    p = fma(p, r, 0.4999999403953552)
    return 1.0 + fma(r * r, p, r)


def exp(x):
    x = -105.0 if x < -105.0 else x
    x = 89.0 if x > 89.0 else x
    shifted = fma(x, 1.44269504, MAGIC)
    n = shifted - MAGIC
    r = fma(n, 2.12194440e-4, fma(n, -0.693359375, x))
    power = np.int32(np.float32(shifted).view(np.int32) - MAGIC_BITS)
    half = np.int32(power >> ONE)
    first = np.int32(np.int32(half + BIAS) << SHIFT).view(np.float32)
    second = np.int32(np.int32(power - half + BIAS) << SHIFT).view(np.float32)
    return exp_of_rest(r) * first * second


def exp_nonpositive(x):
    x = -105.0 if x < -105.0 else x
    shifted = fma(x, 1.44269504, MAGIC)
    n = shifted - MAGIC
    r = fma(n, 2.12194440e-4, fma(n, -0.693359375, x))
    scale = np.int32(np.int32(np.float32(shifted).view(np.int32) + HIGH_BIAS) << SHIFT).view(np.float32)
    return exp_of_rest(r) * scale * 1.0842021724855044e-19


def log(x):
    subnormal = x < 1.17549435e-38
    scale = 8388608.0 if subnormal else 1.0
    k0 = -23.0 if subnormal else 0.0
    i = np.int32(np.float32(x * scale).view(np.int32) - ROOT_HALF_BITS)
    k = k0 + np.float32(np.int32(i >> SHIFT))
    f = np.int32(np.int32(i & MANTISSA) + ROOT_HALF_BITS).view(np.float32) - 1.0
    s = f / (2.0 + f)
    z = s * s
    q = 0.22222222222222221
    q = fma(q, z, 0.2857142857142857)
    q = fma(q, z, 0.4)
    q = fma(q, z, 0.6666666666666666)
    h = 0.5 * f * f
    y = fma(k, 0.693359375, f - (h - fma(s, fma(z, q, h), k * -2.12194440e-4)))
    y = y if x < INFINITY else x
    special = -INFINITY if x == 0.0 else NAN
    return y if x > 0.0 else special


def log1p(x):
    w = 1.0 + x
    lost = x - (w - 1.0)
    lost = lost if w > 0.0 else 0.0
    lost = lost if w < INFINITY else 0.0
    divisor = w if w > 0.0 else 1.0
    y = log(w) + lost / divisor
    return x if x == 0.0 else y


def tanh(x):
    u = -2.0 * x if x < 0.0 else 2.0 * x
    u = 40.0 if u > 40.0 else u
    turns = fma(u, -1.44269504, MAGIC)
    shifted = MAGIC if u < 0.55 else turns
    n = shifted - MAGIC
    r = fma(n, 2.12194440e-4, fma(n, -0.693359375, -u))
    p = 2.7557319223985893e-06
    p = fma(p, r, 2.4801587301587302e-05)
    p = fma(p, r, 0.00019841269841269841)
    p = fma(p, r, 0.0013888888888888889)
    p = fma(p, r, 0.0083333333333333332)
    p = fma(p, r, 0.041666666666666664)
    p = fma(p, r, 0.16666666666666666)
    power = np.int32(np.float32(shifted).view(np.int32) - MAGIC_BITS)
    scale = np.int32(np.int32(power + BIAS) << SHIFT).view(np.float32)
    small = fma(r * r, r * p, 0.5 * (r * r))
    sum_ = r + small
    e = scale * sum_
    lost = (scale - 1.0) + e
    error = fma(scale, small - (sum_ - r), e - (lost - (scale - 1.0)))
    under = 2.0 + lost
    about = 1.5 - 0.5 * under
    part = (2.0 * (e + scale) if lost < -0.8 else -lost) / under
    part = part - part * ((lost - (under - 2.0)) * about)
    part = part if lost < -0.8 else part - error * (2.0 * about * about)
    y = 1.0 - part if lost < -0.8 else part
    y = -y if x < 0.0 else y
    return x if x == 0.0 else y


def artanh(s):
    z = s * s
    q = 0.1401258409023285
    q = fma(q, z, 0.1399950385093689)
    q = fma(q, z, 0.20010852813720703)
    q = fma(q, z, 0.3333320617675781)
    return fma(s, z * q, s)
