"""Normalization's rows of the table: batch norm's, and those of across.py behind them."""

from functools import partial

import numpy as np

from fastopt.kernels.normalization import across, reference
from fastopt.kernels.normalization.kernels import KERNELS
from fastopt.kernels.op import Bad, Op


def _forward_inputs(rng, shape, dtype, options):
    """Channels with means of their own and a spread that the eps does not decide, even for two values."""
    axis = options.get("channel_axis", 1) % len(shape)
    channels = shape[axis]
    rest = tuple(length for k, length in enumerate(shape) if k != axis)
    count = int(np.prod(rest))
    values = rng.uniform(-1, 1, (channels, count)) + 2.0 * (-1.0) ** np.arange(count) + rng.normal(size=(channels, 1))
    return {
        "x": np.ascontiguousarray(np.moveaxis(values.reshape(channels, *rest), 0, axis).astype(dtype)),
        "gamma": rng.uniform(0.5, 1.5, channels).astype(dtype),
        "beta": rng.normal(size=channels).astype(dtype),
        "running_mean": rng.normal(size=channels).astype(dtype),
        "running_var": rng.uniform(0.5, 1.5, channels).astype(dtype),
    }


def _forward_call(options, arrays):
    import fastopt

    running = {name: arrays[name] for name in ("running_mean", "running_var")}
    y, mean, invstd = fastopt.normalization.batch_norm_forward(
        arrays["x"], arrays["gamma"], arrays["beta"], **running, out=arrays.get("out"), **options
    )
    return {"y": y, "mean": mean, "invstd": invstd, **running}


def _forward_expect(options, arrays):
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    names = ("y", "mean", "invstd", "running_mean", "running_var")
    return dict(zip(names, reference.batch_norm_forward(**wide, **options), strict=True))


def _backward_inputs(rng, shape, dtype, options):
    """What a forward gives to a backward. No gradient where ReLU's input is so near 0 that rounding decides."""
    arrays = _forward_inputs(rng, shape, dtype, options)
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    forward = {"training": options.get("training", True), "channel_axis": options.get("channel_axis", 1)}
    z, mean, invstd, *_ = reference.batch_norm_forward(**wide, **forward)
    dy = rng.normal(size=shape).astype(dtype)
    if options.get("activation") == "relu":
        dy[np.abs(z) < 1e-4] = 0.0
    return {"dy": dy, **{name: arrays[name] for name in ("x", "gamma", "beta")}, "mean": mean, "invstd": invstd}


def _backward_call(options, arrays):
    import fastopt

    names = ("dy", "x", "gamma", "mean", "invstd")
    results = fastopt.normalization.batch_norm_backward(
        *(arrays[name] for name in names), beta=arrays["beta"], out=arrays.get("out"), **options
    )
    return dict(zip(("dx", "dgamma", "dbeta"), results, strict=True))


def _backward_expect(options, arrays):
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    return dict(zip(("dx", "dgamma", "dbeta"), reference.batch_norm_backward(**wide, **options), strict=True))


def _traffic(passes, options, arrays):
    return passes * arrays["x"].nbytes


# Every shape serves both axis 1 and the last axis as the channel: two or more values for each.
SHAPES = (
    (2, 1), (2, 3), (3, 2), (7, 15), (16, 17), (31, 33), (513, 5), (2, 100_003),
    (2, 3, 1), (2, 3, 7), (1, 2, 511), (3, 2, 3001), (2, 3, 4, 5), (5, 4, 7, 7), (2, 3, 2, 3, 3),
)  # fmt: skip
BENCH = (
    ({}, (32, 64, 56, 56)), ({}, (4, 32, 224, 224)), ({}, (64, 256, 14, 14)), ({"channel_axis": -1}, (32, 56, 56, 64)),
    ({}, (4096, 1024)), ({}, (128, 64)), ({}, (4, 32, 64, 64)), ({"activation": "relu"}, (32, 64, 56, 56)),
)  # fmt: skip

# y: four roundings of values of order 3. mean and invstd: lanes of 32 values are summed in float32, so their error is a
# few roundings of the spread, divided by the root of the number of lanes.
FORWARD_TOLERANCE = {"float32": (2e-6, 2e-6), "float64": (4e-15, 4e-15)}
# dx: a dozen roundings of values of order 3. dgamma and dbeta: each lane of 32 values leaves an error of some 1e-6 (in
# float32), and errors of n / 32 lanes add up as a root: 5e-5 for 65 536 values, the longest channel that is verified.
BACKWARD_TOLERANCE = {"float32": (2e-6, 5e-5), "float64": (4e-15, 1e-13)}


def _spoil(**changes):
    """Return what changes the arrays named, each by a function of the array."""
    return lambda options, arrays: arrays.update({name: change(arrays[name]) for name, change in changes.items()})


def _read_only(array):
    array.setflags(write=False)
    return array


