"""`fastopt.arrays` beyond the table: forms, mixed types, 16-bit storage, overlaps, extremes, and torch."""

import ml_dtypes
import numpy as np
import pytest
import torch

import fastopt as fo

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = ("float64", "float32", BFLOAT16, "float16")
TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", TARGETS)


def some(size, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(size).astype(dtype)


# ---- forms


def test_results_have_the_form_of_the_arrays():
    x, y = some(5), some((2, 3), seed=1)
    assert isinstance(fo.arrays.scale(x, 2.0), np.ndarray)
    assert list(fo.arrays.scale({"x": x, "y": y}, 2.0)) == ["x", "y"]
    np.testing.assert_array_equal(fo.arrays.scale((x, y), 2.0)[1], 2 * y)
    out = {"y": y.copy(), "x": x.copy()}
    assert fo.arrays.scale({"x": x, "y": y}, 2.0, out=out) is out
    np.testing.assert_array_equal(out["y"], 2 * y)
    assert fo.arrays.norms({"x": x, "y": y}).shape == (2,)


@for_each_target
def test_no_arrays_are_fine(target):
    with fo.target(target):
        assert fo.arrays.scale([], 2.0) == []
        assert fo.arrays.axpby(1.0, {}, 1.0, {}) == {}
        assert fo.arrays.global_norm([]) == 0
        assert fo.arrays.norms({}).shape == (0,)
        assert fo.arrays.all_finite([]) is True


def test_another_form_gets_one_sentence():
    x = some(3)
    with pytest.raises(ValueError, match=r"^out: expected a list of 2 arrays, got 1$"):
        fo.arrays.scale([x, x], 2.0, out=[x])
    with pytest.raises(ValueError, match=r"^y: expected the keys \['a'\], got the keys \['b'\]$"):
        fo.arrays.axpby(1.0, {"a": x}, 1.0, {"b": x})
    with pytest.raises(TypeError, match=r"^arrays\['a'\]: expected a NumPy array, got list"):
        fo.arrays.norms({"a": [1.0]})


# ---- types


@for_each_target
@pytest.mark.parametrize("of", FLOATS)
@pytest.mark.parametrize("to", FLOATS)
def test_every_type_may_be_scaled_into_every_other(of, to, target):
    x = some(1003).astype(of)
    out = np.full(1003, np.nan).astype(to)
    with fo.target(target):
        fo.arrays.scale([x], -1.5, out=[out])
    precision = max(float(ml_dtypes.finfo(np.dtype(dtype)).eps) for dtype in (to, "float32" if to != of else of))
    np.testing.assert_allclose(out.astype(float), -1.5 * x.astype(float), rtol=precision, atol=1e-7)


@for_each_target
def test_types_may_be_mixed_in_one_call(target):
    x = [some(n, seed=n).astype(dtype) for n, dtype in zip((7, 600, 33, 5000), FLOATS, strict=True)]
    y = [some(a.size, dtype, 9) for a, dtype in zip(x, reversed(FLOATS), strict=True)]
    with fo.target(target):
        got = fo.arrays.axpby(2.0, x, -1.0, y)
        norms, norm = fo.arrays.norms(x), fo.arrays.global_norm(x)
    for a, b, found in zip(x, y, got, strict=True):
        assert found.dtype == a.dtype
        np.testing.assert_allclose(found.astype(float), 2 * a.astype(float) - b.astype(float), rtol=8e-3, atol=1e-3)
    np.testing.assert_allclose(norms, [np.linalg.norm(a.astype(float)) for a in x], rtol=1e-13)
    np.testing.assert_allclose(norm, np.linalg.norm(norms), rtol=1e-14)


def test_bits_depend_on_neither_threads_nor_layout_nor_neighbours():
    before = fo.get_num_threads()
    x = [some(n, dtype, n) for n, dtype in zip((100_003, 40_000, 70_001, 5), FLOATS, strict=True)]
    spread = [np.repeat(a, 2)[::2] for a in x]
    assert not spread[0].flags.c_contiguous
    results = []
    try:
        for threads in (1, 2, 3, 7):
            fo.set_num_threads(threads)
            results += [fo.arrays.norms(x), fo.arrays.norms(spread), np.array([fo.arrays.norms(a)[0] for a in x])]
    finally:
        fo.set_num_threads(before)
    assert len({found.tobytes() for found in results}) == 1


# ---- in place, and overlaps


@for_each_target
def test_outputs_may_be_either_input(target):
    x, y = [some(3000, seed=1), some(7, seed=2), some((4, 5), seed=3)], [some(s, seed=4) for s in (3000, 7, (4, 5))]
    wanted = [3 * a - 2 * b for a, b in zip(x, y, strict=True)]
    for outs in (lambda a, b: a, lambda a, b: b, lambda a, b: [a[0], b[1], np.empty((4, 5), np.float32)]):
        a, b = [array.copy() for array in x], [array.copy() for array in y]
        out = outs(a, b)
        with fo.target(target):
            assert fo.arrays.axpby(3.0, a, -2.0, b, out=out) is out
        for got, want in zip(out, wanted, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


@for_each_target
def test_strided_and_mixed_arrays_in_place(target):
    x, y = [some((6, 8))[:, ::2], some(9, "float16")], [some((6, 8), seed=1)[:, 1::2], some(9, seed=2)]
    wanted = [a.astype(float) + 0.5 * b for a, b in zip(x, y, strict=True)]
    with fo.target(target):
        fo.arrays.axpby(1.0, x, 0.5, y, out=x)
    for got, want in zip(x, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)


def test_reading_one_array_twice_is_fine():
    x = some(100)
    np.testing.assert_array_equal(fo.arrays.axpby(1.0, [x, x], 1.0, [x, x])[1], 2 * x)
    np.testing.assert_allclose(fo.arrays.norms([x, x[:50]])[0], np.linalg.norm(x.astype(float)))


OVERLAPS = {
    "two outputs": lambda m: ([m[:4].copy(), m[:4].copy()], [m[:4], m[2:6]], "out[1]", "out[0]"),
    "the input of another": lambda m: ([m[:4], m[10:14]], [m[20:24], m[:4]], "out[1]", "arrays[0]"),
    "shifted": lambda m: ([m[:8]], [m[1:9]], "out[0]", "arrays[0]"),
    "reversed": lambda m: ([m[:8]], [m[:8][::-1]], "out[0]", "arrays[0]"),
    "of another type": lambda m: ([m[:8]], [m[:8].view(BFLOAT16)[:8]], "out[0]", "arrays[0]"),
}


@pytest.mark.parametrize("make", OVERLAPS.values(), ids=OVERLAPS)
def test_outputs_that_overlap_are_refused_before_anything_is_written(make):
    memory = some(32)
    before = memory.copy()
    arrays, out, name, other = make(memory)
    with pytest.raises(ValueError, match="overlap") as caught:
        fo.arrays.scale(arrays, 2.0, out=out)
    assert str(caught.value) == f"{name}: expected memory apart from {other}, got arrays that overlap"
    np.testing.assert_array_equal(memory, before)


def test_outputs_that_interleave_are_no_overlap():
    memory = np.zeros(20, np.float32)
    fo.arrays.scale([np.ones(10, np.float32), np.ones(10, np.float32)], 2.0, out=[memory[::2], memory[1::2]])
    np.testing.assert_array_equal(memory, 2.0)


# ---- extremes


@for_each_target
def test_norms_of_extreme_arrays(target):
    with fo.target(target):
        large = np.full(10_000, 3e38, np.float32)
        np.testing.assert_allclose(fo.arrays.global_norm([large, large]), float(large[0]) * np.sqrt(20_000), rtol=1e-14)
        tiny = np.full(100, 1e-45, np.float32)
        np.testing.assert_allclose(fo.arrays.global_norm(tiny), 10 * float(tiny[0]), rtol=1e-14)
        for factor in (1e200, 1e-200, 5e-324 * 2**30):
            wide = [np.array([3.0, 0.0]) * factor, np.array([[4.0]]) * factor, np.ones(2, np.float32) * 0]
            np.testing.assert_allclose(fo.arrays.norms(wide), [3 * factor, 4 * factor, 0], rtol=1e-9)
            np.testing.assert_allclose(fo.arrays.global_norm(wide), 5 * factor, rtol=1e-9)
        assert fo.arrays.global_norm([np.array([np.inf, 1e200]), np.ones(2)]) == np.inf
        assert fo.arrays.all_finite(np.array([1e200, -1e308])) is True
        assert np.isnan(fo.arrays.norms([np.ones(3), np.array([np.inf, np.nan])])[1])


@for_each_target
def test_finite_speaks_of_what_was_stored(target):
    x = np.array([70000.0, 1.0], np.float32)
    with fo.target(target):
        out = np.zeros(2, np.float16)
        assert fo.arrays.scale(x, 0.5, out=out, return_finite=True)[1] is True
        assert fo.arrays.scale(x, 1.0, out=out, return_finite=True)[1] is False
        assert fo.arrays.scale([x, x[1:]], 1e38, return_finite=True)[1] is False
        strided = np.ones((4, 4))[:, ::2]
        assert fo.arrays.scale(strided, 2.0, out=strided, return_finite=True)[1] is True
        strided[2, 1] = np.nan
        assert fo.arrays.scale([x, strided], 2.0, return_finite=True)[1] is False
        for value in (np.nan, np.inf, -np.inf):
            for place in (0, 511, 40_000):
                array = np.ones(40_001, np.float32)
                array[place] = value
                assert fo.arrays.all_finite([x, array]) is False


# ---- torch's calls for lists give the same


def test_torch_agrees():
    x = [some(shape, seed=k) for k, shape in enumerate(((100,), (3, 50), (), (1000,)))]
    tensors = [torch.from_numpy(np.array(array)) for array in x]
    np.testing.assert_allclose(fo.arrays.norms(x), torch.stack(torch._foreach_norm(tensors)), rtol=1e-6)
    np.testing.assert_allclose(fo.arrays.global_norm(x), torch.nn.utils.get_total_norm(tensors).item(), rtol=1e-6)
    for got, want in zip(fo.arrays.scale(x, 0.3), torch._foreach_mul(tensors, 0.3), strict=True):
        np.testing.assert_array_equal(got, want.numpy())
