"""The functions of further losses that couple the elements of a row, and of the Gaussian likelihood: values."""

from typing import Any

import numpy as np

from fastopt.losses.gaussian import GaussianNLL
from fastopt.losses.rows import (
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    CategoricalHinge,
    Dice,
    MultiMargin,
    Tversky,
)

Weight = np.ndarray | None


def categorical_hinge(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Categorical hinge loss: the value of :class:`CategoricalHinge`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., classes)
        Distributions, and any scores.
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
    Keras shares the gradient out among equal maxima. torch has no such loss.

    References
    ----------
    Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", Journal of
    Machine Learning Research 2, 2001.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.categorical_hinge(np.array([[0.0, 1.0, 0.0]]), np.array([[0.5, 1.0, 0.25]]))
    0.5
    """
    return CategoricalHinge(reduction=reduction, axis=axis)(y_true, y_pred, sample_weight)


def tversky(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    alpha: float = 0.5,
    beta: float = 0.5,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Tversky loss: the value of :class:`Tversky`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., elements)
        Labels and probabilities in [0, 1]; the last axis is the set.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    alpha : float ≥ 0, default 0.5
        Weight of what is missed.
    beta : float ≥ 0, default 0.5
        Weight of what is added.
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
    Keras's default is one set of the whole batch. torch has no such loss.

    References
    ----------
    Salehi, Erdogmus and Gholipour, "Tversky loss function for image segmentation using 3D fully convolutional deep
    networks", 2017, equation 5.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.tversky(np.array([[1.0, 1.0]]), np.array([[1.0, 0.0]]), alpha=0.7), 6)
    0.411765
    """
    return Tversky(alpha=alpha, beta=beta, reduction=reduction, axis=axis)(y_true, y_pred, sample_weight)


def dice(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Dice loss: the value of :class:`Dice`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., elements)
        Labels and probabilities in [0, 1]; the last axis is the set.
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
    Keras's default is one set of the whole batch. torch has no such loss.

    References
    ----------
    Milletari, Navab and Ahmadi, "V-Net: fully convolutional neural networks for volumetric medical image
    segmentation", 2016, section 3.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.dice(np.array([[1.0, 1.0]]), np.array([[1.0, 0.0]])), 6)
    0.333333
    """
    return Dice(reduction=reduction, axis=axis)(y_true, y_pred, sample_weight)


def multi_margin(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    p: int = 1,
    margin: float = 1.0,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Multi-class margin loss: the value of :class:`MultiMargin`.

    Parameters
    ----------
    y_true : integer array (...) or (..., 1)
        Labels in [0, classes).
    y_pred : float32 or float64 array (..., classes)
        Scores.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    p : {1, 2}, default 1
        The power.
    margin : finite float, default 1
        How far the label's score is to stand above the others.
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
    torch.nn.MultiMarginLoss is the same. Keras has no such loss.

    References
    ----------
    Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", Journal of
    Machine Learning Research 2, 2001.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.multi_margin(np.array([0]), np.array([[1.0, 0.5, -2.0, 1.0]]))
    0.375
    """
    return MultiMargin(p=p, margin=margin, reduction=reduction, axis=axis)(y_true, y_pred, sample_weight)


def categorical_generalized_cross_entropy(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    q: float = 0.5,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Generalized cross-entropy: the value of :class:`CategoricalGeneralizedCrossEntropy`.

    Parameters
    ----------
    y_true : integer array (...) or (..., 1)
        Labels in [0, classes).
    y_pred : float32 or float64 array (..., classes)
        Probabilities in [0, 1].
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    q : float in (0, 1), default 0.5
        The larger, the less do samples count whose label has a small probability.
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
    Zhang and Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy labels", NeurIPS
    2018, equation 6.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.categorical_generalized_cross_entropy(np.array([1]), np.array([[0.75, 0.25]]))
    1.0
    """
    return CategoricalGeneralizedCrossEntropy(q=q, reduction=reduction, axis=axis)(y_true, y_pred, sample_weight)


def categorical_focal_crossentropy(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    sample_weight: Weight = None,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Categorical focal cross-entropy: the value of :class:`CategoricalFocalCrossentropy`.

    Parameters
    ----------
    y_true, y_pred : float32 or float64 arrays of one shape (..., classes)
        Distributions, and probabilities in [0, 1], or logits.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    alpha : float ≥ 0, default 0.25
        Factor of all classes.
    gamma : float ≥ 0, default 2
        How much less samples count that are right already.
    from_logits : bool, default False
        Whether y_pred holds logits rather than probabilities.
    label_smoothing : float in [0, 1], default 0
        Labels are drawn towards equal shares.
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
    Keras clips the softmax of logits. torch has no such loss.

    References
    ----------
    Lin et al., "Focal loss for dense object detection", ICCV 2017, equation 5.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> round(fo.losses.categorical_focal_crossentropy(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])), 6)
    0.043322
    """
    return CategoricalFocalCrossentropy(
        alpha=alpha, gamma=gamma, from_logits=from_logits, label_smoothing=label_smoothing, reduction=reduction
    )(y_true, y_pred, sample_weight)


def gaussian_nll(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    var: np.ndarray,
    sample_weight: Weight = None,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
    axis: int = -1,
) -> Any:
    """Gaussian negative log likelihood: the value of :class:`GaussianNLL`.

    Parameters
    ----------
    y_true, y_pred, var : float32 or float64 arrays of one shape (..., features)
        Targets, predictions, and predicted variances ≥ 0.
    sample_weight : array of the leading shape (...) or None, default None
        Weights ≥ 0 of the samples; the first of the leading axes are enough.
    full : bool, default False
        Add the constant log(2 π) / 2.
    eps : float > 0, default 1e-6
        Variances below it are taken for it.
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
    torch.nn.functional.gaussian_nll_loss is the same, with input and target the other way round. Keras has no such
    loss.

    References
    ----------
    Nix and Weigend, "Estimating the mean and variance of the target probability distribution", ICNN 1994, equation 5.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.losses.gaussian_nll(np.array([[1.0, 2.0]]), np.array([[3.0, 2.0]]), np.ones((1, 2)))
    1.0
    """
    return GaussianNLL(full=full, eps=eps, reduction=reduction, axis=axis)(y_true, y_pred, var, sample_weight)
