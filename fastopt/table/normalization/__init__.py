"""Normalization's rows of the table: batch norm's, and those of sample.py behind them."""

from functools import partial

import numpy as np

from fastopt.kernels.normalization import reference
from fastopt.kernels.normalization.kernels import KERNELS
from fastopt.table.normalization import sample, wrong
from fastopt.table.op import Bench, Op

RESULTS = sample.RESULTS | {
    "batch_norm_forward": ("y", "mean", "invstd", "running_mean", "running_var"),
    "batch_norm_backward": ("dx", "dgamma", "dbeta", "dresidual"),
    "batch_norm_apply": ("y", "invstd"),
    "batch_norm_gradient_sums": ("sum_dy", "sum_dy_xhat"),
    "batch_norm_gradient_apply": ("dx", "dresidual"),
}


# ---- inputs: the option `given` says whether there are a residual and a mask; the call does not get it


def _forward_inputs(rng, shape, dtype, options):
    """Channels with means of their own and a spread that the eps does not decide, even for two values."""
    axis = options.get("channel_axis", 1) % len(shape)
    channels = shape[axis]
    rest = tuple(length for k, length in enumerate(shape) if k != axis)
    count = int(np.prod(rest))
    values = rng.uniform(-1, 1, (channels, count)) + 2.0 * (-1.0) ** np.arange(count) + rng.normal(size=(channels, 1))
    arrays = {
        "x": np.ascontiguousarray(np.moveaxis(values.reshape(channels, *rest), 0, axis).astype(dtype)),
        "gamma": rng.uniform(0.5, 1.5, channels).astype(dtype),
        "beta": rng.normal(size=channels).astype(dtype),
        "running_mean": rng.normal(size=channels).astype(dtype),
        "running_var": rng.uniform(0.5, 1.5, channels).astype(dtype),
    }
    given = options.get("given", "")
    if "residual" in given:
        arrays["residual"] = rng.normal(size=shape).astype(dtype)
    if "mask" in given:
        arrays["mask"] = np.arange(count).reshape(rest) % 5 != 2
    return arrays


def _stats_inputs(rng, shape, dtype, options):
    return {"x": _forward_inputs(rng, shape, dtype, options)["x"]}


def _apply_inputs(rng, shape, dtype, options):
    arrays = _forward_inputs(rng, shape, dtype, options)
    mean, variance = arrays.pop("running_mean"), arrays.pop("running_var")
    return arrays | {"mean": mean.astype(np.float64), "variance": variance.astype(np.float64)}


def _backward_inputs(rng, shape, dtype, options):
    """What a forward gives to a backward. No gradient where ReLU's input is so near 0 that rounding decides."""
    arrays = _forward_inputs(rng, shape, dtype, options)
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    forward = {"training": options.get("training", True), "channel_axis": options.get("channel_axis", 1)}
    z, mean, invstd, *_ = reference.batch_norm_forward(**wide, **forward)
    dy = rng.normal(size=shape).astype(dtype)
    if options.get("activation") == "relu":
        dy[np.abs(z) < 1e-4] = 0.0
    kept = {name: arrays[name] for name in ("x", "gamma", "beta", "residual", "mask") if name in arrays}
    return {"dy": dy, **kept, "mean": mean, "invstd": invstd}


def _gradient_apply_inputs(rng, shape, dtype, options):
    """A backward's, and sums as over two parts like this one."""
    arrays = _backward_inputs(rng, shape, dtype, options)
    sums = rng.normal(size=(2, arrays["gamma"].size)) * (arrays["x"].size / arrays["gamma"].size) ** 0.5
    return arrays | {"sum_dy": sums[0], "sum_dy_xhat": sums[1]}


# ---- the public call, and the reference's


def arguments(name, options, arrays):
    """Return all arguments of a call."""
    options = {key: value for key, value in options.items() if key != "given"}
    return {**arrays, **options, **({"count": _count(arrays)} if name == "batch_norm_gradient_apply" else {})}


def _count(arrays):
    """As if the sums came from two parts like this one; a wrong call may have no sizes."""
    x, mean = arrays["x"], arrays["mean"]
    return 2 * x.size // mean.size if isinstance(x, np.ndarray) and isinstance(mean, np.ndarray) else 1


def _call(name, options, arrays):
    import fastopt

    results = getattr(fastopt.normalization, name)(**arguments(name, options, arrays))
    found = results_of(name, results)
    running = ("running_mean", "running_var") if name == "batch_norm_forward" else ()
    return found | {key: arrays[key] for key in running}


def results_of(name, results):
    """Return what a call returned, by name."""
    if name == "batch_norm_stats":
        return {"mean": results[0], "variance": results[1], "count": np.asarray(results[2])}
    return dict(zip(RESULTS[name], results if isinstance(results, tuple) else (results,)))


