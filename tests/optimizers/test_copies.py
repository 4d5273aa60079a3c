"""Copies of parameters in the caller's memory."""

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest

import fastopt as fo

BFLOAT16, FLOAT16 = np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16)


def problem(shapes=((300, 7), (5,))):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def train(optimizer, grads, steps=3):
    for _ in range(steps):
        optimizer.step(grads)


PLACES = {
    "packed": np.empty,
    "strided": lambda shape, dtype: np.empty((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2],
    "turned": lambda shape, dtype: np.empty(shape[::-1], dtype).T,
}


@pytest.mark.parametrize("target", ["cython", "numba", "reference"])
@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT16], ids=str)
def test_the_callers_memory_has_what_own_memory_has(dtype, place, target):
    params, others, grads = problem(), problem(), problem()
    copies = [PLACES[place](p.shape, dtype) for p in params]
    with fo.target(target):
        mine = fo.optimizers.AdamW(params, lr=0.1, copies=copies)
        yours = fo.optimizers.AdamW(others, lr=0.1, copy_to=str(dtype))
        for given, own in zip(copies, yours.copies, strict=True):
            np.testing.assert_array_equal(given, own)
        train(mine, grads)
        train(yours, grads)
    for given, own, seen in zip(copies, yours.copies, mine.copies, strict=True):
        np.testing.assert_array_equal(given, own)
        assert np.shares_memory(given, seen)


def test_copies_have_the_form_of_parameters():
    params = {"a": np.ones(3, np.float32), "b": np.ones((2, 2), np.float32)}
    copies = {name: np.zeros(p.shape, BFLOAT16) for name, p in reversed(params.items())}
    fo.optimizers.SGD(params, lr=0.5, copies=copies).step({name: np.ones_like(p) for name, p in params.items()})
    assert all((copies[name] == 0.5).all() for name in params)
    groups = [{"params": [np.ones(2, np.float32)]}, {"params": np.ones(3, np.float32), "lr": 1.0}]
    copies = [[np.zeros(2, BFLOAT16)], np.zeros(3, BFLOAT16)]
    fo.optimizers.SGD(groups, lr=0.5, copies=copies).step([[np.ones(2, np.float32)], np.ones(3, np.float32)])
    assert copies[0][0].tolist() == [0.5, 0.5]
    assert copies[1].tolist() == [0.0, 0.0, 0.0]


def test_rows_loads_and_new_groups():
    (table, _), copies = problem(), [np.zeros((300, 7), BFLOAT16)]
    optimizer = fo.optimizers.Adam([table], lr=0.1, copies=copies)
    optimizer.step_rows(0, np.array([3, 9]), np.ones((2, 7), np.float32))
    np.testing.assert_array_equal(copies[0], table.astype(BFLOAT16))
    saved = optimizer.state_dict()
    table[...] = 2.0
    optimizer.load_state_dict(saved)
    np.testing.assert_array_equal(copies[0], table.astype(BFLOAT16))
    other = fo.optimizers.SGD([table], lr=0.5, copies=copies)
    added = np.ones(4, np.float32)
    other.add_group({"params": added})
    other.step([[np.ones_like(table)], np.ones(4, np.float32)])
    assert (copies[0] == 1.5).all()
    assert (other.copies[1] == 0.5).all()


def test_a_copied_optimizer_has_copies_of_its_own():
    params, copies, grads = problem(), [np.zeros(p.shape, BFLOAT16) for p in problem()], problem()
    optimizer = fo.optimizers.AdamW(params, copies=copies)
    for made in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        before = [one.copy() for one in copies]
        made.step(grads)
        for one, old, own in zip(copies, before, made.copies, strict=True):
            np.testing.assert_array_equal(one, old)
            assert not np.shares_memory(one, own)


def read_only(shape):
    found = np.zeros(shape, BFLOAT16)
    found.flags.writeable = False
    return found


WRONG = {
    "another type": (lambda p: [np.zeros(p.shape, np.float32)], TypeError, "bfloat16 or float16"),
    "another shape": (lambda p: [np.zeros(4, BFLOAT16)], ValueError, r"copies\[0\]: expected shape"),
    "none": (lambda p: [], TypeError, "copies: expected arrays"),
    "two of one": (lambda p: [np.zeros(p.shape, BFLOAT16)] * 2, ValueError, "copies: expected a list of 1 copies"),
    "a list": (lambda p: [[0.0] * 3], TypeError, "copies: expected arrays"),
    "read-only": (lambda p: [read_only(p.shape)], ValueError, "writable"),
    "the parameter's memory": (lambda p: [p.view(BFLOAT16)[: p.size]], ValueError, "overlap"),
}


@pytest.mark.parametrize("name", WRONG, ids=str)
def test_what_is_refused(name):
    make, error, words = WRONG[name]
    param = np.ones(5, np.float32)
    with pytest.raises(error, match=words):
        fo.optimizers.SGD([param], copies=make(param))
    assert (param == 1.0).all()


def test_two_types_are_refused():
    with pytest.raises(ValueError, match="copy_to: expected 'bfloat16'"):
        fo.optimizers.SGD([np.ones(3, np.float32)], copies=[np.zeros(3, BFLOAT16)], copy_to="float16")


def test_the_copy_that_is_refused_is_named():
    params = [{"params": [np.ones(3, np.float32), np.ones(2, np.float32)]}]
    with pytest.raises(TypeError, match=r"^copies\[0\]\[1\]: expected bfloat16, got float16; make one with np.empty"):
        fo.optimizers.SGD(params, copies=[[np.zeros(3, BFLOAT16), np.zeros(2, FLOAT16)]])
    endless = []
    endless.append(endless)
    with pytest.raises(TypeError, match=r"^copies: expected arrays of bfloat16 or float16, got list"):
        fo.optimizers.SGD(params, copies=endless)


def test_memory_that_changes_behind_the_optimizer_is_noticed():
    param, lent, grad = np.ones(5, np.float32), np.zeros(5, BFLOAT16), np.ones(5, np.float32)
    optimizer = fo.optimizers.SGD([param], lr=0.5, copies=[lent])
    optimizer.step([grad])
    lent.resize(500_000, refcheck=False)
    with pytest.raises(ValueError, match=r"copies\[0\]: expected shape"):
        optimizer.step([grad])
    assert (param == 0.5).all()
    lent.resize(5, refcheck=False)
    lent.flags.writeable = False
    with pytest.raises(ValueError, match="writable"):
        optimizer.step([grad])
    lent.flags.writeable = True
    optimizer.step([grad])
    assert (lent == 0.0).all()


def test_a_gradient_in_the_copies_memory_is_refused():
    lent = np.zeros(5, FLOAT16)
    optimizer = fo.optimizers.SGD([np.ones(5, np.float32)], copies=[lent])
    with pytest.raises(ValueError, match="overlap"):
        optimizer.step([lent])
