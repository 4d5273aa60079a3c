"""Storage types: what a load stage reads from a store stage's work, against torch and against exact bits."""

import numpy as np
import pytest
import torch

from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.storage import LOAD, STORE
from fastopt.kernels.runtime.tables import address

TORCH = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def run(kernels, compute, *arrays, threads=1, step=1):
    stage = (kernels[DTYPES.index(compute)], tuple(range(len(arrays))), 1, 0, 0)
    pointers = np.array([[address(array) for array in arrays]], np.uintp)
    Pipeline([stage], (0,) * len(arrays)).run(
        pointers, np.array([arrays[0].size]), 1024, threads=threads,
        dims=np.array([[7]]), scalars=np.array([[3.0, step]]), scalars_row=np.zeros(1, np.int64),
    )  # fmt: skip


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
    # half of an eighth of the binade, at worst at its lower end; all of it where it is rounded stochastically
    share = 8 if kind == "square8" else 16
    error, bound = np.abs(back - x), np.abs(x) / share + largest.repeat(256)[:5000] * reach
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


@pytest.mark.parametrize("kind", ["square8", "square16"])
def test_second_moments_are_rounded_without_bias(kind):
    """Over 2000 steps, an element is rounded up as often as its place between two codes says: within five standard
    deviations of the binomial, for all 600 elements."""
    x = np.random.default_rng(2).uniform(0.1, 1.0, 600).astype(np.float32)
    codes = np.empty(600, np.uint8 if kind == "square8" else np.uint16)
    arrays = [codes, np.empty(3, np.float32)] if kind == "square8" else [codes]
    found, back = [], np.empty_like(x)
    for step in range(2000):
        run(STORE[kind], "float32", *arrays, x, step=step)
        run(LOAD[kind], "float32", *arrays, back)
        found.append(back.copy())
    below, above = np.min(found, axis=0).astype(np.float64), np.max(found, axis=0).astype(np.float64)
    ups = np.sum(np.array(found) > below, axis=0)
    share = np.where(above > below, (x - below) / np.where(above > below, above - below, 1), 0)
    assert np.all((share > -1e-3) & (share < 1 + 1e-3))
    assert np.all(np.abs(ups - 2000 * share) <= 5 * np.sqrt(2000 * share.clip(0, 1) * (1 - share.clip(0, 1))) + 3)


def test_a_nan_in_a_second_moment_stays_one():
    bits = np.array([0x7FFFFFFF, 0xFFC00000, 0xFFFFFFFF, 0x7FC00001, 0x7F800000], np.uint32)
    codes, back = np.empty(5, np.uint16), np.empty(5, np.float32)
    for step in range(50):
        run(STORE["square16"], "float32", codes, bits.view(np.float32), step=step)
        run(LOAD["square16"], "float32", codes, back)
        assert np.isnan(back[:4]).all()
        assert back[4] == np.inf
