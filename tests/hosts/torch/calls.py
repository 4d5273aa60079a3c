"""What the tests of losses and norms share: a call of ours beside torch's."""

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
