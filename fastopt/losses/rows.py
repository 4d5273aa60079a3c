"""Losses that couple the elements of a sample: sums, angles, overlaps, margins. A class each, and its function."""

from typing import Annotated, Any

from fastopt import expect
from fastopt.kernels.losses import formulas
from fastopt.kernels.losses.formulas import NO_CLASS
from fastopt.losses import checks
from fastopt.losses.base import Axes, Axis, Loss, Reduction, filled
from fastopt.losses.options import function_of


@filled
class KLDivergence(Loss):
    """Kullback-Leibler divergence: sum over the classes of t log(t / p), in nats.

    Parameters
    ----------
    {axes}
    from_logarithms : bool, default False
        Whether y_pred holds logarithms of probabilities, of any size; then nothing is clipped, as in torch's kl_div.

    {raises}

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., classes) of at least 2 axes; rows of y_true are
    distributions (in [0, 1], with a sum of 1 within 0.001), y_pred is in [0, 1]. NaN in y_pred travels. Both are
    clipped to [1e-7, 1], as in Keras, and there is no gradient outside of it. torch's kl_div takes log p first, then t.

    References
    ----------
    Kullback and Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22, 1951.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.KLDivergence().value_and_grad(np.array([[0.5, 0.5]]), np.array([[0.25, 0.5]]))
    (0.34657359027997264, array([[-2., -1.]]))
    """

    from_logarithms: bool
    _least_dimensions = 2

    def __init__(self, reduction: Reduction = "mean", *, axis: Axes = -1, from_logarithms: bool = False):
        super().__init__(reduction, axis=axis, from_logarithms=from_logarithms)

    def _formula(self, classes):
        return formulas.kullback_leibler_divergence(self.from_logarithms)

    def _plan(self, by, y_true, y_pred, samples):
        checks.distributions(by, y_true, samples.leading)
        if not self.from_logarithms:
            checks.within(by, y_pred, "y_pred", 0.0, 1.0, checks.PROBABILITIES, nan=True)
        return super()._plan(by, y_true, y_pred, samples)


kullback_leibler_divergence = function_of(KLDivergence, "kullback_leibler_divergence")


@filled
class CosineProximity(Loss):
    """Cosine proximity: minus the cosine of the angle between rows of y_true and y_pred; −1 where they point one way.

    Parameters
    ----------
    axis, reduction
        As in :class:`Loss`.

    {raises}

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., features) of at least 2 axes, any finite values.
    NaN and Inf travel through their row. Lengths below 1e-7 are taken for 1e-7, as in Keras: the value of a row of
    zeros is 0. torch's cosine_similarity has the other sign, and 1e-8.

    References
    ----------
    Salton, Wong and Yang, "A vector space model for automatic indexing", Communications of the ACM 18, 1975.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.CosineProximity().value_and_grad(np.array([[0.0, 2.0]]), np.array([[4.0, 3.0]]))
    (-0.6, array([[ 0.096, -0.128]]))
    """

    _least_dimensions = 2

    def __init__(self, axis: Axes = -1, reduction: Reduction = "mean"):
        super().__init__(reduction, axis=axis)

    def _formula(self, classes):
        return formulas.cosine_proximity()


cosine_proximity = function_of(CosineProximity, "cosine_proximity")


@filled
class CategoricalHinge(Loss):
    """Categorical hinge loss: max(0, 1 + max((1 − t) y_pred) − sum(t y_pred)), t being the labels of a row.

    Parameters
    ----------
    {shared}

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., classes) of at least 2 axes; rows of y_true are
    one-hot, or any other distribution. The first of equal maxima gets the gradient, and at the kink it is 0; Keras
    shares it out among equal maxima, and is the same otherwise. As in Keras, the label's own entry stands among the
    others as 0. NaN in y_pred travels through its row. torch's multi_margin_loss sums over the classes instead.

    References
    ----------
    Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", Journal of
    Machine Learning Research 2, 2001.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.CategoricalHinge().value_and_grad(np.array([[0.0, 1.0, 0.0]]), np.array([[0.5, 1.0, 0.25]]))
    (0.5, array([[ 1., -1.,  0.]]))
    """

    _least_dimensions = 2

    def __init__(self, reduction: Reduction = "mean", *, axis: Axis = -1):
        super().__init__(reduction, axis=axis)

    def _formula(self, classes):
        return formulas.categorical_hinge()

    def _plan(self, by, y_true, y_pred, samples):
        checks.distributions(by, y_true, samples.leading)
        return super()._plan(by, y_true, y_pred, samples)


