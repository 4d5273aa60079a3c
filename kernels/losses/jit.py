"""Loops of the losses where a plain elementwise loop won't do, for Numba."""

# ruff: noqa: F401 (a kernel is looked for here, and found in the module where it stands)

from fastopt.kernels.losses.jit_categorical import (
    focal_probabilities,
    focal_softmax,
    generalized_crossentropy,
    probabilities,
    probabilities_sparse,
    softmax,
    softmax_sparse,
)
from fastopt.kernels.losses.jit_checks import labels_outside, not_distributions, outside, signs
from fastopt.kernels.losses.jit_planes import softmax_sparse_planes
from fastopt.kernels.losses.jit_rows import categorical_hinge, cosine_proximity, multi_margin, overlap
from fastopt.kernels.losses.jit_stages import (
    drop_ignored,
    drop_rows,
    row_means,
    spread_labels,
    total,
    weigh_classes,
    weigh_gradient,
)
