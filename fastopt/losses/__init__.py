"""Losses: value and gradient in one pass over memory. Names, semantics and defaults are Keras's.

A class per loss holds the options; `loss(y_true, y_pred, sample_weight=None)` is the value alone, and
`loss.value_and_grad(y_true, y_pred, sample_weight=None, out=None)` the value and its gradient with respect to
`y_pred`. A function per loss returns the value. What all of them share is said at :class:`Loss`.
"""

from typing import Any

import numpy as np

from fastopt.losses.base import Loss
from fastopt.losses.binary import (
    BinaryCrossentropy,
    CosineProximity,
    Hinge,
    Huber,
    KLDivergence,
    MeanAbsoluteError,
    MeanSquaredError,
)
from fastopt.losses.categorical import CategoricalCrossentropy, SparseCategoricalCrossentropy
from fastopt.losses.functions_regression import (
    binary_focal_crossentropy,
    log_cosh,
    mean_absolute_percentage_error,
    mean_squared_logarithmic_error,
    poisson,
    quantile,
    smooth_l1,
    squared_hinge,
)
from fastopt.losses.functions_rows import (
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    dice,
    gaussian_nll,
    multi_margin,
    tversky,
)
from fastopt.losses.gaussian import GaussianNLL
from fastopt.losses.linear import LinearCrossEntropy, linear_cross_entropy
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
from fastopt.losses.rows import (
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    CategoricalHinge,
    Dice,
    MultiMargin,
    Tversky,
)

__all__ = [
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Dice",
    "MultiMargin",
    "Tversky",
    "GaussianNLL",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "dice",
    "gaussian_nll",
    "multi_margin",
    "tversky",
    "MeanSquaredLogarithmicError",
    "MeanAbsolutePercentageError",
    "LogCosh",
    "SmoothL1",
    "Quantile",
    "Poisson",
    "SquaredHinge",
    "BinaryFocalCrossentropy",
    "mean_squared_logarithmic_error",
    "mean_absolute_percentage_error",
    "log_cosh",
    "smooth_l1",
    "quantile",
    "poisson",
    "squared_hinge",
    "binary_focal_crossentropy",
    "PinballLoss",
    "pinball_loss",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CosineProximity",
    "CosineSimilarity",
    "Hinge",
    "Huber",
    "KLDivergence",
    "KullbackLeiblerDivergence",
    "LinearCrossEntropy",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "cosine_proximity",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "kullback_leibler_divergence",
    "linear_cross_entropy",
    "mean_absolute_error",
    "mean_squared_error",
    "sparse_categorical_crossentropy",
]

CosineSimilarity = CosineProximity
PinballLoss, pinball_loss = Quantile, quantile
KullbackLeiblerDivergence = KLDivergence
Weight = np.ndarray | None


