"""The losses' rows of the table."""

from functools import partial

import numpy as np

from fastopt.kernels.losses import bad, reference, table_linear
from fastopt.kernels.op import Op
from fastopt.kernels.runtime.kernel import Kernel

COUNTS = "it compares and counts: no arithmetic of its own type"
VALUE_AND_GRADIENT = ("gradient", "value")


def _elementwise(name: str, scalars: str = "") -> Kernel:
    return Kernel(
        name,
        "losses",
        buffers=("y_true", "y_pred", "gradient", "value"),
        written=("gradient", "value"),
        scalars=("scale", *scalars.split()),
    )


def _rows(name: str, scalars: str = "") -> Kernel:
    return Kernel(
        name,
        "losses",
        buffers=("y_true", "y_pred", "gradient", "values"),
        written=("gradient", "values"),
        scalars=("scale", *scalars.split()),
        dims=("columns", "gradient_wanted"),
        unit="row",
        rule=False,
    )


def _sparse(name: str) -> Kernel:
    return Kernel(
        name,
        "losses",
        buffers=("labels", "y_pred", "gradient", "values"),
        written=("gradient", "values"),
        scalars=("scale",),
        dims=("columns", "gradient_wanted", "ignore_class"),
        unit="row",
        types={"labels": "np.int64"},
        rule=False,
    )


def _loop(name: str, buffers: str, written: str = "", unit: str = "row", **options) -> Kernel:
    return Kernel(
        name, "losses", tuple(buffers.split()), tuple(written.split()), unit=unit, **{"rule": False, **options}
    )


KERNELS = {
    kernel.name: kernel
    for kernel in (
        _elementwise("mean_squared_error"),
        _elementwise("mean_absolute_error"),
        _elementwise("huber", "delta"),
        _elementwise("binary_crossentropy", "keep shift"),
        _elementwise("binary_crossentropy_logits", "keep shift"),
        _elementwise("hinge", "slope offset"),
        _elementwise("kullback_leibler_divergence"),
        _loop("row_means", "value values", "values", dims=("columns", "divisor")),
        _loop("weigh_values", "weight values", "values", unit="element", rule=True),
        _loop("weigh_gradient", "weight gradient", "gradient", dims=("columns",)),
        _loop("total", "value", unit="element"),
        _rows("softmax", "keep shift"),
        _rows("probabilities", "keep shift"),
        _sparse("softmax_sparse"),
        _sparse("probabilities_sparse"),
        _rows("cosine_proximity"),
        _loop("outside", "value", unit="element", scalars=("low", "high"), sequential=COUNTS),
        _loop("signs", "y_true", unit="element", sequential=COUNTS),
        _loop("not_distributions", "y_true", dims=("columns",)),
        _loop(
            "labels_outside",
            "labels",
            unit="element",
            dims=("columns", "ignore_class"),
            types={"labels": "np.int64"},
            sequential=COUNTS,
        ),
    )
}


# ---- rows

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
}


def _loss(name, options):
    import fastopt

    return getattr(fastopt.losses, CLASSES[name])(**{k: v for k, v in options.items() if k != "weighted"})


def _real(rng, shape, dtype, options):
    return {"y_true": _normal(rng, shape, dtype), "y_pred": _normal(rng, shape, dtype)}


def _vectors(rng, shape, dtype, options):
    """Rows that are not short: a gradient is as long as its row is short."""
    arrays = _real(rng, shape, dtype, options)
    return {name: array + np.copysign(array.dtype.type(0.5), array) for name, array in arrays.items()}


def _normal(rng, shape, dtype):
    return np.asarray(rng.standard_normal(shape, dtype=dtype))


def _predictions(rng, shape, dtype, options):
    """Logits, or probabilities away from the clip's edges."""
    if options.get("from_logits"):
        return 3 * _normal(rng, shape, dtype)
    return np.asarray(0.02 + 0.96 * rng.random(shape)).astype(dtype)


