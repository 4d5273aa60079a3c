"""Softmax along an axis that is not the last one, ahead of time: samples lie side by side, their classes a plane apart.

Samples are lanes: 64 of them pass together, class after class. Each is summed as the rows of compiled_categorical.pyx
are (32 lanes of classes, folded in halves; in order where there are fewer), so that gradients have the same bits in
either layout. A sample's logits are read before its gradient is written, which may take their place.
"""
from libc.stdint cimport int64_t, uintptr_t

from kernels.losses.pieces cimport CHUNK, SHORT, WIDTH, below, exp_nonpositive, fold, log_of, one_hot_tile, softmax_tile
from kernels.runtime.abi cimport cloned_void, real

cdef cloned_void softmax_sparse_planes(real **buffers, const int64_t *dims, const double *scalars,
                                       int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef const int64_t *labels = <const int64_t *> buffers[0]
    cdef const real *y_pred = buffers[1]
    cdef const real *weight = buffers[2]
    cdef real *gradient = buffers[3]
    cdef real *values = buffers[4]
    cdef real scale = <real> scalars[0]
    cdef real z_loss = <real> scalars[1]
    cdef real keep = <real> scalars[2]
    cdef real shift = <real> scalars[3]
    cdef int64_t columns = dims[0]
    cdef int64_t gradient_wanted = dims[1]
    cdef int64_t ignore_class = dims[2]
    cdef int64_t plane = dims[3]
    cdef int64_t weighted = dims[4]
    cdef real deep[2048]
    cdef real lanes[2048]       # or a tile of 32 short rows ...
    cdef real t[1024]           # ... and of their labels
    cdef real e[64]
    cdef real top[64]
    cdef real factor[64]
    cdef real share[64]
    cdef real of_label[64]
    cdef real wanted[64]
    cdef real value[64]
    cdef double masses[64]
    cdef double depths[64]
    cdef const real *x
    cdef real *out
    cdef real one = 1
    cdef real two = 2
    cdef real d, level, pull, mass, spread
    cdef int64_t r, c, l, size
    r = start
    while r < stop:
        x = y_pred + (r // plane) * columns * plane + r % plane
        out = gradient + (r // plane) * columns * plane + r % plane
        size = min(<int64_t> (32 if columns < SHORT else WIDTH), min(stop - r, plane - r % plane))
        for l in range(size):
            share[l] = weight[r + l] if weighted else one
        if columns < SHORT:
            for c in range(columns):
                for l in range(size):
                    lanes[32 * c + l] = x[c * plane + l]
                for l in range(size, 32):
                    lanes[32 * c + l] = x[c * plane + size - 1]
            one_hot_tile(t, labels + r, columns, size, ignore_class, keep, shift)
            softmax_tile(lanes, t, value, columns, scale, z_loss)
            for c in range(columns * gradient_wanted):
                for l in range(size):
                    out[c * plane + l] = share[l] * lanes[32 * c + l]
        else:
            for l in range(size):
                top[l] = x[l]
            for c in range(1, columns):
                for l in range(size):
                    top[l] = x[c * plane + l] if x[c * plane + l] > top[l] else top[l]
            for l in range(WIDTH):
                masses[l] = depths[l] = 0
            for l in range(32 * WIDTH):
                lanes[l] = deep[l] = 0
            for l in range(size):
                c = 0 if labels[r + l] == ignore_class else labels[r + l]
                wanted[l] = below(x[c * plane + l], top[l])
            for c in range(columns):
                for l in range(size if shift != 0 else 0):
                    deep[WIDTH * (c % 32) + l] += below(x[c * plane + l], top[l])
                for l in range(size):
                    e[l] = exp_nonpositive(below(x[c * plane + l], top[l]))
                for l in range(size):
                    lanes[WIDTH * (c % 32) + l] += e[l]
                for l in range(size * gradient_wanted):
                    out[c * plane + l] = e[l]
                if (c + 1) % CHUNK == 0 or c + 1 == columns:
                    fold(lanes, masses)
                    if shift != 0:
                        fold(deep, depths)
            spread = scale * shift
            for l in range(size):
                mass = <real> masses[l]
                c = 0 if labels[r + l] == ignore_class else labels[r + l]
                value[l] = log_of(mass) - keep * wanted[l]
                if shift != 0:
                    value[l] -= shift * <real> depths[l]
                pull = one
                if z_loss != 0:
                    level = top[l] + log_of(mass)
                    value[l] += z_loss * (level * level)
                    pull = one + two * z_loss * level
                factor[l] = scale * pull / mass
                if gradient_wanted:
                    of_label[l] = share[l] * ((factor[l] * out[c * plane + l] - spread) - scale * keep)
            for c in range(columns * gradient_wanted):
                for l in range(size):
                    d = factor[l] * out[c * plane + l] - spread
                    out[c * plane + l] = share[l] * d
            for l in range(size * gradient_wanted):
                if labels[r + l] != ignore_class:
                    out[labels[r + l] * plane + l] = of_label[l]
        for l in range(size):
            values[r + l] = value[l]
            if labels[r + l] == ignore_class:
                values[r + l] = 0
                for c in range(columns * gradient_wanted):
                    out[c * plane + l] = 0
        r += size


KERNELS = {     # (float32, float64)
    "softmax_sparse_planes": (
        <uintptr_t> <void *> softmax_sparse_planes[float],
        <uintptr_t> <void *> softmax_sparse_planes[double]),
}
