"""Initial weights: a function per initializer, named as in Keras, with torch's names beside them.

Random numbers are counter-based (Philox4x32-10): a value depends on the seed, the dtype and its index in C order
alone, never on the number of threads, the target (cython and numba give the same bits) or the memory layout of `out`.
So a flat array begins with the values of a shorter one of the same seed. It also means that **arrays of the same seed
hold the same random numbers**: give every layer a seed of its own, `seed + layer` will do.

Shared arguments
    shape: tuple of int ≥ 0. A size of 0 gives an empty array. `layout` says where its fans are: "in_out" (default:
    x @ W, Keras) for (in, out) and (spatial..., in, out), "out_in" (PyTorch) for (out, in) and (out, in, spatial...).
    fan_in = in · spatial size, fan_out = out · spatial size. A vector (n,) has fan_in = fan_out = n and a 0-d array 1,
    as in Keras (torch refuses both).
    seed: integer in [0, 2^64), or None (default) for fresh entropy of the operating system.
    dtype: "float32" (default), "float64", "bfloat16" or "float16". float64 uses more random bits: other weights, same
        statistics; those of 16 bits are float32's, rounded.
    out: array of that shape and dtype, any strides, filled in place and returned; by default a new array.
"""

from fastopt.initializers.plain import normal, ones, orthogonal, truncated_normal, uniform, zeros
from fastopt.initializers.scaled import (
    fan_in_uniform,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_uniform,
    xavier_normal,
    xavier_uniform,
)

__all__ = [
    "fan_in_uniform", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "kaiming_normal",
    "kaiming_uniform", "lecun_normal", "lecun_uniform", "normal", "ones", "orthogonal", "truncated_normal", "uniform",
    "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip
