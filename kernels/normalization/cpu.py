"""Normalization on CPUs: which kernels a call runs, and over what. Every argument has been checked.

by_reference.py has the same functions. `y` and `dx` are written, and may be x and dy. x, dy and results are of one
type, parameters and running statistics of the same, or float32 where that is bfloat16 or float16; statistics are
float64.
"""

from math import prod
from typing import Any

import numpy as np

from fastopt.kernels.normalization import extremes
from fastopt.kernels.normalization.kernels import KERNELS
from fastopt.kernels.normalization.views import GRAIN, Channels, channels_of, parameter_type, rows_of
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.checks import all_fit, all_within, are_packed, move_average, narrow
from fastopt.kernels.runtime.stages import STREAMED_BYTES

LIKE_X = ("x", "y", "dy", "dx", "added", "dadded")  # buffers of the shape of x
SUMMED = ("row_moments", "row_sums")
MAPPED = ("row_normalize", "row_gradient")  # no sums: blocks need not be grains
LARGE = ("y", "dx")  # of groups: what goes around the cache if it is large; kernels of rows do it themselves

Array = np.ndarray
Vector = np.ndarray | None


# ---- batch norm


def batch_statistics(target: str, x: Array, *, axis: int) -> tuple[Array, Array]:
    """Return mean and biased variance of every channel."""
    mean, variance = _moments(target, channels_of(axis, x), x)
    if not all_within(variance, -1.0, np.inf):
        with np.errstate(all="ignore"):
            values = np.moveaxis(x, axis, 0).reshape(len(mean), -1).astype(np.float64)
            _, mean, variance, _ = extremes.standardized(values, 0.0)
    return mean, variance


def batch_normalize(
    target: str,
    x: np.ndarray,
    gamma: Any,
    beta: Any,
    mean: np.ndarray,
    variance: np.ndarray,
    y: np.ndarray,
    *,
    eps: float,
    axis: int,
    activation: str | None,
    residual: Any,
) -> Array:
    """Normalize x by these statistics into y; return 1 / √(variance + eps)."""
    view = channels_of(axis, x, y, residual)
    with np.errstate(invalid="ignore"):  # a negative variance has no root: NaN
        invstd = 1.0 / np.sqrt(variance + eps)
    name = "row_normalize" if view.by_rows else "channel_normalize"
    flags = (activation == "relu", residual is not None)
    _run(target, view, name, (x, *_in_order(gamma, beta, mean, invstd), residual, y), flags)
    return invstd


def batch_forward(
    target: str,
    x: np.ndarray,
    gamma: Any,
    beta: Any,
    y: np.ndarray,
    running_mean: Any,
    running_var: Any,
    *,
    momentum: float,
    eps: float,
    axis: int,
    activation: str | None,
    residual: Any,
    mask: Any = None,
    biased: Any = False,
) -> tuple[Array, Array]:
    """Normalize x by its own statistics into y, update the running ones; return mean and 1 / √(variance + eps).

    The statistics are those of the positions in `mask`, an array like x without its channels, if it isn't None.
    """
    view = channels_of(axis, x, y, residual)
    values = view.values
    gamma, beta = _in_order(gamma, beta)
    flags = (activation == "relu", residual is not None)
    if mask is not None:
        kept = np.moveaxis(x, axis, -1)[mask]
        values = len(kept)
        mean, variance = batch_statistics(target, kept, axis=1)
        options = {"eps": eps, "axis": axis, "activation": activation, "residual": residual}
        invstd = batch_normalize(target, x, gamma, beta, mean, variance, y, **options)
    elif view.by_rows and not view.whole:
        mean, variance = _moments(target, view, x)
        invstd = 1.0 / np.sqrt(variance + eps)
        _run(target, view, "row_normalize", (x, gamma, beta, mean, invstd, residual, y), flags)
    else:
        mean, variance, invstd = np.empty(view.channels), np.empty(view.channels), np.empty(view.channels)
        name = "row_forward" if view.by_rows else "channel_forward"
        _run(target, view, name, (x, gamma, beta, residual, y, mean, variance, invstd), (eps, *flags))
    if not all_within(invstd, 0.0, extremes.highest(x)) and mask is None:
        options = {"eps": eps, "axis": axis, "activation": activation}
        extremes.channels_again(x, gamma, beta, residual, y, mean, variance, invstd, **options)
    if running_mean is not None:
        move_average(running_mean, mean, momentum, 1.0)
    if running_var is not None:
        move_average(running_var, variance, momentum, 1.0 if biased else values / (values - 1))
    return mean, invstd


