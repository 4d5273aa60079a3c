"""The losses: a small class each, of its options, its checks and its kernel."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import reference
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.losses.base import (
    ElementLoss,
    Numbers,
    RowLoss,
    check_distributions,
    check_within,
    count,
)

PROBABILITIES = "probabilities in [0, 1]"


class MeanSquaredError(ElementLoss):
    """Mean squared error: mean over a sample of (y_pred − y_true)².

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
        If `reduction` is none of the three, or `axis` no integer.

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., features), any finite values; in the unit of the
    data, the value in its square. NaN and Inf travel. Keras is the same; torch's mse_loss with reduction "sum" or
    "none" doesn't take the mean over a sample.

    References
    ----------
    Gauss, "Theoria combinationis observationum erroribus minimis obnoxiae", 1823.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.MeanSquaredError()
    >>> loss.value_and_grad(np.zeros((1, 2)), np.array([[1.0, 3.0]]))
    (5.0, array([[1., 3.]]))
    """

    _reference = staticmethod(reference.mean_squared_error)

    def _kernel(self):
        return KERNELS["mean_squared_error"]


class MeanAbsoluteError(ElementLoss):
    """Mean absolute error: mean over a sample of |y_pred − y_true|. The gradient at 0 is 0.

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
        If `reduction` is none of the three, or `axis` no integer.

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., features), any finite values; the value has their
    unit. NaN and Inf travel. Keras is the same; torch's l1_loss with reduction "sum" or "none" doesn't take the
    mean over a sample.

    References
    ----------
    Laplace, "Sur quelques points du système du monde", 1793.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.MeanAbsoluteError()
    >>> loss.value_and_grad(np.zeros((1, 2)), np.array([[1.0, -3.0]]))
    (2.0, array([[ 0.5, -0.5]]))
    """

    _reference = staticmethod(reference.mean_absolute_error)

    def _kernel(self):
        return KERNELS["mean_absolute_error"]


class Huber(ElementLoss):
    """Huber's loss: mean over a sample of e² / 2 where |e| ≤ delta, delta |e| − delta² / 2 beyond; e = y_pred − y_true.

    Parameters
    ----------
    delta : float > 0, default 1.0
        Where the parabola becomes a line, in the unit of the data.
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
    y_true, y_pred: float32 or float64 arrays of one shape (..., features), any finite values. NaN and Inf travel.
    Keras is the same; torch's huber_loss too, but for its "sum" and "none"; its smooth_l1_loss is this divided by
    delta.

    References
    ----------
    Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.Huber(delta=2.0)
    >>> loss.value_and_grad(np.zeros((1, 2)), np.array([[1.0, -3.0]]))
    (2.25, array([[ 0.5, -1. ]]))
    """

    _reference = staticmethod(reference.huber)

    def __init__(self, delta: float = 1.0, reduction: str = "mean", axis: int = -1):
        super().__init__(reduction, axis)
        self.delta = expect.number(delta, "delta", expect.POSITIVE)

    def _kernel(self):
        return KERNELS["huber"]

    def _options(self) -> dict[str, Any]:
        return {"delta": self.delta}

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        return samples, (self.delta,)


class BinaryCrossentropy(ElementLoss):
    """Binary cross-entropy: mean over a sample of −[t log p + (1 − t) log(1 − p)], in nats.

    Parameters
    ----------
    from_logits : bool, default False
        Whether y_pred holds logits x, p = 1 / (1 + exp(−x)), rather than probabilities. Right for any logit, ±Inf too.
    label_smoothing : float in [0, 1], default 0
        Labels are drawn towards one half: t = y_true (1 − label_smoothing) + label_smoothing / 2.
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
    y_true, y_pred: float32 or float64 arrays of one shape (..., features); labels and probabilities in [0, 1]. NaN
    in y_pred travels, in y_true it is refused. Probabilities are clipped to [1e-7, 1 − 1e-7], and have no gradient
    outside of it, as in Keras; torch clips the logarithms at −100 instead.

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

    _reference = staticmethod(reference.binary_crossentropy)

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, reduction: str = "mean", axis: int = -1
    ):
        super().__init__(reduction, axis)
        self.from_logits = expect.flag(from_logits, "from_logits")
        self.label_smoothing = expect.number(label_smoothing, "label_smoothing", expect.UNIT)

    def _kernel(self):
        return KERNELS["binary_crossentropy_logits" if self.from_logits else "binary_crossentropy"]

    def _options(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        check_within(y_true, "y_true", 0.0, 1.0, "labels in [0, 1]")
        if not self.from_logits:
            check_within(y_pred, "y_pred", 0.0, 1.0, PROBABILITIES, nan=True)
        return samples, (1.0 - self.label_smoothing, 0.5 * self.label_smoothing)


class Hinge(ElementLoss):
    """Hinge loss: mean over a sample of max(1 − t y_pred, 0), t = −1 or 1. The gradient at the kink is 0.

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
        If `reduction` is none of the three, or `axis` no integer.

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
    >>> loss = fo.losses.Hinge()
    >>> loss.value_and_grad(np.array([[1.0, 0.0]]), np.array([[0.5, -2.0]]))
    (0.25, array([[-0.5,  0. ]]))
    """

    _reference = staticmethod(reference.hinge)

    def _kernel(self):
        return KERNELS["hinge"]

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        ones, zeros, minus_ones = count("signs", y_true, y_true.size, 3)
        if ones + zeros + minus_ones < y_true.size:
            wrong = y_true[~np.isin(y_true, (-1, 0, 1))][0]
            raise ValueError(f"y_true: expected labels -1 and 1 (or 0 and 1), got {float(wrong)!r}")
        if zeros and minus_ones:
            raise ValueError(f"y_true: expected labels -1 and 1 (or 0 and 1), got {zeros} of 0 and {minus_ones} of -1")
        return samples, ((1.0, 0.0) if minus_ones else (2.0, -1.0))


class KLDivergence(ElementLoss):
    """Kullback-Leibler divergence: sum over the classes of t log(t / p), in nats.

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
        If `reduction` is none of the three, or `axis` no integer.

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., classes) of at least 2 axes; rows of y_true are
    distributions (in [0, 1], with a sum of 1 within 0.001), y_pred is in [0, 1]. NaN in y_pred travels. Both are
    clipped to [1e-7, 1], as in Keras, and there is no gradient outside of it. torch's kl_div takes log p first,
    then t, and clips nothing.

    References
    ----------
    Kullback and Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22, 1951.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.KLDivergence()
    >>> loss.value_and_grad(np.array([[0.5, 0.5]]), np.array([[0.25, 0.5]]))
    (0.34657359027997264, array([[-2., -1.]]))
    """

    _least_dimensions = 2
    _mean = False
    _reference = staticmethod(reference.kullback_leibler_divergence)

    def _kernel(self):
        return KERNELS["kullback_leibler_divergence"]

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        check_distributions(y_true, "y_true")
        check_within(y_pred, "y_pred", 0.0, 1.0, PROBABILITIES, nan=True)
        return samples, ()


class CosineProximity(RowLoss):
    """Cosine proximity: minus the cosine of the angle between rows of y_true and y_pred; −1 where they point one way.

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
        If `reduction` is none of the three, or `axis` no integer.

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
    >>> loss = fo.losses.CosineProximity()
    >>> loss.value_and_grad(np.array([[0.0, 2.0]]), np.array([[4.0, 3.0]]))
    (-0.6, array([[ 0.096, -0.128]]))
    """

    _reference = staticmethod(reference.cosine_proximity)

    def _kernel(self):
        return KERNELS["cosine_proximity"]


CosineSimilarity = CosineProximity
KullbackLeiblerDivergence = KLDivergence
