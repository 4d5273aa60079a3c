"""Losses and norms beside torch's own: values, gradients, what torch accepts, what it refuses."""

import math

import pytest
import torch
from torch.nn import functional as theirs

from fastopt.torch import functional as ours

REDUCTIONS = ["mean", "sum", "none"]


def compare(call, *inputs, tolerance=None):
    """Call both on the same inputs and compare values and all gradients."""
    tolerance = tolerance or {"rtol": 2e-5, "atol": 2e-6}
    results = []
    for functions in (ours, theirs):
        own = [one.detach().clone().requires_grad_(one.requires_grad) if one is not None else None for one in inputs]
        value = call(functions, *own)
        torch.manual_seed(1)
        if value.requires_grad:
            value.backward(
                torch.randn(value.shape, dtype=value.dtype) if value.dim() else torch.tensor(1.5, dtype=value.dtype)
            )
        results.append((value.detach(), [None if one is None else one.grad for one in own]))
    (value, grads), (wanted, wanted_grads) = results
    torch.testing.assert_close(value, wanted, equal_nan=True, check_dtype=False, **tolerance)
    for grad, expected in zip(grads, wanted_grads, strict=True):
        assert (grad is None) == (expected is None)
        if grad is not None:
            torch.testing.assert_close(grad, expected, equal_nan=True, **tolerance)


def leaf(*shape, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return torch.randn(shape, dtype=dtype).requires_grad_()


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


def test_nothing_has_a_mean_of_nan():
    for f in (ours, theirs):
        assert math.isnan(f.mse_loss(torch.zeros(0, 3), torch.zeros(0, 3)))
        assert f.mse_loss(torch.zeros(0, 3), torch.zeros(0, 3), reduction="sum") == 0
        assert math.isnan(f.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)))
        assert math.isnan(f.cross_entropy(torch.zeros(2, 3), torch.full((2,), -100)))


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


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_multi_margin(p, reduction):
    labels, weight = torch.randint(0, 5, (7,)), torch.linspace(0.1, 1.0, 5)
    compare(
        lambda f, x: f.multi_margin_loss(x, labels, p=p, margin=0.8, weight=weight, reduction=reduction), leaf(7, 5)
    )


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
    "one value": (ValueError, lambda f: f.batch_norm(torch.zeros(1, 3), None, None, training=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG, ids=str)
def test_wrong_calls_are_torchs_errors(name):
    error, call = WRONG[name]
    for functions in (theirs, ours):
        with pytest.raises(error):
            call(functions)


def test_second_derivatives_are_refused():
    x = leaf(4, 3)
    (grad,) = torch.autograd.grad(ours.mse_loss(x, torch.zeros(4, 3)), x, create_graph=True)
    with pytest.raises(RuntimeError, match="expected one derivative"):
        grad.sum().backward()


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


# ---- norms


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("shape", "last"), [((4, 6), 1), ((2, 3, 5), 2), ((100, 33), 1)], ids=str)
def test_layer_and_rms_norm(shape, last, affine, dtype):
    row = shape[-last:]
    weight, bias = (leaf(*row, dtype=dtype, seed=1), leaf(*row, dtype=dtype, seed=2)) if affine else (None, None)
    x = leaf(*shape, dtype=dtype)
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    compare(lambda f, x, w, b: f.layer_norm(x, row, w, b), x, weight, bias, tolerance=tolerance)
    compare(lambda f, x, w: f.rms_norm(x, row, w), x, weight, tolerance=tolerance)
    compare(lambda f, x: f.layer_norm(x, row, eps=0.0), x, tolerance=tolerance)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", [(2, 6, 5), (3, 6, 4, 4), (2, 6, 2, 3, 2)], ids=str)
def test_group_and_instance_norm(shape, affine):
    weight, bias = (leaf(6, seed=1), leaf(6, seed=2)) if affine else (None, None)
    tolerance = {"rtol": 1e-4, "atol": 1e-5}
    compare(lambda f, x, w, b: f.group_norm(x, 3, w, b), leaf(*shape), weight, bias, tolerance=tolerance)
    call = lambda f, x, w, b: f.instance_norm(x, weight=w, bias=b)  # noqa: E731
    compare(call, leaf(*shape), weight, bias, tolerance=tolerance)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("shape", [(2, 6, 5), (3, 6, 4, 4), (2, 6, 2, 3, 2)], ids=str)
