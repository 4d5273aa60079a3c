"""The rows of the table for work on many arrays."""

from functools import partial

import numpy as np

from fastopt.kernels.arrays import reference
from fastopt.kernels.arrays.kernels import KERNELS
from fastopt.table.op import Op, Wrong

BESIDE = 5  # elements of the second set: small, so that the first one tells the time


def _inputs(names, rng, shape, dtype, options):
    found: dict[str, np.ndarray] = {}
    for name in (*names, *(["out"] if options.get("given") == "out" else [])):
        found |= {f"{name}0": rng.standard_normal(shape).astype(dtype), f"{name}1": rng.standard_normal(BESIDE)}
        found[f"{name}1"] = found[f"{name}1"].astype(dtype)
    return found


def _pair(arrays, name):
    return [arrays[f"{name}0"], arrays[f"{name}1"]]


def _call(name, options, arrays):
    """Run a function that writes: into new arrays, into `out`, or into its (last) inputs."""
    import fastopt

    options = dict(options)
    given = options.pop("given", None)
    inputs = {"arrays": _pair(arrays, "x")} if name == "scale" else {"x": _pair(arrays, "x"), "y": _pair(arrays, "y")}
    out = {None: None, "out": _pair(arrays, "out") if "out0" in arrays else None, "in place": [*inputs.values()][-1]}
    found = getattr(fastopt.arrays, name)(**inputs, **options, out=out[given])
    found, finite = found if options.get("return_finite") else (found, None)
    written = dict(zip(("out0", "out1"), found, strict=True))
    return written if finite is None else {**written, "finite": finite}


def _expect(name, options, arrays):
    numbers = {key: value for key, value in options.items() if key not in ("given", "return_finite")}
    found = {}
    for i in "01":
        inputs = [arrays[f"{x}{i}"].astype(np.float64) for x in ("x", "y") if f"{x}{i}" in arrays]
        found[f"out{i}"] = getattr(reference, name)(*inputs, **numbers)
    finite = {"finite": all(np.isfinite(value).all() for value in found.values())}
    return found | (finite if options.get("return_finite") else {})


def _call_sums(name, options, arrays):
    import fastopt

    return {"value": getattr(fastopt.arrays, name)(_pair(arrays, "x"))}


def _expect_sums(name, options, arrays):
    return {"value": getattr(reference, name)([array.astype(np.float64) for array in _pair(arrays, "x")])}


def _traffic(passes, options, arrays):
    """Every input read once, every output written once."""
    return passes * sum(arrays[f"x{i}"].nbytes for i in "01")


SHAPES = (
    *((n,) for n in (0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 511, 513, 100_003)),
    (), (3, 5), (2, 3, 4),
)  # fmt: skip
# float32: the factor, 6e-8, and one product; the sum of two products of both signs leaves the error of the larger one.
SCALE_TOLERANCE = {"float32": (2e-7, 1e-45), "float64": (4e-16, 0.0)}
AXPBY_TOLERANCE = {"float32": (3e-7, 3e-6), "float64": (6e-16, 6e-15)}
# The sums are float64 for both types, of squares that are exact for float32.
NORM_TOLERANCE = {"float32": (1e-13, 0.0), "float64": (1e-13, 0.0)}
EXACT = {"float32": (0.0, 0.0), "float64": (0.0, 0.0)}


def _bad(name):
    """Wrong arrays, called `name` in public and x in the table."""
    first = f"{name}[0]"
    return (
        Wrong("integer arrays", lambda o, a: a.update(x0=np.arange(9)), (first, "float32", "int64"), TypeError),
        Wrong("complex arrays", lambda o, a: a.update(x0=np.ones(9, complex)), (first, "complex"), TypeError),
        Wrong("object arrays", lambda o, a: a.update(x0=np.ones(9, object)), (first, "object"), TypeError),
        Wrong("a list for an array", lambda o, a: a.update(x1=[1.0, 2.0]), (f"{name}[1]", "NumPy array"), TypeError),
        Wrong("big-endian arrays", lambda o, a: a.update(x0=a["x0"].astype(">f4")), (first, ">f4"), TypeError),
    )


def _given(**arrays):
    """Return what spoils a call by an `out` of these arrays, made from the inputs."""
    return lambda o, a: (o.update(given="out"), a.update({name: make(a) for name, make in arrays.items()}))


