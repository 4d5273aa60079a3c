"""All optimizer kernels, ahead of time: each kinship stands in a compiled_*.pyx.

The formulas are those of rules.py, in the same order of operations.
"""
from fastopt.kernels.optimizers import compiled_adam, compiled_adaptive, compiled_descent, compiled_layers

KERNELS = {     # name -> addresses (float32, float64)
    **compiled_descent.KERNELS,
    **compiled_adam.KERNELS,
    **compiled_adaptive.KERNELS,
    **compiled_layers.KERNELS,
}
