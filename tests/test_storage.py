"""Storage types: what a load stage reads from a store stage's work, against torch and against exact bits."""

import numpy as np
import pytest
import torch

from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.kernels.runtime.launch import Pipeline, address
from fastopt.kernels.runtime.storage import LOAD, STORE

TORCH = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def run(kernels, compute, *arrays, threads=1):
    stage = (kernels[DTYPES.index(compute)], tuple(range(len(arrays))), 1, 0, 0)
    pointers = np.array([[address(array) for array in arrays]], np.uintp)
    Pipeline([stage], (0,) * len(arrays)).run(pointers, np.array([arrays[0].size]), 1024, threads=threads)


def values(dtype="float32"):
    """Numbers of every size, the edges of float16 among them."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(100_003) * np.exp(rng.uniform(-40, 40, 100_003))).astype(np.float32)
    x[:13] = [0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 65504, 65519, 65520, 6e-8, 2.9e-8, 3e-8, 3.4e38]
    return x.astype(dtype)


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("compute", DTYPES)
def test_sixteen_bits_round_as_torch_does(kind, compute):
    x = values(compute)
    stored, back = np.empty(x.shape, np.uint16), np.empty_like(x)
    run(STORE[kind], compute, stored, x)
    run(LOAD[kind], compute, stored, back)
    expected = torch.from_numpy(values()).to(TORCH[kind]).float().numpy()
    np.testing.assert_array_equal(back, expected)
    assert np.array_equal(np.signbit(back[:2]), [False, True])


@pytest.mark.parametrize("kind", TORCH)
def test_every_sixteen_bit_number_survives(kind):
    bits = np.arange(65536, dtype=np.uint16)
    back, again = np.empty(65536, np.float32), np.empty(65536, np.uint16)
    run(LOAD[kind], "float32", bits, back)
    run(STORE[kind], "float32", again, back)
    number = ~np.isnan(back)
    assert np.array_equal(bits[number], again[number])
    expected = torch.from_numpy(bits.view(np.int16)).view(TORCH[kind]).float().numpy()
    np.testing.assert_array_equal(back, expected)


def test_split_bfloat16_is_an_exact_float32_whose_upper_half_is_rounded():
    x = values()
    upper, lower, back = np.empty(x.shape, np.uint16), np.empty(x.shape, np.uint16), np.empty_like(x)
    run(STORE["split"], "float32", upper, lower, x)
    run(LOAD["split"], "float32", upper, lower, back)
    assert np.array_equal(back.view(np.uint32), x.view(np.uint32))
    rounded = (upper.astype(np.uint32) << 16).view(np.float32)
    ordinary = (np.abs(x) > 1e-30) & (np.abs(x) < 1e30)
    assert np.max(np.abs(rounded[ordinary] / x[ordinary] - 1)) <= 2.0**-8


@pytest.mark.parametrize(("kind", "reach"), [("mean8", 2.0**-15), ("square8", 2.0**-31)])
def test_eight_bits_keep_three_bits_of_mantissa(kind, reach):
    rng = np.random.default_rng(1)
    x = (rng.standard_normal(5000) * np.exp(rng.uniform(-12, 3, 5000))).astype(np.float32)
    x = np.abs(x) if kind == "square8" else x
    codes, scales, back = np.empty(x.shape, np.uint8), np.empty(20, np.float32), np.empty_like(x)
    run(STORE[kind], "float32", codes, scales, x)
    run(LOAD[kind], "float32", codes, scales, back)
    largest = np.array([np.abs(x[i : i + 256]).max() for i in range(0, 5000, 256)])
    np.testing.assert_array_equal(scales, largest)
    # half of an eighth of the binade, at worst at its lower end
    error, bound = np.abs(back - x), np.abs(x) / 16 + largest.repeat(256)[:5000] * reach
    assert np.all(error <= bound * 1.01)
    assert np.array_equal(np.sign(back[error < np.abs(x)]), np.sign(x[error < np.abs(x)]))


def test_eight_bits_never_lose_a_second_moment_nor_hide_a_nan():
    x = np.zeros(512, np.float32)
    x[0], x[1], x[300] = 1.0, 1e-30, np.nan
    codes, scales, back = np.empty(x.shape, np.uint8), np.empty(2, np.float32), np.empty_like(x)
    run(STORE["square8"], "float32", codes, scales, x)
    run(LOAD["square8"], "float32", codes, scales, back)
    assert back[0] == 1.0
    assert back[1] > 0
    assert np.all(back[2:256] == 0)
    assert np.isnan(back[300])
