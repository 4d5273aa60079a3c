"""Wrong calls of the losses, and the words of their errors."""

from dataclasses import replace

import numpy as np

from fastopt.table.op import Wrong


def _shifted(a):
    """Give y_pred and out memory that overlaps, one element apart."""
    memory = np.append(a["y_pred"].ravel(), a["y_pred"].ravel()[:1])
    a.update(y_pred=memory[:-1].reshape(a["y_pred"].shape), out=memory[1:].reshape(a["y_pred"].shape))


def _set(name, value, index=3):
    return lambda o, a: a[name].__setitem__(np.unravel_index(index, a[name].shape), value)


def _leading(a):
    return a["y_pred"].shape[:-1] if a["y_pred"].ndim > 1 else a["y_pred"].shape


def _weight(value):
    return lambda o, a: a.update(sample_weight=np.full(_leading(a), value, a["y_pred"].dtype))


SHARED = (
    Wrong("no such axis", lambda o, a: o.update(axis=9), ("axis", "y_pred", "9")),
    Wrong("half an axis", lambda o, a: o.update(axis=0.5), ("axis", "integer", "0.5"), TypeError),
    Wrong("unknown reduction", lambda o, a: o.update(reduction="median"), ("reduction", "'mean'", "'median'")),
    Wrong(
        "integer predictions",
        lambda o, a: a.update(y_pred=a["y_pred"].astype(int)),
        ("y_pred", "float32", "int64"),
        TypeError,
    ),
    Wrong(
        "complex predictions",
        lambda o, a: a.update(y_pred=a["y_pred"].astype(complex)),
        ("y_pred", "complex"),
        TypeError,
    ),
    Wrong(
        "object predictions", lambda o, a: a.update(y_pred=a["y_pred"].astype(object)), ("y_pred", "object"), TypeError
    ),
    Wrong(
        "float16 predictions",
        lambda o, a: a.update(y_pred=a["y_pred"].astype(np.float16)),
        ("y_pred", "float16"),
        TypeError,
    ),
    Wrong(
        "a list for predictions", lambda o, a: a.update(y_pred=[1.0, 2.0]), ("y_pred", "NumPy array", "list"), TypeError
    ),
    Wrong("a list for labels", lambda o, a: a.update(y_true=[1.0, 2.0]), ("y_true", "NumPy array", "list"), TypeError),
    Wrong("nothing for labels", lambda o, a: a.update(y_true=None), ("y_true", "NumPy array", "None"), TypeError),
    Wrong(
        "complex labels", lambda o, a: a.update(y_true=a["y_true"].astype(complex)), ("y_true", "complex"), TypeError
    ),
    Wrong("labels of another shape", lambda o, a: a.update(y_true=a["y_true"][:-1]), ("y_true", "shape")),
    Wrong(
        "empty",
        lambda o, a: a.update(y_pred=a["y_pred"][:0], y_true=a["y_true"][:0]),
        ("y_pred", "at least one element"),
    ),
    Wrong("no axis", lambda o, a: a.update(y_pred=np.ones((), "f4")), ("y_pred", "at least")),
    Wrong("weights negative", _weight(-0.5), ("sample_weight", "≥ 0", "-0.5")),
    Wrong("weights NaN", _weight(np.nan), ("sample_weight", "≥ 0", "nan")),
    Wrong("weights infinite", _weight(np.inf), ("sample_weight", "finite", "inf")),
    Wrong(
        "weights of another shape",
        lambda o, a: a.update(sample_weight=np.ones((*_leading(a), 2), a["y_pred"].dtype)),
        ("sample_weight", "shape"),
    ),
    Wrong(
        "weights of another dtype",
        lambda o, a: a.update(sample_weight=np.ones(_leading(a), int)),
        ("sample_weight", "int64"),
        TypeError,
    ),
    Wrong("out of another shape", lambda o, a: a.update(out=a["y_pred"][:-1].copy()), ("out", "shape")),
    Wrong(
        "out of another dtype",
        lambda o, a: a.update(out=a["y_pred"].astype(np.float64)),
        ("out", "float32", "float64"),
        TypeError,
    ),
    Wrong("out of another type", lambda o, a: a.update(out=[0.0]), ("out", "NumPy array"), TypeError),
    Wrong("out shifted against y_pred", lambda o, a: _shifted(a), ("out", "y_pred", "overlap")),
    Wrong(
        "out read-only",
        lambda o, a: a.update(out=np.broadcast_to(a["y_pred"][:1], a["y_pred"].shape)),
        ("out", "writable"),
    ),
    Wrong(
        "out broadcast",
        lambda o, a: a.update(
            out=np.lib.stride_tricks.as_strided(a["y_pred"].copy(), a["y_pred"].shape, (0,) * a["y_pred"].ndim)
        ),
        ("out", "broadcast"),
    ),
)
DENSE = (
    Wrong(
        "integer labels",
        lambda o, a: a.update(y_true=a["y_true"].astype(int)),
        ("y_true", "float32", "int64"),
        TypeError,
    ),
    Wrong(
        "labels of another float",
        lambda o, a: a.update(y_true=a["y_true"].astype(float)),
        ("y_true", "float32", "float64"),
        TypeError,
    ),
    Wrong("out in the labels' memory", lambda o, a: a.update(out=a["y_true"]), ("out", "y_true", "overlap")),
)


