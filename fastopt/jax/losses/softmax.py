"""Softmax cross-entropy for JAX: the value and its gradient in one pass, kept from the forward for the backward."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fastopt.jax import call
from fastopt.kernels.losses import cpu, formulas
from fastopt.kernels.runtime import pipeline

__all__ = ["softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels"]

FLOATS = ("float32", "float64", "bfloat16", "float16")  # 16 bits are computed in float32
OUT = 3  # the slot of the gradient
IGNORED = -1  # stands for a label that is no class


def softmax_cross_entropy_with_integer_labels(
    logits: jax.Array, labels: jax.Array, axis: int = -1, *, reuse_logits: bool = False
) -> jax.Array:
    """Cross-entropy of each sample's softmax with its label: −log softmax(logits)[label].

    Parameters
    ----------
    logits : float32, bfloat16, float16 (or float64) array (..., classes)
    labels : integer array of the shape of `logits` without `axis`
        From 0 to classes − 1; negative ones count from the end, as NumPy's do.
    axis : int, default -1
        The axis of the classes.
    reuse_logits : bool, default False
        Let the gradient take the logits' memory. Right where nothing else needs them: XLA makes a copy where something
        does, which costs a pass.

    Returns
    -------
    array of the shape of `labels`
        float32 for 16-bit logits, otherwise of their type. NaN, with a gradient of 0, where a label is no class.

    Raises
    ------
    TypeError, ValueError
        If a type or shape is not as it should be.

    Notes
    -----
    As optax's, but for two things: it has no `where` and no axes in a tuple, and 16-bit logits give float32 values
    where optax's stay in 16 bits. Gradients of gradients are refused by JAX.

    Examples
    --------
    >>> import jax.numpy as jnp, fastopt.jax
    >>> print(fastopt.jax.losses.softmax_cross_entropy_with_integer_labels(jnp.zeros((1, 4)), jnp.array([2])))
    [1.3862944]
    """
    logits, labels = _floats(logits), jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels: expected integers, got {labels.dtype}: write softmax_cross_entropy for distributions")
    logits = jnp.moveaxis(logits, axis, -1)
    if labels.shape != logits.shape[:-1]:
        raise ValueError(f"labels: expected shape {logits.shape[:-1]}, that of logits without axis, got {labels.shape}")
    return _sparse(logits, labels, bool(reuse_logits))


def softmax_cross_entropy(
    logits: jax.Array, labels: jax.Array, axis: int = -1, *, reuse_logits: bool = False
) -> jax.Array:
    """Cross-entropy of each sample's softmax with a distribution: −Σ labels · log softmax(logits).

    Parameters
    ----------
    logits : float32, bfloat16, float16 (or float64) array (..., classes)
    labels : array of the shape of `logits`
        Distributions over the classes; cast to the logits' type.
    axis, reuse_logits
        As in :func:`softmax_cross_entropy_with_integer_labels`.

    Returns
    -------
    array of the shape of `logits` without `axis`

    Raises
    ------
    TypeError, ValueError
        If a type or shape is not as it should be.

    Notes
    -----
    As optax's, without `where` and axes in a tuple. Labels have a gradient, too, which costs XLA's own pass.

    Examples
    --------
    >>> import jax.numpy as jnp, fastopt.jax
    >>> print(fastopt.jax.losses.softmax_cross_entropy(jnp.zeros((1, 2)), jnp.array([[0.5, 0.5]])))
    [0.6931472]
    """
    logits, labels = _floats(logits), jnp.asarray(labels)
    if labels.shape != logits.shape:
        raise ValueError(f"labels: expected the shape of logits, {logits.shape}, got {labels.shape}")
    labels = labels.astype(logits.dtype)
    return _dense(jnp.moveaxis(logits, axis, -1), jnp.moveaxis(labels, axis, -1), bool(reuse_logits))


def _floats(logits: Any) -> jax.Array:
    logits = jnp.asarray(logits)
    if str(logits.dtype) not in FLOATS:
        raise TypeError(f"logits: expected float32, float64, bfloat16 or float16, got {logits.dtype}")
    if logits.ndim == 0 or 0 in logits.shape:
        raise ValueError(f"logits: expected at least one sample of at least one class, got shape {logits.shape}")
    return logits


def _compute(dtype: Any) -> np.dtype:
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def _run(formula: formulas.Formula, logits: jax.Array, labels: jax.Array, wanted: bool, reuse: bool) -> tuple[Any, ...]:
    """Return each sample's value, and its gradient where it is wanted."""
    columns, stored = logits.shape[-1], str(logits.dtype) if logits.dtype.itemsize == 2 else ""
    compute = _compute(logits.dtype)
    way = cpu.way_of(formula, columns, compute.itemsize, wanted, False, False, False)
    arrays = ("y_pred", "y_true", "values", *(("out",) if wanted else ()))
    decoded = tuple(
        pipeline.Packed(slot, compute.itemsize, columns, -1, slot != OUT, stored=stored)
        for slot, array in ((0, logits), (1, labels), (OUT, logits))
        if array.dtype.itemsize == 2 and slot < len(arrays)
    )
    scratch = tuple(way.scratch.items())
    pipe = call.program(way.stages, arrays, scratch, str(compute), call.compiled_target(), decoded)
    values = jax.ShapeDtypeStruct(logits.shape[:-1], compute)
    gradient = jax.ShapeDtypeStruct(logits.shape, logits.dtype)
    found = call.run(
        pipe,
        (logits, labels),
        (values, gradient) if wanted else (values,),
        [(0, 1, -1, -2) if wanted else (0, 1, -1)],
        per_unit=(columns,),
        grain=way.grain,
        block=way.block,
        dims=(way.dims,),
        scalars=(1.0 / way.divisor, *formula.scalars, formula.soft_cap, *formula.smooth),
        aliases={0: 1} if wanted and reuse else None,
        vmap_method="broadcast_all",
    )
    return tuple(found)


