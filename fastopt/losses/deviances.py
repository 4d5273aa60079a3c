"""Losses of counts and of positive targets: likelihoods whose mean is predicted. A class each, and its function."""

from typing import Annotated

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import formulas
from fastopt.losses import checks
from fastopt.losses.base import Axes, Loss, PlainLoss, Reduction, filled
from fastopt.losses.options import function_of

POWER = expect.Domain(lambda x: -np.inf < x <= 0 or 1 <= x < np.inf, "a finite number ≤ 0 or ≥ 1")


@filled
class Poisson(Loss):
    """Poisson loss: mean over a sample of y_pred − y_true log(y_pred + 1e-7).

    Parameters
    ----------
    {axes}
    from_logarithms : bool, default False
        Whether y_pred holds logarithms x of the rates: mean of exp(x) − y_true x.

    {raises}

    Notes
    -----
    Arrays as in :class:`MeanSquaredError`, of counts ≥ 0 and predicted rates > 0. The negative log-likelihood of
    counts, without the term that knows no prediction. A rate below −1e-7 gives NaN, as in Keras, which is the same;
    torch's poisson_nll_loss with log_input=False adds 1e-8 instead, and is the same with logarithms. scikit-learn's
    HalfPoissonLoss is that, too.

    References
    ----------
    Nelder and Wedderburn, "Generalized linear models", Journal of the Royal Statistical Society A 135, 1972.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> value, gradient = fo.losses.Poisson().value_and_grad(np.array([[1.0, 0.0]]), np.array([[1.0, 2.0]]))
    >>> round(value, 6), gradient.round(6)
    (1.5, array([[0. , 0.5]]))
    """

    from_logarithms: bool

    def __init__(self, reduction: Reduction = "mean", *, axis: Axes = -1, from_logarithms: bool = False):
        super().__init__(reduction, axis=axis, from_logarithms=from_logarithms)

    def _formula(self, classes):
        return formulas.poisson(self.from_logarithms)


poisson = function_of(Poisson, "poisson")


@filled
class Gamma(PlainLoss):
    """Gamma loss of the logarithm of the mean: mean over a sample of y_pred + y_true exp(−y_pred).

    Parameters
    ----------
    {shared}

    Notes
    -----
    Arrays as in :class:`MeanSquaredError`; targets > 0. Half the deviance of a gamma distribution of mean exp(y_pred),
    without the terms that know no prediction, as scikit-learn's HalfGammaLoss. torch and Keras have no such loss.

    References
    ----------
    Nelder and Wedderburn, "Generalized linear models", Journal of the Royal Statistical Society A 135, 1972.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.Gamma().value_and_grad(np.array([[1.0, 3.0]]), np.array([[0.0, 0.0]]))
    (2.0, array([[ 0., -1.]]))
    """

    def _formula(self, classes):
        return formulas.gamma()

    def _plan(self, by, y_true, y_pred, samples):
        checks.within(by, y_true, "y_true", *_limits(y_true), "finite targets > 0")
        return super()._plan(by, y_true, y_pred, samples)


gamma = function_of(Gamma, "gamma")


@filled
class Tweedie(Loss):
    """Tweedie loss of the logarithm x of the mean: mean over a sample of exp(b x) / b − y_true exp(a x) / a.

    a = 1 − power, b = 2 − power; in the limits, exp(x) − y_true x at power 1 and x + y_true exp(−x) at power 2.

    Parameters
    ----------
    power : float ≤ 0 or ≥ 1, default 1.5
        Of the mean, which the variance is proportional to: 0 is the normal distribution, 1 Poisson's, 2 gamma's, 3 the
        inverse normal one; between 1 and 2 there are sums of gammas, with a share of exact zeros.
    {shared}

    Notes
    -----
    Arrays as in :class:`MeanSquaredError`; targets ≥ 0 for powers of 1 and more, > 0 from 2 on. Half the deviance,
    without the terms that know no prediction, as scikit-learn's HalfTweedieLoss. torch and Keras have no such loss.

    References
    ----------
    Jørgensen, "Exponential dispersion models", Journal of the Royal Statistical Society B 49, 1987, section 4.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.Tweedie().value_and_grad(np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]]))
    (3.0, array([[0. , 0.5]]))
    """

    power: float

    def __init__(
        self, power: Annotated[float, POWER] = 1.5, reduction: Reduction = "mean", *, axis: Axes = -1
    ):  # fmt: skip
        super().__init__(reduction, axis=axis, power=power)

    def _formula(self, classes):
        return formulas.tweedie(self.power)

    def _plan(self, by, y_true, y_pred, samples):
        if self.power >= 1:
            least, largest = _limits(y_true)
            least, wanted = (0.0, "≥ 0") if self.power < 2 else (least, "> 0")
            checks.within(by, y_true, "y_true", least, largest, f"finite targets {wanted}")
        return super()._plan(by, y_true, y_pred, samples)


tweedie = function_of(Tweedie, "tweedie")


def _limits(y_true: np.ndarray) -> tuple[float, float]:
    """Return the smallest number above 0 and the largest one of the type that an array is computed with."""
    limits = np.finfo(np.float64 if y_true.dtype == "float64" else np.float32)
    return float(limits.smallest_subnormal), float(limits.max)
