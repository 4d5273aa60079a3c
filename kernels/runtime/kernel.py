"""What a kernel is to the rest of the house: its name, its buffers and scalars, and where its machine code is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

TARGETS = ("cython", "numba", "reference", "cuda")
DTYPES = ("float32", "float64")


@dataclass(frozen=True, eq=False)
class Kernel:
    """One compiled function, the same on every target.

    Parameters
    ----------
    name : str
        The function's name in compiled*.pyx, and in rules.py (elementwise) or jit*.py (hand-written).
    family : str
        The room it stands in.
    buffers, written : tuple of str
        All arrays in the kernel's order; those that it writes.
    scalars, dims : tuple of str
        The kernel's numbers: float64, cast once to its own type; int64 sizes.
    unit : str
        What start:stop counts.
    types : mapping
        dtype of the buffers that are not of the kernel's own type.
    rule : bool
        True: Numba builds the loop around a scalar rule. False: jit*.py holds the loop.
    code : int
        Address of the machine code of a stage that is the same on every target (it moves data); 0: by target.
    filled : tuple of str
        Of the arrays that are written, those that are written whole and never read.
    sequential : str
        Why the kernel holds no packed arithmetic of its own type, where it holds none; a test looks at the rest.
    """

    name: str
    family: str
    buffers: tuple[str, ...]
    written: tuple[str, ...]
    scalars: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()
    unit: str = "element"
    types: Mapping[str, str] = field(default_factory=dict)
    rule: bool = True
    code: int = 0
    filled: tuple[str, ...] = ()
    sequential: str = ""


@cache
def address(kernel: Kernel, dtype: str, target: str) -> int:
    """Return the address of a kernel's machine code, compiled now if it is Numba's and new."""
    if kernel.code:
        return kernel.code
    if target == "cython":
        compiled = import_module(f"fastopt.kernels.{kernel.family}.compiled")
        return compiled.KERNELS[kernel.name][DTYPES.index(dtype)]
    if target == "numba":
        return module(kernel, dtype).kernel.address
    if target == "cuda":
        raise NotImplementedError(
            f"target 'cuda' has no kernel for {kernel.name} ({kernel.family}) yet; use target 'cython'"
        )
    raise ValueError(f"target: expected 'cython' or 'numba' for a compiled kernel, got {target!r}")


def module(kernel: Kernel, dtype: str) -> Any:
    """Return the module that Numba compiled a kernel in (its `kernel` is the cfunc)."""
    from fastopt.kernels.runtime import jit

    room = f"fastopt.kernels.{kernel.family}"
    rules: Any = import_module(f"{room}.rules")
    if kernel.rule:
        rule = getattr(rules, kernel.name)
        loop = jit.elementwise_loop(rule, kernel.buffers, kernel.written, kernel.scalars)
        return jit.load(kernel.name, dtype, jit.typed_source(rules.__file__), loop)
    loop = getattr(import_module(f"{room}.jit"), kernel.name)
    loops: Any = import_module(loop.__module__)  # where it stands: jit.py, or one of jit_*.py
    pieces = [Path(rules.__file__).with_name(f"{name}.py") for name in loops.PIECES]
    body = jit.handwritten(loop, kernel.buffers, kernel.types)
    return jit.load(kernel.name, dtype, *map(jit.typed_source, (rules.__file__, *pieces, loops.__file__)), body)
