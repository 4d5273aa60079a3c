"""The rows of normalization's kernels: their buffers, sizes and scalars, in the order of compiled_*.pyx."""

from fastopt.kernels.runtime.kernel import Kernel

STATISTICS = {
    name: "np.float64" for name in ("mean", "variance", "invstd", "invrms", "sums", "products", "parts")
}  # of C numbers, whatever x is


PLANES = "batch inner batch_stride channel_stride"
FORWARD = "x gamma beta added y mean variance invstd"
SLOPES = "dy x gamma beta mean invstd added"
GRADIENTS = "dx dadded sums products"
DOUBLES = "all its numbers are float64, whatever x is"
ROWS = "columns fetches streams"
FLAGS = "training relu adds count"


def _kernel(name: str, buffers: str, written: str, dims: str, scalars: str = "", sequential: str = "") -> Kernel:
    names = tuple(buffers.split())
    return Kernel(
        name,
        "normalization",
        buffers=names,
        written=tuple(written.split()),
        scalars=tuple(scalars.split()),
        dims=tuple(dims.split()),
        unit="channel" if name.startswith(("channel", "merge")) else "row",
        types={name: STATISTICS[name] for name in names if name in STATISTICS},
        rule=False,
        filled=tuple(name for name in written.split() if name in ("y", "dx", "dadded")),
        sequential=sequential,
    )


KERNELS = {
    kernel.name: kernel
    for kernel in (
        _kernel("channel_forward", FORWARD, "y mean variance invstd", PLANES, "eps relu adds"),
        _kernel("channel_moments", "x mean variance", "mean variance", PLANES),
        _kernel("channel_normalize", "x gamma beta mean invstd added y", "y", PLANES, "relu adds"),
        _kernel("channel_backward", f"{SLOPES} dx dadded sums products", GRADIENTS, PLANES, "training relu adds"),
        _kernel("channel_sums", f"{SLOPES} sums products", "sums products", PLANES, "relu adds"),
        _kernel("channel_gradient", f"{SLOPES} sums products dx dadded", "dx dadded", PLANES, FLAGS),
        _kernel("row_forward", FORWARD, "y mean variance invstd", "columns", "eps relu adds"),
        _kernel("row_moments", "x", "", "columns"),
        _kernel("merge_moments", "parts mean variance", "mean variance", "columns part rows", sequential=DOUBLES),
        _kernel("row_normalize", "x gamma beta mean invstd added y", "y", "columns streams", "relu adds"),
        _kernel("row_backward", f"{SLOPES} dx dadded sums products", GRADIENTS, "columns", "training relu adds"),
        _kernel("row_sums", SLOPES, "", "columns", "relu adds"),
        _kernel("row_gradient", f"{SLOPES} sums products dx dadded", "dx dadded", "columns streams", FLAGS),
        _kernel("layer_forward", "x gamma beta y mean invstd", "y mean invstd", ROWS, "eps highest"),
        _kernel("layer_backward", "dy x gamma mean invstd dx lanes", "dx lanes", f"{ROWS} lanes_per_row"),
        _kernel("rms_forward", "x gamma y invrms", "y invrms", ROWS, "eps highest"),
        _kernel("rms_backward", "dy x gamma invrms dx lanes", "dx lanes", f"{ROWS} lanes_per_row"),
        _kernel("group_forward", "x gamma beta y mean invstd", "y mean invstd", "groups width inner", "eps highest"),
        _kernel("group_backward", "dy x gamma mean invstd dx", "dx", "groups width inner"),
    )
}  # fmt: skip