def batch_gradient_sums(
    target: str,
    dy: np.ndarray,
    x: np.ndarray,
    gamma: Any,
    beta: Any,
    mean: np.ndarray,
    invstd: np.ndarray,
    *,
    axis: int,
    activation: str | None,
    residual: Any,
) -> Array:
    """Return, for every channel, the sum of dy as the activation lets it through, and of dy x̂: an array (2, C)."""
    view = channels_of(axis, x, dy, residual)
    given = (dy, x, *_in_order(gamma, gamma if beta is None else beta, mean, invstd), residual)
    flags = (activation == "relu", residual is not None)
    if view.by_rows:
        return _run(target, view, "row_sums", given, flags).reshape(2, -1)
    sums = np.empty((2, view.channels))
    _run(target, view, "channel_sums", (*given, *sums), flags)
    return sums


def batch_gradient(
    target: str,
    dy: np.ndarray,
    x: np.ndarray,
    gamma: Any,
    beta: Any,
    mean: np.ndarray,
    invstd: np.ndarray,
    sums: np.ndarray,
    count: Any,
    dx: np.ndarray,
    dresidual: Any,
    *,
    training: bool,
    axis: int,
    activation: str | None,
    residual: Any,
) -> None:
    """Write dx from the sums over `count` values a channel, and dresidual, where there is one."""
    view = channels_of(axis, x, dy, residual, dx, dresidual)
    given = (dy, x, *_in_order(gamma, gamma if beta is None else beta, mean, invstd), residual)
    name = "row_gradient" if view.by_rows else "channel_gradient"
    flags = (training, activation == "relu", residual is not None, count)
    _run(target, view, name, (*given, *_in_order(*sums), dx, dresidual), flags)


def batch_backward(
    target: str,
    dy: np.ndarray,
    x: np.ndarray,
    gamma: Any,
    beta: Any,
    mean: np.ndarray,
    invstd: np.ndarray,
    dx: np.ndarray,
    dresidual: Any,
    *,
    training: bool,
    axis: int,
    activation: str | None,
    residual: Any,
    mask: Any = None,
) -> tuple[Array, Array]:
    """Write dx, and dresidual, where there is one; return dgamma and dbeta."""
    if mask is not None:
        return _masked_backward(
            target, dy, x, gamma, beta, mean, invstd, dx, dresidual, axis, activation, residual, mask
        )
    if not all_within(_in_order(invstd)[0], extremes.LOWEST[4], np.inf) and extremes.too_small(invstd, x):
        options = {"training": training, "axis": axis, "activation": activation, "residual": residual}
        return extremes.batch_backward(dy, x, gamma, beta, mean, invstd, dx, dresidual, **options)
    view = channels_of(axis, x, dy, residual, dx, dresidual)
    given = (dy, x, *_in_order(gamma, gamma if beta is None else beta, mean, invstd), residual)
    flags = (training, activation == "relu", residual is not None)
    if view.by_rows and not view.whole:
        sums = _run(target, view, "row_sums", given, flags[1:]).reshape(2, -1)
        _run(target, view, "row_gradient", (*given, *sums, dx, dresidual), (*flags, view.values))
    else:
        sums = np.empty((2, view.channels))
        name = "row_backward" if view.by_rows else "channel_backward"
        _run(target, view, name, (*given, dx, dresidual, *sums), flags)
    dbeta, dgamma = narrow(sums, gamma.dtype, gamma.shape)
    return dgamma, dbeta


def _masked_backward(target, dy, x, gamma, beta, mean, invstd, dx, dresidual, axis, activation, residual, mask):
    """Positions out of the mask don't move the statistics: they are done again, as with constant ones."""
    options = {"axis": axis, "activation": activation, "residual": residual}
    sums = batch_gradient_sums(target, dy, x, gamma, beta, mean, invstd, **options)
    dropped: list[Any] = [None if a is None else np.moveaxis(a, axis, -1)[~mask] for a in (dy, x, residual)]
    count = int(np.count_nonzero(mask))
    batch_gradient(target, dy, x, gamma, beta, mean, invstd, sums, count, dx, dresidual, training=True, **options)
    if count < mask.size:
        slope, values, added = dropped
        options = {"axis": 1, "activation": activation, "residual": added}
        result, passed = np.empty_like(values), None if dresidual is None else np.empty_like(values)
        batch_gradient(
            target, slope, values, gamma, beta, mean, invstd, sums, 1, result, passed, training=False, **options
        )
        np.moveaxis(dx, axis, -1)[~mask] = result
    dbeta, dgamma = narrow(sums, gamma.dtype, gamma.shape)
    return dgamma, dbeta