def _expect(name, options, arrays):
    wide = {key: array.astype(np.float64) for key, array in arrays.items()}
    results = getattr(reference, name)(**arguments(name, options, wide))
    if name == "batch_norm_stats":
        mean, variance = results
        return {"mean": mean, "variance": variance, "count": np.asarray(arrays["x"].size // mean.size)}
    return {key: value for key, value in zip(RESULTS[name], results) if key != "dresidual" or "residual" in arrays}


def _traffic(passes, options, arrays):
    return (passes + ("residual" in arrays)) * arrays["x"].nbytes


# Every shape serves both axis 1 and the last axis as the channel: two or more values for each.
SHAPES = (
    (2, 1), (2, 3), (3, 2), (7, 15), (16, 17), (31, 33), (513, 5), (2, 100_003),
    (2, 3, 1), (2, 3, 7), (1, 2, 511), (3, 2, 3001), (2, 3, 4, 5), (5, 4, 7, 7), (2, 3, 2, 3, 3),
)  # fmt: skip
BENCH: Bench = (
    ({}, (32, 64, 56, 56)), ({}, (4, 32, 224, 224)), ({}, (64, 256, 14, 14)), ({"channel_axis": -1}, (32, 56, 56, 64)),
    ({}, (4096, 1024)), ({}, (128, 64)), ({}, (4, 32, 64, 64)), ({"activation": "relu"}, (32, 64, 56, 56)),
    ({"activation": "relu", "given": "residual"}, (32, 64, 56, 56)),
)  # fmt: skip

# y: four roundings of values of order 3. mean and invstd: lanes of 32 values are summed in float32, so their error is a
# few roundings of the spread, divided by the root of the number of lanes.
FORWARD_TOLERANCE = {"float32": (2e-6, 2e-6), "float64": (4e-15, 4e-15)}
# dx: a dozen roundings of values of order 3. dgamma and dbeta: each lane of 32 values leaves an error of some 1e-6 (in
# float32), and errors of n / 32 lanes add up as a root: 5e-5 for 65 536 values, the longest channel that is verified.
BACKWARD_TOLERANCE = {"float32": (2e-6, 5e-5), "float64": (4e-15, 1e-13)}


def _op(
    name,
    kernels,
    source,
    options,
    inputs,
    tolerance,
    wrong,
    passes,
    bench=(({}, (32, 64, 56, 56)), ({}, (4, 32, 64, 64))),
):
    return Op(
        name=name,
        family="normalization",
        kernels=tuple(KERNELS[kernel] for kernel in kernels.split()),
        source=source,
        options=options,
        shapes=SHAPES,
        inputs=inputs,
        call=partial(_call, name),
        expect=partial(_expect, name),
        tolerance=tolerance,
        wrong=wrong,
        traffic=partial(_traffic, passes),
        bench=bench,
    )


RELU = {"activation": "relu"}
ADDED = {"given": "residual"}
MASKED = {"given": "mask"}
LAST = {"channel_axis": -1}
OPS = (
    _op(
        "batch_norm_forward", "channel_forward channel_normalize row_forward row_moments merge_moments row_normalize",
        "Ioffe and Szegedy 2015, Algorithms 1 and 2",
        (
            {}, {**LAST, **RELU}, {"training": False}, {"training": False, **RELU, **LAST},
            {"momentum": 1.0, "eps": 0.1}, {**RELU, "momentum": 0.0}, ADDED, {**ADDED, **RELU, **LAST},
            {**ADDED, **RELU, "training": False}, {"biased": True}, MASKED, {**LAST, **RELU, "given": "residual, mask"},
        ),
        _forward_inputs, FORWARD_TOLERANCE, wrong.FORWARD, 2, BENCH,
    ),
    _op(
        "batch_norm_backward", "channel_backward row_backward row_sums row_gradient",
        "Ioffe and Szegedy 2015, section 3",
        (
            {}, {**LAST, **RELU}, {"training": False}, {"training": False, **RELU}, LAST, RELU, ADDED,
            {**ADDED, **RELU}, {**ADDED, **RELU, **LAST}, MASKED, {**LAST, **RELU, "given": "residual, mask"},
        ),
        _backward_inputs, BACKWARD_TOLERANCE, (*wrong.SLOPES, *wrong.SLOPES_OUT, wrong.TRAINING, *wrong.MASK), 3,
        BENCH,
    ),
    _op(
        "batch_norm_stats", "channel_moments row_moments merge_moments", "Chan, Golub and LeVeque 1983", ({}, LAST),
        _stats_inputs, FORWARD_TOLERANCE, wrong.shared(()), 1,
    ),
    _op(
        "batch_norm_apply", "channel_normalize row_normalize", "Ioffe and Szegedy 2015, Algorithm 1",
        ({}, {**LAST, **RELU}, {**ADDED, **RELU, "eps": 0.1}), _apply_inputs, FORWARD_TOLERANCE, wrong.APPLY, 2,
    ),
    _op(
        "batch_norm_gradient_sums", "channel_sums row_sums", "Ioffe and Szegedy 2015, section 3",
        ({}, {**LAST, **RELU}, {**ADDED, **RELU}), _backward_inputs, BACKWARD_TOLERANCE, wrong.SLOPES, 2,
    ),
    _op(
        "batch_norm_gradient_apply", "channel_gradient row_gradient", "Ioffe and Szegedy 2015, section 3",
        ({}, {**LAST, **RELU}, {**ADDED, **RELU}), _gradient_apply_inputs, BACKWARD_TOLERANCE,
        wrong.GRADIENT_APPLY, 3,
    ),
    *sample.OPS,
)  # fmt: skip
