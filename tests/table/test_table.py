"""Every op of the table: right at every size and layout, the same bits however it runs, clear when called wrongly.

Nothing here knows an op: a new row of kernels/table.py is tested by being there.
"""

import re
from functools import lru_cache

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.table import OPS

CPU_TARGETS = ("cython", "numba", "reference")
COMPILED = ("cython", "numba")
THREADS = (1, 2, 3, 7, 7)  # the last twice: two runs give the same bits too
MANY_GRAINS = 1_100_000  # elements of the largest case
CASES = [pytest.param(op, k, id=f"{op.name}-{k}") for op in OPS for k in range(len(op.options))]
EACH_OP = [pytest.param(op, id=op.name) for op in OPS]
WRONG = [pytest.param(op, wrong, id=f"{op.name}-{wrong.what}") for op in OPS for wrong in op.wrong]
SENTENCE = re.compile(r"[^\n:]+: expected [^\n]+, got [^\n]+")

for_each_target = pytest.mark.parametrize("target", CPU_TARGETS)
for_each_dtype = pytest.mark.parametrize("dtype", DTYPES)
for_each_case = pytest.mark.parametrize(("op", "k"), CASES)


# ---- every layout that a view can have: the same values, in memory of their own


def viewed(array, shape, index):
    """Return the values of `array` in the part `index` of a larger array."""
    memory = np.zeros(shape, array.dtype)
    memory[index] = array
    return memory[index]


def rolled(array):
    """Return the array with its first axis innermost in memory: channels-last for (N, C, ...) turned around."""
    return np.moveaxis(np.array(np.moveaxis(array, 0, -1), order="C"), -1, 0)


LAYOUTS = {
    "contiguous": np.array,
    "fortran": lambda a: np.array(a, order="F"),
    "rolled axes": rolled,
    "steps": lambda a: viewed(a, [2 * n + 1 for n in a.shape], tuple(slice(1, 2 * n + 1, 2) for n in a.shape)),
    "negative strides": lambda a: viewed(a, a.shape, (slice(None, None, -1),) * a.ndim),
    "padded rows": lambda a: viewed(a, (*a.shape[:-1], a.shape[-1] + 3), (..., slice(2, a.shape[-1] + 2))),
    "offset": lambda a: viewed(a.ravel(), a.size + 1, slice(1, None)).reshape(a.shape),
}


def laid_out(array, layout):
    return LAYOUTS[layout](array) if array.ndim else array.copy()


# ---- running a row


@lru_cache(maxsize=64)
def case(op, k, dtype, shape):
    """Return good inputs and the reference's results."""
    arrays = op.inputs(np.random.default_rng(0), shape, dtype, op.options[k])
    return arrays, op.expect(op.options[k], arrays)


def run(op, options, arrays, target, layout="contiguous"):
    with fo.target(target):
        return op.call(options, {name: laid_out(array, layout) for name, array in arrays.items()})


def assert_close(got, expected, tolerance, what):
    assert got.keys() == expected.keys(), what
    rtol, atol = tolerance
    for name, value in expected.items():
        assert np.shape(got[name]) == np.shape(value), f"{what}: {name}"  # assert_allclose would broadcast
        np.testing.assert_allclose(got[name], value, rtol=rtol, atol=atol, err_msg=f"{what}: {name}")


def assert_same_bits(got, expected, what):
    assert got.keys() == expected.keys(), what
    for name in got:
        one, other = np.asarray(got[name]), np.asarray(expected[name])
        assert (one.dtype, one.shape) == (other.dtype, other.shape), f"{what}: {name}"
        if one.tobytes() != other.tobytes():
            np.testing.assert_array_equal(one, other, err_msg=f"{what}: {name}")
            raise AssertionError(f"{what}: {name} differs in the sign of a zero or the bits of a NaN")


def size(shape):
    return int(np.prod(shape))


def middling(op):
    """Return the row's first shape of more than 6 elements."""
    return next(shape for shape in op.shapes if size(shape) > 6)


@pytest.fixture
def threads():
    before = fo.get_num_threads()
    yield fo.set_num_threads
    fo.set_num_threads(before)


# ---- right


@for_each_target
@for_each_dtype
@for_each_case
def test_matches_the_reference_at_every_size(op, k, dtype, target):
    for shape in op.shapes:
        arrays, expected = case(op, k, dtype, shape)
        got = run(op, op.options[k], arrays, target)
        assert_close(got, expected, op.tolerance[dtype], f"{op.name} {op.options[k]} {shape}")


