"""Keras's initializers on counter-based random numbers: the same weights for any number of threads.

A class is Keras's of the same name, with its arguments, configuration and errors; its numbers are others, of the same
distribution. An integer seed gives the same weights in every call, a :class:`keras.random.SeedGenerator` the next ones;
None draws a seed when the initializer is made, which :func:`keras.utils.set_random_seed` rules. `Orthogonal`, whose
time goes into a product of matrices, and what draws nothing (zeros, ones) are Keras's alone.

Types that are no float, no elements, scales that a type can't hold, tensors without memory, and all backends but torch
and numpy are left to Keras's own class. On a device other than the CPU the weights are made on the CPU and copied.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import initializers as theirs
from keras.src.initializers.random_initializers import compute_fans
from keras.src.random.seed_generator import draw_seed

from fastopt.initializers.base import CUT_STD
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.targets import way

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
]

Shape = tuple[int, ...]
FLOATS = ("float16", "bfloat16", "float32", "float64")
kept_by_name = keras.saving.register_keras_serializable("fastopt")  # what a saved model names, loading finds


@kept_by_name
class RandomNormal(theirs.RandomNormal):
    """:class:`keras.initializers.RandomNormal`.

    Examples
    --------
    >>> import fastopt.keras
    >>> first, again = (fastopt.keras.initializers.RandomNormal(seed=1)((2, 3)) for _ in range(2))
    >>> bool((first == again).all())
    True
    """

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        drawn = _normal(shape, dtype, self.seed, self.mean, self.stddev, truncated=False)
        return super().__call__(shape, dtype) if drawn is None else drawn


@kept_by_name
class TruncatedNormal(theirs.TruncatedNormal):
    """:class:`keras.initializers.TruncatedNormal`."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        drawn = _normal(shape, dtype, self.seed, self.mean, self.stddev, truncated=True)
        return super().__call__(shape, dtype) if drawn is None else drawn


@kept_by_name
class RandomUniform(theirs.RandomUniform):
    """:class:`keras.initializers.RandomUniform`."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        drawn = _uniform(shape, dtype, self.seed, self.minval, self.maxval)
        return super().__call__(shape, dtype) if drawn is None else drawn


@kept_by_name
class VarianceScaling(theirs.VarianceScaling):
    """:class:`keras.initializers.VarianceScaling`."""

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        fan_in, fan_out = compute_fans(shape, input_axes=self.input_axes, output_axes=self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        std = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            drawn = _uniform(shape, dtype, self.seed, -math.sqrt(3.0) * std, math.sqrt(3.0) * std)
        elif self.distribution == "truncated_normal":
            drawn = _normal(shape, dtype, self.seed, 0.0, std / CUT_STD, truncated=True)
        else:
            drawn = _normal(shape, dtype, self.seed, 0.0, std, truncated=False)
        return super().__call__(shape, dtype) if drawn is None else drawn


@kept_by_name
class GlorotUniform(VarianceScaling, theirs.GlorotUniform):
    """:class:`keras.initializers.GlorotUniform`."""


@kept_by_name
class GlorotNormal(VarianceScaling, theirs.GlorotNormal):
    """:class:`keras.initializers.GlorotNormal`."""


@kept_by_name
class HeUniform(VarianceScaling, theirs.HeUniform):
    """:class:`keras.initializers.HeUniform`."""


@kept_by_name
class HeNormal(VarianceScaling, theirs.HeNormal):
    """:class:`keras.initializers.HeNormal`."""


@kept_by_name
class LecunUniform(VarianceScaling, theirs.LecunUniform):
    """:class:`keras.initializers.LecunUniform`."""


@kept_by_name
class LecunNormal(VarianceScaling, theirs.LecunNormal):
    """:class:`keras.initializers.LecunNormal`."""


def _normal(shape: Shape, dtype: Any, seed: Any, mean: float, std: float, *, truncated: bool) -> Any:
    """Return a tensor of N(mean, std²), cut at 2 std if `truncated`; None: it is Keras's to make."""
    weights = _empty(shape, dtype)
    if weights is None:
        return None
    info = kinds.finfo(weights.dtype)
    if not (std >= float(info.tiny) and abs(mean) + 10.0 * std <= float(info.max)):
        return None
    way("initializers").normal(weights, _number(seed), float(mean), float(std), truncated)
    return keras.ops.convert_to_tensor(weights.reshape(shape), dtype)


def _uniform(shape: Shape, dtype: Any, seed: Any, low: float, high: float) -> Any:
    """Return a tensor of U[low, high); None: it is Keras's to make."""
    weights = _empty(shape, dtype)
    if weights is None:
        return None
    largest, own = float(kinds.finfo(weights.dtype).max), weights.dtype.type
    if not (max(high - low, abs(low), abs(high)) <= largest and own(low) < own(high)):
        return None
    way("initializers").uniform(weights, _number(seed), float(low), float(high))
    return keras.ops.convert_to_tensor(weights.reshape(shape), dtype)


def _empty(shape: Shape, dtype: Any) -> np.ndarray | None:
    """Return memory for the weights, along one axis; None where kernels can't fill them."""
    kind, size = keras.backend.standardize_dtype(dtype or keras.backend.floatx()), math.prod(shape)
    if keras.backend.backend() not in ("torch", "numpy") or kind not in FLOATS or size == 0 or _without_memory():
        return None
    return np.empty(size, kinds.bfloat16() if kind == "bfloat16" else kind)


def _without_memory() -> bool:
    """Return whether Keras asks for shapes alone."""
    if keras.backend.backend() != "torch":
        return False
    from keras.src.backend.torch.core import get_device

    return str(get_device()) == "meta"


def _number(seed: Any) -> int:
    """Return the next seed, of 64 bits, from Keras's two of 32."""
    low, high = map(int, draw_seed(seed).tolist())
    return (low & 0xFFFFFFFF) | (high & 0xFFFFFFFF) << 32
