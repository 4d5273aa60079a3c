"""The kernels of initializers."""

from fastopt.kernels.runtime.kernel import Kernel


def _kernel(name: str, scalars: str) -> Kernel:
    return Kernel(
        name,
        "initializers",
        buffers=("weights",),
        written=("weights",),
        filled=("weights",),
        scalars=tuple(scalars.split()),
        dims=("seed_low", "seed_high"),
        rule=False,
    )


# unit "element"; a kernel starts at a multiple of 64, as every grain and block does
KERNELS = {
    kernel.name: kernel
    for kernel in (_kernel("uniform", "low span limit"), _kernel("normal", "mean std tail scale bound"))
}  # fmt: skip
