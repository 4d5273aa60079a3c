"""Memory of an optimizer's own, for state and copies: steps write through its addresses, so nobody can move it."""

import math
import mmap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Layout = Mapping[str, tuple[np.dtype, tuple[int, ...]]]  # name -> dtype and shape
LINE = 64  # bytes of a cache line: where every array begins
HUGE = 1 << 22  # bytes from which on large pages are asked for, as NumPy does


class Memory:
    """Arrays of zeros in one mapping of memory; unlike an array's own, it can't be resized while arrays look at it.

    Parameters
    ----------
    layouts : sequence of mappings
        For each parameter the dtype and shape of its arrays, by name.

    Attributes
    ----------
    arrays : list of dict of arrays
    start, stop : int
        Where it begins and ends.
    """

    def __init__(self, layouts: Sequence[Layout]):
        sizes = [math.prod(shape) * dtype.itemsize for layout in layouts for dtype, shape in layout.values()]
        size = sum(-(-each // LINE) * LINE for each in sizes)
        own = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
        mapping = mmap.mmap(-1, max(1, size), **own)
        if size >= HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
            mapping.madvise(mmap.MADV_HUGEPAGE)
        whole = np.frombuffer(mapping, np.uint8)
        whole[:] = 0  # the pages come now, not in the first step
        self.start = int(whole.__array_interface__["data"][0])
        self.stop = self.start + size
        self.arrays: list[dict[str, np.ndarray]] = []
        at = 0
        for layout in layouts:
            arrays = {}
            for name, (dtype, shape) in layout.items():
                count = math.prod(shape)
                arrays[name] = np.frombuffer(mapping, dtype, count, at).reshape(shape)
                at += -(-count * dtype.itemsize // LINE) * LINE
            self.arrays.append(arrays)


class State(dict[str, np.ndarray]):
    """A parameter's arrays by name, to look at and to write into; none can be replaced. Copies are plain dicts."""

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "State":
        return cls((name, array.view()) for name, array in arrays.items())  # whose shape may be set without harm

    def _refuse(self, *unused: object, **named: object) -> Any:
        raise TypeError("state: its arrays can't be replaced or removed; write into one: state[name][...] = values")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse  # type: ignore[assignment]

    def __reduce__(self):
        return dict, (dict(self),)
