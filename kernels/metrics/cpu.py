"""What a metric has to know of its samples: a few sums, taken in one pass by one pipeline.

Each function returns None if a label or score is invalid: kernels notice, and leave it to the caller to say which.
"""

from dataclasses import dataclass

import numpy as np

from fastopt.kernels.metrics import reference
from fastopt.kernels.metrics.kernels import KERNELS
from fastopt.kernels.runtime import pipeline, stages
from fastopt.kernels.runtime.kernel import Kernel
from fastopt.kernels.runtime.settings import get_target

WIDEN = {
    dtype: Kernel("widen", "runtime", ("labels", "wide"), ("wide",), code=code) for dtype, code in stages.WIDEN.items()
}
MAX_CELLS = 4096  # of a table that every grain has for itself; a larger one is counted by NumPy
SORT_BYTES = 6 * 2048 * 8  # each part's counts while it is sorted
ONE_PASS = 1 << 62  # a grain that holds any job: one thread, in order


@dataclass(frozen=True)
class Samples:
    """Checked inputs. `classes` 0: labels are any integers; `threshold`: of binary scores."""

    kind: str  # of y_pred: "labels", "binary" (scores) or "classes" (scores)
    y_true: np.ndarray  # labels (N,), or one-hot rows (N, C)
    y_pred: np.ndarray  # labels (N,), scores (N,), or scores (N, C)
    sample_weight: np.ndarray | None  # (N,)
    classes: int
    threshold: float = 0.5

    @property
    def dtype(self) -> np.dtype:
        """The type that kernels compute in."""
        if self.kind != "labels":
            return self.y_pred.dtype
        return np.dtype(np.float64) if self.sample_weight is None else self.sample_weight.dtype


