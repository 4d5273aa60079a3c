"""What storage in 16 and 8 bits keeps of parameters and state: lost bits, stochastic rounding, second moments."""

import ml_dtypes
import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.optimizers.recipe import SQUARES
from fastopt.kernels.runtime import kinds

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
TARGETS = ("cython", "numba")


def test_bfloat16_with_its_lost_bits_is_a_float32():
    rng = np.random.default_rng(0)
    start = rng.standard_normal(3000).astype(BFLOAT16)
    whole, halves = start.astype(np.float32), start.copy()
    plain, exact = fo.optimizers.AdamW(whole, lr=1e-3), fo.optimizers.AdamW(halves, lr=1e-3, rounding="exact")
    for _ in range(10):
        grad = rng.standard_normal(3000).astype(np.float32)
        plain.step(grad)
        exact.step(grad)
    assert (halves == whole.astype(BFLOAT16)).mean() > 0.999  # ties between neighbours go away from zero
    together = kinds.read("split", [halves, exact.state[0]["param_lost_bits"]], "float32")
    assert together.tobytes() == whole.tobytes()


def test_pure_bfloat16_stalls_and_the_other_roundings_do_not():
    ends = {}
    for rounding in ("nearest", "stochastic", "exact"):
        weight = np.ones(4096, BFLOAT16)
        optimizer = fo.optimizers.AdamW(weight, lr=1e-3, weight_decay=0.0, rounding=rounding)
        for _ in range(50):
            optimizer.step(np.ones(4096, BFLOAT16))
        ends[rounding] = weight.astype(np.float64).mean()
    assert ends["nearest"] == 1.0
    assert abs(ends["stochastic"] - 0.95) < 1e-3
    assert abs(ends["exact"] - 0.95) < 2**-8


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_stochastic_rounding_is_unbiased(share):
    """Ups are binomial: their count is within five standard deviations (a chance of 6e-7 to fail, once and for all)."""
    size = 100_000
    weight = np.ones(size, BFLOAT16)
    fo.optimizers.SGD(weight, lr=1.0, rounding="stochastic", seed=1).step(np.full(size, -share * 2**-7, np.float32))
    ups = int((weight.astype(np.float64) > 1).sum())
    assert abs(ups - share * size) <= 5 * np.sqrt(size * share * (1 - share))
    assert set(weight.astype(np.float64)) == {1.0, 1 + 2**-7}


def test_stochastic_rounding_differs_by_seed_step_and_parameter():
    def rounded(seed, steps=1):
        weights = [np.ones(500, BFLOAT16), np.ones(500, BFLOAT16)]
        optimizer = fo.optimizers.SGD(weights, lr=1.0, rounding="stochastic", seed=seed)
        for _ in range(steps):
            for weight in weights:
                weight[...] = 1
            optimizer.step([np.full(500, -(2.0**-8), np.float32)] * 2)
        return [weight.tobytes() for weight in weights]

    assert rounded(1) == rounded(1)
    assert len({*rounded(1), *rounded(2), *rounded(1, steps=2)}) == 6


def test_eight_bit_state_takes_a_quarter_and_small_parameters_keep_theirs_whole():
    optimizer = fo.optimizers.AdamW([np.ones(4096, np.float32), np.ones(4095, np.float32)], state_dtype="8bit")
    large, small = optimizer.state
    assert {name: (array.dtype.name, array.size) for name, array in large.items()} == {
        "exp_avg": ("uint8", 4096), "exp_avg_scale": ("float32", 16),
        "exp_avg_sq": ("uint8", 4096), "exp_avg_sq_scale": ("float32", 16),
    }  # fmt: skip
    assert {name: array.dtype.name for name, array in small.items()} == {"exp_avg": "float32", "exp_avg_sq": "float32"}


def test_every_second_moment_is_known_to_be_one():
    names = {name for _, kernel in fo_kernels() for name in kernel.buffers[2:]}
    assert {name for name in names if "sq" in name} <= SQUARES


def fo_kernels():
    from fastopt.kernels.optimizers.kernels import KERNELS

    return KERNELS.items()


@pytest.mark.parametrize("target", [*TARGETS, "reference"])
@pytest.mark.parametrize("state_dtype", ["bfloat16", "8bit"])
def test_second_moments_move_by_less_than_a_code(state_dtype, target):
    """1000 steps of 0.999 are 0.368 on average. To nearest, not one of them would be seen. The bound is five standard
    deviations of the mean of 8192 elements, each of a thousand roundings that are off by less than a code of 1/8."""
    optimizer = fo.optimizers.AdamW([np.zeros(8192, np.float32)], state_dtype=state_dtype)
    with fo.target(target):
        optimizer.step([np.linspace(0.5, 1.0, 8192, dtype=np.float32)])
        recipe = optimizer._store.recipe(0, "float32")
        kind, state = recipe.kinds["exp_avg_sq"], optimizer.state[0]
        arrays = [state[name] for name in ("exp_avg_sq", "exp_avg_sq_scale") if name in state]
        before = kinds.read(kind, arrays, "float32").astype(np.float64)
        for _ in range(100 if target == "reference" else 1000):
            optimizer.step([np.zeros(8192, np.float32)])
    after = kinds.read(kind, arrays, "float32").astype(np.float64)
    kept = 0.999 ** (100 if target == "reference" else 1000)
    assert abs(after.mean() / before.mean() - kept) < 5 * np.sqrt(1000 * 0.999**2 * 0.001 * 0.125 / 8192)
