"""Losses and their gradients in NumPy, from the definitions: slow, obvious, the judge of every kernel.

Written from the formulas alone, without a look at rules.py or jit_*.py. Each function takes y_true and y_pred of shape
(rows, columns) and returns every row's value, of shape (rows,), and its gradient with respect to its own y_pred.
reference_stages.py makes of them what the public classes return. Computes in the type of its arguments; the tests
give float64.
"""

import numpy as np

EPS = 1e-7


def _sum_with_zeros(a, b):
    """The sum over a row of a b, where 0 times anything infinite is 0 (but not 0 times NaN)."""
    with np.errstate(invalid="ignore"):
        return np.where((a == 0) & np.isinf(b), 0.0, a * b).sum(axis=-1)


def mean_squared_error(y_true, y_pred):
    """Mean over the row of (p - t)^2."""
    return np.mean((y_pred - y_true) ** 2, axis=-1), 2 * (y_pred - y_true) / y_pred.shape[-1]


def mean_absolute_error(y_true, y_pred):
    """Mean over the row of |p - t|; the slope at 0 is 0."""
    return np.mean(np.abs(y_pred - y_true), axis=-1), np.sign(y_pred - y_true) / y_pred.shape[-1]


def huber(y_true, y_pred, *, delta):
    """Huber 1964: quadratic up to delta, linear beyond."""
    error = y_pred - y_true
    inner, outer = error**2 / 2, delta * np.abs(error) - delta**2 / 2
    value = np.where(np.abs(error) <= delta, inner, outer)
    return value.mean(axis=-1), np.clip(error, -delta, delta) / y_pred.shape[-1]


def binary_crossentropy(y_true, y_pred, *, from_logits, label_smoothing, clip_logarithms=False):
    """-[t log p + (1 - t) log(1 - p)], in nats; p = 1 / (1 + exp(-x)) of a logit.

    Probabilities are clipped, or (as torch does) their logarithms at -100 and p (1 - p) below the gradient at 1e-12.
    """
    t = y_true * (1 - label_smoothing) + label_smoothing / 2
    if from_logits:
        with np.errstate(over="ignore"):
            p, rest = 1 / (1 + np.exp(-y_pred)), 1 / (1 + np.exp(y_pred))
        log_p, log_rest = -np.logaddexp(0, -y_pred), -np.logaddexp(0, y_pred)
        with np.errstate(invalid="ignore"):
            one = np.where((t == 0) & np.isinf(log_p), 0.0, t * log_p)
            other = np.where((t == 1) & np.isinf(log_rest), 0.0, (1 - t) * log_rest)
        return -(one + other).mean(axis=-1), ((1 - t) * p - t * rest) / y_pred.shape[-1]
    if clip_logarithms:
        with np.errstate(divide="ignore", invalid="ignore"):
            one, other = np.maximum(np.log(y_pred), -100), np.maximum(np.log1p(-y_pred), -100)
        slope = (y_pred - t) / np.maximum(y_pred * (1 - y_pred), 1e-12)
        return -(t * one + (1 - t) * other).mean(axis=-1), slope / y_pred.shape[-1]
    p = np.clip(y_pred, EPS, 1 - EPS)
    value = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    slope = np.where((y_pred < EPS) | (y_pred > 1 - EPS), 0.0, (p - t) / (p * (1 - p)))
    return value.mean(axis=-1), slope / y_pred.shape[-1]


def _signs(y_true, zeros):
    """Labels 0 and 1 stand for -1 and 1 (`zeros`; None: where all labels are 0 or 1)."""
    return 2 * y_true - 1 if (np.isin(y_true, (0, 1)).all() if zeros is None else zeros) else y_true


def hinge(y_true, y_pred, zeros=None):
    """Mean over the row of max(1 - t p, 0), t = -1 or 1 (labels 0 and 1 are taken for them); slope 0 at the kink."""
    t = _signs(y_true, zeros)
    margin = 1 - t * y_pred
    slope = np.where(np.isnan(margin), np.nan, np.where(margin > 0, -t, 0.0))
    return np.maximum(margin, 0).mean(axis=-1), slope / y_pred.shape[-1]


def _log_softmax(x):
    """Logits minus the logarithm of the sum of their exponentials; equal infinite logits share the probability."""
    with np.errstate(invalid="ignore"):
        top = x.max(axis=-1, keepdims=True)
        d = np.where(x == top, 0.0, x - top)
    return d - np.log(np.exp(d).sum(axis=-1, keepdims=True))


