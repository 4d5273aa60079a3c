"""Losses of regression: means over a sample of what an error costs. A class each, and the function of its value."""

from typing import Annotated

from fastopt import expect
from fastopt.kernels.losses import formulas
from fastopt.losses.base import Axes, Loss, PlainLoss, Reduction, filled
from fastopt.losses.options import function_of


@filled
class MeanSquaredError(PlainLoss):
    """Mean squared error: mean over a sample of (y_pred − y_true)².

    Parameters
    ----------
    {shared}

    Notes
    -----
    y_true, y_pred: float32 or float64 arrays of one shape (..., features), any finite values; in the unit of the
    data, the value in its square. NaN and Inf travel. Keras is the same; torch's mse_loss with reduction "sum" or
    "none" doesn't take the mean over a sample, nor do its other losses of elements.

    References
    ----------
    Gauss, "Theoria combinationis observationum erroribus minimis obnoxiae", 1823.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.MeanSquaredError().value_and_grad(np.zeros((1, 2)), np.array([[1.0, 3.0]]))
    (5.0, array([[1., 3.]]))
    >>> fo.losses.mean_squared_error(np.zeros((1, 2)), np.array([[1.0, 3.0]]))
    5.0
    """

    def _formula(self, classes):
        return formulas.mean_squared_error()


mean_squared_error = function_of(MeanSquaredError, "mean_squared_error")


@filled
class MeanAbsoluteError(PlainLoss):
    """Mean absolute error: mean over a sample of |y_pred − y_true|. The gradient at 0 is 0.

    Parameters
    ----------
    {shared}

    Notes
    -----
    Arrays as in :class:`MeanSquaredError`; the value has their unit. Keras is the same; so is torch's l1_loss, but for
    its "sum" and "none".

    References
    ----------
    Laplace, "Sur quelques points du système du monde", 1793.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.MeanAbsoluteError().value_and_grad(np.zeros((1, 2)), np.array([[1.0, -3.0]]))
    (2.0, array([[ 0.5, -0.5]]))
    """

    def _formula(self, classes):
        return formulas.mean_absolute_error()


mean_absolute_error = function_of(MeanAbsoluteError, "mean_absolute_error")


@filled
class Huber(Loss):
    """Huber's loss: mean over a sample of e² / 2 where |e| ≤ delta, delta |e| − delta² / 2 beyond; e = y_pred − y_true.

    Parameters
    ----------
    delta : float > 0, default 1.0
        Where the parabola becomes a line, in the unit of the data.
    {shared}

    Notes
    -----
    Arrays as in :class:`MeanSquaredError`. Keras is the same; torch's huber_loss too, but for its "sum" and "none"; its
    smooth_l1_loss is this divided by delta.

    References
    ----------
    Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.Huber(delta=2.0).value_and_grad(np.zeros((1, 2)), np.array([[1.0, -3.0]]))
    (2.25, array([[ 0.5, -1. ]]))
    """

    delta: float

    def __init__(
        self, delta: Annotated[float, expect.POSITIVE] = 1.0, reduction: Reduction = "mean", *, axis: Axes = -1
    ):
        super().__init__(reduction, axis=axis, delta=delta)

    def _formula(self, classes):
        return formulas.huber(self.delta)


huber = function_of(Huber, "huber")


