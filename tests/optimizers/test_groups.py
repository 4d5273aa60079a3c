"""Parameters that miss gradients, come later or have hyper-parameters of their own; clipping of each by itself."""

import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.optimizers import LARS, SGD, Adafactor, Adam, AdamW, AdamWScheduleFree, NAdam, RMSprop
from fastopt.optimizers.overrides import combined, layerwise_rates, no_decay_of_vectors

TARGETS = ("cython", "reference")
for_each_target = pytest.mark.parametrize("target", TARGETS)


# ---- missing gradients


@for_each_target
@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (Adam, torch.optim.Adam, {}),
        (AdamW, torch.optim.AdamW, {"amsgrad": True}),
        (NAdam, torch.optim.NAdam, {}),
        (SGD, torch.optim.SGD, {"momentum": 0.9, "dampening": 0.5}),
        (RMSprop, torch.optim.RMSprop, {}),
    ],
)
def test_parameters_without_a_gradient_are_left_alone_as_in_torch(ours, theirs, options, target):
    rng = np.random.default_rng(0)
    params = [rng.standard_normal(shape) for shape in (5, (2, 3), 4)]
    tensors = [torch.tensor(param.copy(), requires_grad=True) for param in params]
    one, other = ours(params, lr=0.1, **options), theirs(tensors, lr=0.1, **options)
    for step in range(8):
        grads = [rng.standard_normal(p.shape) if (step + k) % (k + 1) == 0 else None for k, p in enumerate(params)]
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = None if grad is None else torch.tensor(grad)
        other.step()
        before = [param.copy() for param in params]
        with fo.target(target):
            one.step(grads, skip_missing=True, zero_grads=step % 2 == 1)
        for param, old, grad in zip(params, before, grads, strict=True):
            assert grad is not None or np.array_equal(param, old)
    for param, tensor in zip(params, tensors, strict=True):
        np.testing.assert_allclose(param, tensor.detach().numpy(), rtol=1e-6)
    if ours is not SGD:
        counts = [int(other.state[tensor]["step"]) for tensor in tensors]
        assert [int(entry["step"]) for entry in one.torch_state_dict()["state"].values()] == counts


@for_each_target
@pytest.mark.parametrize("make", [Adafactor, AdamWScheduleFree])
def test_a_missed_step_is_no_step(make, target):
    """A parameter that misses some gradients is where it would be without those steps."""
    rng = np.random.default_rng(0)
    grads = [rng.standard_normal((3, 4)) for _ in range(6)]
    both, alone = [np.ones((3, 4)), np.ones((3, 4))], np.ones((3, 4))
    one, other = make(both), make(alone)
    with fo.target(target):
        for step, grad in enumerate(grads):
            one.step([grad, grad if step % 2 else None], skip_missing=True)
            if step % 2:
                other.step(grad)
    np.testing.assert_allclose(both[1], alone, rtol=1e-12)


def test_missing_gradients_are_refused_unless_asked_for():
    opt = Adam([np.ones(2), np.ones(2)])
    with pytest.raises(ValueError, match=r"^grads\[1\]: .*got None; skip_missing=True leaves it alone"):
        opt.step([np.ones(2), None])
    opt.step([None, None], skip_missing=True)
    np.testing.assert_array_equal(opt.state[0]["exp_avg"], 0.0)
    stats = opt.step([np.array([3.0, 4.0]), None], skip_missing=True, return_stats=True)
    assert stats.gradient_norm == 5.0


def test_what_was_missed_is_saved(tmp_path):
    def made():
        return NAdam({"a": np.ones(2), "b": np.ones(2)}, lr=0.5)

    def steps(opt):
        for k in range(3):
            opt.step({"a": np.ones(2), "b": None if k % 2 else np.ones(2)}, skip_missing=True)

    whole, first, second = made(), made(), made()
    steps(whole)
    steps(first)
    first.save(tmp_path / "state")
    second.load(tmp_path / "state")
    steps(whole)
    steps(second)
    np.testing.assert_equal(second.state_dict(), whole.state_dict())
    with pytest.raises(ValueError, match=r"^state_dict\['behind'\]: expected parameters among"):
        second.load_state_dict({**whole.state_dict(), "behind": {"c": [1, {}]}})


# ---- parameters that come later


