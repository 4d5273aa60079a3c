"""Cross-entropy of logits, and of a linear layer, beside torch's own."""

import math

import pytest
import torch
from calls import REDUCTIONS, compare, leaf
from torch.nn import functional as theirs

from fastopt.torch import functional as ours


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("shape", [(5,), (6, 5), (2, 5, 3), (2, 150, 4, 3), (64, 1000)], ids=str)
def test_cross_entropy(shape, weighed, smoothing, reduction):
    classes = shape[0] if len(shape) == 1 else shape[1]
    labels = torch.randint(0, classes, shape[:1] + shape[2:] if len(shape) > 1 else ())
    if labels.dim():
        labels.view(-1)[0] = -100
    weight = torch.linspace(-0.5, 2.0, classes) if weighed else None
    kept = {"label_smoothing": smoothing, "reduction": reduction, "weight": weight}
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    compare(lambda f, x: f.cross_entropy(x, labels, **kept), leaf(*shape), tolerance=tolerance)
    chances = torch.rand(shape) * 2.0  # rows that don't sum to 1
    compare(lambda f, x: f.cross_entropy(x, chances, **kept), leaf(*shape), tolerance=tolerance)


def test_cross_entropy_ignores_any_label():
    labels = torch.tensor([0, 2, 1, 2])
    compare(lambda f, x: f.cross_entropy(x, labels, ignore_index=2), leaf(4, 3))
    compare(lambda f, x: f.cross_entropy(x, torch.full((4,), 2), ignore_index=2, reduction="sum"), leaf(4, 3))


def test_cross_entropy_of_rows_without_mass():
    x = leaf(3, 4)
    with torch.no_grad():
        x[1] = -torch.inf
    compare(lambda f, x: f.cross_entropy(x, torch.tensor([0, 1, 2]), reduction="none"), x)


def test_an_ignored_row_without_mass_has_no_value():
    x = torch.zeros(2, 3)
    x[1] = -torch.inf
    for f in (ours, theirs):
        assert f.cross_entropy(x, torch.tensor([0, -100])).item() == pytest.approx(math.log(3.0))


def test_cross_entropy_in_place():
    w = leaf(8, 5)
    x = torch.randn(6, 8)
    labels = torch.randint(0, 5, (6,))
    logits = x @ w
    kept = logits.detach()
    ours.cross_entropy(logits, labels, in_place=True).backward()
    found = w.grad
    w.grad = None
    theirs.cross_entropy(x @ w, labels).backward()
    torch.testing.assert_close(found, w.grad)
    assert abs(kept.sum(1)).max() < 1e-5  # the gradient stands where the logits stood


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_cross_entropy_of_sixteen_bits(dtype):
    x = torch.randn(40, 50).to(dtype)
    labels = torch.randint(0, 50, (40,))
    mine, yours = x.clone().requires_grad_(), x.float().requires_grad_()
    value, wanted = ours.cross_entropy(mine, labels), theirs.cross_entropy(yours, labels)
    value.backward()
    wanted.backward()
    assert value.dtype == torch.float32
    assert mine.grad.dtype == dtype
    torch.testing.assert_close(value, wanted)
    torch.testing.assert_close(mine.grad.float(), yours.grad, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("of_labels", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 150, 9, 13)], ids=str)
def test_classes_along_axis_1_give_the_bits_of_classes_last(shape, dtype, of_labels, in_place):
    torch.manual_seed(0)
    x, found = torch.randn(shape).to(dtype), []
    target = torch.randint(shape[1], (2, *shape[2:])) if of_labels else torch.rand(shape).to(dtype)
    last = target.flatten() if of_labels else target.movedim(1, -1).flatten(0, 2).contiguous()
    for logits, wanted in ((x, target), (x.movedim(1, -1).flatten(0, 2).contiguous(), last)):
        own = logits.clone().requires_grad_()
        ours.cross_entropy(1 * own if in_place else own, wanted, in_place=in_place, label_smoothing=0.1).backward()
        found.append(own.grad)
    assert torch.equal(found[0].movedim(1, -1).flatten(0, 2), found[1])


