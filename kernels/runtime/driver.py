"""The CUDA driver, through libcuda.so.1: nothing of CUDA is needed to install fastopt, and the driver alone to run it.

Every call that fails raises a sentence that says what to do. Launches run on by themselves: what goes wrong in one is
reported by a later call, so the name of the launch before is kept, and told.
"""

import ctypes
import struct
from collections.abc import Sequence
from functools import cache
from threading import RLock, local
from typing import Any

LIBRARY = "libcuda.so.1"
OLDEST_DRIVER = 11000  # CUDA 11.0: the first that knows sm_80
OLDEST_DEVICE = (8, 0)  # compute capability, what PTX is made for
OUT_OF_MEMORY, NO_DEVICE, NOT_FOUND, CAPTURE_UNSUPPORTED = 2, 100, 500, 900
LATE = {700, 702, 710, 714, 715, 716, 717, 718, 719, 999}  # what a launch before left behind; the context is lost
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76  # attributes of a device
POINTER_DEVICE, POINTER_MEMORY = 9, 2  # attributes of a pointer
DEVICE_MEMORY = 2
NO_TIMING = 2  # flag of an event
LAST = 2**64 - 1

pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint
ARGUMENTS = {
    "cuInit": [number],
    "cuDriverGetVersion": [pointer],
    "cuDeviceGetCount": [pointer],
    "cuDeviceGet": [pointer, ctypes.c_int],
    "cuDeviceGetName": [pointer, ctypes.c_int, ctypes.c_int],
    "cuDeviceGetAttribute": [pointer, ctypes.c_int, ctypes.c_int],
    "cuDevicePrimaryCtxRetain": [pointer, ctypes.c_int],
    "cuCtxGetCurrent": [pointer],
    "cuCtxSetCurrent": [pointer],
    "cuCtxSynchronize": [],
    "cuModuleLoadData": [pointer, ctypes.c_char_p],
    "cuModuleGetFunction": [pointer, pointer, ctypes.c_char_p],
    "cuMemAlloc_v2": [pointer, size],
    "cuMemFree_v2": [ctypes.c_uint64],
    "cuMemHostAlloc": [pointer, size, number],
    "cuMemFreeHost": [pointer],
    "cuMemcpyHtoDAsync_v2": [ctypes.c_uint64, pointer, size, pointer],
    "cuMemcpyDtoHAsync_v2": [pointer, ctypes.c_uint64, size, pointer],
    "cuMemcpyDtoDAsync_v2": [ctypes.c_uint64, ctypes.c_uint64, size, pointer],
    "cuMemsetD8Async": [ctypes.c_uint64, ctypes.c_ubyte, size, pointer],
    "cuPointerGetAttribute": [pointer, ctypes.c_int, ctypes.c_uint64],
    "cuLaunchKernel": [pointer, *[number] * 7, pointer, pointer, pointer],
    "cuStreamSynchronize": [pointer],
    "cuStreamIsCapturing": [pointer, pointer],
    "cuEventCreate": [pointer, number],
    "cuEventRecord": [pointer, pointer],
    "cuEventSynchronize": [pointer],
    "cuEventDestroy_v2": [pointer],
    "cuGetErrorString": [ctypes.c_int, pointer],
}


class CudaError(RuntimeError):
    """The CUDA target can't be used, or a call of the driver failed; the message says what to do."""


