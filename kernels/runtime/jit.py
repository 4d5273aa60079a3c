"""From a scalar rule in plain Python to a C kernel of the launcher's signature, with Numba's cfunc.

Every Numba option of the project stands here. A kernel is compiled from a module file that is written once into
a cache folder and named by the hash of all it contains, for three reasons: Numba's own disk cache works for
module files alone, it overlooks edits in files that a kernel merely calls, and first-class functions are slow.
The file holds a loop. What kernels share (exp and log of their type, the fold of lanes, rules and pieces of the room)
are modules too, each with the names of those before it: so a process compiles a function once for all that call it. A
module's name holds the hash of its text and of theirs: read them when in doubt.
"""

import ast
import hashlib
import importlib.util
import inspect
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from threading import RLock

from fastopt.kernels.runtime.cache import cache_folder as cache_folder

# numpy: without it a branch for division by zero stops vectorising. No fastmath: NaN and Inf must travel.
OPTIONS = "error_model='numpy', boundscheck=False, nogil=True"
CALLED = f"{OPTIONS}, no_cpython_wrapper=True, no_cfunc_wrapper=True"  # by kernels alone, never by Python or C

HEADER = f'''"""Written by fastopt.kernels.runtime.jit; safe to delete."""
import math
from math import sqrt

import numpy as np
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

real = np.{{dtype}}

@intrinsic(prefer_literal=True)
def doubles_on_stack(typing, size):
    """A pointer to `size` float64 numbers on the stack; `size` is a literal."""
    def allocate(context, builder, signature, arguments):
        number = context.get_value_type(signature.return_type.dtype)
        return cgutils.alloca_once(builder, number, size=context.get_constant(types.intp, size.literal_value))
    return types.CPointer(types.float64)(size), allocate

@intrinsic
def fma(typing, a, b, c):
    """a b + c, rounded once."""
    def add(context, builder, signature, arguments):
        return builder.fma(*arguments)
    return a(a, a, a), add

SIGNATURE = types.void(
    types.CPointer(types.voidptr), types.CPointer(types.int64), types.CPointer(types.float64),
    types.int64, types.int64, types.CPointer(types.float64),
)

@intrinsic(prefer_literal=True)
def on_stack(typing, size):
    """A pointer to `size` numbers of the kernel's type on the stack; `size` is a literal."""
    def allocate(context, builder, signature, arguments):
        number = context.get_value_type(signature.return_type.dtype)
        return cgutils.alloca_once(builder, number, size=context.get_constant(types.intp, size.literal_value))
    return types.CPointer(types.{{dtype}})(size), allocate

@njit({CALLED})
def typed(pointer, dtype):
    return carray(pointer, 1 << 62, dtype)
'''

compiled: list[str] = []  # names of the kernels this process asked Numba for; the tests count them
_modules: dict[str, object] = {}
_lock = RLock()


class _Typed(ast.NodeTransformer):
    """Give every float literal the kernel's type (Numba would widen the whole formula to float64), and every
    function the project's options. Docstrings and imports go: the module has its own."""

    def visit_Constant(self, node):
        if isinstance(node.value, float):
            return ast.Call(ast.Name("real", ast.Load()), [node], [])
        return node

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.decorator_list = [ast.parse(f"njit({CALLED}, forceinline=True)", mode="eval").body]
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return node

    def visit_Module(self, node):
        self.generic_visit(node)
        node.body = [
            part
            for part in node.body
            if not isinstance(part, ast.Import | ast.ImportFrom)
            and not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        ]
        return node


def typed_source(path) -> str:
    """Return a module's text with typed literals, ready to be part of a kernel's module."""
    return _typed(Path(path).read_text())


@cache  # a room's kernels share most of their text
def _typed(text: str) -> str:
    return ast.unparse(ast.fix_missing_locations(_Typed().visit(ast.parse(text))))


def elementwise_loop(rule, buffers, written, scalars) -> str:
    """Return the text of the kernel that applies a scalar rule to every element of its range."""
    inputs = [name for name in buffers if name in inspect.signature(rule).parameters]
    results = ", ".join(f"{name}[i]" for name in written)
    arguments = ", ".join([*(f"{name}[i]" for name in inputs), *scalars])
    return f"""
@njit({CALLED})
def loop({", ".join([*buffers, *scalars])}):
    for i in range({buffers[0]}.size):
        {results} = {rule.__name__}({arguments})

@cfunc(SIGNATURE, cache=True, {OPTIONS})
def kernel(buffers, dims, scalars, start, stop, partials):
    loop({
        ", ".join(
            [
                *(f"carray(buffers[{k}], stop, real)[start:stop]" for k in range(len(buffers))),
                *(f"real(scalars[{k}])" for k in range(len(scalars))),
            ]
        )
    })
"""


def handwritten(body, buffers, types) -> str:
    """Return the text of the kernel around a hand-written body(buffers..., dims, scalars, start, stop, partials).

    Each buffer reaches the body as a typed pointer; `types` names those that are not of the kernel's type.
    """
    pointers = ", ".join(f"typed(buffers[{k}], {types.get(name, 'real')!s})" for k, name in enumerate(buffers))
    return f"""
@cfunc(SIGNATURE, cache=True, {OPTIONS})
def kernel(buffers, dims, scalars, start, stop, partials):
    {body.__name__}({pointers}, dims, scalars, start, stop, partials)
"""


def _import(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load(name: str, dtype: str, *parts: str):
    """Return the module of the last of these parts of text, a kernel's, compiled, from the cache where it has been made
    before; the parts before it are what the kernel shares with others."""
    elementary, lanes = (
        typed_source(Path(__file__).with_name(f"{stem}.py")) for stem in (f"elementary_{dtype}", "lanes")
    )
    *shared, own = parts
    above = ""
    with _lock:
        for text in (HEADER.format(dtype=dtype) + elementary, lanes, *shared):
            above = f"from {_module('shared', dtype, above + text).__name__} import *\n\n"
        return _module(name, dtype, above + own)


def _module(name: str, dtype: str, text: str):
    import numba

    key = hashlib.sha256(f"{numba.__version__}\n{sys.version}\n{text}".encode()).hexdigest()[:16]
    if key not in _modules:
        if name != "shared":
            compiled.append(f"{name}[{dtype}]")
        folder = cache_folder() / f"{name}_{dtype}_{key}"
        try:
            _modules[key] = _import(_write(folder, text), f"fastopt_jit_{key}")
        except Exception:  # a truncated cache file would fail for ever: make it anew, once
            shutil.rmtree(folder, ignore_errors=True)
            _modules[key] = _import(_write(folder, text), f"fastopt_jit_{key}")
    return _modules[key]


def _write(folder: Path, text: str) -> Path:
    path = folder / "kernel.py"
    if not path.exists() or path.read_text() != text:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False) as file:
            file.write(text)
        os.replace(file.name, path)  # two processes may do this at once: both write the same
    return path
