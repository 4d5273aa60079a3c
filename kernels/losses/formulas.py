"""What a loss with its options runs, the same for every target: a function per loss.

A formula says nothing of arrays and checks nothing. The public classes check first; adapters that take what fastopt
refuses (rows that don't sum to 1, labels other than ±1, negative weights) call `way("losses").evaluate` with a formula
themselves.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from fastopt.kernels.losses import reference
from fastopt.kernels.losses.kernels import KERNELS

NO_CLASS = -(2**63)  # stands for "no class is ignored"
CLIP = 1e-7  # Keras's epsilon
kept = lru_cache(maxsize=256)  # so that a formula of the same options is one object, whose stages are kept as well


class Formula(NamedTuple):
    """A loss with its options.

    Attributes
    ----------
    kernel : str
        Its kernel: one value an element, or one a row.
    reference : callable (y_true, y_pred) -> (values of rows, gradients)
        Its definition in NumPy; the further arguments of `evaluate` that it takes come by name.
    scalars : tuple of float
        The kernel's, behind `scale`.
    mean : bool
        Whether a row's value is the mean of its elements' values, rather than their sum.
    ignore_class : int
        A label whose rows don't count.
    soft_cap : float
        What logits are bent to stay within; 0: they aren't.
    weighs : str
        What `class_weight` multiplies: "" (there is none), "terms" of distributions, "samples" by their labels, or
        "spread" labels, whose smoothed rows are made block by block.
    smooth : (float, float)
        With `weighs` of "terms" or "spread": what labels are multiplied by, and what is added, before they are weighed.
    """

    kernel: str
    reference: Callable[..., tuple[np.ndarray, np.ndarray]]
    scalars: tuple[float, ...] = ()
    mean: bool = True
    ignore_class: int = NO_CLASS
    soft_cap: float = 0.0
    weighs: str = ""
    smooth: tuple[float, float] = (1.0, 0.0)

    @property
    def of_elements(self) -> bool:
        """Whether the kernel gives a value an element, rather than a row."""
        return KERNELS[self.kernel].unit == "element"


def smoothed(label_smoothing: float, classes: int) -> tuple[float, float]:
    """Return what labels are multiplied by, and what is added to them."""
    return 1.0 - label_smoothing, label_smoothing / classes


# ---- values of elements


@kept
def mean_squared_error() -> Formula:
    return Formula("mean_squared_error", reference.mean_squared_error)


@kept
def mean_absolute_error() -> Formula:
    return Formula("mean_absolute_error", reference.mean_absolute_error)


@kept
def huber(delta: float) -> Formula:
    return Formula("huber", partial(reference.huber, delta=delta), (delta,))


@kept
def binary_crossentropy(from_logits: bool, label_smoothing: float, clip_logarithms: bool = False) -> Formula:
    """`clip_logarithms`: of probabilities, whether their logarithms are clipped, rather than they themselves."""
    judge = partial(
        reference.binary_crossentropy, from_logits=from_logits, label_smoothing=label_smoothing,
        clip_logarithms=clip_logarithms,
    )  # fmt: skip
    kernel = "binary_crossentropy_logarithms" if clip_logarithms else "binary_crossentropy"
    return Formula("binary_crossentropy_logits" if from_logits else kernel, judge, smoothed(label_smoothing, 2))


@kept
def hinge(zeros: bool = False) -> Formula:
    """`zeros`: whether labels of 0 stand for −1."""
    return Formula("hinge", partial(reference.hinge, zeros=zeros), (2.0, -1.0) if zeros else (1.0, 0.0))


@kept
def kullback_leibler_divergence(from_logarithms: bool = False) -> Formula:
    judge = partial(reference.kullback_leibler_divergence, from_logarithms=from_logarithms)
    kernel = "kullback_leibler_logarithms" if from_logarithms else "kullback_leibler_divergence"
    return Formula(kernel, judge, mean=False)


@kept
def mean_squared_logarithmic_error() -> Formula:
    return Formula("mean_squared_logarithmic_error", reference.mean_squared_logarithmic_error)


@kept
def mean_absolute_percentage_error() -> Formula:
    return Formula("mean_absolute_percentage_error", reference.mean_absolute_percentage_error)


@kept
def log_cosh() -> Formula:
    return Formula("log_cosh", reference.log_cosh)


@kept
def smooth_l1(beta: float) -> Formula:
    return Formula("smooth_l1", partial(reference.smooth_l1, beta=beta), (beta,))


@kept
def quantile(quantile: float) -> Formula:
    return Formula("quantile", partial(reference.quantile, quantile=quantile), (quantile, 1.0 - quantile))


@kept
def poisson(from_logarithms: bool = False) -> Formula:
    judge = partial(reference.poisson, from_logarithms=from_logarithms)
    return Formula("poisson_log_rates" if from_logarithms else "poisson", judge)


@kept
def gamma() -> Formula:
    return Formula("gamma_log_means", reference.gamma)


@kept
def tweedie(power: float) -> Formula:
    judge = partial(reference.tweedie, power=power)
    if power in (1.0, 2.0):
        return Formula("poisson_log_rates" if power == 1.0 else "gamma_log_means", judge)
    return Formula("tweedie_log_means", judge, (1.0 - power, 2.0 - power))


@kept
def exponential() -> Formula:
    return Formula("exponential", reference.exponential)


@kept
def squared_hinge(zeros: bool = False) -> Formula:
    """`zeros`: whether labels of 0 stand for −1."""
    judge = partial(reference.squared_hinge, zeros=zeros)
    return Formula("squared_hinge", judge, (2.0, -1.0) if zeros else (1.0, 0.0))


@kept
def binary_focal_crossentropy(
    apply_class_balancing: bool, alpha: float, gamma: float, from_logits: bool, label_smoothing: float
) -> Formula:
    judge = partial(
        reference.binary_focal_crossentropy, apply_class_balancing=apply_class_balancing, alpha=alpha, gamma=gamma,
        from_logits=from_logits, label_smoothing=label_smoothing,
    )  # fmt: skip
    of_zero, of_one = (1.0 - alpha, alpha) if apply_class_balancing else (1.0, 1.0)
    kernel = "binary_focal_crossentropy_logits" if from_logits else "binary_focal_crossentropy"
    return Formula(kernel, judge, (*smoothed(label_smoothing, 2), gamma, of_zero, of_one - of_zero))


@kept
def hinge_embedding(margin: float, zeros: bool = False) -> Formula:
    """`zeros`: whether labels of 0 stand for −1."""
    judge = partial(reference.hinge_embedding, zeros=zeros, margin=margin)
    return Formula("hinge_embedding", judge, (*((2.0, -1.0) if zeros else (1.0, 0.0)), margin))


# ---- values of rows


@kept
def categorical_crossentropy(
    classes: int,
    from_logits: bool,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    soft_cap: float = 0.0,
    weighed: bool = False,
) -> Formula:
    """`weighed`: whether `class_weight` multiplies the terms of the sum; z-loss and soft cap are of logits alone."""
    judge = partial(
        reference.categorical_crossentropy, from_logits=from_logits, label_smoothing=label_smoothing, z_loss=z_loss,
        logit_softcap=soft_cap or None,
    )  # fmt: skip
    smooth = smoothed(label_smoothing, classes)
    scalars = (1.0, 0.0, z_loss) if weighed else (*smooth, z_loss)  # smoothed where they are weighed
    kernel = "softmax" if from_logits else "probabilities"
    return Formula(kernel, judge, scalars, soft_cap=soft_cap, weighs="terms" if weighed else "", smooth=smooth)


@kept
def sparse_categorical_crossentropy(
    classes: int,
    from_logits: bool,
    ignore_class: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    soft_cap: float = 0.0,
    weighed: bool = False,
) -> Formula:
    """`weighed`: whether `class_weight` multiplies samples by their labels, or the terms of smoothed labels; smoothing,
    z-loss and soft cap are of logits alone."""
    judge = partial(
        reference.sparse_categorical_crossentropy, from_logits=from_logits, ignore_class=ignore_class,
        label_smoothing=label_smoothing, z_loss=z_loss, logit_softcap=soft_cap or None,
    )  # fmt: skip
    smooth = smoothed(label_smoothing, classes)
    ignored = NO_CLASS if ignore_class is None else ignore_class
    if weighed and label_smoothing:
        return Formula("softmax", judge, (1.0, 0.0, z_loss), True, ignored, soft_cap, "spread", smooth)
    kernel = "softmax_sparse" if from_logits else "probabilities_sparse"
    return Formula(kernel, judge, (z_loss, *smooth), True, ignored, soft_cap, "samples" if weighed else "")


@kept
def cosine_proximity() -> Formula:
    return Formula("cosine_proximity", reference.cosine_proximity)


@kept
def categorical_hinge() -> Formula:
    return Formula("categorical_hinge", reference.categorical_hinge)


@kept
def tversky(alpha: float, beta: float) -> Formula:
    return Formula("overlap", partial(reference.tversky, alpha=alpha, beta=beta), (alpha, beta, CLIP))


@kept
def dice() -> Formula:
    return Formula("overlap", reference.dice, (0.5, 0.5, 0.5 * CLIP))


@kept
def multi_margin(p: int, margin: float) -> Formula:
    return Formula("multi_margin", partial(reference.multi_margin, p=p, margin=margin), (margin, float(p == 2)))


@kept
def categorical_generalized_cross_entropy(q: float) -> Formula:
    return Formula("generalized_crossentropy", partial(reference.categorical_generalized_cross_entropy, q=q), (q,))


@kept
def categorical_focal_crossentropy(
    classes: int, alpha: float | None, gamma: float, from_logits: bool, label_smoothing: float
) -> Formula:
    """`alpha` of None: `class_weight` has one for each class."""
    judge = partial(
        reference.categorical_focal_crossentropy, alpha=alpha, gamma=gamma, from_logits=from_logits,
        label_smoothing=label_smoothing,
    )  # fmt: skip
    kernel = "focal_softmax" if from_logits else "focal_probabilities"
    smooth = smoothed(label_smoothing, classes)
    if alpha is None:
        return Formula(kernel, judge, (1.0, 0.0, 1.0, gamma), weighs="terms", smooth=smooth)
    return Formula(kernel, judge, (*smooth, alpha, gamma))


# ---- of variances too


@kept
def gaussian_nll(full: bool, eps: float) -> Formula:
    constant = 0.9189385332046727 if full else 0.0  # log(2 pi) / 2
    return Formula("gaussian_likelihood", partial(reference.gaussian_nll, full=full, eps=eps), (eps, constant))
