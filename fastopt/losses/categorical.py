"""Categorical cross-entropies, of distributions and of labels, with their options. A class each, and its function."""

from typing import Annotated, Any

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import formulas
from fastopt.kernels.losses.formulas import NO_CLASS
from fastopt.losses import checks
from fastopt.losses.base import Axis, Loss, Reduction, filled
from fastopt.losses.options import function_of

ClassWeight = Annotated[np.ndarray | None, checks.class_weight]
SoftCap = Annotated[float | None, expect.POSITIVE]


class _ClassLoss(Loss):
    """Base of both: the options that they share."""

    from_logits: bool
    label_smoothing: float
    class_weight: np.ndarray | None
    z_loss: float
    logit_softcap: float | None
    _least_dimensions = 2

    def _check_together(self, options: dict[str, Any]) -> None:
        for name in ("z_loss", "logit_softcap"):
            if options[name] and not options["from_logits"]:
                raise ValueError(f"{name}: expected from_logits=True beside it, got {options[name]} with probabilities")

    def _more(self, y_pred, classes):
        return of_classes(self.class_weight, "class_weight", y_pred, classes)

    def _plan(self, by, y_true, y_pred, samples):
        if not self.from_logits:
            checks.within(by, y_pred, "y_pred", 0.0, 1.0, checks.PROBABILITIES, nan=True)
        return super()._plan(by, y_true, y_pred, samples)


def of_classes(value: Any, name: str, y_pred: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Return an option that is an array of a number for each class as kernels take it; nothing, if it is none."""
    if not isinstance(value, np.ndarray):
        return {}
    return {"class_weight": expect.array(value, name, dtype=y_pred.dtype, shape=(classes,))}


def check_weighed_smoothing(options: dict[str, Any]) -> None:
    """Refuse a z-loss beside class weights of smoothed labels: should they multiply it?"""
    if options["label_smoothing"] and options["class_weight"] is not None and options["z_loss"]:
        raise ValueError(
            "z_loss: expected no class_weight beside it where labels are smoothed, or distributions and "
            f"CategoricalCrossentropy, got {options['z_loss']}"
        )


@filled
class CategoricalCrossentropy(_ClassLoss):
    """Categorical cross-entropy: −sum over the classes of t log p, in nats.

    Parameters
    ----------
    from_logits : bool, default False
        Whether y_pred holds logits, p = softmax(y_pred), rather than probabilities, p = y_pred over its row's sum.
        Right for any logits, ±Inf too: equal infinite ones share the probability. A logit of −Inf leaves its class out
        of the sample, as `where` does in optax: probability, gradient and (where y_true is 0) term are 0. Labels must
        not be smoothed then, nor logits bent.
    label_smoothing : float in [0, 1], default 0.0
        Labels are drawn towards equal shares: t = y_true (1 − label_smoothing) + label_smoothing / classes.
    axis, reduction
        As in :class:`Loss`; classes lie along the axis (torch: 1).
    class_weight : array (classes,) of numbers ≥ 0, dtype of y_pred, or None
        The terms of the sum are multiplied by it. "mean" divides by the number of samples, as Keras does with weights;
        torch does the same where labels are distributions. A copy is kept.
    z_loss : float ≥ 0, default 0.0
        With logits: z_loss (log sum exp(y_pred))² is added to every sample's value, which keeps logits near 0.
    logit_softcap : float > 0, or None, default None
        With logits: they are bent to logit_softcap tanh(y_pred / logit_softcap) first.

    {raises}

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
    >>> loss.value_and_grad(np.array([[1.0, 0.0, 0.0]]), np.array([[2.0, 2.0, -np.inf]]))
    (0.6931471805599453, array([[-0.5,  0.5,  0. ]]))
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: Annotated[float, expect.UNIT] = 0.0,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        *,
        class_weight: ClassWeight = None,
        z_loss: Annotated[float, expect.NOT_NEGATIVE] = 0.0,
        logit_softcap: SoftCap = None,
    ):
        super().__init__(
            reduction, axis=axis, from_logits=from_logits, label_smoothing=label_smoothing, class_weight=class_weight,
            z_loss=z_loss, logit_softcap=logit_softcap,
        )  # fmt: skip

    def _formula(self, classes):
        return formulas.categorical_crossentropy(
            classes, self.from_logits, self.label_smoothing, self.z_loss, self.logit_softcap or 0.0,
            self.class_weight is not None,
        )  # fmt: skip

    def _plan(self, by, y_true, y_pred, samples):
        checks.distributions(by, y_true, samples.leading)
        return super()._plan(by, y_true, y_pred, samples)


categorical_crossentropy = function_of(CategoricalCrossentropy, "categorical_crossentropy")


