"""The shape of parameters and gradients: structures, groups, types, sizes, strides, memory that is shared."""

import numpy as np
import pytest

import fastopt as fo
from fastopt.optimizers import Adam, AdamW

CPU_TARGETS = ("cython", "numba", "reference")
DTYPES = ("float32", "float64")
for_each_target = pytest.mark.parametrize("target", CPU_TARGETS)
for_each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def stepped(params, grads, target="cython", **options):
    with fo.target(target):
        optimizer = AdamW(params, **{"lr": 0.1, **options})
        for _ in range(3):
            optimizer.step(grads)
    return optimizer


def alone(param, grad, **options):
    """Return what a parameter becomes by itself."""
    param = np.array(param)
    stepped(param, np.array(grad), **options)
    return param


@for_each_target
def test_every_structure_of_parameters_gives_the_same(target):
    rng = np.random.default_rng(0)
    params = [rng.standard_normal(shape) for shape in ((3, 4), (5,))]
    grads = [rng.standard_normal(param.shape) for param in params]
    expected = [alone(param, grad, target=target) for param, grad in zip(params, grads, strict=True)]
    for make in (list, tuple, lambda arrays: dict(zip("ab", arrays, strict=True))):
        copies = [param.copy() for param in params]
        stepped(make(copies), make(grads), target)
        for param, value in zip(copies, expected, strict=True):
            np.testing.assert_array_equal(param, value)
    copies = [param.copy() for param in params]
    stepped({"a": copies[0], "b": copies[1]}, {"b": grads[1], "a": grads[0]}, target)  # keys, not places, decide
    np.testing.assert_array_equal(copies[0], expected[0])
    np.testing.assert_array_equal(copies[1], expected[1])


@for_each_target
def test_groups_have_their_own_settings(target):
    params = [np.full(4, 1.0), np.full(3, 2.0, np.float32), np.full((2, 2), 3.0), np.full((), 4.0)]
    grads = [np.full(param.shape, 0.5, param.dtype) for param in params]
    settings = [{"lr": 0.5}, {"weight_decay": 0.0, "amsgrad": True}, {"betas": (0.5, 0.5), "maximize": True}]
    groups = [
        {"params": params[0], **settings[0]},
        {"params": [params[1]], **settings[1]},
        {"params": {"w": params[2], "b": params[3]}, **settings[2]},
    ]
    starts = [param.copy() for param in params]
    optimizer = stepped(groups, [grads[0], [grads[1]], {"b": grads[3], "w": grads[2]}], target)
    for param, start, grad, k in zip(params, starts, grads, (0, 1, 2, 2), strict=True):
        np.testing.assert_array_equal(param, alone(start, grad, target=target, **settings[k]))
    assert [group["lr"] for group in optimizer.groups] == [0.5, 0.1, 0.1]
    assert optimizer.steps == 3


@for_each_target
def test_dtypes_mix_and_sizes_may_be_0_or_0_d(target):
    params = [np.ones(3, np.float32), np.ones(()), np.ones((0, 4)), np.ones((2, 3)), np.ones((), np.float32)]
    grads = [np.full(param.shape, 0.5, param.dtype) for param in params]
    expected = [alone(param, grad, target=target) for param, grad in zip(params, grads, strict=True)]
    stepped(params, grads, target)
    for param, value in zip(params, expected, strict=True):
        np.testing.assert_array_equal(param, value)
        assert param.dtype == value.dtype


def test_no_elements_at_all():
    w = np.ones((0,))
    assert stepped(w, np.ones((0,))).steps == 3


STRIDED = {
    "transposed": lambda a: a.T,
    "every other": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: a[::-1, ::-1],
    "rows apart": lambda a: np.repeat(a, 3, axis=0)[::3],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "one row of a block": lambda a: np.stack([a, a, a])[1],
}


@for_each_target
@for_each_dtype
@pytest.mark.parametrize("layout", STRIDED)
def test_strided_parameters_and_gradients(layout, dtype, target):
    rng = np.random.default_rng(0)
    view = STRIDED[layout]
    size = (60, 60)
    start, grad = (rng.standard_normal(size).astype(dtype) for _ in range(2))
    expected = alone(np.ascontiguousarray(view(start)), np.ascontiguousarray(view(grad)), target=target)
    if layout != "broadcast":
        param = view(start.copy())
        stepped(param, view(grad), target)
        np.testing.assert_array_equal(param, expected)
    param = np.array(view(start))
    stepped(param, view(grad), target)
    np.testing.assert_array_equal(param, expected)


@for_each_target
def test_parameters_may_interleave_but_not_overlap(target):
    memory = np.arange(24.0).reshape(4, 6)
    expected = memory.copy()
    even, odd = memory[:, ::2], memory[:, 1::2]
    grads = [np.full((4, 3), 0.5), np.full((4, 3), -2.0)]
    expected[:, ::2], expected[:, 1::2] = alone(even, grads[0], target=target), alone(odd, grads[1], target=target)
    stepped([even, odd], grads, target)
    np.testing.assert_array_equal(memory, expected)
    with pytest.raises(
        ValueError, match=r"^params\[1\]: expected memory apart from every other parameter, got an overlap"
    ):
        AdamW([memory[:, :3], memory[:, 2:]])
    with pytest.raises(ValueError, match=r"overlap with params\[0\]"):
        AdamW([memory, memory])


