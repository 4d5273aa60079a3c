"""Norms with the names, arguments and values of `torch.nn.functional`; ReLU and a residual in the same pass."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as theirs

from fastopt.kernels.runtime.targets import way
from fastopt.torch.functional.base import WIDE, array, expect_float, expect_tensor, once, opaque

Tensor = torch.Tensor


class _Sample(torch.autograd.Function):
    """Layer, RMS and group norm: what is normalized by itself is a part of one sample."""

    @staticmethod
    def forward(
        ctx: Any, norm: str, groups: int, shape: tuple[Any, ...], eps: float, x: Tensor, gamma: Any, beta: Any
    ) -> Tensor:
        y = torch.empty_like(x)
        outer = (x.shape[0], groups) if groups else tuple(x.shape[: x.dim() - len(shape)])
        vectors = [None if one is None else array(one) for one in (gamma, beta)]
        statistics = way("normalization").sample_forward(
            norm, array(x), *vectors, array(y), outer, shape, groups, eps
        )  # fmt: skip
        ctx.save_for_backward(x, gamma)
        ctx.said, ctx.statistics = (norm, groups, shape, gamma is not None, beta is not None), statistics
        return y

    @staticmethod
    @once
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        (dy,), (x, gamma) = slopes, ctx.saved_tensors
        norm, groups, shape, has_gamma, has_beta = ctx.said
        dx = torch.empty_like(x)
        vector = None if gamma is None else array(gamma)
        found = way("normalization").sample_backward(
            norm, array(dy.to(x.dtype)), array(x), vector, ctx.statistics, array(dx), shape, groups
        )  # fmt: skip
        dgamma = torch.from_numpy(found[0]) if has_gamma else None
        dbeta = torch.from_numpy(found[1]) if has_beta else None
        return None, None, None, None, dx, dgamma, dbeta


@opaque
def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.layer_norm`; parameters may be float32 beside an input in 16 bits.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> fastopt.torch.functional.layer_norm(torch.tensor([[1.0, 3.0]]), [2]).round(decimals=3)
    tensor([[-1.,  1.]])
    """
    shape = _expect_shape(input, normalized_shape)
    if not input.numel():
        return theirs.layer_norm(input, list(shape), weight, bias, eps)
    return _sample("layer", 0, shape, eps, input, weight, bias)


@opaque
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """:func:`torch.nn.functional.rms_norm`; the parameter may be float32 beside an input in 16 bits."""
    shape = _expect_shape(input, normalized_shape)
    if eps is None:
        eps = torch.finfo(input.dtype if input.dtype in WIDE else torch.float32).eps
    if not input.numel():
        return theirs.rms_norm(input, list(shape), weight, eps)
    return _sample("rms", 0, shape, eps, input, weight, None)


@opaque
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """:func:`torch.nn.functional.group_norm`; parameters may be float32 beside an input in 16 bits."""
    expect_float(input, "input")
    if input.dim() < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.dim()}")
    channels = input.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(input.shape)} and num_groups={num_groups}"
        )
    if not input.numel():
        return theirs.group_norm(input, num_groups, weight, bias, eps)
    return _sample("group", num_groups, (channels,), eps, input, weight, bias)