@filled
class SparseCategoricalCrossentropy(_ClassLoss):
    """Categorical cross-entropy of integer labels: −log p[label], in nats.

    Parameters
    ----------
    from_logits : bool, default False
        As in :class:`CategoricalCrossentropy`.
    ignore_class : int (any label) or None, default None
        Samples of this label don't count: value 0, gradient 0 whatever y_pred holds, and "mean" divides by the number
        of the others. Where all are ignored the value is 0 (torch gives NaN).
    reduction, axis
        As in :class:`Loss`; classes lie along the axis (torch: 1).
    class_weight : array (classes,) of numbers ≥ 0, dtype of y_pred, or None
        A sample's value and gradient are multiplied by its label's. "mean" divides by the number of samples that count,
        as Keras does with weights, where torch divides by the sum of their weights. A copy is kept.
    z_loss, logit_softcap
        As in :class:`CategoricalCrossentropy`.
    label_smoothing : float in [0, 1], default 0.0
        With logits: labels stand for one-hot rows that are drawn towards equal shares, t = one-hot
        (1 − label_smoothing) + label_smoothing / classes, and class weights multiply the terms of the sum, as in torch.

    {raises}

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

    ignore_class: int | None
    _takes_labels = _labels_tell = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: Annotated[int | None, checks.any_class] = None,
        *,
        reduction: Reduction = "mean",
        axis: Axis = -1,
        class_weight: ClassWeight = None,
        z_loss: Annotated[float, expect.NOT_NEGATIVE] = 0.0,
        logit_softcap: SoftCap = None,
        label_smoothing: Annotated[float, expect.UNIT] = 0.0,
    ):
        super().__init__(
            reduction, axis=axis, from_logits=from_logits, ignore_class=ignore_class, class_weight=class_weight,
            z_loss=z_loss, logit_softcap=logit_softcap, label_smoothing=label_smoothing,
        )  # fmt: skip

    def _check_together(self, options):
        super()._check_together(options)
        if options["label_smoothing"] and not options["from_logits"]:
            raise ValueError(
                "label_smoothing: expected from_logits=True beside it, or distributions and CategoricalCrossentropy, "
                f"got {options['label_smoothing']}"
            )
        check_weighed_smoothing(options)

    @property
    def _ignored(self) -> int:
        return NO_CLASS if self.ignore_class is None else self.ignore_class

    def _formula(self, classes):
        return formulas.sparse_categorical_crossentropy(
            classes, self.from_logits, self._ignored, self.label_smoothing, self.z_loss, self.logit_softcap or 0.0,
            self.class_weight is not None,
        )  # fmt: skip

    def _mask_labels(self, labels, mask):
        return np.where(mask, labels, self._ignored)

    def _plan(self, by, y_true, y_pred, samples):
        ignored = checks.classes(by, y_true, samples.columns, self._ignored)
        return super()._plan(by, y_true, y_pred, samples)[0], ignored


sparse_categorical_crossentropy = function_of(SparseCategoricalCrossentropy, "sparse_categorical_crossentropy")


@filled
class CategoricalFocalCrossentropy(Loss):
    """Categorical focal cross-entropy: −alpha sum over the classes of t (1 − p)^gamma log p, in nats.

    Parameters
    ----------
    alpha : float ≥ 0, or array (classes,) of numbers ≥ 0, dtype of y_pred, default 0.25
        Factor of all classes, or of each one; of an array a copy is kept.
    gamma : float ≥ 0, default 2.0
        How much less samples count that are right already.
    from_logits, label_smoothing
        As in :class:`CategoricalCrossentropy`.
    axis, reduction
        As in :class:`Loss`; classes lie along the axis.

    {raises}

    Notes
    -----
    Arrays as in :class:`CategoricalCrossentropy`, and so are probabilities. Logits are not clipped: log p comes from
    them, right at any size, where Keras clips their softmax. NaN in y_pred travels through its row. torch has no such
    loss (torchvision's focal loss is of two classes).

    References
    ----------
    Lin et al., "Focal loss for dense object detection", ICCV 2017, equation 5.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.CategoricalFocalCrossentropy(from_logits=True)
    >>> value, gradient = loss.value_and_grad(np.array([[1.0, 0.0]]), np.array([[2.0, 2.0]]))
    >>> round(value, 6), gradient.round(6)
    (0.043322, array([[-0.074572,  0.074572]]))
    """

    alpha: float | np.ndarray
    gamma: float
    from_logits: bool
    label_smoothing: float
    _least_dimensions = 2

    def __init__(
        self,
        alpha: Annotated[float | np.ndarray, checks.factors] = 0.25,
        gamma: Annotated[float, expect.NOT_NEGATIVE] = 2.0,
        from_logits: bool = False,
        label_smoothing: Annotated[float, expect.UNIT] = 0.0,
        axis: Axis = -1,
        reduction: Reduction = "mean",
    ):
        super().__init__(
            reduction, axis=axis, alpha=alpha, gamma=gamma, from_logits=from_logits, label_smoothing=label_smoothing
        )

    def _formula(self, classes):
        alpha = None if isinstance(self.alpha, np.ndarray) else self.alpha
        return formulas.categorical_focal_crossentropy(
            classes, alpha, self.gamma, self.from_logits, self.label_smoothing
        )

    def _more(self, y_pred, classes):
        return of_classes(self.alpha, "alpha", y_pred, classes)

    def _plan(self, by, y_true, y_pred, samples):
        checks.distributions(by, y_true, samples.leading)
        if not self.from_logits:
            checks.within(by, y_pred, "y_pred", 0.0, 1.0, checks.PROBABILITIES, nan=True)
        return super()._plan(by, y_true, y_pred, samples)


categorical_focal_crossentropy = function_of(CategoricalFocalCrossentropy, "categorical_focal_crossentropy")
