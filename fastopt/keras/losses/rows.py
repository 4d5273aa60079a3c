"""Losses of rows: a sample's value comes from all its elements at once. Arguments are as in elements.py.

Rows of -Inf alone have equal probabilities here, where Keras's torch backend has NaN; 0 times -Inf is 0. The focal
losses of logits keep their gradient below a probability of 1e-7, where Keras clips and has none.
"""

from typing import Any

import keras
from keras import losses as theirs
from keras.src.backend.common.masking import set_keras_mask

from fastopt.keras.losses.base import Prepared, Reduced, by_kernels
from fastopt.keras.losses.leniency import Axis, host, kept_by_name, pair, with_labels
from fastopt.kernels.losses import formulas


@by_kernels(theirs.kl_divergence)
def kl_divergence(y_true: Any, y_pred: Any) -> Prepared:
    """:func:`keras.losses.kl_divergence`."""
    given = pair(y_true, y_pred)
    if given is None:
        return None
    return formulas.kullback_leibler_divergence(), *given


@kept_by_name
class KLDivergence(Reduced, theirs.KLDivergence):
    """:class:`keras.losses.KLDivergence`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "kl_divergence", dtype: Any = None
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.fn = kl_divergence


@by_kernels(theirs.cosine_similarity)
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Prepared:
    """:func:`keras.losses.cosine_similarity`."""
    given = pair(y_true, y_pred, axis, squeezed=True, broadcast=False)
    if given is None:
        return None
    return formulas.cosine_proximity(), *given


@kept_by_name
class CosineSimilarity(Reduced, theirs.CosineSimilarity):
    """:class:`keras.losses.CosineSimilarity`."""

    def __init__(
        self, axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str = "cosine_similarity",
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(axis=axis, reduction=reduction, name=name, dtype=dtype)
        self.fn = cosine_similarity


@by_kernels(theirs.categorical_hinge)
def categorical_hinge(y_true: Any, y_pred: Any) -> Prepared:
    """:func:`keras.losses.categorical_hinge`."""
    given = pair(y_true, y_pred)
    if given is None:
        return None
    return formulas.categorical_hinge(), *given


@kept_by_name
class CategoricalHinge(Reduced, theirs.CategoricalHinge):
    """:class:`keras.losses.CategoricalHinge`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "categorical_hinge", dtype: Any = None
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.fn = categorical_hinge


@by_kernels(theirs.categorical_crossentropy)
def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Prepared:
    """:func:`keras.losses.categorical_crossentropy`."""
    given = pair(y_true, y_pred, axis, broadcast=False)
    if given is None or not _usual(y_pred, axis, label_smoothing):
        return None
    formula = formulas.categorical_crossentropy(given.y_pred.shape[-1], bool(from_logits), float(label_smoothing))
    return formula, *given


@kept_by_name
class CategoricalCrossentropy(Reduced, theirs.CategoricalCrossentropy):
    """:class:`keras.losses.CategoricalCrossentropy`."""

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
        reduction: str | None = "sum_over_batch_size", name: str = "categorical_crossentropy", dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            from_logits=from_logits, label_smoothing=label_smoothing, axis=axis, reduction=reduction, name=name,
            dtype=dtype,
        )  # fmt: skip
        self.fn = categorical_crossentropy


@by_kernels(theirs.categorical_focal_crossentropy)
def categorical_focal_crossentropy(
    y_true: Any, y_pred: Any, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False,
    label_smoothing: float = 0.0, axis: int = -1,
) -> Prepared:  # fmt: skip
    """:func:`keras.losses.categorical_focal_crossentropy`. Logits are not clipped."""
    given = pair(y_true, y_pred, axis, broadcast=False) if isinstance(alpha, int | float) and gamma > 0 else None
    if given is None or not _usual(y_pred, axis, label_smoothing):
        return None
    formula = formulas.categorical_focal_crossentropy(
        given.y_pred.shape[-1], float(alpha), float(gamma), bool(from_logits), float(label_smoothing)
    )
    return formula, *given


