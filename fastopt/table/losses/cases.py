"""What the losses' rows of the table are made of: inputs, the public call, the reference's answer, tolerances."""

from functools import partial
from inspect import signature

import numpy as np

from fastopt.kernels.losses import reference, reference_stages
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.table.losses import wrong
from fastopt.table.op import Bench, Op, Options

CLASSES = {  # op -> public class; functions have the op's name
    "mean_squared_error": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "huber": "Huber",
    "binary_crossentropy": "BinaryCrossentropy",
    "hinge": "Hinge",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "kullback_leibler_divergence": "KLDivergence",
    "cosine_proximity": "CosineProximity",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "log_cosh": "LogCosh",
    "smooth_l1": "SmoothL1",
    "quantile": "Quantile",
    "poisson": "Poisson",
    "squared_hinge": "SquaredHinge",
    "binary_focal_crossentropy": "BinaryFocalCrossentropy",
    "gamma": "Gamma",
    "tweedie": "Tweedie",
    "exponential": "Exponential",
    "hinge_embedding": "HingeEmbedding",
    "categorical_hinge": "CategoricalHinge",
    "tversky": "Tversky",
    "dice": "Dice",
    "multi_margin": "MultiMargin",
    "categorical_generalized_cross_entropy": "CategoricalGeneralizedCrossEntropy",
    "categorical_focal_crossentropy": "CategoricalFocalCrossentropy",
    "gaussian_nll": "GaussianNLL",
}


RESULTS = ("value", "gradient", "gradient_var")


def _loss(name, options):
    import fastopt

    return getattr(fastopt.losses, CLASSES[name])(**{k: v for k, v in options.items() if k != "weighted"})


def real(rng, shape, dtype, options):
    return {"y_true": normal(rng, shape, dtype), "y_pred": normal(rng, shape, dtype)}


def vectors(rng, shape, dtype, options):
    """Rows that are not short: a gradient is as long as its row is short."""
    arrays = real(rng, shape, dtype, options)
    return {name: array + np.copysign(array.dtype.type(0.5), array) for name, array in arrays.items()}


def normal(rng, shape, dtype):
    return np.asarray(rng.standard_normal(shape, dtype=dtype))


def predictions(rng, shape, dtype, options):
    """Logits, or probabilities away from the clip's edges."""
    if options.get("from_logits"):
        return 3 * normal(rng, shape, dtype)
    return np.asarray(0.02 + 0.96 * rng.random(shape)).astype(dtype)


def binary(rng, shape, dtype, options):
    hard = rng.integers(0, 2, shape)
    y_true = np.asarray(np.where(rng.random(shape) < 0.7, hard, rng.random(shape))).astype(dtype)
    return {"y_true": y_true, "y_pred": predictions(rng, shape, dtype, options)}


def signs(rng, shape, dtype, options):
    return {"y_true": np.asarray(2 * rng.integers(0, 2, shape) - 1).astype(dtype), "y_pred": normal(rng, shape, dtype)}


