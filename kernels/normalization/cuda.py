"""Layer and RMS norm on a GPU: a row is normalized by its warps, gradients of parameters are summed column by column.

Nothing waits for the device. Sums run in the CPU's order; rows out of a type's range are done again in float64, in the
same launch.
"""

from functools import cache
from math import prod

import numpy as np

from fastopt.kernels.normalization import extremes
from fastopt.kernels.normalization.views import GRAIN as ELEMENTS
from fastopt.kernels.normalization.views import PARTS, ROWS
from fastopt.kernels.runtime.cuda import Scratch, run_rows
from fastopt.kernels.runtime.cuda_arrays import BYTES, DeviceArray, OwnArray
from fastopt.kernels.runtime.cuda_rows import Once, Pass, Rows
from fastopt.kernels.runtime.driver import Device, driver

SOURCES = ("normalization/rules.py", "normalization/cuda_rules.py")
BLOCK = 32  # rows that are summed in the kernel's type, before the sums go on in float64
WEIGHT = "weight = load_gamma(p_gamma, c) if has_gamma else 1.0"
CHANNEL = "channel = (row % groups) * width + c // inner"
_scratch = Scratch()
BIAS = "bias = load_beta(p_beta, c) if has_beta else 0.0"


# ---- the door: what kernels/normalization/cpu.py has, for layer and RMS norm


def row_forward(
    norm: str, x: DeviceArray, gamma: DeviceArray | None, beta: DeviceArray | None, y: DeviceArray,
    outer: tuple[int, ...], eps: float, stream: int,
) -> tuple[OwnArray, ...]:  # fmt: skip
    """Normalize x into y, which may be x; return the statistics, of shape `outer`."""
    device, rows = driver().device(x.ordinal), prod(outer)
    columns, layer = x.size // rows, norm == "layer"
    statistics = [OwnArray(device, outer, np.dtype(np.float64)) for _ in range(1 + layer)]
    mean = statistics[0].memory.address if layer else 0
    run_rows(
        device, forward(norm, x.dtype, real_of(x)), rows, columns,
        [x.address, _at(gamma), _at(beta), y.address, mean, statistics[-1].memory.address],
        [columns, int(gamma is not None), int(beta is not None)],
        [eps, extremes.HIGHEST[max(4, BYTES[x.dtype])]], stream,
    )  # fmt: skip
    return tuple(statistics)


def row_backward(
    norm: str, dy: DeviceArray, x: DeviceArray, gamma: DeviceArray | None, statistics: tuple[DeviceArray, ...],
    dx: DeviceArray, shape: tuple[int, ...], stream: int,
) -> tuple[OwnArray, ...]:  # fmt: skip
    """Write dx, which may be dy; return gradients of parameters, of this shape: dgamma, and dbeta but for RMS."""
    device, rows, columns = driver().device(x.ordinal), x.size // prod(shape), prod(shape)
    mean, inverse, real = _at(statistics[0] if len(statistics) == 2 else None), statistics[-1].address, real_of(x)
    lowest = extremes.LOWEST[max(4, BYTES[x.dtype])]
    made = _parameters(norm, device, dy, x, (mean, inverse), rows, columns, lowest, stream)
    run_rows(
        device, backward(norm, x.dtype, real), rows, columns,
        [dy.address, x.address, _at(gamma), mean, inverse, dx.address], [columns, int(gamma is not None)], [lowest],
        stream,
    )  # fmt: skip
    kept = [OwnArray(device, shape, np.dtype(real)) for _ in range(2)]
    _sum_up(device, real, made, columns, kept, stream)
    dbeta, dgamma = kept
    return (dgamma,) if norm == "rms" else (dgamma, dbeta)


def real_of(array: DeviceArray) -> str:
    """Return the type that is computed with, and of parameters."""
    return "float64" if array.dtype == "float64" else "float32"


def _at(array: DeviceArray | None) -> int:
    return 0 if array is None else array.address


