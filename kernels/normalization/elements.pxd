# One element of a normalization, and the constants of a channel; the rules of rules.py.
#
# y = (x − center) · scale + shift, where center is the mean in the kernel's type, and shift makes up for what that
# rounding left: x − center is exact near the mean, so a mean of 1e4 with a spread of 1e-2 loses nothing. Forward and
# backward share the expression, so ReLU's mask, made anew in the backward, is the forward's to the bit.
from libc.stdint cimport int64_t

from kernels.runtime.abi cimport inlined_void, real


cdef inline double residual(double mean, real center) noexcept nogil:
    """What the center leaves of the mean; an infinite mean leaves nothing."""
    cdef double rest = mean - center
    return rest if rest - rest == 0 else 0


cdef inline double correction(double mean, real center, double factor) noexcept nogil:
    """What the center leaves of the mean, times a factor; nothing where that is no number."""
    cdef double rest = residual(mean, center) * factor
    return rest if rest - rest == 0 else 0


cdef inline real standardized(real x, real center, real rest, real inv) noexcept nogil:
    return ((x - center) - rest) * inv


cdef inline real passed(real value, real z) noexcept nogil:
    """What ReLU lets through where its input is z; NaN passes."""
    return <real> 0 if z <= 0 else value


cdef inline real direction(real dy, real xhat, real mean_dy, real mean_product) noexcept nogil:
    """dx up to a factor, where the statistics depend on x."""
    return (dy - mean_dy) - xhat * mean_product


cdef inline inlined_void load_affine(const double *mean, const double *invstd, const real *gamma, const real *beta,
                                     int64_t count, real *center, real *scale, real *shift) noexcept nogil:
    cdef double slope
    cdef int64_t c
    for c in range(count):
        slope = gamma[c] * invstd[c]
        center[c] = <real> mean[c]
        scale[c] = <real> slope
        shift[c] = <real> (beta[c] - correction(mean[c], center[c], slope))


cdef inline inlined_void load_slopes(const double *mean, const double *invstd, const double *sums, const double *products,
                                     double count, bint training, int64_t channels, real *mean_dy,
                                     real *factor) noexcept nogil:
    """dx = scale ((dy − mean_dy) − (x − center) factor); constant statistics leave scale dy."""
    cdef double product
    cdef int64_t c
    for c in range(channels):
        product = invstd[c] * (products[c] / count)
        factor[c] = <real> product
        mean_dy[c] = <real> (sums[c] / count - correction(mean[c], <real> mean[c], product) if training else 0)


ctypedef fused number:
    float
    double


cdef inline inlined_void clear(number *sums, int64_t count) noexcept nogil:
    cdef int64_t j
    for j in range(count):
        sums[j] = 0


cdef inline inlined_void finish(const real *tile, const real *added, real *y, int64_t count, const real *shift,
                                int64_t step, bint adds, bint relu) noexcept nogil:
    """y = tile + shift, and what is added, and ReLU; every element has a shift (step 1), or all have one (step 0)."""
    cdef real z
    cdef int64_t j
    if adds and relu:
        for j in range(count):
            z = (tile[j] + shift[step * j]) + added[j]
            y[j] = passed(z, z)
    elif adds:
        for j in range(count):
            y[j] = (tile[j] + shift[step * j]) + added[j]
    elif relu:
        for j in range(count):
            z = tile[j] + shift[step * j]
            y[j] = passed(z, z)
    else:
        for j in range(count):
            y[j] = tile[j] + shift[step * j]