def categorical_crossentropy(
    y_true, y_pred, *, from_logits, label_smoothing, class_weight=None, z_loss=0.0, logit_softcap=None
):  # fmt: skip
    """-sum over classes of w t log p; p is the softmax of logits, or probabilities over their sum, clipped.

    Logits may be capped, z = cap tanh(x / cap), and pulled towards a mass of 1 by z_loss times its logarithm squared.
    """
    t = y_true * (1 - label_smoothing) + label_smoothing / y_pred.shape[-1]
    t = t if class_weight is None else t * class_weight
    if logit_softcap is not None:
        bent = np.tanh(y_pred / logit_softcap)
        given = {
            "from_logits": True,
            "label_smoothing": label_smoothing,
            "class_weight": class_weight,
            "z_loss": z_loss,
        }
        value, gradient = categorical_crossentropy(y_true, logit_softcap * bent, **given)
        return value, gradient * (1 - bent**2)
    if from_logits:
        log_p = _log_softmax(y_pred)
        value, gradient = -_sum_with_zeros(t, log_p), np.exp(log_p) * t.sum(axis=-1, keepdims=True) - t
        if z_loss:
            top = y_pred.argmax(axis=-1)[:, None]
            level = np.take_along_axis(y_pred - log_p, top, -1)  # the logarithm of the mass
            value, gradient = value + z_loss * level[:, 0] ** 2, gradient + 2 * z_loss * level * np.exp(log_p)
        return value, gradient
    total = y_pred.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        q = y_pred / total
        p = np.clip(q, EPS, 1 - EPS)
        slope = np.where((q >= EPS) & (q <= 1 - EPS), -t / p, 0.0)  # of the value, with respect to q
        through_total = (slope * q).sum(axis=-1, keepdims=True)
        return -(t * np.log(p)).sum(axis=-1), (slope - through_total) / total


def sparse_categorical_crossentropy(
    y_true, y_pred, *, from_logits, ignore_class, label_smoothing=0.0, class_weight=None, z_loss=0.0, logit_softcap=None
):  # fmt: skip
    """Categorical cross-entropy of the one-hot rows that the labels stand for; nothing for ignored ones.

    Class weights multiply a sample by its label's; the terms of the sum, where labels are smoothed.
    """
    kept = np.ones(len(y_true), bool) if ignore_class is None else y_true != ignore_class
    value, gradient = np.zeros(len(y_true)), np.zeros(y_pred.shape)
    one_hot = (y_true[kept, None] == np.arange(y_pred.shape[-1])).astype(np.float64)
    value[kept], gradient[kept] = categorical_crossentropy(
        one_hot, y_pred[kept], from_logits=from_logits, label_smoothing=label_smoothing, z_loss=z_loss,
        logit_softcap=logit_softcap, class_weight=class_weight if label_smoothing else None,
    )  # fmt: skip
    weight = np.ones(len(y_true))
    if class_weight is not None and not label_smoothing:
        weight[kept] = class_weight[y_true[kept]]
    return value * weight, gradient * weight[:, None]


def kullback_leibler_divergence(y_true, y_pred, *, from_logarithms=False):
    """Kullback and Leibler 1951: sum of t log(t / p), both clipped to [1e-7, 1]; given log p, nothing is clipped."""
    if from_logarithms:
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(y_true == 0, 0.0, y_true * np.log(y_true))
            return (own - y_true * y_pred).sum(axis=-1), -y_true
    t, p = np.clip(y_true, EPS, 1), np.clip(y_pred, EPS, 1)
    return (t * np.log(t / p)).sum(axis=-1), np.where(y_pred < EPS, 0.0, -t / p)


def _length(x):
    """Two factors of each row's length, which is taken for 1e-7 where below it; and whether it is. Of any size."""
    top = np.abs(x).max(axis=-1, keepdims=True)
    top = np.where((top > 0) & np.isfinite(top), top, 1.0)
    root = np.sqrt(((x / top) ** 2).sum(axis=-1, keepdims=True))
    clipped = top * root < EPS
    return np.where(clipped, EPS, top), np.where(clipped, 1.0, root), clipped


