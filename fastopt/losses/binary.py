"""Losses of two classes, every element by itself: cross-entropies and hinges. A class each, and its function."""

from typing import Annotated

from fastopt import expect
from fastopt.kernels.losses import formulas
from fastopt.losses import checks
from fastopt.losses.base import Axes, Loss, PlainLoss, Reduction, filled
from fastopt.losses.options import function_of


class _Labels(Loss):
    """Base of the losses of labels in [0, 1], and of logits or probabilities."""

    from_logits: bool
    label_smoothing: float

    def _plan(self, by, y_true, y_pred, samples):
        checks.within(by, y_true, "y_true", 0.0, 1.0, checks.LABELS)
        if not self.from_logits:
            checks.within(by, y_pred, "y_pred", 0.0, 1.0, checks.PROBABILITIES, nan=True)
        return super()._plan(by, y_true, y_pred, samples)


@filled
class BinaryCrossentropy(_Labels):
    """Binary cross-entropy: mean over a sample of −[t log p + (1 − t) log(1 − p)], in nats.

    Parameters
    ----------
    from_logits : bool, default False
        Whether y_pred holds logits x, p = 1 / (1 + exp(−x)), rather than probabilities. Right for any logit, ±Inf too.
    label_smoothing : float in [0, 1], default 0.0
        Labels are drawn towards one half: t = y_true (1 − label_smoothing) + label_smoothing / 2.
    axis, reduction
        As in :class:`Loss`.
    clip_logarithms : bool, default False
        Of probabilities: whether their logarithms are clipped, as in torch, rather than they themselves, as in Keras.

    {raises}

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., features); labels and probabilities in [0, 1]. NaN
    in y_pred travels, in y_true it is refused. Probabilities are clipped to [1e-7, 1 − 1e-7], and have no gradient
    outside of it, as in Keras. With `clip_logarithms` they are taken as they are, logarithms below −100 for −100, and
    the gradient is (p − t) / max(p (1 − p), 1e-12), as in torch.nn.BCELoss.

    References
    ----------
    Good, "Rational decisions", Journal of the Royal Statistical Society B 14, 1952; label smoothing: Szegedy et al.,
    "Rethinking the Inception architecture", CVPR 2016, section 7.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.BinaryCrossentropy(from_logits=True)
    >>> loss.value_and_grad(np.array([[1.0, 0.0]]), np.array([[0.0, -np.inf]]))
    (0.34657359027997264, array([[-0.25,  0.  ]]))
    """

    clip_logarithms: bool

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: Annotated[float, expect.UNIT] = 0.0,
        axis: Axes = -1,
        reduction: Reduction = "mean",
        *,
        clip_logarithms: bool = False,
    ):
        super().__init__(
            reduction, axis=axis, from_logits=from_logits, label_smoothing=label_smoothing,
            clip_logarithms=clip_logarithms,
        )  # fmt: skip

    def _check_together(self, options):
        if options["from_logits"] and options["clip_logarithms"]:
            raise ValueError("clip_logarithms: expected False with from_logits=True, which clips nothing, got True")

    def _formula(self, classes):
        return formulas.binary_crossentropy(self.from_logits, self.label_smoothing, self.clip_logarithms)


binary_crossentropy = function_of(BinaryCrossentropy, "binary_crossentropy")


@filled
class Hinge(PlainLoss):
    """Hinge loss: mean over a sample of max(1 − t y_pred, 0), t = −1 or 1. The gradient at the kink is 0.

    Parameters
    ----------
    {shared}

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., features). Labels are −1 and 1; where all of them
    are 0 or 1, 0 is taken for −1, as in Keras. Any other label is refused (Keras takes it as it is). NaN in y_pred
    travels. torch has no such loss (its hinge_embedding_loss is another).

    References
    ----------
    Cortes and Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.Hinge().value_and_grad(np.array([[1.0, 0.0]]), np.array([[0.5, -2.0]]))
    (0.25, array([[-0.5,  0. ]]))
    """

    def _plan(self, by, y_true, y_pred, samples):
        return formulas.hinge(checks.signs(by, y_true)), 0


hinge = function_of(Hinge, "hinge")


@filled
class SquaredHinge(PlainLoss):
    """Squared hinge loss: mean over a sample of max(1 − t y_pred, 0)², t = −1 or 1.

    Parameters
    ----------
    {shared}

    Notes
    -----
    Arrays and labels as in :class:`Hinge`. Keras is the same, but takes any labels. torch has no such loss.

    References
    ----------
    Rosasco et al., "Are loss functions all the same?", Neural Computation 16, 2004.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.SquaredHinge().value_and_grad(np.array([[1.0, 0.0]]), np.array([[0.5, -2.0]]))
    (0.125, array([[-0.5,  0. ]]))
    """

    def _plan(self, by, y_true, y_pred, samples):
        return formulas.squared_hinge(checks.signs(by, y_true)), 0


