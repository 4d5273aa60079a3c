"""Rows of the table for the norms of a row by itself: layer norm, RMS norm, group norm."""

from functools import partial
from typing import Any

import numpy as np

from fastopt.kernels.normalization import reference
from fastopt.kernels.normalization.kernels import KERNELS
from fastopt.table.op import Bench, Op, Options, Wrong

RESULTS = {
    "layer_norm_forward": ("y", "mean", "invstd"), "layer_norm_backward": ("dx", "dgamma", "dbeta"),
    "rms_norm_forward": ("y", "invrms"), "rms_norm_backward": ("dx", "dgamma"),
    "group_norm_forward": ("y", "mean", "invstd"), "group_norm_backward": ("dx", "dgamma", "dbeta"),
    "instance_norm_forward": ("y", "mean", "invstd"), "instance_norm_backward": ("dx", "dgamma", "dbeta"),
}  # fmt: skip


# ---- inputs: the option `given` says in words what comes beside x; the call does not get it


def _forward_inputs(name, rng, shape, dtype, options):
    """Rows with a spread that the eps does not decide, and but for RMS with means of their own."""
    values = rng.uniform(-1, 1, shape) + 2.0 * (-1.0) ** np.indices(shape).sum(axis=0)
    if name != "rms":
        values += rng.normal(size=(shape[0], *(1,) * (len(shape) - 1)))
    arrays = {"x": values.astype(dtype)}
    given = options.get("given", "")
    channels = (shape[options.get("channel_axis", 1)],)
    inner = channels if name in ("group", "instance") else shape[-2:] if "two axes" in given else shape[-1:]
    if "plain" not in given:
        arrays["gamma"] = rng.uniform(0.5, 1.5, inner).astype(dtype)
    if "plain" not in given and name != "rms":
        arrays["beta"] = rng.normal(size=inner).astype(dtype)
    return arrays


def _backward_inputs(name, rng, shape, dtype, options):
    """What a forward gives to a backward."""
    arrays = _forward_inputs(name, rng, shape, dtype, options)
    expected = _expect(f"{name}_norm_forward", options, arrays)
    arrays.pop("beta", None)
    statistics = {part: np.asarray(expected[part]) for part in ("mean", "invstd", "invrms") if part in expected}
    return {"dy": rng.normal(size=shape).astype(dtype), **arrays, **statistics}


def _call(name, options, arrays):
    import fastopt

    given = {"gamma": None} | arrays
    results = getattr(fastopt.normalization, name)(**given, **_without(options))
    return dict(zip(RESULTS[name], results, strict=True))


def _expect(name, options, arrays):
    wide = {"gamma": None} | {part: array.astype(np.float64) for part, array in arrays.items()}
    options = _without(options)
    if name == "rms_norm_forward":
        options.setdefault("eps", float(np.finfo(arrays["x"].dtype).eps))
    return dict(zip(RESULTS[name], getattr(reference, name)(**wide, **options), strict=True))


def _without(options):
    return {name: value for name, value in options.items() if name != "given"}


def _traffic(passes, options, arrays):
    return passes * arrays["x"].nbytes


# ---- wrong calls


def _spoil(**changes):
    """Return what changes the arrays named, each by a function of the array."""
    return lambda options, arrays: arrays.update({name: change(arrays[name]) for name, change in changes.items()})


def _read_only(array):
    array.setflags(write=False)
    return array


