"""What a rule does to leaves of the same types: one pass, or passes that measure whole layers before it.

Scalars are traced in double precision, inside of `jax.enable_x64(True)`.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fastopt.jax import call, digests
from fastopt.jax.launching import launch
from fastopt.kernels.optimizers.kernels import KERNELS
from fastopt.kernels.optimizers.layers import Adafactor
from fastopt.kernels.optimizers.recipe import SCALARS, Recipe, states

KEPT = SCALARS.index("decay_kept")


class Group(NamedTuple):
    """Leaves that are stepped together.

    starts : what is moved: the parameters, or zeros, where the update is wanted `apart`
    params : what is measured: the parameters, or None
    decays, marked : what the rule's masks say of them
    lr, step : float64; steps count from 1
    """

    starts: list[jax.Array]
    params: list[Any]
    grads: list[jax.Array]
    buffers: dict[str, list[jax.Array]]
    apart: bool
    decays: bool
    marked: bool
    lr: jax.Array
    step: jax.Array
    carried: dict[str, jax.Array]


class Stepped(NamedTuple):
    """What was moved, the state, and which share of each parameter is kept, if the update is `apart`."""

    params: list[jax.Array]
    buffers: dict[str, list[jax.Array]]
    kept: Sequence[Any]


Step = Callable[[Group], Stepped]


def compute_type(dtype: Any) -> np.dtype:
    """Return what a leaf's step is computed in, and its state is kept in."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def plain(kernel: str, digest: digests.Digest, kept: Callable[[Any], Any] | None = None, staged: bool = False) -> Step:
    """Return the step of a kernel that needs one pass.

    Parameters
    ----------
    kernel, digest
        Its name, and its scalars of the rate, the step and the share of a parameter that decay leaves.
    kept : callable (lr) -> that share, or None
    staged : bool
        Whether a stage before the kernel decays the parameter, which knows no such scalar.
    """

    def step(group: Group) -> Stepped:
        share = kept(group.lr) if kept is not None and group.decays else 1.0
        own = 1.0 if group.apart else share
        recipe = _recipe(group, kernel, decay=staged and group.decays and not group.apart)
        row = _row(digest(group.lr, group.step, own, **group.carried), own)
        written, _ = launch(recipe, 0, _jobs(group, group.starts), row)
        return _stepped(group, written, [share] * len(written))

    return step


def lars(momentum: Any, nesterov: bool, weight_decay: Any, coefficient: Any, eps: Any) -> Step:
    """A decayed gradient is a gradient like others here; `marked` leaves have a rate of their own."""

    def step(group: Group) -> Stepped:
        if group.decays and not (isinstance(weight_decay, float | int) and weight_decay == 0):
            compute = compute_type(group.starts[0].dtype)
            share = jnp.asarray(weight_decay).astype(compute)
            both = zip(group.grads, group.params, strict=True)
            group = group._replace(grads=[g.astype(compute) + share * p.astype(compute) for g, p in both])
        recipe = _recipe(group, "lars", ("lars_norms",))
        numbers = digests.lars(momentum, nesterov)(group.lr, group.step, 1.0)
        rates = jnp.full(len(group.grads), group.lr)
        if group.marked:
            param, grad = _lengths(recipe, group, _jobs(group, group.params), _row(numbers))
            trust = coefficient * param / (grad + eps)
            rates *= jnp.where((param == 0.0) | (grad == 0.0), 1.0, trust)
        written, _ = launch(recipe, 1, _jobs(group, group.starts), _rows(numbers, rates))
        return _stepped(group, written)

    return step


def lamb(b1: Any, b2: Any, eps: Any, weight_decay: Any) -> Step:
    def step(group: Group) -> Stepped:
        recipe, decay = _recipe(group, "lamb", ("lamb_norms",)), weight_decay if group.decays else 0.0
        digest = digests.lamb(b1, b2, eps)
        measured = _row(digest(group.lr, group.step, decay))
        param, update = _lengths(recipe, group, _jobs(group, group.params), measured)
        rates = group.lr * jnp.where((param == 0.0) | (update == 0.0), 1.0, param / update)
        numbers = digest(group.lr, group.step, 0.0 if group.apart else decay)
        written, _ = launch(recipe, 1, _jobs(group, group.starts), _rows(numbers, rates))
        return _stepped(group, written, 1.0 - rates * decay)

    return step