def cosine_proximity(y_true, y_pred):
    """Minus the cosine of the angle between rows; lengths below 1e-7 are taken for 1e-7."""
    with np.errstate(invalid="ignore", over="ignore"):
        (top, root, _), (most, length, clipped) = _length(y_true), _length(y_pred)
        one, other = y_true / top / root, y_pred / most / length
        cosine = (one * other).sum(axis=-1, keepdims=True)
        turning = np.where(clipped, 0.0, cosine * other)
        return -cosine[..., 0], (turning - one) / most / length


# ---- regression


def mean_squared_logarithmic_error(y_true, y_pred):
    """Mean over the row of (log(1 + p) - log(1 + t))^2, both taken for 1e-7 where below it."""
    difference = np.log1p(np.maximum(y_pred, EPS)) - np.log1p(np.maximum(y_true, EPS))
    slope = np.where(y_pred < EPS, 0.0, 2 * difference / (1 + np.maximum(y_pred, EPS)))
    return np.mean(difference**2, axis=-1), slope / y_pred.shape[-1]


def mean_absolute_percentage_error(y_true, y_pred):
    """100 times the mean over the row of |p - t| / |t|, |t| at least 1e-7; the slope at 0 is 0."""
    size = np.maximum(np.abs(y_true), EPS)
    value = 100 * np.mean(np.abs(y_pred - y_true) / size, axis=-1)
    return value, 100 * np.sign(y_pred - y_true) / size / y_pred.shape[-1]


def log_cosh(y_true, y_pred):
    """Mean over the row of log cosh(p - t); log cosh e = log(exp(e) + exp(-e)) - log 2."""
    error = y_pred - y_true
    with np.errstate(invalid="ignore"):
        value = np.logaddexp(error, -error) - np.log(2)
    return np.mean(value, axis=-1), np.tanh(error) / y_pred.shape[-1]


def smooth_l1(y_true, y_pred, *, beta):
    """Girshick 2015: e^2 / (2 beta) where |e| < beta, |e| - beta / 2 elsewhere; with beta = 0 the absolute error."""
    error = y_pred - y_true
    inside = np.abs(error) < beta
    scaled = error / (beta or 1.0)
    value = np.where(inside, error * scaled / 2, np.abs(error) - beta / 2)
    return value.mean(axis=-1), np.where(inside, scaled, np.sign(error)) / y_pred.shape[-1]


def quantile(y_true, y_pred, *, quantile):
    """Koenker and Bassett 1978: quantile (t - p) above the prediction, (1 - quantile) (p - t) below; slope 0 at 0."""
    error = y_true - y_pred
    value = np.maximum(quantile * error, (quantile - 1) * error)
    slope = np.where(error > 0, -quantile, np.where(error < 0, 1 - quantile, error))
    return value.mean(axis=-1), slope / y_pred.shape[-1]


def poisson(y_true, y_pred, *, from_logarithms=False):
    """Mean over the row of p - t log(p + 1e-7), NaN where p is too far below 0; of exp(x) - t x, x being log p."""
    if from_logarithms:
        with np.errstate(over="ignore", invalid="ignore"):
            value = np.exp(y_pred) - y_true * y_pred
            return value.mean(axis=-1), (np.exp(y_pred) - y_true) / y_pred.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        value = y_pred - y_true * np.log(y_pred + EPS)
        slope = 1 - y_true / (y_pred + EPS)
    return value.mean(axis=-1), slope / y_pred.shape[-1]


# ---- the rest of the binary losses


def squared_hinge(y_true, y_pred, zeros=None):
    """Mean over the row of max(1 - t p, 0)^2, labels as in hinge."""
    t = _signs(y_true, zeros)
    margin = np.maximum(1 - t * y_pred, 0)
    return (margin**2).mean(axis=-1), -2 * t * margin / y_pred.shape[-1]