@filled
class MeanSquaredLogarithmicError(PlainLoss):
    """Mean squared logarithmic error: mean over a sample of (log(1 + y_pred) − log(1 + y_true))².

    Parameters
    ----------
    {shared}

    Notes
    -----
    Arrays as in :class:`MeanSquaredError`, of numbers ≥ 0: those below 1e-7 count as 1e-7, and predictions have no
    gradient there, as in Keras. The difference of logarithms is formed as one, so that close numbers keep their digits.
    torch has no such loss.

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

    def _formula(self, classes):
        return formulas.mean_squared_logarithmic_error()


mean_squared_logarithmic_error = function_of(MeanSquaredLogarithmicError, "mean_squared_logarithmic_error")


@filled
class MeanAbsolutePercentageError(PlainLoss):
    """Mean absolute percentage error: 100 times the mean over a sample of |y_pred − y_true| / |y_true|.

    Parameters
    ----------
    {shared}

    Notes
    -----
    Arrays as in :class:`MeanSquaredError`. |y_true| counts as 1e-7 where it is below, as in Keras: a target of zero
    makes the value huge. The gradient at 0 is 0. torch has no such loss.

    References
    ----------
    Makridakis, "Accuracy measures: theoretical and practical concerns", International Journal of Forecasting 9, 1993.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.MeanAbsolutePercentageError().value_and_grad(np.array([[2.0, 4.0]]), np.array([[1.0, 5.0]]))
    (37.5, array([[-25. ,  12.5]]))
    """

    def _formula(self, classes):
        return formulas.mean_absolute_percentage_error()


mean_absolute_percentage_error = function_of(MeanAbsolutePercentageError, "mean_absolute_percentage_error")


@filled
class LogCosh(PlainLoss):
    """Logarithm of the hyperbolic cosine: mean over a sample of log cosh(y_pred − y_true).

    Parameters
    ----------
    {shared}

    Notes
    -----
    Arrays as in :class:`MeanSquaredError`. Half a square near 0, |e| − log 2 far from it; right for errors of any size,
    and with all digits for small ones, where Keras's formula cancels. torch has no such loss.

    References
    ----------
    Green, "Bayesian reconstructions from emission tomography data using a modified EM algorithm", IEEE Transactions on
    Medical Imaging 9, 1990.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> value, gradient = fo.losses.LogCosh().value_and_grad(np.zeros((1, 2)), np.array([[0.0, 1.0]]))
    >>> round(value, 6), gradient.round(6)
    (0.21689, array([[0.      , 0.380797]]))
    """

    def _formula(self, classes):
        return formulas.log_cosh()


log_cosh = function_of(LogCosh, "log_cosh")


@filled
class SmoothL1(Loss):
    """Smooth L1 loss: mean over a sample of e² / (2 beta) where |e| < beta, |e| − beta / 2 beyond; e = y_pred − y_true.

    Parameters
    ----------
    beta : float ≥ 0, default 1.0
        Where the parabola becomes a line, in the unit of the data; 0 is the absolute error.
    {shared}

    Notes
    -----
    Arrays as in :class:`MeanSquaredError`. :class:`Huber` divided by beta. torch's smooth_l1_loss is the same, but for
    its "sum" and "none". Keras has no such loss.

    References
    ----------
    Girshick, "Fast R-CNN", ICCV 2015, equation 3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.SmoothL1().value_and_grad(np.zeros((1, 2)), np.array([[1.0, -3.0]]))
    (1.5, array([[ 0.5, -0.5]]))
    """

    beta: float

    def __init__(
        self, beta: Annotated[float, expect.NOT_NEGATIVE] = 1.0, reduction: Reduction = "mean", *, axis: Axes = -1
    ):
        super().__init__(reduction, axis=axis, beta=beta)

    def _formula(self, classes):
        return formulas.smooth_l1(self.beta)


smooth_l1 = function_of(SmoothL1, "smooth_l1")


@filled
class Quantile(Loss):
    """Quantile (pinball) loss.

    Mean over a sample of q (y_true − y_pred) where y_pred is too small, (1 − q) (y_pred − y_true) where too large.

    Parameters
    ----------
    quantile : float in (0, 1), default 0.5
        q: the share of targets that should be below the prediction.
    {shared}

    Notes
    -----
    Arrays as in :class:`MeanSquaredError`. Its least value is at the targets' quantile; q = 0.5 is half the absolute
    error. The gradient at 0 is 0. torch and Keras have no such loss; scikit-learn's mean_pinball_loss is the same.

    References
    ----------
    Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978, equation 2.1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.Quantile().value_and_grad(np.zeros((1, 2)), np.array([[1.0, -3.0]]))
    (1.0, array([[ 0.25, -0.25]]))
    """

    quantile: float

    def __init__(
        self, quantile: Annotated[float, expect.INSIDE] = 0.5, reduction: Reduction = "mean", *, axis: Axes = -1
    ):
        super().__init__(reduction, axis=axis, quantile=quantile)

    def _formula(self, classes):
        return formulas.quantile(self.quantile)


quantile = function_of(Quantile, "quantile")

PinballLoss, pinball_loss = Quantile, quantile
