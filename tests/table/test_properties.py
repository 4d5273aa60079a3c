"""Whatever comes in, a call gives the right result or one of fastopt's own sentences, and then nothing has changed.

Hypothesis spoils good calls of the table's rows: the arrays' dtype, shape, memory, kind and values, and the options.
"""

import re
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastopt as fo
from fastopt.table import OPS

SENTENCE = re.compile(r"[^\n:]+: expected [^\n]+, got [^\n]+")
EACH_OP = [pytest.param(op, id=f"{op.family}-{op.name}") for op in OPS]
few_examples = settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


# ---- ways to spoil an array


def read_only(array):
    array = array.copy()
    array.setflags(write=False)
    return array


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    memory[...] = array
    return memory


def every_second(array):
    memory = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    memory[..., ::2] = array
    return memory[..., ::2]


class Marked(np.ndarray):
    """A subclass that may mean something."""


DTYPES = ("f4", "f8", "f2", ">f4", ">f8", "g", "i1", "i4", "i8", "u8", "?", "c8", "c16", "O", "U8", "M8[s]")
SAME_VALUES = {
    "read-only": read_only,
    "unaligned": unaligned,
    "every second": every_second,
    "Fortran order": np.asfortranarray,
    "reversed twice": lambda a: a[::-1].copy()[::-1],
}
OTHER_SHAPE = {
    "empty": lambda a: a[:0],
    "shorter": lambda a: a[:-1],
    "narrower": lambda a: a[..., :-1],
    "flat": np.ravel,
    "transposed": np.transpose,
    "an axis more in front": lambda a: a[None],
    "an axis more behind": lambda a: a[..., None],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "twice": lambda a: np.concatenate([a, a]),
    "0-d": lambda a: a.reshape(-1)[0:1].reshape(()),
    "0-d of nothing": lambda a: np.zeros((), a.dtype),
}
OTHER_KIND = {
    "a list": np.ndarray.tolist,
    "None": lambda a: None,
    "a string": lambda a: "array",
    "a number": lambda a: 1.0,
    "a list of arrays": lambda a: [a],
    "a mapping": lambda a: {"a": a},
    "a scalar": lambda a: a.reshape(-1)[0],
    "masked": lambda a: np.ma.array(a, mask=np.arange(np.size(a)).reshape(np.shape(a)) == 1),
    "a subclass": lambda a: np.asarray(a).view(Marked),
}
VALUES = (0, 1, -1, 0.5, 2, 1e-30, 1e3, -1e3, np.nan, np.inf, -np.inf, 2.0**31)
LATER = ("grad2", "grad3")  # a call that takes several steps has taken some when it comes to these


def to_dtype(name):
    def convert(array):
        with np.errstate(all="ignore"):
            return array.astype(name)

    return convert


def with_value(place, value):
    def change(array):
        array = array.copy()
        with np.errstate(all="ignore"), suppress(OverflowError, ValueError):
            array[place % len(array)] = value
        return array

    return change


def twice_spoilt(first, second):
    def spoil(array):
        array = first(array)
        return second(array) if array.ndim and array.size else read_only(array)

    return spoil


SPOILING = st.one_of(
    st.sampled_from(list(OTHER_KIND.values())),
    st.sampled_from(list(OTHER_SHAPE.values())),
    st.sampled_from(list(SAME_VALUES.values())),
    st.sampled_from(DTYPES).map(to_dtype),
    st.builds(with_value, st.integers(0, 6), st.sampled_from(VALUES)),
    st.builds(twice_spoilt, st.sampled_from(list(OTHER_SHAPE.values())), st.sampled_from(list(SAME_VALUES.values()))),
)


# ---- ways to spoil an option

NUMBERS = (0, 1, -1, 2, 7, 0.5, 0.999, 1.5, -0.5, 1e-8, 1e300, 2**31, 2**63, 2**200, np.nan, np.inf, -np.inf)
NOT_NUMBERS = (None, True, "mean", "sum", "", b"", 1j, [], (), (0.9, 0.99), (0.9,), {}, object(), np.array([0.5]), str)
OPTIONS = st.sampled_from(NUMBERS + NOT_NUMBERS) | st.sampled_from(NUMBERS[:9]).map(np.float32)


def good_call(op, k):
    shape = next(shape for shape in op.shapes if np.prod(shape) > 6)
    options = op.options[k % len(op.options)]
    return dict(options), dict(op.inputs(np.random.default_rng(0), shape, "float32", options))


def outcome(op, options, arrays, target):
    """Return the results, or the error, which must be fastopt's own and must have changed nothing."""
    kept = {name: value.tobytes() if isinstance(value, np.ndarray) else None for name, value in arrays.items()}
    refusal: Exception
    try:
        with fo.target(target), np.errstate(all="ignore"):
            return op.call(options, arrays)
    except (ValueError, TypeError) as error:
        refusal = error
    assert SENTENCE.fullmatch(str(refusal)), f"{target}: {refusal!r}"
    for name, value in kept.items():
        assert value is None or arrays[name].tobytes() == value, f"{target}: {name} has changed"
    return refusal


def assert_agree(op, largest, got, judged):
    """Compare a result with the reference's; what rounding leaves grows with the largest number of the input."""
    assert isinstance(got, Exception) == isinstance(judged, Exception), (got, judged)
    if isinstance(judged, Exception):
        assert str(got) == str(judged)
        return
    rtol, atol = op.tolerance["float32"]
    for name, value in judged.items():
        if value is None:
            assert got[name] is None, name
            continue
        came, wanted = np.asarray(got[name]), np.asarray(value)
        assert (came.dtype, came.shape) == (wanted.dtype, wanted.shape), name
        with np.errstate(all="ignore"):
            usual = np.isfinite(wanted) & (np.abs(wanted) < 1e6)
            np.testing.assert_allclose(came[usual], wanted[usual], rtol=rtol, atol=atol * largest, err_msg=name)


@pytest.mark.parametrize("op", EACH_OP)
@given(data=st.data())
@few_examples
def test_any_array_is_used_rightly_or_refused(op, data):
    k = data.draw(st.integers(0, len(op.options) - 1), "options")
    name = data.draw(st.sampled_from(sorted(good_call(op, k)[1].keys() - set(LATER))), "array")
    spoil = data.draw(SPOILING, "spoiling")
    outcomes = []
    for target in ("cython", "reference"):
        options, arrays = good_call(op, k)
        arrays[name] = spoil(np.atleast_1d(arrays[name]))
        outcomes.append(outcome(op, options, arrays, target))
    numbers = [value for value in arrays.values() if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    sizes = [np.max(np.abs(value[np.isfinite(value)]), initial=1.0) for value in map(np.asarray, numbers)]
    largest = max(sizes, default=1.0)  # gradients are linear in dy, and what rounding leaves in them is too
    assert_agree(op, largest if name == "dy" else min(1e4, largest), *outcomes)


@pytest.mark.parametrize("op", [row for row in EACH_OP if any(row.values[0].options)])
@given(data=st.data())
@few_examples
def test_any_option_is_used_or_refused(op, data):
    options, arrays = good_call(op, 0)
    names = sorted({name for choice in op.options for name in choice} - {"given", "weighted", "biased"})
    if names:
        options[data.draw(st.sampled_from(names), "option")] = data.draw(OPTIONS, "value")
    outcome(op, options, arrays, "cython")
