"""All metric kernels, ahead of time. The operations are those of rules.py and jit.py, in the same order.

Stages turn a block of inputs into values (numbers to be averaged) or labels (int64); sums end the pipeline.
What is no valid input comes out as NaN among values and as NOT_A_LABEL among labels, and sums count it.
"""
from fastopt.kernels.metrics import compiled_ranks, compiled_sums, compiled_values

KERNELS = {     # name -> addresses (float32, float64)
    **compiled_values.KERNELS,
    **compiled_sums.KERNELS,
    **compiled_ranks.KERNELS,
}
