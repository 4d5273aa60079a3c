"""The linear layer's cross-entropy: its row of the table. The products are NumPy's, the kernels are softmax's."""

import numpy as np

from fastopt.kernels.losses import reference
from fastopt.kernels.runtime.kernel import Kernel
from fastopt.table.op import Op, Wrong

# Products of rows of up to 300 elements and sums of up to 600 of them, whose roundings mostly cancel, pass on to exp.
TOLERANCE = {"float32": (1e-5, 1e-5), "float64": (2e-14, 2e-14)}
SHAPES = (  # samples, features, classes
    (1, 1, 1), (1, 3, 2), (2, 1, 5), (7, 17, 33), (33, 31, 100), (64, 300, 513), (600, 8, 31), (5, 3, 100_003),
)  # fmt: skip


def _inputs(rng, shape, dtype, options):
    samples, features, classes = shape
    wide = classes, features
    arrays = {
        "x": rng.standard_normal((samples, features), dtype=dtype),
        "weight": rng.standard_normal(wide[:: 1 if options.get("layout") != "in_out" else -1], dtype=dtype),
        "bias": rng.standard_normal(classes, dtype=dtype),
        "y_true": rng.integers(0, classes, samples),
    }
    arrays["weight"] /= np.asarray(np.sqrt(features), dtype)
    if options.get("masked"):
        arrays["mask"] = rng.random(samples) < 0.6
    if options.get("weighted"):
        arrays["sample_weight"] = np.asarray(rng.integers(0, 5, samples) * 0.3).astype(dtype)
    if not options.get("biased", True):
        del arrays["bias"]
    return arrays


def _call(options, arrays):
    import fastopt

    known = {key: value for key, value in options.items() if key not in ("weighted", "biased", "masked")}
    loss = fastopt.losses.LinearCrossEntropy(**known)
    given = arrays["x"], arrays["weight"], arrays["y_true"], arrays.get("bias"), arrays.get("sample_weight")
    if options.get("reduction") == "none":
        return {"value": loss(*given, mask=arrays.get("mask"))}
    out = (arrays["out"], None, None) if "out" in arrays else None
    value, gradients = loss.value_and_grad(*given, out=out, mask=arrays.get("mask"))
    found = {"value": value, "grad_x": gradients.x, "grad_weight": gradients.weight}
    return found | ({} if gradients.bias is None else {"grad_bias": gradients.bias})


def _expect(options, arrays):
    wide = {name: array.astype(np.float64) for name, array in arrays.items() if name not in ("y_true", "mask")}
    labels, turned = arrays["y_true"], options.get("layout") == "in_out"
    scale = wide.get("sample_weight", np.ones(len(labels)))
    kept = (labels != options.get("ignore_class", -1)) & arrays.get("mask", True)
    scale = np.where(kept, scale, 0.0)
    if options.get("reduction", "mean") == "mean":
        scale = scale / max(1, np.count_nonzero(kept))
    weight = wide["weight"].T if turned else wide["weight"]
    value, grad_x = np.zeros(len(kept)), np.zeros(wide["x"].shape)  # nothing of an ignored sample is looked at
    value[kept], grad_x[kept], grad_weight, grad_bias = reference.linear_cross_entropy(
        wide["x"][kept], weight, wide.get("bias"), labels[kept], scale[kept],
        **{name: options[name] for name in ("z_loss", "logit_softcap", "label_smoothing") if name in options},
    )  # fmt: skip
    if options.get("reduction") == "none":
        return {"value": value}
    found = {"value": value.sum(), "grad_x": grad_x, "grad_weight": grad_weight.T if turned else grad_weight}
    return found | ({"grad_bias": grad_bias} if "bias" in wide else {})


def _traffic(options, arrays):
    """Arguments read, gradients written: the products' arithmetic takes longer."""
    return 2 * sum(array.nbytes for array in arrays.values())


