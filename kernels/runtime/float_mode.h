/* One floating-point mode for every thread that runs a kernel: round to nearest, subnormals kept, no traps. A thread
 * enters it with its own mode saved, and leaves by putting that back, with the flags it had raised before. */
#ifndef FASTOPT_FLOAT_MODE_H
#define FASTOPT_FLOAT_MODE_H

#if defined(__x86_64__)
#include <xmmintrin.h>
typedef unsigned int float_mode;
static inline float_mode float_mode_enter(void)
{
    float_mode own = _mm_getcsr();
    if ((own & ~0x3fu) != 0x1f80u) _mm_setcsr(0x1f80u);     /* its low bits are flags: nobody's mode */
    return own;
}
static inline void float_mode_leave(float_mode own)
{
    if (_mm_getcsr() != own) _mm_setcsr(own);
}

#elif defined(__aarch64__)
#include <stdint.h>
typedef uint64_t float_mode;
static inline float_mode float_mode_enter(void)
{
    float_mode own;
    __asm__ volatile("mrs %0, fpcr" : "=r"(own));
    if (own) __asm__ volatile("msr fpcr, %0" : : "r"((float_mode)0) : "memory");
    return own;
}
static inline void float_mode_leave(float_mode own)
{
    if (own) __asm__ volatile("msr fpcr, %0" : : "r"(own) : "memory");
}

#else
#include <fenv.h>
typedef fenv_t float_mode;
static inline float_mode float_mode_enter(void)
{
    float_mode own;
    fegetenv(&own);
    fesetenv(FE_DFL_ENV);
    return own;
}
static inline void float_mode_leave(float_mode own) { fesetenv(&own); }
#endif

/* a b in the kernels' mode. Volatile: a compiler may move a product over a change of mode. */
static inline double float_mode_product(double a, double b)
{
    float_mode own = float_mode_enter();
    volatile double found = a;
    found = found * b;
    float_mode_leave(own);
    return found;
}

#endif
