"""The text of a CUDA kernel's module: a header for the way it is run, and of the rules what the kernel uses.

The same text runs three ways, which differ in their header and entry alone:

cuda       compiled to PTX by numba-cuda: one thread is a lane of a warp
host       compiled for the CPU by Numba: loops over blocks, warps and lanes. Tests compare its bits with the CPU's.
simulator  run by numba-cuda's simulator, thread by thread

A function that numba-cuda compiles apart asks for a device, so every function is inlined; and `x.view(np.int32)` is
such a function of NumPy's, so it becomes `view_int32(x)`, which each header defines.
"""

import ast
from functools import cache
from pathlib import Path

from fastopt.kernels.runtime import jit

TARGETS = ("cuda", "host", "simulator")
KERNELS = Path(__file__).parents[1]

_VIEWS_OF_NUMPY = """
@device
def view_int32(x):
    return np.float32(x).view(np.int32)

@device
def view_uint32(x):
    return np.float32(x).view(np.uint32)

@device
def view_float32(x):
    return np.uint32(x).view(np.float32)

@device
def view_int64(x):
    return np.float64(x).view(np.int64)

@device
def view_float64(x):
    return np.int64(x).view(np.float64)
"""
_VIEWS_OF_LIBDEVICE = """
@device
def view_int32(x):
    return np.int32(cuda.libdevice.float_as_int(x))

@device
def view_uint32(x):
    return np.uint32(cuda.libdevice.float_as_int(x))

@device
def view_float32(x):
    return cuda.libdevice.int_as_float(np.int32(x))

@device
def view_int64(x):
    return np.int64(cuda.libdevice.double_as_longlong(x))

@device
def view_float64(x):
    return cuda.libdevice.longlong_as_double(np.int64(x))
"""
_FMA_OF_LLVM = """
@intrinsic
def fma(typing, a, b, c):
    def add(context, builder, signature, arguments):
        return builder.fma(*arguments)
    return a(a, a, a), add
"""
_FMA_OF_CUDA = """
@device
def fma(a, b, c):
    return cuda.fma(a, b, c)
"""
_FMA_OF_NUMPY = """
def fma(a, b, c):
    return type(a)(np.longdouble(a) * np.longdouble(b) + np.longdouble(c))  # rounded twice: shows once in 2000 times
"""
_DEVICE_FOLDS = '''
@device
def block_sum(value, thread, shared):
    """The sum over a block's threads, in halves: the same order in every run."""
    shared[thread] = value
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if thread < half:
            shared[thread] = shared[thread] + shared[thread + half]
        cuda.syncthreads()
        half //= 2
    total = shared[0]
    cuda.syncthreads()
    return total
'''
_WARP_FOLDS = '''
@device
def warp_max(bits):
    """The largest of a warp's magnitudes as bits; shuffles refuse unsigned integers."""
    top = np.int32(bits)
    for step in (16, 8, 4, 2, 1):
        other = cuda.shfl_xor_sync(0xFFFFFFFF, top, step)
        top = other if other > top else top
    return np.uint32(top)
'''
_TEAM_FOLDS = '''
@device
def warp_sum(value):
    """The sum over 32 lanes, in halves, as lanes.pxd folds them; every lane gets it."""
    for step in (16, 8, 4, 2, 1):
        value = value + cuda.shfl_xor_sync(0xFFFFFFFF, value, step)
    return value

@device
def warp_in_order(value, count):
    """The sum over the first lanes, one after the other."""
    total = real(0)
    for k in range(count):
        total = total + cuda.shfl_sync(0xFFFFFFFF, value, np.int32(k))
    return total

@device
def warp_largest(value):
    for step in (16, 8, 4, 2, 1):
        other = cuda.shfl_xor_sync(0xFFFFFFFF, value, step)
        value = other if other > value else value
    return value

@device
def team_add(total, folded, lane, warp, warps, shared):
    """A total and what a row's warps add to it, in their order; every lane gets it."""
    if warps == 1:
        total = total + folded
    else:
        if lane == 0:
            shared[warp] = folded
        cuda.syncthreads()
        for w in range(warps):
            total = total + shared[w]
        cuda.syncthreads()
    return total

@device
def team_largest(value, lane, warp, warps, shared):
    value = warp_largest(value)
    if warps > 1:
        if lane == 0:
            shared[warp] = np.float64(value)
        cuda.syncthreads()
        for w in range(warps):
            other = real(shared[w])
            value = other if other > value else value
        cuda.syncthreads()
    return value

@device
def team_least(value, lane, warp, warps, shared):
    """The least of whole numbers."""
    for step in (16, 8, 4, 2, 1):
        other = cuda.shfl_xor_sync(0xFFFFFFFF, value, step)
        value = other if other < value else value
    if warps > 1:
        if lane == 0:
            shared[warp] = np.float64(value)
        cuda.syncthreads()
        for w in range(warps):
            other = np.int32(shared[w])
            value = other if other < value else value
        cuda.syncthreads()
    return value
'''
_HOST_FOLDS = """
@device
def in_order(values, count):
    total = real(0)
    for k in range(count):
        total = total + values[k]
    return total

@device
def block_sum(values):
    half = THREADS // 2
    while half > 0:
        for k in range(half):
            values[k] = values[k] + values[k + half]
        half //= 2
    return values[0]
"""
_DEVICE = "from numba import cuda, types\ndevice = cuda.jit(device=True{inline})\n"
_HOST = (
    "from numba import cfunc, types\nfrom numba import njit\nfrom numba.extending import intrinsic\n"
    f"device = njit({jit.OPTIONS}, forceinline=True)\n"
)
_HEADERS = {"cuda": _DEVICE.format(inline=', inline="always"'), "simulator": _DEVICE.format(inline=""), "host": _HOST}
_HELPERS = {  # what a target brings; a kernel's text has of them what it uses
    "cuda": _VIEWS_OF_LIBDEVICE + _FMA_OF_CUDA + _DEVICE_FOLDS + _WARP_FOLDS + _TEAM_FOLDS,
    "simulator": _VIEWS_OF_NUMPY + _FMA_OF_NUMPY + _DEVICE_FOLDS,
    "host": _VIEWS_OF_NUMPY + _FMA_OF_LLVM + _HOST_FOLDS,
}
THREADS = 256  # of a block