def _read_only(a):
    out = a["x0"].copy()
    out.setflags(write=False)
    return out


def _small(a):
    return a["x1"].copy()


OUT_WRONG = (
    Wrong("out of another shape", _given(out0=lambda a: a["x0"][1:].copy(), out1=_small), ("out[0]", "shape")),
    Wrong("integer out", _given(out0=lambda a: a["x0"].astype(int), out1=_small), ("out[0]", "int64"), TypeError),
    Wrong("read-only out", _given(out0=_read_only, out1=_small), ("out[0]", "writable")),
    Wrong(
        "broadcast out",
        _given(out0=lambda a: np.lib.stride_tricks.as_strided(a["x0"].copy(), a["x0"].shape, (0,)), out1=_small),
        ("out[0]", "broadcast"),
    ),
    Wrong(
        "a list for out", _given(out0=lambda a: a["x0"].copy(), out1=lambda a: [1.0]), ("out[1]", "array"), TypeError
    ),
    Wrong("out partly an input", _given(out0=lambda a: a["x0"][::-1], out1=_small), ("out[0]", "apart")),
    Wrong("out the input of another", _given(out0=lambda a: a["x0"], out1=lambda a: a["x0"][:5]), ("out", "apart")),
)  # fmt: skip


def _op(name, kernels, source, options, tolerance, passes, wrong, bench):
    writes = name in ("scale", "axpby")
    return Op(
        name=name,
        family="arrays",
        kernels=tuple(KERNELS[kernel] for kernel in kernels.split()),
        source=source,
        options=options,
        shapes=SHAPES,
        inputs=partial(_inputs, ("x", "y") if name == "axpby" else ("x",)),
        call=partial(_call if writes else _call_sums, name),
        expect=partial(_expect if writes else _expect_sums, name),
        tolerance=tolerance,
        wrong=wrong,
        traffic=partial(_traffic, passes),
        bench=tuple((bench, (n,)) for n in (1000, 1_000_000, 20_000_000)),
    )


OPS = (
    _op(
        "scale", "scale not_finite", "apex.multi_tensor_apply: multi_tensor_scale",
        (
            {"factor": 0.5}, {"factor": -3.0, "given": "out"},
            {"factor": 0.1, "given": "in place", "return_finite": True},
        ),
        SCALE_TOLERANCE, 2,
        (
            *_bad("arrays"), *OUT_WRONG,
            Wrong("factor NaN", lambda o, a: o.update(factor=float("nan")), ("factor", "finite", "nan")),
            Wrong("factor a word", lambda o, a: o.update(factor="half"), ("factor", "finite", "half"), TypeError),
            Wrong(
                "flag a number", lambda o, a: o.update(return_finite=1), ("return_finite", "True or False"), TypeError
            ),
        ),
        {"factor": -1.0, "given": "in place"},
    ),
    _op(
        "axpby", "axpby", "apex.multi_tensor_apply: multi_tensor_axpby",
        (
            {"a": 2.0, "b": -0.5}, {"a": 0.9, "b": 0.1, "given": "out"},
            {"a": 0.1, "b": 1.0, "given": "in place"},
        ),
        AXPBY_TOLERANCE, 3,
        (
            *_bad("x"), *OUT_WRONG,
            Wrong("y of another shape", lambda o, a: a.update(y0=a["y0"][1:]), ("y[0]", "shape")),
            Wrong("integer y", lambda o, a: a.update(y0=a["y0"].astype(int)), ("y[0]", "int64"), TypeError),
            Wrong("a infinite", lambda o, a: o.update(a=float("inf")), ("a", "finite", "inf")),
            Wrong("b a word", lambda o, a: o.update(b="half"), ("b", "finite", "half"), TypeError),
        ),
        {"a": 0.5, "b": 0.5, "given": "in place"},
    ),
    _op(
        "global_norm", "squares", "apex.multi_tensor_apply: multi_tensor_l2norm", ({},), NORM_TOLERANCE, 1,
        _bad("arrays"), {},
    ),
    _op(
        "norms", "squares", "apex.multi_tensor_apply: multi_tensor_l2norm, per_tensor=True", ({},), NORM_TOLERANCE, 1,
        _bad("arrays"), {},
    ),
    _op(
        "all_finite", "not_finite", "IEEE 754-2019, section 5.7.2, isFinite", ({},), EXACT, 1,
        _bad("arrays"), {},
    ),
)  # fmt: skip
