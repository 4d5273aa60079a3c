"""The initializers' rows of the table."""

from functools import partial

import numpy as np

from fastopt.kernels.initializers import reference
from fastopt.kernels.initializers.kernels import KERNELS
from fastopt.table.op import Op, Options, Wrong

SEED = 2**40 + 12345  # both halves of the key count


def _inputs(rng, shape, dtype, options):
    return {"out": rng.standard_normal(shape).astype(dtype)}


def _call(name, options, arrays):
    import fastopt

    out = arrays["out"]
    dtype = "float64" if getattr(out, "dtype", None) == np.float64 else "float32"  # a wrong call may bring any `out`
    arguments = {"shape": np.shape(out), "dtype": dtype, "out": out, "seed": SEED, **options}
    return {"out": getattr(fastopt.initializers, name)(**arguments)}


def _expect(name, options, arrays):
    out = arrays["out"]
    arguments = {"shape": out.shape, "dtype": str(out.dtype), "seed": SEED, **options}
    if out.size == 0:
        return {"out": np.zeros(out.shape)}
    return {"out": getattr(reference, name)(**arguments)}


def _traffic(options, arrays):
    """Every weight written once."""
    return arrays["out"].nbytes


SIZES = tuple((n,) for n in (0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 511, 513, 100_003))
FLAT_SHAPES = (*SIZES, (), (3, 5), (2, 3, 4))
FAN_SHAPES = (
    (),
    (0,),
    (1,),
    (7,),
    (33,),
    (3, 5),
    (0, 5),
    (5, 0),
    (17, 31),
    (64, 65),
    (5, 3, 4),
    (3, 2, 5, 7),
    (2, 3, 1, 5, 4),
)
MATRIX_SHAPES = ((1, 1), (1, 7), (7, 1), (0, 5), (3, 5), (17, 31), (33, 33), (65, 16), (5, 3, 4), (3, 2, 5, 7))

# Uniform: four roundings (low, high - low, the product, the sum) of numbers up to twice the bound, and no bound here is
# above 1.8 (a vector of one element).
UNIFORM_TOLERANCE = {"float32": (0.0, 6e-7), "float64": (0.0, 1e-15)}
# Normal: AS 241 states 1e-7 (PPND7) and 1e-16 (PPND16) relative; a dozen roundings of polynomials and their quotient
# come on top; a mean that cancels leaves an absolute error.
NORMAL_TOLERANCE = {"float32": (2e-6, 2e-7), "float64": (4e-15, 4e-16)}
# Orthogonal: float64 rounded at the end; QR and Gram-Schmidt differ by the condition of the normal matrix (below 1e3
# for these shapes) times rounding.
ORTHOGONAL_TOLERANCE = {"float32": (2e-7, 1e-7), "float64": (1e-12, 1e-12)}