def of_labels(logits: jax.Array, labels: jax.Array, wanted: bool, reuse: bool) -> tuple[Any, ...]:
    """Return each sample's value, and its gradient where it is wanted, in the logits' memory if that may be reused."""
    columns = logits.shape[-1]
    with jax.enable_x64(True):  # the kernel's labels have 64 bits, whatever the program's integers have
        labels = labels.astype(np.int64)
        counted = jnp.where(labels < 0, labels + columns, labels)
        known = (counted >= 0) & (counted < columns)
        wide = jnp.where(known, counted, IGNORED)
        formula = formulas.sparse_categorical_crossentropy(columns, True, IGNORED)
        values, *gradient = _run(formula, logits, wide, wanted, reuse)
    return jnp.where(known, values, jnp.nan), *gradient


def _dense_run(logits: jax.Array, labels: jax.Array, wanted: bool, reuse: bool) -> tuple[Any, ...]:
    return _run(formulas.categorical_crossentropy(logits.shape[-1], True), logits, labels, wanted, reuse)


def _along(gradient: jax.Array, tangent: jax.Array) -> jax.Array:
    """Return each sample's change along a tangent; backwards, it scales the gradient that was kept."""
    return jnp.sum(gradient * tangent, axis=-1, dtype=_compute(gradient.dtype))


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _sparse(logits: jax.Array, labels: jax.Array, reuse: bool) -> jax.Array:
    return of_labels(logits, labels, False, reuse)[0]


@_sparse.defjvp
def _sparse_slope(reuse, primals, tangents):
    logits, labels = primals
    values, gradient = of_labels(logits, labels, True, reuse)
    return values, _along(gradient, tangents[0])


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _dense(logits: jax.Array, labels: jax.Array, reuse: bool) -> jax.Array:
    return _dense_run(logits, labels, False, reuse)[0]


@partial(_dense.defjvp, symbolic_zeros=True)
def _dense_slope(reuse, primals, tangents):
    logits, labels = primals
    values, gradient = _dense_run(logits, labels, True, reuse)
    slope = jnp.zeros_like(values) if _is_zero(tangents[0]) else _along(gradient, tangents[0])
    if not _is_zero(tangents[1]):  # rare: XLA's own pass
        logarithms = jax.nn.log_softmax(logits.astype(values.dtype))
        slope = slope - jnp.sum(logarithms * tangents[1], axis=-1, dtype=values.dtype)
    return values, slope


def _is_zero(tangent: Any) -> bool:
    return isinstance(tangent, jax.custom_derivatives.SymbolicZero)