def binary_focal_crossentropy(y_true, y_pred, *, apply_class_balancing, alpha, gamma, from_logits, label_smoothing):
    """Lin et al. 2017: (1 - p_t)^gamma times the cross-entropy; weighed by alpha and 1 - alpha if balanced."""
    t = y_true * (1 - label_smoothing) + label_smoothing / 2
    weight = alpha * t + (1 - alpha) * (1 - t) if apply_class_balancing else 1.0
    if from_logits:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            p, q = 1 / (1 + np.exp(-y_pred)), 1 / (1 + np.exp(y_pred))
            log_p, log_q = -np.logaddexp(0, -y_pred), -np.logaddexp(0, y_pred)
            entropy = -np.where((t == 0) & np.isinf(log_p), 0.0, t * log_p)
            entropy -= np.where((t == 1) & np.isinf(log_q), 0.0, (1 - t) * log_q)
            missed = t * q + (1 - t) * p
            turning = np.where(p * q == 0, 0.0, gamma * (1 - 2 * t) * p * q * missed ** (gamma - 1) * entropy)
        slope = missed**gamma * ((1 - t) * p - t * q) + turning
        return (weight * missed**gamma * entropy).mean(axis=-1), weight * slope / y_pred.shape[-1]
    p = np.clip(y_pred, EPS, 1 - EPS)
    entropy, missed = -(t * np.log(p) + (1 - t) * np.log(1 - p)), t * (1 - p) + (1 - t) * p
    slope = missed**gamma * (p - t) / (p * (1 - p)) + gamma * missed ** (gamma - 1) * (1 - 2 * t) * entropy
    slope = np.where((y_pred < EPS) | (y_pred > 1 - EPS), 0.0, slope)
    return (weight * missed**gamma * entropy).mean(axis=-1), weight * slope / y_pred.shape[-1]


def gamma(y_true, y_pred):
    """Half the deviance of a gamma distribution of mean exp(x), but for what knows no x: mean of x + t exp(-x)."""
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = y_true * np.exp(-y_pred)
        return (y_pred + ratio).mean(axis=-1), (1 - ratio) / y_pred.shape[-1]


def tweedie(y_true, y_pred, *, power):
    """Half the deviance of a Tweedie distribution of mean exp(x), but for what knows no x; 1 is Poisson's, 2 gamma."""
    if power == 2:
        return gamma(y_true, y_pred)
    if power == 1:
        return poisson(y_true, y_pred, from_logarithms=True)
    with np.errstate(over="ignore", invalid="ignore"):
        lower = np.where(y_true == 0, 0.0, y_true * np.exp((1 - power) * y_pred))
        upper = np.exp((2 - power) * y_pred)
        return (upper / (2 - power) - lower / (1 - power)).mean(axis=-1), (upper - lower) / y_pred.shape[-1]


def exponential(y_true, y_pred):
    """Mean over the row of t exp(-x) + (1 - t) exp(x); 0 times anything infinite is 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        one = np.where(y_true == 0, 0.0, y_true * np.exp(-y_pred))
        zero = np.where(y_true == 1, 0.0, (1 - y_true) * np.exp(y_pred))
    return (one + zero).mean(axis=-1), (zero - one) / y_pred.shape[-1]


def hinge_embedding(y_true, y_pred, zeros=None, *, margin):
    """Mean over the row of x where t = 1, of max(margin - x, 0) where t = -1; the slope at the kink is -1."""
    t = _signs(y_true, zeros)
    rest = margin - y_pred
    value = np.where(t == -1, 0.0, y_pred) + np.where(t == 1, 0.0, np.maximum(rest, 0))
    slope = np.where(np.isnan(y_pred), np.nan, 1.0 * (t != -1) - ((t != 1) & (rest >= 0)))
    return value.mean(axis=-1), slope / y_pred.shape[-1]


def linear_cross_entropy(x, weight, bias, labels, scale, **options):
    """Every row's cross-entropy of the logits x W^T + b, times its scale; gradients of x, W and b of all their sum."""
    logits = x @ weight.T + (0.0 if bias is None else bias)
    value, slope = sparse_categorical_crossentropy(
        labels, logits, **{"from_logits": True, "ignore_class": None} | options
    )
    slope = slope * scale[:, None]
    return value * scale, slope @ weight, slope.T @ x, slope.sum(axis=0)


# ---- further losses of rows


def categorical_hinge(y_true, y_pred):
    """Crammer and Singer's margin, as Keras forms it: the first of equal maxima has the gradient."""
    others = (1 - y_true) * y_pred
    at = np.arange(len(y_pred)), others.argmax(axis=-1)
    margin = others.max(axis=-1) - (y_true * y_pred).sum(axis=-1) + 1
    value = np.maximum(margin, 0)
    steep = np.where(margin > 0, 1.0, value)
    gradient = 0 - steep[:, None] * y_true
    gradient[at] += steep * (1 - y_true[at])
    return value, gradient