@kept_by_name
class CategoricalFocalCrossentropy(Reduced, theirs.CategoricalFocalCrossentropy):
    """:class:`keras.losses.CategoricalFocalCrossentropy`."""

    def __init__(
        self, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0,
        axis: int = -1, reduction: str | None = "sum_over_batch_size", name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            alpha=alpha, gamma=gamma, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis,
            reduction=reduction, name=name, dtype=dtype,
        )  # fmt: skip
        self.fn = categorical_focal_crossentropy


def _usual(y_pred: Any, axis: int, label_smoothing: float) -> bool:
    """Return whether there is nothing for Keras to warn of, and it smooths by the number of classes: it takes the last
    axis for them there, whatever `axis` says."""
    shape = keras.ops.shape(y_pred)
    return shape[-1] != 1 and (not label_smoothing or axis in (-1, len(shape) - 1))


def _from_labels(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Prepared:
    whole = ignore_class is None or isinstance(ignore_class, int)
    given = with_labels(y_true, y_pred, axis, ignore_class, squeezed=True) if whole else None
    if given is None:
        return None
    return formulas.sparse_categorical_crossentropy(given.y_pred.shape[-1], bool(from_logits), ignore_class), *given


@kept_by_name
@host.opaque
def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """:func:`keras.losses.sparse_categorical_crossentropy`. Samples of the class to ignore are masked."""
    found = _from_labels(y_true, y_pred, from_logits, ignore_class, axis)
    if found is None:
        return theirs.sparse_categorical_crossentropy(y_true, y_pred, from_logits, ignore_class, axis)
    values = host.values(*found)
    if ignore_class is not None:
        set_keras_mask(values, found[1] != ignore_class)
    return values


sparse_categorical_crossentropy.prepared = _from_labels


@kept_by_name
class SparseCategoricalCrossentropy(Reduced, theirs.SparseCategoricalCrossentropy):
    """:class:`keras.losses.SparseCategoricalCrossentropy`."""

    def __init__(
        self, from_logits: bool = False, ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size", axis: int = -1,
        name: str = "sparse_categorical_crossentropy", dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            from_logits=from_logits, ignore_class=ignore_class, reduction=reduction, axis=axis, name=name, dtype=dtype
        )
        self.fn = sparse_categorical_crossentropy


@by_kernels(theirs.categorical_generalized_cross_entropy)
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Prepared:
    """:func:`keras.losses.categorical_generalized_cross_entropy`."""
    given = with_labels(y_true, y_pred, -1) if 0 < q < 1 else None
    if given is None:
        return None
    return formulas.categorical_generalized_cross_entropy(float(q)), *given


@kept_by_name
class CategoricalGeneralizedCrossEntropy(Reduced, theirs.CategoricalGeneralizedCrossEntropy):
    """:class:`keras.losses.CategoricalGeneralizedCrossEntropy`."""

    def __init__(
        self, q: float = 0.5, reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy", dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(q=q, reduction=reduction, name=name, dtype=dtype)
        self.fn = categorical_generalized_cross_entropy


@by_kernels(theirs.dice)
def dice(y_true: Any, y_pred: Any, axis: Axis = None) -> Prepared:
    """:func:`keras.losses.dice`."""
    given = pair(y_true, y_pred, axis, broadcast=False)
    if given is None:
        return None
    return formulas.dice(), *given


@kept_by_name
class Dice(Reduced, theirs.Dice):
    """:class:`keras.losses.Dice`."""

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "dice", axis: Axis = None, dtype: Any = None
    ) -> None:
        super().__init__(reduction=reduction, name=name, axis=axis, dtype=dtype)
        self.fn = dice


@by_kernels(theirs.tversky)
def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Axis = None) -> Prepared:
    """:func:`keras.losses.tversky`."""
    given = pair(y_true, y_pred, axis, broadcast=False)
    if given is None:
        return None
    return formulas.tversky(float(alpha), float(beta)), *given


@kept_by_name
class Tversky(Reduced, theirs.Tversky):
    """:class:`keras.losses.Tversky`."""

    def __init__(
        self, alpha: float = 0.5, beta: float = 0.5, reduction: str | None = "sum_over_batch_size",
        name: str = "tversky", axis: Axis = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(alpha=alpha, beta=beta, reduction=reduction, name=name, axis=axis, dtype=dtype)
        self.fn = tversky
