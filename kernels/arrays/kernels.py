"""The kernels for work on many arrays."""

from fastopt.kernels.runtime.kernel import Kernel

KERNELS = {
    kernel.name: kernel
    for kernel in (
        Kernel("scale", "arrays", buffers=("x",), written=("x",), scalars=("factor",)),
        Kernel("axpby", "arrays", buffers=("x", "y"), written=("y",), scalars=("a", "b")),
        Kernel("squares", "arrays", buffers=("x",), written=(), rule=False, sequential="its sums are float64"),
        Kernel("not_finite", "arrays", buffers=("x",), written=(), rule=False),
    )
}
