"""Torch's tensors as the kernels see them: names of types, and NumPy's views of memory."""

from typing import Any

import numpy as np
import torch

from fastopt.kernels.runtime import tensors

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def local(tensor: Any) -> torch.Tensor:
    """Return the tensor that holds the memory: a `DTensor`'s own shard."""
    if hasattr(tensor, "to_local"):
        with torch.no_grad():
            return tensor.to_local()
    return tensor


tensors.connect(torch.Tensor, (torch.Tensor, torch.nn.Parameter), local)


def view(tensor: torch.Tensor) -> np.ndarray:
    """Return NumPy's view of a tensor's memory, which keeps it; 16-bit floats as uint16."""
    tensor = local(tensor).detach()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.view(torch.uint16)
    return tensor.numpy()
