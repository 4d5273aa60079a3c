"""What groups carry from step to step beside arrays."""

import copy
import math

import numpy as np
import pytest

import fastopt as fo
from fastopt.optimizers import ASGD, AdamWScheduleFree, AdEMAMix, NAdam

CPU_TARGETS = ("cython", "numba", "reference")
for_each_target = pytest.mark.parametrize("target", CPU_TARGETS)


@for_each_target
def test_nadams_product_survives_a_change_of_betas(target):
    w, product = np.ones(3), 1.0
    optimizer = NAdam(w)
    with fo.target(target):
        for t in range(1, 8):
            optimizer.groups[0]["betas"] = (0.9, 0.999) if t < 4 else (0.5, 0.999)
            product *= optimizer.groups[0]["betas"][0] * (1 - 0.5 * 0.96 ** (t * 4e-3))
            optimizer.step(np.ones(3))
            assert optimizer.carried[0]["mu_product"] == pytest.approx(product, rel=1e-14)


def test_groups_carry_their_own_numbers_and_a_failed_step_leaves_them():
    params = [np.ones(2), np.ones(3), np.ones(4)]
    grads = [np.ones(2), [np.ones(3), np.ones(4)]]
    optimizer = NAdam([{"params": params[0]}, {"params": params[1:], "betas": (0.5, 0.9)}])
    optimizer.step(grads)
    before = copy.deepcopy(optimizer.carried)
    assert before[0]["mu_product"] > before[1]["mu_product"]
    with pytest.raises(ValueError, match="shape"):
        optimizer.step([np.ones(2), [np.ones(3), np.ones(5)]])
    assert optimizer.carried == before


@for_each_target
@pytest.mark.parametrize("public", [NAdam, AdamWScheduleFree, ASGD, AdEMAMix])
def test_a_saved_state_goes_on_to_the_bit(public, target):
    rng = np.random.default_rng(0)
    w, grads = rng.standard_normal(40), rng.standard_normal((6, 40))
    options = {"lr": lambda step: 0.1 / (step + 1)}
    one = public(w, **options)
    with fo.target(target):
        for grad in grads[:3]:
            one.step(grad)
        v = w.copy()
        other = public(v, **options)
        other.load_state_dict(copy.deepcopy(one.state_dict()))
        third_w = copy.deepcopy(one)
        for grad in grads[3:]:
            one.step(grad)
            other.step(grad)
            third_w.step(grad)
    np.testing.assert_array_equal(v, w)
    np.testing.assert_array_equal(third_w._store.params[0], w)
    assert other.carried == one.carried


CARRIED = "carried"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda saved: saved.pop(CARRIED), "state_dict: expected the keys"),
        (lambda saved: saved.update(carried=[]), r"state_dict\['carried'\]: expected 1 groups, got"),
        (lambda saved: saved.update(carried=[{}]), r"\['carried'\]\[0\]: expected the keys \['mu_product'\], got"),
        (lambda saved: saved[CARRIED][0].update(mu_product="x"), r"\['mu_product'\]: expected a finite number"),
        (lambda saved: saved[CARRIED][0].update(mu_product=math.nan), r"\['mu_product'\]: expected a finite number"),
    ],
)
def test_wrong_carried_numbers_are_refused_and_nothing_changed(spoil, words):
    w = np.ones(3)
    optimizer = NAdam(w)
    saved = copy.deepcopy(optimizer.state_dict())
    optimizer.step(np.ones(3))
    before = copy.deepcopy(optimizer.state_dict())
    spoil(saved)
    with pytest.raises((ValueError, TypeError), match=words):
        optimizer.load_state_dict(saved)
    np.testing.assert_equal(optimizer.state_dict(), before)
