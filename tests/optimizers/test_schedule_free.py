"""AdamWScheduleFree: parameters are y while training, x to be measured, and steps have weights."""

import copy

import numpy as np
import pytest

import fastopt as fo
from fastopt.optimizers import AdamWScheduleFree

CPU_TARGETS = ("cython", "numba", "reference")
DTYPES = ("float32", "float64")
for_each_target = pytest.mark.parametrize("target", CPU_TARGETS)
for_each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@for_each_target
def test_schedule_free_weighs_by_the_largest_lr_so_far(target):
    rates = [0.1, 0.4, 0.2, 0.3]
    w, total = np.ones(3), 0.0
    optimizer = AdamWScheduleFree(w, lr=lambda step: rates[step])
    with fo.target(target):
        for largest in (0.1, 0.4, 0.4, 0.4):
            total += largest**2
            optimizer.step(np.ones(3))
            assert optimizer.carried[0] == pytest.approx({"weight_sum": total, "lr_max": largest}, rel=1e-14)


@for_each_target
@for_each_dtype
def test_eval_gives_the_average_and_train_gives_it_back(dtype, target):
    params = [np.ones((4, 5), dtype)[:, ::2], np.ones((), dtype), np.ones(0, dtype), np.ones(2000, dtype)]
    grads = [np.full(param.shape, 0.5, dtype) for param in params]
    optimizer = AdamWScheduleFree(params, lr=0.1, betas=(0.75, 0.9))
    iterates = []
    with fo.target(target):
        for _ in range(5):
            optimizer.step(grads)
            iterates.append([state["z"].copy() for state in optimizer.state])
        y = [param.copy() for param in params]
        optimizer.eval()
        optimizer.eval()  # nothing to do
        means = [np.mean(z, axis=0) for z in zip(*iterates, strict=True)]
        for param, mean in zip(params, means, strict=True):
            np.testing.assert_allclose(param, mean, rtol=1e-6 if dtype == "float32" else 1e-14)
        with pytest.raises(ValueError, match=r"^step: expected .*train\(\).*, got"):
            optimizer.step(grads)
        optimizer.train()
        optimizer.train()
        for param, value in zip(params, y, strict=True):
            np.testing.assert_allclose(param, value, rtol=1e-6 if dtype == "float32" else 1e-14)
        optimizer.step(grads)
    assert optimizer.steps == 6


def test_a_schedule_free_state_knows_whether_it_is_training():
    w = np.ones(3)
    optimizer = AdamWScheduleFree(w)
    optimizer.step(np.ones(3))
    optimizer.eval()
    other = AdamWScheduleFree(w.copy())
    other.load_state_dict(optimizer.state_dict())
    assert not other.training
    with pytest.raises(ValueError, match="step: expected"):
        other.step(np.ones(3))
    saved = optimizer.state_dict()
    for spoil in (lambda: saved.update(training="no"), lambda: saved.pop("training")):
        spoil()
        with pytest.raises((ValueError, TypeError), match="training"):
            AdamWScheduleFree(w).load_state_dict(saved)


def test_a_parameter_that_can_not_be_written_stops_eval():
    w, v = np.ones(3), np.ones(3)
    optimizer = AdamWScheduleFree([w, v])
    optimizer.step([np.ones(3), np.ones(3)])
    before = w.copy()
    v.setflags(write=False)
    with pytest.raises(ValueError, match=r"^params\[1\]: expected a writable array"):
        optimizer.eval()
    np.testing.assert_array_equal(w, before)
    assert optimizer.training


@for_each_target
@pytest.mark.parametrize("options", [{"r": 1e300}, {"weight_lr_power": 300.0}, {"weight_lr_power": 1e300}])
def test_weights_beyond_all_numbers_are_refused(options, target):
    w = np.ones(3)
    optimizer = AdamWScheduleFree(w, lr=lambda step: (1.0, 100.0)[step], **options)
    with fo.target(target):
        optimizer.step(np.zeros(3))  # 1 to any power is 1
        before = copy.deepcopy(optimizer.state_dict()["state"])
        with pytest.raises(ValueError, match="r: expected finite weights of the steps, got"):
            optimizer.step(np.ones(3))
    np.testing.assert_equal(optimizer.state_dict()["state"], before)
    assert optimizer.steps == 1
    np.testing.assert_array_equal(w, 1.0)
