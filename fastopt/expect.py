"""Every refusal of bad input, and its sentence: the argument, what was expected, what came.

Nothing is written before all is checked.
"""

import sys
import warnings
from collections.abc import Callable, Mapping
from math import prod
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.checks import all_fit, are_labels, fits, may_overlap, takes
from fastopt.kernels.runtime.names import Named as Named
from fastopt.kernels.runtime.names import nearest as nearest
from fastopt.kernels.runtime.names import shown as shown
from fastopt.kernels.runtime.names import unknown as unknown
from fastopt.kernels.runtime.settings import get_target

FLOAT64 = np.dtype(np.float64)
DTYPES = (np.dtype(np.float32), FLOAT64)
MOST = 2**59  # elements of 16 bytes: no array of NumPy's has more
FLOATS = ("float32", "float64", "bfloat16", "float16")


def describe(value: Any) -> str:
    """Return what came, in a few words."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return f"{type(value).__name__} {shown(value)}"


def plain(value: Any, name: str, more: str = "") -> np.ndarray:
    """Return `value` if it is an array whose elements are all that it means; `more`: what np.asarray is to be told."""
    if not isinstance(value, np.ndarray):
        if _is_on_gpu(value):
            _refuse_on_gpu(value, name)
        raise TypeError(f"{name}: expected a NumPy array, got {describe(value)}{_remedy(value, name, more)}")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name}: expected a plain NumPy array (a mask is not looked at; give {name}.filled(...), and leave "
            "elements out by mask= or by weights of 0), got a masked array"
        )
    if not isinstance(value, np.memmap) and type(value) is not np.ndarray:
        raise TypeError(f"{name}: expected a plain NumPy array (np.asarray makes one), got {type(value).__name__}")
    return value


def _is_on_gpu(value: Any) -> bool:
    if hasattr(value, "is_cuda"):  # torch's: the interface refuses tensors that take gradients
        return bool(value.is_cuda)
    return hasattr(value, "__cuda_array_interface__")


def _refuse_on_gpu(value: Any, name: str) -> None:
    """Say why an array on a GPU comes to a call that works in the host's memory."""
    if get_target() == "cuda":
        raise NotImplementedError(
            f"{name}: target 'cuda' has no kernel for this call yet; copy the arrays to the host, for target 'cython'"
        )
    raise TypeError(
        f"{name}: expected a NumPy array, got a {type(value).__name__} on a GPU; call this within "
        "fastopt.target('cuda'), or copy it to the host"
    )


def _remedy(value: Any, name: str, more: str) -> str:
    """Return how to make an array of something else."""
    if value is None:
        return ""
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        return f"; write {name}.detach().numpy()"
    if hasattr(value, "to_numpy"):
        return f"; write {name}.to_numpy({more[2:]})"
    return (
        f"; write np.array(list({name}){more})" if hasattr(value, "__next__") else f"; write np.asarray({name}{more})"
    )


def array(
    value: Any,
    name: str,
    *,
    dtype: np.dtype | None = None,
    shape: tuple[Any, ...] | None = None,
    among: tuple[str, ...] = ("float32", "float64"),
    written: bool = False,
) -> np.ndarray:
    """Return `value` if it is an array of one of these dtypes (of this dtype and shape); no copy, no cast.

    `written`: the array is a place for results, so that a converted copy would be no remedy.
    """
    if fits(value, dtype, shape):
        return value
    plain(value, name, f", {str(dtype or among[0])!r}" if not written else "")
    # comparing dtypes takes a fraction of a microsecond, forming a dtype's name takes seven
    if value.dtype not in DTYPES and value.dtype != dtype and str(value.dtype) not in among:
        wanted = f"{', '.join(among[:-1])} or {among[-1]}"
        raise TypeError(f"{name}: expected {wanted}, got {value.dtype}{_convert(dtype or among[0], shape, written)}")
    if dtype is not None and value.dtype != dtype:
        raise TypeError(f"{name}: expected {dtype}, got {value.dtype}{_convert(dtype, shape, written)}")
    if shape is not None and value.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {value.shape}")
    if not value.flags.aligned:
        raise ValueError(
            f"{name}: expected memory aligned to its {value.itemsize}-byte elements, got an unaligned array"
        )
    return value


