"""How an optimizer runs under JAX: a rule over trees of leaves, many leaves in one operation."""

from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fastopt import expect
from fastopt.jax import call
from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.kernels.optimizers.recipe import SCALARS, Recipe, build
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.jobs import BLOCK

Rate: TypeAlias = float | jax.Array | Callable[[jax.Array], Any]
Mask: TypeAlias = Any  # a tree of bools like the parameters or the top of one, or a callable that makes it of them
FLOATS = ("float32", "float64", "bfloat16", "float16")
TOGETHER = 64  # leaves in one call: XLA takes minutes to compile a call with thousands of results in place


class State(NamedTuple):
    """An optimizer's state: the steps taken, and for each kernel buffer a tree like the parameters."""

    steps: jax.Array
    buffers: dict[str, Any]


class Fused(optax.GradientTransformationExtraArgs):
    """An optax.GradientTransformation with a third function, `apply(params, state, grads) -> (params, state)`."""

    apply: Callable[[Any, State, Any], tuple[Any, State]]


class Rule(NamedTuple):
    """An optimizer as this module runs it."""

    kernel: str
    digest: Callable[[Any, Any, bool], tuple[Any, ...]]  # (lr, step, whether the leaf decays) -> the kernel's scalars
    learning_rate: Rate
    begin: dict[str, float]  # what buffers begin with, where that isn't 0
    mask: Mask = None


def are_numbers(**given: Any) -> None:
    """Raise a TypeError if a hyper-parameter is no number, and no array of one, which may be traced."""
    for name, value in given.items():
        if not isinstance(value, Real) and not (isinstance(value, jax.Array | np.ndarray) and value.ndim == 0):
            raise TypeError(f"{name}: expected a number, got {expect.describe(value)}")


def transformation(rule: Rule) -> Fused:
    """Return a rule as optax's two functions, and `apply`."""
    if not callable(rule.learning_rate):
        are_numbers(learning_rate=rule.learning_rate)
    names = [name for name in KERNELS[rule.kernel].buffers if name not in ("param", "grad")]

    def init(params: Any) -> State:
        def begin(name: str) -> Any:
            value = rule.begin.get(name, 0.0)
            return jax.tree.map(lambda leaf: jnp.full(leaf.shape, value, _compute(leaf.dtype)), params)

        return State(jnp.zeros((), jnp.int32), {name: begin(name) for name in names})

    def apply(params: Any, state: State, grads: Any) -> tuple[Any, State]:
        leaves, tree = jax.tree.flatten(params)
        gradients = _like(grads, tree, leaves, "grads")
        buffers = {name: _like(state.buffers[name], tree, leaves, f"state of {name}") for name in names}
        _check_types(leaves, gradients)
        decays = _decays(rule.mask, params, len(leaves))
        for alike in _alike(leaves, gradients, decays):
            _run(rule, names, leaves, gradients, buffers, alike, decays[alike[0]], state.steps)
        written = {name: jax.tree.unflatten(tree, found) for name, found in buffers.items()}
        return jax.tree.unflatten(tree, leaves), State(state.steps + 1, written)

    def update(grads: Any, state: State, params: Any = None, **_: Any) -> tuple[Any, State]:
        if params is None:
            raise ValueError(
                "params: expected the parameters, which the step starts from, got None: update(grads, state, params)"
            )
        new, after = apply(params, state, grads)
        return jax.tree.map(lambda to, start: to - start, new, params), after

    fused = Fused(init, update)
    fused.apply = apply
    return fused


def _compute(dtype: Any) -> np.dtype:
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def _like(tree: Any, structure: Any, leaves: list[Any], name: str) -> list[Any]:
    found, own = jax.tree.flatten(tree)
    if own != structure:
        raise ValueError(f"{name}: expected a tree like params, {structure}, got {own}")
    for k, (leaf, like) in enumerate(zip(found, leaves)):
        if jnp.shape(leaf) != jnp.shape(like):
            raise ValueError(f"{name}: expected shape {jnp.shape(like)} of leaf {k}, got {jnp.shape(leaf)}")
    return list(map(jnp.asarray, found))


