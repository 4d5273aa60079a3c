"""Functions with the names and arguments of `torch.nn.functional`, on fastopt's kernels."""

from fastopt.torch.functional.losses import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    mse_loss,
    multi_margin_loss,
    smooth_l1_loss,
)
from fastopt.torch.functional.norms import batch_norm, group_norm, instance_norm, layer_norm, rms_norm

__all__ = [
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "group_norm",
    "huber_loss",
    "instance_norm",
    "l1_loss",
    "layer_norm",
    "mse_loss",
    "multi_margin_loss",
    "rms_norm",
    "smooth_l1_loss",
]
