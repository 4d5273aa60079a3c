"""Losses whose rows are looked at whole, and losses of elements that are weighed row by row, as kernels for CUDA.

A kernel for each loss and kind of numbers, and for short rows and long ones, as the CPU sums them up. What a call asks
for besides (weights, a mask, an ignored class, smoothing, z-loss, the gradient) comes as numbers, all lanes alike.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from fastopt.kernels.losses import rules
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.kernels.runtime.cuda_rows import SHORT, Once, Pass, Rows

SOURCES = ("losses/rules.py", "losses/pieces.py", "losses/cuda_rules.py")
DIMS = ("columns", "gradient_wanted", "weighted", "per_weight", "masked", "ignore_class", "classed")


class Kinds(NamedTuple):
    """How a call's arrays are kept: predictions and gradients, labels or distributions; and what computes."""

    pred: str
    true: str
    real: str


Step = Pass | Once
WEIGHT = "w = load_weight(p_weight, row // per_weight) if weighted else 1.0"
KEPT = "kept = (masked == 0) or (load_mask(p_mask, row) != 0)"
OF_ROWS = Once((WEIGHT, KEPT))
OF_LABELS = Once((
    WEIGHT,
    "label = load_labels(p_labels, row)",
    "kept = (label != ignore_class) and ((masked == 0) or (load_mask(p_mask, row) != 0))",
    "label = label if kept else 0",
    "w = load_class_weight(p_class_weight, label) * w if classed else w",
))  # fmt: skip
VALUE = {"values": "w * value if kept else 0.0"}
SLOPE = {"gradient": "w * slope if kept else 0.0"}
WEIGHED = (  # a distribution's share of a class
    "share = y_true",
    "if classed:",
    "    share = load_class_weight(p_class_weight, c) * (smooth_keep * y_true + smooth_shift)",
    "t = keep * share + shift",
)
SPREAD = (
    "t = keep * (load_class_weight(p_class_weight, c) * (smooth_keep + smooth_shift if c == label else smooth_shift))",
    "t = t + shift",
)


def _softmax_sparse(short: bool, x: tuple[str, ...], back: tuple[str, ...]) -> list[Step]:
    if short:
        return _dense(short, x, back, OF_LABELS, ("t = keep + shift if c == label else shift",))
    picked = ["y_pred = load_y_pred(p_y_pred, at + label)", *x, "picked = below(x, top)"]
    value = "value, pull = sparse_value(mass, top, picked, real(depths), keep, shift, z_loss)"
    slope = "slope = sparse_slope(x, top, factor, spread, scale * keep, c == label)"
    return [
        OF_LABELS,
        Pass({"top": ("max", "x")}, x, when="kept"),
        Once(tuple(picked)),
        Pass({"masses": ("lanes", "exp_nonpositive(below(x, top))")}, x, when="kept"),
        Pass({"depths": ("lanes", "below(x, top)")}, x, when="kept and shift != 0.0"),
        Once(("mass = real(masses)", value, "factor = scale * pull / mass", "spread = scale * shift"), VALUE),
        Pass({}, (*x, slope, *back), SLOPE, "gradient_wanted"),
    ]


def _dense(
    short: bool, x: tuple[str, ...], back: tuple[str, ...], begin: Once = OF_ROWS, t: tuple[str, ...] = WEIGHED
) -> list[Step]:
    how = "real" if short else "lanes"
    sums = {"targets": (how, "t"), "dots": (how, "term_of(t, x, top)")}
    value = "value, pull = dense_value(mass, top, real(targets), real(dots), z_loss)"
    slope = "slope = factor * exp_nonpositive(below(x, top)) - scale * t"
    return [
        begin,
        Pass({"top": ("max", "x")}, x, when="kept"),
        Pass(sums, (*x, *t), when="kept"),
        Pass({"masses": (how, "exp_nonpositive(below(x, top))")}, x, when="kept"),
        Once(("mass = real(masses)", value, "factor = scale * pull / mass"), VALUE),
        Pass({}, (*x, *t, slope, *back), SLOPE, "gradient_wanted"),
    ]


