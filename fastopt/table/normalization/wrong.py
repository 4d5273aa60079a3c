"""Wrong calls of batch norm, and the words of their errors."""

import numpy as np

from fastopt.table.op import Wrong


def spoil(**changes):
    """Return what changes the arrays named, each by a function of the array."""
    return lambda options, arrays: arrays.update({name: change(arrays[name]) for name, change in changes.items()})


def read_only(array):
    array.setflags(write=False)
    return array


def gives(**made):
    """Return what gives the call arrays made from x."""
    return lambda options, arrays: arrays.update({name: make(arrays["x"]) for name, make in made.items()})


SCALED = (
    Wrong("mixed dtypes", spoil(gamma=lambda a: a.astype(np.float64)), ("gamma", "float32", "float64"), TypeError),
    Wrong("gamma missing", spoil(gamma=lambda a: None), ("gamma", "NumPy array", "None"), TypeError),
)


def shared(vectors):
    return (
        Wrong("integer x", spoil(x=lambda x: x.astype(np.int64)), ("x", "float32, float64", "int64"), TypeError),
        Wrong("complex x", spoil(x=lambda x: x.astype(complex)), ("x", "complex128"), TypeError),
        Wrong("object x", spoil(x=lambda x: x.astype(object)), ("x", "object"), TypeError),
        Wrong("a list for x", spoil(x=lambda x: x.tolist()), ("x", "NumPy array", "list"), TypeError),
        Wrong("one axis", spoil(x=np.ravel), ("x", "two or more axes")),
        Wrong("empty x", spoil(x=lambda x: x[:0]), ("x", "at least one element", "(0, ")),
        *(Wrong(f"{name} too short", spoil(**{name: lambda a: a[:-1]}), (name, "shape")) for name in vectors),
        *(
            Wrong(f"{name} of another dtype", spoil(**{name: lambda a: a.astype(np.int32)}), (name, "int32"), TypeError)
            for name in vectors
        ),
        *(SCALED if vectors else ()),
        Wrong("no such axis", lambda o, a: o.update(channel_axis=7), ("channel_axis", "7")),
        Wrong("half an axis", lambda o, a: o.update(channel_axis=0.5), ("channel_axis", "integer"), TypeError),
    )


ACTIVATED = (
    Wrong("unknown activation", lambda o, a: o.update(activation="gelu"), ("activation", "'relu'", "'gelu'")),
    Wrong("residual of another shape", gives(residual=lambda x: x[:-1].copy()), ("residual", "shape")),
    Wrong("residual of another dtype", gives(residual=lambda x: x.astype("f8")), ("residual", "float64"), TypeError),
    Wrong("residual a number", gives(residual=lambda x: 1.0), ("residual", "NumPy array", "1.0"), TypeError),
)
OUT = (
    Wrong("read-only out", gives(out=lambda x: read_only(np.zeros_like(x))), ("out", "read-only")),
    Wrong("out of another shape", gives(out=lambda x: np.zeros((3, 3), x.dtype)), ("out", "shape")),
    Wrong("out of another dtype", gives(out=lambda x: x.astype("f8")), ("out", "float64"), TypeError),
    Wrong("out overlapping x", gives(out=lambda x: x[::-1]), ("out", "apart from x")),
)
MASK = (
    Wrong("mask of another shape", lambda o, a: a.update(mask=np.ones((99, 2), bool)), ("mask", "shape", "(99, 2)")),
    Wrong("mask of numbers", lambda o, a: a.update(mask=np.ones(2)), ("mask", "bool array", "float64"), TypeError),
    Wrong("a list for mask", lambda o, a: a.update(mask=[True]), ("mask", "bool array", "list"), TypeError),
)
TRAINING = Wrong("training not a flag", lambda o, a: o.update(training=1), ("training", "True or False"), TypeError)
EPS = (
    Wrong("eps zero", lambda o, a: o.update(eps=0.0), ("eps", "> 0", "0.0")),
    Wrong("eps negative", lambda o, a: o.update(eps=-1e-5), ("eps", "> 0")),
)
FORWARD = (
    *shared(("gamma", "beta", "running_mean", "running_var")), *ACTIVATED, *OUT, *EPS, TRAINING, *MASK,
    Wrong("biased not a flag", lambda o, a: o.update(biased=1), ("biased", "True or False"), TypeError),
    Wrong(
        "an empty mask", gives(mask=lambda x: np.zeros(x.shape[:1] + x.shape[2:], bool)), ("mask", "two or more", "0")
    ),
    Wrong(
        "a mask in inference", lambda o, a: (o.update(training=False), gives(mask=np.ones_like)(o, a)),
        ("mask", "None in inference"),
    ),
    Wrong("one value per channel", spoil(x=lambda x: x[:1]), ("x", "two or more values per channel")),
    Wrong("out is x", lambda o, a: a.update(out=a["x"]), ("out", "apart from x")),
    Wrong(
        "out is the residual",
        lambda o, a: a.update(residual=np.zeros_like(a["x"])) or a.update(out=a["residual"]),
        ("out", "apart from residual"),
    ),
    Wrong("momentum above 1", lambda o, a: o.update(momentum=1.5), ("momentum", "[0, 1]", "1.5")),
    Wrong("momentum None", lambda o, a: o.update(momentum=None), ("momentum", "[0, 1]", "None"), TypeError),
    Wrong("read-only running_var", spoil(running_var=read_only), ("running_var", "read-only")),
    Wrong(
        "one array for both", lambda o, a: a.update(running_var=a["running_mean"]),
        ("running_var", "apart from running_mean"),
    ),
    Wrong(
        "inference without statistics",
        lambda o, a: (o.update(training=False), a.update(running_mean=None)),
        ("running_mean", "NumPy array", "None"), TypeError,
    ),
)  # fmt: skip
SLOPES = (
    *shared(("gamma", "beta", "mean", "invstd")), *ACTIVATED,
    Wrong("dy of another shape", spoil(dy=lambda a: a[:-1]), ("dy", "shape")),
    Wrong("dy of another dtype", spoil(dy=lambda a: a.astype("f8")), ("dy", "float32", "float64"), TypeError),
    Wrong("rounded mean", spoil(mean=lambda a: a.astype("f4")), ("mean", "float64", "float32"), TypeError),
    Wrong(
        "ReLU without beta", lambda o, a: (o.update(activation="relu"), a.update(beta=None)),
        ("beta", "NumPy array", "None"), TypeError,
    ),
)  # fmt: skip
SLOPES_OUT = (
    *OUT,
    Wrong("out overlapping dy", lambda o, a: a.update(out=a["dy"][::-1]), ("out", "apart from dy")),
    Wrong("residual's gradient without one", gives(out_residual=np.zeros_like), ("out_residual", "a residual")),
    Wrong(
        "residual's gradient where it is dy",
        lambda o, a: (gives(residual=np.zeros_like, out_residual=np.zeros_like)(o, a), o.pop("activation", None)),
        ("out_residual", "an activation"),
    ),
)
APPLY = (
    *shared(("gamma", "beta", "mean", "variance")), *ACTIVATED, *OUT, *EPS,
    Wrong("rounded mean", spoil(mean=lambda a: a.astype("f4")), ("mean", "float64", "float32"), TypeError),
)  # fmt: skip
GRADIENT_APPLY = (
    *SLOPES, *SLOPES_OUT,
    Wrong("sums too short", spoil(sum_dy=lambda a: a[:-1]), ("sum_dy", "shape")),
    Wrong("rounded sums", spoil(sum_dy_xhat=lambda a: a.astype("f4")), ("sum_dy_xhat", "float64"), TypeError),
)  # fmt: skip
