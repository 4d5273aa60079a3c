"""All normalization kernels, ahead of time. jit.py holds the same operations in the same order."""
from fastopt.kernels.normalization import compiled_planes, compiled_rows, compiled_sample

KERNELS = {     # name -> addresses (float32, float64)
    **compiled_planes.KERNELS,
    **compiled_rows.KERNELS,
    **compiled_sample.KERNELS,
}
