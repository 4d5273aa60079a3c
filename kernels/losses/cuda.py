"""Losses of elements on a GPU: value and gradient in one pass over the arrays where they lie."""

import inspect
from functools import cache
from threading import local

import numpy as np

from fastopt.kernels.losses import rules
from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.kernels.runtime.cuda import DeviceJobs
from fastopt.kernels.runtime.cuda_arrays import DeviceArray
from fastopt.kernels.runtime.cuda_elements import Elements
from fastopt.kernels.runtime.driver import driver
from fastopt.kernels.runtime.kernel import Kernel

SOURCES = ("losses/rules.py", "losses/cuda_rules.py")
COMMON = (
    "mean_squared_error", "mean_absolute_error", "huber", "binary_crossentropy_logits", "hinge",
    "mean_absolute_percentage_error", "smooth_l1", "quantile", "squared_hinge",
)  # fmt: skip
KEPT = 64  # tables on the device of a thread's last calls
_calls = local()


# ---- the door: what kernels/losses/cpu.py has, for losses of elements


def evaluate(
    formula: Formula, y_true: DeviceArray, y_pred: DeviceArray, out: DeviceArray | None = None, *, columns: int,
    factor: float = 1.0, stream: int = 0,
) -> float:  # fmt: skip
    """Return a loss's value and write its gradient to `out`, in one pass; waits for the device. Nothing is checked.

    Parameters
    ----------
    formula : Formula
        Of elements.
    y_true, y_pred : DeviceArray
        Packed, of one shape and dtype.
    out : DeviceArray like y_pred, or None
        May be `y_pred` itself.
    columns : int
        Elements of a sample.
    factor : float
        Multiplies the sum of the samples' values, and every gradient.
    stream : int
    """
    scale = factor / (columns if formula.mean else 1)
    kernel = elements(KERNELS[formula.kernel], y_pred.dtype, out is not None)
    return scale * float(_sums(kernel, (y_true, y_pred, out), (scale, *formula.scalars), stream)[0])


def outside(array: DeviceArray, low: float, high: float, stream: int = 0) -> tuple[int, ...]:
    """Return how many elements are outside [low, high], and how many are NaN."""
    if not isinstance(array, DeviceArray):
        raise NotImplementedError("target 'cuda' has no kernel for this loss yet; use target 'cython'")
    kernel = _counts("outside", array.dtype, ("low", "high"), ("outside_of(x, low, high)", "is_nan(x)"))
    return tuple(map(int, _sums(kernel, (array,), (low, high), stream)))


def signs(y_true: DeviceArray, stream: int = 0) -> tuple[int, ...]:
    """Return how many elements are 1, 0 and −1."""
    wanted = ("is_equal(x, 1.0)", "is_equal(x, 0.0)", "is_equal(x, -1.0)")
    return tuple(map(int, _sums(_counts("signs", y_true.dtype, (), wanted), (y_true,), (), stream)))


def _sums(
    kernel: Elements, arrays: tuple[DeviceArray | None, ...], scalars: tuple[float, ...], stream: int
) -> np.ndarray:
    """Run a kernel over one set of arrays, and return its sums over all elements."""
    given = [array for array in arrays if array is not None]
    device, size = driver().device(given[0].ordinal), given[0].size
    kept = _calls.__dict__.setdefault("jobs", {})
    key = kernel, device, size
    jobs = kept.pop(key, None)
    if jobs is None:
        table = (1, len(kernel.scalars))
        jobs = DeviceJobs(device, [size], [0], [0], len(kernel.table), table, kernel.real, len(kernel.sums))
        while len(kept) >= KEPT:
            del kept[next(iter(kept))]
    kept[key] = jobs
    jobs.pointers[0] = [array.address for array in given]
    jobs.scalars[0] = scalars
    jobs.run((kernel,), stream)
    return jobs.sums(len(kernel.sums), stream).sum(axis=0)


# ---- kernels


@cache
def elements(kernel: Kernel, real: str, wanted: bool) -> Elements:
    """Return the kernel of a loss of elements: the gradient is stored if `wanted`, the values are summed up."""
    takes = inspect.signature(getattr(rules, kernel.name)).parameters
    line = f"gradient, value = {kernel.name}({', '.join(takes)})"
    inputs = {name: real for name in takes if name in kernel.buffers}
    outputs = {"gradient": real} if wanted else {}
    name = f"{kernel.name}_{real}" + ("_gradient" if wanted else "")
    return Elements(name, inputs, outputs, kernel.scalars, (line,), SOURCES, real, ("np.float64(value)",))


@cache
def _counts(name: str, real: str, scalars: tuple[str, ...], sums: tuple[str, ...]) -> Elements:
    return Elements(f"{name}_{real}", {"x": real}, {}, scalars, (), SOURCES, real, sums)


def common() -> list[Elements]:
    """Return the kernels whose PTX comes with the package: losses of elements in float32, with their gradients.

    Most that take exp or log are left to the compiler: they are ten times as long.
    """
    return [elements(KERNELS[name], "float32", True) for name in COMMON]


def is_of_elements(kernel: Kernel) -> bool:
    """Whether a kernel is a loss of elements."""
    return kernel.rule and kernel.buffers == ("y_true", "y_pred", "gradient", "value")
