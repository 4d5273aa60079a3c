"""Losses for JAX: the value and its gradient in one pass, kept from the forward for the backward."""

from fastopt.jax.losses.linear import linear_cross_entropy
from fastopt.jax.losses.softmax import softmax_cross_entropy, softmax_cross_entropy_with_integer_labels

__all__ = ["linear_cross_entropy", "softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels"]