OUT_WRONG = (
    Wrong("a shape that is a number", lambda o, a: o.update(shape=9), ("shape", "tuple", "9"), TypeError),
    Wrong("a float in the shape", lambda o, a: o.update(shape=(9.0, 2)), ("shape[0]", "integer", "9.0"), TypeError),
    Wrong("a flag in the shape", lambda o, a: o.update(shape=(True, 2)), ("shape[0]", "integer", "True"), TypeError),
    Wrong("a negative length", lambda o, a: o.update(shape=(3, -1)), ("shape[1]", "≥ 0", "-1")),
    Wrong("dtype int8", lambda o, a: o.update(dtype="int8"), ("dtype", "float32", "int8"), TypeError),
    Wrong("dtype None", lambda o, a: o.update(dtype=None), ("dtype", "float32", "None"), TypeError),
    Wrong("dtype unknown", lambda o, a: o.update(dtype="real"), ("dtype", "float32", "real"), TypeError),
    Wrong("integer out", lambda o, a: a.update(out=a["out"].astype(int)), ("out", "float32", "int64"), TypeError),
    Wrong("complex out", lambda o, a: a.update(out=a["out"].astype(complex)), ("out", "complex"), TypeError),
    Wrong("object out", lambda o, a: a.update(out=a["out"].astype(object)), ("out", "object"), TypeError),
    Wrong("a list for out", lambda o, a: a.update(out=a["out"].tolist()), ("out", "NumPy array"), TypeError),
    Wrong("out of another shape", lambda o, a: o.update(shape=(4, 4)), ("out", "shape", "(4, 4)")),
    Wrong("read-only out", lambda o, a: a["out"].setflags(write=False), ("out", "writable")),
    Wrong(
        "broadcast out", lambda o, a: a.update(out=np.lib.stride_tricks.as_strided(a["out"], (9, 9), (0, 0))),
        ("out", "broadcast"),
    ),
)  # fmt: skip
SEED_WRONG = (
    Wrong("seed negative", lambda o, a: o.update(seed=-1), ("seed", "[0, 18446744073709551616)", "-1")),
    Wrong("seed of 65 bits", lambda o, a: o.update(seed=2**64), ("seed", "[0, ", str(2**64))),
    Wrong("seed a float", lambda o, a: o.update(seed=1.0), ("seed", "integer", "1.0"), TypeError),
    Wrong("seed a flag", lambda o, a: o.update(seed=True), ("seed", "integer", "True"), TypeError),
)
LAYOUT_WRONG = (
    Wrong("layout unknown", lambda o, a: o.update(layout="oi"), ("layout", "'in_out'", "'out_in'", "'oi'")),
    Wrong("layout not a word", lambda o, a: o.update(layout=1), ("layout", "'in_out'", "1")),
)
MATRIX_WRONG = (
    Wrong(
        "0-d shape", lambda o, a: a.update(out=a["out"].reshape(-1)[0:1].reshape(())), ("shape", "axes or more", "()")
    ),
)
GAIN_WRONG = (
    Wrong("gain zero", lambda o, a: o.update(gain=0.0), ("gain", "> 0", "0.0")),
    Wrong("gain NaN", lambda o, a: o.update(gain=float("nan")), ("gain", "> 0", "nan")),
    Wrong("gain a word", lambda o, a: o.update(gain="relu"), ("gain", "relu"), TypeError),
    Wrong("gain infinite", lambda o, a: o.update(gain=float("inf")), ("gain", "> 0", "inf")),
)
WIDE_WRONG = (Wrong("gain too large", lambda o, a: o.update(gain=1.7e308), ("gain", "float")),)
TRUNCATED_WRONG = (
    Wrong("truncated not a flag", lambda o, a: o.update(truncated=1), ("truncated", "True or False"), TypeError),
)
MODE_WRONG = (Wrong("mode unknown", lambda o, a: o.update(mode="fan_avg"), ("mode", "'fan_in'", "'fan_avg'")),)
BOUNDS_WRONG = (
    Wrong("low above high", lambda o, a: o.update(low=1.0, high=0.0), ("high", "> low", "0.0")),
    Wrong("low equal to high", lambda o, a: o.update(low=1.0, high=1.0), ("high", "> low")),
    Wrong("bounds too close", lambda o, a: o.update(low=1.0, high=1.0 + 2**-53), ("high", "> low")),
    Wrong("low NaN", lambda o, a: o.update(low=float("nan")), ("low", "finite", "nan")),
    Wrong("high infinite", lambda o, a: o.update(high=float("inf")), ("high", "finite", "inf")),
    Wrong("bounds too far apart", lambda o, a: o.update(low=-1.7e308, high=1.7e308), ("high", "float")),
)  # fmt: skip
STD_WRONG = (
    Wrong("std negative", lambda o, a: o.update(std=-1.0), ("std", "≥ 0", "-1.0")),
    Wrong("std NaN", lambda o, a: o.update(std=float("nan")), ("std", "≥ 0", "nan")),
    Wrong("std too large", lambda o, a: o.update(std=1.7e308), ("std", "float")),
    Wrong("mean infinite", lambda o, a: o.update(mean=float("inf")), ("mean", "finite", "inf")),
    Wrong("mean a word", lambda o, a: o.update(mean="0"), ("mean", "finite"), TypeError),
)