def _shared_bad(vectors):
    return (
        Wrong("integer x", _spoil(x=lambda x: x.astype(np.int64)), ("x", "float32, float64", "int64"), TypeError),
        Wrong("complex x", _spoil(x=lambda x: x.astype(complex)), ("x", "complex128"), TypeError),
        Wrong("object x", _spoil(x=lambda x: x.astype(object)), ("x", "object"), TypeError),
        Wrong("a list for x", _spoil(x=lambda x: x.tolist()), ("x", "NumPy array", "list"), TypeError),
        Wrong("empty x", _spoil(x=lambda x: x[:0]), ("x", "at least one element", "(0, ")),
        *(Wrong(f"{name} too short", _spoil(**{name: lambda a: a[:-1]}), (name, "shape")) for name in vectors),
        *(
            Wrong(
                f"{name} of another dtype", _spoil(**{name: lambda a: a.astype(np.int32)}), (name, "int32"), TypeError
            )
            for name in vectors
        ),
        Wrong("mixed dtypes", _spoil(gamma=lambda a: a.astype(np.float64)), ("gamma", "float32", "float64"), TypeError),
        Wrong("gamma a number", _spoil(gamma=lambda a: 1.0), ("gamma", "NumPy array", "float 1.0"), TypeError),
        Wrong("read-only out", lambda o, a: a.update(out=_read_only(np.zeros_like(a["x"]))), ("out", "read-only")),
        Wrong("out of another shape", lambda o, a: a.update(out=np.zeros((3, 3), a["x"].dtype)), ("out", "shape")),
        Wrong("out of another dtype", lambda o, a: a.update(out=a["x"].astype("f8")), ("out", "float64"), TypeError),
        Wrong("out overlapping x", lambda o, a: a.update(out=a["x"][::-1]), ("out", "apart from x")),
    )


EPS = (
    Wrong("eps zero", lambda o, a: o.update(eps=0.0), ("eps", "> 0", "0.0")),
    Wrong("eps negative", lambda o, a: o.update(eps=-1e-5), ("eps", "> 0")),
    Wrong("eps NaN", lambda o, a: o.update(eps=np.nan), ("eps", "> 0", "nan")),
    Wrong("eps a word", lambda o, a: o.update(eps="small"), ("eps", "'small'"), TypeError),
)
SHAPED = (
    Wrong("another shape", lambda o, a: o.update(normalized_shape=(99,)), ("normalized_shape", "last axes of x", "99")),
    Wrong("no axis", lambda o, a: o.update(normalized_shape=()), ("normalized_shape", "last axes of x", "()")),
    Wrong("half an axis", lambda o, a: o.update(normalized_shape=2.5), ("normalized_shape", "tuple", "2.5"), TypeError),
    Wrong("gamma without axes", _spoil(gamma=lambda a: a[:1].reshape(())), ("gamma", "last axes of x", "()")),
)
CHANNELS = (
    Wrong("one axis", _spoil(x=np.ravel), ("x", "two or more axes")),
    Wrong("no such axis", lambda o, a: o.update(channel_axis=7), ("channel_axis", "7")),
    Wrong("the samples' axis", lambda o, a: o.update(channel_axis=0), ("channel_axis", "behind its first", "0")),
    Wrong("half an axis", lambda o, a: o.update(channel_axis=0.5), ("channel_axis", "integer"), TypeError),
)
GROUPED = (
    *CHANNELS,
    Wrong("no group", lambda o, a: o.update(num_groups=0), ("num_groups", "≥ 1", "0")),
    Wrong("groups that don't divide", lambda o, a: o.update(num_groups=77), ("num_groups", "divisor", "77")),
    Wrong("half a group", lambda o, a: o.update(num_groups=0.5), ("num_groups", "integer", "0.5"), TypeError),
)


def _backward_bad(statistics):
    return (
        Wrong("dy of another shape", _spoil(dy=lambda a: a[:-1]), ("dy", "shape")),
        Wrong("dy of another dtype", _spoil(dy=lambda a: a.astype("f8")), ("dy", "float32", "float64"), TypeError),
        *(
            Wrong(f"rounded {n}", _spoil(**{n: lambda a: a.astype("f4")}), (n, "float64"), TypeError)
            for n in statistics
        ),
        *(Wrong(f"{n} too short", _spoil(**{n: lambda a: a[:-1]}), (n, "shape")) for n in statistics),
        Wrong("out is x", lambda o, a: a.update(out=a["x"]), ("out", "apart from x")),
        Wrong("out overlapping dy", lambda o, a: a.update(out=a["dy"][::-1]), ("out", "apart from dy")),
    )


# ---- the rows

