"""Optimizers for JAX: optax's names, arguments and semantics, and one operation for many leaves.

Each function returns an optax.GradientTransformation with one function more: `apply(params, state, grads)` returns the
new parameters and the new state. Donate both, and they are updated in place, in one pass over memory:

    step = jax.jit(optimizer.apply, donate_argnums=(0, 1))
    params, state = step(params, state, grads)

`update` gives what optax's does, the difference of new and old parameters, for chains of transformations. That is a
pass over memory more, and another when it is added.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fastopt.jax import call, digests
from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.kernels.optimizers.recipe import SCALARS, Recipe, build
from fastopt.kernels.runtime import pipeline

__all__ = ["adadelta", "adagrad", "adam", "adamax", "adamw", "lion", "rmsprop", "sgd"]

Rate: TypeAlias = float | jax.Array | Callable[[jax.Array], Any]
Mask: TypeAlias = Any  # a tree of bools like the parameters, or a callable that makes one of them
FLOATS = ("float32", "float64", "bfloat16", "float16")
TOGETHER = 64  # leaves in one call: XLA takes minutes to compile a call with thousands of results in place


class State(NamedTuple):
    """An optimizer's state: the steps taken, and for each kernel buffer a tree like the parameters."""

    steps: jax.Array
    buffers: dict[str, Any]


class Fused(optax.GradientTransformationExtraArgs):
    """An optax.GradientTransformation with a third function, `apply(params, state, grads) -> (params, state)`."""

    apply: Callable[[Any, State, Any], tuple[Any, State]]


class _Rule(NamedTuple):
    """An optimizer as this module runs it."""

    kernel: str
    digest: Callable[[Any, Any, bool], tuple[Any, ...]]  # (lr, step, whether the leaf decays) -> the kernel's scalars
    learning_rate: Rate
    begin: dict[str, float]  # what buffers begin with, where that isn't 0
    mask: Mask = None


def sgd(learning_rate: Rate, momentum: float | None = None, nesterov: bool = False) -> Fused:
    """Gradient descent: optax.sgd on fastopt's kernel.

    Parameters
    ----------
    learning_rate : float, array, or callable (steps taken) -> float
    momentum : float in [0, 1) or None
        Share of the old direction kept.
    nesterov : bool
        Look ahead along the new direction.

    Returns
    -------
    optax.GradientTransformation, with `apply`
        Parameters of float32, float64, bfloat16 or float16; gradients of any of these. State is float32 (float64 for
        float64 parameters).

    Raises
    ------
    TypeError, ValueError
        From its functions, if a tree, shape or type is not as it should be.

    Notes
    -----
    As optax's, without `accumulator_dtype`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastopt.jax
    >>> optimizer = fastopt.jax.optimizers.sgd(0.5)
    >>> params, state = optimizer.apply(jnp.zeros(2), optimizer.init(jnp.zeros(2)), jnp.ones(2))
    >>> print(params)
    [-0.5 -0.5]
    """
    if momentum is None or momentum == 0:
        return _transformation(_Rule("sgd", digests.sgd(), learning_rate, {}))
    return _transformation(_Rule("sgd_momentum", digests.sgd_momentum(momentum, nesterov), learning_rate, {}))