class Factored(NamedTuple):
    """Adafactor's numbers, and its two steps."""

    digest: digests.Digest
    scale: float | None  # the least scale of a parameter; None: rates are not in its units
    threshold: Any  # of an update's root mean square, or None
    floor: float
    kept: float

    def vectors(self, group: Group) -> Stepped:
        """Step leaves that keep an average for each element."""
        recipe = _recipe(group, "adafactor_vector", ("adafactor_vector_norms",))
        share = self.kept if group.decays else 1.0
        numbers = self.digest(group.lr, group.step, 1.0 if group.apart else share)
        param, update = _lengths(recipe, group, _jobs(group, _measured(group)), _row(numbers))
        sizes = np.array([max(1, grad.size) for grad in group.grads], np.float64)
        rates = self.rate(numbers[0], param / np.sqrt(sizes), update / np.sqrt(sizes))
        written, _ = launch(recipe, 1, _jobs(group, group.starts), _rows(numbers, rates))
        return _stepped(group, written, [share] * len(written))

    def matrices(self, group: Group) -> Stepped:
        """Step leaves that keep averages of rows and columns of their two longest axes."""
        written = []
        share = self.kept if group.decays else 1.0
        for job, measured in zip(_jobs(group, group.starts), _measured(group), strict=True):
            axes = longest(job["grad"].shape)
            measured = jnp.moveaxis(measured, axes, (-2, -1))
            job |= {name: jnp.moveaxis(job[name], axes, (-2, -1)) for name in ("param", "grad")}
            found = self._matrix(group, job, measured, 1.0 if group.apart else share)
            written.append(found | {"param": jnp.moveaxis(found["param"], (-2, -1), axes)})
        return _stepped(group, written, [share] * len(written))

    def _matrix(self, group: Group, job: dict[str, jax.Array], measured: jax.Array, share: float) -> dict[str, Any]:
        passes, layers, shape = ("adafactor_factors", "adafactor_norms"), Adafactor(), measured.shape
        recipe, numbers = _recipe(group, "adafactor", passes), self.digest(group.lr, group.step, share)
        compute, size = compute_type(measured.dtype), max(1, prod(shape))
        dims, row = layers.dims(shape), _row(numbers)
        made = {
            f"{name}_next": jax.ShapeDtypeStruct(layers.state_shape(f"{name}_var", shape), compute)
            for name in ("row", "col")
        }
        sums, grain = layers.extent(0, shape)
        first = {**job, "param": measured}
        (found,), bits = launch(recipe, 0, [first], row, made=made, dims=dims, sums=sums, grain=grain)
        total, *_ = totals = call.floats(bits)[0]
        if not dims[2]:  # else each grain held whole matrices, and has written their columns' averages
            mean = numbers[2] / max(1, prod(job["row_var"].shape)) * totals[1:]
            old = numbers[1] * job["col_var"].astype(np.float64)
            found["col_next"] = (old + mean.reshape(old.shape)).astype(compute)
        means = jnp.mean(found["row_next"], axis=-2, keepdims=True)
        job |= found | {"row_mean": jnp.maximum(means, jnp.asarray(self.floor, compute))}
        sums, grain = layers.extent(1, shape)
        _, bits = launch(recipe, 1, [job], row, dims=dims, sums=sums, grain=grain)
        rate = self.rate(numbers[0], jnp.sqrt(total / size), jnp.sqrt(call.floats(bits)[0, 0] / size))
        (written,), _ = launch(recipe, 2, [job], _rows(numbers, rate[None]), dims=dims)
        return written

    def rate(self, lr: Any, param: jax.Array, update: jax.Array) -> jax.Array:
        """Return the rates that follow from root mean squares."""
        own = lr * jnp.ones_like(param) if self.scale is None else lr * jnp.maximum(param, self.scale)
        return own if self.threshold is None else own / jnp.maximum(1.0, update / self.threshold)