def _softmax_spread(short: bool, x: tuple[str, ...], back: tuple[str, ...]) -> list[Step]:
    begin = OF_LABELS._replace(lines=OF_LABELS.lines[:-1])
    return _dense(short, x, back, begin, SPREAD)


def _probabilities(short: bool) -> list[Step]:
    how = "real" if short else "lanes"
    q = (*WEIGHED, "q = y_pred / mass")
    return [
        OF_ROWS,
        Pass({"masses": (how, "y_pred")}, when="kept"),
        Once(("mass = real(masses)",)),
        Pass({"losses": (how, "t * log(clipped(q))"), "inner": (how, "kept_of(q, t)")}, q, when="kept"),
        Once(("value = real(0.0 - losses)",), VALUE),
        Pass({}, (*q, "slope = (real(inner) - probability_slope(q, t)) * (scale / mass)"), SLOPE, "gradient_wanted"),
    ]


def _probabilities_sparse(short: bool) -> list[Step]:
    q = "q = load_y_pred(p_y_pred, at + label) / mass"
    at_label = "(inner - inner / clipped(q)) * (scale / mass)"
    return [
        OF_LABELS,
        Pass({"masses": ("row", "y_pred")}, when="kept"),
        Once(("mass = real(masses)", q, "inner = one_if_inside(q)", "value = -log(clipped(q))"), VALUE),
        Pass({}, (f"slope = {at_label} if c == label else inner * (scale / mass)",), SLOPE, "gradient_wanted"),
    ]


def _generalized_crossentropy(short: bool) -> list[Step]:
    return [
        OF_LABELS,
        Once(("value, steep = generalized(load_y_pred(p_y_pred, at + label), q, scale)",), VALUE),
        Pass({}, ("slope = steep if c == label else 0.0",), SLOPE, "gradient_wanted"),
    ]


def _focal_probabilities(short: bool) -> list[Step]:
    each = (*WEIGHED, "t = alpha * t", "loss, slope = focal_probability(y_pred, t, mass, gamma)")
    turned = "slope * (y_pred / mass)"
    return [
        OF_ROWS,
        Pass({"masses": ("row", "y_pred")}, when="kept"),
        Once(("mass = real(masses)",)),
        Pass({"losses": ("parts", "loss"), "turned": ("parts", turned)}, each, when="kept"),
        Once(("value = real(losses)", "level = real(turned)"), VALUE),
        Pass({}, (*each, "slope = (slope - level) * (scale / mass)"), SLOPE, "gradient_wanted"),
    ]


def _focal_softmax(short: bool) -> list[Step]:
    e = "e = exp_nonpositive(below(y_pred, top))"
    each = (*WEIGHED, "t = alpha * t", e, "loss, steep = focal_logit(y_pred, e, t, top, mass, gamma)")
    return [
        OF_ROWS,
        Pass({"top": ("max", "y_pred")}, when="kept"),
        Pass({"masses": ("lanes", "exp_nonpositive(below(y_pred, top))")}, when="kept"),
        Once(("mass = real(masses)",)),
        Pass({"losses": ("parts", "loss"), "turned": ("parts", "steep")}, each, when="kept"),
        Once(("value = real(losses)", "level = real(turned)"), VALUE),
        Pass({}, (*each, "slope = scale * (steep - e / mass * level)"), SLOPE, "gradient_wanted"),
    ]


def _cosine_proximity(short: bool, real: str) -> list[Step]:
    def sums(left: str, right: str, behind: str) -> dict[str, tuple[str, str]]:
        return {
            f"norm{behind}": ("parts", f"{left} * {left}"), f"length{behind}": ("parts", f"{right} * {right}"),
            f"product{behind}": ("parts", f"{left} * {right}"),
        }  # fmt: skip

    far = "far = kept and not ((norm < INFINITY) and (length < INFINITY) and (abs(product) < INFINITY))"
    chosen = tuple([f"{name} = {name}_2 if far else {name}" for name in ("norm", "length", "product")])
    return [
        OF_ROWS,
        Pass(sums("y_true", "y_pred", ""), when="kept"),
        Once((far,)),
        Pass({"most_true": ("max", "abs(y_true)"), "most_pred": ("max", "abs(y_pred)")}, when="far"),
        Once((f"of_true = power_below_{real}(most_true)", f"of_pred = power_below_{real}(most_pred)")),
        Pass(sums("(of_true * y_true)", "(of_pred * y_pred)", "_2"), when="far"),
        Once(chosen),
        Once(("angle, towards, back = cosine(norm, length, product, of_true, of_pred, scale)", "value = real(-angle)"),
             VALUE),
        Pass({}, ("slope = back * (of_pred * y_pred) - towards * (of_true * y_true)",), SLOPE, "gradient_wanted"),
    ]  # fmt: skip


