"""Results too large for a cache are stored around it: the same values as in place, where they are not."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastopt
from fastopt.kernels.runtime.stages import STREAMED_BYTES
from fastopt.normalization import batch_norm_backward, batch_norm_forward

# Above 8 MiB. Planes begin at any byte of a line; rows of 100 are worked on two at a time, those of 1500 in two parts.
CASES = (
    ("float32", (3, 5, 569, 569)),
    ("float64", (3, 5, 401, 401)),
    ("float32", (42_001, 100)),
    ("float64", (21_001, 100)),
    ("float32", (2801, 1500)),
)


@pytest.fixture(params=(1, 3))
def threads(request):
    before = fastopt.get_num_threads()
    fastopt.set_num_threads(request.param)
    yield request.param
    fastopt.set_num_threads(before)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def arrays(request):
    """x, dy, gamma and beta; x is too large for a cache."""
    random, (dtype, shape) = np.random.default_rng(0), request.param
    x, dy = (random.standard_normal(shape).astype(dtype) for _ in range(2))
    assert x.nbytes >= STREAMED_BYTES
    return x, dy, *random.standard_normal((2, shape[1])).astype(dtype)


def beside(x, shift):
    """An array of NaN for results that begins `shift` elements after a cache line."""
    memory = np.full(x.size + 128, np.nan, x.dtype)
    first = -(memory.ctypes.data // x.itemsize) % (64 // x.itemsize) + shift
    return memory[first : first + x.size].reshape(x.shape)


@pytest.mark.parametrize("shift", [0, 1, 7])
def test_inference_equals_in_place(arrays, threads, shift):
    x, _, gamma, beta = arrays
    given = {"running_mean": beta.copy(), "running_var": np.ones_like(gamma), "training": False}
    apart, *_ = batch_norm_forward(x, gamma, beta, **given, out=beside(x, shift))
    batch_norm_forward(x, gamma, beta, **given, out=x)
    assert_array_equal(apart, x)


@pytest.mark.parametrize("shift", [0, 1, 7])
def test_training_equals_the_formula_and_the_gradient_in_place(arrays, threads, shift):
    x, dy, gamma, beta = arrays
    y, mean, invstd = batch_norm_forward(x, gamma, beta, out=beside(x, shift))
    center, scale, shifted = (v.reshape(-1, *(1,) * (x.ndim - 2)) for v in (mean, invstd * gamma, beta))
    assert_allclose(y, (x - center) * scale + shifted, rtol=0, atol=2e-6)
    dx, *_ = batch_norm_backward(dy, x, gamma, mean, invstd, out=beside(x, shift))
    batch_norm_backward(dy, x, gamma, mean, invstd, out=dy)
    assert_array_equal(dx, dy)


ROW_NORMS = {
    "layer": (fastopt.normalization.layer_norm_forward, fastopt.normalization.layer_norm_backward),
    "rms": (fastopt.normalization.rms_norm_forward, fastopt.normalization.rms_norm_backward),
}


@pytest.mark.parametrize("shift", [0, 1, 7])
@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("float32", (42_001, 100)), ("float32", (4096, 1024)), ("float32", (17, 130_001)), ("float64", (701, 1500))],
)
@pytest.mark.parametrize("kind", ROW_NORMS)
def test_norms_of_rows_equal_those_in_place_and_strided(kind, dtype, shape, shift, threads):
    """Rows begin at any byte of a line; what is held goes on from one row to the next."""
    forward, backward = ROW_NORMS[kind]
    random = np.random.default_rng(0)
    x, dy = (random.standard_normal(shape).astype(dtype) for _ in range(2))
    assert x.nbytes >= STREAMED_BYTES
    gamma = random.standard_normal(shape[1]).astype(dtype)
    strided = np.full((shape[0], 2 * shape[1]), np.nan, dtype)[:, ::2]

    dx, *sums = backward(dy, x, gamma, *forward(x, gamma)[1:], out=beside(x, shift))
    y, *statistics = forward(x, gamma, out=beside(x, shift))
    assert_array_equal(forward(x, gamma, out=strided)[0], y)
    found, *others = backward(dy, x, gamma, *statistics, out=strided)
    assert_array_equal(found, dx)
    for one, other in zip(sums, others, strict=True):
        assert_array_equal(one, other)
    assert_array_equal(backward(dy, x, gamma, *statistics, out=dy)[0], dx)
    assert_array_equal(forward(x, gamma, out=x)[0], y)


@pytest.mark.parametrize("shift", [0, 1, 7, 15])
@pytest.mark.parametrize("shape", [(4_300_001,), (43_001, 100), (2801, 1500), (34, 130_001)])
def test_gradients_of_losses_equal_those_in_place(shape, threads, shift):
    """Blocks end within cache lines; rows of 130 001 are a grain each."""
    random = np.random.default_rng(0)
    y_pred = random.standard_normal(shape, dtype=np.float32)
    assert y_pred.nbytes >= STREAMED_BYTES
    if len(shape) == 1:
        loss, y_true = fastopt.losses.MeanSquaredError(), random.standard_normal(shape, dtype=np.float32)
    else:
        loss, y_true = fastopt.losses.SparseCategoricalCrossentropy(True), random.integers(0, shape[1], shape[0])
    value, apart = loss.value_and_grad(y_true, y_pred, out=beside(y_pred, shift))
    again, gradient = loss.value_and_grad(y_true, y_pred, out=y_pred)
    assert_array_equal(apart, gradient)
    assert value == again
