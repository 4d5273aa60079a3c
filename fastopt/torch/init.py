"""`torch.nn.init`'s names over counter-based random numbers: the same weights for any number of threads.

Each call draws one seed from torch's generator (`torch.manual_seed` sets it, or `generator`), and an element's value
follows from the seed and its index in C order alone: whatever the memory's order, and whichever process fills it.
"""

import math

import numpy as np
import torch
from torch.nn.init import calculate_gain, constant_, dirac_, eye_, ones_, zeros_

from fastopt import initializers
from fastopt.torch.crew import on_torchs_workers
from fastopt.torch.functional.base import array, expect_float
from fastopt.torch.tensors import NAMES

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip

Tensor = torch.Tensor
Generator = torch.Generator | None


@on_torchs_workers
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill with U[a, b), as :func:`torch.nn.init.uniform_`.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> w = torch.empty(1000)
    >>> _ = torch.manual_seed(0)
    >>> first = fastopt.torch.init.uniform_(w).clone()
    >>> _ = torch.manual_seed(0)
    >>> torch.equal(first, fastopt.torch.init.uniform_(w)), bool((w >= 0).all() and (w < 1).all())
    (True, True)
    """
    if b < a:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
    seed, out = _begun(tensor, generator)
    if a == b:
        return constant_(tensor, a)
    initializers.uniform(out.shape, seed, low=float(a), high=float(b), dtype=NAMES[tensor.dtype], out=out)
    return _done(tensor)


@on_torchs_workers
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill with N(mean, std²), as :func:`torch.nn.init.normal_`."""
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    seed, out = _begun(tensor, generator)
    if std == 0:
        return constant_(tensor, mean)
    initializers.normal(out.shape, seed, mean=float(mean), std=float(std), dtype=NAMES[tensor.dtype], out=out)
    return _done(tensor)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator = None
) -> Tensor:
    """Fill with N(mean, std²) within [a, b], as :func:`torch.nn.init.trunc_normal_`: by inverting the distribution."""
    low, high = (math.erf((bound - mean) / std / math.sqrt(2.0)) for bound in (a, b))
    with torch.no_grad():
        wide = tensor if tensor.dtype == torch.float64 else torch.empty(tensor.shape, dtype=torch.float32)
        uniform_(wide, low, high, generator).erfinv_().mul_(std * math.sqrt(2.0)).add_(mean).clamp_(a, b)
        return tensor if wide is tensor else tensor.copy_(wide)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill as :func:`torch.nn.init.xavier_uniform_` does."""
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill as :func:`torch.nn.init.xavier_normal_` does."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator = None
) -> Tensor:
    """Fill as :func:`torch.nn.init.kaiming_uniform_` does."""
    bound = math.sqrt(3.0) * _kaiming(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator = None
) -> Tensor:
    """Fill as :func:`torch.nn.init.kaiming_normal_` does."""
    return normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill with an orthogonal matrix times `gain`, as :func:`torch.nn.init.orthogonal_`; products are torch's."""
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    with torch.no_grad():
        wide = normal_(torch.empty(tensor.shape[0], tensor[0].numel(), dtype=_wide(tensor)), generator=generator)
        tall = wide.shape[0] >= wide.shape[1]
        q, r = torch.linalg.qr(wide if tall else wide.t())
        q *= r.diagonal().sign()
        return tensor.copy_((gain * (q if tall else q.t())).reshape(tensor.shape))


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _begun(tensor: Tensor, generator: Generator) -> tuple[int, np.ndarray]:
    """Return a seed of torch's generator, and NumPy's view of the tensor."""
    expect_float(tensor, "tensor")
    return int(torch.randint(0, 2**63 - 1, (), generator=generator)), array(tensor)


def _done(tensor: Tensor) -> Tensor:
    torch.autograd.graph.increment_version(tensor)
    return tensor


def _fans(tensor: Tensor) -> tuple[int, int]:
    return torch.nn.init._calculate_fan_in_and_fan_out(tensor)


def _kaiming(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    """Return the standard deviation."""
    fan: int = torch.nn.init._calculate_correct_fan(tensor, mode)  # type: ignore[arg-type]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)  # type: ignore[arg-type]
