"""The metrics' kernels: buffers, sizes and scalars. Apart from the table's rows, so that they load on import alone."""

from fastopt.kernels.runtime.kernel import Kernel

INTEGERS = ("y_true", "rows", "label", "labels", "wide", "first")  # buffers of int64, whatever the kernel's type

OTHER = "compares, counts and adds: labels are integers, sums are float64"


def _kernel(name, buffers, written="", dims="", scalars="", unit="element", integers=INTEGERS, sequential=OTHER):
    """A kernel of jit.py."""
    names = tuple(buffers.split())
    return Kernel(
        name,
        "metrics",
        buffers=names,
        written=tuple(written.split()),
        scalars=tuple(scalars.split()),
        dims=tuple(dims.split()),
        unit=unit,
        types={name: "np.int64" for name in names if name in integers},
        rule=False,
        sequential=sequential,
    )


def _rule(name):
    return Kernel(name, "metrics", buffers=("y_true", "y_pred", "value"), written=("value",))


BOTH = (*INTEGERS, "y_pred")  # kernels of labels alone

KERNELS = {
    kernel.name: kernel
    for kernel in (
        _rule("squared_error"),
        _rule("absolute_error"),
        _kernel("binary_log_loss", "y_true y_pred value", "value", scalars="eps one_minus_eps", sequential=""),
        _kernel("log_loss", "y_true y_pred value", "value", "classes", "eps one_minus_eps tolerance", "row"),
        _kernel("same", "y_true y_pred value", "value", "classes", integers=BOTH),
        _kernel("same_rows", "y_true y_pred value", "value", "classes", unit="row", integers=BOTH),
        _kernel("above", "y_pred label", "label", scalars="threshold"),
        _kernel("bin_of", "y_pred thresholds label", "label", "columns", "low high"),
        _kernel("argmax", "y_pred label", "label", "classes", unit="row"),
        _kernel("one_hot", "rows label", "label", "classes", unit="row"),
        _kernel("in_top_k", "y_true y_pred label", "label", "classes top_k", unit="row"),
        _kernel("ones", "value", "value"),
        _kernel("total", "value"),
        _kernel("weighted_total", "value sample_weight"),
        _kernel("column_totals", "value sample_weight", dims="classes", unit="row"),
        _kernel("binary_counts", "y_true y_pred", integers=BOTH),
        _kernel("counts", "y_true y_pred", dims="columns rows", integers=BOTH),
        _kernel("counts_weighted", "y_true y_pred sample_weight", dims="columns rows", integers=BOTH),
        _kernel("label_counts", "y_true y_pred sample_weight", "", "classes", unit="row", integers=BOTH),
        _kernel(
            "row_ratios", "y_true y_pred sample_weight", "", "classes", "of_hit of_predicted of_actual", "row", BOTH
        ),
        _kernel("part", "y_true y_pred scores", "scores", "samples"),
        _kernel("part_weighted", "y_true y_pred sample_weight scores weights", "scores weights", "samples"),
        _kernel("sort_parts", "scores spare first", "scores spare first", "samples positives", unit="part"),
        _kernel(
            "sort_parts_weighted",
            "scores weights spare spare_weights first",
            "scores weights spare spare_weights first",
            "samples positives",
            unit="part",
        ),
        _kernel("rank_sums", "scores", dims="samples positives", unit="set of samples"),
        _kernel("rank_sums_weighted", "scores weights", dims="samples positives", unit="set of samples"),
    )
}
