"""Losses of counts and of positive targets: likelihoods whose mean is predicted. A class each, and its function."""

import numpy as np

from fastopt.kernels.losses import formulas
from fastopt.losses import checks
from fastopt.losses.base import Axes, Loss, PlainLoss, Reduction, filled
from fastopt.losses.options import function_of


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
        least = float(np.finfo(y_true.dtype).smallest_subnormal)
        checks.within(by, y_true, "y_true", least, checks.LARGEST[y_true.dtype], "finite targets > 0")
        return super()._plan(by, y_true, y_pred, samples)


gamma = function_of(Gamma, "gamma")
