# One element of batch normalization, and the constants of a channel; the rules of rules.py.
#
# x̂ = ((x − center) − rest) · inv, where center is the mean in the kernel's type and rest what that rounding left:
# x − center is exact near the mean, so a mean of 1e4 with a spread of 1e-2 loses nothing. Forward and backward share
# the expression, so ReLU's mask, made anew in the backward, is the forward's to the bit.
from libc.stdint cimport int64_t

from kernels.runtime.abi cimport inlined_void, real


cdef inline double residual(double mean, real center) noexcept nogil:
    """What the center leaves of the mean; an infinite mean leaves nothing."""
    cdef double rest = mean - center
    return rest if rest - rest == 0 else 0


cdef inline real standardized(real x, real center, real rest, real inv) noexcept nogil:
    return ((x - center) - rest) * inv


cdef inline real passed(real value, real z, bint relu) noexcept nogil:
    """What ReLU lets through where its input is z; NaN passes."""
    return <real> 0 if relu and z <= 0 else value


cdef inline real direction(real dy, real xhat, real mean_dy, real mean_product) noexcept nogil:
    """dx up to gamma invstd, where the statistics depend on x."""
    return (dy - mean_dy) - xhat * mean_product


cdef inline inlined_void load_constants(const double *mean, const double *invstd, int64_t count, real *center,
                                        real *rest, real *inv) noexcept nogil:
    cdef int64_t c
    for c in range(count):
        center[c] = <real> mean[c]
        rest[c] = <real> residual(mean[c], center[c])
        inv[c] = <real> invstd[c]


cdef inline inlined_void clear(double *sums, int64_t count) noexcept nogil:
    cdef int64_t j
    for j in range(count):
        sums[j] = 0
