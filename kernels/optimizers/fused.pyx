"""Adam and AdamW with 16- and 8-bit state in one loop: the pipeline load, rule, store by hand, for what is used most.

The divider and the root keep the processor's other units idle; decoding and encoding beside them is nearly free. Results
are the pipeline's, to the bit. Scalars: the seed and the step, then the rule's.
"""
from libc.stdint cimport int8_t, int64_t, uint8_t, uint16_t, uint32_t, uintptr_t

from kernels.optimizers.pieces cimport gradient, root
from kernels.runtime.abi cimport cloned_void
from kernels.runtime.codes cimport (
    GOLDEN, GROUP, code_of_mean, code_of_square, first_noise, inverse_of, mean_of, noise_of, square_of,
)

cdef extern from "storage.h" nogil:
    uint32_t word_of_float(float)
    float float_of_word(uint32_t)
    float float_of_bfloat16(uint16_t)
    uint16_t nearest_bfloat16(float)
    uint16_t bfloat16_of_square(float, uint32_t)


cdef cloned_void adam_bfloat16(void **buffers, const int64_t *dims, const double *scalars,
                               int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef float *param = <float *> buffers[0]
    cdef const float *grad = <const float *> buffers[1]
    cdef uint16_t *exp_avg = <uint16_t *> buffers[2]
    cdef uint16_t *exp_avg_sq = <uint16_t *> buffers[3]
    cdef float step_size = <float> scalars[2]
    cdef float beta1 = <float> scalars[3]
    cdef float one_minus_beta1 = <float> scalars[4]
    cdef float beta2 = <float> scalars[5]
    cdef float one_minus_beta2 = <float> scalars[6]
    cdef float root_correction = <float> scalars[7]
    cdef float eps = <float> scalars[8]
    cdef float weight_decay = <float> scalars[9]
    cdef float decay = <float> scalars[10]
    cdef float grad_scale = <float> scalars[11]
    cdef float g, m, v
    cdef uint32_t noise
    cdef int64_t first, i
    for first in range(start, stop, 256):
        noise = first_noise(first // GROUP, dims, scalars)
        for i in range(first, min(first + GROUP, stop)):
            g = gradient(param[i], grad[i], weight_decay, grad_scale)
            m = beta1 * float_of_bfloat16(exp_avg[i]) + one_minus_beta1 * g
            v = beta2 * float_of_bfloat16(exp_avg_sq[i]) + one_minus_beta2 * g * g
            exp_avg[i] = nearest_bfloat16(m)
            exp_avg_sq[i] = bfloat16_of_square(v, noise_of(noise, i - first) >> 16)
            param[i] = decay * param[i] - step_size * m / (root(v) * root_correction + eps)


cdef cloned_void adam_8bit(void **buffers, const int64_t *dims, const double *scalars,
                           int64_t start, int64_t stop, double *partials) noexcept nogil:
    cdef float *param = <float *> buffers[0]
    cdef const float *grad = <const float *> buffers[1]
    cdef int8_t *exp_avg = <int8_t *> buffers[2]
    cdef float *exp_avg_scale = <float *> buffers[3]
    cdef uint8_t *exp_avg_sq = <uint8_t *> buffers[4]
    cdef float *exp_avg_sq_scale = <float *> buffers[5]
    cdef float step_size = <float> scalars[2]
    cdef float beta1 = <float> scalars[3]
    cdef float one_minus_beta1 = <float> scalars[4]
    cdef float beta2 = <float> scalars[5]
    cdef float one_minus_beta2 = <float> scalars[6]
    cdef float root_correction = <float> scalars[7]
    cdef float eps = <float> scalars[8]
    cdef float weight_decay = <float> scalars[9]
    cdef float decay = <float> scalars[10]
    cdef float grad_scale = <float> scalars[11]
    cdef float means[256]
    cdef float squares[256]
    cdef float g, m, v, mean_scale, square_scale, mean_inverse, square_inverse
    cdef uint32_t noise, top_mean, top_square, bits
    cdef int64_t first
    cdef int i, size
    for first in range(start, stop, 256):
        size = <int> min(<int64_t> GROUP, stop - first)
        noise = first_noise(first // GROUP, dims, scalars)
        mean_scale = exp_avg_scale[first // GROUP] * <float> (1 / 1.875)
        square_scale = exp_avg_sq_scale[first // GROUP] * <float> (1 / 1.875)
        top_mean = top_square = 0
        for i in range(size):
            g = gradient(param[first + i], grad[first + i], weight_decay, grad_scale)
            m = beta1 * mean_of(exp_avg[first + i], mean_scale) + one_minus_beta1 * g
            v = beta2 * square_of(exp_avg_sq[first + i], square_scale) + one_minus_beta2 * g * g
            means[i] = m
            squares[i] = v
            param[first + i] = decay * param[first + i] - step_size * m / (root(v) * root_correction + eps)
            bits = word_of_float(m) & 0x7FFFFFFF
            top_mean = bits if bits > top_mean else top_mean
            bits = word_of_float(v) & 0x7FFFFFFF
            top_square = bits if bits > top_square else top_square
        exp_avg_scale[first // GROUP] = float_of_word(top_mean)
        exp_avg_sq_scale[first // GROUP] = float_of_word(top_square)
        mean_inverse = inverse_of(exp_avg_scale[first // GROUP])
        square_inverse = inverse_of(exp_avg_sq_scale[first // GROUP])
        for i in range(size):
            exp_avg[first + i] = <int8_t> code_of_mean(means[i], mean_inverse)
        for i in range(size):
            exp_avg_sq[first + i] = <uint8_t> code_of_square(squares[i], square_inverse, noise)
            noise += GOLDEN


ADAM = {        # by the kinds of its state; all compute in float32
    ("bfloat16", "square16"): <uintptr_t> <void *> adam_bfloat16,
    ("mean8", "square8"): <uintptr_t> <void *> adam_8bit,
}
