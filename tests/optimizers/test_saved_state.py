"""State that outlives the process: what is saved, loaded, copied, and what is refused."""

import copy
import pickle

import numpy as np
import pytest

import fastopt as fo
from fastopt.optimizers import SGD, Adagrad, Adam, AdamW, Momentum, RMSprop

CPU_TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", CPU_TARGETS)
STATEFUL = [
    (SGD, {"momentum": 0.9}),
    (Momentum, {}),
    (Adam, {"amsgrad": True}),
    (AdamW, {}),
    (RMSprop, {"centered": True, "momentum": 0.9}),
    (Adagrad, {"initial_accumulator_value": 0.1, "lr_decay": 0.1}),
    (SGD, {}),
]


def params_and_grads(seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"w": (5, 4), "b": (), "empty": (0,)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    params = {name: np.asarray(param) for name, param in params.items()}
    grads = [{name: np.asarray(rng.standard_normal(shape)) for name, shape in shapes.items()} for _ in range(6)]
    return params, grads


@for_each_target
@pytest.mark.parametrize(("public", "options"), STATEFUL)
def test_a_saved_state_goes_on_to_the_bit(public, options, target):
    with fo.target(target):
        params, grads = params_and_grads()
        whole = public(params, lr=0.1, **options)
        for grad in grads[:3]:
            whole.step(grad)
        saved = pickle.loads(pickle.dumps(whole.state_dict()))
        resumed_params = {name: param.copy() for name, param in params.items()}
        resumed = public(resumed_params, lr=0.7, **options)
        resumed.load_state_dict(saved)
        assert (resumed.steps, resumed.groups) == (3, whole.groups)
        for grad in grads[3:]:
            whole.step(grad)
            resumed.step(grad)
    np.testing.assert_equal((resumed_params, resumed.state_dict()), (params, whole.state_dict()))


def test_a_saved_state_is_a_copy():
    w = np.ones(3)
    optimizer = Adam(w)
    optimizer.step(np.ones(3))
    saved = optimizer.state_dict()
    kept = copy.deepcopy(saved)
    optimizer.step(np.ones(3))
    optimizer.groups[0]["lr"] = 0.5
    np.testing.assert_equal(saved, kept)
    optimizer.load_state_dict(saved)
    optimizer.step(np.ones(3))
    optimizer.groups[0]["betas"] = (0.5, 0.5)
    np.testing.assert_equal(saved, kept)


def test_a_schedule_is_kept_when_a_state_is_loaded():
    schedule = {0: 0.1, 1: 0.2, 2: 0.3}.__getitem__
    optimizer = SGD(np.ones(1), lr=schedule)
    optimizer.step(np.ones(1))
    saved = optimizer.state_dict()
    assert saved["groups"][0]["lr"] is None
    other = SGD(np.ones(1), lr=schedule)
    other.load_state_dict(saved)
    assert other.lr == 0.2


def changed(**parts):
    return lambda saved: {**saved, **parts}


def without(key):
    return lambda saved: {name: value for name, value in saved.items() if name != key}


def with_array(array):
    return lambda saved: {**saved, "state": {"params": {**saved["state"]["params"], "exp_avg": array}}}


def with_group(**parts):
    return lambda saved: {**saved, "groups": [{**saved["groups"][0], **parts}]}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (changed(optimizer="SGD"), "state_dict: expected the state of Adam, got 'SGD'"),
        (changed(optimizer=None), "state_dict: expected the state of Adam, got None"),
        (changed(steps=-1), r"state_dict\['steps'\]: expected an integer ≥ 0, got -1"),
        (changed(steps=1.0), r"state_dict\['steps'\]: expected an integer ≥ 0, got 1.0"),
        (changed(steps=True), r"state_dict\['steps'\]: expected an integer ≥ 0, got True"),
        (changed(groups=[]), r"state_dict\['groups'\]: expected 1 groups, got list \[\]"),
        (changed(groups=None), r"state_dict\['groups'\]: expected 1 groups, got NoneType"),
        (changed(groups=[{"lr": 0.1}]), r"state_dict\['groups'\]\[0\]: expected the keys .*, got "),
        (with_group(lr=-1.0), "lr: expected a finite number ≥ 0, got -1.0"),
        (with_group(betas=(0.9, 2.0)), r"betas\[1\]: expected a number in \[0, 1\), got 2.0"),
        (
            with_group(amsgrad=True),
            r"state_dict\['groups'\]\[0\]: expected options that keep the optimizer's state, got ",
        ),
        (changed(state={}), r"state_dict\['state'\]: expected the parameters \['params'\], got "),
        (changed(state={"other": {}}), r"state_dict\['state'\]: expected the parameters \['params'\], got "),
        (changed(state=[1]), r"state_dict\['state'\]: expected the parameters \['params'\], got "),
        (
            changed(state={"params": {}}),
            r"state_dict\['state'\]\['params'\]: expected the keys .*'exp_avg'.*, got dict {}",
        ),
        (
            changed(state={"params": None}),
            r"state_dict\['state'\]\['params'\]: expected the keys .*'exp_avg'.*, got NoneType",
        ),
        (with_array(np.zeros(4)), r"state_dict\['state'\]\['params'\]\['exp_avg'\]: expected shape \(3,\), got \(4,\)"),
        (
            with_array(np.zeros(3, "f4")),
            r"state_dict\['state'\]\['params'\]\['exp_avg'\]: expected float64, got float32",
        ),
        (with_array([0.0] * 3), r"state_dict\['state'\]\['params'\]\['exp_avg'\]: expected a NumPy array, got list"),
        (without("steps"), r"state_dict: expected the keys .*, got "),
        (lambda saved: None, r"state_dict: expected the keys .*, got NoneType None"),
        (lambda saved: [saved], r"state_dict: expected the keys .*, got list"),
    ],
)
def test_a_wrong_state_is_refused_and_nothing_changed(spoil, words):
    w = np.ones(3)
    optimizer = Adam(w, lr=0.1)
    optimizer.step(np.ones(3))
    saved = optimizer.state_dict()
    optimizer.step(np.full(3, 2.0))
    before, groups = copy.deepcopy((optimizer.state, optimizer.steps)), copy.deepcopy(optimizer.groups)
    with pytest.raises((TypeError, ValueError), match="^" + words):
        optimizer.load_state_dict(spoil(saved))
    np.testing.assert_equal((optimizer.state, optimizer.steps), before)
    assert optimizer.groups == groups