def _shared_bad(vectors):
    return (
        Bad("integer x", _spoil(x=lambda x: x.astype(np.int64)), ("x", "float32 or float64", "int64"), TypeError),
        Bad("complex x", _spoil(x=lambda x: x.astype(complex)), ("x", "complex128"), TypeError),
        Bad("object x", _spoil(x=lambda x: x.astype(object)), ("x", "object"), TypeError),
        Bad("a list for x", _spoil(x=lambda x: x.tolist()), ("x", "NumPy array", "list"), TypeError),
        Bad("one axis", _spoil(x=np.ravel), ("x", "two or more axes")),
        Bad("empty x", _spoil(x=lambda x: x[:0]), ("x", "at least one element", "(0, ")),
        *(Bad(f"{name} too short", _spoil(**{name: lambda a: a[:-1]}), (name, "shape")) for name in vectors),
        *(
            Bad(f"{name} of another dtype", _spoil(**{name: lambda a: a.astype(np.int32)}), (name, "int32"), TypeError)
            for name in vectors
        ),
        Bad("mixed dtypes", _spoil(gamma=lambda a: a.astype(np.float64)), ("gamma", "float32", "float64"), TypeError),
        Bad("gamma missing", _spoil(gamma=lambda a: None), ("gamma", "NumPy array", "None"), TypeError),
        Bad("no such axis", lambda o, a: o.update(channel_axis=7), ("channel_axis", "7")),
        Bad("half an axis", lambda o, a: o.update(channel_axis=0.5), ("channel_axis", "integer"), TypeError),
        Bad("training not a flag", lambda o, a: o.update(training=1), ("training", "True or False"), TypeError),
        Bad("unknown activation", lambda o, a: o.update(activation="gelu"), ("activation", "'relu'", "'gelu'")),
        Bad("read-only out", lambda o, a: a.update(out=_read_only(np.zeros_like(a["x"]))), ("out", "read-only")),
        Bad("out of another shape", lambda o, a: a.update(out=np.zeros((3, 3), a["x"].dtype)), ("out", "shape")),
        Bad("out of another dtype", lambda o, a: a.update(out=a["x"].astype("f8")), ("out", "float64"), TypeError),
        Bad("out overlapping x", lambda o, a: a.update(out=a["x"][::-1]), ("out", "apart from x")),
    )


def _kernels(names):
    return tuple(KERNELS[name] for name in names.split())


OPS = (
    Op(
        name="batch_norm_forward",
        family="normalization",
        kernels=_kernels("channel_forward channel_normalize row_forward row_moments row_normalize"),
        source="Ioffe and Szegedy 2015, Algorithms 1 and 2",
        options=(
            {}, {"channel_axis": -1, "activation": "relu"}, {"training": False},
            {"training": False, "activation": "relu", "channel_axis": -1}, {"momentum": 1.0, "eps": 0.1},
            {"activation": "relu", "momentum": 0.0},
        ),
        shapes=SHAPES,
        inputs=_forward_inputs,
        call=_forward_call,
        expect=_forward_expect,
        tolerance=FORWARD_TOLERANCE,
        bad=(
            *_shared_bad(("gamma", "beta", "running_mean", "running_var")),
            Bad("one value per channel", _spoil(x=lambda x: x[:1]), ("x", "two or more values per channel")),
            Bad("out is x", lambda o, a: a.update(out=a["x"]), ("out", "apart from x")),
            Bad("momentum above 1", lambda o, a: o.update(momentum=1.5), ("momentum", "[0, 1]", "1.5")),
            Bad("momentum None", lambda o, a: o.update(momentum=None), ("momentum", "[0, 1]", "None"), TypeError),
            Bad("eps zero", lambda o, a: o.update(eps=0.0), ("eps", "> 0", "0.0")),
            Bad("eps negative", lambda o, a: o.update(eps=-1e-5), ("eps", "> 0")),
            Bad("read-only running_var", _spoil(running_var=_read_only), ("running_var", "read-only")),
            Bad(
                "one array for both", lambda o, a: a.update(running_var=a["running_mean"]),
                ("running_var", "apart from running_mean"),
            ),
            Bad(
                "inference without statistics",
                lambda o, a: (o.update(training=False), a.update(running_mean=None)),
                ("running_mean", "NumPy array", "None"), TypeError,
            ),
        ),
        traffic=partial(_traffic, 2),
        bench=BENCH,
    ),
    Op(
        name="batch_norm_backward",
        family="normalization",
        kernels=_kernels("channel_backward row_backward row_sums row_gradient"),
        source="Ioffe and Szegedy 2015, section 3",
        options=(
            {}, {"channel_axis": -1, "activation": "relu"}, {"training": False},
            {"training": False, "activation": "relu"}, {"channel_axis": -1}, {"activation": "relu"},
        ),
        shapes=SHAPES,
        inputs=_backward_inputs,
        call=_backward_call,
        expect=_backward_expect,
        tolerance=BACKWARD_TOLERANCE,
        bad=(
            *_shared_bad(("gamma", "beta", "mean", "invstd")),
            Bad("dy of another shape", _spoil(dy=lambda a: a[:-1]), ("dy", "shape")),
            Bad("dy of another dtype", _spoil(dy=lambda a: a.astype("f8")), ("dy", "float32", "float64"), TypeError),
            Bad("rounded mean", _spoil(mean=lambda a: a.astype("f4")), ("mean", "float64", "float32"), TypeError),
            Bad(
                "ReLU without beta", lambda o, a: (o.update(activation="relu"), a.update(beta=None)),
                ("beta", "NumPy array", "None"), TypeError,
            ),
            Bad("out overlapping dy", lambda o, a: a.update(out=a["dy"][::-1]), ("out", "apart from dy")),
        ),
        traffic=partial(_traffic, 3),
        bench=BENCH,
    ),
    *across.OPS,
)  # fmt: skip
