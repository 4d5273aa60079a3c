"""Loops of the metrics that are no plain elementwise loop, for Numba."""

# ruff: noqa: F401 (a kernel is looked for here, and found in the module where it stands)

from fastopt.kernels.metrics.jit_ranks import (
    part,
    part_weighted,
    rank_sums,
    rank_sums_weighted,
    sort_parts,
    sort_parts_weighted,
)
from fastopt.kernels.metrics.jit_sums import (
    binary_counts,
    column_totals,
    counts,
    counts_weighted,
    label_counts,
    ones,
    row_ratios,
    total,
    weighted_total,
)
from fastopt.kernels.metrics.jit_values import (
    above,
    argmax,
    bin_of,
    binary_log_loss,
    in_top_k,
    log_loss,
    one_hot,
    same,
    same_rows,
)