@opaque
def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.instance_norm`; parameters may be float32 beside an input in 16 bits.

    Running statistics are moved by the mean over the samples of their own ones, as torch's.
    """
    expect_float(input, "input")
    if input.dim() < 2:
        raise RuntimeError(f"input: expected at least 2 axes, got shape {tuple(input.shape)}")
    samples, channels, *space = input.shape
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats=False")
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if math.prod(space) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    _expect_running(input, running_mean, running_var)
    if not input.numel():
        return theirs.instance_norm(input, running_mean, running_var, weight, bias, True, momentum, eps)
    if running_mean is None and running_var is None:
        return _sample("group", channels, (channels,), eps, input, weight, bias)
    # Every sample's channel is a channel of its own, of one batch; so is its running statistic, for this call.
    vectors = [_vector(one, name, input, (channels,)) for one, name in ((weight, "weight"), (bias, "bias"))]
    gamma, beta, mean, var = (
        None if one is None else one.repeat(samples) for one in (*vectors, running_mean, running_var)
    )
    as_channels = input.reshape(1, samples * channels, *space)
    y = batch(as_channels, gamma, beta, (mean, var), training=True, momentum=momentum, eps=eps)
    with torch.no_grad():
        for running, own in ((running_mean, mean), (running_var, var)):
            if running is not None and own is not None:
                running.copy_(own.reshape(samples, channels).mean(0))
    return y.reshape(input.shape)


def _sample(norm: str, groups: int, shape: tuple[Any, ...], eps: float, x: Tensor, weight: Any, bias: Any) -> Tensor:
    weight, bias = _vector(weight, "weight", x, shape), _vector(bias, "bias", x, shape)
    result: Tensor = _Sample.apply(norm, groups, shape, float(eps), x, weight, bias)
    return result


def _expect_shape(input: Tensor, normalized_shape: Sequence[int]) -> tuple[int, ...]:
    expect_float(input, "input")
    shape = tuple(normalized_shape)
    if not shape:
        raise RuntimeError("Expected normalized_shape to be at least 1-dimensional, got ()")
    if tuple(input.shape[input.dim() - len(shape) :]) != shape or input.dim() < len(shape):
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but "
            f"got input of size {list(input.shape)}"
        )
    return shape


def _vector(value: Tensor | None, name: str, x: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """Return a parameter in the type that the kernels take beside x."""
    if value is None:
        return None
    expect_float(value, name)
    if tuple(value.shape) != shape:
        raise RuntimeError(f"Expected {name} to be of shape {list(shape)}, but got {name} of shape {list(value.shape)}")
    return value.to(x.dtype if x.dtype in WIDE else torch.float32)


def _expect_running(x: Tensor, *running: Tensor | None) -> None:
    """Raise unless running mean and variance are given both, or neither, as the kernels take them beside x."""
    channels, kind = x.shape[1], x.dtype if x.dtype in WIDE else torch.float32
    if (running[0] is None) != (running[1] is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    for name, one in zip(("running_mean", "running_var"), running):
        if one is None:
            continue
        expect_float(one, name)
        if tuple(one.shape) != (channels,) or one.dtype != kind:
            raise RuntimeError(f"{name}: expected {kind} of shape ({channels},), got {one.dtype} of {tuple(one.shape)}")


# ---- batch norm


class _Batch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Any, beta: Any, residual: Any, said: dict[str, Any]) -> Tensor:
        channels, kind = x.shape[said["axis"]], x.dtype if x.dtype in WIDE else torch.float32
        gamma_array = array(torch.ones(channels, dtype=kind) if gamma is None else gamma)
        beta_array = array(torch.zeros(channels, dtype=kind) if beta is None else beta)
        y = torch.empty_like(x)
        options = {
            "axis": said["axis"], "activation": said["activation"],
            "residual": None if residual is None else array(residual),
        }  # fmt: skip
        door, running = way("normalization"), [None if one is None else array(one) for one in said["running"]]
        if said["training"]:
            mean, invstd = door.batch_forward(
                array(x),
                gamma_array,
                beta_array,
                array(y),
                *running,
                momentum=said["momentum"],
                eps=said["eps"],
                mask=said["mask"],
                biased=said["biased"],
                **options,
            )
        else:
            mean, variance = (array(one).astype(np.float64) for one in said["running"])
            invstd = door.batch_normalize(
                array(x), gamma_array, beta_array, mean, variance, array(y), eps=said["eps"], **options
            )
        ctx.save_for_backward(x, residual, gamma, beta)
        ctx.kept, ctx.said = (gamma_array, beta_array, mean, invstd), said
        return y

    @staticmethod
    @once
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        (dy,), (x, residual, gamma, beta), said = slopes, ctx.saved_tensors, ctx.said
        dx = torch.empty_like(x)
        relu = said["activation"] is not None
        dresidual = torch.empty_like(residual) if residual is not None and relu else None
        dgamma, dbeta = way("normalization").batch_backward(
            array(dy.to(x.dtype)), array(x), *ctx.kept, array(dx), None if dresidual is None else array(dresidual),
            training=said["training"], axis=said["axis"], activation=said["activation"],
            residual=None if residual is None else array(residual), mask=said["mask"],
        )  # fmt: skip
        if residual is not None and not relu:
            dresidual = dy
        gradients = (
            None if gamma is None else torch.from_numpy(dgamma), None if beta is None else torch.from_numpy(dbeta),
        )  # fmt: skip
        return dx, *gradients, dresidual, None


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
    said = {
        "training": training, "momentum": momentum, "eps": float(eps), "running": running,
        "activation": "relu" if relu else None, "axis": axis, "mask": None if mask is None else array(mask),
        "biased": biased,
    }  # fmt: skip
    result: Tensor = _Batch.apply(x, gamma, beta, residual, said)
    if training:
        torch.autograd.graph.increment_version([one for one in running if one is not None])
    return result


@opaque
def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5, *,
    residual: Tensor | None = None, relu: bool = False,
) -> Tensor:  # fmt: skip
    """:func:`torch.nn.functional.batch_norm`, of 1, 2 or 3 axes of space; channels-last is walked as it lies.

    Parameters
    ----------
    input, running_mean, running_var, weight, bias, training, momentum, eps
        As torch's; parameters and running statistics are float32 beside an input in 16 bits.
    residual : tensor like `input`, optional
        Added to the result, before the ReLU.
    relu : bool, default False
        Whether the result is cut off below 0.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> fastopt.torch.functional.batch_norm(x, None, None, training=True, relu=True).round(decimals=3)
    tensor([[0.],
            [1.]])
    """
    expect_float(input, "input")
    if input.dim() < 2 or not input.numel():
        y = theirs.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
        y = y if residual is None else y + residual
        return torch.relu(y) if relu else y
    channels, running = input.shape[1], (running_mean, running_var)
    if training and input.numel() == channels:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
    if training and not eps > 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if not eps >= 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    _expect_running(input, *running)
    if residual is not None:
        expect_tensor(residual, "residual")
    if residual is not None and (residual.shape != input.shape or residual.dtype != input.dtype):
        raise RuntimeError(f"residual: expected {input.dtype} of shape {tuple(input.shape)}, got {residual.dtype} of "
                           f"{tuple(residual.shape)}")  # fmt: skip
    weight, bias = _vector(weight, "weight", input, (channels,)), _vector(bias, "bias", input, (channels,))
    return batch(
        input, weight, bias, running, training=training, momentum=momentum, eps=eps, residual=residual, relu=relu
    )
