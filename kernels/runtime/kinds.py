"""Storage kinds as arrays: which dtype holds them, and how NumPy reads and writes them (for the reference)."""

import math
from functools import cache
from typing import Any

import numpy as np

from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.kernels.runtime.storage import LOAD, STORE

GROUP = 256  # elements that share a scale in 8-bit storage


def bfloat16() -> np.dtype:
    """Return NumPy's bfloat16, which ml_dtypes brings."""
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError("bfloat16 needs the package ml_dtypes: pip install 'fastopt[bfloat16]'") from None
    return np.dtype(ml_dtypes.bfloat16)


def finfo(dtype: np.dtype) -> Any:
    """Return a float type's limits, as np.finfo does."""
    if dtype.kind == "f":
        return np.finfo(dtype)
    import ml_dtypes

    return ml_dtypes.finfo(dtype)


@cache
def name(dtype: np.dtype) -> str:
    """Return a dtype's name, which NumPy takes microseconds to form."""
    return str(dtype)


def dtype(kind: str) -> np.dtype:
    """Return the dtype of a float type's arrays."""
    return bfloat16() if kind in ("bfloat16", "square16") else np.dtype(kind)


def forms(kind: str, shape: tuple[int, ...]) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Return the dtypes and shapes of arrays that hold `shape` elements of this kind, by the ends of their names."""
    if kind in ("mean8", "square8"):
        scales = (-(-math.prod(shape) // GROUP),)
        return {"": (np.dtype(np.uint8), shape), "_scale": (np.dtype(np.float32), scales)}
    return {"": (dtype(kind), shape)}


def arrays_for(kind: str, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return zeroed arrays that hold `shape` elements of this kind."""
    return [np.zeros(own, form) for form, own in forms(kind, shape).values()]


def read(kind: str, arrays: list[np.ndarray], compute: str) -> np.ndarray:
    """Return the values of contiguous arrays of this kind, in the compute type."""
    values = np.empty(arrays[0].shape, compute)
    if kind == compute:
        values[...] = arrays[0]
    else:
        _move(LOAD[kind], [*arrays, values], compute, ())
    return values


def write(kind: str, arrays: list[np.ndarray], values: np.ndarray, scalars: Any = (0, 0), number: int = 0) -> None:
    """Write values into contiguous arrays of this kind; seed and step (`scalars`) and `number` say which way is up."""
    compute = str(values.dtype)
    if kind == compute:
        arrays[0][...] = values
    else:
        _move(STORE[kind], [*arrays, values], compute, scalars, number)


def _move(addresses: tuple[int, int], arrays: list[np.ndarray], compute: str, scalars: Any, number: int = 0) -> None:
    packed = [np.ascontiguousarray(array) for array in arrays]
    stage = (addresses[DTYPES.index(compute)], tuple(range(len(arrays))), 1, 0, 0)
    plan = pipeline.make_pipeline((stage,), (0,) * len(arrays))
    plan.run_one(packed, packed[0].size, pipeline.GRAIN, 0, (number,), tuple(scalars), 0, 1)
    for array, moved in zip(arrays, packed, strict=True):
        if moved is not array:
            array[...] = moved