class Driver:
    """The library, opened and begun.

    Attributes
    ----------
    version : int
        What the driver supports: 13000 is CUDA 13.0.
    count : int
        Number of devices.
    """

    def __init__(self, library: str):
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise CudaError(f"there is no NVIDIA driver here ({error}): install one, or use target 'cython'") from None
        for name, arguments in ARGUMENTS.items():
            function = getattr(self._library, name, None)
            if function is None:
                raise CudaError(f"the NVIDIA driver is too old: it has no {name}; install one for CUDA 11.0 or later")
            function.argtypes, function.restype = arguments, ctypes.c_int
        self._functions = {name: getattr(self._library, name) for name in ARGUMENTS}
        self._devices: dict[int, Device] = {}
        self._lock, self.last_launch = RLock(), ""
        code = self._functions["cuInit"](0)
        if code == NO_DEVICE:
            raise CudaError("there is no NVIDIA GPU here, or CUDA_VISIBLE_DEVICES hides it")
        if code:
            raise CudaError(f"the NVIDIA driver did not start: {self.error(code)}")
        self.version, self.count = self._get("cuDriverGetVersion"), self._get("cuDeviceGetCount")
        if self.version < OLDEST_DRIVER:
            have = f"{self.version // 1000}.{self.version % 1000 // 10}"
            raise CudaError(f"the NVIDIA driver is too old: it supports CUDA {have}; install one for 11.0 or later")
        if self.count == 0:
            raise CudaError("there is no NVIDIA GPU here, or CUDA_VISIBLE_DEVICES hides it")

    def call(self, name: str, *arguments: Any, wanted: str = "") -> None:
        """Call a function of the driver; `wanted` says what for, where memory may run out."""
        code = self._functions[name](*arguments)
        if code:
            self._refuse(code, name, wanted)

    def _refuse(self, code: int, name: str, wanted: str) -> None:
        if code == OUT_OF_MEMORY:
            raise MemoryError(f"the GPU has no memory left for {wanted or name}")
        if code in LATE and self.last_launch:
            raise CudaError(
                f"the launch before, {self.last_launch}, failed on the GPU ({self.error(code)}): what it wrote is "
                "lost, and CUDA can't be used any more in this process; start it anew"
            )
        if code == CAPTURE_UNSUPPORTED:
            raise CudaError(f"{name}: this can't be captured in a CUDA graph; run the step once before the capture")
        raise CudaError(f"{name}: {self.error(code)}")

    def error(self, code: int) -> str:
        """Return the driver's own words for an error."""
        text = ctypes.c_char_p()
        self._functions["cuGetErrorString"](code, ctypes.addressof(text))
        return f"CUDA error {code}" + (f", {text.value.decode()}" if text.value else "")

    def _get(self, name: str, *arguments: Any) -> int:
        value = ctypes.c_int()
        self.call(name, ctypes.addressof(value), *arguments)
        return value.value

    # ---- devices

    def device(self, ordinal: int) -> "Device":
        """Return a device by its number; refuses one that the kernels can't run on."""
        with self._lock:
            if ordinal not in self._devices:
                self._devices[ordinal] = Device(self, ordinal)
            return self._devices[ordinal]

    def ordinal_of(self, address: int) -> int | None:
        """Return the number of the device that memory is on; None for the host's."""
        kind, ordinal = ctypes.c_uint(), ctypes.c_int()
        code = self._functions["cuPointerGetAttribute"](ctypes.addressof(kind), POINTER_MEMORY, address)
        if code or kind.value != DEVICE_MEMORY:
            return None
        self.call("cuPointerGetAttribute", ctypes.addressof(ordinal), POINTER_DEVICE, address)
        return ordinal.value


class Device:
    """A GPU: its primary context (which torch and CuPy use too), its memory, and the kernels that were loaded."""

    def __init__(self, driver: Driver, ordinal: int):
        self.driver, self.ordinal = driver, ordinal
        handle, context, name = ctypes.c_int(), ctypes.c_void_p(), ctypes.create_string_buffer(128)
        driver.call("cuDeviceGet", ctypes.addressof(handle), ordinal)
        driver.call("cuDeviceGetName", ctypes.addressof(name), 128, handle)
        self.name = name.value.decode()
        self.capability = tuple(
            driver._get("cuDeviceGetAttribute", which, handle) for which in (CAPABILITY_MAJOR, CAPABILITY_MINOR)
        )
        if self.capability < OLDEST_DEVICE:
            have = ".".join(map(str, self.capability))
            raise CudaError(f"{self.name} has compute capability {have}: fastopt's kernels need 8.0 (Ampere) or later")
        driver.call("cuDevicePrimaryCtxRetain", ctypes.addressof(context), handle)
        self._functions: dict[Any, Any] = {}
        self._context, self._threads = context.value, local()

    def use(self) -> None:
        """Make this the calling thread's device for the calls that follow."""
        current = self._threads.__dict__.setdefault("current", ctypes.c_void_p())
        self.driver.call("cuCtxGetCurrent", ctypes.addressof(current))
        if current.value != self._context:
            self.driver.call("cuCtxSetCurrent", self._context)

    def function(self, name: str, ptx: str) -> int:
        """Return a kernel, loaded once: the driver makes machine code of PTX for this device, and keeps that."""
        if ptx not in self._functions:
            self.use()
            module, function = ctypes.c_void_p(), ctypes.c_void_p()
            self.driver.call("cuModuleLoadData", ctypes.addressof(module), ptx.encode() + b"\0")
            self.driver.call("cuModuleGetFunction", ctypes.addressof(function), module, f"fastopt_{name}".encode())
            self._functions[ptx] = function.value
        return self._functions[ptx]

    def launch(
        self, function: int, name: str, blocks: int, threads: int, stream: int, arguments: ctypes.Array[Any]
    ) -> None:  # fmt: skip
        """Launch a kernel on a stream; `arguments` is an array of pointers to them."""
        self.driver.call("cuLaunchKernel", function, blocks, 1, 1, threads, 1, 1, 0, stream, arguments, None)
        self.driver.last_launch = name

    def capturing(self, stream: int) -> bool:
        """Whether a stream's calls go into a graph now."""
        status = ctypes.c_int()
        self.driver.call("cuStreamIsCapturing", stream, ctypes.addressof(status))
        return status.value != 0

    def synchronize(self) -> None:
        self.use()
        self.driver.call("cuCtxSynchronize")


