"""Keras's normalization layers, forward and backward by fastopt's kernels.

A layer is Keras's of the same name, with its arguments, weights, configuration and results. On the torch backend the
kernels run, and keep what the backward pass needs; a second derivative is refused. Layer and RMS norm of axes that
aren't the last ones work, too, where Keras's own fail under torch. Keras's own code runs on other backends and devices,
for symbolic and empty inputs, batch renormalization, masks beside an axis that isn't the last, `rms_scaling`, and layer
norm of the last axes in float32 and float64, which is torch's own kernel there.

`SpectralNormalization` is Keras's alone: it normalizes a layer's weights, by products of matrices and vectors.
"""

from fastopt.keras.layers.normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)

__all__ = ["BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization"]
