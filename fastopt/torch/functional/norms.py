"""Norms with the names, arguments and values of `torch.nn.functional`; ReLU and a residual in the same pass."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as theirs

from fastopt.torch.functional.base import WIDE, expect_float, expect_tensor
from fastopt.torch.functional.operators import traced
from fastopt.torch.functional.passes import batch, sample

Tensor = torch.Tensor


@traced
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


@traced
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


@traced
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
    sizes = [input.shape[0] * channels // num_groups, num_groups, *input.shape[2:]]
    if input.numel() == num_groups:  # as torch: a group of one number is 0, whatever it is
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {sizes}")
    if not input.numel():
        return theirs.group_norm(input, num_groups, weight, bias, eps)
    return _sample("group", num_groups, (channels,), eps, input, weight, bias)


@traced
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
    return sample(norm, groups, shape, float(eps), x, weight, bias)


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


@traced
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
