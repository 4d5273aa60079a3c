"""The two passes of norms: as autograd functions, and as operators for `torch.compile` and `torch.export`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fastopt.kernels.runtime.targets import way
from fastopt.torch.crew import CREW
from fastopt.torch.functional.base import WIDE, array, once
from fastopt.torch.functional.operators import define, expect_one

Tensor = torch.Tensor


def _array(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else array(tensor)


# ---- layer, RMS and group norm: what is normalized by itself is a part of one sample


def sample_forward(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, norm: str, groups: int, shape: Sequence[int], eps: float
) -> tuple[Tensor, tuple[np.ndarray, ...]]:
    """Return the normalized x and the statistics."""
    y, outer = torch.empty_like(x), _outer(x, groups, shape)
    statistics = way("normalization").sample_forward(
        norm, array(x), _array(gamma), _array(beta), array(y), outer, tuple(shape), groups, eps
    )
    return y, statistics


def sample_backward(
    dy: Tensor, x: Tensor, gamma: Tensor | None, has_beta: bool, statistics: tuple[np.ndarray, ...], norm: str,
    groups: int, shape: Sequence[int],
) -> list[Tensor | None]:  # fmt: skip
    """Return the gradients of x, gamma and beta."""
    dx = torch.empty_like(x)
    found = way("normalization").sample_backward(
        norm, array(dy.to(x.dtype)), array(x), _array(gamma), statistics, array(dx), tuple(shape), groups
    )  # fmt: skip
    dgamma = None if gamma is None else torch.from_numpy(found[0])
    return [dx, dgamma, torch.from_numpy(found[1]) if has_beta else None]


def _outer(x: Tensor, groups: int, shape: Sequence[int]) -> tuple[int, ...]:
    return (x.shape[0], groups) if groups else tuple(x.shape[: x.dim() - len(shape)])


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, norm: str, groups: int, shape: tuple[int, ...], eps: float, x: Tensor, gamma: Any, beta: Any
    ) -> Tensor:
        y, ctx.statistics = sample_forward(x, gamma, beta, norm, groups, shape, eps)
        ctx.save_for_backward(x, gamma)
        ctx.said = norm, groups, shape, beta is not None
        return y

    @staticmethod
    @once
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        norm, groups, shape, has_beta = ctx.said
        x, gamma = ctx.saved_tensors
        found = sample_backward(slopes[0], x, gamma, has_beta, ctx.statistics, norm, groups, shape)
        return None, None, None, None, *found


def _sample_operator(*given: Any) -> list[Tensor]:
    with CREW:
        y, statistics = sample_forward(*given)
    return [y, *map(torch.from_numpy, statistics)]


def _sample_fake(x: Tensor, gamma: Any, beta: Any, norm: str, groups: int, shape: Any, eps: float) -> list[Tensor]:
    statistic = x.new_empty(_outer(x, groups, shape), dtype=torch.float64)
    return [torch.empty_like(x), *[torch.empty_like(statistic) for _ in range(1 if norm == "rms" else 2)]]


def _sample_backward_operator(
    dy: Tensor, x: Tensor, gamma: Any, statistics: list[Tensor], has_beta: bool, *said: Any
) -> list[Tensor]:
    with CREW:
        found = sample_backward(dy, x, gamma, has_beta, tuple(map(array, statistics)), *said)
    return [one for one in found if one is not None]


def _sample_backward_fake(
    dy: Tensor, x: Tensor, gamma: Any, statistics: list[Tensor], has_beta: bool, norm: str, groups: int, shape: Any
) -> list[Tensor]:
    kind = x.dtype if x.dtype in WIDE else torch.float32
    vectors = (gamma is not None) + has_beta
    return [torch.empty_like(x), *[x.new_empty(tuple(shape), dtype=kind) for _ in range(vectors)]]


_SAID = "str norm, SymInt groups, SymInt[] shape"
_SAMPLE = define(
    "sample_norm", f"(Tensor x, Tensor? gamma, Tensor? beta, {_SAID}, float eps) -> Tensor[]",
    _sample_operator, _sample_fake,
)  # fmt: skip
_SAMPLE_BACKWARD = define(
    "sample_norm_backward",
    f"(Tensor dy, Tensor x, Tensor? gamma, Tensor[] statistics, bool has_beta, {_SAID}) -> Tensor[]",
    _sample_backward_operator, _sample_backward_fake,
)  # fmt: skip


def _keep_sample(ctx: Any, inputs: Any, output: list[Tensor]) -> None:
    x, gamma, beta, *said, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, gamma, *output[1:])
    ctx.said = beta is not None, *said


def _backward_of_sample(ctx: Any, slopes: list[Tensor | None]) -> Any:
    (x, gamma, *statistics), (has_beta, *said) = ctx.saved_tensors, ctx.said
    dx, *rest = _SAMPLE_BACKWARD(expect_one(slopes), x, gamma, statistics, has_beta, *said)
    dgamma = None if gamma is None else rest[0]
    return dx, dgamma, rest[-1] if has_beta else None, None, None, None, None


_SAMPLE.register_autograd(_backward_of_sample, setup_context=_keep_sample)


def sample(
    norm: str, groups: int, shape: tuple[int, ...], eps: float, x: Tensor, gamma: Tensor | None, beta: Tensor | None
) -> Tensor:
    """Return the normalized x, whose gradients are known."""
    if torch.compiler.is_compiling():
        found: Tensor = _SAMPLE(x, gamma, beta, norm, groups, shape, eps)[0]
        return found
    result: Tensor = _Sample.apply(norm, groups, shape, eps, x, gamma, beta)
    return result


# ---- batch norm


def batch_forward(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, residual: Tensor | None, said: dict[str, Any]
) -> tuple[Tensor, tuple[np.ndarray, ...]]:
    """Return the normalized x, and what its backward pass needs; running statistics are updated in place."""
    door, running, y = way("normalization"), [_array(one) for one in said["running"]], torch.empty_like(x)
    vectors = _vectors(x, gamma, beta, said["axis"])
    options = {"axis": said["axis"], "activation": said["activation"], "residual": _array(residual), "eps": said["eps"]}
    if said["training"]:
        mean, invstd = door.batch_forward(
            array(x), *vectors, array(y), *running, momentum=said["momentum"], mask=said["mask"],
            biased=said["biased"], **options,
        )  # fmt: skip
    else:
        mean, variance = (array(one).astype(np.float64) for one in said["running"])
        invstd = door.batch_normalize(array(x), *vectors, mean, variance, array(y), **options)
    return y, (mean, invstd)


def batch_backward(
    dy: Tensor, x: Tensor, gamma: Tensor | None, beta: Tensor | None, residual: Tensor | None,
    statistics: tuple[np.ndarray, ...], said: dict[str, Any],
) -> list[Tensor | None]:  # fmt: skip
    """Return the gradients of x, gamma, beta and residual."""
    dx, relu = torch.empty_like(x), said["activation"] is not None
    dresidual = torch.empty_like(residual) if residual is not None and relu else None
    dgamma, dbeta = way("normalization").batch_backward(
        array(dy.to(x.dtype)), array(x), *_vectors(x, gamma, beta, said["axis"]), *statistics, array(dx),
        _array(dresidual), training=said["training"], axis=said["axis"], activation=said["activation"],
        residual=_array(residual), mask=said["mask"],
    )  # fmt: skip
    return [
        dx, None if gamma is None else torch.from_numpy(dgamma), None if beta is None else torch.from_numpy(dbeta),
        dresidual if relu or residual is None else dy,
    ]  # fmt: skip


def _vectors(x: Tensor, gamma: Tensor | None, beta: Tensor | None, axis: int) -> tuple[np.ndarray, np.ndarray]:
    channels, kind = x.shape[axis], x.dtype if x.dtype in WIDE else torch.float32
    return (
        array(torch.ones(channels, dtype=kind) if gamma is None else gamma),
        array(torch.zeros(channels, dtype=kind) if beta is None else beta),
    )


class _Batch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Any, beta: Any, residual: Any, said: dict[str, Any]) -> Tensor:
        y, ctx.statistics = batch_forward(x, gamma, beta, residual, said)
        ctx.save_for_backward(x, gamma, beta, residual)
        ctx.said = said
        return y

    @staticmethod
    @once
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        x, gamma, beta, residual = ctx.saved_tensors
        return *batch_backward(slopes[0], x, gamma, beta, residual, ctx.statistics, ctx.said), None


def _said(running: Any, training: bool, momentum: float, eps: float, relu: bool) -> dict[str, Any]:
    return {
        "running": running, "training": training, "momentum": momentum, "eps": float(eps), "axis": 1, "mask": None,
        "activation": "relu" if relu else None, "biased": False,
    }  # fmt: skip


def _batch_operator(
    x: Tensor, gamma: Any, beta: Any, residual: Any, mean: Any, var: Any, training: bool, *options: Any
) -> list[Tensor]:
    running = [one if one is None or not training else one.clone() for one in (mean, var)]
    with CREW:
        y, statistics = batch_forward(x, gamma, beta, residual, _said(running, training, *options))
    return [y, *map(torch.from_numpy, statistics), *[one for one in running if training and one is not None]]


def _batch_fake(
    x: Tensor, gamma: Any, beta: Any, residual: Any, mean: Any, var: Any, training: bool, *options: Any
) -> list[Tensor]:
    statistics = [x.new_empty(x.shape[1], dtype=torch.float64) for _ in range(2)]
    moved = [torch.empty_like(one) for one in (mean, var) if training and one is not None]
    return [torch.empty_like(x), *statistics, *moved]


def _batch_backward_operator(
    dy: Tensor, x: Tensor, gamma: Any, beta: Any, residual: Any, mean: Tensor, invstd: Tensor, training: bool,
    relu: bool,
) -> list[Tensor]:  # fmt: skip
    with CREW:
        found = batch_backward(
            dy, x, gamma, beta, residual, (array(mean), array(invstd)), _said((), training, 0.0, 0.0, relu)
        )
    return [one for one in found if one is not None and one is not dy]


def _batch_backward_fake(
    dy: Tensor, x: Tensor, gamma: Any, beta: Any, residual: Any, mean: Tensor, invstd: Tensor, training: bool,
    relu: bool,
) -> list[Tensor]:  # fmt: skip
    kind = x.dtype if x.dtype in WIDE else torch.float32
    vectors = [x.new_empty(x.shape[1], dtype=kind) for one in (gamma, beta) if one is not None]
    return [torch.empty_like(x), *vectors, *([torch.empty_like(residual)] if relu and residual is not None else [])]


_GIVEN = "Tensor x, Tensor? gamma, Tensor? beta, Tensor? residual"
_BATCH = define(
    "batch_norm",
    f"({_GIVEN}, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps, bool relu)"
    " -> Tensor[]",
    _batch_operator, _batch_fake,
)  # fmt: skip
_BATCH_BACKWARD = define(
    "batch_norm_backward", f"(Tensor dy, {_GIVEN}, Tensor mean, Tensor invstd, bool training, bool relu) -> Tensor[]",
    _batch_backward_operator, _batch_backward_fake,
)  # fmt: skip


def _keep_batch(ctx: Any, inputs: Any, output: list[Tensor]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:4], *output[1:3])
    ctx.said = inputs[6], inputs[9]


def _backward_of_batch(ctx: Any, slopes: list[Tensor | None]) -> Any:
    dy, given, (training, relu) = expect_one(slopes), ctx.saved_tensors, ctx.said
    found = iter(_BATCH_BACKWARD(dy, *given, training, relu))
    dx, dgamma, dbeta = (None if one is None else next(found) for one in given[:3])
    dresidual = None if given[3] is None else next(found) if relu else dy
    return dx, dgamma, dbeta, dresidual, *[None] * 6


_BATCH.register_autograd(_backward_of_batch, setup_context=_keep_batch)


def batch(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, running: Sequence[Tensor | None], *, training: bool,
    momentum: float, eps: float, axis: int = 1, residual: Tensor | None = None, relu: bool = False,
    mask: Tensor | None = None, biased: bool = False,
) -> Tensor:  # fmt: skip
    """Return batch norm over any axis of channels; nothing is checked. Running statistics are updated in place.

    Parameters
    ----------
    x, gamma, beta, running, training, momentum, eps, residual, relu
        As in :func:`batch_norm`, parameters in the type that the kernels take beside x.
    axis : int
        The channels' axis, from the front.
    mask : bool tensor of x's shape without its channels, or None
        In training: statistics are those of the values where it is True.
    biased : bool
        Whether the running variance takes the biased variance of a batch.
    """
    if torch.compiler.is_compiling():
        y, _, _, *moved = _BATCH(x, gamma, beta, residual, *running, training, momentum, eps, relu)
        for one, value in zip([one for one in running if training and one is not None], moved):
            one.copy_(value.detach())
        return y
    said = _said(running, training, momentum, eps, relu) | {"axis": axis, "biased": biased}
    said["mask"] = None if mask is None else array(mask)
    result: Tensor = _Batch.apply(x, gamma, beta, residual, said)
    if training:
        torch.autograd.graph.increment_version([one for one in running if one is not None])
    return result
