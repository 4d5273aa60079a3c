"""Group norm on a GPU: the sums of each channel of each sample, then of groups, then gradients; in the CPU's order."""

from functools import cache
from math import prod

import numpy as np

from fastopt.kernels.normalization import extremes
from fastopt.kernels.normalization.cuda import CHANNEL, SOURCES, WEIGHT, added, forward, real_of
from fastopt.kernels.normalization.views import GRAIN, PARTS, ROWS
from fastopt.kernels.runtime.cuda import Scratch, run_rows
from fastopt.kernels.runtime.cuda_arrays import BYTES, DeviceArray, OwnArray
from fastopt.kernels.runtime.cuda_rows import Once, Pass, Rows
from fastopt.kernels.runtime.driver import driver

STATISTICS = (
    "inverse = load_inverse(p_inverse, group)", "power = power_of(inverse, s_lowest)",
    "mean = load_mean(p_mean, group) * power", "scale = real(power)", "inverse = inverse / power",
    "center = real(mean)", "rest = real(residual(mean, center))", "inv = real(inverse)",
)  # fmt: skip
_scratch = Scratch()


# ---- the door; a row is a group of channels of a sample


def group_forward(
    x: DeviceArray, gamma: DeviceArray | None, beta: DeviceArray | None, y: DeviceArray, groups: int, eps: float,
    stream: int,
) -> tuple[OwnArray, ...]:  # fmt: skip
    """Normalize x into y, which may be x; return mean and 1 / √(variance + eps) of every group of every sample."""
    device, rows, width, inner = driver().device(x.ordinal), x.shape[0] * groups, *_extent(x, groups)
    statistics = [OwnArray(device, (x.shape[0], groups), np.dtype(np.float64)) for _ in range(2)]
    pointers = [x.address, _at(gamma), _at(beta), y.address, *(made.memory.address for made in statistics)]
    dims = [width * inner, int(gamma is not None), int(beta is not None), groups, width, inner]
    limits = [eps, extremes.HIGHEST[max(4, BYTES[x.dtype])]]
    run_rows(device, forward("group", x.dtype, real_of(x)), rows, width * inner, pointers, dims, limits, stream)
    return tuple(statistics)