@for_each_target
@for_each_dtype
@for_each_case
def test_matches_the_reference_in_every_layout(op, k, dtype, target):
    for shape in op.shapes:
        if not 1 < size(shape) < 5000:
            continue
        arrays, expected = case(op, k, dtype, shape)
        for layout in LAYOUTS:
            got = run(op, op.options[k], arrays, target, layout)
            assert_close(got, expected, op.tolerance[dtype], f"{op.name} {op.options[k]} {shape}, {layout}")


@for_each_dtype
@for_each_case
def test_strided_input_gives_the_bits_of_contiguous_input(op, k, dtype):
    shape = max(op.shapes, key=size)
    arrays, _ = case(op, k, dtype, shape)
    contiguous = run(op, op.options[k], arrays, "cython")
    for layout in ("steps", "negative strides"):
        got = run(op, op.options[k], arrays, "cython", layout)
        assert_same_bits(got, contiguous, f"{op.name} {op.options[k]} {shape}, {layout}")


@for_each_target
@for_each_dtype
@for_each_case
def test_nan_and_infinity_travel_as_in_the_reference(op, k, dtype, target):
    options = op.options[k]
    arrays, _ = case(op, k, dtype, middling(op))
    for name, array in arrays.items():
        for value in (np.nan, np.inf, -np.inf):
            if array.dtype.kind != "f" or not array.size:
                continue
            spoilt = {**arrays, name: array.copy()}
            spoilt[name].flat[array.size // 2] = value
            what = f"{op.name} {options}, {value} in {name}"
            with np.errstate(all="ignore"):
                got = run_or_refuse(op, options, spoilt, target)
                if isinstance(got, ValueError):
                    assert SENTENCE.fullmatch(str(got)), what
                else:
                    assert_close(got, op.expect(options, spoilt), op.tolerance[dtype], what)


def run_or_refuse(op, options, arrays, target):
    try:
        return run(op, options, arrays, target)
    except ValueError as refusal:
        return refusal


# ---- the same bits


@for_each_dtype
@for_each_case
def test_every_target_gives_the_same_types_and_exact_ops_the_same_bits(op, k, dtype):
    for shape in op.shapes:
        arrays, _ = case(op, k, dtype, shape)
        cython, numba, reference = (run(op, op.options[k], arrays, target) for target in CPU_TARGETS)
        what = f"{op.name} {op.options[k]} {shape}"
        for other in (numba, reference):
            for name, value in cython.items():
                assert np.asarray(other[name]).dtype == np.asarray(value).dtype, f"{what}: {name}"
        if op.exact:
            assert_same_bits(numba, cython, what)


@pytest.mark.parametrize("target", COMPILED)
@for_each_dtype
@for_each_case
def test_any_number_of_threads_gives_the_same_bits(op, k, dtype, target, threads):
    shape = max(op.shapes, key=size)
    arrays, _ = case(op, k, dtype, shape)
    assert_threads_agree(op, op.options[k], arrays, target, threads)


@pytest.mark.parametrize("op", EACH_OP)
def test_any_number_of_threads_gives_the_same_bits_over_many_grains(op, threads):
    shapes = [shape for shape in (*op.shapes, *(shape for _, shape in op.bench)) if size(shape) <= MANY_GRAINS]
    options = op.options[0]
    arrays = op.inputs(np.random.default_rng(0), max(shapes, key=size), "float32", options)
    assert_threads_agree(op, options, arrays, "cython", threads)


def assert_threads_agree(op, options, arrays, target, threads):
    results = []
    for count in THREADS:
        threads(count)
        results.append(run(op, options, arrays, target))
    for count, got in zip(THREADS[1:], results[1:], strict=True):
        assert_same_bits(got, results[0], f"{op.name} {options}, {count} threads against one")


# ---- called wrongly


@for_each_target
@pytest.mark.parametrize(("op", "wrong"), WRONG)
def test_a_wrong_call_gets_one_sentence_and_changes_nothing(op, wrong, target):
    options = dict(op.options[0])
    arrays = {name: array.copy() for name, array in case(op, 0, "float32", middling(op))[0].items()}
    wrong.spoil(options, arrays)
    before = {name: np.array(value) for name, value in arrays.items()}
    with fo.target(target), pytest.raises(wrong.error) as caught:
        op.call(options, arrays)
    message = str(caught.value)
    assert SENTENCE.fullmatch(message), message
    for word in wrong.words:
        assert word in message, f"{word!r} is not in {message!r}"
    for name, value in arrays.items():
        np.testing.assert_array_equal(np.array(value), before[name], err_msg=f"{name} was written")
