"""What may change between steps, and what may not: rates, groups, the parameters' memory."""

import copy

import numpy as np
import pytest

import fastopt as fo
from fastopt.optimizers import SGD, Adam

CPU_TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", CPU_TARGETS)


@for_each_target
def test_lr_may_be_a_schedule(target):
    seen = []

    def schedule(step):
        seen.append(step)
        return 0.5 / (step + 1)

    w = np.zeros(2)
    optimizer = SGD(w, lr=schedule)
    with fo.target(target):
        for _ in range(3):
            optimizer.step(np.ones(2))
    np.testing.assert_allclose(w, -(0.5 + 0.5 / 2 + 0.5 / 3), rtol=1e-15)
    assert seen == [0, 1, 2]
    assert optimizer.lr == 0.5 / 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, "fast", None, True, 1j, np.ones(1)])
def test_a_schedule_that_returns_nonsense_changes_nothing(value):
    w = np.ones(3)
    optimizer = Adam(w, lr=lambda step: value if step == 1 else 0.1)
    optimizer.step(np.ones(3))
    before, state = w.copy(), optimizer.state_dict()
    with pytest.raises((TypeError, ValueError), match=r"^lr at step 1: expected a finite number ≥ 0, got "):
        optimizer.step(np.ones(3))
    np.testing.assert_equal((w, optimizer.state_dict()), (before, state))


def test_a_schedule_that_raises_changes_nothing():
    w = np.ones(3)
    optimizer = Adam(w, lr={0: 0.1}.__getitem__)
    optimizer.step(np.ones(3))
    before, state = w.copy(), optimizer.state_dict()
    with pytest.raises(KeyError):
        optimizer.step(np.ones(3))
    np.testing.assert_equal((w, optimizer.state_dict()), (before, state))


def test_a_schedule_may_return_a_numpy_number():
    w = np.zeros(1)
    SGD(w, lr=lambda step: np.float32(0.5)).step(np.ones(1))
    assert w == -0.5


def test_lr_can_be_set_for_all_groups():
    a, b = np.zeros(1), np.zeros(1)
    optimizer = SGD([{"params": a, "lr": 0.1}, {"params": b}], lr=0.2)
    assert optimizer.lr == 0.1
    optimizer.lr = 0.5
    optimizer.step([np.ones(1), np.ones(1)])
    assert (a[0], b[0]) == (-0.5, -0.5)
    for wrong in (-1.0, float("nan"), "fast", None):
        with pytest.raises((TypeError, ValueError), match=r"^lr: expected a finite number ≥ 0, got "):
            optimizer.lr = wrong
    assert [group["lr"] for group in optimizer.groups] == [0.5, 0.5]


def test_hyper_parameters_may_change_between_steps():
    w = np.ones(2)
    optimizer = SGD(w, lr=0.1, momentum=0.5)
    optimizer.step(np.ones(2))
    optimizer.groups[0]["lr"] = 1.0
    optimizer.groups[0]["momentum"] = 0.25
    optimizer.groups[0]["weight_decay"] = 0.5
    optimizer.step(np.ones(2))
    first = 1.0 - 0.1
    np.testing.assert_allclose(w, first - (0.25 * 1.0 + 1.0 + 0.5 * first), rtol=1e-15)


