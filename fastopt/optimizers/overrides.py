"""Hyper-parameters of single parameters, by name and shape: what the option `overrides` takes."""

from collections.abc import Callable, Mapping
from typing import Any

from fastopt import expect
from fastopt.optimizers.options import Overrides
from fastopt.optimizers.rule import Rule
from fastopt.trees import Tree


def grouped(tree: Tree, overrides: Overrides, rule: Rule) -> tuple[list[int], list[dict[str, Any]]]:
    """Return each parameter's group, of those that get the same hyper-parameters, and what each group gets."""
    found: list[tuple[int, dict[str, Any]]] = []
    members = []
    for name, key, k, leaf in zip(tree.names, tree.keys, tree.group_of, tree.leaves, strict=True):
        own = overrides(key, leaf)
        if not isinstance(own, Mapping):
            raise TypeError(f"overrides: expected a mapping of hyper-parameters for {name}, got {expect.describe(own)}")
        entry = k, {**tree.options[k], **own}
        for option, value in entry[1].items():
            if option in rule.hyper:
                rule.hyper[option].check(value, option)  # what isn't one, as an array, may not compare either
        if entry not in found:
            found.append(entry)
        members.append(found.index(entry))
    return members, [group for _, group in found]


@expect.nearest
def no_decay_of_vectors(key: str, array: Any) -> dict[str, float]:
    """Return a weight decay of 0 for biases and scales of norms: for arrays of fewer than two axes.

    Parameters
    ----------
    key : str
        The parameter's key; it plays no part.
    array : array of any shape

    Returns
    -------
    dict
        {"weight_decay": 0.0}, or nothing.

    Raises
    ------
    AttributeError
        If `array` has no `ndim`.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> params = {"weight": np.ones((2, 2)), "bias": np.ones(2)}
    >>> opt = fo.optimizers.AdamW(params, weight_decay=0.1, overrides=fo.optimizers.overrides.no_decay_of_vectors)
    >>> [group["weight_decay"] for group in opt.groups]
    [0.1, 0.0]
    """
    return {} if array.ndim >= 2 else {"weight_decay": 0.0}


@expect.nearest
def layerwise_rates(lr: float, decay: float, depth: Callable[[str], int]) -> Overrides:
    """Return overrides that shrink the learning rate from layer to layer: lr decay^depth.

    Parameters
    ----------
    lr : float ≥ 0
        Rate of the layers of depth 0, mostly the last ones.
    decay : float in (0, 1]
        Factor from one layer to the next.
    depth : callable (key) -> int
        How many layers stand between a parameter, by its key, and those of depth 0.

    Returns
    -------
    callable (key, array) -> dict

    Raises
    ------
    TypeError, ValueError
        If a number is outside its domain.

    References
    ----------
    Howard and Ruder, "Universal language model fine-tuning for text classification", ACL 2018, section 3.2.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> params = {"layer0.weight": np.ones(2), "layer1.weight": np.ones(2)}
    >>> rates = fo.optimizers.overrides.layerwise_rates(0.5, 0.5, lambda key: 1 - int(key[5]))
    >>> [group["lr"] for group in fo.optimizers.AdamW(params, overrides=rates).groups]
    [0.25, 0.5]
    """
    lr = expect.number(lr, "lr", expect.NOT_NEGATIVE)
    decay = expect.number(decay, "decay", expect.SHARE)
    if not callable(depth):
        raise TypeError(f"depth: expected a callable (key) -> int, got {expect.describe(depth)}")

    def overrides(key: str, array: Any) -> dict[str, float]:
        return {"lr": lr * decay ** expect.integer(depth(key), f"depth of {key!r}", 0)}

    return overrides


def combined(*overrides: Overrides) -> Overrides:
    """Return overrides that are several ones together; later ones decide.

    Parameters
    ----------
    *overrides : callables (key, array) -> mapping

    Returns
    -------
    callable (key, array) -> dict

    Raises
    ------
    TypeError
        If one is not callable.

    Examples
    --------
    >>> import numpy as np
    >>> from fastopt.optimizers.overrides import combined, no_decay_of_vectors
    >>> both = combined(no_decay_of_vectors, lambda key, array: {"lr": 0.5})
    >>> both("bias", np.ones(2))
    {'weight_decay': 0.0, 'lr': 0.5}
    """
    for each in overrides:
        if not callable(each):
            raise TypeError(f"overrides: expected callables (key, array), got {expect.describe(each)}")

    def together(key: str, array: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for each in overrides:
            found |= each(key, array)
        return found

    return together