categorical_hinge = function_of(CategoricalHinge, "categorical_hinge")


class _Overlap(Loss):
    """Base of the losses of sets with probabilities."""

    _least_dimensions = 2

    def _plan(self, by, y_true, y_pred, samples):
        checks.within(by, y_true, "y_true", 0.0, 1.0, checks.LABELS)
        checks.within(by, y_pred, "y_pred", 0.0, 1.0, checks.PROBABILITIES, nan=True)
        return super()._plan(by, y_true, y_pred, samples)


@filled
class Tversky(_Overlap):
    """Tversky loss: 1 − I / (I + alpha missed + beta added), of overlapping sets with probabilities.

    I = sum(t p) is what both have in common, missed = sum(t (1 − p)), added = sum((1 − t) p).

    Parameters
    ----------
    alpha : float ≥ 0, default 0.5
        Weight of what is missed (false negatives).
    beta : float ≥ 0, default 0.5
        Weight of what is added (false positives).
    reduction, axis
        As in :class:`Loss`; the axes of a sample are the set.

    {raises}

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., elements) of at least 2 axes, both in [0, 1]. 1e-7 is
    added below the fraction bar, as in Keras. Keras's default is one set of the whole batch: axis=None. NaN in y_pred
    travels through its set. torch has no such loss.

    References
    ----------
    Salehi, Erdogmus and Gholipour, "Tversky loss function for image segmentation using 3D fully convolutional deep
    networks", 2017, equation 5.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.Tversky(alpha=0.7, beta=0.3)
    >>> value, gradient = loss.value_and_grad(np.array([[1.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0]]))
    >>> round(value, 6), gradient.round(3)
    (0.411765, array([[-0.484, -0.484,  0.104]]))
    """

    alpha: float
    beta: float

    def __init__(
        self,
        alpha: Annotated[float, expect.NOT_NEGATIVE] = 0.5,
        beta: Annotated[float, expect.NOT_NEGATIVE] = 0.5,
        *,
        reduction: Reduction = "mean",
        axis: Axes = -1,
    ):
        super().__init__(reduction, axis=axis, alpha=alpha, beta=beta)

    def _formula(self, classes):
        return formulas.tversky(self.alpha, self.beta)


tversky = function_of(Tversky, "tversky")


@filled
class Dice(_Overlap):
    """Dice loss: 1 − 2 sum(t p) / (sum(t) + sum(p)), of overlapping sets with probabilities.

    Parameters
    ----------
    reduction, axis
        As in :class:`Loss`; the axes of a sample are the set.

    {raises}

    Notes
    -----
    Arrays as in :class:`Tversky`, whose value with weights of one half this is: two empty sets have a loss of 1.
    Keras's default is one set of the whole batch: axis=None. torch has no such loss.

    References
    ----------
    Milletari, Navab and Ahmadi, "V-Net: fully convolutional neural networks for volumetric medical image segmentation",
    2016, section 3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.Dice()
    >>> value, gradient = loss.value_and_grad(np.array([[1.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0]]))
    >>> round(value, 6), gradient.round(3)
    (0.333333, array([[-0.444, -0.444,  0.222]]))
    """

    def __init__(self, *, reduction: Reduction = "mean", axis: Axes = -1):
        super().__init__(reduction, axis=axis)

    def _formula(self, classes):
        return formulas.dice()


dice = function_of(Dice, "dice")


