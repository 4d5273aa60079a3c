"""Normalization: batch, layer, RMS, group and instance norm, each as two functions, and as a layer that keeps its
parameters, statistics and gradients.

Semantics are PyTorch's. Batch norm's channel is axis 1 unless `channel_axis` says otherwise, and every other axis is
reduced: (N, C), (N, C, L), (N, C, H, W) and (N, C, D, H, W), or channels-last with channel_axis=-1.

Where several processes share a batch, its parts come apart: each takes `batch_norm_stats`, all agree by `merge_stats`,
and each applies them (`batch_norm_apply`); backward, sums over all of `batch_norm_gradient_sums` go to each one's
`batch_norm_gradient_apply`.
"""

from fastopt.normalization.batch import batch_norm_backward, batch_norm_forward
from fastopt.normalization.batch_layer import BatchNorm
from fastopt.normalization.batch_parts import (
    batch_norm_apply,
    batch_norm_gradient_apply,
    batch_norm_gradient_sums,
    batch_norm_stats,
    merge_stats,
)
from fastopt.normalization.groups import (
    group_norm_backward,
    group_norm_forward,
    instance_norm_backward,
    instance_norm_forward,
)
from fastopt.normalization.rows import (
    layer_norm_backward,
    layer_norm_forward,
    rms_norm_backward,
    rms_norm_forward,
)
from fastopt.normalization.sample_layers import GroupNorm, InstanceNorm, LayerNorm, RMSNorm

__all__ = [
    "BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "RMSNorm", "batch_norm_apply", "batch_norm_backward",
    "batch_norm_forward", "batch_norm_gradient_apply", "batch_norm_gradient_sums", "batch_norm_stats",
    "group_norm_backward", "group_norm_forward", "instance_norm_backward", "instance_norm_forward",
    "layer_norm_backward", "layer_norm_forward", "merge_stats", "rms_norm_backward", "rms_norm_forward",
]  # fmt: skip