class DeviceMemory:
    """Memory on a device, freed with this object. Zeros, unless a whole array is copied into it."""

    def __init__(self, device: Device, size: int):
        self.device, self.size, self.address = device, size, 0
        found = ctypes.c_uint64()
        device.use()
        device.driver.call("cuMemAlloc_v2", ctypes.addressof(found), max(16, size), wanted=f"{size} bytes")
        self.address = found.value
        device.driver.call("cuMemsetD8Async", self.address, 0, max(16, size), None)
        device.driver.call("cuStreamSynchronize", None)  # other streams don't wait for this one

    def upload(self, address: int, size: int, stream: int = 0, at: int = 0) -> None:
        """Copy bytes of the host's to here."""
        self.device.driver.call("cuMemcpyHtoDAsync_v2", self.address + at, address, size, stream)

    def download(self, address: int, size: int, stream: int = 0, at: int = 0) -> None:
        """Copy bytes from here to the host's memory, and wait for them."""
        self.device.use()
        self.device.driver.call("cuMemcpyDtoHAsync_v2", address, self.address + at, size, stream)
        self.device.driver.call("cuStreamSynchronize", stream)

    def __del__(self):
        if self.address:
            self.device.driver._functions["cuMemFree_v2"](self.address)


class PinnedMemory:
    """Memory of the host's that the device copies from by itself."""

    def __init__(self, device: Device, size: int):
        self.device, self.size, self.address = device, size, 0
        found = ctypes.c_void_p()
        device.use()
        device.driver.call("cuMemHostAlloc", ctypes.addressof(found), size, 0, wanted=f"{size} bytes")
        self.address = found.value or 0

    def __del__(self):
        if self.address:
            self.device.driver._functions["cuMemFreeHost"](self.address)


class Event:
    """A point on a stream that the host can wait for."""

    def __init__(self, device: Device):
        self.device, found = device, ctypes.c_void_p()
        device.driver.call("cuEventCreate", ctypes.addressof(found), NO_TIMING)
        self._handle = found.value

    def record(self, stream: int) -> None:
        self.device.driver.call("cuEventRecord", self._handle, stream)

    def wait(self) -> None:
        self.device.driver.call("cuEventSynchronize", self._handle)

    def __del__(self):
        self.device.driver._functions["cuEventDestroy_v2"](self._handle)


def packed(values: Sequence[int | float]) -> ctypes.Array[Any]:
    """Return pointers to 64-bit arguments, whole numbers or float64, as `Device.launch` takes them."""
    bits = [struct.unpack("Q", struct.pack("d", x))[0] if isinstance(x, float) else x & LAST for x in values]
    numbers = (ctypes.c_uint64 * len(values))(*bits)
    found = (ctypes.c_void_p * len(values))(*[ctypes.addressof(numbers) + 8 * k for k in range(len(values))])
    found.numbers = numbers  # type: ignore[attr-defined] # they live as long as the pointers
    return found


@cache
def driver() -> Driver:
    """Return the driver, opened once.

    Raises
    ------
    CudaError
        If the CUDA target can't be used here; the message says why.
    """
    return Driver(LIBRARY)


def why_not() -> str:
    """Return why the CUDA target can't be used here; "" if it can."""
    try:
        driver()
    except CudaError as error:
        return str(error)
    return ""
