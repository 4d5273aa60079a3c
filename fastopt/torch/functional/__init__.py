"""Functions with the names and arguments of `torch.nn.functional`, on fastopt's kernels."""

from fastopt.torch.functional.binary import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    hinge_embedding_loss,
    soft_margin_loss,
)
from fastopt.torch.functional.elements import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from fastopt.torch.functional.likelihoods import gaussian_nll_loss, kl_div, poisson_nll_loss
from fastopt.torch.functional.linear import linear_cross_entropy
from fastopt.torch.functional.norms import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from fastopt.torch.functional.rows import cosine_embedding_loss, cross_entropy, multi_margin_loss, nll_loss

__all__ = [
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "gaussian_nll_loss",
    "group_norm",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "linear_cross_entropy",
    "mse_loss",
    "multi_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "rms_norm",
    "smooth_l1_loss",
    "soft_margin_loss",
]
