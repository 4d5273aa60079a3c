"""Optimizers that torch has not, in torch, from their papers: one call for all tensors wherever there is one."""

from collections.abc import Callable
from typing import Any


def lion(
    params: list[Any], grads: list[Any], lr: float, betas: tuple[float, float], weight_decay: float
) -> Callable[[], None]:
    import torch

    averages = [torch.zeros_like(param) for param in params]

    def step():
        direction = torch._foreach_lerp(averages, grads, 1.0 - betas[0])
        torch._foreach_sign_(direction)
        if weight_decay:
            torch._foreach_mul_(params, 1.0 - lr * weight_decay)
        torch._foreach_add_(params, direction, alpha=-lr)
        torch._foreach_lerp_(averages, grads, 1.0 - betas[1])

    return step


def lamb(
    params: list[Any], grads: list[Any], lr: float, betas: tuple[float, float], eps: float, weight_decay: float
) -> Callable[[], None]:
    import torch

    averages = [torch.zeros_like(param) for param in params]
    squares = [torch.zeros_like(param) for param in params]
    steps = 0

    def step():
        nonlocal steps
        steps += 1
        torch._foreach_lerp_(averages, grads, 1.0 - betas[0])
        torch._foreach_mul_(squares, betas[1])
        torch._foreach_addcmul_(squares, grads, grads, 1.0 - betas[1])
        divisor = torch._foreach_sqrt(squares)
        torch._foreach_mul_(divisor, (1.0 - betas[0] ** steps) / (1.0 - betas[1] ** steps) ** 0.5)
        torch._foreach_add_(divisor, eps * (1.0 - betas[0] ** steps))
        direction = torch._foreach_div(averages, divisor)
        if weight_decay:
            torch._foreach_add_(direction, params, alpha=weight_decay)
        lengths, strides = torch._foreach_norm(params), torch._foreach_norm(direction)
        for param, length, stride, each in zip(params, lengths, strides, direction, strict=True):
            ratio = float(length / stride) if length > 0 and stride > 0 else 1.0
            param.add_(each, alpha=-lr * ratio)

    return step


def lars(
    params: list[Any],
    grads: list[Any],
    lr: float,
    momentum: float,
    weight_decay: float,
    trust_coefficient: float,
    eps: float,
    nesterov: bool,
) -> Callable[[], None]:
    import torch

    buffers = [torch.zeros_like(param) for param in params]

    def step():
        lengths, slopes = torch._foreach_norm(params), torch._foreach_norm(grads)
        for param, grad, buffer, length, slope in zip(params, grads, buffers, lengths, slopes, strict=True):
            ratio = trust_coefficient * float(length / (slope + weight_decay * length + eps))
            buffer.mul_(momentum).add_(grad, alpha=lr * ratio)
            if weight_decay:
                buffer.add_(param, alpha=lr * ratio * weight_decay)
            param.sub_(buffer)

    return step


PAPERS: dict[str, Callable[..., Callable[[], None]]] = {"Lion": lion, "LAMB": lamb, "LARS": lars}