def _moments(target: str, view: Channels, x: Array) -> tuple[Array, Array]:
    """Return mean and biased variance, over grains of rows that are merged, or channel by channel."""
    mean, variance = np.empty((2, view.channels))
    if not view.by_rows:
        _run(target, view, "channel_moments", (x, mean, variance))
        return mean, variance
    parts = _run(target, view, "row_moments", (x,), per_grain=True)
    pipeline.run_kernel(
        KERNELS["merge_moments"],
        (parts.reshape(-1), mean, variance),
        view.channels,
        "float64",
        target,
        grain=max(8, GRAIN // len(parts)),
        dims=(view.channels, view.grain, view.values),
    )
    return mean, variance


def _run(
    target: str,
    view: Channels,
    name: str,
    arrays: tuple[Vector, ...],
    scalars: tuple[Any, ...] = (),
    per_grain: bool = False,
) -> Array:
    """Run a kernel over its buffers; those in LIKE_X have the shape of x, all others an entry for each channel.

    Blocks are whole grains, so that strided arrays are summed as packed ones are, but where rows are merely normalized.
    """
    kernel = KERNELS[name]
    if view.order is not None:
        named = zip(kernel.buffers, arrays)
        arrays = tuple([a.transpose(view.order) if key in LIKE_X and a is not None else a for key, a in named])
    dims = (*view.dims, view.large and are_packed(arrays, 0)) if name in MAPPED else view.dims
    return pipeline.run_kernel(
        kernel,
        arrays,
        view.values if view.by_rows else view.channels,
        "float64" if arrays[0].itemsize == 8 else "float32",  # type: ignore[union-attr]
        target,
        grain=view.grain,
        block=0 if name in MAPPED else view.grain,
        dims=dims,
        scalars=scalars,
        partials=2 * view.channels if name in SUMMED else 0,
        per_grain=per_grain,
    )


def _in_order(*arrays: Array) -> tuple[Array, ...]:
    """Return arrays with an entry for each channel in C order: kernels index them by channel, not by unit."""
    return arrays if are_packed(arrays, 0) else tuple([np.ascontiguousarray(array) for array in arrays])


# ---- layer, RMS and group norm: `norm` is "layer", "rms" or "group"; a row is what is normalized by itself


def sample_forward(
    target: str, norm: str, x: Array, gamma: Vector, beta: Vector, y: Array, outer: tuple[int, ...],
    shape: tuple[int, ...], groups: int, eps: float,
) -> tuple[Array, ...]:  # fmt: skip
    """Normalize x into y; return the statistics, of shape `outer`: mean and 1 / √(variance + eps), or invrms.

    `shape` is that of a parameter, `groups` the number of a sample's groups of channels, or 0.
    """
    statistics = (np.empty(outer),) if norm == "rms" else (np.empty(outer), np.empty(outer))
    parameters = (gamma,) if norm == "rms" else (gamma, beta)
    given = (x, *_filled(x, shape, parameters), y, *statistics)
    limit = extremes.highest(x)
    _run_rows(target, f"{norm}_forward", given, y, outer, groups, (eps, limit))
    if not all_within(statistics[-1], 0.0, limit):
        extremes.rows_again(norm, y, gamma, beta, statistics, groups, eps)
    return statistics


def sample_backward(
    target: str, norm: str, dy: Array, x: Array, gamma: Vector, statistics: tuple[Array, ...], dx: Array,
    shape: tuple[int, ...], groups: int,
) -> tuple[Array, ...]:  # fmt: skip
    """Write dx; return gradients of parameters, of this shape: dgamma, and dbeta but for RMS."""
    count = 1 if norm == "rms" else 2  # gradients
    statistics = _in_order(*statistics)
    if not all_within(statistics[-1], extremes.LOWEST[4], np.inf) and extremes.too_small(statistics[-1], x):
        return extremes.sample_backward(norm, dy, x, gamma, statistics, dx, shape, groups, parameter_type(x))
    given = (dy, x, *_filled(x, shape, (gamma,)), *statistics, dx)
    sums = _run_rows(target, f"{norm}_backward", given, dx, statistics[0].shape, groups, (), count * prod(shape))
    return tuple(narrow(sums, parameter_type(x), shape)[::-1])


def _run_rows(
    target: str,
    name: str,
    arrays: tuple[Any, ...],
    result: Array,
    outer: tuple[int, ...],
    groups: int,
    scalars: tuple[Any, ...],
    partials: int = 0,
) -> Array:
    x = arrays[0]
    large = x.nbytes >= STREAMED_BYTES and are_packed((result,), 0)
    rows, grain, block, dims, scratch = rows_of(name, x.shape, x.itemsize, outer, groups, large)
    return pipeline.run_kernel(
        KERNELS[name],
        (*arrays, None) if scratch else arrays,
        rows,
        "float64" if x.itemsize == 8 else "float32",
        target,
        grain=grain,
        block=block,
        dims=dims,
        scalars=scalars,
        partials=partials,
        streamed=LARGE if groups else (),
        scratch=scratch,
    )


def _filled(x: Array, shape: tuple[int, ...], parameters: tuple[Vector, ...]) -> tuple[Array, ...]:
    """Return gamma, and beta, in C order, which kernels index by column: ones and zeros where there are none."""
    dtype = parameter_type(x)
    if all_fit(parameters, dtype, None) and are_packed(parameters, 0):
        return parameters  # type: ignore[return-value]
    filled = [np.full(shape, 1 - k, dtype) if array is None else array for k, array in enumerate(parameters)]
    return tuple(map(np.ascontiguousarray, filled))
