"""How an optimizer runs under JAX: rules over trees of leaves, many leaves in one operation."""

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fastopt import expect
from fastopt.jax.digests import Digest
from fastopt.jax.stepping import Group, Step, compute_type, plain
from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.kernels.optimizers.recipe import states

Rate: TypeAlias = float | jax.Array | Callable[[jax.Array], Any]
Mask: TypeAlias = Any  # a tree of bools like the parameters or the top of one, or a callable that makes it of them
Kept: TypeAlias = Callable[[Any], Any] | None  # (lr) -> the share of a parameter that decay leaves
Shape = tuple[int, ...]
FLOATS = ("float32", "float64", "bfloat16", "float16")
TOGETHER = 64  # leaves in one call: XLA takes minutes to compile a call with thousands of results in place
NOTHING = optax.MaskedNode()  # in the place of a leaf's buffer, where its rule has none


class State(NamedTuple):
    """An optimizer's state.

    The steps taken; for each buffer a tree like the parameters; and the numbers that go from step to step.
    """

    steps: jax.Array
    buffers: dict[str, Any]
    carried: dict[str, jax.Array]


class Fused(optax.GradientTransformationExtraArgs):
    """An optax.GradientTransformation with a third function, `apply(params, state, grads) -> (params, state)`."""

    apply: Callable[[Any, State, Any], tuple[Any, State]]


class Rule(NamedTuple):
    """An optimizer as this module runs it.

    step : what it does to leaves
    buffers : names of its state
    begin : what buffers begin with, where that isn't 0: a number, or a function of the leaf
    mask : which leaves decay
    second : which leaves are `marked` for its step
    takes : of an optimizer with several rules, which shapes are its own
    shape_of : (name, leaf's shape) -> a buffer's shape
    reads : whether `update` can't do without the parameters
    adds : whether the parameters, apart from their decay, are only added to
    carries, carry : numbers that go from step to step, and what they begin with; (steps taken, numbers) -> those behind
    """

    step: Step
    learning_rate: Rate
    buffers: tuple[str, ...] = ()
    begin: Mapping[str, Any] = {}
    mask: Mask = None
    second: Mask = None
    takes: Callable[[Shape], bool] = lambda shape: True
    shape_of: Callable[[str, Shape], Shape] = lambda name, shape: shape
    reads: bool = False
    adds: bool = True
    carries: Mapping[str, float] = {}
    carry: Callable[[jax.Array, dict[str, jax.Array]], dict[str, jax.Array]] = lambda steps, carried: carried


def are_numbers(**given: Any) -> None:
    """Raise a TypeError if a hyper-parameter is no number, and no array of one, which may be traced."""
    for name, value in given.items():
        if not isinstance(value, Real) and not (isinstance(value, jax.Array | np.ndarray) and value.ndim == 0):
            raise TypeError(f"{name}: expected a number, got {expect.describe(value)}")


