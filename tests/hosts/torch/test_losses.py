"""Losses of elements beside torch's own: values, gradients, weights, what has no kernel."""

import math

import pytest
import torch
from calls import REDUCTIONS, compare, leaf
from torch.nn import functional as theirs

from fastopt.torch import functional as ours

ELEMENTS = {
    "mse": lambda f, x, y, **k: f.mse_loss(x, y, **k),
    "l1": lambda f, x, y, **k: f.l1_loss(x, y, **k),
    "huber": lambda f, x, y, **k: f.huber_loss(x, y, delta=0.7, **k),
    "smooth l1": lambda f, x, y, **k: f.smooth_l1_loss(x, y, beta=0.5, **k),
    "smooth l1 of 0": lambda f, x, y, **k: f.smooth_l1_loss(x, y, beta=0.0, **k),
    "bce": lambda f, x, y, **k: f.binary_cross_entropy_with_logits(x, y, **k),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (7,), (5, 3), (4, 3, 2), (1000, 33)], ids=str)
@pytest.mark.parametrize("name", ELEMENTS, ids=str)
def test_elements(name, shape, reduction, dtype):
    target = torch.rand(shape, dtype=dtype)
    compare(lambda f, x, y: ELEMENTS[name](f, x, y, reduction=reduction), leaf(*shape, dtype=dtype), target)


@pytest.mark.parametrize("name", ["mse", "l1", "huber", "smooth l1"])
def test_targets_have_gradients(name):
    compare(lambda f, x, y: ELEMENTS[name](f, x, y), leaf(4, 3), leaf(4, 3, seed=1))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_strided_and_broadcast_elements(reduction):
    target = torch.rand(3, 5).t()
    compare(lambda f, x, y: f.mse_loss(x[::2], y, reduction=reduction), leaf(10, 3), target)
    with pytest.warns(UserWarning, match="different to the input size") as told:
        compare(lambda f, x, y: f.mse_loss(x, y, reduction=reduction), leaf(5, 1), torch.rand(5, 3))
    assert [one.filename for one in told] == [__file__] * 2


def test_bce_weights():
    for pos_weight in (torch.tensor([0.5, 2.0, 0.0]), torch.tensor(3.0)):
        for weight in (None, torch.tensor([0.2, 1.0, 3.0])):
            for target in (torch.rand(6, 3), torch.randint(0, 2, (6, 3)).float()):
                compare(
                    lambda f, x, w=weight, p=pos_weight, t=target: f.binary_cross_entropy_with_logits(
                        x, t, weight=w, pos_weight=p
                    ),
                    leaf(6, 3),
                )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse", "l1", "huber"])
def test_weights_are_of_the_mean_and_have_gradients(name, reduction):
    """A mean of squares and distances is of the weights, Huber's of the elements."""
    for weight in (torch.linspace(0.1, 2.0, 15).reshape(5, 3), leaf(5, 3, seed=2)):
        call = lambda f, x, y, w: ELEMENTS[name](f, x, y, reduction=reduction, weight=w)  # noqa: E731
        compare(call, leaf(5, 3), leaf(5, 3, seed=1), weight)


def test_nothing_has_a_mean_of_nan():
    for f in (ours, theirs):
        assert math.isnan(f.mse_loss(torch.zeros(0, 3), torch.zeros(0, 3)))
        assert f.mse_loss(torch.zeros(0, 3), torch.zeros(0, 3), reduction="sum") == 0
        assert math.isnan(f.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)))
        assert math.isnan(f.cross_entropy(torch.zeros(2, 3), torch.full((2,), -100)))


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_multi_margin(p, reduction):
    labels, weight = torch.randint(0, 5, (7,)), torch.linspace(0.1, 1.0, 5)
    compare(
        lambda f, x: f.multi_margin_loss(x, labels, p=p, margin=0.8, weight=weight, reduction=reduction), leaf(7, 5)
    )
    compare(lambda f, x: f.multi_margin_loss(x, labels[0], p=p, weight=weight, reduction=reduction), leaf(5))


# ---- likelihoods and divergences


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # torch's advice, in torch's function
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(), (7,), (5, 3), (4, 3, 2), (1000, 33)], ids=str)
def test_divergences_and_likelihoods(shape, reduction, dtype):
    x, chances = leaf(*shape, dtype=dtype), torch.rand(shape, dtype=dtype)
    chances.view(-1)[0] = 0.0
    counts, signs = (5 * chances).round(), chances.round() * 2 - 1
    compare(lambda f, x: f.kl_div(x, chances, reduction=reduction), x)
    compare(lambda f, x: f.kl_div(x, (chances + 0.1).log(), reduction=reduction, log_target=True), x)
    compare(lambda f, x: f.soft_margin_loss(x, signs, reduction=reduction), x)
    compare(lambda f, x: f.soft_margin_loss(x, 2.5 * chances, reduction=reduction), x)
    for full in (False, True):
        compare(lambda f, x, full=full: f.poisson_nll_loss(x, counts, full=full, reduction=reduction), x)
    if len(shape) > 1:
        row = counts[..., :1, :]
        compare(lambda f, x: f.poisson_nll_loss(x, row, full=True, reduction=reduction), x)
    compare(lambda f, x: f.poisson_nll_loss(x.abs(), counts, log_input=False, reduction=reduction), x)