def longest(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the two longest axes, in their order."""
    first, second = sorted(np.argsort(shape)[-2:].tolist())
    return first, second


def muon(
    beta: Any, nesterov: bool, coefficients: np.ndarray, eps: Any, kept: Callable[[Any], Any],
    factor: Callable[[int, int], Any],
) -> Step:  # fmt: skip
    """The products of matrices are JAX's own; the passes before and behind them are kernels."""

    def step(group: Group) -> Stepped:
        share = kept(group.lr) if group.decays else 1.0
        recipe = _recipe(group, "muon", ("muon_direction",))
        shapes = [grad.shape for grad in group.grads]
        jobs = _jobs(group, group.starts)
        compute = compute_type(group.starts[0].dtype)
        row = _row(digests.muon_direction(beta, nesterov)(group.lr, group.step, 1.0))
        rates = [group.lr * factor(*shape) for shape in shapes]
        for job, shape in zip(jobs, shapes, strict=True):
            (found,), _ = launch(recipe, 0, [job], row, made={"update": jax.ShapeDtypeStruct(shape, compute)})
            job["update"] = orthogonal(found["update"], coefficients, eps)
        numbers = digests.muon(beta)(group.lr, group.step, 1.0 if group.apart else share)
        written, _ = launch(recipe, 1, jobs, _rows(numbers, jnp.stack(rates)))
        return _stepped(group, written, [share] * len(written))

    return step


def orthogonal(x: jax.Array, coefficients: np.ndarray, eps: Any) -> jax.Array:
    """Return U Vᵀ of a matrix, up to 30% in length, by an iteration for each row of coefficients (a, b, c).

    X ← a X + (b A + c A²) X with A = X Xᵀ, from X = x / (‖x‖ + eps); A is formed on the shorter side.
    """
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (jnp.sqrt(jnp.sum(x * x)) + jnp.asarray(eps).astype(x.dtype))
    for row in coefficients:
        a, b, c = (jnp.asarray(number, x.dtype) for number in row)
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


# ---- what they share


def _recipe(group: Group, kernel: str, passes: tuple[str, ...] = (), decay: bool = False) -> Recipe:
    rule, before = KERNELS[kernel], tuple([KERNELS[name] for name in passes])
    param, grad = str(group.starts[0].dtype), str(group.grads[0].dtype)
    compute = str(compute_type(group.starts[0].dtype))
    return Recipe(rule, before, compute, param, grad, (compute,) * len(states(before, rule)), decay=decay)


def _jobs(group: Group, params: list[jax.Array]) -> list[dict[str, jax.Array]]:
    return [
        {"param": param, "grad": grad, **{name: found[j] for name, found in group.buffers.items()}}
        for j, (param, grad) in enumerate(zip(params, group.grads, strict=True))
    ]


def _measured(group: Group) -> list[jax.Array]:
    return [start if param is None else param for start, param in zip(group.starts, group.params, strict=True)]


def _row(numbers: Sequence[Any], kept: Any = 1.0) -> jax.Array:
    """Return all jobs' scalars as bits: the stages', of which the decay's alone may be used, then the rule's."""
    before: list[Any] = [1.0, *[0.0] * (len(SCALARS) - 1)]
    before[KEPT] = kept
    return call.bits(jnp.stack([jnp.asarray(x, np.float64) for x in (*before, *numbers)]))


def _rows(numbers: Sequence[Any], rates: jax.Array) -> jax.Array:
    """Return each job's scalars, the rule's first being its rate."""
    plain = [jnp.asarray(x, np.float64) for x in (1.0, *[0.0] * (len(SCALARS) - 1), 0.0, *numbers[1:])]
    table = jnp.broadcast_to(jnp.stack(plain), (len(rates), len(plain)))
    return call.bits(table.at[:, len(SCALARS)].set(rates))


def _lengths(
    recipe: Recipe, group: Group, jobs: list[dict[str, jax.Array]], row: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return the roots of the two sums that each job's first pass adds up."""
    _, bits = launch(recipe, 0, jobs, row, sums=2)
    found = jnp.sqrt(call.floats(bits))
    return found[:, 0], found[:, 1]


def _stepped(group: Group, written: list[dict[str, jax.Array]], kept: Sequence[Any] | None = None) -> Stepped:
    buffers = {name: [job[name] for job in written] for name in group.buffers}
    return Stepped([job["param"] for job in written], buffers, [1.0] * len(written) if kept is None else kept)