def _op(name, kernels, source, options, shapes, tolerance, wrong, bench):
    return Op(
        name=name,
        family="initializers",
        kernels=tuple(KERNELS[kernel] for kernel in kernels.split()),
        source=source,
        options=options,
        shapes=shapes,
        inputs=_inputs,
        call=partial(_call, name),
        expect=partial(_expect, name),
        tolerance=tolerance,
        wrong=(*OUT_WRONG, *SEED_WRONG, *wrong),
        traffic=_traffic,
        bench=tuple(({}, shape) for shape in bench),
    )


GLOROT, HE = "Glorot and Bengio 2010, equations 12 and 16", "He et al. 2015, equations 10 and 14"
LECUN, PHILOX = "LeCun et al. 1998, equation 16", "Salmon et al. 2011 (Philox4x32-10)"
OUT_IN = {"layout": "out_in"}
CUT = {"truncated": True}
MOMENTS: Options = ({}, {"mean": 0.5, "std": 1.0}, {"mean": 0.5, "std": 0.0})
LARGE, LAYER = ((1000,), (10_000_000,)), ((784, 256), (4096, 4096))

OPS = (
    _op("glorot_uniform", "uniform", GLOROT, ({}, {**OUT_IN, "gain": 0.5}), FAN_SHAPES, UNIFORM_TOLERANCE,
        (*LAYOUT_WRONG, *GAIN_WRONG, *WIDE_WRONG), LAYER),
    _op("glorot_normal", "normal", GLOROT, ({}, {**OUT_IN, "gain": 0.5}, CUT), FAN_SHAPES, NORMAL_TOLERANCE,
        (*LAYOUT_WRONG, *GAIN_WRONG, *WIDE_WRONG, *TRUNCATED_WRONG), LAYER),
    _op("he_uniform", "uniform", HE, ({"gain": 1.0}, {**OUT_IN, "gain": 0.5, "mode": "fan_out"}), FAN_SHAPES,
        UNIFORM_TOLERANCE, (*LAYOUT_WRONG, *GAIN_WRONG, *WIDE_WRONG, *MODE_WRONG), LAYER),
    _op("he_normal", "normal", HE, ({}, {**OUT_IN, "gain": 0.5, "mode": "fan_out"}, CUT), FAN_SHAPES,
        NORMAL_TOLERANCE, (*LAYOUT_WRONG, *GAIN_WRONG, *WIDE_WRONG, *MODE_WRONG, *TRUNCATED_WRONG), LAYER),
    _op("lecun_uniform", "uniform", LECUN, ({}, OUT_IN), FAN_SHAPES, UNIFORM_TOLERANCE, LAYOUT_WRONG, LAYER),
    _op("lecun_normal", "normal", LECUN, ({}, {**OUT_IN, **CUT}), FAN_SHAPES, NORMAL_TOLERANCE,
        (*LAYOUT_WRONG, *TRUNCATED_WRONG), LAYER),
    _op("fan_in_uniform", "uniform", "torch.nn.Linear.reset_parameters", ({}, OUT_IN), FAN_SHAPES, UNIFORM_TOLERANCE,
        LAYOUT_WRONG, LAYER),
    _op("uniform", "uniform", PHILOX, ({}, {"low": 0.25, "high": 1.0}), FLAT_SHAPES, UNIFORM_TOLERANCE, BOUNDS_WRONG,
        LARGE),
    _op("normal", "normal", f"{PHILOX}; Wichura 1988, AS 241", MOMENTS, FLAT_SHAPES,
        NORMAL_TOLERANCE, STD_WRONG, LARGE),
    _op("truncated_normal", "normal", f"{PHILOX}; Wichura 1988, AS 241", MOMENTS, FLAT_SHAPES,
        NORMAL_TOLERANCE, STD_WRONG, LARGE),
    _op("orthogonal", "normal", "Saxe et al. 2014", ({}, {**OUT_IN, "gain": 0.5}), MATRIX_SHAPES, ORTHOGONAL_TOLERANCE,
        (*LAYOUT_WRONG, *GAIN_WRONG, *MATRIX_WRONG), ((256, 256),)),
)  # fmt: skip
