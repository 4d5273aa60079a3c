"""What calls on a GPU ask of their arrays, and how they refuse."""

from typing import Any

import numpy as np

from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.cuda_arrays import DeviceArray, OwnArray, device_array, packed_steps
from fastopt.kernels.runtime.driver import driver

FLOATS = ("float32", "float64", "bfloat16", "float16")


def place(
    value: Any, name: str, wanted: tuple[str, ...] = FLOATS, *, shape: tuple[int, ...] | None = None,
    beside: tuple[str, DeviceArray] | None = None,
) -> DeviceArray:  # fmt: skip
    """Return where an array is: packed, of a dtype that is wanted, of this shape, and on the device of `beside`, an
    array and its name.
    """
    found = device_array(value, name)
    if found.dtype not in wanted:
        raise TypeError(f"{name}: expected {' or '.join(wanted)}, got {found.dtype}")
    if found.layout != packed_steps(found.shape):
        raise ValueError(f"{name}: expected a packed array in C order under target 'cuda', got strides {found.steps}")
    if shape is not None and found.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {found.shape}")
    if beside is not None and found.ordinal != beside[1].ordinal:
        raise ValueError(
            f"{name}: expected an array on GPU {beside[1].ordinal}, as {beside[0]} is, got GPU {found.ordinal}"
        )
    return found


def output(out: Any, like: tuple[str, DeviceArray], apart: dict[str, DeviceArray | None]) -> tuple[Any, DeviceArray]:
    """Return `out` and where it is, or a new array: of the type of `like`, whose memory it may take, and no other's."""
    same, array = like
    if out is None:
        made = OwnArray(driver().device(array.ordinal), array.shape, kinds.dtype(array.dtype))
        return made, made.place
    found = place(out, "out", (array.dtype,), shape=array.shape, beside=like)
    if not found.writable:
        raise ValueError("out: expected a writable array, got a read-only one")
    for name, other in {same: array, **apart}.items():
        if other is None:
            continue
        is_apart = found.address + found.nbytes <= other.address or other.address + other.nbytes <= found.address
        if not is_apart and not (name == same and found.address == other.address):
            raise ValueError(f"out: expected memory apart from {name}, got arrays that overlap")
    return out, found


def to_fill(out: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
    """Return `out`, if it is an array to write of this shape and dtype, or a new one on the first device."""
    if out is None:
        return OwnArray(driver().device(0), shape, dtype)
    if not place(out, "out", (str(dtype),), shape=shape).writable:
        raise ValueError("out: expected a writable array, got a read-only one")
    return out
