"""Results don't depend on the floating-point mode of the caller's thread: one that flushes subnormals changes none."""

import numpy as np
import pytest

import fastopt as fo
from fastopt.table import OPS

torch = pytest.importorskip("torch")
PRODUCTS = ("muon", "linear_cross_entropy", "orthogonal")  # NumPy multiplies the matrices, in the caller's mode
TINY = ("grad", "x", "dy", "y_pred", "values")


@pytest.fixture(params=["cython", "reference"])
def target(request):
    return request.param


def results(op, options, dtype, target, flush):
    """Return the bits of an op's results on numbers of which many are subnormal."""
    arrays = op.inputs(np.random.default_rng(7), op.shapes[len(op.shapes) // 2], dtype, options)
    least = np.asarray(np.finfo(dtype).tiny * 8, dtype)
    arrays = {
        name: value * least if name in TINY and getattr(value, "dtype", None) == dtype else value
        for name, value in arrays.items()
    }
    torch.set_flush_denormal(flush)
    try:
        with fo.target(target), np.errstate(all="ignore"):
            made = op.call(options, arrays)
    except ValueError:  # what is out of an op's domain
        return "refused"
    finally:
        torch.set_flush_denormal(False)
    return {name: np.where(np.isnan(value), 0, value).tobytes() for name, value in sorted(made.items())}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("op", [pytest.param(op, id=f"{op.family}.{op.name}") for op in OPS if op.name not in PRODUCTS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_flushing_mode_changes_no_bit(op, dtype, target):
    for options in op.options:
        kept = results(op, options, dtype, target, flush=False)
        assert results(op, options, dtype, target, flush=True) == kept, options


@pytest.mark.parametrize("name", ["cython", "numba", "reference"])
def test_small_float16_numbers_survive_a_flushing_mode(name):
    """Below 2**-14 a float16 is subnormal; as a float32 it isn't."""
    param = np.array([2.0**-20, 2.0**-24, -(2.0**-15), 1.0], np.float16)
    expected = param.tobytes()
    torch.set_flush_denormal(True)
    try:
        with fo.target(name):
            fo.optimizers.SGD([param], lr=0.0).step([np.ones(4, np.float16)])
            fo.optimizers.AdamW([param], lr=0.0).step([np.ones(4, np.float16)])
    finally:
        torch.set_flush_denormal(False)
    assert param.tobytes() == expected


def test_the_callers_mode_is_put_back():
    small = np.full(9, 1e-30, np.float32)
    torch.set_flush_denormal(True)
    try:
        for name in ("cython", "reference"):
            with fo.target(name):
                fo.losses.mean_squared_error(small, small)
                fo.optimizers.SGD([small.copy()]).step([small])
            assert (small * np.float32(1e-10) == 0).all()
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_flushing_mode_changes_no_result_and_stays_the_callers(threads, dtype):
    before = fo.get_num_threads()
    fo.set_num_threads(threads)
    small = {"float32": (1e-30, 1e-10), "float64": (1e-200, 1e-115)}[dtype]
    expected = np.full(1_000_000, small[0], dtype)
    fo.arrays.scale([expected], small[1])
    assert expected.all()
    torch.set_flush_denormal(True)
    try:
        for _ in range(5):
            got = np.full(1_000_000, small[0], dtype)
            fo.arrays.scale([got], small[1])
            np.testing.assert_array_equal(got.view("u1"), expected.view("u1"))
        assert (np.full(9, small[0], dtype) * np.asarray(small[1], dtype) == 0).all()  # the caller's own mode is back
    finally:
        torch.set_flush_denormal(False)
        fo.set_num_threads(before)
