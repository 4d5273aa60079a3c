"""The losses' kernels: buffers, what they write, scalars and dims, as every target has them."""

from typing import Any

from fastopt.kernels.runtime.kernel import Kernel

ONE = "one number a row is not 0"
COUNTS = "it compares and counts: no arithmetic of its own type"


def _elementwise(name: str, scalars: str = "") -> Kernel:
    return Kernel(
        name,
        "losses",
        buffers=("y_true", "y_pred", "gradient", "value"),
        written=("gradient", "value"),
        filled=("gradient", "value"),
        scalars=("scale", *scalars.split()),
    )


def _rows(name: str, scalars: str = "") -> Kernel:
    return Kernel(
        name,
        "losses",
        buffers=("y_true", "y_pred", "gradient", "values"),
        written=("gradient", "values"),
        filled=("gradient", "values"),
        scalars=("scale", *scalars.split()),
        dims=("columns", "gradient_wanted"),
        unit="row",
        rule=False,
    )


def _sparse(name: str, scalars: str = "", dims: str = "", sequential: str = "") -> Kernel:
    return Kernel(
        name,
        "losses",
        buffers=("labels", "y_pred", "gradient", "values"),
        written=("gradient", "values"),
        filled=("gradient", "values"),
        scalars=("scale", *scalars.split()),
        dims=("columns", "gradient_wanted", *dims.split()),
        sequential=sequential,
        unit="row",
        types={"labels": "np.int64"},
        rule=False,
    )


def _loop(name: str, buffers: str, written: str = "", unit: str = "row", **options: Any) -> Kernel:
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
        _rows("softmax", "keep shift z_loss"),
        _rows("probabilities", "keep shift"),
        _sparse("softmax_sparse", "z_loss keep shift", dims="ignore_class"),
        _sparse("probabilities_sparse", dims="ignore_class"),
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
        _elementwise("mean_squared_logarithmic_error"),
        _elementwise("mean_absolute_percentage_error"),
        _elementwise("log_cosh"),
        _elementwise("smooth_l1", "beta"),
        _elementwise("quantile", "below above"),
        _elementwise("poisson"),
        _elementwise("squared_hinge", "slope offset"),
        _elementwise("binary_focal_crossentropy", "keep shift gamma of_zero tilt"),
        _elementwise("binary_focal_crossentropy_logits", "keep shift gamma of_zero tilt"),
        _elementwise("poisson_log_rates"),
        _elementwise("kullback_leibler_logarithms"),
        _elementwise("gamma_log_means"),
        _elementwise("tweedie_log_means", "low high"),
        _elementwise("exponential"),
        _elementwise("binary_crossentropy_logarithms", "keep shift"),
        _elementwise("hinge_embedding", "slope offset margin"),
        _rows("categorical_hinge"),
        _rows("overlap", "missed added epsilon"),
        _sparse("multi_margin", "margin squared"),
        _sparse("generalized_crossentropy", "q", sequential=ONE),
        _rows("focal_probabilities", "keep shift alpha gamma"),
        _rows("focal_softmax", "keep shift alpha gamma"),
        _loop(
            "gaussian_likelihood",
            "y_true y_pred var gradient gradient_var value",
            "gradient gradient_var value",
            filled=("gradient", "gradient_var", "value"),
            unit="element",
            scalars=("scale", "eps", "constant"),
            rule=True,
        ),
        _loop("soft_cap", "y_pred capped", "capped", unit="element", scalars=("cap",), rule=True),
        _loop("uncap", "capped gradient", "gradient", unit="element", scalars=("cap",), rule=True),
        _loop(
            "weigh_classes",
            "y_true class_weight weighed",
            "weighed",
            scalars=("keep", "shift"),
            dims=("columns",),
        ),
        _loop(
            "drop_rows",
            "mask values gradient",
            "values gradient",
            dims=("columns",),
            types={"mask": "np.uint8"},
            sequential="it writes zeros",
        ),
        _loop(
            "drop_ignored",
            "labels values gradient",
            "values gradient",
            dims=("columns", "gradient_wanted", "ignore_class"),
            types={"labels": "np.int64"},
            sequential="it writes zeros",
        ),
        _loop(
            "spread_labels",
            "labels class_weight weighed",
            "weighed",
            scalars=("keep", "shift"),
            dims=("columns", "gradient_wanted", "ignore_class"),
            types={"labels": "np.int64"},
        ),
        _loop(
            "softmax_sparse_planes",
            "labels y_pred weight gradient values",
            "gradient values",
            filled=("gradient", "values"),
            scalars=("scale", "z_loss", "keep", "shift"),
            dims=("columns", "gradient_wanted", "ignore_class", "plane", "weighted"),
            types={"labels": "np.int64"},
        ),
    )
}
