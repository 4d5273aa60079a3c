"""Modules with the names and arguments of `torch.nn`'s, on fastopt's kernels.

Each is torch's own class with another `forward`: parameters, buffers, `state_dict` and `isinstance` are torch's.
"""

from typing import Any

import torch

from fastopt.torch import functional as F
from fastopt.torch.distributed import synced_batch_norm

Tensor = torch.Tensor


# ---- losses


class MSELoss(torch.nn.MSELoss):
    """:class:`torch.nn.MSELoss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(torch.nn.L1Loss):
    """:class:`torch.nn.L1Loss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class HuberLoss(torch.nn.HuberLoss):
    """:class:`torch.nn.HuberLoss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class SmoothL1Loss(torch.nn.SmoothL1Loss):
    """:class:`torch.nn.SmoothL1Loss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class BCEWithLogitsLoss(torch.nn.BCEWithLogitsLoss):
    """:class:`torch.nn.BCEWithLogitsLoss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """:class:`torch.nn.CrossEntropyLoss`, value and gradient in one pass.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> loss = fastopt.torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    >>> round(loss(torch.zeros(2, 4), torch.tensor([1, 3])).item(), 4)
    1.3863
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )  # fmt: skip


class MultiMarginLoss(torch.nn.MultiMarginLoss):
    """:class:`torch.nn.MultiMarginLoss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class BCELoss(torch.nn.BCELoss):
    """:class:`torch.nn.BCELoss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class SoftMarginLoss(torch.nn.SoftMarginLoss):
    """:class:`torch.nn.SoftMarginLoss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class HingeEmbeddingLoss(torch.nn.HingeEmbeddingLoss):
    """:class:`torch.nn.HingeEmbeddingLoss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class KLDivLoss(torch.nn.KLDivLoss):
    """:class:`torch.nn.KLDivLoss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(torch.nn.PoissonNLLLoss):
    """:class:`torch.nn.PoissonNLLLoss`, value and gradient in one pass where rates are logarithms."""

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(
            log_input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction
        )  # fmt: skip


class GaussianNLLLoss(torch.nn.GaussianNLLLoss):
    """:class:`torch.nn.GaussianNLLLoss`, value and all gradients in one pass."""

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


# ---- norms


class LayerNorm(torch.nn.LayerNorm):
    """:class:`torch.nn.LayerNorm`; parameters may be float32 beside an input in 16 bits."""

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(torch.nn.RMSNorm):
    """:class:`torch.nn.RMSNorm`; the parameter may be float32 beside an input in 16 bits."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)


class GroupNorm(torch.nn.GroupNorm):
    """:class:`torch.nn.GroupNorm`; parameters may be float32 beside an input in 16 bits."""

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


class _Batch(torch.nn.modules.batchnorm._BatchNorm):
    """Batch norm; `forward` may add a residual and cut off below 0 in the same pass."""

    def forward(self, input: Tensor, residual: Tensor | None = None, relu: bool = False) -> Tensor:
        self._check_input_dim(input)
        return _batch_norm(self, input, residual, relu)


def _momentum(module: Any) -> float:
    """Count a batch in training, and return its share in the running statistics."""
    if module.training and module.track_running_stats and module.num_batches_tracked is not None:
        module.num_batches_tracked.add_(1)
        if module.momentum is None:
            return 1.0 / float(module.num_batches_tracked)
    return 0.0 if module.momentum is None else module.momentum


def _batch_norm(module: Any, input: Tensor, residual: Tensor | None = None, relu: bool = False) -> Tensor:
    own = module.training or (module.running_mean is None and module.running_var is None)
    kept = not module.training or module.track_running_stats
    return F.batch_norm(
        input, module.running_mean if kept else None, module.running_var if kept else None, module.weight, module.bias,
        own, _momentum(module), module.eps, residual=residual, relu=relu,
    )  # fmt: skip


class BatchNorm1d(_Batch, torch.nn.BatchNorm1d):
    """:class:`torch.nn.BatchNorm1d`; `forward(x, residual=None, relu=False)`."""


class BatchNorm2d(_Batch, torch.nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d`; `forward(x, residual=None, relu=False)`."""


class BatchNorm3d(_Batch, torch.nn.BatchNorm3d):
    """:class:`torch.nn.BatchNorm3d`; `forward(x, residual=None, relu=False)`."""


class SyncBatchNorm(torch.nn.SyncBatchNorm):
    """:class:`torch.nn.SyncBatchNorm`, which takes tensors of the CPU here: one all-reduce forward, and one backward.

    Without other processes it is batch norm. ``torch.nn.SyncBatchNorm.convert_sync_batchnorm`` makes a model's batch
    norms torch's, and :func:`fastopt.torch.accelerate` makes them these.
    """

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        self._check_non_zero_input_channels(input)
        group = self.process_group or torch.distributed.group.WORLD if torch.distributed.is_initialized() else None
        if not self.training or group is None or torch.distributed.get_world_size(group) == 1:
            return _batch_norm(self, input)
        running = (self.running_mean, self.running_var) if self.track_running_stats else (None, None)
        return synced_batch_norm(input, *running, self.weight, self.bias, _momentum(self), self.eps, group)


class _Instance(torch.nn.modules.instancenorm._InstanceNorm):
    def _apply_instance_norm(self, input: Tensor) -> Tensor:
        own = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        return F.instance_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, own, momentum, self.eps
        )  # fmt: skip


class InstanceNorm1d(_Instance, torch.nn.InstanceNorm1d):
    """:class:`torch.nn.InstanceNorm1d`; parameters may be float32 beside an input in 16 bits."""


class InstanceNorm2d(_Instance, torch.nn.InstanceNorm2d):
    """:class:`torch.nn.InstanceNorm2d`; parameters may be float32 beside an input in 16 bits."""


class InstanceNorm3d(_Instance, torch.nn.InstanceNorm3d):
    """:class:`torch.nn.InstanceNorm3d`; parameters may be float32 beside an input in 16 bits."""