def test_running_statistics_of_instance_norm(shape, own):
    running = []

    def call(f, x, w, b):
        mean, var = torch.linspace(-1, 1, 6), torch.linspace(0.5, 2, 6)
        y = f.instance_norm(x, mean, var, w, b, use_input_stats=own, momentum=0.3)
        running.append((mean, var))
        return y

    compare(call, leaf(*shape), leaf(6, seed=1), leaf(6, seed=2), tolerance={"rtol": 1e-4, "atol": 1e-5})
    for mine, wanted in zip(*running, strict=True):
        torch.testing.assert_close(mine, wanted)


@pytest.mark.parametrize("layout", ["packed", "channels last"])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [(8, 5), (4, 5, 7), (3, 5, 6, 4), (2, 5, 3, 2, 4)], ids=str)
def test_batch_norm(shape, training, affine, layout):
    weight, bias = (leaf(5, seed=1), leaf(5, seed=2)) if affine else (None, None)
    running = []

    def call(f, x, w, b):
        mean, var = torch.linspace(-1, 1, 5), torch.linspace(0.5, 2, 5)
        if layout == "channels last" and x.dim() > 2:
            x = x.movedim(1, -1).contiguous().movedim(-1, 1)
        y = f.batch_norm(x, mean, var, w, b, training=training, momentum=0.3)
        running.append((mean, var))
        return y

    compare(call, leaf(*shape), weight, bias, tolerance={"rtol": 1e-4, "atol": 1e-5})
    for mine, wanted in zip(*running, strict=True):
        torch.testing.assert_close(mine, wanted)


@pytest.mark.parametrize("residual", [False, True])
def test_batch_norm_with_relu_and_residual(residual):
    x, added, w, b = leaf(4, 5, 6), leaf(4, 5, 6, seed=3), leaf(5, seed=1), leaf(5, seed=2)

    def call(f, x, added, w, b):
        if f is ours:
            return f.batch_norm(x, None, None, w, b, training=True, residual=added if residual else None, relu=True)
        y = f.batch_norm(x, None, None, w, b, training=True)
        return torch.relu(y + added if residual else y)

    compare(call, x, added if residual else added.detach(), w, b, tolerance={"rtol": 1e-4, "atol": 1e-5})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_norms_of_sixteen_bits(dtype):
    x = torch.randn(6, 8, 5).to(dtype)
    weight, bias = torch.rand(8, requires_grad=True), torch.rand(8, requires_grad=True)
    row, shift = torch.rand(5, requires_grad=True), torch.rand(5, requires_grad=True)
    for call in (
        lambda f, x: f.batch_norm(x, None, None, weight, bias, training=True),
        lambda f, x: f.group_norm(x, 2, weight, bias),
        lambda f, x: f.layer_norm(x, [5], row, shift),
        lambda f, x: f.rms_norm(x, [5], row),
    ):
        mine, yours = x.clone().requires_grad_(), x.float().requires_grad_()
        y, wanted = call(ours, mine), call(theirs, yours)
        y.backward(torch.ones_like(y))
        wanted.backward(torch.ones_like(wanted))
        assert y.dtype == mine.grad.dtype == dtype
        torch.testing.assert_close(y.float(), wanted, rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(mine.grad.float(), yours.grad, rtol=2e-2, atol=2e-2)


def test_a_compiled_function_breaks_its_graph():
    x = leaf(4, 3)
    call = torch.compile(lambda x: ours.mse_loss(2.0 * x, torch.zeros(4, 3)), backend="eager")
    torch.testing.assert_close(call(x), theirs.mse_loss(2.0 * x, torch.zeros(4, 3)))
    whole = torch.compile(lambda x: ours.mse_loss(x, torch.zeros(4, 3)), backend="eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported):
        whole(x)
