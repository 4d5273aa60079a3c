"""Metrics for JAX, as pure functions: those that XLA takes long for on CPUs.

Arguments and formulas are those of fastopt.metrics. A program can't refuse what its data hold: a value that is not
defined, as of labels of no class, or scores that are NaN, is NaN. Results have no gradient.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fastopt import expect
from fastopt.jax import call
from fastopt.kernels.metrics import recipes
from fastopt.kernels.metrics.cpu import ONE_PASS, SORT_BYTES
from fastopt.kernels.metrics.kernels import KERNELS
from fastopt.kernels.metrics.samples import row_tolerance
from fastopt.kernels.runtime import pipeline

__all__ = [
    "accuracy", "auc", "average_precision", "confusion_matrix", "f1_score", "log_loss", "precision", "recall",
    "sparse_top_k_categorical_accuracy",
]  # fmt: skip

FLOATS = ("float32", "float64", "bfloat16", "float16")  # 16 bits are computed in float32
Last = Callable[[recipes.Recipe], None]  # the end of a recipe
CELLS = 4096  # of a table that every grain has for itself


def auc(y_true: jax.Array, y_pred: jax.Array, sample_weight: jax.Array | None = None) -> jax.Array:
    """Area under the receiver operating characteristic, exact: the share of pairs in the right order, ties by half.

    Parameters
    ----------
    y_true : integer, bool or float array
        Labels 0 and 1.
    y_pred : float32, float64, bfloat16 or float16 array of its shape
        Scores, of any range.
    sample_weight : array of its shape, or None
        Weights ≥ 0; cast to the scores' type.

    Returns
    -------
    array of shape ()
        float32 (float64 for float64 scores). NaN without samples of both classes, and where a label is neither 0 nor
        1, or a score is NaN.

    Raises
    ------
    TypeError, ValueError
        If a type or shape is not as it should be.

    Notes
    -----
    As :func:`fastopt.metrics.auc`, to the bit before it is rounded. Under `vmap`, members go one after the other.

    Examples
    --------
    >>> import jax.numpy as jnp, fastopt.jax
    >>> print(fastopt.jax.metrics.auc(jnp.array([0, 1, 0, 1]), jnp.array([0.1, 0.4, 0.35, 0.8])))
    1.0
    """
    return _ranked(_area, *_scores(y_true, y_pred, sample_weight), call.compiled_target())


def average_precision(y_true: jax.Array, y_pred: jax.Array, sample_weight: jax.Array | None = None) -> jax.Array:
    """Mean precision at the positives' scores: :func:`fastopt.metrics.average_precision`; arguments as of :func:`auc`.

    NaN without a positive sample.
    """
    return _ranked(_mean_precision, *_scores(y_true, y_pred, sample_weight), call.compiled_target())


def accuracy(
    y_true: jax.Array, y_pred: jax.Array, sample_weight: jax.Array | None = None, *, threshold: float = 0.5
) -> jax.Array:
    """Share of samples whose label was predicted.

    Parameters
    ----------
    y_true : integer or bool array (N,), or of the shape of `y_pred`
        Labels: 0 and 1 for scores of one class.
    y_pred : array of its shape, labels or scores of one class, or scores (N, classes)
        The highest score is the prediction, or whether the one is above `threshold`.
    sample_weight : array of the shape of `y_true`, or None
        Weights ≥ 0.
    threshold : float

    Returns
    -------
    array of shape (), as of :func:`auc`
    """
    kind, given = _given(y_true, y_pred, sample_weight)
    limit = expect.number(threshold, "threshold", expect.FINITE)
    return _mean(recipes.matches, kind, (_classes(kind, given), 0), (limit,), *given, call.compiled_target())


def sparse_top_k_categorical_accuracy(
    y_true: jax.Array, y_pred: jax.Array, sample_weight: jax.Array | None = None, *, k: int = 5
) -> jax.Array:
    """Share of samples whose label is among the `k` highest scores; otherwise as in :func:`accuracy`.

    Parameters
    ----------
    y_true : integer array (N,)
    y_pred : array (N, classes)
    k : int ≥ 1
    """
    _, given = _given(y_true, y_pred, sample_weight, "classes")
    most = expect.integer(k, "k", 1)
    dims = given[1].shape[1], min(most, given[1].shape[1])
    return _mean(recipes.top_k, "classes", dims, (), *given, call.compiled_target())


def log_loss(y_true: jax.Array, y_pred: jax.Array, sample_weight: jax.Array | None = None) -> jax.Array:
    """Mean of −log of the true class's probability, as :func:`fastopt.metrics.log_loss`; otherwise as in
    :func:`accuracy`.

    NaN where a row of probabilities (N, classes) doesn't sum to 1, or one leaves [0, 1].
    """
    kind, given = _given(y_true, y_pred, sample_weight, "classes", "binary")
    compute = _compute(given[1])
    eps = float(np.finfo(compute).eps)
    limits = eps, 1 - eps, row_tolerance(compute)
    return _mean(recipes.log_loss, kind, (_classes(kind, given), 0), limits, *given, call.compiled_target())


def confusion_matrix(
    y_true: jax.Array, y_pred: jax.Array, sample_weight: jax.Array | None = None, *, num_classes: int,
    threshold: float = 0.5,
) -> jax.Array:  # fmt: skip
    """Weight of samples by true label (row) and predicted one (column), (num_classes, num_classes).

    Parameters
    ----------
    y_true, y_pred, sample_weight, threshold : as in :func:`accuracy`
    num_classes : int ≥ 2
        2 for scores of one class; as many as `y_pred` has columns.

    Returns
    -------
    array as of :func:`auc`; NaN where a label is not in [0, num_classes)

    Examples
    --------
    >>> import jax.numpy as jnp, fastopt.jax
    >>> print(fastopt.jax.metrics.confusion_matrix(jnp.array([0, 1, 1]), jnp.array([0, 1, 0]), num_classes=2))
    [[1. 0.]
     [1. 1.]]
    """
    kind, given = _given(y_true, y_pred, sample_weight)
    count = expect.integer(num_classes, "num_classes", 2)
    wanted = count if kind == "labels" else _classes(kind, given)
    if count != wanted:
        raise ValueError(f"num_classes: expected {wanted}, as y_pred has it, got {count}")
    limit = expect.number(threshold, "threshold", expect.FINITE)
    return _table(kind, count, limit, *given, call.compiled_target())


def precision(
    y_true: jax.Array, y_pred: jax.Array, sample_weight: jax.Array | None = None, *, threshold: float = 0.5
) -> jax.Array:
    """Share of positive predictions that are right, of two classes; 0 without any; arguments as of :func:`accuracy`."""
    (_, above), (_, right) = confusion_matrix(y_true, y_pred, sample_weight, num_classes=2, threshold=threshold)
    return _ratio(right, right + above)


def recall(
    y_true: jax.Array, y_pred: jax.Array, sample_weight: jax.Array | None = None, *, threshold: float = 0.5
) -> jax.Array:
    """Share of positive samples that are predicted, of two classes; 0 without any; arguments as of :func:`accuracy`."""
    _, (missed, right) = confusion_matrix(y_true, y_pred, sample_weight, num_classes=2, threshold=threshold)
    return _ratio(right, right + missed)


def f1_score(
    y_true: jax.Array, y_pred: jax.Array, sample_weight: jax.Array | None = None, *, threshold: float = 0.5
) -> jax.Array:
    """Harmonic mean of precision and recall, of two classes; 0 where neither is; arguments as of :func:`accuracy`."""
    (_, above), (missed, right) = confusion_matrix(y_true, y_pred, sample_weight, num_classes=2, threshold=threshold)
    return _ratio(2.0 * right, 2.0 * right + above + missed)


# ---- arguments


def _given(y_true: Any, y_pred: Any, sample_weight: Any, *kinds: str) -> tuple[str, tuple[Any, ...]]:
    """Return which kind predictions are of, and the arguments as arrays."""
    y_true, y_pred = jnp.asarray(y_true), jnp.asarray(y_pred)
    is_float = str(y_pred.dtype) in FLOATS
    if not is_float and y_pred.dtype != bool and not jnp.issubdtype(y_pred.dtype, jnp.integer):
        raise TypeError(f"y_pred: expected integers, bool or {', '.join(FLOATS)}, got {y_pred.dtype}")
    kind = "labels" if not is_float else "classes" if y_pred.ndim == y_true.ndim + 1 == 2 else "binary"
    if kinds and kind not in kinds:
        raise ValueError(f"y_pred: expected scores {'(N, classes)' if len(kinds) == 1 else ''}, got {kind}")
    if y_true.dtype not in recipes.WIDEN and y_true.dtype != np.int64:
        raise TypeError(f"y_true: expected integers or bool, got {y_true.dtype}")
    wanted = y_pred.shape[:1] if kind == "classes" else y_pred.shape
    for name, array in (("y_true", y_true), ("sample_weight", sample_weight)):
        if array is not None and jnp.shape(array) != wanted:
            raise ValueError(f"{name}: expected shape {wanted} beside {y_pred.shape} of y_pred, got {jnp.shape(array)}")
    if 0 in y_pred.shape:
        raise ValueError(f"y_pred: expected at least one sample, got shape {y_pred.shape}")
    return kind, (y_true, y_pred, None if sample_weight is None else jnp.asarray(sample_weight))


def _scores(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Any, ...]:
    kind, given = _given(y_true, y_pred, sample_weight)
    if kind != "binary":
        raise ValueError(f"y_pred: expected a score for each label, got {kind} of shape {given[1].shape}")
    return given


def _compute(scores: jax.Array) -> np.dtype:
    return np.dtype(np.float64 if scores.dtype == np.float64 else np.float32)


def _classes(kind: str, given: tuple[Any, ...]) -> int:
    return int(given[1].shape[1]) if kind == "classes" else 2 if kind == "binary" else 0


# ---- programs; the target is an argument so that each has its own


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 7))
def _mean(
    last: Last, kind: str, dims: tuple[int, ...], scalars: tuple[float, ...], y_true: Any, y_pred: Any, weight: Any,
    target: str,
) -> jax.Array:  # fmt: skip
    """Return a sum that kernels add up over the sum of weights."""
    given = _ready(kind, y_true, y_pred, weight)
    with jax.enable_x64(True):
        sums, _ = _run(last, kind, given, 2, dims, target, scalars)
        return (sums[0] / (float(y_true.size) if weight is None else sums[1])).astype(_compute(given[1]))


@partial(jax.jit, static_argnums=(0, 1, 2, 6))
def _table(kind: str, count: int, limit: float, y_true: Any, y_pred: Any, weight: Any, target: str) -> jax.Array:
    """Return the weight of samples by true and predicted label."""
    given, cells = _ready(kind, y_true, y_pred, weight), count * count
    last = recipes.binary_table if count == 2 else recipes.table
    with jax.enable_x64(True):
        grain = 0 if cells <= CELLS else ONE_PASS
        sums, _ = _run(last, kind, given, cells + 1, (count, count), target, (limit,), grain=grain)
        found = jnp.where(sums[-1] == 0.0, sums[:-1], jnp.nan).reshape(count, count)
        return found.astype(_compute(given[1]))


def _ready(kind: str, y_true: Any, y_pred: Any, weight: Any) -> tuple[Any, ...]:
    """Return arguments as kernels take them: flat but for classes, and in the type that they compute in."""
    y_true, y_pred = jax.lax.stop_gradient((y_true, y_pred))
    if jnp.issubdtype(y_pred.dtype, jnp.floating):
        y_pred = y_pred.astype(_compute(y_pred))
    if kind != "classes":
        y_true, y_pred = y_true.ravel(), y_pred.ravel()
    if weight is not None:
        weight = jax.lax.stop_gradient(weight).astype(_compute(y_pred)).ravel()
    return y_true, y_pred, weight


def _run(
    last: Last,
    kind: str,
    given: tuple[Any, ...],
    sums: int,
    dims: tuple[int, ...],
    target: str,
    scalars: tuple[float, ...] = (),
    made: dict[str, jax.ShapeDtypeStruct] | None = None,
    grain: int = 0,
) -> tuple[jax.Array, list[jax.Array]]:
    """Run the recipe that ends so, inside of `jax.enable_x64(True)`; return its sums, and what it has made."""
    y_true, y_pred, sample_weight = given
    compute, width = _compute(y_pred), y_pred.shape[1] if kind == "classes" else 1
    weighted = sample_weight is not None
    steps, blocks = recipes.recipe_of(
        last, kind, np.dtype(y_true.dtype), False, np.dtype(y_pred.dtype), width, weighted, compute.itemsize
    )
    arguments = [y_true, y_pred, *([sample_weight] if weighted else [])]
    names = ("y_true", "y_pred", *(("sample_weight",) if weighted else ()))
    results = dict(made or {})
    pipe = call.program(steps, (*names, *results), tuple(blocks.items()), str(compute), target)
    *found, bits = call.run(
        pipe,
        arguments,
        tuple(results.values()),
        [(*range(len(arguments)), *(-1 - k for k in range(len(results))))],
        per_unit=(-y_pred.shape[0],),
        grain=grain or max(1, pipeline.GRAIN // width),
        block=max(1, pipeline.BLOCK // width),
        dims=(dims,),
        scalars=scalars,
        sums=sums,
        vmap_method="sequential",
    )
    return call.floats(bits)[0], found


def _area(pairs: jax.Array, _: jax.Array, positives: jax.Array, negatives: jax.Array) -> jax.Array:
    return pairs / 2.0 / (positives * negatives)


def _mean_precision(_: jax.Array, precisions: jax.Array, positives: jax.Array, negatives: jax.Array) -> jax.Array:
    return precisions / positives


@partial(jax.jit, static_argnums=(0, 4))
def _ranked(value: Callable[..., jax.Array], y_true: Any, y_pred: Any, weight: Any, target: str) -> jax.Array:
    """Return a value of the pairs in order (twice), the precisions' sum, and the weights of both classes."""
    given = _ready("binary", y_true, y_pred, weight)
    compute, size, weighted = _compute(given[1]), given[1].size, weight is not None
    names = ("scores", "weights") if weighted else ("scores",)
    like, count = jax.ShapeDtypeStruct((size,), compute), len(names)
    with jax.enable_x64(True):
        made = dict.fromkeys(names, like)
        (ones, wrong), parts = _run(recipes.part, "binary", given, 2, (size,), target, made=made, grain=ONE_PASS)
        sorted_ones = jnp.where(wrong == 0.0, ones, 0.0)  # else the walk would not get past a score that is NaN
        dims = jnp.stack([jnp.int64(size), sorted_ones.astype(np.int64)])
        sort, sums = _rank_programs("_weighted" if weighted else "", str(compute), target)
        found = call.run(
            sort, (*parts, dims), [like] * (2 * count), [[-1 - k for k in range(2 * count)]], per_unit=(-2,),
            grain=1 if size > pipeline.GRAIN else 2, block=0, dims_at=count,
            aliases={k: k for k in range(count)}, vmap_method="sequential",
        )  # fmt: skip
        (bits,) = call.run(
            sums, (*found[:count], dims), (), [list(range(count))], per_unit=(-1,), grain=1, block=0, dims_at=count,
            sums=4, vmap_method="sequential",
        )  # fmt: skip
        pairs, precisions, *both = call.floats(bits)[0]
        positives, negatives = both if weighted else (ones, size - ones)
        found = value(pairs, precisions, positives, negatives)
        return jnp.where(wrong == 0.0, found, jnp.nan).astype(compute)


@cache
def _rank_programs(end: str, dtype: str, target: str) -> tuple[Any, Any]:
    """Return what sorts both parts, and what walks over them."""
    sort, sums = KERNELS[f"sort_parts{end}"], KERNELS[f"rank_sums{end}"]
    arrays = sort.buffers[:-1]
    return (
        call.program(((sort, sort.buffers, 1),), arrays, ((sort.buffers[-1], SORT_BYTES),), dtype, target),
        call.program(((sums, sums.buffers, 1),), sums.buffers, (), dtype, target),
    )


def _ratio(part: jax.Array, whole: jax.Array) -> jax.Array:
    return jnp.where(whole == 0.0, 0.0, part / jnp.where(whole == 0.0, 1.0, whole))
