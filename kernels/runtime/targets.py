"""Which way of a kernel room does the work: the module that stands there for the target in force.

Every room has the same functions in `cpu.py` (compiled kernels, Cython's or Numba's), in `by_reference.py` (NumPy, the
judge) and, where it has one, in `cuda.py`. A public call asks for its way once: `way("losses").elementwise(...)`.
"""

from collections.abc import Callable
from functools import cache, wraps
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


def way_of(room: str, target: str) -> Any:
    """As `way`, for who has asked for the target already."""
    return _module(room, WAYS[target])


@cache
def _module(room: str, name: str) -> Any:
    module = f"fastopt.kernels.{room}.{name}"
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise NotImplementedError(f"target {get_target()!r} has no kernels for {room} yet") from None
    if name != "by_reference":
        return found
    return SimpleNamespace(**{key: _in_one_mode(value) for key, value in vars(found).items() if isfunction(value)})


def _in_one_mode(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def in_one_mode(*arguments: Any, **keywords: Any) -> Any:
        with FloatMode():
            return function(*arguments, **keywords)

    return in_one_mode
