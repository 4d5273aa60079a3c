"""What all functions do: torch's errors for wrong calls, no second derivative."""

import inspect
import math

import pytest
import torch
from calls import leaf
from torch.nn import functional as theirs

from fastopt.torch import functional as ours

TWO, THREE, FIRST = torch.zeros(2), torch.zeros(2, 3), torch.tensor([0, 0])
MOVES, WIDE = torch.ones(3).requires_grad_(), torch.ones(3).double()
WRONG = {
    "label": (IndexError, lambda f: f.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 3]))),
    "negative label": (IndexError, lambda f: f.cross_entropy(torch.zeros(2, 3), torch.tensor([0, -1]))),
    "reduction": (ValueError, lambda f: f.mse_loss(torch.zeros(2), torch.zeros(2), reduction="mena")),
    "smoothing": (RuntimeError, lambda f: f.cross_entropy(torch.zeros(2, 3), torch.tensor([0]), label_smoothing=2.0)),
    "weight": (RuntimeError, lambda f: f.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]), torch.ones(4))),
    "type of labels": (RuntimeError, lambda f: f.cross_entropy(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int32))),
    "delta": (RuntimeError, lambda f: f.huber_loss(torch.zeros(2), torch.zeros(2), delta=0.0)),
    "size of var": (ValueError, lambda f: f.gaussian_nll_loss(torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(4))),
    "negative var": (ValueError, lambda f: f.gaussian_nll_loss(torch.zeros(3), torch.zeros(3), -torch.ones(3))),
    "reduction of kl_div": (ValueError, lambda f: f.kl_div(torch.zeros(3), torch.zeros(3), reduction="mena")),
    "size": (ValueError, lambda f: f.binary_cross_entropy_with_logits(torch.zeros(2), torch.zeros(3))),
    "normalized_shape": (RuntimeError, lambda f: f.layer_norm(torch.zeros(2, 3), [4])),
    "groups": (RuntimeError, lambda f: f.group_norm(torch.zeros(2, 3, 2), 2)),
    "weight of another size": (ValueError, lambda f: f.mse_loss(TWO, TWO, weight=torch.ones(1))),
    "weight with a gradient": (RuntimeError, lambda f: f.binary_cross_entropy(TWO, TWO, MOVES[:2])),
    "pos_weight with a gradient": (
        RuntimeError,
        lambda f: f.binary_cross_entropy_with_logits(TWO, TWO, pos_weight=MOVES[:2]),
    ),
    "margin's weight with a gradient": (
        RuntimeError, lambda f: f.multi_margin_loss(THREE, FIRST, weight=MOVES),
    ),
    "beta": (RuntimeError, lambda f: f.smooth_l1_loss(TWO, TWO, beta=math.nan)),
    "ignore_index": (TypeError, lambda f: f.cross_entropy(THREE, FIRST, ignore_index=1.5)),
    "ignore_index of 65 bits": (ValueError, lambda f: f.cross_entropy(THREE, FIRST, ignore_index=2**64)),
    "ignored probabilities": (RuntimeError, lambda f: f.cross_entropy(THREE, THREE, ignore_index=1)),
    "type of weights": (RuntimeError, lambda f: f.cross_entropy(THREE, FIRST, WIDE)),
    "type of margin's weights": (RuntimeError, lambda f: f.multi_margin_loss(THREE, FIRST, weight=WIDE)),
    "target": (TypeError, lambda f: f.cross_entropy(THREE, [0, 0])),
    "axes of multi-margin": (RuntimeError, lambda f: f.multi_margin_loss(torch.zeros(1, 2, 3), FIRST)),
    "eps in training": (ValueError, lambda f: f.batch_norm(THREE, None, None, training=True, eps=0.0)),
    "eps": (ValueError, lambda f: f.batch_norm(THREE, torch.zeros(3), torch.ones(3), eps=-1.0)),
    "mean without variance": (ValueError, lambda f: f.batch_norm(THREE, torch.zeros(3), None, training=True)),
    "variance without mean": (ValueError, lambda f: f.instance_norm(torch.zeros(2, 3, 4), None, torch.ones(3))),
    "axes of running statistics": (
        RuntimeError, lambda f: f.instance_norm(torch.zeros(2, 3, 4), torch.zeros(1, 3), torch.ones(1, 3)),
    ),
    "list of running means": (TypeError, lambda f: f.batch_norm(THREE, [0.0] * 3, torch.ones(3), training=True)),
    "one value of a group": (ValueError, lambda f: f.group_norm(torch.zeros(1, 3), 3)),
    "target above 1": (RuntimeError, lambda f: f.binary_cross_entropy(TWO, 2 + TWO)),
    "target of NaN": (RuntimeError, lambda f: f.binary_cross_entropy(TWO, math.nan + TWO)),
    "one value": (ValueError, lambda f: f.batch_norm(torch.zeros(1, 3), None, None, training=True)),
}  # fmt: skip


NO_TENSORS = {
    "input": lambda f: f.mse_loss([1.0], TWO),
    "weight": lambda f: f.multi_margin_loss(THREE, FIRST, weight="x"),
    "target": lambda f: f.binary_cross_entropy_with_logits(TWO, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_TENSORS)
def test_what_is_no_tensor_is_named(name):  # torch's functions have an AttributeError for some
    with pytest.raises(TypeError, match=f"^{name}: expected a tensor, got"):
        NO_TENSORS[name](ours)


@pytest.mark.parametrize("name", WRONG, ids=str)
def test_wrong_calls_are_torchs_errors(name):
    error, call = WRONG[name]
    for functions in (theirs, ours):
        with pytest.raises(error):
            call(functions)


@pytest.mark.parametrize("name", sorted(set(ours.__all__) - {"linear_cross_entropy"}))
def test_arguments_are_torchs_in_torchs_order(name):
    """What is ours alone comes by keyword, behind them; `linear_cross_entropy` has no `options`."""
    mine, yours = (dict(inspect.signature(getattr(one, name)).parameters) for one in (ours, theirs))
    assert list(mine)[: len(yours)] == list(yours)
    assert [mine[key].default for key in yours] == [one.default for one in yours.values()]
    assert all(one.kind == one.KEYWORD_ONLY for one in list(mine.values())[len(yours) :])


LEGACY = [name for name in ours.__all__ if "size_average" in inspect.signature(getattr(ours, name)).parameters]


@pytest.mark.parametrize("name", LEGACY)
def test_deprecated_arguments_say_what_they_say_to_torch(name):
    """With torch's warning, which names the caller's line; they come before `reduction`."""
    x, y = torch.rand(4, 3), torch.rand(4, 3)
    inputs = {
        "nll_loss": (x, torch.tensor([0, 2, 1, 0])), "multi_margin_loss": (x, torch.tensor([0, 2, 1, 0])),
        "cosine_embedding_loss": (x, y, torch.ones(4)),
    }.get(name, (x, y))  # fmt: skip
    for given in ({"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}):
        found = []
        for functions in (ours, theirs):
            with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated") as told:
                found.append(getattr(functions, name)(*inputs, **given, reduction="mean"))
            assert functions is theirs or [one.filename for one in told] == [__file__]
        torch.testing.assert_close(*found)


def test_second_derivatives_are_refused():
    x = leaf(4, 3)
    (grad,) = torch.autograd.grad(ours.mse_loss(x, torch.zeros(4, 3)), x, create_graph=True)
    with pytest.raises(RuntimeError, match="expected one derivative"):
        grad.sum().backward()