def test_gradients_in_the_gaps_of_a_parameter_are_welcome():
    memory = np.arange(12.0)
    expected = alone(memory[::2], memory[1::2])
    stepped(memory[::2], memory[1::2])
    np.testing.assert_array_equal(memory[::2], expected)
    np.testing.assert_array_equal(memory[1::2], np.arange(1.0, 12.0, 2))


@pytest.mark.parametrize("where", [slice(0, 6), slice(3, 9), slice(5, 11), slice(None, None, 2)])
def test_a_gradient_that_reaches_into_a_parameter_is_refused(where):
    memory = np.arange(12.0)
    grad = memory[where]
    param = memory[:6] if where != slice(5, 11) else memory[4:10]
    other = np.ones(3)
    optimizer = AdamW([other, param])
    before = memory.copy()
    with pytest.raises(ValueError, match=r"^grads\[1\]: expected memory apart from the parameters, got an overlap"):
        optimizer.step([np.ones(3), grad[:6]])
    np.testing.assert_array_equal(memory, before)
    np.testing.assert_array_equal(other, np.ones(3))


def test_a_gradient_may_serve_two_parameters():
    params, grad = [np.ones(5), np.ones(5)], np.full(5, 0.5)
    stepped(params, [grad, grad])
    np.testing.assert_array_equal(params[0], params[1])


@pytest.mark.parametrize(
    ("params", "grads", "words"),
    [
        ([np.ones(2), np.ones(3)], [np.ones(2)], "grads: expected a list of 2 gradients, got 1"),
        ([np.ones(2)], [np.ones(2), np.ones(2)], "grads: expected a list of 1 gradients, got 2"),
        ([np.ones(2)], np.ones(2), "grads: expected a list of 1 gradients, got float64"),
        ([np.ones(2)], None, "grads: expected a list of 1 gradients, got NoneType None"),
        ([np.ones(2)], [None], r"grads\[0\]: expected a gradient for every parameter, got None"),
        (np.ones(2), None, "grads: expected a gradient for every parameter, got None"),
        (np.ones(2), [1.0, 2.0], "grads: expected a NumPy array, got list"),
        (np.ones(2), {"w": np.ones(2)}, "grads: expected a NumPy array, got dict"),
        ({"w": np.ones(2)}, {"v": np.ones(2)}, r"grads: expected the keys \['w'\], got the keys \['v'\]"),
        ({"w": np.ones(2)}, {}, r"grads: expected the keys \['w'\], got the keys \[\]"),
        ({"w": np.ones(2)}, [np.ones(2)], r"grads: expected the keys \['w'\], got list"),
        ({"w": np.ones(2)}, {"w": None}, r"grads\['w'\]: expected a gradient for every parameter, got None"),
        ([{"params": np.ones(2)}], np.ones(2), "grads: expected a list of 1 groups, got float64"),
        ([{"params": [np.ones(2)]}], [np.ones(2)], r"grads\[0\]: expected a list of 1 gradients, got float64"),
        ([{"params": [np.ones(2)]}], [[np.ones(3)]], r"grads\[0\]\[0\]: expected shape \(2,\), got \(3,\)"),
        ([{"params": {"w": np.ones(2)}}], [{"w": np.ones(3)}], r"grads\[0\]\['w'\]: expected shape \(2,\), got \(3,\)"),
        (np.ones(2), np.ones((2, 1)), r"grads: expected shape \(2,\), got \(2, 1\)"),
        (np.ones(2), np.ones(2, np.int64), "grads: expected float32, float64, bfloat16 or float16, got int64"),
        (np.ones(2), np.ones(17, np.uint8)[1:].view("f8"), "grads: expected memory aligned to its 8-byte elements"),
        (np.ones(2), np.ones(2, ">f8"), "grads: expected float32, float64, bfloat16 or float16, got >f8"),
    ],
)
def test_gradients_of_another_structure_are_refused(params, grads, words):
    optimizer = Adam(params)
    before = optimizer.state_dict()
    with pytest.raises((TypeError, ValueError), match="^" + words):
        optimizer.step(grads)
    np.testing.assert_equal(optimizer.state_dict(), before)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ([], "params: expected at least one array, got none"),
        ({}, "params: expected at least one array, got none"),
        ([{"params": []}], "params: expected at least one array, got none"),
        (None, "params: expected a NumPy array, got NoneType None"),
        (3.0, "params: expected a NumPy array, got float 3.0"),
        ([[1.0, 2.0]], r"params\[0\]: expected a NumPy array, got list"),
        ([np.ones(2), {"params": np.ones(2)}], r"params\[0\]: expected a group with the key 'params', got float64"),
        ([{"lr": 0.1}], r"params\[0\]: expected a group with the key 'params', got dict"),
        ([{"params": np.ones(2), "speed": 1}], r"params\[0\]: expected one of .*lr.*, got 'speed'"),
        (np.ones(2, ">f8"), "params: expected float32, float64, bfloat16 or float16, got >f8"),
        (np.ones(2, np.longdouble), "params: expected float32, float64, bfloat16 or float16, got "),
        (np.ones(17, np.uint8)[1:].view("f8"), "params: expected memory aligned to its 8-byte elements"),
        (np.broadcast_to(1.0, (3,)), "params: expected a writable array, got a read-only one"),
    ],
)
def test_parameters_that_can_not_be_trained_are_refused(params, words):
    with pytest.raises((TypeError, ValueError), match="^" + words):
        Adam(params)
