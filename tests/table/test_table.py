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
STRIDED = [layout for layout in LAYOUTS if layout != "contiguous"]


def laid_out(array, layout):
    return LAYOUTS[layout](array) if array.ndim else array.copy()


# ---- running a row


# What the cases of several targets share is kept: they follow each other.


@lru_cache(maxsize=64)
def inputs(op, k, dtype, shape):
    """Return good inputs, which nobody writes into."""
    return op.inputs(np.random.default_rng(0), shape, dtype, op.options[k])


@lru_cache(maxsize=64)
def spoilt(op, k, dtype, name, value):
    """Return inputs of middle size with one number of one array replaced."""
    arrays = dict(inputs(op, k, dtype, middling(op)))
    arrays[name] = arrays[name].copy()
    arrays[name].flat[arrays[name].size // 2] = value
    return arrays


@lru_cache(maxsize=64)
def expected(op, k, dtype, shape):
    """Return the reference's results for good inputs."""
    return op.expect(op.options[k], inputs(op, k, dtype, shape))


@lru_cache(maxsize=64)
def expected_of_spoilt(op, k, dtype, name, value):
    return op.expect(op.options[k], spoilt(op, k, dtype, name, value))


@lru_cache(maxsize=64)
def by_cython(op, k, dtype, shape):
    """Return the results that other targets are compared with."""
    return run(op, op.options[k], inputs(op, k, dtype, shape), "cython")


def run(op, options, arrays, target, layout="contiguous"):
    with fo.target(target):
        return op.call(options, {name: laid_out(array, layout) for name, array in arrays.items()})


def assert_close(got, expected, tolerance, what):
    assert got.keys() == expected.keys(), what
    rtol, atol = tolerance
    for name, value in expected.items():
        assert np.shape(got[name]) == np.shape(value), f"{what}: {name}"  # assert_allclose would broadcast
        with np.errstate(all="ignore"):
            near = np.abs(np.subtract(got[name], value, dtype=np.float64)) < atol + rtol * np.abs(value)
        if not np.all(near):  # NaN and infinities, equal zeros, and whatever is wrong: slower, and it says what
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
def test_matches_the_reference_at_every_size_and_exact_ops_have_the_bits_of_cython(op, k, dtype, target):
    for shape in op.shapes:
        what = f"{op.name} {op.options[k]} {shape}"
        cython = by_cython(op, k, dtype, shape)
        got = cython if target == "cython" else run(op, op.options[k], inputs(op, k, dtype, shape), target)
        assert_close(got, expected(op, k, dtype, shape), op.tolerance[dtype], what)
        for name, value in cython.items():
            assert np.asarray(got[name]).dtype == np.asarray(value).dtype, f"{what}: {name}"
        if op.exact and target == "numba":
            assert_same_bits(got, cython, what)


@for_each_target
@for_each_dtype
@for_each_case
def test_matches_the_reference_in_every_layout(op, k, dtype, target):
    for shape in strided_shapes(op, k):
        for layout in STRIDED:
            got = run(op, op.options[k], inputs(op, k, dtype, shape), target, layout)
            what = f"{op.name} {op.options[k]} {shape}, {layout}"
            assert_close(got, expected(op, k, dtype, shape), op.tolerance[dtype], what)


def strided_shapes(op, k):
    """Return the shapes to try in every layout: all but the largest of the default call, which show how the ends of
    blocks are gathered; of other options, which gather alike, the largest of each number of axes, and one within a
    register."""
    few = sorted((shape for shape in op.shapes if 1 < size(shape) < 5000), key=size)
    if k == 0:
        return few
    return dict.fromkeys([few[0], *{len(shape): shape for shape in few}.values()])


@for_each_dtype
@for_each_case
def test_strided_input_gives_the_bits_of_contiguous_input(op, k, dtype):
    shape = max(op.shapes, key=size)
    arrays = inputs(op, k, dtype, shape)
    contiguous = run(op, op.options[k], arrays, "cython")
    for layout in ("steps", "negative strides"):
        got = run(op, op.options[k], arrays, "cython", layout)
        assert_same_bits(got, contiguous, f"{op.name} {op.options[k]} {shape}, {layout}")


@for_each_target
@for_each_dtype
@for_each_case
def test_nan_and_infinity_travel_as_in_the_reference(op, k, dtype, target):
    options = op.options[k]
    for name, array in inputs(op, k, dtype, middling(op)).items():
        for value in (np.nan, np.inf, -np.inf):
            if array.dtype.kind != "f" or not array.size:
                continue
            what = f"{op.name} {options}, {value} in {name}"
            with np.errstate(all="ignore"):
                got = run_or_refuse(op, options, spoilt(op, k, dtype, name, value), target)
                if isinstance(got, ValueError):
                    assert SENTENCE.fullmatch(str(got)), what
                else:
                    assert_close(got, expected_of_spoilt(op, k, dtype, name, value), op.tolerance[dtype], what)


def run_or_refuse(op, options, arrays, target):
    try:
        return run(op, options, arrays, target)
    except ValueError as refusal:
        return refusal


# ---- the same bits


@pytest.mark.parametrize("target", COMPILED)
@for_each_dtype
@for_each_case
def test_any_number_of_threads_gives_the_same_bits(op, k, dtype, target, threads):
    shape = max(op.shapes, key=size)
    arrays = inputs(op, k, dtype, shape)
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
    arrays = {name: array.copy() for name, array in inputs(op, 0, "float32", middling(op)).items()}
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