def tversky(y_true, y_pred, *, alpha, beta):
    """Salehi et al. 2017, equation 5."""
    common = (y_true * y_pred).sum(axis=-1, keepdims=True)
    missed, added = (
        (y_true * (1 - y_pred)).sum(axis=-1, keepdims=True),
        ((1 - y_true) * y_pred).sum(axis=-1, keepdims=True),
    )
    whole = common + alpha * missed + beta * added + 1e-7
    slope = y_true * (1 - alpha - beta) + beta
    return 1 - (common / whole)[:, 0], -(y_true / whole - common * slope / whole**2)


def dice(y_true, y_pred):
    """Milletari et al. 2016, section 3, without its squares: 1 - 2 I / (sum of both + epsilon)."""
    common = (y_true * y_pred).sum(axis=-1, keepdims=True)
    whole = y_true.sum(axis=-1, keepdims=True) + y_pred.sum(axis=-1, keepdims=True) + 1e-7
    return 1 - (2 * common / whole)[:, 0], 2 * common / whole**2 - 2 * y_true / whole


def multi_margin(labels, y_pred, *, p, margin):
    """Crammer and Singer 2001 as torch sums it: the mean over all classes of max(0, margin - own + other)^p."""
    at = np.arange(len(y_pred)), labels
    short_of = margin - y_pred[at][:, None] + y_pred
    short_of[at] = 0
    short_of = np.where(short_of <= 0, 0, short_of)
    gradient = np.where(short_of > 0, 1.0, short_of) if p == 1 else 2 * short_of
    gradient[at] = -gradient.sum(axis=-1)
    return (short_of**p).mean(axis=-1), gradient / y_pred.shape[-1]


def categorical_generalized_cross_entropy(labels, y_pred, *, q):
    """Zhang and Sabuncu 2018, equation 6."""
    at = np.arange(len(y_pred)), labels
    gradient = np.zeros_like(y_pred)
    with np.errstate(divide="ignore"):
        gradient[at] = -(y_pred[at] ** (q - 1))
    return (1 - y_pred[at] ** q) / q, gradient


def categorical_focal_crossentropy(
    y_true, y_pred, class_weight=None, *, alpha, gamma, from_logits, label_smoothing
):  # fmt: skip
    """Lin et al. 2017, equation 5, over classes; `class_weight` is an alpha for each."""
    t = (alpha if class_weight is None else class_weight) * (
        y_true * (1 - label_smoothing) + label_smoothing / y_pred.shape[-1]
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        if from_logits:
            below = np.where(
                y_pred == y_pred.max(axis=-1, keepdims=True), 0, y_pred - y_pred.max(axis=-1, keepdims=True)
            )
            e = np.exp(below)
            mass = e.sum(axis=-1, keepdims=True)
            q, logarithm, inside = e / mass, below - np.log(mass), True
        else:
            mass = y_pred.sum(axis=-1, keepdims=True)
            share = y_pred / mass
            q = np.clip(share, 1e-7, 1 - 1e-7)
            logarithm, inside = np.log(q), (share >= 1e-7) & (share <= 1 - 1e-7)
        power = (1 - q) ** gamma
        ratio = np.where(q == 1, -1.0, logarithm / (1 - q))
        turned = np.where(q == 0, 0.0, q * ratio)
        value = np.where(t == 0, 0.0, -t * power * logarithm).sum(axis=-1)
        slope = np.where((t == 0) | ~np.asarray(inside), 0.0, t * (gamma * power * turned - power))  # times q
        if from_logits:
            return value, slope - q * slope.sum(axis=-1, keepdims=True)
        slope = np.where(inside, slope / q, 0.0)
        return value, (slope - (slope * share).sum(axis=-1, keepdims=True)) / mass


def gaussian_nll(y_true, y_pred, var, *, full, eps):
    """Nix and Weigend 1994, equation 5: the mean over a row, and gradients of predictions and of variances."""
    v, error = np.where(var < eps, eps, var), y_pred - y_true
    columns = y_pred.shape[-1]
    value = 0.5 * (np.log(v) + error**2 / v) + (0.5 * np.log(2 * np.pi) if full else 0.0)
    return value.mean(axis=-1), error / v / columns, 0.5 * (1 / v - (error / v) ** 2) / columns