def _convert(dtype: Any, shape: tuple[Any, ...] | None, written: bool) -> str:
    """Return how to come by an array of a dtype."""
    if not written:
        return f"; convert it with astype({str(dtype)!r})"
    return f"; make one with np.empty({shape}, {str(dtype)!r})"


def arrays(dtype: np.dtype, shape: tuple[Any, ...], /, **given: Any) -> None:
    """Check arrays of one dtype and shape, by their names."""
    if not all_fit(given.values(), dtype, shape):
        for name, value in given.items():
            array(value, name, dtype=dtype, shape=shape)


def writable(value: np.ndarray, name: str) -> np.ndarray:
    """Return `value` if it may be written."""
    if not value.flags.writeable:
        raise ValueError(f"{name}: expected a writable array, got a read-only one")
    if value.flags.c_contiguous:
        return value
    if value.size and any(step == 0 and length > 1 for step, length in zip(value.strides, value.shape, strict=True)):
        raise ValueError(f"{name}: expected memory of its own for every element, got a broadcast array")
    if overlaps_itself(value):
        raise ValueError(f"{name}: expected memory of its own for every element, got a view whose elements overlap")
    return value


def overlaps_itself(value: np.ndarray) -> bool:
    """Return whether two elements share memory, as in a writeable sliding window."""
    reach = value.itemsize
    for step, length in sorted((abs(step), n) for step, n in zip(value.strides, value.shape, strict=True) if n > 1):
        if step < reach:  # axes interleave: look at every element's place
            break
        reach += step * (length - 1)
    else:
        return False
    places = np.zeros((1,), np.int64)
    for step, length in zip(value.strides, value.shape, strict=True):
        places = np.add.outer(places, np.arange(length, dtype=np.int64) * step).reshape(-1)
    return bool(value.size) and bool((np.diff(np.sort(places)) < value.itemsize).any())


def output(
    out: Any,
    name: str,
    *,
    dtype: np.dtype,
    shape: tuple[Any, ...],
    apart: Mapping[str, np.ndarray | None],
    same: str = "",
) -> np.ndarray:
    """Return `out`, or a new array where it is None; it may not overlap `apart`, but may be the array `same`."""
    if out is None:
        return np.empty(shape, dtype)
    if takes(out, dtype, shape, apart, same):
        return out
    writable(array(out, name, dtype=dtype, shape=shape, written=True), name)
    if not may_overlap(out, apart.values()):
        return out
    for other, value in apart.items():
        if value is None or not np.may_share_memory(out, value):
            continue
        identical = other == same and out.ctypes.data == value.ctypes.data and out.strides == value.strides
        if not identical and np.shares_memory(out, value):
            raise ValueError(f"{name}: expected memory apart from {other}, got arrays that overlap")
    return out


def not_empty(value: np.ndarray, name: str) -> np.ndarray:
    if value.size == 0:
        raise ValueError(f"{name}: expected at least one element, got shape {value.shape}")
    return value


def choice(value: Any, name: str, among: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in among:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, among))}, got {shown(value)}")
    return value


