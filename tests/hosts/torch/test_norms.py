"""Norms beside torch's own: values, gradients, running statistics."""

import pytest
import torch
from calls import compare, leaf
from torch.nn import functional as theirs

from fastopt.torch import functional as ours


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
