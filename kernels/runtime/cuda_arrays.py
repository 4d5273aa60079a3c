"""Arrays that lie on a device: whatever library made them, their memory is used where it is, and never copied.

torch's tensors tell by `data_ptr` (their interface refuses parameters that take gradients, and has no bfloat16), CuPy's
and others by `__cuda_array_interface__`, JAX's and the rest by DLPack.
"""

import ctypes
import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.driver import Device, DeviceMemory, driver

BYTES = {
    "float32": 4, "float64": 8, "bfloat16": 2, "float16": 2, "int64": 8, "int32": 4, "uint16": 2, "uint8": 1, "bool": 1,
}  # fmt: skip
INTERFACE = {
    "<f4": "float32", "<f8": "float64", "<f2": "float16", "<V2": "bfloat16", "<i8": "int64", "<i4": "int32",
    "<u2": "uint16", "|u1": "uint8", "|b1": "bool",
}  # fmt: skip
CUDA, CUDA_MANAGED = 2, 13  # DLPack's devices
READ_ONLY = 1  # a flag of DLPack's
DLPACK = {  # (code, bits) -> dtype
    (2, 32): "float32", (2, 64): "float64", (2, 16): "float16", (4, 16): "bfloat16", (0, 64): "int64",
    (0, 32): "int32", (1, 16): "uint16", (1, 8): "uint8", (6, 8): "bool",
}  # fmt: skip


class DeviceArray(NamedTuple):
    """Where an array is on a device, and what it holds.

    `steps` are the strides in elements, None for C order; `owner` keeps the memory.
    """

    address: int
    shape: tuple[int, ...]
    dtype: str
    ordinal: int
    writable: bool
    steps: tuple[int, ...] | None
    owner: Any

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * BYTES[self.dtype]

    @property
    def layout(self) -> tuple[int, ...]:
        """Its strides; elements of arrays of one shape and layout lie in the same order."""
        return packed_steps(self.shape) if self.steps is None else self.steps


class OwnArray:
    """An array of this package's on a device. Other libraries take it by its interface: `torch.as_tensor(array)`."""

    def __init__(self, device: Device, shape: tuple[int, ...], dtype: np.dtype):
        self.shape, self.dtype, self.device = shape, dtype, device
        self.size = math.prod(shape)
        self.memory = DeviceMemory(device, self.size * dtype.itemsize)
        typestr = next(text for text, name in INTERFACE.items() if name == str(dtype))
        self.__cuda_array_interface__ = {
            "shape": shape, "typestr": typestr, "data": (self.memory.address, False), "version": 3, "strides": None,
        }  # fmt: skip

    @property
    def place(self) -> DeviceArray:
        kind = str(self.dtype)
        return DeviceArray(self.memory.address, self.shape, kind, self.device.ordinal, True, None, self)

    def view(self) -> "OwnArray":
        """Return this array: its shape can't be set."""
        return self

    def fill(self, values: np.ndarray) -> None:
        """Copy a NumPy array of this shape and dtype here."""
        packed = np.ascontiguousarray(values)
        self.device.use()
        self.memory.upload(packed.ctypes.data, packed.nbytes)
        self.device.driver.call("cuStreamSynchronize", None)

    def copy(self) -> np.ndarray:
        """Return a copy in the host's memory, as it is when all work on the device is done."""
        self.device.synchronize()
        return host_copy(self.place)

    def __repr__(self) -> str:
        return f"OwnArray(shape={self.shape}, dtype={self.dtype}, device={self.device.ordinal})"


def on_device(values: np.ndarray, ordinal: int = 0) -> OwnArray:
    """Return a copy of a NumPy array on a device."""
    made = OwnArray(driver().device(ordinal), values.shape, values.dtype)
    made.fill(values)
    return made


def host_copy(place: DeviceArray) -> np.ndarray:
    """Return a copy of a packed array in the host's memory; bfloat16 by ml_dtypes."""
    device, found = driver().device(place.ordinal), np.empty(place.shape, kinds.dtype(place.dtype))
    device.use()
    device.driver.call("cuMemcpyDtoHAsync_v2", found.ctypes.data, place.address, found.nbytes, None)
    device.driver.call("cuStreamSynchronize", None)
    return found


def address_of(value: Any) -> int:
    """Return where an array that was looked at before is now."""
    if hasattr(value, "data_ptr"):
        return value.data_ptr()
    if hasattr(value, "__cuda_array_interface__"):
        return value.__cuda_array_interface__["data"][0]
    return device_array(value, "array").address


def device_array(value: Any, name: str) -> DeviceArray:
    """Return where an array is on a device; refuses one that isn't.

    Raises
    ------
    TypeError
        If it is not on a device, or of no type that kernels know.
    ValueError
        If its elements don't fill its memory.
    """
    if hasattr(value, "data_ptr"):
        found = _of_torch(value, name)
    elif hasattr(value, "__cuda_array_interface__"):
        found = _of_interface(value, name)
    elif hasattr(value, "__dlpack_device__") and value.__dlpack_device__()[0] in (CUDA, CUDA_MANAGED):
        found = _of_dlpack(value, name)
    else:
        raise TypeError(
            f"{name}: expected an array on a GPU under target 'cuda', got {_described(value)}; move it there, or use "
            "target 'cython'"
        )
    if (steps := found.steps) is not None:
        order = sorted(range(len(found.shape)), key=lambda axis: -steps[axis])
        dense = packed_steps(tuple([found.shape[axis] for axis in order]))
        if any(found.shape[axis] != 1 and steps[axis] != step for axis, step in zip(order, dense)):
            raise ValueError(
                f"{name}: expected an array whose elements fill its memory, got strides {found.steps}; copy it"
            )
    return found