def mean_squared_error(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Mean squared error: the value of :class:`MeanSquaredError`.

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
    Keras is the same. torch's mse_loss takes no mean over a sample with reduction "sum" or "none".

    References
    ----------
    Gauss, "Theoria combinationis observationum erroribus minimis obnoxiae", 1823.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.mean_squared_error(np.zeros((1, 2)), np.array([[1.0, 3.0]]))
    5.0
    """
    return MeanSquaredError(reduction)(y_true, y_pred, sample_weight)


def mean_absolute_error(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Mean absolute error: the value of :class:`MeanAbsoluteError`.

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
    Keras is the same. torch's l1_loss takes no mean over a sample with reduction "sum" or "none".

    References
    ----------
    Laplace, "Sur quelques points du système du monde", 1793.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.mean_absolute_error(np.zeros((1, 2)), np.array([[1.0, -3.0]]))
    2.0
    """
    return MeanAbsoluteError(reduction)(y_true, y_pred, sample_weight)


def huber(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    delta: float = 1.0,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Huber's loss: the value of :class:`Huber`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features)
        Targets and predictions, in the unit of the data.
    delta : float > 0, default 1.0
        Where the parabola becomes a line, in the unit of the data.
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
    Keras is the same. torch's huber_loss takes no mean over a sample with reduction "sum" or "none".

    References
    ----------
    Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.huber(np.zeros((1, 2)), np.array([[1.0, -3.0]]), delta=2.0)
    2.25
    """
    return Huber(delta, reduction)(y_true, y_pred, sample_weight)


def binary_crossentropy(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Binary cross-entropy, in nats: the value of :class:`BinaryCrossentropy`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features)
        Labels in [0, 1]; probabilities in [0, 1], or logits.
    from_logits : bool, default False
        Whether y_pred holds logits rather than probabilities.
    label_smoothing : float in [0, 1], default 0.0
        How far labels are drawn towards equal shares.
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
    Probabilities are clipped to [1e-7, 1 − 1e-7], as in Keras; torch clips logarithms at −100.

    References
    ----------
    Good, "Rational decisions", Journal of the Royal Statistical Society B 14, 1952.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.binary_crossentropy(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    0.6931471805599453
    """
    return BinaryCrossentropy(from_logits, label_smoothing, reduction)(y_true, y_pred, sample_weight)


def hinge(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Hinge loss: the value of :class:`Hinge`.

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
    Cortes and Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.hinge(np.array([[1.0, 0.0]]), np.array([[0.5, -2.0]]))
    0.25
    """
    return Hinge(reduction)(y_true, y_pred, sample_weight)


def categorical_crossentropy(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: Weight = None,
    reduction: str = "mean",
    class_weight: np.ndarray | None = None,
    z_loss: float = 0.0,
    logit_softcap: float | None = None,
    axis: int = -1,
) -> Any:
    """Categorical cross-entropy, in nats: the value of :class:`CategoricalCrossentropy`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., classes), at least 2 axes
        One-hot rows or other distributions; logits or probabilities.
    from_logits : bool, default False
        Whether y_pred holds logits rather than probabilities.
    label_smoothing : float in [0, 1], default 0.0
        How far labels are drawn towards equal shares.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    class_weight : array (classes,) of numbers ≥ 0, dtype of y_pred, or None
        Factors of the classes.
    z_loss : float ≥ 0, default 0.0
        Factor of the square of the logarithm of the mass, with logits.
    logit_softcap : float > 0 or None, default None
        What logits are bent to stay within.
    axis : int, default -1
        Which axis of y_pred holds the classes.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    Probabilities are divided by their row's sum and clipped to [1e-7, 1 − 1e-7], as in Keras. torch's cross_entropy is
    the same as from_logits=True, with the classes along axis 1.

    References
    ----------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.categorical_crossentropy(np.array([[1.0, 0.0]]), np.array([[2.0, 2.0]]), from_logits=True)
    0.6931471805599453
    """
    return CategoricalCrossentropy(from_logits, label_smoothing, reduction, class_weight, z_loss, logit_softcap, axis)(
        y_true, y_pred, sample_weight
    )


def sparse_categorical_crossentropy(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    from_logits: bool = False,
    ignore_class: int | None = None,
    sample_weight: Weight = None,
    reduction: str = "mean",
    class_weight: np.ndarray | None = None,
    z_loss: float = 0.0,
    logit_softcap: float | None = None,
    axis: int = -1,
    label_smoothing: float = 0.0,
) -> Any:
    """Categorical cross-entropy of integer labels, in nats: the value of :class:`SparseCategoricalCrossentropy`.

    Parameters
    ----------
    y_true : integer array of shape (...) or (..., 1)
        Labels in [0, classes), or `ignore_class`.
    y_pred : float32 or float64 array of shape (..., classes), at least 2 axes
        Logits or probabilities.
    from_logits : bool, default False
        Whether y_pred holds logits rather than probabilities.
    ignore_class : int (any label) or None, default None
        A label whose samples don't count.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    reduction : str, default "mean"
        What becomes of the samples' values: "mean", "sum", or "none" for an array of them.
    class_weight : array (classes,) of numbers ≥ 0, dtype of y_pred, or None
        Factors of the classes.
    z_loss : float ≥ 0, default 0.0
        Factor of the square of the logarithm of the mass, with logits.
    logit_softcap : float > 0 or None, default None
        What logits are bent to stay within.
    axis : int, default -1
        Which axis of y_pred holds the classes.
    label_smoothing : float in [0, 1], default 0.0
        How far the labels' one-hot rows are drawn towards equal shares, with logits.

    Returns
    -------
    float, or an array of shape (...) with reduction "none"

    Raises
    ------
    TypeError, ValueError
        If an argument is not as it should be.

    Notes
    -----
    Probabilities are divided by their row's sum and clipped to [1e-7, 1 − 1e-7], as in Keras. torch's cross_entropy is
    the same as from_logits=True, with the classes along axis 1.

    References
    ----------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.sparse_categorical_crossentropy(np.array([1]), np.array([[2.0, 2.0]]), from_logits=True)
    0.6931471805599453
    """
    return SparseCategoricalCrossentropy(
        from_logits, ignore_class, reduction, class_weight, z_loss, logit_softcap, axis, label_smoothing
    )(y_true, y_pred, sample_weight)


def kullback_leibler_divergence(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Kullback-Leibler divergence, in nats: the value of :class:`KLDivergence`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., classes), at least 2 axes
        Distributions, and probabilities in [0, 1]; both are clipped to [1e-7, 1].
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
    Keras is the same. torch's kl_div takes log p first, then t, and clips nothing.

    References
    ----------
    Kullback and Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22, 1951.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.kullback_leibler_divergence(np.array([[0.5, 0.5]]), np.array([[0.25, 0.5]]))
    0.34657359027997264
    """
    return KLDivergence(reduction)(y_true, y_pred, sample_weight)


def cosine_proximity(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Cosine proximity, −1 where rows point one way: the value of :class:`CosineProximity`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., features), at least 2 axes
        Vectors, of any length.
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
    Keras is the same. torch's cosine_similarity has the other sign.

    References
    ----------
    Salton, Wong and Yang, "A vector space model for automatic indexing", Communications of the ACM 18, 1975.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.cosine_proximity(np.array([[0.0, 2.0]]), np.array([[0.0, 0.5]]))
    -1.0
    """
    return CosineProximity(reduction)(y_true, y_pred, sample_weight)


cosine_similarity = cosine_proximity
kl_divergence = kullback_leibler_divergence