class _Work:
    """Stages and slots of one pipeline over samples."""

    def __init__(self, samples: Samples):
        self.samples, self.stages, self.slots = samples, [], {}
        self.elements = max([array.shape[1] for array in (samples.y_true, samples.y_pred) if array.ndim == 2] + [1])
        if samples.sample_weight is not None:
            self.slots["sample_weight"] = samples.sample_weight
        self.weighted = ("sample_weight",) if "sample_weight" in self.slots else ()

    def add(self, kernel: str, *used: str) -> None:
        self.stages.append((KERNELS[kernel], used, 1))

    def labels(self, given: str, name: str) -> str:
        """Bring labels of any type, or one-hot rows, to int64; return the name of the slot that has them."""
        array = self.slots[given] = getattr(self.samples, given)
        per_row = array.shape[1] if array.ndim == 2 else 1
        if array.dtype != np.int64:
            self.slots[f"wide {given}"] = 8 * per_row
            self.stages.append((WIDEN[array.dtype], (given, f"wide {given}"), per_row))
            given = f"wide {given}"
        if array.ndim == 1:
            return given
        self.slots[name] = 8
        self.add("one_hot", given, name)
        return name

    def predictions(self, by: str | None = None) -> str:
        """Bring predictions to int64 labels by the kernel named, or by the one that suits their kind."""
        if self.samples.kind == "labels":
            return self.labels("y_pred", "predicted")
        self.slots |= {"y_pred": self.samples.y_pred, "predicted": 8}
        self.add(by or {"binary": "above", "classes": "argmax"}[self.samples.kind], "y_pred", "predicted")
        return "predicted"

    def run(self, partials: int, dims=(), scalars=(), in_order: bool = False) -> np.ndarray:
        return pipeline.run(
            self.stages,
            self.slots,
            len(self.samples.y_true),
            dtype=str(self.samples.dtype),
            target=get_target(),
            grain=ONE_PASS if in_order else max(1, pipeline.GRAIN // self.elements),
            block=max(1, pipeline.BLOCK // self.elements),
            dims=dims,
            scalars=scalars,
            partials=partials,
        )

    def mean_sums(self, dims=(), scalars=()) -> np.ndarray | None:
        """End the pipeline with the sum of the slot `value`, weighted, and the sum of weights."""
        self.slots["value"] = self.samples.dtype.itemsize
        self.add("weighted_total" if self.weighted else "total", "value", *self.weighted)
        sums = self.run(2, dims, scalars)
        if not self.weighted:
            sums[1] = len(self.samples.y_true)
        return None if np.isnan(sums[0]) else sums


def _mean_sums(values: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    w = reference.weights(sample_weight, values)
    return np.array([np.sum(w * values), np.sum(w)])


# ---- means


def errors(kernel: str, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Return the sum of squared or absolute errors, weighted, and the sum of weights; NaN travels."""
    if get_target() == "reference":
        return _mean_sums(getattr(reference, kernel)(y_true, y_pred), sample_weight)
    weighted = () if sample_weight is None else ("sample_weight",)
    slots = {"y_true": y_true, "y_pred": y_pred, "value": y_true.itemsize}
    if sample_weight is not None:
        slots["sample_weight"] = sample_weight
    total = KERNELS["weighted_total" if weighted else "total"]
    sums = pipeline.run(
        [(KERNELS[kernel], ("y_true", "y_pred", "value"), 1), (total, ("value", *weighted), 1)],
        slots,
        y_true.size,
        dtype=str(y_true.dtype),
        target=get_target(),
        grain=pipeline.GRAIN,
        block=pipeline.BLOCK,
        partials=2,
    )
    if not weighted:
        sums[1] = y_true.size
    return sums


def log_losses(samples: Samples) -> np.ndarray | None:
    """Return the weighted sum of -log of the true classes' probabilities, and the sum of weights."""
    eps = float(np.finfo(samples.dtype).eps)
    if get_target() == "reference":
        return _mean_sums(reference.surprise(samples.y_true, samples.y_pred, eps), samples.sample_weight)
    work = _Work(samples)
    actual = work.labels("y_true", "actual")
    work.slots |= {"y_pred": samples.y_pred, "value": samples.dtype.itemsize}
    work.add("binary_log_loss" if samples.kind == "binary" else "log_loss", actual, "y_pred", "value")
    return work.mean_sums((samples.classes,), (eps, 1 - eps, row_tolerance(samples.dtype)))


def row_tolerance(dtype: np.dtype) -> float:
    """Return how far from 1 a row of probabilities may add up: scikit-learn's root of the type's epsilon."""
    return float(np.sqrt(np.finfo(dtype).eps))


def matches(samples: Samples, top_k: int | None = None) -> np.ndarray | None:
    """Return the weight of the samples whose label was predicted (is among the top k), and of all samples."""
    if get_target() == "reference":
        return _mean_sums(
            reference.same(samples.y_true, samples.y_pred, samples.threshold)
            if top_k is None
            else reference.in_top_k(samples.y_true, samples.y_pred, top_k),
            samples.sample_weight,
        )
    work = _Work(samples)
    actual = work.labels("y_true", "actual")
    if top_k is None:
        predicted = work.predictions()
    else:
        predicted = "predicted"
        work.slots |= {"y_pred": samples.y_pred, "predicted": 8}
        work.add("in_top_k", actual, "y_pred", "predicted")
    work.slots["value"] = samples.dtype.itemsize
    work.add("same", actual, predicted, "value")
    return work.mean_sums((samples.classes, top_k or 0), (samples.threshold,))


# ---- counts


def confusion(samples: Samples) -> np.ndarray | None:
    """Return the weight of every (true, predicted) pair of labels, float64 (classes, classes)."""
    if get_target() == "reference":
        return reference.table(
            samples.y_true, samples.y_pred, samples.sample_weight, samples.classes, samples.threshold
        )
    return _table(samples, samples.classes, samples.classes, None)


def by_bin(samples: Samples, bins: int) -> np.ndarray | None:
    """Return the weight of negatives and of positives in each bin of scores over [0, 1], float64 (2, bins)."""
    if get_target() == "reference":
        return np.stack(reference.bins(samples.y_true, samples.y_pred, samples.sample_weight, bins)[::-1])
    return _table(samples, 2, bins, "bin_of")


def class_counts(samples: Samples) -> np.ndarray | None:
    """Return for each class the weight that is rightly predicted, predicted, and actual, float64 (classes, 3)."""
    if samples.classes**2 <= MAX_CELLS or get_target() == "reference":
        matrix = confusion(samples)
        return None if matrix is None else np.stack([matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)], axis=1)
    pair = _label_arrays(samples, samples.classes, samples.classes, None)
    if pair is None:
        return None
    actual, predicted = pair
    w, hit = samples.sample_weight, actual == predicted
    columns = ((actual[hit], None if w is None else w[hit]), (predicted, w), (actual, w))
    return np.stack([np.bincount(at, weight, samples.classes) for at, weight in columns], axis=1).astype(np.float64)


def _table(samples: Samples, rows: int, columns: int, by: str | None) -> np.ndarray | None:
    if rows * columns > MAX_CELLS:
        pair = _label_arrays(samples, rows, columns, by)
        if pair is None:
            return None
        cells = np.bincount(pair[0] * columns + pair[1], samples.sample_weight, rows * columns)
        return cells.astype(np.float64).reshape(rows, columns)
    work = _Work(samples)
    used = (work.labels("y_true", "actual"), work.predictions(by), *work.weighted)
    work.add("counts_weighted" if work.weighted else "binary_counts" if rows == columns == 2 else "counts", *used)
    sums = work.run(rows * columns + 1, (columns, rows), (samples.threshold,))
    return None if sums[-1] else sums[:-1].reshape(rows, columns)


def _label_arrays(samples: Samples, rows: int, columns: int, by: str | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Return int64 labels, true and predicted, in arrays of their own."""
    work = _Work(samples)
    names = work.labels("y_true", "actual"), work.predictions(by)
    for name in names:
        if not isinstance(work.slots[name], np.ndarray):
            work.slots[name] = np.empty(len(samples.y_true), np.int64)
    if work.stages:
        work.run(0, (columns, rows), (samples.threshold,))
    actual, predicted = work.slots[names[0]], work.slots[names[1]]
    valid = actual.min() >= 0 and actual.max() < rows and predicted.min() >= 0 and predicted.max() < columns
    return (actual, predicted) if valid else None


# ---- ranks


@dataclass(frozen=True)
class Parts:
    """Scores of the positives, then of the negatives, and their weights; in any order within a part."""

    scores: np.ndarray
    weights: np.ndarray | None
    positives: int


def part(samples: Samples) -> Parts | None:
    """Return the scores of the positives and of the negatives apart, in memory of their own."""
    if get_target() == "reference":
        order = np.argsort(-reference.labels(samples.y_true), kind="stable")
        w = None if samples.sample_weight is None else samples.sample_weight[order]
        return Parts(samples.y_pred[order], w, int(reference.labels(samples.y_true).sum()))
    work = _Work(samples)
    actual = work.labels("y_true", "actual")
    work.slots |= {"y_pred": samples.y_pred, "scores": np.empty(len(samples.y_pred), samples.dtype)}
    if work.weighted:
        work.slots["weights"] = np.empty_like(work.slots["scores"])
        work.add("part_weighted", actual, "y_pred", "sample_weight", "scores", "weights")
    else:
        work.add("part", actual, "y_pred", "scores")
    positives, invalid = work.run(2, (len(samples.y_pred),), in_order=True)
    return None if invalid else Parts(work.slots["scores"], work.slots.get("weights"), int(positives))


def join(many: tuple[Parts, ...]) -> Parts:
    """Return all parts as one, in new memory."""
    scores = [p.scores[: p.positives] for p in many] + [p.scores[p.positives :] for p in many]
    weights = None
    if any(p.weights is not None for p in many):
        full = [np.ones_like(p.scores) if p.weights is None else p.weights for p in many]
        weights = np.concatenate(
            [w[: p.positives] for w, p in zip(full, many, strict=True)]
            + [w[p.positives :] for w, p in zip(full, many, strict=True)]
        )
    return Parts(np.concatenate(scores), weights, sum(p.positives for p in many))


def rank(parts: Parts) -> np.ndarray:
    """Return the weight of the pairs in the right order (ties by half), the sum of the precision over the
    positives' weight, and the weight of positives and of negatives. Sorts the parts in place."""
    scores, weights, samples, positives = parts.scores, parts.weights, len(parts.scores), parts.positives
    if get_target() == "reference":
        at = reference.by_score(np.arange(samples) < positives, scores, weights)
        return np.array([reference.pairs(*at), reference.precisions(*at), at[0].sum(), at[1].sum()])
    weighted = weights is not None
    suffix, names = ("_weighted", ("scores", "weights")) if weighted else ("", ("scores",))
    slots = {"scores": scores, "spare": np.empty_like(scores), "first": SORT_BYTES}
    if weighted:
        slots |= {"weights": weights, "spare_weights": np.empty_like(weights)}
    how = {
        "dtype": str(scores.dtype),
        "target": get_target(),
        "grain": 1 if samples > pipeline.GRAIN else 2,  # the two parts side by side, if it is worth a thread
        "dims": (samples, positives),
    }
    spares = ("spare", "spare_weights") if weighted else ("spare",)
    pipeline.run([(KERNELS[f"sort_parts{suffix}"], (*names, *spares, "first"), 1)], slots, 2, **how)
    sums = pipeline.run(
        [(KERNELS[f"rank_sums{suffix}"], names, 1)], {name: slots[name] for name in names}, 1, partials=4, **how
    )
    if not weighted:
        sums[2:] = positives, samples - positives
    sums[0] /= 2
    return sums