squared_hinge = function_of(SquaredHinge, "squared_hinge")


@filled
class BinaryFocalCrossentropy(_Labels):
    """Binary focal cross-entropy.

    Mean over a sample of (1 − pₜ)^gamma times the binary cross-entropy, in nats; pₜ = t p + (1 − t) (1 − p).

    Parameters
    ----------
    apply_class_balancing : bool, default False
        Whether elements are weighed by alpha t + (1 − alpha) (1 − t).
    alpha : float in [0, 1], default 0.25
        The weight of label 1, where classes are balanced.
    gamma : float ≥ 0, default 2.0
        How much less what is well told counts; 0 is the binary cross-entropy.
    from_logits, label_smoothing
        As in :class:`BinaryCrossentropy`.
    axis, reduction
        As in :class:`Loss`.

    {raises}

    Notes
    -----
    Arrays as in :class:`BinaryCrossentropy`. Probabilities are clipped to [1e-7, 1 − 1e-7] in the power as well, and
    have no gradient outside; Keras clips them in the logarithm alone. torch has none; torchvision's sigmoid_focal_loss
    is the same for logits, with balancing on unless its alpha is below 0.

    References
    ----------
    Lin et al., "Focal loss for dense object detection", ICCV 2017, equations 4 and 5.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.BinaryFocalCrossentropy()
    >>> value, gradient = loss.value_and_grad(np.array([[1.0, 0.0]]), np.array([[0.9, 0.5]]))
    >>> round(value, 6), gradient.round(6)
    (0.08717, array([[-0.016092,  0.596574]]))
    """

    apply_class_balancing: bool
    alpha: float
    gamma: float

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: Annotated[float, expect.UNIT] = 0.25,
        gamma: Annotated[float, expect.NOT_NEGATIVE] = 2.0,
        from_logits: bool = False,
        label_smoothing: Annotated[float, expect.UNIT] = 0.0,
        axis: Axes = -1,
        reduction: Reduction = "mean",
    ):
        super().__init__(
            reduction, axis=axis, apply_class_balancing=apply_class_balancing, alpha=alpha, gamma=gamma,
            from_logits=from_logits, label_smoothing=label_smoothing,
        )  # fmt: skip

    def _formula(self, classes):
        return formulas.binary_focal_crossentropy(
            self.apply_class_balancing, self.alpha, self.gamma, self.from_logits, self.label_smoothing
        )


binary_focal_crossentropy = function_of(BinaryFocalCrossentropy, "binary_focal_crossentropy")


@filled
class Exponential(PlainLoss):
    """Exponential loss: mean over a sample of t exp(−y_pred) + (1 − t) exp(y_pred).

    Parameters
    ----------
    {shared}

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., features); labels in [0, 1], predictions of any size.
    AdaBoost's loss, as scikit-learn's ExponentialLoss, whose least value is at half the logit. torch and Keras have no
    such loss.

    References
    ----------
    Friedman, Hastie and Tibshirani, "Additive logistic regression: a statistical view of boosting", Annals of
    Statistics 28, 2000.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.Exponential().value_and_grad(np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]]))
    (1.0, array([[-0.5,  0.5]]))
    """

    def _formula(self, classes):
        return formulas.exponential()

    def _plan(self, by, y_true, y_pred, samples):
        checks.within(by, y_true, "y_true", 0.0, 1.0, checks.LABELS)
        return super()._plan(by, y_true, y_pred, samples)


exponential = function_of(Exponential, "exponential")


@filled
class HingeEmbedding(Loss):
    """Hinge embedding loss: mean over a sample of y_pred where t = 1, and of max(margin − y_pred, 0) where t = −1.

    Predictions are distances: those of likes (t = 1) are drawn to 0, others are pushed beyond the margin.

    Parameters
    ----------
    margin : float, finite (any number), default 1.0
        How far what is not alike is to be apart.
    {shared}

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., features); labels as in :class:`Hinge`. The gradient at
    the kink is −1, as in torch.nn.HingeEmbeddingLoss, which takes any labels. Keras has no such loss.

    References
    ----------
    Hadsell, Chopra and LeCun, "Dimensionality reduction by learning an invariant mapping", CVPR 2006.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.HingeEmbedding().value_and_grad(np.array([[1.0, -1.0]]), np.array([[0.5, 0.25]]))
    (0.625, array([[ 0.5, -0.5]]))
    """

    margin: float

    def __init__(
        self, margin: Annotated[float, expect.FINITE] = 1.0, reduction: Reduction = "mean", *, axis: Axes = -1
    ):
        super().__init__(reduction, axis=axis, margin=margin)

    def _plan(self, by, y_true, y_pred, samples):
        return formulas.hinge_embedding(self.margin, checks.signs(by, y_true)), 0


hinge_embedding = function_of(HingeEmbedding, "hinge_embedding")