def _parameters(
    norm: str, device: Device, dy: DeviceArray, x: DeviceArray, statistics: tuple[int, int], rows: int, columns: int,
    lowest: float, stream: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Sum up blocks of rows for gradients of parameters; return where the sums are, grains, and blocks of each."""
    grain = max(1, ELEMENTS // columns, min(ROWS, -(-rows // PARTS)))
    grains, per = -(-rows // grain), -(-grain // BLOCK)
    size = grains * per * columns * BYTES[real_of(x)]
    at = _scratch.of(device, f"sums {stream}", 2 * size)
    run_rows(
        device, block_sums(norm, x.dtype, real_of(x)), grains * per * columns, BLOCK,
        [dy.address, x.address, *statistics, at, at + size], [columns, grain, per, rows], [lowest], stream,
    )  # fmt: skip
    return at, grains, per


def _sum_up(
    device: Device, real: str, made: tuple[int, int, int], columns: int, results: list[OwnArray], stream: int
) -> None:
    """Add up blocks within their grains, then grains, into gradients."""
    at, grains, per = made
    size = grains * columns * 8
    whole = _scratch.of(device, f"grains {stream}", 2 * size)
    part = grains * per * columns * BYTES[real]
    for k, result in enumerate(results):
        first = [at + k * part, whole + k * size]
        run_rows(device, added(real, "float64"), grains * columns, per, first, [columns, per], [], stream)
        then = [whole + k * size, result.memory.address]
        run_rows(device, added("float64", real), columns, grains, then, [columns, grains], [], stream)


# ---- kernels


@cache
def forward(norm: str, kind: str, real: str) -> Rows:
    """Return the kernel that normalizes a row; a group's elements take the parameters of their channels."""
    layer, group = norm != "rms", norm == "group"
    lost = "lost = not ((0.0 < inverse) and (inverse < s_highest))"
    if layer:
        steps: list[Pass | Once] = [
            Pass({"total": ("lanes", "x")}),
            Once(("average = total / columns", "center = real(average)")),
            Pass({"moved": ("lanes", "x - center"), "squares": ("lanes", "square(x - center)")}),
            Once(("mean, inverse = moments(average, center, moved, squares, columns, s_eps)", lost)),
        ]
    else:
        squares = Pass({"squares": ("lanes", "square(x)")})
        steps = [squares, Once(("inverse = 1 / sqrt(squares / columns + s_eps)", lost))]
    steps += [
        Pass({"most": ("max", "abs(x)")}, when="lost"),
        Once((
            "power = power_down(most)",
            "begin = finite_or_zero(np.float64(load_x(p_x, at)) * power)" if layer else "begin = np.float64(0)",
        )),
        Pass({"moves": ("wide", "np.float64(x) * power - begin")}, when="lost"),
        Once(("away = moves / columns" if layer else "away = np.float64(0)",)),
        Pass({"spread": ("wide", "square((np.float64(x) * power - begin) - away)")}, when="lost"),
        Once(("scale, original = again(spread / columns, power, s_eps)", "inverse = original if lost else inverse")),
    ]  # fmt: skip
    wide = f"((np.float64(x) * power - begin) - away) * scale * weight{' + bias' if layer else ''}"
    plain = "standardized(x, center, rest, inv) * weight + bias" if layer else "x * inv * weight"
    lines: tuple[str, ...] = (WEIGHT, *((BIAS,) if layer else ()))
    if group:
        affine = ("slope = np.float64(weight) * steep", "shift = bias - correction(level, center, slope)")
        lines = (CHANNEL, *(line.replace(", c)", ", channel)") for line in lines), *affine)
        plain = "(x - center) * real(slope) + real(shift)"
    lines += (f"result = real({wide}) if lost else {plain}",)
    if layer:
        steps.append(Once((
            "mean = (begin + away) / power if lost else mean", "center = real(mean)",
            "rest = real(residual(mean, center))", "inv = real(inverse)", "level = mean", "steep = inverse",
        ), {"mean": "mean", "inverse": "inverse"}))  # fmt: skip
    else:
        steps.append(Once(("inv = real(inverse)",), {"inverse": "inverse"}))
    steps.append(Pass({}, lines, {"y": "result"}))
    arrays = {"x": kind, "gamma": real, "beta": real, "y": kind, "mean": "float64", "inverse": "float64"}
    dims = ("columns", "has_gamma", "has_beta", *(("groups", "width", "inner") if group else ()))
    return Rows(_name(f"{norm}_forward", kind, real), arrays, tuple(steps), SOURCES, dims, ("eps", "highest"), real)


@cache
def backward(norm: str, kind: str, real: str) -> Rows:
    """Return the kernel of a row's dx."""
    layer = norm == "layer"
    slope = ("value = x * scale", WEIGHT, "d = dy * weight")
    sums = {"products": ("lanes", "d * ((value - center) * inv)")}
    first = "average = load_mean(p_mean, row) * power" if layer else "average = np.float64(0)"
    settle = "products = products - correction(average, center, inverse * slopes)"
    steps = (
        Once((
            "inverse = load_inverse(p_inverse, row)", "power = power_of(inverse, s_lowest)", first,
            "scale = real(power)", "inverse = inverse / power", "center = real(average)",
            "rest = real(residual(average, center))", "inv = real(inverse)",
        )),
        Pass({"slopes": ("lanes", "d"), **sums} if layer else sums, slope),
        Once((
            *((settle,) if layer else ()), "mean_slope = real(slopes / columns)" if layer else "mean_slope = 0.0",
            "mean_product = real(products / columns)",
        )),
        Pass({}, (
            *slope, "xhat = standardized(value, center, rest, inv)",
            "result = inv * direction(d, xhat, mean_slope, mean_product) * scale",
        ), {"dx": "result"}),
    )  # fmt: skip
    arrays = {"dy": kind, "x": kind, "gamma": real, "mean": "float64", "inverse": "float64", "dx": kind}
    return Rows(
        _name(f"{norm}_backward", kind, real), arrays, steps, SOURCES, ("columns", "has_gamma"), ("lowest",), real
    )


@cache
def block_sums(norm: str, kind: str, real: str) -> Rows:
    """Return what sums up dy and dy x̂ of a column over blocks of 32 rows, which begin anew in each grain."""
    extent = (
        "number = row // width",
        "begin = (number // per) * grain + (number % per) * 32",
        "columns = min(min(32, grain - (number % per) * 32), count - begin)",
        "at = begin * width + row % width",
    )
    mean = "load_mean(p_mean, begin + c)" if norm == "layer" else "np.float64(0)"
    line = f"xhat = xhat_of(x, {mean}, load_inverse(p_inverse, begin + c), s_lowest)"
    steps = (
        Pass({"slopes": ("real", "dy"), "products": ("real", "dy * xhat")}, (line,)),
        Once((), {"sums": "slopes", "more": "products"}),
    )
    arrays = {"dy": kind, "x": kind, "mean": "float64", "inverse": "float64", "sums": real, "more": real}
    name, dims = _name(f"{norm}_block_sums", kind, real), ("width", "grain", "per", "count")
    return Rows(name, arrays, steps, SOURCES, dims, ("lowest",), real, "thread", extent, "at + c * width")


@cache
def added(kind: str, result: str) -> Rows:
    """Return what adds up, one after the other in float64, `count` numbers that are a row of columns apart."""
    extent = ("columns = count", "at = (row // width) * count * width + row % width")
    steps = (Pass({"total": ("wide", "np.float64(part)")}), Once((), {"sums": "total"}))
    real = "float64" if "float64" in (kind, result) and "float32" not in (kind, result) else "float32"
    return Rows(
        f"added_{kind}_{result}", {"part": kind, "sums": result}, steps, (), ("width", "count"), (), real, "thread",
        extent, "at + c * width",
    )  # fmt: skip


def _name(what: str, kind: str, real: str) -> str:
    return "_".join([what, *dict.fromkeys((kind, real))])


def common() -> list[Rows]:
    """Return the kernels whose PTX comes with the package: layer and RMS norm of float32 and bfloat16."""
    kinds = ("float32", "bfloat16")
    made = [make(norm, kind, "float32") for make in (forward, backward, block_sums) for norm in ("layer", "rms")
            for kind in kinds]  # fmt: skip
    return [*made, added("float32", "float64"), added("float64", "float32")]
