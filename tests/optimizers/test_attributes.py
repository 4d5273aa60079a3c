"""What can be set has its effect, what can't says what to write, and hyper-parameters are in their domains."""

import numpy as np
import pytest

import fastopt as fo
from fastopt.optimizers import SGD, Adafactor, Adam, AdamW
from fastopt.optimizers.rule import Rate


def test_attributes_that_can_be_set_have_their_effect():
    w = np.zeros(2)
    opt = SGD(w, lr=1.0)
    opt.clip_norm = 1.0
    opt.step(np.array([3.0, 4.0]))
    np.testing.assert_allclose(w, [-0.6, -0.8])
    opt.clip_norm, opt.clip_value = None, 0.5
    opt.step(np.array([3.0, 4.0]))
    np.testing.assert_allclose(w, [-1.1, -1.3])
    assert opt.clip_value == opt.options.clip_value == 0.5
    with pytest.raises(ValueError, match=r"^clip_norm: expected a finite number > 0"):
        opt.clip_norm = -1.0
    with pytest.raises(ValueError, match=r"^ema_decay: expected None, as at the optimizer's start"):
        opt.ema_decay = 0.5


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("learning_rate", "^learning_rate: expected one of lr, .*; did you mean 'lr'"),
        ("momentum", r"^momentum: set it in each group: for group in optimizer.groups: group\['momentum'\] = "),
        ("copy_to", "^copy_to: can't be set after"),
        ("carried", "^carried: can't be set after"),
        ("weight_deacy", "did you mean 'weight_decay'"),
    ],
)
def test_attributes_that_can_not_be_set_say_what_to_write(name, words):
    with pytest.raises(AttributeError, match=words):
        setattr(SGD(np.ones(2)), name, 0.5)


@pytest.mark.parametrize(
    ("name", "near"),
    [("weight_deacy", "weight_decay"), ("learning_rate", "lr"), ("beta_1", "betas"), ("epsilon", "eps"),
     ("clip_nrom", "clip_norm"), ("clipvalue", "clip_value")],
)  # fmt: skip
def test_misspelt_arguments_are_told_the_nearest(name, near):
    with pytest.raises(TypeError, match=f"^{name}: expected one of lr, betas, .*; did you mean '{near}'"):
        AdamW(np.ones(2), **{name: 0.1})


def test_repr_shows_what_was_given():
    told = repr(AdamW([{"params": np.ones(2)}, {"params": np.ones(2)}], lr=0.5, clip_norm=2.0))
    for part in ("2 parameters in 2 groups", "lr=0.5", "clip_norm=2.0", "steps=0"):
        assert part in told
    assert "clip_value" not in told


def test_a_hyper_parameter_without_a_domain_is_an_error_when_the_class_is_made():
    with pytest.raises(TypeError, match=r"^Bare: expected speed to be a bool or annotated with its domain"):

        class Bare(SGD):
            rule = SGD.rule

            def __init__(self, params, lr: Rate = 0.1, speed: float = 1.0):
                super().__init__(params, lr)


@pytest.mark.parametrize("make", [
    lambda w: Adam(w, eps=1e-46), lambda w: SGD(w, lr=1e300), lambda w: Adafactor(w, eps=(1e-30, 1e-3)),
])  # fmt: skip
def test_numbers_are_checked_in_the_type_that_they_are_used_in(make):
    with pytest.raises(ValueError, match="in float32"):
        make(np.ones(3, np.float32))
    make(np.ones(3))


def test_decoupled_decay_needs_a_decay():
    with pytest.raises(ValueError, match=r"^decoupled_weight_decay: expected False, as AdamWScheduleFree has"):
        fo.optimizers.AdamWScheduleFree(np.ones(2), decoupled_weight_decay=True)
