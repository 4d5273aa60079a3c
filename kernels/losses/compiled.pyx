"""All loss kernels, ahead of time. The formulas are those of rules.py, pieces.py and jit.py, in the same order of operations.

Every loss kernel writes the gradient (times `scale`) and the value: one per element (elementwise losses), or one per row
(softmax, probabilities, cosine). Small kernels behind it turn values into row means, weigh rows, and add up.
"""
from fastopt.kernels.losses import (
    compiled_binary, compiled_categorical, compiled_checks, compiled_planes, compiled_regression, compiled_rows,
    compiled_stages,
)

KERNELS = {     # name -> addresses (float32, float64)
    **compiled_regression.KERNELS,
    **compiled_binary.KERNELS,
    **compiled_categorical.KERNELS,
    **compiled_rows.KERNELS,
    **compiled_planes.KERNELS,
    **compiled_stages.KERNELS,
    **compiled_checks.KERNELS,
}
