/* Random numbers by counter, so that a value depends on the seed and its index alone: Philox4x32-10 (Salmon, Moraes,
 * Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011), and what turns its words into numbers.
 *
 * kernels/initializers/rules.py holds the same formulas, operation by operation, for Numba, so both targets give
 * the same bits. Change them together.
 */
#ifndef FASTOPT_RANDOM_H
#define FASTOPT_RANDOM_H

#include "simd.h"

typedef struct { uint32_t a, b, c, d; } philox_words;

/* The four words of one counter; the counter's upper 64 bits are zero, the key is the seed's two halves. Words are
 * kept in 64 bits: GCC 12 needs half the time so. */
FASTOPT_INLINE philox_words philox(uint32_t counter_low, uint32_t counter_high, uint32_t k0, uint32_t k1)
{
    uint64_t a = counter_low, b = counter_high, c = 0, d = 0;
    for (int round = 0; round < 10; round++) {
        uint64_t p = a * 0xD2511F53u;
        uint64_t q = c * 0xCD9E8D57u;
        a = (q >> 32) ^ b ^ k0;
        b = (uint32_t)q;
        c = (p >> 32) ^ d ^ k1;
        d = (uint32_t)p;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (philox_words){(uint32_t)a, (uint32_t)b, (uint32_t)c, (uint32_t)d};
}

/* Word number `which` of four. */
FASTOPT_INLINE uint32_t philox_word(philox_words words, int which)
{
    return which == 0 ? words.a : which == 1 ? words.b : which == 2 ? words.c : words.d;
}

/* A multiple of 2^-24 in [0, 1) from one word; of 2^-53 from two. Conversions are from int32_t, which every CPU
 * has packed. */
FASTOPT_INLINE float unit_float(uint32_t first, uint32_t second)
{
    (void)second;
    return (float)(int32_t)(first >> 8) * 5.9604644775390625e-08f;
}

FASTOPT_INLINE double unit_double(uint32_t first, uint32_t second)
{
    return ((double)(int32_t)(first >> 5) * 67108864.0 + (double)(int32_t)(second >> 6)) * 1.1102230246251565e-16;
}

/* The magnitude of a standard normal value, from its tail probability p in (0, 1/2] and q = 1/2 - p: both are given, since
 * neither is exact when it is made from the other. Wichura, "Algorithm AS 241: the percentage points of the
 * normal distribution", Applied Statistics 37, 1988: PPND7 in float (without its last region, p < 1.4e-11, which no
 * word of 31 bits reaches), PPND16 in double. Every region is computed, numerators and denominators are chosen. */
FASTOPT_INLINE float quantile_float(float p, float q)
{
    float r = 0.180625f - q * q;
    float t = sqrtf(-log_float(p)) - 1.6f;
    float top = q * (((59.10937472f * r + 159.29113202f) * r + 50.434271938f) * r + 3.3871327179f);
    float bottom = ((67.18756360f * r + 78.757757664f) * r + 17.895169469f) * r + 1.0f;
    float tail_top = ((0.17023821103f * t + 1.3067284816f) * t + 2.7568153900f) * t + 1.4234372777f;
    float tail_bottom = (0.12021132975f * t + 0.73700164250f) * t + 1.0f;
    top = q <= 0.425f ? top : tail_top;
    bottom = q <= 0.425f ? bottom : tail_bottom;
    return top / bottom;
}

FASTOPT_INLINE double quantile_double(double p, double q)
{
    double r = 0.180625 - q * q;
    double root = sqrt(-log_double(p));
    double t = root - 1.6;
    double u = root - 5.0;
    double top = 2509.0809287301226727;
    top = top * r + 33430.575583588128105;
    top = top * r + 67265.770927008700853;
    top = top * r + 45921.953931549871457;
    top = top * r + 13731.693765509461125;
    top = top * r + 1971.5909503065514427;
    top = top * r + 133.14166789178437745;
    top = q * (top * r + 3.3871328727963666080);
    double bottom = 5226.4952788528545610;
    bottom = bottom * r + 28729.085735721942674;
    bottom = bottom * r + 39307.895800092710610;
    bottom = bottom * r + 21213.794301586595867;
    bottom = bottom * r + 5394.1960214247511077;
    bottom = bottom * r + 687.18700749205790830;
    bottom = bottom * r + 42.313330701600911252;
    bottom = bottom * r + 1.0;
    double tail_top = 7.74545014278341407640e-4;
    tail_top = tail_top * t + 2.27238449892691845833e-2;
    tail_top = tail_top * t + 2.41780725177450611770e-1;
    tail_top = tail_top * t + 1.27045825245236838258;
    tail_top = tail_top * t + 3.64784832476320460504;
    tail_top = tail_top * t + 5.76949722146069140550;
    tail_top = tail_top * t + 4.63033784615654529590;
    tail_top = tail_top * t + 1.42343711074968357734;
    double tail_bottom = 1.05075007164441684324e-9;
    tail_bottom = tail_bottom * t + 5.47593808499534494600e-4;
    tail_bottom = tail_bottom * t + 1.51986665636164571966e-2;
    tail_bottom = tail_bottom * t + 1.48103976427480074590e-1;
    tail_bottom = tail_bottom * t + 6.89767334985100004550e-1;
    tail_bottom = tail_bottom * t + 1.67638483018380384940;
    tail_bottom = tail_bottom * t + 2.05319162663775882187;
    tail_bottom = tail_bottom * t + 1.0;
    double far_top = 2.01033439929228813265e-7;
    far_top = far_top * u + 2.71155556874348757815e-5;
    far_top = far_top * u + 1.24266094738807843860e-3;
    far_top = far_top * u + 2.65321895265761230930e-2;
    far_top = far_top * u + 2.96560571828504891230e-1;
    far_top = far_top * u + 1.78482653991729133580;
    far_top = far_top * u + 5.46378491116411436990;
    far_top = far_top * u + 6.65790464350110377720;
    double far_bottom = 2.04426310338993978564e-15;
    far_bottom = far_bottom * u + 1.42151175831644588870e-7;
    far_bottom = far_bottom * u + 1.84631831751005468180e-5;
    far_bottom = far_bottom * u + 7.86869131145613259100e-4;
    far_bottom = far_bottom * u + 1.48753612908506148525e-2;
    far_bottom = far_bottom * u + 1.36929880922735805310e-1;
    far_bottom = far_bottom * u + 5.99832206555887937690e-1;
    far_bottom = far_bottom * u + 1.0;
    tail_top = root <= 5.0 ? tail_top : far_top;
    tail_bottom = root <= 5.0 ? tail_bottom : far_bottom;
    top = q <= 0.425 ? top : tail_top;
    bottom = q <= 0.425 ? bottom : tail_bottom;
    return top / bottom;
}

/* A normal value from one word (or two): a sign bit, and a tail probability tail + (m + 1/2) scale from the 31 (62)
 * other bits m, so that far values are as fine as near ones. Its magnitude is at most `bound`. */
FASTOPT_INLINE float normal_float(uint32_t first, uint32_t second, float tail, float scale, float bound)
{
    int32_t m = (int32_t)(first & 0x7FFFFFFFu);
    (void)second;
    float p = tail + ((float)m + 0.5f) * scale;
    float q = ((float)(0x7FFFFFFF - m) + 0.5f) * scale;
    float z = quantile_float(p, q);
    z = z < bound ? z : bound;
    return (int32_t)first < 0 ? -z : z;
}

FASTOPT_INLINE double normal_double(uint32_t first, uint32_t second, double tail, double scale, double bound)
{
    int32_t high = (int32_t)(first & 0x7FFFFFFFu);
    int32_t low = (int32_t)(second >> 1);
    double p = tail + ((double)high * 2147483648.0 + ((double)low + 0.5)) * scale;
    double q = ((double)(0x7FFFFFFF - high) * 2147483648.0 + ((double)(0x7FFFFFFF - low) + 0.5)) * scale;
    double z = quantile_double(p, q);
    z = z < bound ? z : bound;
    return (int32_t)first < 0 ? -z : z;
}

#endif
