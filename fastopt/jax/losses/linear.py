"""The last layer and its cross-entropy in one sweep for JAX: logits of a few samples at a time, never of all."""

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from fastopt import expect
from fastopt.jax.losses.softmax import FLOATS, of_labels

CHUNK_BYTES = 1 << 26  # of the logits of a chunk, unless told


def linear_cross_entropy(
    x: jax.Array, weight: jax.Array, labels: jax.Array, bias: jax.Array | None = None,
    sample_weight: jax.Array | None = None, *, reduction: Literal["mean", "sum"] = "mean",
    layout: Literal["in_out", "out_in"] = "in_out", max_bytes: int = CHUNK_BYTES,
) -> jax.Array:  # fmt: skip
    """Cross-entropy of the logits x @ weight + bias, which are never held together: a language model's last layer.

    Each chunk's logits become their own gradient in place, which goes into the gradients of x, weight and bias before
    the next chunk. They are kept for the backward pass, not the logits: as much memory as the arguments take.

    Parameters
    ----------
    x : float32, bfloat16, float16 (or float64) array (..., features)
    weight : array (features, classes), or (classes, features) with layout "out_in"; dtype of `x`
    labels : integer array (...)
        From 0 to classes − 1; negative ones count from the end.
    bias : array (classes,) of the dtype of `x`, or None
    sample_weight : array (...), or None
        Constants; samples of weight 0 don't count, whatever their labels are: masks go here.
    reduction : {"mean", "sum"}
        The mean is over all samples, or the weights' sum.
    layout : {"in_out", "out_in"}
        As flax and Keras keep a weight, or as torch does.
    max_bytes : int ≥ 1
        About how much memory a chunk's logits may take, 64 MiB unless told; at least one sample's.

    Returns
    -------
    array of shape ()
        float32 for 16-bit arguments, otherwise of their type. NaN where a label of a sample that counts is no class.

    Raises
    ------
    TypeError, ValueError
        If a type or shape is not as it should be.

    Notes
    -----
    The products are JAX's. Gradients of gradients are refused by JAX. :func:`fastopt.losses.linear_cross_entropy` is
    the same, with "out_in" as its layout; its mean is over the samples that count, weighted or not.

    References
    ----------
    Wijmans et al., "Cut your losses in large-vocabulary language models", 2025.

    Examples
    --------
    >>> import jax.numpy as jnp, fastopt.jax
    >>> x, weight = jnp.ones((2, 3)), jnp.zeros((3, 4))
    >>> print(fastopt.jax.losses.linear_cross_entropy(x, weight, jnp.array([0, 3])))
    1.3862944
    """
    x, weight, labels = jnp.asarray(x), jnp.asarray(weight), jnp.asarray(labels)
    expect.choice(reduction, "reduction", ("mean", "sum"))
    matrix = weight.T if expect.choice(layout, "layout", ("in_out", "out_in")) == "out_in" else weight
    bias = None if bias is None else jnp.asarray(bias)
    scale = None if sample_weight is None else jnp.asarray(sample_weight)
    _check(x, matrix, labels, bias, scale, weight.shape, layout)
    features, classes = matrix.shape
    compute = np.dtype(np.float64 if x.dtype == np.float64 else np.float32)
    rows = max(1, expect.integer(max_bytes, "max_bytes", 1) // (classes * compute.itemsize))
    scale = jnp.ones(labels.shape, compute) if scale is None else jax.lax.stop_gradient(scale).astype(compute)
    total = jnp.sum(scale)
    if reduction == "mean":
        scale = scale / jnp.where(total == 0.0, 1.0, total)
    shift = jnp.zeros(classes, x.dtype) if bias is None else bias
    count = labels.size
    return _total(x.reshape(count, features), matrix, shift, labels.ravel(), scale.ravel(), min(rows, count))


def _check(x: Any, matrix: Any, labels: Any, bias: Any, scale: Any, given: tuple[int, ...], layout: str) -> None:
    if str(x.dtype) not in FLOATS:
        raise TypeError(f"x: expected {', '.join(FLOATS)}, got {x.dtype}")
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"x: expected shape (..., features) with at least one sample, got {x.shape}")
    if matrix.ndim != 2 or matrix.shape[0] != x.shape[-1] or 0 in matrix.shape:
        wanted = f"({x.shape[-1]}, classes)" if layout == "in_out" else f"(classes, {x.shape[-1]})"
        raise ValueError(f"weight: expected shape {wanted} with layout {layout!r}, got {given}")
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"labels: expected integers, got {labels.dtype}")
    for name, array, shape in (
        ("labels", labels, x.shape[:-1]), ("sample_weight", scale, x.shape[:-1]), ("bias", bias, matrix.shape[1:]),
    ):  # fmt: skip
        if array is not None and array.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    for name, array in (("weight", matrix), ("bias", bias)):
        if array is not None and array.dtype != x.dtype:
            raise TypeError(f"{name}: expected {x.dtype} as x, got {array.dtype}: write {name}.astype(x.dtype)")


