"""Losses, norms and steps within `torch.compile` and `torch.export`."""

import pytest
import torch
from test_transforms import BOTH, LABELS
from torch.nn import functional as theirs

import fastopt.torch
from fastopt.torch import functional as ours
from fastopt.torch import nn, optim

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()


def whole(call, backend="aot_eager", **keywords):
    return torch.compile(call, backend=backend, fullgraph=True, **keywords)


def outcome(call, *inputs):
    """Return the value, and the gradients of what requires them by slopes that differ."""
    own = [one.detach().clone().requires_grad_(one.requires_grad) for one in inputs]
    value = call(*own)
    slopes = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    value.backward(slopes)
    return [value.detach(), *[one.grad for one in own if one.requires_grad]]


@pytest.mark.parametrize("name", BOTH, ids=str)
def test_a_compiled_graph_is_whole(name):
    x = torch.randn(4, 5, requires_grad=True)
    found = outcome(whole(lambda x: 2.0 * BOTH[name](ours, 1.5 * x)), x)
    wanted = outcome(lambda x: 2.0 * BOTH[name](ours, 1.5 * x), x)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close(whole(lambda x: BOTH[name](ours, x))(x), BOTH[name](ours, x))


MORE = {
    "values": lambda f, x, y: f.mse_loss(x, y, reduction="none"),
    "values of samples": lambda f, x, y: f.cross_entropy(x, LABELS, reduction="none", label_smoothing=0.1),
    "values of places": lambda f, x, y: f.cross_entropy(x.reshape(2, 5, 2), LABELS.reshape(2, 2), reduction="none"),
    "deprecated": lambda f, x, y: f.l1_loss(x, y, reduce=False),
    "by place": lambda f, x, y: f.smooth_l1_loss(x, y, None, None, "sum", 0.5),
    "probabilities": lambda f, x, y: f.cross_entropy(x, y.softmax(1)),
    "weights": lambda f, x, y: f.binary_cross_entropy_with_logits(x, y.sigmoid(), y.exp().detach()),
    "one variance": lambda f, x, y: f.gaussian_nll_loss(x, y, 0.5, full=True),
    "variances": lambda f, x, y: f.gaussian_nll_loss(x, y, y.exp(), reduction="sum"),
    "rates": lambda f, x, y: f.poisson_nll_loss(x, y.exp().detach(), full=True),
    "nll": lambda f, x, y: f.nll_loss(x, LABELS),
}


