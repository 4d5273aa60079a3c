"""Initial weights on CPUs, by compiled kernels. Every argument has been checked.

by_reference.py has the same functions. `weights` is filled: float32, float64, or 16-bit numbers, which are computed in
float32.
"""

import math

import numpy as np

from fastopt.kernels.initializers.kernels import KERNELS
from fastopt.kernels.runtime import pipeline

CUT = 2.0  # truncated: standard deviations of the whole distribution
TAIL = 0.5 * math.erfc(CUT / math.sqrt(2.0))  # of the normal distribution, behind the cut
BITS = {"float32": 31, "float64": 62}  # of the tail probability of a normal value


def uniform(target: str, weights: np.ndarray, seed: int, low: float, high: float) -> None:
    """U[low, high), up to the largest number of this dtype below high."""
    dtype = weights.dtype.type
    limit = np.nextafter(dtype(high), dtype(-np.inf))
    _fill(target, "uniform", weights, seed, (low, high - low, float(limit)))


def normal(target: str, weights: np.ndarray, seed: int, mean: float, std: float, truncated: bool) -> None:
    """N(mean, std²), cut at 2 std if `truncated`."""
    tail, bound = (TAIL, CUT) if truncated else (0.0, math.inf)
    scale = (0.5 - tail) / 2.0 ** BITS[_computed_in(weights)]
    _fill(target, "normal", weights, seed, (mean, std, tail, scale, bound))


def orthogonal(target: str, weights: np.ndarray, seed: int, gain: float, layout: str) -> None:
    """The Q of the QR decomposition of a normal matrix, signed so that R has a positive diagonal, in float64."""
    rows = weights.size // weights.shape[-1] if layout == "in_out" else weights.shape[0]
    columns = weights.size // rows
    matrix = np.empty((max(rows, columns), min(rows, columns)))
    normal(target, matrix, seed, 0.0, 1.0, False)
    q, r = np.linalg.qr(matrix)
    q *= np.where(np.diagonal(r) < 0.0, -gain, gain)
    weights[...] = (q if rows >= columns else q.T).reshape(weights.shape)


def _computed_in(weights: np.ndarray) -> str:
    return "float64" if weights.itemsize == 8 else "float32"


def _fill(target: str, name: str, weights: np.ndarray, seed: int, scalars: tuple[float, ...]) -> None:
    dims = seed & 0xFFFFFFFF, seed >> 32
    pipeline.run_kernel(
        KERNELS[name],
        (weights,),
        weights.size,
        _computed_in(weights),
        target,
        grain=pipeline.GRAIN,
        dims=dims,
        scalars=scalars,
    )