def transformation(*rules: Rule) -> Fused:
    """Return rules as optax's two functions, and `apply`; a leaf is stepped by the first one that takes it."""
    for rule in rules:
        if not callable(rule.learning_rate):
            are_numbers(learning_rate=rule.learning_rate)
    names = tuple(dict.fromkeys(name for rule in rules for name in rule.buffers))
    reads, adds = any(rule.reads for rule in rules), all(rule.adds for rule in rules)

    def init(params: Any) -> State:
        def begin(name: str) -> Any:
            return _map(lambda leaf: _begun(rules[_taken(rules, jnp.shape(leaf))], name, jnp.asarray(leaf)), params)

        carried = {name: jnp.asarray(value, jnp.float32) for rule in rules for name, value in rule.carries.items()}
        return State(jnp.zeros((), jnp.int32), {name: begin(name) for name in names}, carried)

    def moved(params: Any, state: State, grads: Any, apart: bool) -> tuple[Any, State]:
        _check_state(state, names)
        like = grads if params is None else params
        leaves, tree = _flat(like)
        leaves = [leaf if leaf is NOTHING else jnp.asarray(leaf) for leaf in leaves]
        gradients = _like(grads, tree, leaves, "grads")
        _check_types(leaves, gradients)
        taken = [None if leaf is NOTHING else _taken(rules, leaf.shape) for leaf in leaves]
        buffers = {name: _kept(state.buffers[name], name, rules, taken, tree, leaves) for name in names}
        marks = [[_told(mask, like, tree) for mask in (rule.mask, rule.second)] for rule in rules]
        carried = {k: v for rule in rules for k, v in rule.carry(state.steps, state.carried).items()}
        lasting = leaves if params is not None else [None] * len(leaves)
        for number, members in _alike(leaves, gradients, taken, marks):
            rule, first, lr = rules[number], members[0], _rate(rules[number], state.steps)
            with jax.enable_x64(True):
                group = Group(
                    [jnp.zeros_like(leaves[k]) if apart else leaves[k] for k in members],
                    [lasting[k] for k in members],
                    [gradients[k] for k in members],
                    {name: [buffers[name][k] for k in members] for name in rule.buffers},
                    apart,
                    marks[number][0][first],
                    marks[number][1][first],
                    lr.astype(np.float64) if isinstance(lr, jax.Array) else jnp.float64(lr),
                    jnp.asarray(state.steps).astype(np.float64) + 1.0,
                    carried,
                )
                done = rule.step(group)
                for j, k in enumerate(members):
                    leaves[k] = _decayed(done.params[j], group.params[j], done.kept[j]) if apart else done.params[j]
                    for name in rule.buffers:
                        buffers[name][k] = done.buffers[name][j]
        written = {name: jax.tree.unflatten(tree, found) for name, found in buffers.items()}
        return jax.tree.unflatten(tree, leaves), State(state.steps + 1, written, carried)

    def apply(params: Any, state: State, grads: Any) -> tuple[Any, State]:
        return moved(params, state, grads, False)

    def update(grads: Any, state: State, params: Any = None, **_: Any) -> tuple[Any, State]:
        if params is None and (reads or not adds):
            raise ValueError(
                "params: expected the parameters, which the step starts from, got None: update(grads, state, params)"
            )
        if adds:
            return moved(params, state, grads, True)
        new, after = moved(params, state, grads, False)
        return jax.tree.map(lambda to, start: to - start, new, params), after

    fused = Fused(init, update)
    fused.apply = apply
    return fused


# ---- trees


def _is_nothing(x: Any) -> bool:
    return isinstance(x, optax.MaskedNode)


def _flat(tree: Any) -> tuple[list[Any], Any]:
    """Return leaves and structure; what optax has masked out is `NOTHING`."""
    leaves, structure = jax.tree.flatten(tree, is_leaf=_is_nothing)
    return [NOTHING if _is_nothing(leaf) else leaf for leaf in leaves], structure


def _map(function: Callable[[Any], Any], tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf if _is_nothing(leaf) else function(leaf), tree, is_leaf=_is_nothing)


def _taken(rules: tuple[Rule, ...], shape: Shape) -> int:
    return next(k for k, rule in enumerate(rules) if rule.takes(shape))


def _begun(rule: Rule, name: str, leaf: jax.Array) -> Any:
    if name not in rule.buffers:
        return NOTHING
    begin, dtype = rule.begin.get(name, 0.0), compute_type(leaf.dtype)
    if callable(begin):
        return begin(leaf).astype(dtype)
    return jnp.full(rule.shape_of(name, leaf.shape), begin, dtype)


def _like(tree: Any, structure: Any, leaves: list[Any], name: str) -> list[Any]:
    found, own = _flat(tree)
    if own != structure:
        raise ValueError(f"{name}: expected a tree like params, {structure}, got {own}")
    for k, (leaf, like) in enumerate(zip(found, leaves)):
        if (leaf is NOTHING) != (like is NOTHING):
            raise ValueError(f"{name}: expected optax.MaskedNode where params have it, got another for leaf {k}")
        if leaf is not NOTHING and jnp.shape(leaf) != like.shape:
            raise ValueError(f"{name}: expected shape {like.shape} of leaf {k}, got {jnp.shape(leaf)}")
    return [leaf if leaf is NOTHING else jnp.asarray(leaf) for leaf in found]