def caution(
    sentence: str, kind: type[Warning] = RuntimeWarning, inner: tuple[str, ...] = ("fastopt.",)
) -> None:  # fmt: skip
    """Warn of what a call has done, at the line of the caller's that is outside of the packages `inner`."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(inner):
        frame, level = frame.f_back, level + 1
    warnings.warn(sentence, kind, stacklevel=level)


class Domain(NamedTuple):
    """What a number may be: a test of it, and what an error says was expected."""

    holds: Callable[[float], bool]
    wanted: str

    def __repr__(self) -> str:
        return self.wanted  # signatures show it


NOT_NEGATIVE = Domain(lambda x: 0 <= x < np.inf, "a finite number ≥ 0")
NOT_POSITIVE = Domain(lambda x: -np.inf < x <= 0, "a finite number ≤ 0")
POSITIVE = Domain(lambda x: 0 < x < np.inf, "a finite number > 0")
POSITIVE_IN_FLOAT32 = Domain(lambda x: 1e-76 <= x < np.inf, "a finite number > 0, of 1e-76 or more in float32")
FRACTION = Domain(lambda x: 0 <= x < 1, "a number in [0, 1)")
INSIDE = Domain(lambda x: 0 < x < 1, "a number in (0, 1)")
UNIT = Domain(lambda x: 0 <= x <= 1, "a number in [0, 1]")
SHARE = Domain(lambda x: 0 < x <= 1, "a number in (0, 1]")
FINITE = Domain(lambda x: -np.inf < x < np.inf, "a finite number")


def number(value: Any, name: str, domain: Domain) -> float:
    """Return a number of the domain as a float."""
    holds, wanted = domain
    if type(value) is float and holds(value):  # asking an abstract class takes two microseconds
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected {wanted}, got {describe(value)}")
    try:
        converted = float(value)
    except OverflowError:  # an integer beyond all floats
        converted = np.inf
    if not holds(converted):
        raise ValueError(f"{name}: expected {wanted}, got {shown(value)}")
    return converted


def eps(value: Any, dtype: np.dtype) -> float:
    """Return what is added to a sum of squares of this dtype: 1 / √eps must be a number of the type computed in."""
    if type(value) is float and 1e-76 <= value < np.inf:
        return value
    return number(value, "eps", POSITIVE if dtype == FLOAT64 else POSITIVE_IN_FLOAT32)


def numbers(value: Any, name: str, domains: list[Domain]) -> tuple[float, ...]:
    """Return a number of each domain as a tuple of floats."""
    if not isinstance(value, list | tuple) or len(value) != len(domains):
        parts = dict.fromkeys(wanted.split("number")[1].strip() for _, wanted in domains)
        wanted = f"{('one', 'two', 'three')[len(domains) - 1]} numbers {' and '.join(parts)}"
        raise ValueError(f"{name}: expected {wanted}, got {shown(value)}")
    return tuple(number(part, f"{name}[{i}]", domain) for i, (part, domain) in enumerate(zip(value, domains)))


def flag(value: Any, name: str) -> bool:
    if value is True or value is False:
        return value
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected True or False, got {describe(value)}")
    return bool(value)


def integer(value: Any, name: str, low: int = -(2**63), stop: int | None = None) -> int:
    """Return an integer of at least `low` (and less than `stop`, or 2**63) as an int."""
    wanted = f"an integer ≥ {low}" if stop is None else f"an integer in [{low}, {stop})"
    if low == -(2**63):
        wanted = "an integer of 64 bits"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name}: expected {wanted}, got {describe(value)}")
    whole = int(value)
    if not low <= whole < (2**63 if stop is None else stop):
        raise ValueError(f"{name}: expected {wanted}, got {whole}")
    return whole


def shape(value: Any, name: str, axes: int = 0) -> tuple[int, ...]:
    """Return a shape of at least `axes` axes as a tuple of ints."""
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name}: expected a tuple of integers ≥ 0, got {describe(value)}")
    lengths = tuple(integer(length, f"{name}[{axis}]", 0) for axis, length in enumerate(value))
    if len(lengths) < axes:
        raise ValueError(f"{name}: expected {axes} axes or more, got {lengths}")
    if prod(lengths) >= MOST:
        raise ValueError(f"{name}: expected fewer than 2**59 elements, got {lengths}")
    return lengths


def dtype(value: Any, name: str, among: tuple[str, ...] = ("float32", "float64")) -> np.dtype:
    """Return one of these float types as a dtype."""
    try:
        if isinstance(value, str) and value == "bfloat16" and value in among:
            return kinds.bfloat16()
        found = None if value is None else np.dtype(value)
    except Exception:  # NumPy asks any object what it is
        found = None
    if found is None or (found not in DTYPES and str(found) not in among):
        raise TypeError(f"{name}: expected {', '.join(among[:-1])} or {among[-1]}, got {shown(value)}")
    return found


def labels(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return integer labels of this shape (or with a last axis of 1 behind it) as int64; other integers are copied."""
    if are_labels(value, shape):
        return value
    plain(value, name, ", 'int64'")
    if value.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: expected labels of an integer dtype, got {value.dtype}; convert it with astype('int64')"
        )
    if value.shape != shape:
        if value.shape != (*shape, 1):
            raise ValueError(f"{name}: expected shape {shape} or {(*shape, 1)}, got {value.shape}")
        value = value[..., 0]
    if value.dtype == np.uint64 and value.size and value.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{name}: expected labels below 2**63, got {value.max()}")
    return value.astype(np.int64, copy=not value.flags.aligned)
