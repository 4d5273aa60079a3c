"""The rows of normalization's kernels: their buffers, sizes and scalars, in the order of compiled.pyx."""

from fastopt.kernels.runtime.kernel import Kernel

STATISTICS = {
    name: "np.float64" for name in ("mean", "variance", "invstd", "invrms", "sums")
}  # of C numbers, whatever x is


PLANES = "batch inner batch_stride channel_stride"


def _kernel(name: str, buffers: str, written: str, dims: str, scalars: str = "") -> Kernel:
    names = tuple(buffers.split())
    return Kernel(
        name,
        "normalization",
        buffers=names,
        written=tuple(written.split()),
        scalars=tuple(scalars.split()),
        dims=tuple(dims.split()),
        unit="channel" if name.startswith("channel") else "row",
        types={name: STATISTICS[name] for name in names if name in STATISTICS},
        rule=False,
    )


KERNELS = {
    kernel.name: kernel
    for kernel in (
        _kernel("channel_forward", "x gamma beta y mean variance invstd", "y mean variance invstd", PLANES, "eps relu"),
        _kernel("channel_normalize", "x gamma beta mean invstd y", "y", PLANES, "relu"),
        _kernel(
            "channel_backward", "dy x gamma beta mean invstd dx dgamma dbeta", "dx dgamma dbeta", PLANES,
            "training relu",
        ),
        _kernel("row_forward", "x gamma beta y mean variance invstd", "y mean variance invstd", "columns", "eps relu"),
        _kernel("row_moments", "x", "", "columns"),
        _kernel("row_normalize", "x gamma beta mean invstd y", "y", "columns", "relu"),
        _kernel(
            "row_backward", "dy x gamma beta mean invstd dx dgamma dbeta", "dx dgamma dbeta", "columns",
            "training relu",
        ),
        _kernel("row_sums", "dy x gamma beta mean invstd", "", "columns", "relu"),
        _kernel("row_gradient", "dy x gamma beta mean invstd sums dx", "dx", "columns rows", "training relu"),
        _kernel("layer_forward", "x gamma beta y mean invstd", "y mean invstd", "columns", "eps"),
        _kernel("layer_backward", "dy x gamma mean invstd dx", "dx", "columns"),
        _kernel("rms_forward", "x gamma y invrms", "y invrms", "columns", "eps"),
        _kernel("rms_backward", "dy x gamma invrms dx", "dx", "columns"),
        _kernel("group_forward", "x gamma beta y mean invstd", "y mean invstd", "groups width inner", "eps"),
        _kernel("group_backward", "dy x gamma mean invstd dx", "dx", "groups width inner"),
    )
}  # fmt: skip
