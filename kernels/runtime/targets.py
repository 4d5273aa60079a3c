"""Which way of a kernel room does the work: the module that stands there for the target in force.

Every room has the same functions in `cpu.py` (compiled kernels, Cython's or Numba's), in `by_reference.py` (NumPy, the
judge) and, where it has one, in `cuda.py`. A public call asks for its way once: `way("losses").elementwise(...)`.
"""

from functools import cache
from importlib import import_module
from types import ModuleType

from fastopt.kernels.runtime.settings import get_target

WAYS = {"cython": "cpu", "numba": "cpu", "reference": "by_reference", "cuda": "cuda"}


def way(room: str) -> ModuleType:
    """Return the module of a kernel room ("losses", ...) for the target in force."""
    return _module(room, WAYS[get_target()])


@cache
def _module(room: str, name: str) -> ModuleType:
    module = f"fastopt.kernels.{room}.{name}"
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise NotImplementedError(f"target {get_target()!r} has no kernels for {room} yet") from None