def _kept(
    tree: Any, name: str, rules: tuple[Rule, ...], taken: list[int | None], structure: Any, leaves: list[Any]
) -> list[Any]:
    """Return a buffer of each leaf, checked against what `init` makes of the parameters."""
    found, own = _flat(tree)
    if own != structure:
        raise ValueError(f"state of {name}: expected a tree like params, {structure}, got {own}")
    for k, (leaf, like, number) in enumerate(zip(found, leaves, taken)):
        has = number is not None and name in rules[number].buffers
        if has != (leaf is not NOTHING):
            raise ValueError(f"state of {name}: expected what init(params) makes, got another for leaf {k}")
        if number is None or not has:
            continue
        shape, dtype = rules[number].shape_of(name, like.shape), compute_type(like.dtype)
        if jnp.shape(leaf) != shape or leaf.dtype != dtype:
            raise ValueError(
                f"state of {name}: expected {dtype} of shape {shape} for leaf {k}, got {expect.describe(leaf)}"
            )
    return found


def _check_state(state: Any, names: tuple[str, ...]) -> None:
    got = sorted(state.buffers) if isinstance(state, State) else None
    if got != sorted(names):
        found = type(state).__name__ if got is None else f"one of {', '.join(got) or 'no buffers'}"
        raise ValueError(f"state: expected that of init(params), of {', '.join(names) or 'no buffers'}, got {found}")


def _check_types(params: list[Any], grads: list[Any]) -> None:
    for name, leaves in (("params", params), ("grads", grads)):
        for k, leaf in enumerate(leaves):
            if leaf is not NOTHING and str(leaf.dtype) not in FLOATS:
                raise TypeError(f"{name}: expected leaves of {', '.join(FLOATS)}, got {leaf.dtype} of leaf {k}")


def _told(mask: Mask, params: Any, structure: Any) -> list[bool]:
    """Return what a mask says of each leaf."""
    if mask is None:
        return [True] * structure.num_leaves
    mask = mask(params) if callable(mask) else mask
    try:
        found = jax.tree.broadcast(mask, params, is_leaf=_is_nothing)
    except ValueError:
        got = jax.tree.structure(mask)
        raise ValueError(f"mask: expected a tree like params, {structure}, or the top of one, got {got}") from None
    return [bool(leaf) for leaf in _flat(found)[0]]


def _alike(
    params: list[Any], grads: list[Any], taken: list[int | None], marks: list[list[list[bool]]]
) -> list[tuple[int, list[int]]]:
    """Return rules, and the numbers of leaves that share a call: of the same types, which decay or don't."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for k, (param, grad, rule) in enumerate(zip(params, grads, taken, strict=True)):
        if rule is not None:
            groups.setdefault((rule, param.dtype, grad.dtype, *(told[k] for told in marks[rule])), []).append(k)
    return [(key[0], all_[k : k + TOGETHER]) for key, all_ in groups.items() for k in range(0, len(all_), TOGETHER)]


# ---- numbers


def _rate(rule: Rule, steps: jax.Array) -> Any:
    return rule.learning_rate(steps) if callable(rule.learning_rate) else rule.learning_rate


def _decayed(update: jax.Array, param: Any, kept: Any) -> jax.Array:
    """Return an update with the parameter's decay: of what `kept` leaves."""
    if isinstance(kept, float) and kept == 1.0:
        return update
    compute = compute_type(update.dtype)
    share = jnp.asarray(kept - 1.0).astype(compute)
    return (update.astype(compute) + share * param.astype(compute)).astype(update.dtype)


# ---- what optimizers are made of


def one_pass(
    kernel: str, digest: Digest, learning_rate: Rate, kept: Kept = None, staged: bool = False, **more: Any
) -> Rule:
    """Return the rule of a kernel that needs one pass; arguments are those of `plain` and of `Rule`."""
    names = states((), KERNELS[kernel])
    reads = kept is not None
    return Rule(plain(kernel, digest, kept, staged), learning_rate, tuple(names), reads=reads, **more)


def decoupled(weight_decay: Any) -> Kept:
    """Return which share of a parameter decoupled decay leaves at a rate; None: all of it."""
    if isinstance(weight_decay, Real) and float(weight_decay) == 0.0:
        return None
    return lambda lr: 1.0 - lr * weight_decay
