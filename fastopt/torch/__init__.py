"""PyTorch on fastopt's kernels: optimizers, losses and norms with torch's names, signatures and semantics.

>>> import torch, fastopt.torch
>>> model = torch.nn.Linear(3, 1)
>>> optimizer = fastopt.torch.optim.AdamW(model.parameters(), lr=0.1)
>>> loss = fastopt.torch.functional.mse_loss(model(torch.ones(2, 3)), torch.zeros(2, 1))
>>> loss.backward()
>>> optimizer.step()

Everything here works on tensors of the CPU, in place where torch does, and refuses others with a sentence.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError:
    raise ImportError("fastopt.torch needs the package torch: pip install 'fastopt[torch]'") from None

from fastopt.torch import functional, init, nn, optim
from fastopt.torch.accelerating import Report, accelerate
from fastopt.torch.distributed import merge_metric

__all__ = ["Report", "accelerate", "functional", "init", "merge_metric", "nn", "optim"]
