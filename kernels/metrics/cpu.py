"""What a metric has to know of its samples: a few sums, taken in one pass by one pipeline of compiled kernels.

A function returns None if a label or score is invalid: kernels notice, and leave it to the caller to say which.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from fastopt.kernels.metrics import recipes
from fastopt.kernels.metrics.kernels import KERNELS
from fastopt.kernels.metrics.samples import Parts, Samples, row_tolerance
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.launch import FloatMode

NAMES = {np.dtype(name): name for name in ("float32", "float64")}
MAX_CELLS = 4096  # of a table that every grain has for itself; a larger one is counted by NumPy
SORT_BYTES = 6 * 2048 * 8  # each part's counts while it is sorted
ONE_PASS = 1 << 62  # a grain that holds any job: one thread, in order


def _run(
    target: str,
    last: Callable[[recipes.Recipe], None],
    samples: Samples,
    partials: int,
    dims: tuple[int, ...] = (),
    scalars: tuple[float, ...] = (),
    arrays: dict[str, np.ndarray] | None = None,
    grain: int = 0,
) -> np.ndarray:
    """Run the recipe that ends so, over arrays of its own besides the samples; return its partial sums."""
    kind, y_true, y_pred, sample_weight = samples[:4]
    width = 1 if kind == "binary" or kind == "labels" else y_pred.shape[1]
    one_hot = kind == "classes" and y_true.ndim == 2
    weighted, dtype = sample_weight is not None, samples.dtype
    steps, blocks = recipes.recipe_of(last, kind, y_true.dtype, one_hot, y_pred.dtype, width, weighted, dtype.itemsize)
    slots: dict[str, np.ndarray | int] = {"y_true": y_true, "y_pred": y_pred, **blocks}
    if sample_weight is not None:
        slots["sample_weight"] = sample_weight
    if arrays:
        slots |= arrays
    return pipeline.run(
        steps,
        slots,
        y_pred.size if kind == "binary" else len(y_pred),
        dtype=NAMES[dtype],
        target=target,
        grain=grain or max(1, pipeline.GRAIN // width),
        block=max(1, pipeline.BLOCK // width),
        dims=dims,
        scalars=scalars,
        partials=partials,
    )


# ---- means


@lru_cache(maxsize=16)
def _error_stages(kernel: str, weighted: bool) -> tuple[Any, ...]:
    end = KERNELS["weighted_total" if weighted else "total"]
    used = ("value", "sample_weight") if weighted else ("value",)
    return (KERNELS[kernel], ("y_true", "y_pred", "value"), 1), (end, used, 1)


def error_sums(
    target: str, kernel: str, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray:
    """Return the sum of squared or absolute errors, weighted, and the sum of weights; NaN travels."""
    weighted = sample_weight is not None
    slots: dict[str, np.ndarray | int] = {"y_true": y_true, "y_pred": y_pred, "value": y_true.itemsize}
    if sample_weight is not None:
        slots["sample_weight"] = sample_weight
    sums = pipeline.run(
        _error_stages(kernel, weighted),
        slots,
        y_true.size,
        dtype=NAMES[y_true.dtype],
        target=target,
        grain=pipeline.GRAIN,
        block=pipeline.BLOCK,
        partials=2,
    )
    if not weighted:
        sums[1] = y_true.size
    return error_sums(target, kernel, *_wide(y_true, y_pred, sample_weight)) if _lost(sums, y_true) else sums


def _lost(sums: np.ndarray, y_true: np.ndarray) -> bool:
    """Whether squares may have left the range of float32: they are taken in float64 again."""
    return y_true.itemsize == 4 and bool(np.isinf(sums).any())


def _wide(*arrays: np.ndarray | None) -> list[Any]:
    return [None if array is None else array.astype(np.float64) for array in arrays]


def error_columns(
    target: str, kernel: str, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None
) -> np.ndarray:
    """Return the same for arrays (N, C), weights (N,): each column's sum of errors, and at the end of weights."""
    columns = y_true.shape[1]
    slots: dict[str, np.ndarray | int] = {"y_true": y_true, "y_pred": y_pred, "value": columns * y_true.itemsize}
    ones: tuple[Any, ...] = ()
    if sample_weight is None:
        slots["sample_weight"] = y_true.itemsize
        ones = ((KERNELS["ones"], ("sample_weight",), 1),)
    else:
        slots["sample_weight"] = sample_weight
    errors = (KERNELS[kernel], ("y_true", "y_pred", "value"), columns)
    sums = pipeline.run(
        (*ones, errors, (KERNELS["column_totals"], ("value", "sample_weight"), 1)),
        slots,
        len(y_true),
        dtype=NAMES[y_true.dtype],
        target=target,
        grain=max(1, pipeline.GRAIN // columns, columns // 16),
        block=max(1, pipeline.BLOCK // columns),
        dims=(columns,),
        partials=columns + 1,
    )
    return error_columns(target, kernel, *_wide(y_true, y_pred, sample_weight)) if _lost(sums, y_true) else sums


def _mean_sums(sums: np.ndarray, samples: Samples) -> np.ndarray | None:
    """Complete the sums of a mean; None if a value was invalid, which kernels mark by NaN."""
    if samples.sample_weight is None:
        sums[1] = samples.y_pred.size if samples.kind == "binary" else len(samples.y_pred)
    return None if sums[0] != sums[0] else sums


def log_losses(target: str, samples: Samples) -> np.ndarray | None:
    """Return the weighted sum of -log of the true classes' probabilities, and the sum of weights."""
    eps = float(np.finfo(samples.dtype).eps)
    scalars = (eps, 1 - eps, row_tolerance(samples.dtype))
    return _mean_sums(_run(target, recipes.log_loss, samples, 2, (samples.classes,), scalars), samples)


def matches(target: str, samples: Samples) -> np.ndarray | None:
    """Return the weight of the samples whose label was predicted (all labels of the row), and of all samples."""
    return _mean_sums(_run(target, recipes.matches, samples, 2, (samples.classes,), (samples.threshold,)), samples)


def top_k_matches(target: str, samples: Samples, top_k: int) -> np.ndarray | None:
    """Return the weight of the samples whose class is among the top k, and of all samples."""
    return _mean_sums(_run(target, recipes.top_k, samples, 2, (samples.classes, top_k)), samples)


# ---- counts


def confusion(target: str, samples: Samples) -> np.ndarray | None:
    """Return the weight of every (true, predicted) pair of labels, float64 (classes, classes)."""
    classes = samples.classes
    if classes == 2:
        sums = _run(target, recipes.binary_table, samples, 5, (2, 2), (samples.threshold,))
        return None if sums[4] else sums[:4].reshape(2, 2)
    if classes * classes > MAX_CELLS:
        return _large_table(target, recipes.labels, samples, classes, classes, (samples.threshold,))
    sums = _run(target, recipes.table, samples, classes * classes + 1, (classes, classes), (samples.threshold,))
    return None if sums[-1] else sums[:-1].reshape(classes, classes)


def by_bin(target: str, samples: Samples, thresholds: np.ndarray, low: float, high: float) -> np.ndarray | None:
    """Return the weight of negatives and positives by how many thresholds their score is above, (2, thresholds + 1).

    Thresholds are of the scores' dtype, upwards; scores lie in [low, high].
    """
    columns, arrays = len(thresholds) + 1, {"thresholds": thresholds}
    if 2 * columns > MAX_CELLS:
        return _large_table(target, recipes.labels_and_bins, samples, 2, columns, (low, high), arrays)
    sums = _run(target, recipes.binned, samples, 2 * columns + 1, (columns, 2), (low, high), arrays)
    return None if sums[-1] else sums[:-1].reshape(2, columns)


def class_counts(target: str, samples: Samples) -> np.ndarray | None:
    """Return for each class the weight that is rightly predicted, predicted, and actual, float64 (classes, 3)."""
    classes = samples.classes
    if samples.kind == "rows":
        if 3 * classes > MAX_CELLS:
            return _counts_of_many_labels(target, samples)
        sums = _run(target, recipes.label_counts, samples, 3 * classes + 1, (classes,), (samples.threshold,))
        return None if sums[-1] else sums[:-1].reshape(classes, 3)
    if classes * classes <= MAX_CELLS:
        matrix = confusion(target, samples)
        if matrix is None:
            return None
        counts = np.empty((classes, 3))
        counts[:, 0], counts[:, 1], counts[:, 2] = matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)
        return counts
    pair = _label_arrays(target, recipes.labels, samples, classes, classes, (samples.threshold,))
    if pair is None:
        return None
    (actual, predicted), w = pair, samples.sample_weight
    hit = actual == predicted
    columns = ((actual[hit], None if w is None else w[hit]), (predicted, w), (actual, w))
    return np.stack([np.bincount(at, weight, classes) for at, weight in columns], axis=1).astype(np.float64)


def row_ratios(target: str, samples: Samples, ratio: tuple[float, float, float]) -> np.ndarray | None:
    """Return the sum of weight times ratio over rows of labels, of weights where it is defined, and of all weights."""
    sums = _run(target, recipes.row_ratios, samples, 4, (samples.classes,), (samples.threshold, *ratio))
    return None if sums[3] else sums[:3]


def _counts_of_many_labels(target: str, samples: Samples) -> np.ndarray | None:
    """Return class counts of rows too long for a grain's sums, a slice of labels at a time."""
    parts = []
    for first in range(0, samples.classes, MAX_CELLS // 3):
        columns = slice(first, first + MAX_CELLS // 3)
        y_true, y_pred = samples.y_true[:, columns], samples.y_pred[:, columns]
        counts = class_counts(target, samples._replace(y_true=y_true, y_pred=y_pred, classes=y_true.shape[1]))
        if counts is None:
            return None
        parts.append(counts)
    return np.concatenate(parts)


def _large_table(
    target: str, last: Any, samples: Samples, rows: Any, columns: Any, scalars: Any, arrays: Any = None
) -> np.ndarray | None:
    pair = _label_arrays(target, last, samples, rows, columns, scalars, arrays)
    if pair is None:
        return None
    cells = np.bincount(pair[0] * columns + pair[1], samples.sample_weight, rows * columns)
    return cells.astype(np.float64).reshape(rows, columns)


def _label_arrays(
    target: str, last: Any, samples: Samples, rows: Any, columns: Any, scalars: Any, arrays: Any = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return int64 labels, true and predicted, in arrays of their own where they are not int64."""
    found = {"actual": samples.y_true, "predicted": samples.y_pred}
    memory = dict(arrays or {})
    one_hot = samples.kind == "classes" and samples.y_true.ndim == 2
    if one_hot or samples.y_true.dtype != recipes.INT64:
        found["actual"] = memory["actual" if one_hot else "wide y_true"] = np.empty(len(samples.y_pred), recipes.INT64)
    if samples.y_pred.dtype.kind == "f" or samples.y_pred.dtype != recipes.INT64:
        name = "predicted" if samples.y_pred.dtype.kind == "f" else "wide y_pred"
        found["predicted"] = memory[name] = np.empty(len(samples.y_pred), recipes.INT64)
    if memory:
        _run(target, last, samples, 0, (columns, rows), scalars, memory)
    actual, predicted = found["actual"], found["predicted"]
    valid = actual.min() >= 0 and actual.max() < rows and predicted.min() >= 0 and predicted.max() < columns
    return (actual, predicted) if valid else None


# ---- ranks


def part(target: str, samples: Samples) -> Parts | None:
    """Return the scores of the positives and of the negatives apart, in memory of their own."""
    size = samples.y_pred.size
    arrays = {"scores": np.empty(size, samples.dtype)}
    if samples.sample_weight is not None:
        arrays["weights"] = np.empty(size, samples.dtype)
    positives, invalid = _run(target, recipes.part, samples, 2, (size,), (), arrays, ONE_PASS).tolist()
    return None if invalid else Parts(arrays["scores"], arrays.get("weights"), int(positives))


def _sort(target: str, parts: Parts) -> dict[str, np.ndarray]:
    """Sort both parts upwards, in place; return the slots that hold them."""
    scores, weights, _ = parts
    slots = {"scores": scores} if weights is None else {"scores": scores, "weights": weights}
    spares = {f"spare {name}": np.empty_like(array) for name, array in slots.items()}
    kernel = KERNELS["sort_parts" if weights is None else "sort_parts_weighted"]
    _sorted_run(target, (kernel, (*slots, *spares, "first"), 1), {**slots, **spares, "first": SORT_BYTES}, 2, parts, 0)
    return slots


def _sorted_run(
    target: str, stage: tuple[Any, ...], slots: dict[str, Any], units: int, parts: Parts, partials: int
) -> np.ndarray:
    size = len(parts.scores)
    return pipeline.run(
        (stage,),
        slots,
        units,
        dtype=NAMES[parts.scores.dtype],
        target=target,
        grain=1 if size > pipeline.GRAIN else 2,  # the two parts side by side, if it is worth a thread
        dims=(size, parts.positives),
        partials=partials,
    )


def rank(target: str, parts: Parts) -> np.ndarray:
    """Return the weight of the pairs in the right order (ties by half), the sum of the precision over the
    positives' weight, and the weight of positives and of negatives. Sorts the parts in place."""
    slots = _sort(target, parts)
    weighted = parts.weights is not None
    kernel = KERNELS["rank_sums_weighted" if weighted else "rank_sums"]
    sums = _sorted_run(target, (kernel, tuple(slots), 1), slots, 1, parts, 4)
    if not weighted:
        sums[2:] = parts.positives, len(parts.scores) - parts.positives
    sums[0] /= 2
    return sums


def curve(target: str, parts: Parts) -> np.ndarray:
    """Return the weight of negatives and positives at each distinct score, upwards, (2, scores). Sorts in place."""
    _sort(target, parts)
    scores, weights, positives = parts
    with FloatMode():  # else subnormal scores would be equal where the caller's thread flushes them
        distinct = np.unique(scores)
        sides: Sequence[slice] = (slice(positives, None), slice(positives))
        each = [_weight_at(distinct, scores[side], None if weights is None else weights[side]) for side in sides]
    return np.stack(each)


def _weight_at(distinct: np.ndarray, scores: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    at = np.searchsorted(distinct, scores)
    return np.bincount(at, weights, len(distinct)).astype(np.float64)