def test_loading_a_state_into_a_strided_view_of_itself_is_the_same():
    w = np.ones(4)
    optimizer = Adam(w)
    optimizer.step(np.arange(4.0))
    saved = optimizer.state_dict()
    loaded = {name: np.repeat(array, 2)[::2] for name, array in saved["state"]["params"].items()}
    other = Adam(np.ones(4))
    other.load_state_dict({**saved, "state": {"params": loaded}})
    np.testing.assert_equal(other.state_dict(), saved)


@for_each_target
def test_a_nan_in_a_saved_state_travels(target):
    w = np.ones(3)
    optimizer = Adam(w)
    saved = optimizer.state_dict()
    saved["state"]["params"]["exp_avg"][1] = np.nan
    optimizer.load_state_dict(saved)
    with fo.target(target):
        optimizer.step(np.ones(3))
    np.testing.assert_array_equal(np.isnan(w), [False, True, False])


def test_repr_says_what_it_is():
    optimizer = SGD([np.ones(2), np.ones(3)], lr=0.5)
    optimizer.step([np.ones(2), np.ones(3)])
    assert repr(optimizer).startswith("SGD(2 parameters, lr=0.5, momentum=0.0")
    assert "steps=1" in repr(optimizer)


def test_a_copy_of_an_optimizer_trains_a_copy():
    w = np.ones(3)
    optimizer = Adam(w, lr=0.1)
    optimizer.step(np.ones(3))
    before = w.copy()
    for clone in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        clone.step(np.ones(3))
        assert clone.steps == 2
        np.testing.assert_array_equal(w, before)
        expected = before.copy()
        other = Adam(expected, lr=0.1)
        other.load_state_dict(optimizer.state_dict())
        other.step(np.ones(3))
        np.testing.assert_array_equal(clone._store.params[0], expected)
