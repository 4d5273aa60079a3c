"""Initializers for JAX, in the form of jax.nn.initializers: a function of options returns `init(key, shape, dtype)`.

The numbers are our counter-based generator's: a key gives the same weights on every machine, whatever its threads and
devices, and the weights that `fastopt.initializers` gives for the seed `seed_of(key)`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from fastopt.jax import call
from fastopt.kernels.initializers.cpu import BITS, CUT, TAIL
from fastopt.kernels.initializers.kernels import KERNELS
from fastopt.kernels.runtime import pipeline

__all__ = [
    "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform", "normal", "seed_of",
    "truncated_normal", "uniform",
]  # fmt: skip

Init: TypeAlias = Callable[..., jax.Array]
CUT_STD = 0.87962566103423978  # standard deviation of the standard normal distribution cut at 2


def seed_of(key: jax.Array) -> int:
    """Return the seed of `fastopt.initializers` that gives a key's weights.

    Parameters
    ----------
    key : a key of jax.random, new style or raw (2,) uint32; not traced

    Returns
    -------
    int in [0, 2⁶⁴)

    Examples
    --------
    >>> import jax, fastopt.jax
    >>> fastopt.jax.initializers.seed_of(jax.random.key(7))
    30064771072
    """
    low, high = (int(word) for word in np.asarray(_words(key)))
    return low | high << 32


def uniform(scale: float = 1e-2) -> Init:
    """U[0, scale), as jax.nn.initializers.uniform.

    Parameters
    ----------
    scale : float > 0
        Upper bound, in the weights' unit.

    Returns
    -------
    init : callable (key, shape, dtype=float32) -> array
        float32, or float64 where JAX has it. Works with a traced key, under `jit` and `vmap`.

    Raises
    ------
    TypeError, ValueError
        From `init`, if a key, shape or dtype is not as it should be.

    Examples
    --------
    >>> import jax, fastopt.jax
    >>> fastopt.jax.initializers.uniform(1.0)(jax.random.key(0), (2, 3)).shape
    (2, 3)
    """
    return lambda key, shape, dtype=jnp.float32: _uniform(key, shape, dtype, 0.0, scale)


def normal(stddev: float = 1e-2) -> Init:
    """N(0, stddev²), as jax.nn.initializers.normal; otherwise as in :func:`uniform`."""
    return lambda key, shape, dtype=jnp.float32: _normal(key, shape, dtype, stddev, False)


def truncated_normal(stddev: float = 1e-2) -> Init:
    """N(0, stddev²) cut at two stddev, as jax.nn.initializers.truncated_normal; otherwise as in :func:`uniform`."""
    return lambda key, shape, dtype=jnp.float32: _normal(key, shape, dtype, stddev, True)


def glorot_uniform(in_axis: int = -2, out_axis: int = -1) -> Init:
    """U(±√(6 / (fan_in + fan_out))) (Glorot and Bengio 2010, equation 16); otherwise as in :func:`uniform`.

    Parameters
    ----------
    in_axis, out_axis : int
        The axes of the inputs and of the outputs; all others are a receptive field.
    """
    return _scaled(2.0, "average", "uniform", in_axis, out_axis)


def glorot_normal(in_axis: int = -2, out_axis: int = -1) -> Init:
    """Truncated normal of variance 2 / (fan_in + fan_out); otherwise as in :func:`glorot_uniform`."""
    return _scaled(2.0, "average", "normal", in_axis, out_axis)


def he_uniform(in_axis: int = -2, out_axis: int = -1) -> Init:
    """Uniform of variance 2 / fan_in (He and others 2015, equation 10); otherwise as in :func:`glorot_uniform`."""
    return _scaled(2.0, "fan_in", "uniform", in_axis, out_axis)


def he_normal(in_axis: int = -2, out_axis: int = -1) -> Init:
    """Truncated normal of variance 2 / fan_in; otherwise as in :func:`glorot_uniform`."""
    return _scaled(2.0, "fan_in", "normal", in_axis, out_axis)


def lecun_uniform(in_axis: int = -2, out_axis: int = -1) -> Init:
    """Uniform of variance 1 / fan_in (LeCun and others 1998, section 4.6); otherwise as in :func:`glorot_uniform`."""
    return _scaled(1.0, "fan_in", "uniform", in_axis, out_axis)


def lecun_normal(in_axis: int = -2, out_axis: int = -1) -> Init:
    """Truncated normal of variance 1 / fan_in; otherwise as in :func:`glorot_uniform`."""
    return _scaled(1.0, "fan_in", "normal", in_axis, out_axis)


def _scaled(scale: float, fan: str, distribution: str, in_axis: int, out_axis: int) -> Init:
    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        if len(shape) < 2:
            raise ValueError(f"shape: expected at least two axes, inputs and outputs, got {tuple(shape)}")
        field = math.prod(shape) / max(1, shape[in_axis] * shape[out_axis])
        fan_in, fan_out = shape[in_axis] * field, shape[out_axis] * field
        spread = max(1.0, {"fan_in": fan_in, "average": (fan_in + fan_out) / 2}[fan])
        std = math.sqrt(scale / spread) if fan == "fan_in" else math.sqrt(scale / 2.0 / spread)
        if distribution == "normal":
            return _normal(key, shape, dtype, std / CUT_STD, True)
        return _uniform(key, shape, dtype, -math.sqrt(3.0) * std, math.sqrt(3.0) * std)

    return init


def _uniform(key: Any, shape: Sequence[int], dtype: Any, low: float, high: float) -> jax.Array:
    kind = _checked(dtype)
    limit = float(np.nextafter(kind.type(high), kind.type(-np.inf)))
    return _fill("uniform", key, shape, kind, (low, high - low, limit))


def _normal(key: Any, shape: Sequence[int], dtype: Any, std: float, truncated: bool) -> jax.Array:
    kind = _checked(dtype)
    tail, bound = (TAIL, CUT) if truncated else (0.0, math.inf)
    return _fill("normal", key, shape, kind, (0.0, std, tail, (0.5 - tail) / 2.0 ** BITS[str(kind)], bound))


def _checked(dtype: Any) -> np.dtype:
    kind = np.dtype(dtype)
    if kind not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(f"dtype: expected float32 or float64, got {kind}: write init(key, shape).astype({kind})")
    if kind.itemsize == 8 and jax.dtypes.canonicalize_dtype(kind) != kind:
        raise TypeError("dtype: expected float32, got float64: write jax.config.update('jax_enable_x64', True)")
    return kind


def _words(key: Any) -> jax.Array:
    """Return a key's two words."""
    words = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    if words.shape != (2,) or words.dtype != np.uint32:
        raise TypeError(f"key: expected a key of jax.random of two words, got {words.dtype} of shape {words.shape}")
    return words


def _fill(name: str, key: Any, shape: Sequence[int], kind: np.dtype, scalars: tuple[float, ...]) -> jax.Array:
    kernel = KERNELS[name]
    pipe = call.program(((kernel, kernel.buffers, 1),), kernel.buffers, (), str(kind), call.compiled_target())
    with jax.enable_x64(True):  # a kernel's dims have 64 bits, whatever the program's integers have
        seed = _words(key).astype(np.int64)
        (weights,) = call.run(
            pipe,
            (seed,),
            (jax.ShapeDtypeStruct(tuple(shape), kind),),
            [(-1,)],
            per_unit=(1,),
            grain=pipeline.GRAIN,
            block=0,
            dims_at=0,
            scalars=scalars,
            vmap_method="sequential",
        )
    return weights
