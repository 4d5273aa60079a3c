"""Functions with the names and arguments of `torch.nn.functional`, on fastopt's kernels."""

from fastopt.torch.functional.likelihoods import gaussian_nll_loss, kl_div, poisson_nll_loss, soft_margin_loss
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
    "gaussian_nll_loss",
    "group_norm",
    "huber_loss",
    "instance_norm",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "mse_loss",
    "multi_margin_loss",
    "poisson_nll_loss",
    "rms_norm",
    "smooth_l1_loss",
    "soft_margin_loss",
]
