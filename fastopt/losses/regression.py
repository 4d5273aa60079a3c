"""The rest of the losses of regression, and of those with two classes: a small class each."""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import reference
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.losses.base import ElementLoss, Numbers, check_within
from fastopt.losses.binary import PROBABILITIES, Hinge


class MeanSquaredLogarithmicError(ElementLoss):
    """Mean squared logarithmic error: mean over a sample of (log(1 + y_pred) − log(1 + y_true))².

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
    y_true, y_pred: float32 or float64 arrays of one shape (..., features).
    Targets and predictions ≥ 0, both taken for 1e-7 where they are below.
    Numbers below 1e-7 count as 1e-7, and predictions have no gradient there, as in Keras. The difference of logarithms
    is formed as one, so that close numbers keep their digits. NaN in y_pred travels. torch has no such loss.

    References
    ----------
    Tofallis, "A better measure of relative prediction accuracy for model selection and model estimation", Journal of
    the Operational Research Society 66, 2015.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.MeanSquaredLogarithmicError()
    >>> value, gradient = loss.value_and_grad(np.array([[0.0, 3.0]]), np.array([[0.0, 1.0]]))
    >>> round(value, 6), gradient.round(6)
    (0.240227, array([[ 0.      , -0.346574]]))
    """

    _reference = staticmethod(reference.mean_squared_logarithmic_error)

    def _kernel(self):
        return KERNELS["mean_squared_logarithmic_error"]


class MeanAbsolutePercentageError(ElementLoss):
    """Mean absolute percentage error: 100 times the mean over a sample of |y_pred − y_true| / |y_true|.

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
    y_true, y_pred: float32 or float64 arrays of one shape (..., features).
    Targets and predictions, in the unit of the data.
    |y_true| counts as 1e-7 where it is below, as in Keras: a target of zero makes the value huge. The gradient at 0 is
    0. NaN and Inf travel. torch has no such loss.

    References
    ----------
    Makridakis, "Accuracy measures: theoretical and practical concerns", International Journal of Forecasting 9, 1993.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.MeanAbsolutePercentageError()
    >>> value, gradient = loss.value_and_grad(np.array([[2.0, 4.0]]), np.array([[1.0, 5.0]]))
    >>> round(value, 6), gradient.round(6)
    (37.5, array([[-25. ,  12.5]]))
    """

    _reference = staticmethod(reference.mean_absolute_percentage_error)

    def _kernel(self):
        return KERNELS["mean_absolute_percentage_error"]


class LogCosh(ElementLoss):
    """Logarithm of the hyperbolic cosine: mean over a sample of log cosh(y_pred − y_true).

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
    y_true, y_pred: float32 or float64 arrays of one shape (..., features).
    Targets and predictions, in the unit of the data.
    Half a square near 0, |e| − log 2 far from it; right for errors of any size, and with all digits for small ones,
    where Keras's formula cancels. NaN and Inf travel. torch has no such loss.

    References
    ----------
    Green, "Bayesian reconstructions from emission tomography data using a modified EM algorithm", IEEE Transactions on
    Medical Imaging 9, 1990.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.LogCosh()
    >>> value, gradient = loss.value_and_grad(np.zeros((1, 2)), np.array([[0.0, 1.0]]))
    >>> round(value, 6), gradient.round(6)
    (0.21689, array([[0.      , 0.380797]]))
    """

    _reference = staticmethod(reference.log_cosh)

    def _kernel(self):
        return KERNELS["log_cosh"]


class SmoothL1(ElementLoss):
    """Smooth L1 loss: mean over a sample of e² / (2 beta) where |e| < beta, |e| − beta / 2 beyond; e = y_pred − y_true.

    Parameters
    ----------
    beta : float ≥ 0, default 1.0
        Where the parabola becomes a line, in the unit of the data; 0 is the absolute error.
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
    y_true, y_pred: float32 or float64 arrays of one shape (..., features).
    Targets and predictions, in the unit of the data.
    Huber's loss divided by beta. NaN and Inf travel. torch's smooth_l1_loss is the same, but for its "sum" and "none",
    which take no mean over a sample. Keras has no such loss.

    References
    ----------
    Girshick, "Fast R-CNN", ICCV 2015, equation 3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.SmoothL1()
    >>> value, gradient = loss.value_and_grad(np.zeros((1, 2)), np.array([[1.0, -3.0]]))
    >>> round(value, 6), gradient.round(6)
    (1.5, array([[ 0.5, -0.5]]))
    """

    _reference = staticmethod(reference.smooth_l1)

    def __init__(self, beta: float = 1.0, reduction: str = "mean", axis: int = -1):
        super().__init__(reduction, axis)
        self.beta = expect.number(beta, "beta", expect.NOT_NEGATIVE)

    def _kernel(self):
        return KERNELS["smooth_l1"]

    def _options(self) -> dict[str, Any]:
        return {"beta": self.beta}

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        return samples, (self.beta,)