def test_batchmean():
    for shape in [(), (4, 3)]:
        for f in (ours, theirs):
            assert f.kl_div(torch.zeros(shape), torch.ones(shape), reduction="batchmean").shape == ()
    compare(lambda f, x: f.kl_div(x, torch.full((4, 3), 0.3), reduction="batchmean"), leaf(4, 3))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("of_var", [(6, 5), (6, 1), (6,)], ids=str)
def test_gaussian(of_var, reduction, full):
    var = torch.rand(of_var)
    var.view(-1)[0] = 0.0  # less than eps
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    compare(
        lambda f, x, y, v: f.gaussian_nll_loss(x, y, v, full=full, eps=1e-2, reduction=reduction),
        leaf(6, 5), leaf(6, 5, seed=1), var.requires_grad_(), tolerance=tolerance,
    )  # fmt: skip
    compare(lambda f, x, y: f.gaussian_nll_loss(x, y, 0.5, full=full, reduction=reduction), leaf(6, 5), leaf(6, 5))


def test_a_large_margin_on_the_wrong_side_does_not_overflow():
    assert ours.soft_margin_loss(torch.tensor([200.0]), torch.tensor([-1.0])) == 200.0


def test_nothing_has_a_likelihood_of_nan():
    empty = torch.zeros(0, 3)
    for call in (ours.kl_div, ours.poisson_nll_loss, ours.soft_margin_loss):
        assert math.isnan(call(empty, empty))
    assert math.isnan(ours.gaussian_nll_loss(empty, empty, empty))


TRAINED = {
    "cross entropy": lambda f, x, y: f.cross_entropy(x, y),
    "kl_div": lambda f, x, y: f.kl_div(x, y, reduction="sum"),
    "poisson": lambda f, x, y: f.poisson_nll_loss(x, y),
    "bce": lambda f, x, y: f.binary_cross_entropy(x.sigmoid(), y),
    "bce with logits": lambda f, x, y: f.binary_cross_entropy_with_logits(x, y),
}


@pytest.mark.parametrize("name", TRAINED, ids=str)
def test_targets_that_require_a_gradient_have_one(name):
    targets = torch.rand(4, 3).requires_grad_()
    compare(lambda f, x, y: TRAINED[name](f, x, y), leaf(4, 3), targets)


def test_a_gaussian_of_sixteen_bits_is_torchs():
    half = torch.ones(3, dtype=torch.bfloat16)
    assert torch.equal(*[f.gaussian_nll_loss(half, 2 * half, half) for f in (ours, theirs)])


# ---- probabilities, distances, labels


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy_of_probabilities(reduction, dtype):
    x = torch.cat([torch.rand(300, dtype=dtype), torch.tensor([0.0, 1.0, 0.0, 1.0, 1e-30], dtype=dtype)])
    y = torch.rand(305, dtype=dtype).round()
    y[-5:] = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0])
    x.requires_grad_()
    compare(lambda f, x: f.binary_cross_entropy(x, y, reduction=reduction), x)
    compare(lambda f, x: f.binary_cross_entropy(x, y, weight=torch.full((1,), -0.5), reduction=reduction), x)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_torchs_error(wrong):
    x = torch.tensor([0.5, wrong])
    for f in (ours, theirs):
        with pytest.raises(RuntimeError, match="between 0 and 1"):
            f.binary_cross_entropy(x, torch.ones(2))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_hinge_embedding(reduction):
    """Targets other than 1 and -1, too, and shapes that broadcast."""
    x = torch.tensor([0.5, 0.25, 2.0, 1.0, -1.0, 0.3], requires_grad=True)
    for y in (torch.tensor([1.0, -1.0, -1.0, -1.0, 1.0, 0.0]), torch.tensor([1, -1, -1, -1, 1, 1]), torch.ones(2, 1)):
        compare(lambda f, x, y=y: f.hinge_embedding_loss(x, y, margin=0.8, reduction=reduction), x)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_what_stays_torchs_own(reduction):
    labels, signs = torch.tensor([1, 0, -100]), torch.tensor([1.0, -1.0, 1.0])
    compare(lambda f, x: f.nll_loss(x, labels, reduction=reduction), leaf(3, 4))
    compare(
        lambda f, x, y: f.cosine_embedding_loss(x, y, signs, 0.1, reduction=reduction), leaf(3, 4), leaf(3, 4, seed=1)
    )