def _check_types(params: list[Any], grads: list[Any]) -> None:
    for name, leaves in (("params", params), ("grads", grads)):
        for k, leaf in enumerate(leaves):
            if str(leaf.dtype) not in FLOATS:
                raise TypeError(f"{name}: expected leaves of {', '.join(FLOATS)}, got {leaf.dtype} of leaf {k}")


def _decays(mask: Mask, params: Any, count: int) -> list[bool]:
    if mask is None:
        return [True] * count
    mask = mask(params) if callable(mask) else mask
    try:
        found = jax.tree.broadcast(mask, params)
    except ValueError:
        wanted, got = jax.tree.structure(params), jax.tree.structure(mask)
        raise ValueError(f"mask: expected a tree like params, {wanted}, or the top of one, got {got}") from None
    return [bool(leaf) for leaf in jax.tree.leaves(found)]


def _alike(params: list[Any], grads: list[Any], decays: list[bool]) -> list[list[int]]:
    """Return the numbers of the leaves that share a call: of the same types, which decay or don't."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for k, (param, grad, decay) in enumerate(zip(params, grads, decays, strict=True)):
        groups.setdefault((str(param.dtype), str(grad.dtype), decay), []).append(k)
    return [members[k : k + TOGETHER] for members in groups.values() for k in range(0, len(members), TOGETHER)]


def _run(
    rule: Rule, names: list[str], params: list[Any], grads: list[Any], buffers: dict[str, list[Any]], alike: list[int],
    decays: bool, count: jax.Array,
) -> None:  # fmt: skip
    """Step the leaves `alike` in one operation, and put what it wrote into the lists."""
    first = params[alike[0]]
    kinds = (str(_compute(first.dtype)),) * len(names)
    recipe = Recipe(KERNELS[rule.kernel], (), kinds[0] if names else str(_compute(first.dtype)), str(first.dtype),
                    str(grads[alike[0]].dtype), kinds)  # fmt: skip
    lists = [params, *(buffers[name] for name in names)]
    written = [each[k] for k in alike for each in lists]  # the arguments whose memory the results take
    jobs, width = len(alike), len(lists)
    gradients = range(len(written), len(written) + jobs)
    place = {"param": 0} | {name: 1 + n for n, name in enumerate(names)}
    slots = [
        [gradients[j] if name == "grad" else -1 - (j * width + place[name]) for name in recipe.columns]
        for j in range(jobs)
    ]
    built = build(recipe, 0, call.compiled_target())
    found = call.run(
        built.pipeline,
        (*written, *(grads[k] for k in alike), _scalars(rule, count, decays)),
        [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in written],
        slots,
        per_unit=[1] * jobs,
        grain=pipeline.GRAIN,
        block=BLOCK if first.dtype != np.float32 or len(built.stages) > 1 else 0,
        dims=[[k] for k in range(jobs)],
        scalars_at=len(written) + jobs,
        aliases={k: k for k in range(len(written))},
        vmap_method="sequential",
    )
    for j, k in enumerate(alike):
        for n, each in enumerate(lists):
            each[k] = found[j * width + n]


def _scalars(rule: Rule, count: jax.Array, decays: bool) -> jax.Array:
    """Return the row of scalars in double precision, as bits: the stages', which aren't used, then the rule's."""
    lr = rule.learning_rate(count) if callable(rule.learning_rate) else rule.learning_rate
    with jax.enable_x64(True):
        step = jnp.asarray(count).astype(np.float64) + 1.0
        rate = jnp.asarray(lr).astype(np.float64) if isinstance(lr, jax.Array) else jnp.float64(lr)
        row = [1.0, *[0.0] * (len(SCALARS) - 1), *rule.digest(rate, step, decays)]
        return jax.lax.bitcast_convert_type(jnp.stack([jnp.asarray(x, np.float64) for x in row]), np.uint32)
