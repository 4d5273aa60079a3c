"""Several processes, on torch's own engine: batch norm of a batch that they share, and metrics of all of them."""

from typing import Any

import numpy as np
import torch
from torch import distributed

from fastopt.kernels.runtime.targets import way
from fastopt.metrics.base import Metric
from fastopt.torch.functional.base import WIDE, array, expect_float, once, opaque

Tensor = torch.Tensor
PLAIN: dict[str, Any] = {"axis": 1, "activation": None, "residual": None}


class _Synced(torch.autograd.Function):
    """Batch norm by the statistics of all processes: one all-reduce forward, and one backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, said: dict[str, Any]) -> Tensor:
        door, channels, y = way("normalization"), x.shape[1], torch.empty_like(x)
        count, mean, square = x.numel() // channels, np.zeros(channels), np.zeros(channels)
        if count:
            mean, variance = door.batch_statistics(array(x), axis=1)
            square = variance + mean * mean
        sums = np.concatenate([[count], count * mean, count * square])
        distributed.all_reduce(torch.from_numpy(sums), group=said["group"])
        total, mean = float(sums[0]), sums[1 : 1 + channels] / sums[0]
        variance = np.maximum(sums[1 + channels :] / sums[0] - mean * mean, 0.0)
        if total < 2:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {x.shape}")
        for running, value in zip(said["running"], (mean, variance * (total / (total - 1)))):
            if running is not None:
                running.lerp_(torch.from_numpy(value).to(running.dtype), said["momentum"])
        vectors, invstd = (array(gamma), array(beta)), 1.0 / np.sqrt(variance + said["eps"])
        if count:
            door.batch_normalize(array(x), *vectors, mean, variance, array(y), eps=said["eps"], **PLAIN)
        ctx.save_for_backward(x)
        ctx.kept, ctx.total, ctx.group = (*vectors, mean, invstd), total, said["group"]
        return y

    @staticmethod
    @once
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        (dy,), (x,), door = slopes, ctx.saved_tensors, way("normalization")
        dx, given = torch.empty_like(x), (array(dy.to(x.dtype)), array(x), *ctx.kept)
        sums = door.batch_gradient_sums(*given, **PLAIN) if x.numel() else np.zeros((2, x.shape[1]))
        dbeta, dgamma = torch.from_numpy(sums.astype(ctx.kept[0].dtype))
        distributed.all_reduce(torch.from_numpy(sums), group=ctx.group)
        if x.numel():
            door.batch_gradient(*given, sums, int(ctx.total), array(dx), None, training=True, **PLAIN)
        return dx, dgamma, dbeta, None


@opaque
def synced_batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None,
    bias: Tensor | None, momentum: float, eps: float, group: Any,
) -> Tensor:  # fmt: skip
    """Batch norm in training, by the statistics of the batches of all processes of a group.

    Each process may have a batch of another size. The gradients of weight and bias are those of this process's batch,
    as torch's are, for DistributedDataParallel to add up.
    """
    expect_float(input, "input")
    channels, kind = input.shape[1], input.dtype if input.dtype in WIDE else torch.float32
    said = {"running": (running_mean, running_var), "momentum": momentum, "eps": float(eps), "group": group}
    gamma = torch.ones(channels, dtype=kind) if weight is None else weight.to(kind)
    beta = torch.zeros(channels, dtype=kind) if bias is None else bias.to(kind)
    result: Tensor = _Synced.apply(input, gamma, beta, said)
    return result


def merge_metric(metric: Metric, group: Any = None) -> None:
    """Take into a metric what those of the other processes of a group have seen, in every process.

    Parameters
    ----------
    metric : fastopt.metrics.Metric
        Of the same class and options in every process. Its `result` is that of all processes' batches afterwards, so
        merge once, before it is read.
    group : torch.distributed.ProcessGroup, optional
        None: all processes.

    Raises
    ------
    TypeError, ValueError
        If the processes' metrics differ in class or options.

    Examples
    --------
    In a process started by torchrun::

        accuracy = fastopt.metrics.Accuracy()
        accuracy.update_state(labels.numpy(), predictions.numpy())  # this process's batches
        fastopt.torch.merge_metric(accuracy)
        print(accuracy.result())  # that of all processes' batches, the same in each
    """
    found: list[Any] = [None] * distributed.get_world_size(group)
    distributed.all_gather_object(found, metric, group=group)
    metric.reset_state()
    for each in found:
        metric.merge_state(each)