def _categorical_hinge(short: bool) -> list[Step]:
    other = ("other = (1.0 - y_true) * y_pred",)
    return [
        OF_ROWS,
        Pass({"best": ("max", "other")}, other, when="kept"),
        Pass({"best_at": ("least", "c if other == best else 2147483647")}, other, when="kept"),
        Pass({"product": ("parts", "y_true * y_pred")}, when="kept"),
        Once(("margin = (np.float64(best) - product) + 1", "value, steep = hinge_of_margin(margin, scale)"), VALUE),
        Pass({}, ("slope = hinge_slope(y_true, steep, c == best_at)",), SLOPE, "gradient_wanted"),
    ]


def _overlap(short: bool) -> list[Step]:
    sums = {"common": ("parts", "y_true * y_pred"), "of_true": ("row", "y_true"), "of_pred": ("row", "y_pred")}
    wide = "wide, steep, level = overlap(common, of_true, of_pred, s_scale, s_missed, s_added, s_epsilon)"
    return [
        OF_ROWS,
        Pass(sums, when="kept"),
        Once((wide, "value = real(wide)"), VALUE),
        Pass({}, ("slope = real(steep) * y_true + real(level)",), SLOPE, "gradient_wanted"),
    ]


def _multi_margin(short: bool) -> list[Step]:
    each = ("loss, slope = margin_of(y_pred, own, margin, share, squared != 0.0, c == label)",)
    return [
        OF_LABELS,
        Once(("own = load_y_pred(p_y_pred, at + label)", "share = scale / real(columns)")),
        Pass({"losses": ("parts", "loss"), "turned": ("row", "slope")}, each, when="kept"),
        Once(("value = real(losses / columns)",), VALUE),
        Pass({}, (*each, "slope = real(-turned) if c == label else slope"), SLOPE, "gradient_wanted"),
    ]


ROWS: dict[str, Callable[[bool], list[Step]]] = {
    "probabilities": _probabilities, "probabilities_sparse": _probabilities_sparse,
    "categorical_hinge": _categorical_hinge, "overlap": _overlap, "multi_margin": _multi_margin,
    "generalized_crossentropy": _generalized_crossentropy, "focal_probabilities": _focal_probabilities,
    "focal_softmax": _focal_softmax,
}  # fmt: skip
LOGITS = {"softmax": _dense, "softmax_sparse": _softmax_sparse, "softmax_spread": _softmax_spread}
LABELS = ("softmax_sparse", "softmax_spread", "probabilities_sparse", "multi_margin", "generalized_crossentropy")
SCALARS = {"softmax_spread": KERNELS["softmax"].scalars}
DISTRIBUTIONS = ("softmax", "softmax_spread", "probabilities", "focal_probabilities", "focal_softmax")
LANES_ALWAYS = ("focal_softmax",)  # short rows too


@cache
def rows(name: str, columns: int, kinds: Kinds, capped: bool = False) -> Rows:
    """Return the kernel of a loss of rows, for rows so long."""
    return _rows(name, columns < SHORT and name not in LANES_ALWAYS, kinds, capped)


