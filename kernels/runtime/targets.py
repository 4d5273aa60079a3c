"""Which way of a kernel room does the work: the module that stands there for the target in force.

Every room has the same functions in `cpu.py` (compiled kernels, Cython's or Numba's), in `by_reference.py` (NumPy, the
judge) and, where it has one, in `cuda.py`. A public call asks for its way once, and hands it on:
`by = way("losses")`, then `by.signs(...)` and `by.evaluate(...)`. Where cpu.py must know who compiled the kernels, its
functions take `target` in front of all else; whoever has a way has that filled in.
"""

from collections.abc import Callable
from functools import cache, partial, wraps
from importlib import import_module
from inspect import isfunction
from types import SimpleNamespace
from typing import Any

from fastopt.kernels.runtime.launch import FloatMode
from fastopt.kernels.runtime.settings import get_target

WAYS = {"cython": "cpu", "numba": "cpu", "reference": "by_reference", "cuda": "cuda"}


def way(room: str) -> Any:
    """Return the module of a kernel room ("losses", ...) for the target in force.

    The reference's functions run in the floating-point mode of the kernels, whatever the caller's is.
    """
    return way_of(room, get_target())


@cache
def way_of(room: str, target: str) -> Any:
    """As `way`, for who has asked for the target already."""
    name = WAYS[target]
    module = f"fastopt.kernels.{room}.{name}"
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise NotImplementedError(f"target {target!r} has no kernels for {room} yet") from None
    functions = {key: value for key, value in vars(found).items() if isfunction(value)}
    if name == "by_reference":
        return _Way(target, {key: _in_one_mode(value) for key, value in functions.items()})
    return _Way(target, {key: _of_target(value, target) for key, value in functions.items()})


class _Way(SimpleNamespace):
    """A room's functions for a target; one that the target lacks is refused by its name."""

    def __init__(self, target: str, functions: dict[str, Callable[..., Any]]):
        super().__init__(**functions)
        self.of_target = target

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NotImplementedError(f"target {self.of_target!r} has no kernel for {name} yet; use target 'cython'")


def _of_target(function: Callable[..., Any], target: str) -> Callable[..., Any]:
    """Return a function with the target filled in, if that is its first argument."""
    return partial(function, target) if function.__code__.co_varnames[:1] == ("target",) else function


def _in_one_mode(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def in_one_mode(*arguments: Any, **keywords: Any) -> Any:
        with FloatMode():
            return function(*arguments, **keywords)

    return in_one_mode