def group_backward(
    dy: DeviceArray, x: DeviceArray, gamma: DeviceArray | None, mean: DeviceArray, inverse: DeviceArray,
    dx: DeviceArray, groups: int, stream: int,
) -> tuple[OwnArray, ...]:  # fmt: skip
    """Write dx, which may be dy; return dgamma and dbeta."""
    device, samples, channels, real = driver().device(x.ordinal), x.shape[0], x.shape[1], real_of(x)
    (width, inner), rows = _extent(x, groups), samples * groups
    size, lowest = 8 * samples * channels, [extremes.LOWEST[max(4, BYTES[x.dtype])]]
    sums = _scratch.of(device, f"sums {stream}", 2 * size)
    means = _scratch.of(device, f"means {stream}", 16 * rows)
    given, both = [mean.address, inverse.address], [sums, sums + size]
    pointers = [dy.address, x.address, *given, *both]
    run_rows(device, plane_sums(x.dtype, real), samples * channels, inner, pointers, [inner, width], lowest, stream)
    weighed = [_at(gamma), *both, means, means + 8 * rows]
    run_rows(
        device, group_means(real), rows, width, weighed, [groups, width, inner, int(gamma is not None)], [], stream
    )
    pointers = [dy.address, x.address, _at(gamma), *given, means, means + 8 * rows, dx.address]
    dims = [width * inner, int(gamma is not None), groups, width, inner]
    run_rows(device, group_slopes(x.dtype, real), rows, width * inner, pointers, dims, lowest, stream)
    grain = max(1, GRAIN // (width * inner), min(ROWS, -(-rows // PARTS)))
    grains = -(-rows // grain)
    whole = _scratch.of(device, f"grains {stream}", 8 * grains * channels)
    made = [OwnArray(device, (channels,), np.dtype(real)) for _ in range(2)]
    for part, result in zip(both[::-1], made, strict=True):
        dims = [channels, groups, width, grain, rows]
        run_rows(device, grain_sums(), grains * channels, samples, [part, whole], dims, [], stream)
        then = [whole, result.memory.address]
        run_rows(device, added("float64", real), channels, grains, then, [channels, grains], [], stream)
    return tuple(made)


def _extent(x: DeviceArray, groups: int) -> tuple[int, int]:
    """Return the channels of a group, and the elements of a channel of a sample."""
    return x.shape[1] // groups, prod(x.shape[2:])


def _at(array: DeviceArray | None) -> int:
    return 0 if array is None else array.address


# ---- kernels


@cache
def plane_sums(kind: str, real: str) -> Rows:
    """Return what sums up dy and dy x̂ of a channel of a sample."""
    product = "dy * ((x * scale - center) * inv)"
    settle = "products = products - correction(mean, center, inverse * slopes)"
    steps = (
        Once(("group = row // width", *STATISTICS)),
        Pass({"slopes": ("lanes", "dy"), "products": ("lanes", product)}),
        Once((settle,), {"sums": "slopes", "more": "products"}),
    )  # fmt: skip
    arrays = {"dy": kind, "x": kind, "mean": "float64", "inverse": "float64", "sums": "float64", "more": "float64"}
    return Rows(f"plane_sums_{kind}_{real}", arrays, steps, SOURCES, ("columns", "width"), ("lowest",), real)


@cache
def group_means(real: str) -> Rows:
    """Return what adds up a group's channels, each times its gamma, into the means that dx takes."""
    extent = ("columns = width", "at = row * width")
    weight = "weight = load_gamma(p_gamma, (row % groups) * width + c) if has_gamma else 1.0"
    steps = (
        Pass({"slope": ("wide", "weight * sums"), "product": ("wide", "weight * more")}, (weight,)),
        Once((), {"mean_slope": "slope / (width * inner)", "mean_product": "product / (width * inner)"}),
    )
    arrays = {"gamma": real, "sums": "float64", "more": "float64", "mean_slope": "float64", "mean_product": "float64"}
    dims = ("groups", "width", "inner", "has_gamma")
    return Rows(f"group_means_{real}", arrays, steps, SOURCES, dims, (), real, "thread", extent)


@cache
def group_slopes(kind: str, real: str) -> Rows:
    """Return what writes dx."""
    means = [f"{name} = real(load_mean_{name}(p_mean_{name}, row))" for name in ("slope", "product")]
    lines = (
        CHANNEL, WEIGHT.replace(", c)", ", channel)"), "xhat = standardized(x * scale, center, rest, inv)",
        "result = inv * direction(dy * weight, xhat, slope, product) * scale",
    )  # fmt: skip
    steps = (Once(("group = row", *STATISTICS, *means)), Pass({}, lines, {"dx": "result"}))
    arrays = {"dy": kind, "x": kind, "gamma": real, "mean": "float64", "inverse": "float64"}
    arrays |= {"mean_slope": "float64", "mean_product": "float64", "dx": kind}
    dims = ("columns", "has_gamma", "groups", "width", "inner")
    return Rows(f"group_slopes_{kind}_{real}", arrays, steps, SOURCES, dims, ("lowest",), real)


@cache
def grain_sums() -> Rows:
    """Return what adds up a channel's sums over the samples whose group is in a grain of the CPU's."""
    extent = (
        "grain_of = row // channels", "channel = row % channels", "group = channel // width",
        "begin = (max(grain_of * grain - group, 0) + groups - 1) // groups",
        "columns = (max(min(grain_of * grain + grain, count) - group, 0) + groups - 1) // groups - begin",
        "at = begin * channels + channel",
    )  # fmt: skip
    steps = (Pass({"total": ("wide", "part")}), Once((), {"sums": "total"}))
    dims = ("channels", "groups", "width", "grain", "count")
    return Rows(
        "grain_sums_float64", {"part": "float64", "sums": "float64"}, steps, (), dims, (), "float64", "thread", extent,
        "at + c * channels",
    )  # fmt: skip


def common() -> list[Rows]:
    """Return the kernels whose PTX comes with the package."""
    made = [make(kind, "float32") for make in (plane_sums, group_slopes) for kind in ("float32", "bfloat16")]
    norms = [forward("group", kind, "float32") for kind in ("float32", "bfloat16")]
    return [*norms, *made, group_means("float32"), grain_sums()]
