"""Further losses that couple the elements of a row: a small class each."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import reference
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.losses.base import NO_CLASS, Numbers, RowLoss, check_within, count
from fastopt.losses.base import check_distributions as check_rows
from fastopt.losses.binary import PROBABILITIES

EPSILON = 1e-7


class CategoricalHinge(RowLoss):
    """Categorical hinge loss: max(0, 1 + max((1 − t) y_pred) − sum(t y_pred)), t being the labels of a row.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples. Others than the last are read and
        written with strides.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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
    >>> loss = fo.losses.CategoricalHinge()
    >>> loss.value_and_grad(np.array([[0.0, 1.0, 0.0]]), np.array([[0.5, 1.0, 0.25]]))
    (0.5, array([[ 1., -1.,  0.]]))
    """

    _reference = staticmethod(reference.categorical_hinge)

    def _kernel(self):
        return KERNELS["categorical_hinge"]

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        check_rows(y_true, "y_true")
        return samples, ()


class Tversky(RowLoss):
    """Tversky loss: 1 − I / (I + alpha missed + beta added), of overlapping sets with probabilities.

    I = sum(t p) is what both have in common, missed = sum(t (1 − p)), added = sum((1 − t) p).

    Parameters
    ----------
    alpha : float ≥ 0, default 0.5
        Weight of what is missed (false negatives).
    beta : float ≥ 0, default 0.5
        Weight of what is added (false positives).
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples. Others than the last are read and
        written with strides.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., elements) of at least 2 axes, both in [0, 1]; the last
    axis is the set. 1e-7 is added below the fraction bar, as in Keras. Keras's default is one set of the whole batch:
    give arrays reshaped to (1, −1) for it. NaN in y_pred travels through its row. torch has no such loss.

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

    _reference = staticmethod(reference.tversky)

    def __init__(self, alpha: float = 0.5, beta: float = 0.5, reduction: str = "mean", axis: int = -1):
        super().__init__(reduction, axis)
        self.alpha = expect.number(alpha, "alpha", expect.NOT_NEGATIVE)
        self.beta = expect.number(beta, "beta", expect.NOT_NEGATIVE)

    def _kernel(self):
        return KERNELS["overlap"]

    def _options(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "beta": self.beta}

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        check_within(y_true, "y_true", 0.0, 1.0, "labels in [0, 1]")
        check_within(y_pred, "y_pred", 0.0, 1.0, PROBABILITIES, nan=True)
        return samples, (self.alpha, self.beta, EPSILON)