SHAPES = (
    (2, 1), (1, 7), (7, 15), (16, 17), (31, 33), (513, 5), (5, 511), (35, 1030), (2, 100_003), (2, 3, 1), (2, 3, 7),
    (3, 2, 300), (2, 3, 4, 5),
)  # fmt: skip
GROUP_SHAPES = (
    (2, 2), (7, 6), (33, 4), (2, 100_004), (2, 2, 1), (2, 6, 7), (1, 4, 511), (40, 4, 33), (3, 2, 3001), (2, 8, 4, 5),
    (5, 4, 7, 7), (2, 4, 2, 3, 3),
)  # fmt: skip
OPTIONS: dict[str, Options] = {
    "layer": ({}, {"given": "plain"}, {"given": "two axes"}),
    "rms": ({}, {"given": "plain"}, {"given": "two axes"}),
    "group": ({"num_groups": 2}, {"num_groups": 1, "given": "plain"}, {"num_groups": 1, "channel_axis": -1}),
    "instance": ({}, {"channel_axis": -1}),
}
BENCH: Bench = (({}, (4096, 1024)), ({}, (1024, 1024)), ({}, (16384, 128)), ({}, (10, 10)))
BENCHES = {
    "group": (({"num_groups": 32}, (32, 64, 56, 56)), ({"num_groups": 8}, (8, 64, 32, 32))),
    "instance": (({}, (32, 64, 56, 56)), ({}, (8, 64, 32, 32))),
}
SOURCES = {
    "layer": "Ba, Kiros and Hinton 2016, section 3",
    "rms": "Zhang and Sennrich 2019, equation 4",
    "group": "Wu and He 2018, equations 1 to 7",
    "instance": "Ulyanov, Vedaldi and Lempitsky 2016",
}

# y: four roundings of values of order 3. The statistics: lanes of 32 values are summed in float32, so their error is a
# few roundings of the spread, divided by the root of the number of lanes.
FORWARD_TOLERANCE = {"float32": (2e-6, 2e-6), "float64": (4e-15, 4e-15)}
# dx: a dozen roundings of values of order 3. dgamma and dbeta: each lane of 2 rows (layer, RMS) or 32 values (group)
# leaves an error of some 1e-6 (in float32), and the errors of n lanes add up as a root.
BACKWARD_TOLERANCE = {"float32": (2e-6, 5e-5), "float64": (4e-15, 1e-13)}


def _rows(name):
    """Return forward and backward of one norm."""
    own = {"group": GROUPED, "instance": CHANNELS}.get(name, SHAPED)
    group, rms, kernel = own is not SHAPED, name == "rms", "group" if name == "instance" else name
    shared: dict[str, Any] = {
        "family": "normalization",
        "source": SOURCES[name],
        "shapes": GROUP_SHAPES if group else SHAPES,
        "bench": BENCHES.get(name, BENCH),
    }
    forward, backward = f"{name}_norm_forward", f"{name}_norm_backward"
    yield Op(
        name=forward,
        kernels=(KERNELS[f"{kernel}_forward"],),
        options=(*OPTIONS[name], OPTIONS[name][0] | {"eps": 0.1}),
        inputs=partial(_forward_inputs, name),
        call=partial(_call, forward),
        expect=partial(_expect, forward),
        tolerance=FORWARD_TOLERANCE,
        wrong=(*_shared_bad(("gamma",) if rms else ("gamma", "beta")), *EPS, *own),
        traffic=partial(_traffic, 2),
        **shared,
    )
    yield Op(
        name=backward,
        kernels=(KERNELS[f"{kernel}_backward"],),
        options=OPTIONS[name],
        inputs=partial(_backward_inputs, name),
        call=partial(_call, backward),
        expect=partial(_expect, backward),
        tolerance=BACKWARD_TOLERANCE,
        wrong=(*_shared_bad(("gamma",)), *own, *_backward_bad(("invrms",) if rms else ("mean", "invstd"))),
        traffic=partial(_traffic, 3),
        **shared,
    )


OPS = tuple(op for name in ("layer", "rms", "group", "instance") for op in _rows(name))