def quick(value: Any, shape: tuple[int, ...], ordinal: int) -> tuple[int, str, bool] | None:
    """Return an array's address, dtype, and whether it may be written, if it is packed, of this shape, on this device.

    None where it isn't, or where that takes a longer look (`device_array`).
    """
    if hasattr(value, "data_ptr"):
        if value.is_cuda and value.shape == shape and value.is_contiguous() and value.get_device() == ordinal:
            return value.data_ptr(), _torch_name(value.dtype), True
        return None
    told = getattr(value, "__cuda_array_interface__", None)
    if told is None or told["shape"] != shape or told.get("strides") is not None or told["typestr"] not in INTERFACE:
        return None
    address, read_only = told["data"]
    return (address, INTERFACE[told["typestr"]], not read_only) if driver().ordinal_of(address) == ordinal else None


@cache
def _torch_name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def packed_steps(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a packed array in C order, in elements."""
    return tuple([math.prod(shape[axis + 1 :]) for axis in range(len(shape))])


def _described(value: Any) -> str:
    kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return kind if shape is None else f"a {kind} of {dtype} and shape {tuple(shape)} in the host's memory"


def _known(dtype: str | None, name: str, came: object) -> str:
    if dtype is None or dtype not in BYTES:
        raise TypeError(f"{name}: expected one of {', '.join(BYTES)}, got {came}")
    return dtype


def _of_torch(tensor: Any, name: str) -> DeviceArray:
    if not tensor.is_cuda:
        raise TypeError(
            f"{name}: expected a tensor on a GPU under target 'cuda', got one on {tensor.device}; move it with "
            ".cuda(), or use target 'cython'"
        )
    dtype = _known(str(tensor.dtype).removeprefix("torch."), name, tensor.dtype)
    steps = None if tensor.is_contiguous() else tuple(tensor.stride())
    address = tensor.data_ptr()
    if address == 0 and tensor.numel():
        raise TypeError(
            f"{name}: expected a tensor with memory of its own, got {type(tensor).__name__}; use its to_local()"
        )
    return DeviceArray(address, tuple(tensor.shape), dtype, tensor.device.index, True, steps, tensor)


def _of_interface(value: Any, name: str) -> DeviceArray:
    told = value.__cuda_array_interface__
    shape, (address, read_only) = tuple(told["shape"]), told["data"]
    dtype = _known(INTERFACE.get(told["typestr"]), name, f"type {told['typestr']}")
    strides = told.get("strides")
    steps = None if strides is None else tuple([step // BYTES[dtype] for step in strides])
    ordinal = driver().ordinal_of(address) if address else 0
    if ordinal is None:
        raise TypeError(f"{name}: expected memory on a GPU, got an address of the host's")
    steps = None if steps == packed_steps(shape) else steps
    return DeviceArray(address, shape, dtype, ordinal, not read_only, steps, value)


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("ordinal", ctypes.c_int32),
        ("axes", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    ]  # fmt: skip


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", _Tensor),
    ]  # fmt: skip


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _of_dlpack(value: Any, name: str) -> DeviceArray:
    try:
        capsule = value.__dlpack__(max_version=(1, 0))
    except TypeError:  # a library older than DLPack 1.0
        capsule = value.__dlpack__()
    if "dltensor_versioned" in repr(capsule):
        told = _Versioned.from_address(_capsule_pointer(capsule, b"dltensor_versioned"))
        tensor, read_only = told.tensor, bool(told.flags & READ_ONLY)
    else:
        tensor, read_only = _Tensor.from_address(_capsule_pointer(capsule, b"dltensor")), False
    read_only |= type(value).__module__.partition(".")[0] in ("jax", "jaxlib")  # whose arrays never change
    dtype = _known(DLPACK.get((tensor.code, tensor.bits)), name, f"DLPack's type {tensor.code} of {tensor.bits} bits")
    shape = tuple(tensor.shape[: tensor.axes])
    steps = tuple(tensor.strides[: tensor.axes]) if tensor.strides else None
    steps = None if steps == packed_steps(shape) else steps
    address = (tensor.data or 0) + tensor.offset
    return DeviceArray(address, shape, dtype, tensor.ordinal, not read_only, steps, (value, capsule))


def stream_of(value: Any) -> int:
    """Return the stream that an array's library works on now: torch's or CuPy's current one, else the default one."""
    library = type(value).__module__.partition(".")[0]
    if library == "torch":
        import torch

        return int(torch.cuda.current_stream(value.device).cuda_stream)
    if library == "cupy":
        import cupy

        return int(cupy.cuda.get_current_stream().ptr)
    return 0