class Quantile(ElementLoss):
    """Quantile (pinball) loss.

    Mean over a sample of q (y_true − y_pred) where y_pred is too small, (1 − q) (y_pred − y_true) where too large.

    Parameters
    ----------
    quantile : float in (0, 1), default 0.5
        q: the share of targets that should be below the prediction.
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
    y_true, y_pred: float32 or float64 arrays of one shape (..., features).
    Targets and predictions, in the unit of the data.
    Its least value is at the targets' quantile; q = 0.5 is half the absolute error. The gradient at 0 is 0. NaN and Inf
    travel. torch and Keras have no such loss; scikit-learn's mean_pinball_loss is the same.

    References
    ----------
    Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978, equation 2.1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.Quantile()
    >>> value, gradient = loss.value_and_grad(np.zeros((1, 2)), np.array([[1.0, -3.0]]))
    >>> round(value, 6), gradient.round(6)
    (1.0, array([[ 0.25, -0.25]]))
    """

    _reference = staticmethod(reference.quantile)

    def __init__(self, quantile: float = 0.5, reduction: str = "mean", axis: int = -1):
        super().__init__(reduction, axis)
        self.quantile = expect.number(quantile, "quantile", expect.INSIDE)

    def _kernel(self):
        return KERNELS["quantile"]

    def _options(self) -> dict[str, Any]:
        return {"quantile": self.quantile}

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        return samples, (self.quantile, 1.0 - self.quantile)


class Poisson(ElementLoss):
    """Poisson loss: mean over a sample of y_pred − y_true log(y_pred + 1e-7).

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
    y_true, y_pred: float32 or float64 arrays of one shape (..., features).
    Counts ≥ 0, and predicted rates > 0.
    The negative log-likelihood of counts, without the term that knows no prediction. A rate below −1e-7 gives NaN, as
    in Keras, which is the same; torch's poisson_nll_loss with log_input=False adds 1e-8 instead.

    References
    ----------
    Nelder and Wedderburn, "Generalized linear models", Journal of the Royal Statistical Society A 135, 1972.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.Poisson()
    >>> value, gradient = loss.value_and_grad(np.array([[1.0, 0.0]]), np.array([[1.0, 2.0]]))
    >>> round(value, 6), gradient.round(6)
    (1.5, array([[0. , 0.5]]))
    """

    _reference = staticmethod(reference.poisson)

    def _kernel(self):
        return KERNELS["poisson"]


class SquaredHinge(Hinge):
    """Squared hinge loss: mean over a sample of max(1 − t y_pred, 0)², t = −1 or 1.

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
    y_true, y_pred: float32 or float64 arrays of one shape (..., features).
    Labels −1 and 1 (or 0 and 1), and predictions of any size.
    Labels as in :class:`Hinge`. NaN in y_pred travels. Keras is the same, but takes any labels. torch has no such loss.

    References
    ----------
    Rosasco et al., "Are loss functions all the same?", Neural Computation 16, 2004.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.SquaredHinge()
    >>> value, gradient = loss.value_and_grad(np.array([[1.0, 0.0]]), np.array([[0.5, -2.0]]))
    >>> round(value, 6), gradient.round(6)
    (0.125, array([[-0.5,  0. ]]))
    """

    _reference = staticmethod(reference.squared_hinge)

    def _kernel(self):
        return KERNELS["squared_hinge"]


class BinaryFocalCrossentropy(ElementLoss):
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
    from_logits : bool, default False
        Whether y_pred holds logits x, p = 1 / (1 + exp(−x)), rather than probabilities.
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
    y_true, y_pred: float32 or float64 arrays of one shape (..., features).
    Labels in [0, 1], and probabilities or logits.
    Logits of any size, ±Inf too. Probabilities are clipped to [1e-7, 1 − 1e-7] in the power as well, and have no
    gradient outside; Keras clips them in the logarithm alone. NaN in y_pred travels. torch has none; torchvision's
    sigmoid_focal_loss is the same for logits, with balancing on unless its alpha is below 0.

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

    _reference = staticmethod(reference.binary_focal_crossentropy)

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
        axis: int = -1,
    ):
        super().__init__(reduction, axis)
        self.apply_class_balancing = expect.flag(apply_class_balancing, "apply_class_balancing")
        self.alpha = expect.number(alpha, "alpha", expect.UNIT)
        self.gamma = expect.number(gamma, "gamma", expect.NOT_NEGATIVE)
        self.from_logits = expect.flag(from_logits, "from_logits")
        self.label_smoothing = expect.number(label_smoothing, "label_smoothing", expect.UNIT)

    def _kernel(self):
        return KERNELS["binary_focal_crossentropy_logits" if self.from_logits else "binary_focal_crossentropy"]

    def _options(self) -> dict[str, Any]:
        return {
            "apply_class_balancing": self.apply_class_balancing,
            "alpha": self.alpha,
            "gamma": self.gamma,
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }

    def _check_values(self, y_true: np.ndarray, y_pred: np.ndarray, samples: int) -> tuple[int, Numbers]:
        check_within(y_true, "y_true", 0.0, 1.0, "labels in [0, 1]")
        if not self.from_logits:
            check_within(y_pred, "y_pred", 0.0, 1.0, PROBABILITIES, nan=True)
        of_zero, of_one = (1.0 - self.alpha, self.alpha) if self.apply_class_balancing else (1.0, 1.0)
        smoothing = 1.0 - self.label_smoothing, 0.5 * self.label_smoothing
        return samples, (*smoothing, self.gamma, of_zero, of_one - of_zero)