def distributions(rng, shape, dtype, options):
    """One-hot rows, and every other one soft."""
    columns = shape[-1]
    rows = np.eye(1, columns) + np.zeros((int(np.prod(shape)) // columns, columns))
    rows = rng.permuted(rows, axis=1)
    soft = 0.1 + rng.random(rows[1::2].shape)
    rows[1::2] = soft / soft.sum(axis=1, keepdims=True)
    return {"y_true": rows.reshape(shape).astype(dtype), "y_pred": predictions(rng, shape, dtype, options)}


def labels(rng, shape, dtype, options):
    return {"y_true": rng.integers(0, shape[-1], shape[:-1]), "y_pred": predictions(rng, shape, dtype, options)}


def _inputs(make, rng, shape, dtype, options):
    arrays = make(rng, shape, dtype, options)
    if options.get("weighted"):
        leading = shape[:-1] if len(shape) > 1 else shape
        arrays["sample_weight"] = np.asarray(rng.integers(0, 5, leading) * 0.3).astype(dtype)
    return arrays


def _call(name, options, arrays):
    loss = _loss(name, options)
    results = loss.value_and_grad(**arrays)
    return dict(zip(RESULTS, results))


def _expect(name, options, arrays):
    loss, y_true, y_pred = _loss(name, options), arrays["y_true"], arrays["y_pred"]
    leading = y_pred.shape[:-1] if y_pred.ndim > 1 else y_pred.shape
    rows = y_pred.astype(np.float64).reshape(int(np.prod(leading)), -1)
    labels = y_true.reshape(-1) if y_true.dtype.kind == "i" else y_true.astype(np.float64).reshape(rows.shape)
    more = [arrays["var"].astype(np.float64).reshape(rows.shape)] if "var" in arrays else []
    judge = getattr(reference, name)
    options = {k: getattr(loss, k) for k, p in signature(judge).parameters.items() if p.kind is p.KEYWORD_ONLY}
    value, *gradients = judge(labels, rows, *more, **options)
    weight = arrays["sample_weight"].astype(np.float64).reshape(-1) if "sample_weight" in arrays else None
    counted = len(rows) - np.count_nonzero(labels == getattr(loss, "ignore_class", None))
    reduced = [
        reference_stages.weighted_and_reduced(value, found, weight, loss.reduction, counted) for found in gradients
    ]
    value = reduced[0][0].reshape(leading) if loss.reduction == "none" else reduced[0][0]
    return dict(zip(RESULTS, (value, *(gradient.reshape(y_pred.shape) for _, gradient in reduced))))


def _traffic(options, arrays):
    """Labels, predictions and weights read, the gradients written."""
    return sum(array.nbytes for array in arrays.values()) + (1 + ("var" in arrays)) * arrays["y_pred"].nbytes


ELEMENT_SHAPES = (
    *((n,) for n in (1, 2, 3, 7, 15, 16, 17, 31, 33, 511, 513, 100_003)),
    (3, 5), (2, 3, 4), (1, 7), (17, 1), (40, 33), (2, 2050),
)  # fmt: skip
ROW_SHAPES = (
    (1, 1), (1, 2), (3, 1), (3, 5), (2, 3, 4), (15, 7), (16, 10), (17, 31), (33, 32), (5, 33), (3, 511), (2, 1025),
    (4099, 3), (2, 50_001),
)  # fmt: skip

# Values are sums of numbers of one sign: 32 roundings in a lane and 5 between lanes, which mostly cancel; a gradient is
# a few roundings of its own terms, of order 1 (times `scale`, at most 1), which may cancel.
TOLERANCE = {"float32": (1e-6, 3e-7), "float64": (2e-15, 6e-16)}
# exp and log have 1.3 ulp; 1 / p is up to 50, so that roundings of 1 - p and of p over its row's sum are seen 50 times
# as large; logits differ by up to 25, whose rounding exp passes on.
LOG_TOLERANCE = {"float32": (3e-6, 3e-6), "float64": (6e-15, 6e-15)}
# Cosines lie in [-1, 1] and cancel in a sum: of 4099 rows, each off by an ulp of 2.2e-16 in either direction, it is off
# by some 64 of them, and by three times as much at worst.
COSINE_TOLERANCE = {"float32": TOLERANCE["float32"], "float64": (2e-15, 4e-14)}

REDUCTIONS: Options = (
    {}, {"reduction": "sum"}, {"reduction": "none"}, {"weighted": True}, {"weighted": True, "reduction": "none"},
)  # fmt: skip
ELEMENT_BENCH: Bench = (({}, (100,)), ({}, (10_000_000,)))
LOGITS = {"from_logits": True}


def op(
    name,
    kernels,
    source,
    make,
    options,
    spoiled,
    tolerance=TOLERANCE,
    shapes=ELEMENT_SHAPES,
    bench=ELEMENT_BENCH,
    exact=True,
):
    return Op(
        exact=exact,
        name=name,
        family="losses",
        kernels=tuple(KERNELS[kernel] for kernel in kernels.split()),
        source=source,
        options=options,
        shapes=shapes,
        inputs=partial(_inputs, make),
        call=partial(_call, name),
        expect=partial(_expect, name),
        tolerance=tolerance,
        wrong=(*wrong.SHARED, *spoiled),
        traffic=_traffic,
        bench=bench,
    )


REDUCING = "row_means weigh_values weigh_gradient total outside"
