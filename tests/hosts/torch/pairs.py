"""What the tests of optimizers share: parameters, gradients, and a comparison of ours with torch's."""

import torch

from fastopt.torch import optim

PAIRS = {
    name: (getattr(optim, name), getattr(torch.optim, name)) for name in optim.__all__ if hasattr(torch.optim, name)
}
DENSE = {name: pair for name, pair in PAIRS.items() if name not in ("SparseAdam", "Muon")}
OWN = {
    "Momentum": {}, "Lion": {}, "AdEMAMix": {"alpha_warmup": 5.0, "beta3_warmup": 5.0}, "FTRL": {"l1": 0.01},
    "LARS": {}, "LAMB": {"weight_decay": 0.01}, "AdamWScheduleFree": {"warmup_steps": 2.0},
}  # fmt: skip
LAYOUTS = {
    "packed": lambda t: t,
    "channels last": lambda t: t.to(memory_format=torch.channels_last),
    "transposed": lambda t: t.transpose(0, -1).contiguous().transpose(0, -1),
    "strided": lambda t: torch.zeros(*t.shape[:-1], 2 * t.shape[-1])[..., ::2].copy_(t),
}


def params_of(shapes=((4, 3), (5,), (2, 3, 4, 5)), dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in shapes]


def give(step, *lists, like=None):
    torch.manual_seed(100 + step)
    for params in zip(*lists, strict=True):
        grad = torch.randn(params[0].shape)
        for param in params:
            param.grad = grad.to(param.dtype).clone() if like is None else torch.empty_like(like(param)).copy_(grad)


def close(ours, theirs, mine, yours):
    for p, q in zip(mine, yours, strict=True):
        torch.testing.assert_close(p, q, rtol=2e-5, atol=1e-5)
        for name, value in theirs.state[q].items():
            torch.testing.assert_close(ours.state[p][name], value, rtol=2e-5, atol=1e-5)
