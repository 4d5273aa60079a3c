/* What plain C lacks for the kernels: one build for every CPU (CLONED), and exp, log, log1p and tanh that a
 * compiler can vectorise: no branches, no tables, no calls.
 *
 * elementary_float32.py and elementary_float64.py hold the same formulas, operation by operation, for Numba,
 * so both targets give the same bits. Change them together.
 */
#ifndef FASTOPT_SIMD_H
#define FASTOPT_SIMD_H

#include <stdint.h>
#include <math.h>
#include <string.h>

/* A CLONED function is compiled three times, and the loader picks the best one for this CPU (glibc's does). It is
 * flattened: a helper that is not inlined would be compiled once, for the oldest CPU. */
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define CLONED __attribute__((flatten, target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define FASTOPT_CLONES 1
#else
#define CLONED
#define FASTOPT_CLONES 0
#endif

/* For a part of several kernels: it must be compiled inside each clone, or it would be of no CPU in particular. */
#if defined(__GNUC__)
#define INLINED __attribute__((always_inline))
#else
#define INLINED
#endif

#define FASTOPT_INLINE static inline __attribute__((always_inline))

/* The instruction set whose clone the loader picked. */
static inline const char *fastopt_isa(void)
{
#if FASTOPT_CLONES
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return "x86-64-v4 (AVX-512)";
    if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3 (AVX2)";
    return "x86-64 (SSE2)";
#elif defined(__AVX512F__)
    return "AVX-512, as compiled: for no older CPU";
#elif defined(__AVX2__)
    return "AVX2, as compiled: for no older CPU";
#elif defined(__x86_64__)
    return "x86-64 (SSE2) ALONE: built without clones for AVX2 and AVX-512, which need GCC 12 or later and glibc";
#elif defined(__aarch64__)
    return "aarch64 (NEON)";
#else
    return "compiler's default";
#endif
}

/* a b + c, rounded once: an operation that IEEE defines, so its bits are the same on every CPU and GPU. What compilers are
 * forbidden (-ffp-contract=off) is to make one of a product and a sum by their own choice. A CPU from before 2013 has it as
 * a call, slow and right. */
FASTOPT_INLINE float fma_float(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
FASTOPT_INLINE double fma_double(double a, double b, double c) { return __builtin_fma(a, b, c); }

/* Bit patterns as numbers and back, without aliasing. */
FASTOPT_INLINE int32_t bits_float(float x) { int32_t i; memcpy(&i, &x, 4); return i; }
FASTOPT_INLINE float float_of_bits(int32_t i) { float x; memcpy(&x, &i, 4); return x; }
FASTOPT_INLINE int64_t bits_double(double x) { int64_t i; memcpy(&i, &x, 8); return i; }
FASTOPT_INLINE double double_of_bits(int64_t i) { double x; memcpy(&x, &i, 8); return x; }

/* Non-negative integers (as unsigned numbers) that sort as the floats do. -0 and 0 are one; NaN is not expected. */
FASTOPT_INLINE uint64_t ordered_float(float x)
{
    int32_t i = bits_float(x + 0.0f);
    return (uint64_t)((int64_t)(i ^ ((i >> 31) & INT32_MAX)) - INT32_MIN);
}

FASTOPT_INLINE uint64_t ordered_double(double x)
{
    int64_t i = bits_double(x + 0.0);
    return (uint64_t)(i ^ ((i >> 63) & INT64_MAX)) ^ ((uint64_t)1 << 63);
}

/* exp: x = n ln 2 + r with |r| <= ln(2)/2 (Cody and Waite's two-part ln 2), a polynomial for exp(r) (of least relative
 * error in float32, 3e-9; Taylor's in float64), and 2^n in two factors so that subnormal results are rounded once. Adding
 * and subtracting 1.5 * 2^(mantissa bits) rounds to the nearest integer and leaves it in the low bits. Of x <= 0, one of
 * the factors can be the same for all: two thirds of the operations; the bits are those of exp.
 * log: x = 2^k m with m in [sqrt(1/2), sqrt(2)); log(m) by the series of 2 artanh(s), s = f / (2 + f), f = m - 1,
 * arranged as f - (f^2/2 - s (f^2/2 + R)) (the arrangement of fdlibm, which loses the least). */
FASTOPT_INLINE float exp_of_rest_float(float r)
{
    float p = 0.0013814532430842519f;
    p = fma_float(p, r, 0.008368746377527714f);
    p = fma_float(p, r, 0.04166839271783829f);
    p = fma_float(p, r, 0.1666652113199234f);
    p = fma_float(p, r, 0.4999999403953552f);
    return 1.0f + fma_float(r * r, p, r);
}

FASTOPT_INLINE float exp_float(float x)
{
    x = x < -105.0f ? -105.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float shifted = fma_float(x, 1.44269504f, 12582912.0f);
    float n = shifted - 12582912.0f;
    float r = fma_float(n, 2.12194440e-4f, fma_float(n, -0.693359375f, x));
    int32_t power = bits_float(shifted) - bits_float(12582912.0f);
    int32_t half = power >> 1;
    return exp_of_rest_float(r) * float_of_bits((half + 127) << 23) * float_of_bits((power - half + 127) << 23);
}

FASTOPT_INLINE float exp_nonpositive_float(float x)
{
    x = x < -105.0f ? -105.0f : x;
    float shifted = fma_float(x, 1.44269504f, 12582912.0f);
    float n = shifted - 12582912.0f;
    float r = fma_float(n, 2.12194440e-4f, fma_float(n, -0.693359375f, x));
    uint32_t scale = ((uint32_t)bits_float(shifted) + 190) << 23;   /* 2^(n + 63): all else is shifted out */
    return exp_of_rest_float(r) * float_of_bits((int32_t)scale) * 1.0842021724855044e-19f;
}

FASTOPT_INLINE float log_float(float x)
{
    float scale = x < 1.17549435e-38f ? 8388608.0f : 1.0f;
    float k0 = x < 1.17549435e-38f ? -23.0f : 0.0f;
    int32_t i = bits_float(x * scale) - 0x3f3504f3;
    float k = k0 + (float)(i >> 23);
    float f = float_of_bits((i & 0x007fffff) + 0x3f3504f3) - 1.0f;
    float s = f / (2.0f + f);
    float z = s * s;
    float q = 0.22222222222222221f;
    q = fma_float(q, z, 0.2857142857142857f);
    q = fma_float(q, z, 0.40000000000000002f);
    q = fma_float(q, z, 0.66666666666666663f);
    float h = 0.5f * f * f;
    float y = fma_float(k, 0.693359375f, f - (h - fma_float(s, fma_float(z, q, h), k * -2.12194440e-4f)));
    y = x < INFINITY ? y : x;                           /* +Inf, and NaN */
    float special = x == 0.0f ? -INFINITY : NAN;
    return x > 0.0f ? y : special;
}

/* The rounding error of 1 + x is put back: log(1 + x) = log(w) + (x - (w - 1)) / w. */
FASTOPT_INLINE float log1p_float(float x)
{
    float w = 1.0f + x;
    float lost = x - (w - 1.0f);
    lost = w > 0.0f ? lost : 0.0f;
    lost = w < INFINITY ? lost : 0.0f;
    float divisor = w > 0.0f ? w : 1.0f;
    float y = log_float(w) + lost / divisor;
    return x == 0.0f ? x : y;
}

FASTOPT_INLINE double exp_of_rest_double(double r)
{
    double p = 1.6059043836821613e-10;
    p = fma_double(p, r, 2.08767569878681e-09);
    p = fma_double(p, r, 2.505210838544172e-08);
    p = fma_double(p, r, 2.7557319223985888e-07);
    p = fma_double(p, r, 2.7557319223985893e-06);
    p = fma_double(p, r, 2.4801587301587302e-05);
    p = fma_double(p, r, 0.00019841269841269841);
    p = fma_double(p, r, 0.0013888888888888889);
    p = fma_double(p, r, 0.0083333333333333332);
    p = fma_double(p, r, 0.041666666666666664);
    p = fma_double(p, r, 0.16666666666666666);
    p = fma_double(p, r, 0.5);
    return 1.0 + fma_double(r * r, p, r);
}

FASTOPT_INLINE double exp_double(double x)
{
    x = x < -746.0 ? -746.0 : x;
    x = x > 710.0 ? 710.0 : x;
    double shifted = fma_double(x, 1.4426950408889634, 6755399441055744.0);
    double n = shifted - 6755399441055744.0;
    double r = fma_double(n, -1.9082149292705877e-10, fma_double(n, -0.69314718036912382, x));
    int64_t power = bits_double(shifted) - bits_double(6755399441055744.0);
    int64_t half = power >> 1;
    return exp_of_rest_double(r) * double_of_bits((half + 1023) << 52) * double_of_bits((power - half + 1023) << 52);
}

FASTOPT_INLINE double exp_nonpositive_double(double x)
{
    x = x < -746.0 ? -746.0 : x;
    double shifted = fma_double(x, 1.4426950408889634, 6755399441055744.0);
    double n = shifted - 6755399441055744.0;
    double r = fma_double(n, -1.9082149292705877e-10, fma_double(n, -0.69314718036912382, x));
    uint64_t scale = ((uint64_t)bits_double(shifted) + 1534) << 52;  /* 2^(n + 511): all else is shifted out */
    return exp_of_rest_double(r) * double_of_bits((int64_t)scale) * 1.4916681462400413e-154;
}

FASTOPT_INLINE double log_double(double x)
{
    double scale = x < 2.2250738585072014e-308 ? 4503599627370496.0 : 1.0;
    double k0 = x < 2.2250738585072014e-308 ? -52.0 : 0.0;
    int64_t i = bits_double(x * scale) - 0x3fe6a09e667f3bcdLL;
    /* (double)(i >> 52), by what AVX2 has: the exponent made positive, shifted, and put into the low bits of 2^52 */
    uint64_t e = ((uint64_t)i + 0x3ff0000000000000ULL) >> 52;
    double k = k0 + (double_of_bits((int64_t)(e | 0x4330000000000000ULL)) - 4503599627371519.0);
    double f = double_of_bits((i & 0x000fffffffffffffLL) + 0x3fe6a09e667f3bcdLL) - 1.0;
    double s = f / (2.0 + f);
    double z = s * s;
    double q = 0.086956521739130432;
    q = fma_double(q, z, 0.095238095238095233);
    q = fma_double(q, z, 0.10526315789473684);
    q = fma_double(q, z, 0.11764705882352941);
    q = fma_double(q, z, 0.13333333333333333);
    q = fma_double(q, z, 0.15384615384615385);
    q = fma_double(q, z, 0.18181818181818182);
    q = fma_double(q, z, 0.22222222222222221);
    q = fma_double(q, z, 0.2857142857142857);
    q = fma_double(q, z, 0.40000000000000002);
    q = fma_double(q, z, 0.66666666666666663);
    double h = 0.5 * f * f;
    double y = fma_double(k, 0.69314718036912382, f - (h - fma_double(s, fma_double(z, q, h), k * 1.9082149292705877e-10)));
    y = x < INFINITY ? y : x;                           /* +Inf, and NaN */
    double special = x == 0.0 ? -INFINITY : NAN;
    return x > 0.0 ? y : special;
}

/* The rounding error of 1 + x is put back: log(1 + x) = log(w) + (x - (w - 1)) / w. */
FASTOPT_INLINE double log1p_double(double x)
{
    double w = 1.0 + x;
    double lost = x - (w - 1.0);
    lost = w > 0.0 ? lost : 0.0;
    lost = w < INFINITY ? lost : 0.0;
    double divisor = w > 0.0 ? w : 1.0;
    double y = log_double(w) + lost / divisor;
    return x == 0.0 ? x : y;
}

/* tanh x = -e / (2 + e) with e = exp(-2 |x|) - 1, formed without cancellation: 2^n (exp(r) - 1) + (2^n - 1); near 1, what
 * is missing to 1 is formed instead, so that its error is small. What the sums round off is put back, by a quotient of
 * which a tenth is enough. */
FASTOPT_INLINE float tanh_float(float x)
{
    float u = x < 0 ? -2.0f * x : 2.0f * x;
    u = u > 40.0f ? 40.0f : u;
    float shifted = u < 0.55f ? 12582912.0f : fma_float(u, -1.44269504f, 12582912.0f);
    float n = shifted - 12582912.0f;
    float r = fma_float(n, 2.12194440e-4f, fma_float(n, -0.693359375f, -u));
    float p = 2.7557319223985893e-06f;
    p = fma_float(p, r, 2.4801587301587302e-05f);
    p = fma_float(p, r, 0.00019841269841269841f);
    p = fma_float(p, r, 0.0013888888888888889f);
    p = fma_float(p, r, 0.0083333333333333332f);
    p = fma_float(p, r, 0.041666666666666664f);
    p = fma_float(p, r, 0.16666666666666666f);
    int32_t power = bits_float(shifted) - bits_float(12582912.0f);
    float scale = float_of_bits((power + 127) << 23);
    float small = fma_float(r * r, r * p, 0.5f * (r * r));
    float sum = r + small;
    float e = scale * sum;
    float lost = (scale - 1.0f) + e;
    float error = fma_float(scale, small - (sum - r), e - (lost - (scale - 1.0f)));
    float under = 2.0f + lost;
    float about = 1.5f - 0.5f * under;
    float part = (lost < -0.8f ? 2.0f * (e + scale) : -lost) / under;
    part = part - part * ((lost - (under - 2.0f)) * about);
    part = lost < -0.8f ? part : part - error * (2.0f * about * about);
    float y = lost < -0.8f ? 1.0f - part : part;
    y = x < 0 ? -y : y;
    return x == 0 ? x : y;
}

FASTOPT_INLINE double tanh_double(double x)
{
    double u = x < 0 ? -2.0 * x : 2.0 * x;
    u = u > 100.0 ? 100.0 : u;
    double shifted = u < 0.55 ? 6755399441055744.0 : fma_double(u, -1.4426950408889634, 6755399441055744.0);
    double n = shifted - 6755399441055744.0;
    double r = fma_double(n, -1.9082149292705877e-10, fma_double(n, -0.69314718036912382, -u));
    double p = 4.7794773323873853e-14;
    p = fma_double(p, r, 7.6471637318198164e-13);
    p = fma_double(p, r, 1.1470745597729725e-11);
    p = fma_double(p, r, 1.6059043836821613e-10);
    p = fma_double(p, r, 2.08767569878681e-09);
    p = fma_double(p, r, 2.505210838544172e-08);
    p = fma_double(p, r, 2.7557319223985888e-07);
    p = fma_double(p, r, 2.7557319223985893e-06);
    p = fma_double(p, r, 2.4801587301587302e-05);
    p = fma_double(p, r, 0.00019841269841269841);
    p = fma_double(p, r, 0.0013888888888888889);
    p = fma_double(p, r, 0.0083333333333333332);
    p = fma_double(p, r, 0.041666666666666664);
    p = fma_double(p, r, 0.16666666666666666);
    int64_t power = bits_double(shifted) - bits_double(6755399441055744.0);
    double scale = double_of_bits((power + 1023) << 52);
    double small = fma_double(r * r, r * p, 0.5 * (r * r));
    double sum = r + small;
    double e = scale * sum;
    double lost = (scale - 1.0) + e;
    double error = fma_double(scale, small - (sum - r), e - (lost - (scale - 1.0)));
    double under = 2.0 + lost;
    double about = 1.5 - 0.5 * under;
    double part = (lost < -0.8 ? 2.0 * (e + scale) : -lost) / under;
    part = part - part * ((lost - (under - 2.0)) * about);
    part = lost < -0.8 ? part : part - error * (2.0 * about * about);
    double y = lost < -0.8 ? 1.0 - part : part;
    y = x < 0 ? -y : y;
    return x == 0 ? x : y;
}

/* artanh of 0 to 1/3: half of log(1 + x), s = x / (2 + x), for x in [0, 1]. By the polynomial of least relative error
 * in float32 (5e-9), by its series in float64. */
FASTOPT_INLINE float artanh_float(float s)
{
    float z = s * s;
    float q = 0.1401258409023285f;
    q = fma_float(q, z, 0.1399950385093689f);
    q = fma_float(q, z, 0.20010852813720703f);
    q = fma_float(q, z, 0.3333320617675781f);
    return fma_float(s, z * q, s);
}

FASTOPT_INLINE double artanh_double(double s)
{
    double z = s * s;
    double q = 0.030303030303030304;
    q = fma_double(q, z, 0.03225806451612903);
    q = fma_double(q, z, 0.034482758620689655);
    q = fma_double(q, z, 0.037037037037037035);
    q = fma_double(q, z, 0.04);
    q = fma_double(q, z, 0.043478260869565216);
    q = fma_double(q, z, 0.047619047619047616);
    q = fma_double(q, z, 0.05263157894736842);
    q = fma_double(q, z, 0.058823529411764705);
    q = fma_double(q, z, 0.06666666666666667);
    q = fma_double(q, z, 0.07692307692307693);
    q = fma_double(q, z, 0.09090909090909091);
    q = fma_double(q, z, 0.1111111111111111);
    q = fma_double(q, z, 0.14285714285714285);
    q = fma_double(q, z, 0.2);
    q = fma_double(q, z, 0.3333333333333333);
    return fma_double(s, z * q, s);
}

#endif