@pytest.mark.filterwarnings("ignore:size_average and reduce")
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("name", MORE, ids=str)
def test_reductions_and_gradients_of_targets(name, both):
    x, y = torch.randn(4, 5, requires_grad=True), torch.randn(4, 5, requires_grad=both)
    for one, other in zip(
        outcome(whole(lambda x, y: MORE[name](ours, x, y)), x, y), outcome(lambda x, y: MORE[name](theirs, x, y), x, y),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(one, other, **TOLERANCE)


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_shapes_that_broadcast(reduction):
    x, y = torch.randn(4, 1, requires_grad=True), torch.randn(4, 5)
    call = lambda x: ours.mse_loss(x, y, reduction=reduction)  # noqa: E731
    for one, other in zip(outcome(whole(call), x), outcome(call, x), strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_linear_layer_and_its_loss(reduction):
    x, w, b = (torch.randn(shape, requires_grad=True) for shape in ((4, 3), (5, 3), (5,)))
    call = lambda x, w, b: ours.linear_cross_entropy(x, w, LABELS, linear_bias=b, reduction=reduction)  # noqa: E731
    for one, other in zip(outcome(whole(call), x, w, b), outcome(call, x, w, b), strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.batch = torch.nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.group, self.instance = nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
        self.layer, self.rms, self.last = nn.LayerNorm(16), nn.RMSNorm(16), torch.nn.Linear(16, 3)

    def forward(self, x):
        x = self.conv(x)
        x = self.instance(self.group(self.batch(x, residual=x, relu=True)))
        return self.last(self.rms(self.layer(x.mean(1).flatten(1))))


class Trained(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.loss = Net(), nn.CrossEntropyLoss(label_smoothing=0.1)

    def forward(self, x, labels):
        return self.loss(self.net(x), labels)


@pytest.mark.parametrize("narrow", [False, True], ids=["float32", "autocast"])
def test_a_model_trains_as_without(narrow):
    """Its running statistics too; then it is evaluated, by another batch size."""
    models = [Trained(), Trained()]
    calls = [whole(models[0]), models[1]]
    optimizers = [optim.SGD(model.parameters(), lr=0.1, momentum=0.9) for model in models]
    torch.manual_seed(1)
    for size in (6, 6, 4):
        x, labels, losses = torch.randn(size, 1, 6, 6), torch.randint(3, (size,)), []
        for call, optimizer in zip(calls, optimizers):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=narrow):
                losses.append(call(x, labels))
            losses[-1].backward()
            optimizer.step()
        assert losses[0].dtype == losses[1].dtype == torch.float32
        torch.testing.assert_close(*losses, **({"rtol": 2e-2, "atol": 1e-2} if narrow else TOLERANCE))
    tolerance = {"rtol": 5e-2, "atol": 2e-2} if narrow else {"rtol": 1e-3, "atol": 1e-4}
    for (name, one), other in zip(models[0].state_dict().items(), models[1].state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, **tolerance, msg=lambda m, n=name: f"{n}: {m}")
    for model in models:
        model.eval()
    if not narrow:
        torch.testing.assert_close(calls[0](x, labels), calls[1](x, labels), rtol=1e-3, atol=1e-3)


def test_an_exported_program_holds_the_operators():
    net = Net().eval()
    x = torch.randn(2, 1, 6, 6)
    program = torch.export.export(net, (x,))
    held = {str(node.target) for node in program.graph.nodes if "fastopt" in str(node.target)}
    assert held == {"fastopt.batch_norm.default", "fastopt.sample_norm.default"}
    torch.testing.assert_close(program.module()(x), net(x))


CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor")
OPERATORS = torch.ops.fastopt
SHAPED = (torch.randn(2, 4, 3), torch.randn(4), torch.randn(4))
CHECKED = {
    "mse_loss": (torch.randn(4, 5), torch.randn(4, 5), None, None, "mean", None, [0, 1], None),
    "cross_entropy": (torch.randn(4, 5), LABELS, None, None, -100, None, "none", 0.0, False, [0], None),
    "kl_div": (
        torch.randn(4, 5).bfloat16(),
        torch.rand(4, 5).bfloat16(),
        None,
        None,
        "sum",
        False,
        [0],
        torch.bfloat16,
    ),
    "sample_norm": (*SHAPED, "group", 2, [4], 1e-5),
    "batch_norm": (*SHAPED, torch.randn(2, 4, 3), torch.zeros(4), torch.ones(4), True, 0.1, 1e-5, True),
}


@pytest.mark.parametrize("name", CHECKED, ids=str)
def test_operators_are_what_they_say(name):
    """torch's own checks but one, which asks for the slopes of all results: those of gradients are refused."""
    given = [
        one.clone().requires_grad_() if isinstance(one, torch.Tensor) and one.is_floating_point() and k < 4 else one
        for k, one in enumerate(CHECKED[name])
    ]
    torch.library.opcheck(getattr(OPERATORS, name).default, tuple(given), test_utils=CHECKS)


def test_a_second_derivative_is_refused_in_a_graph():
    x = torch.randn(4, 5, requires_grad=True)
    call = whole(lambda x: ours.mse_loss(x, torch.zeros(4, 5)), backend="eager")
    (grad,) = torch.autograd.grad(call(x), x, create_graph=True)
    with pytest.raises(RuntimeError, match="expected one derivative"):
        grad.sum().backward()


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Muon"])
def test_a_compiled_step_breaks_its_graph_and_steps(name):
    found = []
    for through in (lambda call: torch.compile(call, backend="eager"), lambda call: call):
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2, bias=False)
        optimizer = getattr(fastopt.torch.optim, name)(layer.parameters(), lr=0.1)

        def step(x, layer=layer, optimizer=optimizer):
            optimizer.zero_grad()
            layer(x).square().sum().backward()
            optimizer.step()

        run = through(step)
        for k in range(3):
            run(torch.full((2, 3), 1.0 + k))
        found.append(layer.weight.detach())
    assert torch.equal(*found)