def _values(logits: jax.Array, labels: jax.Array, scale: jax.Array, wanted: bool) -> tuple[Any, ...]:
    """Return the samples' weighed sum, and its gradient in the memory of the logits."""
    values, *gradient = of_labels(logits, labels, wanted, True)
    return jnp.sum(jnp.where(scale == 0.0, 0.0, scale * values)), *(each * scale[:, None] for each in gradient)


def _logits(x: jax.Array, matrix: jax.Array, bias: jax.Array, compute: np.dtype) -> jax.Array:
    return jnp.matmul(x, matrix, preferred_element_type=compute) + bias.astype(compute)


def _in_chunks(body: Any, carry: Any, arrays: tuple[jax.Array, ...], rows: int) -> tuple[Any, jax.Array | None]:
    """Run `body` over so many rows at a time, and over the rest; return what it carries, and its rows."""
    count = len(arrays[0])
    whole = count // rows * rows
    parts = tuple([array[:whole].reshape(-1, rows, *array.shape[1:]) for array in arrays])
    carry, found = jax.lax.scan(body, carry, parts)
    found = None if found is None else found.reshape(whole, *found.shape[2:])
    if whole < count:
        carry, rest = body(carry, tuple([array[whole:] for array in arrays]))
        found = None if found is None else jnp.concatenate([found, rest])
    return carry, found


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def _total(x: Any, matrix: Any, bias: Any, labels: Any, scale: Any, rows: int) -> jax.Array:
    compute = scale.dtype

    def body(total: Any, chunk: tuple[Any, ...]) -> tuple[Any, None]:
        part, which, weights = chunk
        (value,) = _values(_logits(part, matrix, bias, compute), which, weights, False)
        return total + value, None

    total, _ = _in_chunks(body, jnp.zeros((), compute), (x, labels, scale), rows)
    return total


def _forward(x: Any, matrix: Any, bias: Any, labels: Any, scale: Any, rows: int) -> tuple[Any, tuple[Any, ...]]:
    compute = scale.dtype

    def body(carry: tuple[Any, ...], chunk: tuple[Any, ...]) -> tuple[Any, Any]:
        total, of_matrix, of_bias = carry
        part, which, weights = chunk
        value, gradient = _values(_logits(part, matrix, bias, compute), which, weights, True)
        of_matrix = of_matrix + jnp.matmul(part.T.astype(compute), gradient)
        of_part = jnp.matmul(gradient, matrix.T.astype(compute)).astype(x.dtype)
        return (total + value, of_matrix, of_bias + jnp.sum(gradient, axis=0)), of_part

    begin = jnp.zeros((), compute), jnp.zeros(matrix.shape, compute), jnp.zeros(bias.shape, compute)
    (total, of_matrix, of_bias), of_x = _in_chunks(body, begin, (x, labels, scale), rows)
    return total, (of_x, of_matrix.astype(matrix.dtype), of_bias.astype(bias.dtype), labels.shape)


def _backward(rows: int, kept: tuple[Any, ...], outer: jax.Array) -> tuple[Any, ...]:
    *gradients, shape = kept
    scaled = [gradient * outer.astype(gradient.dtype) for gradient in gradients]
    return *scaled, np.zeros(shape, jax.dtypes.float0), jnp.zeros(shape, outer.dtype)


_total.defvjp(_forward, _backward)
