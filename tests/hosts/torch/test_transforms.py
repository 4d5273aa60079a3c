"""Mixed precision, second derivatives, and torch's transforms of functions: right, or refused with a sentence."""

import pytest
import torch
from torch.nn import functional as theirs

from fastopt.torch import functional as ours

LABELS, CHANCES, SIGNS = torch.tensor([0, 2, 1, 3]), torch.full((4, 5), 0.2), torch.ones(4, 5)
LOSSES = {
    "cross_entropy": lambda f, x: f.cross_entropy(x, LABELS),
    "multi_margin_loss": lambda f, x: f.multi_margin_loss(x, LABELS),
    "mse_loss": lambda f, x: f.mse_loss(x, CHANCES.to(x.dtype)),
    "l1_loss": lambda f, x: f.l1_loss(x, CHANCES.to(x.dtype)),
    "huber_loss": lambda f, x: f.huber_loss(x, CHANCES.to(x.dtype)),
    "smooth_l1_loss": lambda f, x: f.smooth_l1_loss(x, CHANCES.to(x.dtype)),
    "kl_div": lambda f, x: f.kl_div(x, CHANCES, reduction="sum"),
    "binary_cross_entropy": lambda f, x: f.binary_cross_entropy(x.sigmoid(), CHANCES),
    "poisson_nll_loss": lambda f, x: f.poisson_nll_loss(x, CHANCES),
    "hinge_embedding_loss": lambda f, x: f.hinge_embedding_loss(x, SIGNS.to(x.dtype)),
}
NORMS = {
    "layer_norm": lambda f, x: f.layer_norm(x, [5]),
    "rms_norm": lambda f, x: f.rms_norm(x, [5]),
    "group_norm": lambda f, x: f.group_norm(x.reshape(2, 2, 5), 2),
    "instance_norm": lambda f, x: f.instance_norm(x.reshape(2, 2, 5)),
    "batch_norm": lambda f, x: f.batch_norm(x, None, None, training=True),
}
BOTH = {**LOSSES, **NORMS}


@pytest.mark.parametrize("name", LOSSES, ids=str)
def test_autocast(name):
    """A bfloat16 layer's output: the value is of torch's type, and the layer gets its gradient."""
    torch.manual_seed(0)
    x, found = torch.randn(4, 3), []
    for functions in (ours, theirs):
        torch.manual_seed(1)
        layer = torch.nn.Linear(3, 5)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = LOSSES[name](functions, layer(x))
        value.backward()
        found.append((value.detach(), layer.weight.grad))
    (value, grad), (wanted, wanted_grad) = found
    assert value.dtype == wanted.dtype == torch.float32
    torch.testing.assert_close(value, wanted, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(grad, wanted_grad, rtol=3e-2, atol=5e-3)


@pytest.mark.parametrize("name", BOTH, ids=str)
def test_second_derivatives_are_refused(name):
    """Where they are asked for, rather than where they could be."""
    x = torch.randn(4, 5, requires_grad=True)
    loss = BOTH[name](ours, x).sum()
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="expected one derivative"):
        (loss + grad.square().sum()).backward()


TRANSFORMS = {
    "grad": lambda call: torch.func.grad(lambda x: call(x).sum()),
    "vmap": lambda call: torch.func.vmap(lambda x: call(x[0])),
    "jvp": lambda call: lambda x: torch.func.jvp(call, (x[0],), (x[0],)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch.func imports
@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
@pytest.mark.parametrize("name", BOTH, ids=str)
def test_transforms_of_functions_are_refused(name, transform):
    call = TRANSFORMS[transform](lambda x: BOTH[name](ours, x))
    x = (
        torch.randn(2, 4, 5)
        if transform == "jvp"
        else torch.randn(3, 1, 4, 5)
        if transform == "vmap"
        else torch.randn(4, 5)
    )
    with pytest.raises(RuntimeError, match=r"torch\.func"):
        call(x)