WRONG = (
    Wrong("unknown reduction", lambda o, a: o.update(reduction="median"), ("reduction", "'mean'", "'median'")),
    Wrong("unknown layout", lambda o, a: o.update(layout="wide"), ("layout", "'out_in'", "'wide'")),
    Wrong("no memory", lambda o, a: o.update(max_bytes=0), ("max_bytes", "≥ 1", "0")),
    Wrong("too little memory", lambda o, a: o.update(max_bytes=10), ("max_bytes", "at least", "got 10")),
    Wrong("ignore_class a float", lambda o, a: o.update(ignore_class=0.5), ("ignore_class", "integer"), TypeError),
    Wrong("integers", lambda o, a: a.update(x=a["x"].astype(int)), ("x", "float32", "int64"), TypeError),
    Wrong("complex", lambda o, a: a.update(x=a["x"].astype(complex)), ("x", "complex"), TypeError),
    Wrong("object", lambda o, a: a.update(x=a["x"].astype(object)), ("x", "object"), TypeError),
    Wrong("float16", lambda o, a: a.update(x=a["x"].astype(np.float16)), ("x", "float16"), TypeError),
    Wrong("a list", lambda o, a: a.update(x=[1.0]), ("x", "NumPy array", "list"), TypeError),
    Wrong("no samples", lambda o, a: a.update(x=a["x"][:0], y_true=a["y_true"][:0]), ("x", "at least one element")),
    Wrong("one axis alone", lambda o, a: a.update(x=a["x"][0]), ("x", "at least 2 axes")),
    Wrong(
        "weight of other features", lambda o, a: a.update(weight=a["weight"][:, 1:].copy()), ("weight", "(classes, ")
    ),
    Wrong(
        "weight of another dtype", lambda o, a: a.update(weight=a["weight"].astype("f8")), ("weight", "f"), TypeError
    ),
    Wrong("bias of another shape", lambda o, a: a.update(bias=a["bias"][1:]), ("bias", "shape")),
    Wrong("a label too large", lambda o, a: a["y_true"].fill(10**6), ("y_true", "labels in [0, ")),
    Wrong("a label below 0", lambda o, a: a["y_true"].fill(-1), ("y_true", "labels in [0, ", "-1")),
    Wrong("float labels", lambda o, a: a.update(y_true=a["y_true"] * 1.0), ("y_true", "integer"), TypeError),
    Wrong("labels of another shape", lambda o, a: a.update(y_true=a["y_true"][1:]), ("y_true", "shape")),
    Wrong(
        "weights negative", lambda o, a: a.update(sample_weight=np.full(len(a["x"]), -1, a["x"].dtype)),
        ("sample_weight", "≥ 0"),
    ),
    Wrong("z_loss negative", lambda o, a: o.update(z_loss=-1.0), ("z_loss", "≥ 0", "-1.0")),
    Wrong("logit_softcap zero", lambda o, a: o.update(logit_softcap=0.0), ("logit_softcap", "> 0", "0.0")),
    Wrong("class_weight a list", lambda o, a: o.update(class_weight=[1.0]), ("class_weight", "NumPy array"), TypeError),
    Wrong(
        "class_weight of another length", lambda o, a: o.update(class_weight=np.ones(99, a["x"].dtype)),
        ("class_weight", "shape", "(99,)"),
    ),
    Wrong("mask of another shape", lambda o, a: a.update(mask=np.ones(len(a["x"]) + 1, bool)), ("mask", "shape")),
    Wrong("mask of numbers", lambda o, a: a.update(mask=np.ones(len(a["x"]))), ("mask", "bool"), TypeError),
    Wrong("out of another shape", lambda o, a: a.update(out=a["x"][1:].copy()), ("out[0]", "shape")),
    Wrong(
        "out in an argument's memory", lambda o, a: a.update(out=a["x"]),
        ("out[0]", "apart from x", "overlap"),
    ),
)  # fmt: skip


def op(kernels: tuple[Kernel, ...]) -> Op:
    return Op(
        name="linear_cross_entropy",
        family="losses",
        kernels=kernels,
        source="Bridle 1990",
        options=(
            {}, {"layout": "in_out", "biased": False, "reduction": "sum"},
            {"ignore_class": 0, "weighted": True, "max_bytes": 2**25}, {"reduction": "none", "ignore_class": 1},
            {"z_loss": 0.1, "logit_softcap": 5.0, "label_smoothing": 0.1, "masked": True},
        ),
        shapes=SHAPES,
        inputs=_inputs,
        call=_call,
        expect=_expect,
        tolerance=TOLERANCE,
        wrong=WRONG,
        traffic=_traffic,
        bench=(({"biased": False}, (128, 64, 10)), ({"biased": False}, (512, 768, 8000))),
    )  # fmt: skip