# ---- a linear layer and its cross-entropy


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("max_bytes", [1, 400, 2**26])
def test_linear_cross_entropy(max_bytes, reduction, dtype):
    x, w, b = leaf(9, 4, dtype=dtype), leaf(11, 4, dtype=dtype, seed=1), leaf(11, dtype=dtype, seed=2)
    labels = torch.randint(0, 11, (9,))
    labels[2] = 3
    weight = torch.linspace(-0.5, 2.0, 11, dtype=dtype)

    def call(f, x, w, b, **kept):
        if f is ours:
            return f.linear_cross_entropy(x, w, labels, linear_bias=b, reduction=reduction, max_bytes=max_bytes, **kept)
        return f.cross_entropy(f.linear(x, w, b), labels, reduction=reduction, **kept)

    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    compare(lambda f, x, w, b: call(f, x, w, b), x, w, b, tolerance=tolerance)
    kept = {"weight": weight, "ignore_index": 3, "label_smoothing": 0.1}
    compare(lambda f, x, w, b: call(f, x, w, b, **kept), x, w, b, tolerance=tolerance)
    compare(lambda f, x, w: call(f, x, w, None), x.detach(), w, tolerance=tolerance)


def test_linear_cross_entropy_of_all_else():
    """Probabilities, one sample, weights of more axes, nothing, labels that are all ignored."""

    def call(f, x, w, target, **kept):
        if f is ours:
            return f.linear_cross_entropy(x, w, target, **kept)
        logits = f.linear(x, w.reshape(-1, w.shape[-1])).reshape(*x.shape[:-1], *w.shape[:-1])
        return f.cross_entropy(logits, target, **kept)

    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    compare(lambda f, x, w: call(f, x, w, torch.full((3, 5), 0.2)), leaf(3, 4), leaf(5, 4), tolerance=tolerance)
    compare(lambda f, x, w: call(f, x, w, torch.tensor(2)), leaf(4), leaf(5, 4), tolerance=tolerance)
    places = torch.randint(0, 5, (3, 2))
    compare(lambda f, x, w: call(f, x, w, places), leaf(3, 4), leaf(5, 2, 4), tolerance=tolerance)
    for labels in (torch.zeros(0, dtype=torch.long), torch.full((3,), -100)):
        compare(lambda f, x, w, y=labels: call(f, x, w, y), leaf(len(labels), 4), leaf(5, 4), tolerance=tolerance)


def test_linear_cross_entropy_under_autocast():
    x, w, labels, found = torch.randn(40, 16), leaf(50, 16), torch.randint(0, 50, (40,)), []
    for call in (
        lambda w: ours.linear_cross_entropy(x, w, labels, max_bytes=1000),
        lambda w: theirs.cross_entropy(theirs.linear(x, w), labels),
    ):
        own = w.detach().clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = call(own)
        value.backward()
        found.append((value.detach(), own.grad))
    assert found[0][0].dtype == found[1][0].dtype == torch.float32
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=2e-2, atol=2e-3)


LAYER, TWO = (torch.zeros(2, 3), torch.zeros(4, 3)), torch.tensor([0, 1])


LAYERS = {
    "features": (RuntimeError, lambda: ours.linear_cross_entropy(torch.zeros(2, 3), torch.zeros(4, 2), TWO)),
    "bias": (RuntimeError, lambda: ours.linear_cross_entropy(*LAYER, TWO, linear_bias=torch.zeros(3))),
    "label": (IndexError, lambda: ours.linear_cross_entropy(*LAYER, torch.tensor([0, 4]))),
    "max_bytes": (ValueError, lambda: ours.linear_cross_entropy(*LAYER, TWO, max_bytes=0)),
    "weight": (RuntimeError, lambda: ours.linear_cross_entropy(*LAYER, TWO, weight=torch.ones(3))),
}


@pytest.mark.parametrize("name", LAYERS, ids=str)
def test_wrong_layers(name):
    error, call = LAYERS[name]
    with pytest.raises(error):
        call()