@for_each_target
def test_added_parameters_begin_with_their_first_step(target):
    first, second, alone = np.zeros(3), np.zeros((2, 2)), np.zeros((2, 2))
    opt, other = NAdam({"w": first}, lr=0.5, copy_to="float16"), NAdam(alone, lr=0.25)
    with fo.target(target):
        for _ in range(3):
            opt.step({"w": np.ones(3)})
        opt.add_group({"params": [second], "lr": 0.25})
        for _ in range(3):
            opt.step([{"w": np.ones(3)}, [np.ones((2, 2))]])
            other.step(np.ones((2, 2)))
    np.testing.assert_allclose(second, alone, rtol=1e-12)
    assert [group["lr"] for group in opt.groups] == [0.5, 0.25]
    np.testing.assert_array_equal(opt.copies[1][0], second.astype(np.float16))


def test_a_wrong_group_changes_nothing():
    w = np.ones(4)
    opt = Adam([w])
    opt.step([np.ones(4)])
    for group, words in (
        ({"params": w[1:]}, "overlap"),
        ({"params": np.ones(2), "speed": 1.0}, "speed"),
        ([np.ones(2)], "^group: "),
        ({"params": np.ones(2), "lr": -1.0}, "^lr: "),
        ({"params": [1.0]}, "NumPy array"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            opt.add_group(group)
        assert (len(opt.groups), len(opt.state)) == (1, 1)
        opt.step([np.ones(4)])


# ---- hyper-parameters of single parameters


def test_overrides_make_groups_and_keep_the_form_of_gradients():
    params = {"a.weight": np.ones((2, 2)), "a.bias": np.ones(2), "b.weight": np.ones((2, 2))}
    overrides = combined(
        no_decay_of_vectors,
        layerwise_rates(0.5, 0.5, lambda key: int(key[0] == "a")),
    )
    opt = AdamW(params, weight_decay=0.1, overrides=overrides)
    assert [(group["lr"], group["weight_decay"]) for group in opt.groups] == [(0.25, 0.1), (0.25, 0.0), (0.5, 0.1)]
    opt.step({name: np.zeros(param.shape) for name, param in params.items()})
    np.testing.assert_allclose(params["a.weight"], 1 - 0.25 * 0.1)
    np.testing.assert_array_equal(params["a.bias"], 1.0)
    np.testing.assert_allclose(params["b.weight"], 1 - 0.5 * 0.1)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (1, "^overrides: expected a callable"),
        (lambda key, array: None, "^overrides: expected a mapping of hyper-parameters for params"),
        (lambda key, array: {"weight_deacy": 1.0}, "^overrides: .*did you mean 'weight_decay'"),
        (lambda key, array: {"lr": np.ones(2)}, "^lr: expected a finite number ≥ 0, got float64 of shape"),
    ],
)
def test_wrong_overrides_are_refused(overrides, words):
    with pytest.raises((TypeError, ValueError), match=words):
        AdamW([np.ones(2), np.ones(2)], overrides=overrides)


# ---- norms


@for_each_target
@pytest.mark.parametrize("clip_value", [None, 0.7])
def test_each_gradient_is_clipped_by_its_own_norm(target, clip_value):
    params = [np.zeros(2), np.zeros(2), np.zeros(2)]
    opt = SGD(params, lr=1.0, clip_each=1.0, clip_value=clip_value)
    with fo.target(target):
        opt.step([np.array([3.0, 4.0]), np.array([0.3, 0.4]), np.zeros(2)])
    np.testing.assert_allclose(params[0], [-0.6, -0.8 if clip_value is None else -0.7], rtol=1e-12)
    np.testing.assert_allclose(params[1:], [[-0.3, -0.4], [0.0, 0.0]], rtol=1e-12)


def test_layers_see_gradients_that_were_clipped_by_themselves():
    grads = [np.full((2, 2), 3.0), np.full((2, 2), 0.1)]
    clipped = [grad * min(1.0, 1.0 / np.linalg.norm(grad)) for grad in grads]
    one, other = [np.ones((2, 2)), np.ones((2, 2))], [np.ones((2, 2)), np.ones((2, 2))]
    LARS(one, lr=1.0, clip_each=1.0, eps=0.1).step(grads)
    LARS(other, lr=1.0, eps=0.1).step(clipped)
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_norm_from_outside_takes_the_place_of_the_measured_one():
    w = np.zeros(2)
    opt = SGD(w, lr=1.0, clip_norm=1.0)
    stats = opt.step(np.array([3.0, 4.0]), norm=10.0, return_stats=True)
    assert stats.gradient_norm == 10.0
    np.testing.assert_allclose(w, [-0.3, -0.4])
    assert opt.step(np.ones(2), norm=float("nan"), skip_nonfinite=True, return_stats=True).skipped
    for wrong in (-1.0, "1", True):
        with pytest.raises(TypeError, match=r"^norm: expected a number"):
            opt.step(np.ones(2), norm=wrong)
    assert opt.steps == 1
