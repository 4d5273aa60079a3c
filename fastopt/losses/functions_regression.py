"""The functions of the rest of the losses of regression, and of those with two classes: values."""

from typing import Any

import numpy as np

from fastopt.losses.regression import (
    BinaryFocalCrossentropy,
    LogCosh,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Poisson,
    Quantile,
    SmoothL1,
    SquaredHinge,
)

Weight = np.ndarray | None


def mean_squared_logarithmic_error(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Mean squared logarithmic error: the value of :class:`MeanSquaredLogarithmicError`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features)
        Targets and predictions ≥ 0, both taken for 1e-7 where they are below.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    Keras is the same. torch has no such loss.

    References
    ----------
    Tofallis, "A better measure of relative prediction accuracy for model selection and model estimation", Journal of
    the Operational Research Society 66, 2015.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.mean_squared_logarithmic_error(np.array([[0.0, 3.0]]), np.array([[0.0, 1.0]])), 6)
    0.240227
    """
    return MeanSquaredLogarithmicError(reduction)(y_true, y_pred, sample_weight)


def mean_absolute_percentage_error(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Mean absolute percentage error: the value of :class:`MeanAbsolutePercentageError`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features)
        Targets and predictions, in the unit of the data.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    |y_true| counts as 1e-7 where it is below, as in Keras. torch has no such loss.

    References
    ----------
    Makridakis, "Accuracy measures: theoretical and practical concerns", International Journal of Forecasting 9, 1993.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.mean_absolute_percentage_error(np.array([[2.0, 4.0]]), np.array([[1.0, 5.0]])), 6)
    37.5
    """
    return MeanAbsolutePercentageError(reduction)(y_true, y_pred, sample_weight)


def log_cosh(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Logarithm of the hyperbolic cosine: the value of :class:`LogCosh`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features)
        Targets and predictions, in the unit of the data.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    Keras is the same, but cancels for small errors. torch has no such loss.

    References
    ----------
    Green, "Bayesian reconstructions from emission tomography data using a modified EM algorithm", IEEE Transactions on
    Medical Imaging 9, 1990.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.log_cosh(np.zeros((1, 2)), np.array([[0.0, 1.0]])), 6)
    0.21689
    """
    return LogCosh(reduction)(y_true, y_pred, sample_weight)


def smooth_l1(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    beta: float = 1.0,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Smooth L1 loss: the value of :class:`SmoothL1`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features)
        Targets and predictions, in the unit of the data.
    beta : float ≥ 0, default 1.0
        Where the parabola becomes a line, in the unit of the data; 0 is the absolute error.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    torch's smooth_l1_loss is the same, but for its "sum" and "none". Keras has no such loss.

    References
    ----------
    Girshick, "Fast R-CNN", ICCV 2015, equation 3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.smooth_l1(np.zeros((1, 2)), np.array([[1.0, -3.0]])), 6)
    1.5
    """
    return SmoothL1(beta, reduction)(y_true, y_pred, sample_weight)


def quantile(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    quantile: float = 0.5,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Quantile (pinball) loss: the value of :class:`Quantile`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features)
        Targets and predictions, in the unit of the data.
    quantile : float in (0, 1), default 0.5
        q: the share of targets that should be below the prediction.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    scikit-learn's mean_pinball_loss is the same. torch and Keras have no such loss.

    References
    ----------
    Koenker and Bassett, "Regression quantiles", Econometrica 46, 1978, equation 2.1.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.quantile(np.zeros((1, 2)), np.array([[1.0, -3.0]])), 6)
    1.0
    """
    return Quantile(quantile, reduction)(y_true, y_pred, sample_weight)


def poisson(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Poisson loss: the value of :class:`Poisson`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features)
        Counts ≥ 0, and predicted rates > 0.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    Keras is the same; torch's poisson_nll_loss with log_input=False adds 1e-8 instead.

    References
    ----------
    Nelder and Wedderburn, "Generalized linear models", Journal of the Royal Statistical Society A 135, 1972.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.poisson(np.array([[1.0, 0.0]]), np.array([[1.0, 2.0]])), 6)
    1.5
    """
    return Poisson(reduction)(y_true, y_pred, sample_weight)


def squared_hinge(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Squared hinge loss: the value of :class:`SquaredHinge`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features)
        Labels −1 and 1 (or 0 and 1), and predictions of any size.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    Keras is the same, but takes any labels. torch has no such loss.

    References
    ----------
    Rosasco et al., "Are loss functions all the same?", Neural Computation 16, 2004.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.squared_hinge(np.array([[1.0, 0.0]]), np.array([[0.5, -2.0]])), 6)
    0.125
    """
    return SquaredHinge(reduction)(y_true, y_pred, sample_weight)


def binary_focal_crossentropy(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Binary focal cross-entropy: the value of :class:`BinaryFocalCrossentropy`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features)
        Labels in [0, 1], and probabilities or logits.
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
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    Keras is the same, but clips probabilities in the logarithm alone. torchvision's sigmoid_focal_loss is the same for
    logits, with balancing.

    References
    ----------
    Lin et al., "Focal loss for dense object detection", ICCV 2017, equations 4 and 5.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.binary_focal_crossentropy(np.array([[1.0, 0.0]]), np.array([[0.9, 0.5]])), 6)
    0.08717
    """
    return BinaryFocalCrossentropy(apply_class_balancing, alpha, gamma, from_logits, label_smoothing, reduction)(
        y_true, y_pred, sample_weight
    )
