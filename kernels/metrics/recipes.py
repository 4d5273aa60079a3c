"""Which stages bring samples to labels, values and sums: a recipe for each thing that a metric asks."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastopt.kernels.metrics.kernels import KERNELS
from fastopt.kernels.runtime import stages
from fastopt.kernels.runtime.kernel import Kernel

WIDEN = {
    dtype: Kernel("widen", "runtime", ("labels", "wide"), ("wide",), code=code) for dtype, code in stages.WIDEN.items()
}
INT64 = np.dtype(np.int64)


class Facts(NamedTuple):
    """What a recipe depends on."""

    kind: str
    y_true: np.dtype
    one_hot: bool
    y_pred: np.dtype
    width: int  # of a row
    weighted: bool
    size: int  # bytes of the kernels' own type


class Recipe:
    """Stages, and the bytes per sample of the blocks between them."""

    def __init__(self, facts: Facts):
        self.facts = facts
        self.stages: list[tuple[Any, ...]] = []
        self.blocks: dict[str, int] = {}
        self.weights = ("sample_weight",) if facts.weighted else ()

    def add(self, kernel: str, *used: str, per_sample: int = 1, scalars_at: int = 0) -> None:
        self.stages.append((KERNELS[kernel], used, per_sample, scalars_at))

    def block(self, name: str, size: int) -> str:
        self.blocks[name] = size
        return name

    def _int64(self, name: str, dtype: np.dtype, per_sample: int) -> str:
        if dtype == INT64:
            return name
        wide = self.block(f"wide {name}", 8 * per_sample)
        self.stages.append((WIDEN[dtype], (name, wide), per_sample, 0))
        return wide

    def actual(self) -> str:
        """Bring true labels to int64, a row of them where there are rows; return their slot."""
        facts = self.facts
        rows = facts.one_hot or facts.kind == "rows"
        name = self._int64("y_true", facts.y_true, facts.width if rows else 1)
        if facts.one_hot:
            self.add("one_hot", name, self.block("actual", 8))
            return "actual"
        return name

    def predicted(self) -> str:
        """Bring predictions to int64 labels; return their slot."""
        facts, per_sample = self.facts, self.facts.width if self.facts.kind == "rows" else 1
        if facts.y_pred.kind != "f":
            return self._int64("y_pred", facts.y_pred, per_sample)
        kernel = "argmax" if facts.kind == "classes" else "above"
        self.add(kernel, "y_pred", self.block("predicted", 8 * per_sample), per_sample=per_sample)
        return "predicted"

    def bins(self) -> str:
        self.add("bin_of", "y_pred", "thresholds", self.block("predicted", 8))
        return "predicted"

    def value(self) -> str:
        return self.block("value", self.facts.size)

    def full_weights(self) -> str:
        """Return the slot of the weights, a block of ones where there are none."""
        if not self.facts.weighted:
            self.add("ones", self.block("weight", self.facts.size))
        return "sample_weight" if self.facts.weighted else "weight"

    def end(self, weighted: str, plain: str, *used: str) -> None:
        self.add(weighted if self.facts.weighted else plain, *used, *self.weights)


def mean(recipe: Recipe) -> None:
    recipe.end("weighted_total", "total", "value")


def log_loss(recipe: Recipe) -> None:
    kernel = "log_loss" if recipe.facts.kind == "classes" else "binary_log_loss"
    recipe.add(kernel, recipe.actual(), "y_pred", recipe.value())
    mean(recipe)


def matches(recipe: Recipe) -> None:
    kernel = "same_rows" if recipe.facts.kind == "rows" else "same"
    recipe.add(kernel, recipe.actual(), recipe.predicted(), recipe.value())
    mean(recipe)


def top_k(recipe: Recipe) -> None:
    actual = recipe.actual()
    recipe.add("in_top_k", actual, "y_pred", recipe.block("predicted", 8))
    recipe.add("same", actual, "predicted", recipe.value())
    mean(recipe)


def binary_table(recipe: Recipe) -> None:
    recipe.end("counts_weighted", "binary_counts", recipe.actual(), recipe.predicted())


def table(recipe: Recipe) -> None:
    recipe.end("counts_weighted", "counts", recipe.actual(), recipe.predicted())


def binned(recipe: Recipe) -> None:
    recipe.end("counts_weighted", "counts", recipe.actual(), recipe.bins())


def label_counts(recipe: Recipe) -> None:
    recipe.add("label_counts", recipe.actual(), recipe.predicted(), recipe.full_weights())


def row_ratios(recipe: Recipe) -> None:
    recipe.add("row_ratios", recipe.actual(), recipe.predicted(), recipe.full_weights(), scalars_at=1)


def part(recipe: Recipe) -> None:
    if recipe.facts.weighted:
        recipe.add("part_weighted", recipe.actual(), "y_pred", "sample_weight", "scores", "weights")
    else:
        recipe.add("part", recipe.actual(), "y_pred", "scores")


def labels(recipe: Recipe) -> None:
    recipe.actual(), recipe.predicted()


def labels_and_bins(recipe: Recipe) -> None:
    recipe.actual(), recipe.bins()


@lru_cache(maxsize=1024)
def recipe_of(last: Callable[[Recipe], None], *facts: Any) -> tuple[tuple[Any, ...], dict[str, int]]:
    """Return the stages and blocks of the recipe that ends so, for samples of these facts."""
    recipe = Recipe(Facts(*facts))
    last(recipe)
    return tuple(recipe.stages), recipe.blocks
