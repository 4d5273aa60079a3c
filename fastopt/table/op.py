"""What the table says of an op: enough for tests, benchmarks and `fastopt check` to run it without knowing it."""

from __future__ import annotations  # np.random, named below, is a third of the import's time and isn't needed for it

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastopt.kernels.runtime.kernel import Kernel

Arrays = dict[str, np.ndarray]
Options = tuple[dict[str, Any], ...]
Bench = tuple[tuple[dict[str, Any], tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class Wrong:
    """One way to call an op wrongly: what it is, how to spoil a good call, and words its error must hold."""

    what: str
    spoil: Callable[[dict[str, Any], dict[str, Any]], object]  # changes options and arrays in place
    words: tuple[str, ...]
    error: type[Exception] = ValueError


@dataclass(frozen=True, eq=False)
class Op:
    """A row of the table.

    Parameters
    ----------
    name, family : str
        The op's name, and the room and public module it stands in.
    kernels : tuple of Kernel
        Every kernel that the op may run.
    source : str
        Paper and algorithm or equation number, or the definition's home.
    options : tuple of dict
        Keyword arguments worth trying; the first is the default call.
    shapes : tuple of shapes
        Sizes worth trying, ugly ones included.
    inputs : callable (rng, shape, dtype, options) -> dict of arrays
        Valid inputs, reproducible from the generator.
    call : callable (options, arrays) -> dict of arrays
        Runs the public name on the present target; arrays written in place are among the results.
    expect : callable (options, arrays) -> dict of arrays
        The reference's results for the same arguments, from float64 copies of the inputs.
    tolerance : mapping dtype -> (rtol, atol)
        |got - expected| <= atol + rtol |expected|; the reason stands beside the number.
    wrong : tuple of Wrong
        Wrong calls and the words of their errors.
    traffic : callable (options, arrays) -> int
        Bytes that cross memory at the least: every input read once, every output written once.
    bench : tuple of (options, shape)
        What the benchmarks time.
    exact : bool
        Whether cython and numba give the same bits (elementwise kernels do).
    """

    name: str
    family: str
    kernels: tuple[Kernel, ...]
    source: str
    options: Options
    shapes: tuple[tuple[int, ...], ...]
    inputs: Callable[[np.random.Generator, tuple[int, ...], str, Mapping[str, Any]], Arrays]
    call: Callable[[Mapping[str, Any], Arrays], Arrays]
    expect: Callable[[Mapping[str, Any], Arrays], Arrays]
    tolerance: Mapping[str, tuple[float, float]]
    wrong: tuple[Wrong, ...]
    traffic: Callable[[Mapping[str, Any], Arrays], int]
    bench: Bench
    exact: bool = True