def _as_probabilities(wrong):
    return replace(wrong, spoil=lambda o, a: (o.update(from_logits=False), a["y_pred"].fill(0.5), wrong.spoil(o, a)))


PROBABILITY = (
    Wrong("a probability above 1", _set("y_pred", 1.5), ("y_pred", "[0, 1]", "1.5")),
    Wrong("a probability below 0", _set("y_pred", -0.5), ("y_pred", "[0, 1]", "-0.5")),
)
# the same for losses whose first options ask for logits
PROBABILITY_NOT_LOGITS = tuple(map(_as_probabilities, PROBABILITY))
SMOOTHING = (
    Wrong("label_smoothing above 1", lambda o, a: o.update(label_smoothing=1.5), ("label_smoothing", "[0, 1]", "1.5")),
    Wrong("label_smoothing a string", lambda o, a: o.update(label_smoothing="no"), ("label_smoothing",), TypeError),
)
LOGITS = (
    Wrong("from_logits not a flag", lambda o, a: o.update(from_logits=1), ("from_logits", "True or False"), TypeError),
)
LOGARITHMS = (
    Wrong(
        "clip_logarithms of logits", lambda o, a: o.update(clip_logarithms=True, from_logits=True),
        ("clip_logarithms", "from_logits=True"),
    ),
    Wrong(
        "clip_logarithms not a flag", lambda o, a: o.update(clip_logarithms=-100),
        ("clip_logarithms", "True or False"), TypeError,
    ),
)  # fmt: skip
DISTRIBUTION = (
    Wrong("labels not one-hot", lambda o, a: a["y_true"].fill(1.0), ("y_true", "one-hot", "sum")),
    Wrong("a label below 0", _set("y_true", -1.0), ("y_true", "one-hot", "minimum -1")),
    Wrong("a label NaN", _set("y_true", np.nan), ("y_true", "one-hot", "nan")),
)
FLAT = (
    Wrong("one axis alone", lambda o, a: a.update(y_pred=a["y_pred"].ravel()), ("y_pred", "at least 2 axes", "shape")),
)


HUBER = (
    Wrong("delta zero", lambda o, a: o.update(delta=0.0), ("delta", "> 0", "0.0")),
    Wrong("delta infinite", lambda o, a: o.update(delta=np.inf), ("delta", "finite", "inf")),
    Wrong("delta a string", lambda o, a: o.update(delta="wide"), ("delta", "wide"), TypeError),
)
BINARY = (
    Wrong("a label above 1", _set("y_true", 2.0), ("y_true", "[0, 1]", "2.0")),
    Wrong("a label NaN", _set("y_true", np.nan), ("y_true", "[0, 1]", "nan")),
)
SIGN = (
    Wrong("a label of 2", _set("y_true", 2.0), ("y_true", "-1 and 1", "2.0")),
    Wrong("labels mixed", lambda o, a: a["y_true"].__setitem__(slice(0, 2), (0, -1)), ("y_true", "1 of 0")),
)
LABEL = (
    Wrong("a label too large", lambda o, a: a["y_true"].fill(a["y_pred"].shape[-1]), ("y_true", "labels in [0, ")),
    Wrong("a label below 0", lambda o, a: a["y_true"].fill(-1), ("y_true", "labels in [0, ", "-1")),
    Wrong("float labels", lambda o, a: a.update(y_true=a["y_true"].astype(float)), ("y_true", "integer"), TypeError),
    Wrong("ignore_class a float", lambda o, a: o.update(ignore_class=0.5), ("ignore_class", "integer"), TypeError),
)
SMOOTHED_LABELS = (
    Wrong(
        "label_smoothing of probabilities", lambda o, a: o.update(label_smoothing=0.1, from_logits=False),
        ("label_smoothing", "from_logits=True"),
    ),
    Wrong(
        "label_smoothing beside class weights and z-loss",
        lambda o, a: o.update(
            label_smoothing=0.1, z_loss=0.1, class_weight=np.ones(a["y_pred"].shape[-1], a["y_pred"].dtype)
        ),
        ("z_loss", "class_weight"),
    ),
)  # fmt: skip
CLASSES = (
    Wrong("z_loss negative", lambda o, a: o.update(z_loss=-1.0), ("z_loss", "≥ 0", "-1.0")),
    Wrong("z_loss without logits", lambda o, a: o.update(z_loss=0.1, from_logits=False), ("z_loss", "from_logits")),
    Wrong("logit_softcap zero", lambda o, a: o.update(logit_softcap=0.0), ("logit_softcap", "> 0", "0.0")),
    Wrong("class_weight a list", lambda o, a: o.update(class_weight=[1.0]), ("class_weight", "NumPy array"), TypeError),
    Wrong(
        "class_weight of another length", lambda o, a: o.update(class_weight=np.ones(99, a["y_pred"].dtype)),
        ("class_weight", "shape", "(99,)"),
    ),
    Wrong(
        "class_weight negative",
        lambda o, a: o.update(class_weight=np.full(a["y_pred"].shape[-1], -1, a["y_pred"].dtype)),
        ("class_weight", "≥ 0", "-1.0"),
    ),
)  # fmt: skip