def _delete(groups):
    del groups[0]["eps"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda groups: groups[0].update(lr=-1.0), "lr: expected a finite number ≥ 0, got -1.0"),
        (lambda groups: groups[0].update(lr=float("nan")), "lr: expected a finite number ≥ 0, got nan"),
        (lambda groups: groups[0].update(lr="fast"), "lr: expected a finite number ≥ 0, got str 'fast'"),
        (lambda groups: groups[0].update(lr=None), "lr: expected a finite number ≥ 0, got NoneType None"),
        (lambda groups: groups[0].update(betas=(0.9,)), "betas: expected two numbers"),
        (lambda groups: groups[0].update(betas=(0.9, 1.5)), r"betas\[1\]: expected a number in \[0, 1\), got 1.5"),
        (lambda groups: groups[0].update(betas=np.array([0.9, 0.99])), "betas: expected two numbers"),
        (lambda groups: groups[0].update(eps=np.zeros(2)), "eps: expected a finite number > 0, got "),
        (
            lambda groups: groups[0].update(amsgrad=True),
            r"groups\[0\]: expected options that keep the optimizer's state",
        ),
        (lambda groups: groups[0].update(momentum=0.9), r"groups\[0\]: expected the keys .*, got .*'momentum'"),
        (_delete, r"groups\[0\]: expected the keys .*'eps'.*, got "),
        (lambda groups: groups.append(dict(groups[0])), "groups: expected 2 groups, got 3"),
        (lambda groups: groups.clear(), "groups: expected 2 groups, got 0"),
        (lambda groups: groups.__setitem__(0, None), r"groups\[0\]: expected the keys .*, got NoneType None"),
    ],
)
def test_groups_spoilt_between_steps_change_nothing(change, words):
    params = [np.ones(3), np.ones(3)]
    optimizer = Adam([{"params": param} for param in params])
    good = [np.ones(3), np.ones(3)]
    optimizer.step(good)
    before = copy.deepcopy((params, optimizer.state, optimizer.steps))
    groups = [dict(group) for group in optimizer.groups]
    change(optimizer.groups)
    for _ in range(2):  # it stays refused
        with pytest.raises((TypeError, ValueError), match="^" + words):
            optimizer.step(good)
        np.testing.assert_equal((params, optimizer.state, optimizer.steps), before)
    optimizer.groups[:] = groups
    optimizer.step(good)
    assert optimizer.steps == 2


def test_a_wrong_second_group_leaves_the_first_as_it_was():
    optimizer = SGD([{"params": np.ones(2)}, {"params": np.ones(2)}], lr=0.5)
    optimizer.groups[0]["lr"] = 0.25
    optimizer.groups[1]["lr"] = -1.0
    with pytest.raises(ValueError, match=r"^lr: "):
        optimizer.step([np.ones(2)] * 2)
    assert optimizer.groups[0]["lr"] == 0.25


def _reshape(w):
    w.shape = (4, 3)


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
@for_each_target
@pytest.mark.parametrize(
    ("spoil", "grad", "words"),
    [
        (lambda w: w.setflags(write=False), (3, 4), "params: expected a writable array, got a read-only one"),
        (lambda w: w.resize((1, 4), refcheck=False), (1, 4), r"params: expected shape \(3, 4\), got \(1, 4\)"),
        (lambda w: w.resize((1, 4), refcheck=False), (3, 4), r"params: expected shape \(3, 4\), got \(1, 4\)"),
        (lambda w: w.resize((6, 400), refcheck=False), (6, 400), r"params: expected shape \(3, 4\), got \(6, 400\)"),
        (_reshape, (4, 3), r"params: expected shape \(3, 4\), got \(4, 3\)"),
    ],
)
def test_a_parameter_spoilt_between_steps_is_refused(spoil, grad, words, target):
    w = np.ones((3, 4))
    optimizer = Adam(w)
    with fo.target(target):
        optimizer.step(np.ones((3, 4)))
        spoil(w)
        before, state = w.copy(), optimizer.state_dict()
        with pytest.raises(ValueError, match="^" + words):
            optimizer.step(np.ones(grad))
    np.testing.assert_equal((w, optimizer.state_dict()), (before, state))


@for_each_target
def test_a_parameter_whose_memory_moved_is_followed(target):
    w, expected = np.ones(6), np.ones(6)
    optimizer, other = Adam(w), Adam(expected)
    with fo.target(target):
        optimizer.step(np.ones(6))
        w.resize(100_000, refcheck=False)  # may move, and comes back
        w.resize(6, refcheck=False)
        optimizer.step(np.full(6, 2.0))
        other.step(np.ones(6))
        other.step(np.full(6, 2.0))
    np.testing.assert_array_equal(w, expected)