# ---- of integer labels


def power(value: Any, name: str) -> int:
    if expect.integer(value, name, 1) > 2:
        raise ValueError(f"{name}: expected 1 or 2, got {value}")
    return int(value)


class _LabelLoss(Loss):
    """Base of the losses of integer labels that ignore none."""

    _takes_labels = True
    _least_dimensions = 2

    def _plan(self, by, y_true, y_pred, samples):
        checks.classes(by, y_true, samples.columns, NO_CLASS)
        return super()._plan(by, y_true, y_pred, samples)


@filled
class MultiMargin(_LabelLoss):
    """Multi-class margin loss: the mean over the classes of max(0, margin − y_pred[label] + y_pred[class])^p.

    Parameters
    ----------
    p : {1, 2}, default 1
        The power.
    margin : float, finite (any number), default 1.0
        How far the label's score is to stand above the others.
    {shared}

    Notes
    -----
    y_true: labels in [0, classes), of any integer dtype, of shape (...) or (..., 1). y_pred: float32 or float64 array
    (..., classes) of at least 2 axes. The label's own term is left out of the sum, but counts in the mean, as in
    torch.nn.MultiMarginLoss. The gradient at the kink is 0. NaN in y_pred travels through its row. Keras has no such
    loss.

    References
    ----------
    Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", Journal of
    Machine Learning Research 2, 2001.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.MultiMargin().value_and_grad(np.array([0]), np.array([[1.0, 0.5, -2.0, 1.0]]))
    (0.375, array([[-0.5 ,  0.25,  0.  ,  0.25]]))
    """

    p: int
    margin: float

    def __init__(
        self,
        p: Annotated[int, power] = 1,
        margin: Annotated[float, expect.FINITE] = 1.0,
        *,
        reduction: Reduction = "mean",
        axis: Axis = -1,
    ):
        super().__init__(reduction, axis=axis, p=p, margin=margin)

    def _formula(self, classes):
        return formulas.multi_margin(self.p, self.margin)


multi_margin = function_of(MultiMargin, "multi_margin")


@filled
class CategoricalGeneralizedCrossEntropy(_LabelLoss):
    """Generalized cross-entropy: (1 − p[label]^q) / q; near q = 0 it is −log p, at q = 1 it would be 1 − p.

    Parameters
    ----------
    q : float in (0, 1), default 0.5
        The larger, the less do samples count whose label has a small probability: wrong labels, maybe.
    {shared}

    Notes
    -----
    y_true: labels as in :class:`MultiMargin`. y_pred: probabilities in [0, 1], float32 or float64, (..., classes) of at
    least 2 axes; they are taken as they are, neither divided by their sum nor clipped, as in Keras. The gradient is
    −p^(q − 1): −Inf at p = 0. NaN in y_pred travels to its own element. torch has no such loss.

    References
    ----------
    Zhang and Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy labels", NeurIPS
    2018, equation 6.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.CategoricalGeneralizedCrossEntropy().value_and_grad(np.array([1]), np.array([[0.75, 0.25]]))
    (1.0, array([[ 0., -2.]]))
    """

    q: float

    def __init__(self, q: Annotated[float, expect.INSIDE] = 0.5, reduction: Reduction = "mean", *, axis: Axis = -1):
        super().__init__(reduction, axis=axis, q=q)

    def _formula(self, classes):
        return formulas.categorical_generalized_cross_entropy(self.q)

    def _plan(self, by, y_true, y_pred, samples):
        checks.within(by, y_pred, "y_pred", 0.0, 1.0, checks.PROBABILITIES, nan=True)
        return super()._plan(by, y_true, y_pred, samples)


categorical_generalized_cross_entropy = function_of(
    CategoricalGeneralizedCrossEntropy, "categorical_generalized_cross_entropy"
)

KullbackLeiblerDivergence, kl_divergence = KLDivergence, kullback_leibler_divergence
CosineSimilarity, cosine_similarity = CosineProximity, cosine_proximity
