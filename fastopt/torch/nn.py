"""Modules with the names and arguments of `torch.nn`'s, on fastopt's kernels.

Each is torch's own class with another `forward`: parameters, buffers, `state_dict` and `isinstance` are torch's.
"""

from typing import Any

import torch

from fastopt.torch import functional as F

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
        return F.binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)


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
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )  # fmt: skip


class MultiMarginLoss(torch.nn.MultiMarginLoss):
    """:class:`torch.nn.MultiMarginLoss`, value and gradient in one pass."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, self.reduction)


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
        momentum: Any = self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        own = self.training or (self.running_mean is None and self.running_var is None)
        kept = not self.training or self.track_running_stats
        return F.batch_norm(
            input, self.running_mean if kept else None, self.running_var if kept else None, self.weight, self.bias, own,
            0.0 if momentum is None else momentum, self.eps, residual=residual, relu=relu,
        )  # fmt: skip


class BatchNorm1d(_Batch, torch.nn.BatchNorm1d):
    """:class:`torch.nn.BatchNorm1d`; `forward(x, residual=None, relu=False)`."""


class BatchNorm2d(_Batch, torch.nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d`; `forward(x, residual=None, relu=False)`."""


class BatchNorm3d(_Batch, torch.nn.BatchNorm3d):
    """:class:`torch.nn.BatchNorm3d`; `forward(x, residual=None, relu=False)`."""
