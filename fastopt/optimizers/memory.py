"""Memory of an optimizer's own, for state and copies: steps write through its addresses, so nobody can move it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastopt.kernels.runtime.block import Block, array_of

Layout = Mapping[str, tuple[np.dtype, tuple[int, ...]]]  # name -> dtype and shape
LINE = 64  # bytes of a cache line: where every array begins


class Memory:
    """Arrays of zeros in one block of memory; unlike an array's own, it can't be resized or freed.

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
        size = sum(_room(dtype, shape) for layout in layouts for dtype, shape in layout.values())
        whole = array_of(Block(size), size)
        self.start = int(whole.__array_interface__["data"][0])
        self.stop = self.start + size
        self.arrays: list[dict[str, np.ndarray]] = []
        at = 0
        for layout in layouts:
            arrays = {}
            for name, (dtype, shape) in layout.items():
                arrays[name] = whole[at : at + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
                at += _room(dtype, shape)
            self.arrays.append(arrays)


def _room(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """Return how many bytes an array takes, in whole cache lines."""
    return -(-math.prod(shape) * dtype.itemsize // LINE) * LINE


class State(dict[str, np.ndarray]):
    """A parameter's arrays by name, to look at and to write into; none can be replaced. Copies are plain dicts."""

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "State":
        return cls((name, array.view()) for name, array in arrays.items())  # whose shape may be set without harm

    def _refuse(self, *unused: object, **named: object) -> Any:
        raise TypeError("state: its arrays can't be replaced or removed; write into one: state[name][...] = values")

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self):
        return dict, (dict(self),)
