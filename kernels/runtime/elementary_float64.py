"""exp, log, log1p and tanh in float64 that LLVM can vectorise: no branches, no tables, no calls.

The same formulas as in simd.h, operation by operation, so both targets give the same bits. Change them together.
jit.py puts this text into the modules it compiles; every float literal takes the kernel's type there, and fma(a, b, c)
is a b + c, rounded once.
"""
# ruff: noqa: F821
# mypy: disable-error-code="name-defined"

import numpy as np

INFINITY = np.float64(np.inf)
NAN = np.float64(np.nan)
MAGIC = 6755399441055744.0
MAGIC_BITS = np.int64(4843621399236968448)
ROOT_HALF_BITS = np.int64(0x3FE6A09E667F3BCD)
MANTISSA = np.int64(0x000FFFFFFFFFFFFF)
SHIFT = np.int64(52)
BIAS = np.int64(1023)
HIGH_BIAS = np.int64(1534)
ONE = np.int64(1)
SIGN = np.int64(63)
REST = np.int64(2**63 - 1)
LOWEST = np.int64(-(2**63))
ORDERED_BITS = 64


def ordered(x):
    i = np.float64(x + 0.0).view(np.int64)
    return i ^ ((i >> SIGN) & REST) ^ LOWEST


def exp_of_rest(r):
    p = 1.6059043836821613e-10
    p = fma(p, r, 2.08767569878681e-09)
    p = fma(p, r, 2.505210838544172e-08)
    p = fma(p, r, 2.755731922398589e-07)
    p = fma(p, r, 2.7557319223985893e-06)
    p = fma(p, r, 2.48015873015873e-05)
    p = fma(p, r, 0.0001984126984126984)
    p = fma(p, r, 0.001388888888888889)
    p = fma(p, r, 0.008333333333333333)
    p = fma(p, r, 0.041666666666666664)
    p = fma(p, r, 0.16666666666666666)
    p = fma(p, r, 0.5)
    return 1.0 + fma(r * r, p, r)


def exp(x):
    x = -746.0 if x < -746.0 else x
    x = 710.0 if x > 710.0 else x
    shifted = fma(x, 1.4426950408889634, MAGIC)
    n = shifted - MAGIC
    r = fma(n, -1.9082149292705877e-10, fma(n, -0.69314718036912382, x))
    power = np.int64(np.float64(shifted).view(np.int64) - MAGIC_BITS)
    half = np.int64(power >> ONE)
    first = np.int64(np.int64(half + BIAS) << SHIFT).view(np.float64)
    second = np.int64(np.int64(power - half + BIAS) << SHIFT).view(np.float64)
    return exp_of_rest(r) * first * second


def exp_nonpositive(x):
    x = -746.0 if x < -746.0 else x
    shifted = fma(x, 1.4426950408889634, MAGIC)
    n = shifted - MAGIC
    r = fma(n, -1.9082149292705877e-10, fma(n, -0.69314718036912382, x))
    scale = np.int64(np.int64(np.float64(shifted).view(np.int64) + HIGH_BIAS) << SHIFT).view(np.float64)
    return exp_of_rest(r) * scale * 1.4916681462400413e-154


def log(x):
    subnormal = x < 2.2250738585072014e-308
    scale = 4503599627370496.0 if subnormal else 1.0
    k0 = -52.0 if subnormal else 0.0
    i = np.int64(np.float64(x * scale).view(np.int64) - ROOT_HALF_BITS)
    k = k0 + np.float64(np.int64(i >> SHIFT))
    f = np.int64(np.int64(i & MANTISSA) + ROOT_HALF_BITS).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    q = 0.086956521739130432
    q = fma(q, z, 0.09523809523809523)
    q = fma(q, z, 0.10526315789473684)
    q = fma(q, z, 0.11764705882352941)
    q = fma(q, z, 0.13333333333333333)
    q = fma(q, z, 0.15384615384615385)
    q = fma(q, z, 0.18181818181818182)
    q = fma(q, z, 0.2222222222222222)
    q = fma(q, z, 0.2857142857142857)
    q = fma(q, z, 0.4)
    q = fma(q, z, 0.6666666666666666)
    h = 0.5 * f * f
    y = fma(k, 0.69314718036912382, f - (h - fma(s, fma(z, q, h), k * 1.9082149292705877e-10)))
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
    u = 100.0 if u > 100.0 else u
    turns = fma(u, -1.4426950408889634, MAGIC)
    shifted = MAGIC if u < 0.55 else turns
    n = shifted - MAGIC
    r = fma(n, -1.9082149292705877e-10, fma(n, -0.69314718036912382, -u))
    p = 4.7794773323873853e-14
    p = fma(p, r, 7.6471637318198164e-13)
    p = fma(p, r, 1.1470745597729725e-11)
    p = fma(p, r, 1.6059043836821613e-10)
    p = fma(p, r, 2.08767569878681e-09)
    p = fma(p, r, 2.505210838544172e-08)
    p = fma(p, r, 2.7557319223985888e-07)
    p = fma(p, r, 2.7557319223985893e-06)
    p = fma(p, r, 2.4801587301587302e-05)
    p = fma(p, r, 0.00019841269841269841)
    p = fma(p, r, 0.0013888888888888889)
    p = fma(p, r, 0.0083333333333333332)
    p = fma(p, r, 0.041666666666666664)
    p = fma(p, r, 0.16666666666666666)
    power = np.int64(np.float64(shifted).view(np.int64) - MAGIC_BITS)
    scale = np.int64(np.int64(power + BIAS) << SHIFT).view(np.float64)
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
    q = 0.030303030303030304
    q = fma(q, z, 0.03225806451612903)
    q = fma(q, z, 0.034482758620689655)
    q = fma(q, z, 0.037037037037037035)
    q = fma(q, z, 0.04)
    q = fma(q, z, 0.043478260869565216)
    q = fma(q, z, 0.047619047619047616)
    q = fma(q, z, 0.05263157894736842)
    q = fma(q, z, 0.058823529411764705)
    q = fma(q, z, 0.06666666666666667)
    q = fma(q, z, 0.07692307692307693)
    q = fma(q, z, 0.09090909090909091)
    q = fma(q, z, 0.1111111111111111)
    q = fma(q, z, 0.14285714285714285)
    q = fma(q, z, 0.2)
    q = fma(q, z, 0.3333333333333333)
    return fma(s, z * q, s)
