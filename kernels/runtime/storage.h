/* Numbers of 16 bits as C: no type of the compiler's is needed, and every line vectorises. */
#ifndef FASTOPT_STORAGE_H
#define FASTOPT_STORAGE_H

#include "simd.h"

FASTOPT_INLINE uint32_t word_of_float(float x) { uint32_t i; memcpy(&i, &x, 4); return i; }
FASTOPT_INLINE float float_of_word(uint32_t i) { float x; memcpy(&x, &i, 4); return x; }

/* bfloat16 is the upper half of a float32. */
FASTOPT_INLINE float float_of_bfloat16(uint16_t h) { return float_of_word((uint32_t)h << 16); }

/* Add `noise` below the upper half and cut: 0x7fff and the last kept bit round to nearest even, 16 random bits round
 * stochastically. Inf must not get noise; NaN must stay NaN when its low bits are cut. */
FASTOPT_INLINE uint16_t bfloat16_of_float(float x, uint32_t noise)
{
    uint32_t i = word_of_float(x);
    uint32_t special = (i & 0x7f800000u) == 0x7f800000u;
    uint32_t kept = (i >> 16) | ((i & 0x007fffffu) != 0 ? 0x0040u : 0u);
    uint32_t rounded = (i + noise) >> 16;
    return (uint16_t)(special ? kept : rounded);
}

/* The same for what is never negative: Inf has no low bits that noise could carry from, and every NaN becomes the one
 * that hasn't either. */
FASTOPT_INLINE uint16_t bfloat16_of_square(float x, uint32_t noise)
{
    uint32_t i = word_of_float(x);
    return (uint16_t)(((i < 0x7fc00000u ? i : 0x7fc00000u) + noise) >> 16);
}

/* To nearest even; rounding up to Inf is right, and leaves Inf as it is. */
FASTOPT_INLINE uint16_t nearest_bfloat16(float x)
{
    uint32_t i = word_of_float(x);
    uint32_t rounded = i + 0x7fffu + ((i >> 16) & 1u);
    uint32_t quiet = i | 0x00400000u;
    uint32_t kept = x == x ? rounded : quiet;
    return (uint16_t)(kept >> 16);
}

/* float16: 5 bits of exponent, 10 of mantissa. Shifted into float32's place, the exponent is 112 too small; a
 * multiplication puts it right, subnormals included. */
FASTOPT_INLINE float float_of_float16(uint16_t h)
{
    float magnitude = float_of_word((uint32_t)(h & 0x7fffu) << 13) * 0x1p112f;
    uint32_t special = (h & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u;
    return float_of_word(word_of_float(magnitude) | special | ((uint32_t)(h & 0x8000u) << 16));
}

/* Rounds to nearest even. Below 2^-14, adding 0.5 (whose last place is 2^-24) rounds to float16's subnormals. */
FASTOPT_INLINE uint16_t float16_of_float(float x)
{
    uint32_t i = word_of_float(x), sign = (i >> 16) & 0x8000u, a = i & 0x7fffffffu;
    uint32_t normal = (a + 0x0fffu + ((a >> 13) & 1u) - (112u << 23)) >> 13;
    uint32_t small = word_of_float(float_of_word(a) + 0.5f) - word_of_float(0.5f);
    uint32_t h = a < 0x38800000u ? small : normal;
    h = a >= 0x477ff000u ? 0x7c00u : h;          /* 65520 and more round to Inf */
    h = a > 0x7f800000u ? 0x7e00u : h;           /* NaN */
    return (uint16_t)(sign | h);
}

#endif