def _binary(rng, shape, dtype, options):
    hard = rng.integers(0, 2, shape)
    y_true = np.asarray(np.where(rng.random(shape) < 0.7, hard, rng.random(shape))).astype(dtype)
    return {"y_true": y_true, "y_pred": _predictions(rng, shape, dtype, options)}


def _signs(rng, shape, dtype, options):
    return {"y_true": np.asarray(2 * rng.integers(0, 2, shape) - 1).astype(dtype), "y_pred": _normal(rng, shape, dtype)}


def _distributions(rng, shape, dtype, options):
    """One-hot rows, and every other one soft."""
    columns = shape[-1]
    rows = np.eye(1, columns) + np.zeros((int(np.prod(shape)) // columns, columns))
    rows = rng.permuted(rows, axis=1)
    soft = 0.1 + rng.random(rows[1::2].shape)
    rows[1::2] = soft / soft.sum(axis=1, keepdims=True)
    return {"y_true": rows.reshape(shape).astype(dtype), "y_pred": _predictions(rng, shape, dtype, options)}


def _labels(rng, shape, dtype, options):
    return {"y_true": rng.integers(0, shape[-1], shape[:-1]), "y_pred": _predictions(rng, shape, dtype, options)}


def _inputs(make, rng, shape, dtype, options):
    arrays = make(rng, shape, dtype, options)
    if options.get("weighted"):
        leading = shape[:-1] if len(shape) > 1 else shape
        arrays["sample_weight"] = np.asarray(rng.integers(0, 5, leading) * 0.3).astype(dtype)
    return arrays


def _call(name, options, arrays):
    loss = _loss(name, options)
    value, gradient = loss.value_and_grad(
        arrays["y_true"], arrays["y_pred"], arrays.get("sample_weight"), arrays.get("out")
    )
    return {"value": value, "gradient": gradient}


def _expect(name, options, arrays):
    loss, y_true, y_pred = _loss(name, options), arrays["y_true"], arrays["y_pred"]
    leading = y_pred.shape[:-1] if y_pred.ndim > 1 else y_pred.shape
    rows = y_pred.astype(np.float64).reshape(int(np.prod(leading)), -1)
    labels = y_true.reshape(-1) if y_true.dtype.kind == "i" else y_true.astype(np.float64).reshape(rows.shape)
    value, gradient = reference.__dict__[name](labels, rows, **loss._options())
    weight = arrays["sample_weight"].astype(np.float64).reshape(-1) if "sample_weight" in arrays else None
    counted = len(rows) - np.count_nonzero(labels == options.get("ignore_class", np.nan))
    value, gradient = reference.weighted_and_reduced(value, gradient, weight, loss.reduction, counted)
    return {
        "value": value.reshape(leading) if loss.reduction == "none" else value,
        "gradient": gradient.reshape(y_pred.shape),
    }


def _traffic(options, arrays):
    """Labels, predictions and weights read, the gradient written."""
    return sum(array.nbytes for array in arrays.values()) + arrays["y_pred"].nbytes


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

REDUCTIONS = (
    {}, {"reduction": "sum"}, {"reduction": "none"}, {"weighted": True}, {"weighted": True, "reduction": "none"},
)  # fmt: skip
ELEMENT_BENCH = (({}, (100,)), ({}, (10_000_000,)))
LOGITS = {"from_logits": True}


def _op(
    name,
    kernels,
    source,
    make,
    options,
    wrong,
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
        bad=(*bad.SHARED, *wrong),
        traffic=_traffic,
        bench=bench,
    )


REDUCING = "row_means weigh_values weigh_gradient total outside"
OPS = (
    _op(
        "mean_squared_error", f"mean_squared_error {REDUCING}", "Gauss 1823", _real, REDUCTIONS, bad.DENSE,
    ),
    _op(
        "mean_absolute_error", f"mean_absolute_error {REDUCING}", "Laplace 1793", _real, REDUCTIONS[1:4], bad.DENSE,
    ),
    _op(
        "huber", f"huber {REDUCING}", "Huber 1964", _real,
        ({}, {"delta": 0.3, "reduction": "sum"}, {"delta": 2.0, "weighted": True}),
        (*bad.DENSE, *bad.HUBER),
    ),
    _op(
        "binary_crossentropy", f"binary_crossentropy binary_crossentropy_logits {REDUCING}",
        "Good 1952; Szegedy et al. 2016, section 7", _binary,
        (
            {}, LOGITS, {**LOGITS, "label_smoothing": 0.1, "reduction": "sum"},
            {"label_smoothing": 0.2, "weighted": True, "reduction": "none"},
        ),
        (
            *bad.DENSE, *bad.BINARY, *bad.PROBABILITY, *bad.SMOOTHING, *bad.LOGITS,
        ),
        LOG_TOLERANCE, bench=((LOGITS, (100,)), (LOGITS, (10_000_000,)), ({}, (10_000_000,))),
    ),
    _op(
        "hinge", f"hinge signs {REDUCING}", "Cortes and Vapnik 1995", _signs, REDUCTIONS[1:4],
        (*bad.DENSE, *bad.SIGN),
    ),
    _op(
        "categorical_crossentropy", f"softmax probabilities not_distributions {REDUCING}",
        "Bridle 1990; Szegedy et al. 2016, section 7", _distributions,
        (
            LOGITS, {}, {**LOGITS, "label_smoothing": 0.1, "reduction": "sum"},
            {"label_smoothing": 0.2, "weighted": True, "reduction": "none"},
            {**LOGITS, "weighted": True, "reduction": "none"},
        ),
        (
            *bad.DENSE, *bad.SMOOTHING, *bad.LOGITS, *bad.DISTRIBUTION, *bad.FLAT,
            *bad.PROBABILITY_NOT_LOGITS,
        ),
        LOG_TOLERANCE, ROW_SHAPES,
        ((LOGITS, (128, 10)), (LOGITS, (65_536, 10)), (LOGITS, (4096, 1000)), ({}, (4096, 1000))),
    ),
    _op(
        "sparse_categorical_crossentropy", f"softmax_sparse probabilities_sparse labels_outside {REDUCING}",
        "Bridle 1990", _labels,
        (
            LOGITS, {}, {**LOGITS, "ignore_class": 0}, {"ignore_class": 1, "weighted": True, "reduction": "none"},
            {**LOGITS, "weighted": True, "reduction": "sum"},
        ),
        (
            *bad.LOGITS, *bad.FLAT, *bad.LABEL, *bad.PROBABILITY_NOT_LOGITS,
        ),
        LOG_TOLERANCE, ROW_SHAPES,
        tuple((LOGITS, shape) for shape in ((128, 10), (65_536, 10), (4096, 1000), (2048, 32_000))),
    ),
    _op(
        "kullback_leibler_divergence", f"kullback_leibler_divergence not_distributions {REDUCING}",
        "Kullback and Leibler 1951", _distributions, (*REDUCTIONS[:2], REDUCTIONS[4]),
        (*bad.DENSE, *bad.PROBABILITY, *bad.DISTRIBUTION, *bad.FLAT),
        LOG_TOLERANCE, ROW_SHAPES, (({}, (128, 10)), ({}, (4096, 1000))),
    ),
    _op(
        "cosine_proximity", f"cosine_proximity {REDUCING}", "Salton et al. 1975", _vectors,
        (*REDUCTIONS[:2], REDUCTIONS[4]), (*bad.DENSE, *bad.FLAT),
        shapes=ROW_SHAPES, bench=(({}, (128, 10)), ({}, (4096, 1000))),
    ),
    table_linear.op(tuple(KERNELS[name] for name in ("softmax_sparse", "weigh_values", "weigh_gradient"))),
)  # fmt: skip
