"""Fused training kernels for CPUs: optimizers, normalization, losses with gradients, initializers, metrics, arrays."""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

try:
    from fastopt.kernels.runtime.settings import get_num_threads, get_target, set_num_threads, target
except ModuleNotFoundError as error:
    if error.name != "fastopt.kernels":
        raise
    raise ImportError(
        "fastopt: this source folder has no kernels, and hides an installed package; run from another folder, or "
        "install this one in place: pip install --editable ."
    ) from None
from fastopt.report import show_config
from fastopt.version import __version__ as __version__

if TYPE_CHECKING:
    from fastopt import arrays, initializers, losses, metrics, normalization, optimizers, schedules

__all__ = [
    "arrays",
    "get_num_threads",
    "get_target",
    "initializers",
    "losses",
    "metrics",
    "normalization",
    "optimizers",
    "schedules",
    "set_num_threads",
    "show_config",
    "target",
]


def __getattr__(name: str) -> ModuleType:
    """Import a family when it is first used: a program pays for what it needs."""
    if name in __all__:
        return import_module(f"fastopt.{name}")
    raise AttributeError(f"module 'fastopt' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the families too, whether they have been imported or not."""
    return [*__all__, "__version__"]