def adam(learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Fused:
    """Adam: optax.adam on fastopt's kernel, without `eps_root`, `mu_dtype` and `nesterov`; otherwise as in :func:`sgd`.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`
    b1, b2 : float in [0, 1)
        Shares of the old averages kept.
    eps : float > 0
        Added to the root of the corrected second moment.
    """
    return _transformation(_Rule("adam", digests.adam(b1, b2, eps, 0.0), learning_rate, {}))


def adamw(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8, *, weight_decay: float = 1e-4,
    mask: Mask = None,
) -> Fused:  # fmt: skip
    """Adam with decoupled decay: optax.adamw on fastopt's kernel; otherwise as in :func:`adam`.

    Parameters
    ----------
    weight_decay : float ≥ 0
        Share of a parameter taken away per step and unit of the learning rate.
    mask : tree of bools, callable (params) -> tree of bools, or None
        Which leaves decay; None: all.
    """
    return _transformation(_Rule("adam", digests.adam(b1, b2, eps, weight_decay), learning_rate, {}, mask))


def adamax(learning_rate: Rate, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Fused:
    """Adam with the infinity norm: optax.adamax on fastopt's kernel; otherwise as in :func:`adam`."""
    return _transformation(_Rule("adamax", digests.adamax(b1, b2, eps), learning_rate, {}))


def rmsprop(
    learning_rate: Rate, decay: float = 0.9, eps: float = 1e-8, initial_scale: float = 0.0, eps_in_sqrt: bool = True
) -> Fused:
    """RMSprop: optax.rmsprop on fastopt's kernel, without `centered`, `momentum` and `bias_correction`.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`
    decay : float in [0, 1)
        Share of the old average kept.
    eps : float > 0
        Added inside the root, or to the root.
    initial_scale : float ≥ 0
        What the average of squares begins with.
    eps_in_sqrt : bool
        Where `eps` is added.
    """
    digest = digests.rmsprop(decay, eps, eps_in_sqrt)
    return _transformation(_Rule("rmsprop", digest, learning_rate, {"square_avg": initial_scale}))


def adagrad(learning_rate: Rate, initial_accumulator_value: float = 0.1, eps: float = 1e-7) -> Fused:
    """Adagrad: optax.adagrad on fastopt's kernel, with `eps` inside the root; otherwise as in :func:`sgd`."""
    begin = {"sum_of_squares": initial_accumulator_value}
    return _transformation(_Rule("adagrad", digests.adagrad(eps), learning_rate, begin))


def adadelta(learning_rate: Rate = 1.0, rho: float = 0.9, eps: float = 1e-6) -> Fused:
    """Adadelta: optax.adadelta on fastopt's kernel, without `weight_decay`; otherwise as in :func:`sgd`."""
    return _transformation(_Rule("adadelta", digests.adadelta(rho, eps), learning_rate, {}))


def lion(
    learning_rate: Rate, b1: float = 0.9, b2: float = 0.99, *, weight_decay: float = 1e-3, mask: Mask = None
) -> Fused:
    """Lion: optax.lion on fastopt's kernel; `weight_decay` and `mask` as in :func:`adamw`."""
    return _transformation(_Rule("lion", digests.lion(b1, b2, weight_decay), learning_rate, {}, mask))


# ---- how they run


def _transformation(rule: _Rule) -> Fused:
    """Return a rule as optax's two functions, and `apply`."""
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
    found = [bool(leaf) for leaf in jax.tree.leaves(mask(params) if callable(mask) else mask)]
    if len(found) != count:
        raise ValueError(f"mask: expected {count} leaves, as params have, got {len(found)}")
    return found


def _alike(params: list[Any], grads: list[Any], decays: list[bool]) -> list[list[int]]:
    """Return the numbers of the leaves that share a call: of the same types, which decay or don't."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for k, (param, grad, decay) in enumerate(zip(params, grads, decays, strict=True)):
        groups.setdefault((str(param.dtype), str(grad.dtype), decay), []).append(k)
    return [members[k : k + TOGETHER] for members in groups.values() for k in range(0, len(members), TOGETHER)]


def _run(
    rule: _Rule, names: list[str], params: list[Any], grads: list[Any], buffers: dict[str, list[Any]], alike: list[int],
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
    found = call.run(
        build(recipe, 0, call.compiled_target()).pipeline,
        (*written, *(grads[k] for k in alike), _scalars(rule, count, decays)),
        [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in written],
        slots,
        per_unit=[1] * jobs,
        grain=pipeline.GRAIN,
        block=BLOCK if first.dtype != np.float32 or len(build(recipe, 0, call.compiled_target()).stages) > 1 else 0,
        dims=[[k] for k in range(jobs)],
        scalars_at=len(written) + jobs,
        aliases={k: k for k in range(len(written))},
        vmap_method="sequential",
    )
    for j, k in enumerate(alike):
        for n, each in enumerate(lists):
            each[k] = found[j * width + n]


BLOCK = 512  # elements that pass all stages before the next, as in jobs.py


def _scalars(rule: _Rule, count: jax.Array, decays: bool) -> jax.Array:
    """Return the row of scalars in double precision, as bits: the stages', which aren't used, then the rule's."""
    lr = rule.learning_rate(count) if callable(rule.learning_rate) else rule.learning_rate
    with jax.enable_x64(True):
        step = jnp.asarray(count).astype(np.float64) + 1.0
        rate = jnp.asarray(lr).astype(np.float64) if isinstance(lr, jax.Array) else jnp.float64(lr)
        row = [1.0, *[0.0] * (len(SCALARS) - 1), *rule.digest(rate, step, decays)]
        return jax.lax.bitcast_convert_type(jnp.stack([jnp.asarray(x, np.float64) for x in row]), np.uint32)
