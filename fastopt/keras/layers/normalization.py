"""The layers: what each asks of the kernels, and when it is left to Keras."""

from importlib import import_module
from typing import Any

import keras
from keras import layers as theirs

host: Any = import_module(
    f"fastopt.keras.layers.{'by_torch' if keras.backend.backend() == 'torch' else 'by_keras'}"
)  # fmt: skip
kept_by_name = keras.saving.register_keras_serializable("fastopt")


@kept_by_name
class BatchNormalization(theirs.BatchNormalization):
    """:class:`keras.layers.BatchNormalization`.

    Examples
    --------
    >>> import keras, fastopt.keras
    >>> layer = fastopt.keras.layers.BatchNormalization()
    >>> y = layer(keras.ops.array([[1.0], [3.0]]), training=True)
    >>> y.detach().numpy().round(3).tolist()  # on the torch backend
    [[-1.0], [1.0]]
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        train = bool(training and self.trainable)
        found = (
            None if self.renorm or self.synchronized else host.batch_norm(self, inputs, train, mask if train else None)
        )
        if found is None:
            return super().call(inputs, training=training, mask=mask)
        return keras.ops.cast(found, self.compute_dtype)


@kept_by_name
class LayerNormalization(theirs.LayerNormalization):
    """:class:`keras.layers.LayerNormalization`."""

    def call(self, inputs: Any) -> Any:
        found = None
        if not self.rms_scaling:
            found = host.row_norm("layer", inputs, self.gamma, self.beta, self.axis, self.epsilon)
        return super().call(inputs) if found is None else keras.ops.cast(found, self.compute_dtype)


@kept_by_name
class RMSNormalization(theirs.RMSNormalization):
    """:class:`keras.layers.RMSNormalization`."""

    def call(self, x: Any) -> Any:
        found = host.row_norm("rms", x, self.scale, None, self.axis, self.epsilon)
        return super().call(x) if found is None else found


@kept_by_name
class GroupNormalization(theirs.GroupNormalization):
    """:class:`keras.layers.GroupNormalization`."""

    def call(self, inputs: Any) -> Any:
        found = host.group_norm(inputs, self.gamma, self.beta, self.axis, self.groups, self.epsilon)
        return super().call(inputs) if found is None else keras.ops.cast(found, self.compute_dtype)


@kept_by_name
class UnitNormalization(theirs.UnitNormalization):
    """:class:`keras.layers.UnitNormalization`. Rows shorter than 1e-11 come out up to 30 % shorter than Keras's."""

    def call(self, inputs: Any) -> Any:
        found = host.unit_norm(inputs, self.axis)
        return super().call(inputs) if found is None else found
