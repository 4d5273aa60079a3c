"""What every optimizer can do besides its rule, and how it keeps numbers: options of the whole optimizer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

from fastopt import expect
from fastopt.docstrings import filler

STATE_DTYPES = ("float32", "bfloat16", "8bit")
COPY_DTYPES = ("bfloat16", "float16")
APART = ("overrides", "copies")  # options that are no part of `Options`: functions, arrays
ROUNDINGS = ("nearest", "stochastic", "exact")
SYNONYMS = {  # what others call it
    "learning_rate": "lr",
    "epsilon": "eps",
    "beta_1": "betas",
    "beta_2": "betas",
    "beta1": "betas",
    "beta2": "betas",
    "global_clipnorm": "clip_norm",
    "clipnorm": "clip_each",
    "clipvalue": "clip_value",
    "max_norm": "clip_norm",
    "ema_momentum": "ema_decay",
    "use_ema": "ema_decay",
}


Overrides = Callable[[str, Any], Mapping[str, Any]]  # (key, array) -> hyper-parameters of its own
OPTIONS = """\
clip_norm : float > 0 or None, default None
    Longest norm of all gradients together; longer ones are scaled down to it.
clip_each : float > 0 or None, default None
    Longest norm of each parameter's gradient by itself (Keras's `clipnorm`), after `clip_norm`.
clip_value : float > 0 or None, default None
    Largest magnitude of a gradient's element; larger ones are cut, after both.
decoupled_weight_decay : bool, default False
    Take lr weight_decay θ from every parameter, before the update, instead of adding weight_decay θ to its
    gradient (Loshchilov and Hutter 2019); Keras decays so in every optimizer.
ema_decay : float in [0, 1) or None, default None
    Keep running averages of the parameters, a ← ema_decay a + (1 − ema_decay) θ after every step, from a = θ.
copy_to : {"bfloat16", "float16"} or None, default None
    Keep a copy of the parameters in this type, written in the same pass: `copies`.
copies : same structure as `params`, of bfloat16 or float16 arrays, or None, default None
    Write these copies into memory of the caller's, of any strides; `copy_to` is their type then.
state_dtype : {"float32", "bfloat16", "8bit"} or None, default None
    How state is kept; None is the type that the optimizer computes in (float64 for float64 parameters,
    otherwise float32). 8-bit elements share a scale among 256; parameters of fewer than 4096 elements keep
    their state whole, and so do sums and averages of parameters (`z`, `n`, `ax`, `step_size`). Second moments
    in 16 and 8 bits are rounded stochastically: to nearest, what moves by less than half a code a step would
    stand still. NaN or Inf in an 8-bit element spoils the 256 that share its scale: `step(skip_nonfinite=True)`
    keeps it out.
rounding : {"nearest", "stochastic", "exact"}, default "nearest"
    How bfloat16 parameters are kept: rounded to the nearest; up or down with the probability of the part that
    is cut off, by counter-based random numbers of `seed`; or with the lost 16 bits beside them, which together
    are an exact float32.
seed : int in [0, 2^32), default 0
    Of all stochastic rounding.
overrides : callable (key, array) -> mapping or None, default None
    A parameter's own hyper-parameters, by its key in the mapping (its place in the sequence, as a string) and
    the array: no decay for vectors, rates by layer. Parameters of the same ones become a group; gradients come
    in the structure of `params` all the same."""  # as the docstring of Optimizer says them
RAISES = """\
Raises
------
TypeError, ValueError
    As in :class:`Optimizer`."""
filled = filler(
    raises=RAISES,
    options=OPTIONS,
    shared=f"""\
params : array, sequence of arrays, mapping of arrays, or list of groups
    float32, float64, bfloat16 or float16 arrays of any shape and strides, updated in place.
maximize : bool, default False
    Go up: the gradient's sign is turned.
**options
    clip_norm, clip_each, clip_value, decoupled_weight_decay, ema_decay, copy_to, copies, state_dtype, rounding,
    seed and overrides, which every optimizer takes. As in :class:`Optimizer`.

{RAISES}""",
)


class StepOptions(TypedDict, total=False):
    """Keyword arguments of every optimizer, checked in :class:`Options`; OPTIONS says what each does."""

    clip_norm: float | None
    clip_each: float | None
    clip_value: float | None
    decoupled_weight_decay: bool
    ema_decay: float | None
    copy_to: str | None
    state_dtype: str | None
    rounding: str
    seed: int
    overrides: Overrides | None
    copies: Any


@dataclass(frozen=True)
class Options:
    """The options, checked."""

    clip_norm: float | None = None
    clip_each: float | None = None
    clip_value: float | None = None
    decoupled_weight_decay: bool = False
    ema_decay: float | None = None
    copy_to: str | None = None
    state_dtype: str | None = None
    rounding: str = "nearest"
    seed: int = 0

    def given(self) -> dict[str, Any]:
        """Return the options that are not as they are by default."""
        return {name: value for name, value in vars(self).items() if value != getattr(Options, name)}

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Options":
        """Return the options, checked; names are known to be right."""
        checked = dict(options)
        for name in ("clip_norm", "clip_each", "clip_value"):
            if options.get(name) is not None:
                checked[name] = expect.number(options[name], name, expect.POSITIVE)
        if options.get("ema_decay") is not None:
            checked["ema_decay"] = expect.number(options["ema_decay"], "ema_decay", expect.FRACTION)
        if "decoupled_weight_decay" in options:
            checked["decoupled_weight_decay"] = expect.flag(options["decoupled_weight_decay"], "decoupled_weight_decay")
        for name, among in (("copy_to", COPY_DTYPES), ("state_dtype", STATE_DTYPES)):
            if options.get(name) is not None:
                expect.choice(options[name], name, among)
        expect.choice(options.get("rounding", "nearest"), "rounding", ROUNDINGS)
        checked["seed"] = expect.integer(options.get("seed", 0), "seed", 0, 2**32)
        return cls(**checked)


SETTABLE = ("clip_norm", "clip_each", "clip_value", "ema_decay", "seed")  # between steps


class Settable:
    """An option that may be changed between steps; it is checked as at the start."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Any, owner: type) -> Any:
        return self if optimizer is None else getattr(optimizer.options, self.name)

    def __set__(self, optimizer: Any, value: Any) -> None:
        optimizer.change_option(self.name, value)


class Stats(NamedTuple):
    """What a step learned on the way, over all parameters together.

    Attributes
    ----------
    gradient_norm : float
        Euclidean norm of the gradients, after `grad_scale`, before clipping.
    update_norm : float
        Euclidean norm of what was added to the parameters, in the type the optimizer computes in. Inf above 1e154,
        where float64 can't hold the squares.
    skipped : bool
        Whether a gradient that was not finite kept everything as it was.
    """

    gradient_norm: float
    update_norm: float
    skipped: bool