class _Device(jit._Typed):
    """Literals typed, functions decorated and inlined, `x.view(dtype)` as a function."""

    def visit_FunctionDef(self, node):
        super().visit_FunctionDef(node)
        node.decorator_list = [ast.Name("device", ast.Load())]
        return node

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "view":
            dtype = node.args[0]
            assert isinstance(dtype, ast.Attribute)
            return ast.Call(ast.Name(f"view_{dtype.attr}", ast.Load()), [node.func.value], [])
        return node


def module(name: str, target: str, real: str, sources: tuple[str, ...], *parts: str) -> str:
    """Return a module's text.

    Parameters
    ----------
    name : str
        Of the kernel, for the file's first line.
    target : {"cuda", "host", "simulator"}
    real : {"float32", "float64"}
        The kernel's type.
    sources : tuple of str
        Files with rules, relative to `kernels/`; what `parts` use of them is taken over.
    *parts : str
        The kernel's own text; float literals in it are left as they are.
    """
    texts = [ast.parse(_HELPERS[target]).body, _typed(f"runtime/elementary_{real}.py"), *map(_typed, sources)]
    header = (
        f'"""Written by fastopt.kernels.runtime.cuda_text: {name} for {target}; safe to delete."""\n'
        f"import math\nfrom math import sqrt\n\nimport numpy as np\n{_HEADERS[target]}\n"
        f"THREADS = {THREADS}\nreal = np.{real}\n"
    )
    return "\n\n".join([header, *_used(texts, parts), *parts]) + "\n"


def typed(text: str) -> str:
    """Return statements whose float literals have the kernel's type."""
    return ast.unparse(ast.fix_missing_locations(_Device().visit(ast.parse(text))))


@cache
def _typed(source: str) -> list[ast.stmt]:
    tree = _Device().visit(ast.parse((KERNELS / source).read_text()))
    return ast.fix_missing_locations(tree).body


def _used(modules: list[list[ast.stmt]], parts: tuple[str, ...]) -> list[str]:
    """Return the definitions that `parts` use, directly or through each other, in their order.

    A kernel's text, and with it the key of what was compiled from it, changes only where its own formula does.
    """
    defined: dict[str, ast.stmt] = {}
    for statement in (statement for module in modules for statement in module):
        for name in _names_of(statement):
            if name in defined and ast.dump(defined[name]) != ast.dump(statement):
                raise ValueError(f"{name}: expected one definition among the rules of a kernel, got two")
            defined[name] = statement
    wanted: list[ast.AST] = [ast.parse(part) for part in parts]
    found: set[str] = set()
    while wanted:
        for node in ast.walk(wanted.pop()):
            if isinstance(node, ast.Name) and node.id in defined and node.id not in found:
                found.add(node.id)
                wanted.append(defined[node.id])
    kept = dict.fromkeys(statement for name, statement in defined.items() if name in found)
    return [ast.unparse(statement) for statement in kept]


def _names_of(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []
