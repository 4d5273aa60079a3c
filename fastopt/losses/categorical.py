"""Categorical cross-entropy, of distributions and of labels, with all its options."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import reference
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.losses.base import (
    LARGEST,
    NO_CLASS,
    ROW_BUFFERS,
    Numbers,
    RowLoss,
    check_distributions,
    check_within,
    count,
)

PROBABILITIES = "probabilities in [0, 1]"


class ClassLoss(RowLoss):
    """Base of both: the options that they share, and the stages that these become."""

    def __init__(
        self,
        from_logits: bool,
        reduction: str,
        class_weight: np.ndarray | None,
        z_loss: float,
        logit_softcap: float | None,
        axis: int,
    ):
        super().__init__(reduction, axis)
        self.from_logits = expect.flag(from_logits, "from_logits")
        self.z_loss = expect.number(z_loss, "z_loss", expect.NOT_NEGATIVE)
        self.logit_softcap = (
            None if logit_softcap is None else expect.number(logit_softcap, "logit_softcap", expect.POSITIVE)
        )
        for name, value in (("z_loss", self.z_loss), ("logit_softcap", self.logit_softcap)):
            if value and not self.from_logits:
                raise ValueError(f"{name}: expected from_logits=True beside it, got {value} with probabilities")
        self.class_weight = class_weight
        if class_weight is not None:
            expect.not_empty(expect.array(class_weight, "class_weight"), "class_weight")
            if class_weight.ndim != 1:
                raise ValueError(f"class_weight: expected one axis, got shape {class_weight.shape}")
            check_within(class_weight, "class_weight", 0.0, LARGEST[class_weight.dtype], "finite numbers ≥ 0")
            self.class_weight = np.ascontiguousarray(class_weight)

    def _options(self) -> dict[str, Any]:
        names = ("from_logits", "class_weight", "z_loss", "logit_softcap")
        return {name: getattr(self, name) for name in names}

    def _capped(self, stage: tuple, at: int, columns: int, wanted: bool) -> tuple[tuple, dict[str, int]]:
        """Return the stages around the one that makes values, and elements of scratch memory a row."""
        if self.logit_softcap is None:
            return (stage,), {}
        kernel, used, units = stage
        before = (KERNELS["soft_cap"], ("y_pred", "capped"), columns, at)
        behind = ((KERNELS["uncap"], ("capped", "gradient"), columns, at),) if wanted else ()
        used = tuple("capped" if name == "y_pred" else name for name in used)
        return (before, (kernel, used, units), *behind), {"capped": columns}

    def _check_labels(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        self._check_class_weight(y_pred)
        return super()._check_labels(y_true, y_pred)

    def _check_class_weight(self, y_pred: np.ndarray) -> None:
        if self.class_weight is not None:
            expect.array(self.class_weight, "class_weight", dtype=y_pred.dtype, shape=y_pred.shape[-1:])

    def _check_pred(self, y_pred: np.ndarray) -> None:
        if not self.from_logits:
            check_within(y_pred, "y_pred", 0.0, 1.0, PROBABILITIES, nan=True)


class CategoricalCrossentropy(ClassLoss):
    """Categorical cross-entropy: −sum over the classes of t log p, in nats.

    Parameters
    ----------
    from_logits : bool, default False
        Whether y_pred holds logits, p = softmax(y_pred), rather than probabilities, p = y_pred over its row's sum.
        Right for any logits, ±Inf too: equal infinite ones share the probability.
    label_smoothing : float in [0, 1], default 0
        Labels are drawn towards equal shares: t = y_true (1 − label_smoothing) + label_smoothing / classes.
    class_weight : array (classes,) of numbers ≥ 0, dtype of y_pred, or None
        The terms of the sum are multiplied by it. "mean" divides by the number of samples, as Keras does with weights;
        torch does the same where labels are distributions.
    z_loss : float ≥ 0, default 0
        With logits: z_loss (log sum exp(y_pred))² is added to every sample's value, which keeps logits near 0.
    logit_softcap : float > 0 or None, default None
        With logits: they are bent to logit_softcap tanh(y_pred / logit_softcap) first.
    axis : int, default -1
        Which axis of y_pred holds the classes (torch: 1). Other axes than the last are read and written with strides.
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., classes) of at least 2 axes; rows of y_true are
    one-hot or any other distribution: in [0, 1], with a sum of 1 within 0.001. NaN in y_pred travels through its
    row; a row of probabilities that are all 0 gives NaN. Probabilities in [0, 1] are divided by their row's sum,
    then clipped to [1e-7, 1 − 1e-7], as in Keras; the gradient includes the division and is 0 where the clip bites.
    torch's cross_entropy is the same as from_logits=True, with the classes along axis 1.

    References
    ----------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990; label smoothing:
    Szegedy et al., "Rethinking the Inception architecture", CVPR 2016, section 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.CategoricalCrossentropy(from_logits=True)
    >>> loss.value_and_grad(np.array([[1.0, 0.0]]), np.array([[2.0, 2.0]]))
    (0.6931471805599453, array([[-0.5,  0.5]]))
    """

    _reference = staticmethod(reference.categorical_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
        class_weight: np.ndarray | None = None,
        z_loss: float = 0.0,
        logit_softcap: float | None = None,
        axis: int = -1,
    ):
        super().__init__(from_logits, reduction, class_weight, z_loss, logit_softcap, axis)
        self.label_smoothing = expect.number(label_smoothing, "label_smoothing", expect.UNIT)

    def _kernel(self):
        return KERNELS["softmax" if self.from_logits else "probabilities"]

    def _options(self) -> dict[str, Any]:
        return super()._options() | {"label_smoothing": self.label_smoothing}

    def _head(self, columns, wanted, itemsize):
        labels, slots = "y_true", {}
        stages: tuple = ()
        if self.class_weight is not None:
            labels, slots["weighed"], slots["class_weight"] = "weighed", columns * itemsize, self.class_weight
            stages = ((KERNELS["weigh_classes"], ("y_true", "class_weight", "weighed"), 1, 5),)
        more, more_slots = self._capped(
            (self._kernel(), (labels, "y_pred", "gradient", "values"), 1), 4, columns, wanted
        )
        return (
            stages + more,
            slots | {name: size * itemsize for name, size in more_slots.items()},
            (columns, int(wanted)),
            1,
        )

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        check_distributions(y_true, "y_true")
        self._check_pred(y_pred)
        smooth = 1.0 - self.label_smoothing, self.label_smoothing / y_pred.shape[-1]
        kept = smooth if self.class_weight is None else (1.0, 0.0)  # smoothed where they are weighed
        return samples, (*kept, self.z_loss, self.logit_softcap or 0.0, *smooth)


class SparseCategoricalCrossentropy(ClassLoss):
    """Categorical cross-entropy of integer labels: −log p[label], in nats.

    Parameters
    ----------
    from_logits : bool, default False
        Whether y_pred holds logits, p = softmax(y_pred), rather than probabilities, p = y_pred over its row's sum.
        Right for any logits, ±Inf too: equal infinite ones share the probability.
    ignore_class : int (any label) or None, default None
        Samples of this label don't count: value 0, gradient 0 whatever y_pred holds, and "mean" divides by the number
        of the others. Where all are ignored the value is 0 (torch gives NaN).
    class_weight : array (classes,) of numbers ≥ 0, dtype of y_pred, or None
        A sample's value and gradient are multiplied by its label's. "mean" divides by the number of samples that count,
        as Keras does with weights, where torch divides by the sum of their weights.
    z_loss : float ≥ 0, default 0
        With logits: z_loss (log sum exp(y_pred))² is added to every sample's value, which keeps logits near 0.
    logit_softcap : float > 0 or None, default None
        With logits: they are bent to logit_softcap tanh(y_pred / logit_softcap) first.
    axis : int, default -1
        Which axis of y_pred holds the classes (torch: 1). Other axes than the last are read and written with strides.
    label_smoothing : float in [0, 1], default 0
        With logits, without class weights: labels stand for one-hot rows that are drawn towards equal shares, t =
        one-hot (1 − label_smoothing) + label_smoothing / classes, as in torch.
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    y_true: labels in [0, classes), or `ignore_class`, of any integer dtype (others than int64 are copied to it), of
    shape (...) or (..., 1). y_pred: float32 or float64 array (..., classes) of at least 2 axes. The rest is as in
    :class:`CategoricalCrossentropy`. torch's cross_entropy is the same as from_logits=True, with the classes along
    axis 1.

    References
    ----------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    >>> loss.value_and_grad(np.array([1, -1]), np.array([[2.0, 2.0], [5.0, 0.0]]))
    (0.6931471805599453, array([[ 0.5, -0.5],
           [ 0. ,  0. ]]))
    """

    _takes_labels = True

    _reference = staticmethod(reference.sparse_categorical_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str = "mean",
        class_weight: np.ndarray | None = None,
        z_loss: float = 0.0,
        logit_softcap: float | None = None,
        axis: int = -1,
        label_smoothing: float = 0.0,
    ):
        super().__init__(from_logits, reduction, class_weight, z_loss, logit_softcap, axis)
        self.label_smoothing = expect.number(label_smoothing, "label_smoothing", expect.UNIT)
        if self.label_smoothing and not (self.from_logits and class_weight is None):
            raise ValueError(
                "label_smoothing: expected from_logits=True and no class_weight beside it, or distributions and "
                f"CategoricalCrossentropy, got {self.label_smoothing}"
            )
        self.ignore_class = None if ignore_class is None else expect.integer(ignore_class, "ignore_class")

    def _kernel(self):
        return KERNELS["softmax_sparse" if self.from_logits else "probabilities_sparse"]

    def _options(self) -> dict[str, Any]:
        own = {"ignore_class": self.ignore_class, "label_smoothing": self.label_smoothing, "class_weight": None}
        return super()._options() | own

    def _head(self, columns, wanted, itemsize):
        ignored = NO_CLASS if self.ignore_class is None else self.ignore_class
        stages, slots = self._capped((self._kernel(), ROW_BUFFERS, 1), 4, columns, wanted)
        return stages, {name: size * itemsize for name, size in slots.items()}, (columns, int(wanted), ignored), 1

    def _begin(self, y_true, y_pred, sample_weight):
        leading, labels, weight = super()._begin(y_true, y_pred, sample_weight)
        if self.class_weight is None:
            return leading, labels, weight
        own = np.take(self.class_weight, labels, mode="clip")  # of labels that are ignored, any
        return leading, labels, own if weight is None else own * weight

    def _check_labels(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        self._check_class_weight(y_pred)
        return expect.labels(y_true, "y_true", y_pred.shape[:-1])

    def _mask_labels(self, labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.where(mask, labels, NO_CLASS if self.ignore_class is None else self.ignore_class)

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        classes, ignored_class = y_pred.shape[-1], NO_CLASS if self.ignore_class is None else self.ignore_class
        out, ignored = count("labels_outside", y_true, samples, 2, dims=(classes, ignored_class))
        if out:
            wrong = y_true[((y_true < 0) | (y_true >= classes)) & (y_true != ignored_class)]
            raise ValueError(f"y_true: expected labels in [0, {classes}), got {int(wrong[0])}")
        self._check_pred(y_pred)
        smooth = 1.0 - self.label_smoothing, self.label_smoothing / classes
        return samples - ignored, (self.z_loss, *smooth, self.logit_softcap or 0.0)
