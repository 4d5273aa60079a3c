"""fastopt under JAX: what XLA is slow at on CPUs, as operations of its programs.

Every function works under `jit`, `grad`, `vmap`, `lax.scan` and `shard_map`. XLA calls our kernels directly, through
its foreign function interface; no Python runs on the way. Names, arguments and their order are optax's.

`import fastopt.jax` is the only way in; it needs jax, and its optimizers need optax: `pip install 'fastopt[jax]'`.
Calls run on CPU devices; a program for another device is refused by XLA, which knows the operation on CPUs alone.
"""

from importlib import import_module
from types import ModuleType

__all__ = ["initializers", "losses", "metrics", "optimizers"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f"fastopt.jax.{name}")
    raise AttributeError(f"module 'fastopt.jax' has no attribute {name!r}")