@cache
def _rows(name: str, short: bool, kinds: Kinds, capped: bool) -> Rows:
    if name in LOGITS:
        x = ("x = soft_cap(y_pred, cap)",) if capped else ("x = y_pred",)
        steps = LOGITS[name](short, x, ("slope = uncap(x, slope, cap)",) if capped else ())
    elif name == "cosine_proximity":
        steps = _cosine_proximity(short, kinds.real)
    else:
        steps = ROWS[name](short)
    scalars = SCALARS.get(name) or KERNELS[name].scalars
    scalars += (("smooth_keep", "smooth_shift") if name in DISTRIBUTIONS else ()) + (("cap",) if capped else ())
    return _kernel(name + ("_capped" if capped else ""), short, kinds, tuple(steps), scalars, name in LABELS)


@cache
def of_elements(name: str, columns: int, kinds: Kinds, wanted: bool) -> Rows:
    """Return the kernel of a loss of elements whose rows have values of their own."""
    return _of_elements(name, columns < SHORT, kinds, wanted)


@cache
def _of_elements(name: str, short: bool, kinds: Kinds, wanted: bool) -> Rows:
    takes = inspect.signature(getattr(rules, name)).parameters
    line = f"back, loss = {name}({', '.join(takes)})"
    steps = (
        OF_ROWS,
        Pass({"losses": ("row", "loss")}, (line,), {"gradient": "w * back if kept else 0.0"} if wanted else {}),
        Once(("value = real(losses) / real(divisor)",), VALUE),
    )
    made = name + ("_gradient" if wanted else "")
    return _kernel(made, short, kinds, steps, KERNELS[name].scalars, False, ("divisor",))


def _kernel(
    name: str, short: bool, kinds: Kinds, steps: tuple[Step, ...], scalars: tuple[str, ...], labels: bool,
    dims: tuple[str, ...] = (),
) -> Rows:  # fmt: skip
    arrays = {"labels" if labels else "y_true": kinds.true, "y_pred": kinds.pred, "gradient": kinds.pred}
    arrays |= {"values": kinds.real, "weight": kinds.real, "mask": "bool", "class_weight": kinds.real}
    form = "thread" if short else "team"
    made = "_".join(["rows", name, *dict.fromkeys(kinds), form])
    return Rows(made, arrays, steps, SOURCES, (*DIMS, *dims), scalars, kinds.real, form)


# ---- sums over rows, and checks


@cache
def total(real: str) -> Rows:
    """Return what adds up rows' values as the CPU's pipeline does: block by block of its grains."""
    extent = (
        "at = (row // per) * grain + (row % per) * block_rows",
        "columns = min(min(at + block_rows, (row // per) * grain + grain), count) - at",
    )
    steps = (Pass({"sums": ("lanes", "values")}), Once((), {"partials": "sums"}))
    arrays, dims = {"values": real, "partials": "float64"}, ("grain", "block_rows", "per", "count")
    return Rows(f"rows_total_{real}", arrays, steps, (), dims, (), real, extent=extent)


@cache
def not_distributions(kind: str, real: str, short: bool) -> Rows:
    steps = (
        Pass({"wrong": ("row", "is_no_share(y_true)"), "mass": ("row", "y_true")}),
        Once(("found = real(wrong) + is_no_mass(mass)",), {"values": "found"}),
    )
    form = "thread" if short else "team"
    arrays = {"y_true": kind, "values": real}
    return Rows(f"rows_not_distributions_{kind}_{form}", arrays, steps, SOURCES, real=real, form=form)


@cache
def labels_outside(kind: str) -> Rows:
    """Return what counts, for each 1024 labels, those that are no class, and those that are ignored or masked."""
    extent = ("at = row * 1024", "columns = min(at + 1024, count) - at")
    lines = (
        "ignored = (labels == ignore_class) or ((masked != 0) and (load_mask(p_mask, i) == 0))",
        "outside = (not ignored) and ((labels < 0) or (labels >= classes))",
    )
    steps = (
        Pass({"out": ("lanes", "1.0 if outside else 0.0"), "dropped": ("lanes", "1.0 if ignored else 0.0")}, lines),
        Once((), {"outer": "out", "inner": "dropped"}),
    )
    arrays = {"labels": kind, "mask": "bool", "outer": "float64", "inner": "float64"}
    return Rows(
        f"rows_labels_outside_{kind}", arrays, steps, (), ("classes", "ignore_class", "count", "masked"), extent=extent
    )
