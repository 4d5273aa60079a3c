"""AdamW without a schedule of its learning rate."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from fastopt.jax import digests
from fastopt.jax.optimizers.adam import are_moments
from fastopt.jax.transformation import Fused, Rate, State, are_numbers, one_pass, transformation


def schedule_free_adamw(
    learning_rate: Rate = 0.0025, warmup_steps: int | None = None, b1: float = 0.9, b2: float = 0.999,
    eps: float = 1e-8, weight_decay: float = 0.0, weight_lr_power: float = 2.0,
) -> Fused:  # fmt: skip
    """AdamW without a schedule: optax.contrib.schedule_free_adamw on fastopt's kernel, without `state_dtype`.

    Parameters
    ----------
    learning_rate : as in :func:`sgd`
    warmup_steps : int > 0 or None
        Steps over which the rate, then a number, grows linearly from 0.
    b1 : float in (0, 1)
        Share of the average in the parameters.
    b2 : float in [0, 1)
        Share of the old average of squares kept.
    eps : float > 0
        Added to the root of the corrected second moment.
    weight_decay : float ≥ 0
        Share of a parameter taken away per step and unit of the learning rate.
    weight_lr_power : float ≥ 0
        Power of the largest rate so far in a step's weight.

    Notes
    -----
    While training, the parameters are where gradients are taken; :func:`schedule_free_eval_params` returns what is to
    be measured and kept. Otherwise as in :func:`sgd`; :class:`fastopt.optimizers.AdamWScheduleFree` has the formulas.
    """
    are_moments(b1, b2, eps=eps, weight_decay=weight_decay, weight_lr_power=weight_lr_power)
    if warmup_steps is not None:
        are_numbers(learning_rate=learning_rate, warmup_steps=warmup_steps)
        learning_rate = optax.warmup_constant_schedule(0.0, learning_rate, warmup_steps)

    def carry(steps: jax.Array, carried: dict[str, jax.Array]) -> dict[str, jax.Array]:
        lr = learning_rate(steps + 1) if callable(learning_rate) else learning_rate
        largest = jnp.maximum(carried["max_lr"], jnp.asarray(lr, jnp.float32))
        weight = largest**weight_lr_power
        return {**carried, "max_lr": largest, "weight": weight, "weight_sum": carried["weight_sum"] + weight}

    rule = one_pass(
        "schedule_free_adamw", digests.schedule_free_adamw(b1, b2, eps, weight_decay), learning_rate, adds=False,
        begin={"z": lambda leaf: jnp.array(leaf, copy=True)},
        carries={"b1": b1, "max_lr": 0.0, "weight": 0.0, "weight_sum": 0.0}, carry=carry,
    )  # fmt: skip
    return transformation(rule)


def schedule_free_eval_params(state: State, params: Any) -> Any:
    """Return the average of the iterates, which is to be measured and kept, of parameters in training.

    Parameters
    ----------
    state : that of :func:`schedule_free_adamw`
    params : tree of arrays

    Returns
    -------
    tree like `params`

    Raises
    ------
    TypeError
        If `state` is another optimizer's.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fastopt.jax import optimizers
    >>> optimizer = optimizers.schedule_free_adamw(0.5)
    >>> params, state = optimizer.apply(jnp.ones(1), optimizer.init(jnp.ones(1)), jnp.ones(1))
    >>> print(optimizers.schedule_free_eval_params(state, params))
    [0.5]
    """
    if not isinstance(state, State) or "z" not in state.buffers or "b1" not in state.carried:
        raise TypeError(f"state: expected that of schedule_free_adamw, got {type(state).__name__}")
    b1 = state.carried["b1"]
    return jax.tree.map(lambda y, z: ((y - (1.0 - b1) * z) / b1).astype(y.dtype), params, state.buffers["z"])
