"""Launches over many arrays on a device: tables that stay there, and one small copy a call for what changed.

What stays: each array's size, row of scalars and number, and the chunks that blocks take. What a call sends: pointers,
scalars and random words, as one block of pinned memory, by one asynchronous copy on the caller's stream.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from threading import Lock, local
from typing import Any

import numpy as np

from fastopt.kernels.runtime import cuda_compile
from fastopt.kernels.runtime.cuda_elements import CHUNK, Elements
from fastopt.kernels.runtime.cuda_rows import Rows
from fastopt.kernels.runtime.cuda_text import THREADS
from fastopt.kernels.runtime.driver import CudaError, Device, DeviceMemory, Event, PinnedMemory, packed

ALIGNED = 16  # bytes
IN_FLIGHT = 4  # calls that may be under way, each with a block of its own


class Block:
    """What one call sends: pinned memory, its place on the device, and when the call is over."""

    def __init__(self, device: Device, size: int):
        self.pinned, self.memory = PinnedMemory(device, size), DeviceMemory(device, size)
        self.over, self.used = Event(device), False


class DeviceJobs:
    """Sets of arrays on one device that kernels run over, a job each.

    Parameters
    ----------
    device : Device
    sizes : sequence of int
        Elements of each job's arrays.
    rows, numbers : sequence of int
        Each job's row of the table of scalars; what random numbers know it by.
    width : int
        Columns of the pointer table.
    scalars : tuple of int
        Shape of the table of scalars.
    real : {"float32", "float64"}
        The kernels' type.
    sums : int, default 2
        Sums that a kernel may leave for each chunk.

    Attributes
    ----------
    pointers, scalars, words : arrays
        What the next call sends: addresses (jobs, width), numbers, seed and step.
    """

    def __init__(
        self, device: Device, sizes: Sequence[int], rows: Sequence[int], numbers: Sequence[int], width: int,
        scalars: tuple[int, int], real: str, sums: int = 2,
    ):  # fmt: skip
        self.device, self._lock = device, Lock()
        chunks = [(job, c) for job, size in enumerate(sizes) for c in range(-(-size // CHUNK))]
        self.blocks, self.job_of_block = len(chunks), np.array([job for job, _ in chunks], np.int64)
        fixed: list[np.ndarray] = [np.array(sizes, np.int64), np.array(chunks, np.int32), np.array(rows, np.int32)]
        fixed.append(np.array(numbers, np.uint32))
        self._fixed = [self._placed(array) for array in fixed]
        self._partials = DeviceMemory(device, 8 * sums * max(1, self.blocks))
        shapes: Any = ((len(sizes), width), np.uint64), (scalars, np.dtype(real)), ((2,), np.uint32)
        places = np.cumsum([0, *(_aligned(np.zeros(shape, kind).nbytes) for shape, kind in shapes)])
        self._size = int(places[-1])
        self._staged = np.zeros(self._size, np.uint8)
        self.pointers, self.scalars, self.words = (
            self._staged[at : at + np.zeros(shape, kind).nbytes].view(kind).reshape(shape)
            for (shape, kind), at in zip(shapes, places.tolist())
        )
        self._places = places.tolist()
        self._ring = [self._block() for _ in range(IN_FLIGHT)]
        self._spare = [self._block()]  # for a capture, in which no memory can be had
        self._captured: list[Block] = []  # graphs read these again at every replay

    def _placed(self, array: np.ndarray) -> DeviceMemory:
        memory = DeviceMemory(self.device, array.nbytes)
        memory.upload(array.ctypes.data, array.nbytes)
        self.device.driver.call("cuStreamSynchronize", None)
        return memory

    def _block(self) -> tuple[Block, ctypes.Array[Any]]:
        """Return a block, and the kernels' arguments with it."""
        block = Block(self.device, self._size)
        table, scalars, words = (block.memory.address + at for at in self._places[:3])
        fixed = [memory.address for memory in self._fixed]
        return block, packed([*[table] * 4, *fixed, words, scalars, self._partials.address])

    def run(self, kernels: Sequence[Elements], stream: int = 0) -> None:
        """Send what changed, and launch kernels one after the other on a stream. Nothing waits for them."""
        if not self.blocks:
            return
        device = self.device
        device.use()
        functions = [(function(device, kernel), kernel.name) for kernel in kernels]
        with self._lock:
            capturing = device.capturing(stream)
            block, arguments = self._captured_block() if capturing else self._next_block()
            ctypes.memmove(block.pinned.address, self._staged.ctypes.data, self._size)
            block.memory.upload(block.pinned.address, self._size, stream)
            for handle, name in functions:
                device.launch(handle, name, self.blocks, THREADS, stream, arguments)
            if not capturing:
                block.over.record(stream)
                block.used = True

    def _next_block(self) -> tuple[Block, ctypes.Array[Any]]:
        """Return the block that was used the longest time ago, when that call is over."""
        if not self._spare:
            self._spare.append(self._block())
        self._ring.append(self._ring.pop(0))
        if self._ring[-1][0].used:
            self._ring[-1][0].over.wait()
        return self._ring[-1]

    def _captured_block(self) -> tuple[Block, ctypes.Array[Any]]:
        """Return a block that belongs to a graph from now on."""
        if not self._spare:
            raise CudaError("two captures of this step in a row: run it once outside of a CUDA graph between them")
        found = self._spare.pop()
        self._captured.append(found[0])
        return found

    def sums(self, count: int, stream: int = 0) -> np.ndarray:
        """Return what the last kernel summed up (chunks, count), when it is over."""
        found = np.zeros((self.blocks, count))
        if self.blocks:
            self._partials.download(found.ctypes.data, found.nbytes, stream)
        return found


def _aligned(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


class Scratch(local):
    """Memory on devices that a thread's calls use one after the other; calls that don't wait name their stream."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Device, str], DeviceMemory] = {}
        self._before: list[DeviceMemory] = []  # launches under way, and captured graphs, may use it still

    def of(self, device: Device, name: str, size: int) -> int:
        """Return where memory of at least so many bytes is."""
        kept = self._kept.get((device, name))
        if kept is None or kept.size < size:
            self._before += [kept] if kept is not None else []
            kept = self._kept[device, name] = DeviceMemory(device, 1 << max(8, size - 1).bit_length())
        return kept.address

    def download(self, device: Device, name: str, count: int, stream: int) -> np.ndarray:
        """Return float64 numbers from there, when what writes them is over."""
        found = np.empty(count)
        self._kept[device, name].download(found.ctypes.data, found.nbytes, stream)
        return found


def run_rows(
    device: Device, kernel: Rows, rows: int, columns: int, pointers: Sequence[int], dims: Sequence[int],
    scalars: Sequence[float], stream: int = 0,
) -> None:  # fmt: skip
    """Launch a kernel of rows on a stream. Nothing waits for it.

    `columns` is a row's length, or the most of them; `pointers` are addresses in the order of the kernel's arrays, 0
    where it reads none.
    """
    device.use()
    blocks, threads, warps = kernel.shape(rows, columns)
    arguments = packed([*pointers, rows, warps, *dims, *map(float, scalars)])
    device.launch(function(device, kernel), kernel.name, blocks, threads, stream, arguments)


def function(device: Device, kernel: Elements | Rows) -> int:
    """Return a kernel on a device: its PTX is shipped, kept or compiled now, and loaded once."""
    return device.function(kernel.name, ptx(kernel))


@cache
def ptx(kernel: Elements | Rows) -> str:
    """Return the PTX of a kernel."""
    return cuda_compile.ptx(kernel.name, kernel.text("cuda"))