class Dice(RowLoss):
    """Dice loss: 1 − 2 sum(t p) / (sum(t) + sum(p)), of overlapping sets with probabilities.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples. Others than the last are read and
        written with strides.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., elements) of at least 2 axes, both in [0, 1]; the last
    axis is the set. 1e-7 is added below the fraction bar, as in Keras: two empty sets have a loss of 1. Keras's default
    is one set of the whole batch: give arrays reshaped to (1, −1) for it. NaN in y_pred travels through its row. torch
    has no such loss.

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

    _reference = staticmethod(reference.dice)

    def _kernel(self):
        return KERNELS["overlap"]

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        check_within(y_true, "y_true", 0.0, 1.0, "labels in [0, 1]")
        check_within(y_pred, "y_pred", 0.0, 1.0, PROBABILITIES, nan=True)
        return samples, (0.5, 0.5, 0.5 * EPSILON)


class _LabelLoss(RowLoss):
    """Base of the losses of integer labels that ignore none."""

    _takes_labels = True

    def _head(self, columns, wanted, itemsize):
        stages, slots, dims, divisor = super()._head(columns, wanted, itemsize)
        return stages, slots, dims[:2], divisor

    def _check_labels(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        return expect.labels(y_true, "y_true", y_pred.shape[:-1])

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        classes = y_pred.shape[-1]
        if count("labels_outside", y_true, samples, 2, dims=(classes, NO_CLASS))[0]:
            wrong = y_true[(y_true < 0) | (y_true >= classes)]
            raise ValueError(f"y_true: expected labels in [0, {classes}), got {int(wrong[0])}")
        return samples, self._numbers(y_pred)

    def _numbers(self, y_pred: np.ndarray) -> Numbers:
        raise NotImplementedError


class MultiMargin(_LabelLoss):
    """Multi-class margin loss: the mean over the classes of max(0, margin − y_pred[label] + y_pred[class])^p.

    Parameters
    ----------
    p : {1, 2}, default 1
        The power.
    margin : finite float, default 1
        How far the label's score is to stand above the others.
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples. Others than the last are read and
        written with strides.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

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
    >>> loss = fo.losses.MultiMargin()
    >>> loss.value_and_grad(np.array([0]), np.array([[1.0, 0.5, -2.0, 1.0]]))
    (0.375, array([[-0.5 ,  0.25,  0.  ,  0.25]]))
    """

    _reference = staticmethod(reference.multi_margin)

    def __init__(self, p: int = 1, margin: float = 1.0, reduction: str = "mean", axis: int = -1):
        super().__init__(reduction, axis)
        self.p = expect.integer(p, "p", 1)
        if self.p > 2:
            raise ValueError(f"p: expected 1 or 2, got {self.p}")
        self.margin = expect.number(margin, "margin", expect.FINITE)

    def _kernel(self):
        return KERNELS["multi_margin"]

    def _options(self) -> dict[str, Any]:
        return {"p": self.p, "margin": self.margin}

    def _numbers(self, y_pred: np.ndarray) -> Numbers:
        return self.margin, float(self.p == 2)


class CategoricalGeneralizedCrossEntropy(_LabelLoss):
    """Generalized cross-entropy: (1 − p[label]^q) / q; near q = 0 it is −log p, at q = 1 it would be 1 − p.

    Parameters
    ----------
    q : float in (0, 1), default 0.5
        The larger, the less do samples count whose label has a small probability: wrong labels, maybe.
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples. Others than the last are read and
        written with strides.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    y_true: labels in [0, classes), of any integer dtype, of shape (...) or (..., 1). y_pred: probabilities in [0, 1],
    float32 or float64, (..., classes) of at least 2 axes; they are taken as they are, neither divided by their sum nor
    clipped, as in Keras. The gradient is −p^(q − 1): −Inf at p = 0. NaN in y_pred travels to its own element. torch has
    no such loss.

    References
    ----------
    Zhang and Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy labels", NeurIPS
    2018, equation 6.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.CategoricalGeneralizedCrossEntropy()
    >>> loss.value_and_grad(np.array([1]), np.array([[0.75, 0.25]]))
    (1.0, array([[ 0., -2.]]))
    """

    _reference = staticmethod(reference.categorical_generalized_cross_entropy)

    def __init__(self, q: float = 0.5, reduction: str = "mean", axis: int = -1):
        super().__init__(reduction, axis)
        self.q = expect.number(q, "q", expect.INSIDE)

    def _kernel(self):
        return KERNELS["generalized_crossentropy"]

    def _options(self) -> dict[str, Any]:
        return {"q": self.q}

    def _numbers(self, y_pred: np.ndarray) -> Numbers:
        check_within(y_pred, "y_pred", 0.0, 1.0, PROBABILITIES, nan=True)
        return (self.q,)


class CategoricalFocalCrossentropy(RowLoss):
    """Categorical focal cross-entropy: −alpha sum over the classes of t (1 − p)^gamma log p, in nats.

    Parameters
    ----------
    alpha : float ≥ 0, default 0.25
        Factor of all classes.
    gamma : float ≥ 0, default 2
        How much less samples count that are right already.
    from_logits : bool, default False
        Whether y_pred holds logits, p = softmax(y_pred), rather than probabilities, p = y_pred over its row's sum.
    label_smoothing : float in [0, 1], default 0
        Labels are drawn towards equal shares: t = y_true (1 − label_smoothing) + label_smoothing / classes.
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples. Others than the last are read and
        written with strides.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., classes) of at least 2 axes; rows of y_true are one-hot
    or any other distribution. Probabilities in [0, 1] are divided by their row's sum, then clipped to [1e-7, 1 − 1e-7],
    as in Keras; the gradient includes the division and is 0 where the clip bites. Logits are not clipped: log p comes
    from them, right at any size, where Keras clips their softmax. NaN in y_pred travels through its row. torch has no
    such loss (torchvision's focal loss is of two classes).

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

    _reference = staticmethod(reference.categorical_focal_crossentropy)

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
        axis: int = -1,
    ):
        super().__init__(reduction, axis)
        self.alpha = expect.number(alpha, "alpha", expect.NOT_NEGATIVE)
        self.gamma = expect.number(gamma, "gamma", expect.NOT_NEGATIVE)
        self.from_logits = expect.flag(from_logits, "from_logits")
        self.label_smoothing = expect.number(label_smoothing, "label_smoothing", expect.UNIT)

    def _kernel(self):
        return KERNELS["focal_softmax" if self.from_logits else "focal_probabilities"]

    def _options(self) -> dict[str, Any]:
        names = ("alpha", "gamma", "from_logits", "label_smoothing")
        return {name: getattr(self, name) for name in names}

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        check_rows(y_true, "y_true")
        if not self.from_logits:
            check_within(y_pred, "y_pred", 0.0, 1.0, PROBABILITIES, nan=True)
        smoothing = self.label_smoothing
        return samples, (1.0 - smoothing, smoothing / y_pred.shape[-1], self.alpha, self.gamma)
