"""Sums of squares, and Euclidean norms, of arrays whose squares float64 may not hold."""

import math

import numpy as np

LEAST = 1e-280  # a sum of squares below it may have lost some
PIECE = 1 << 16  # elements that are looked at in one go


def holds(square: float) -> bool:
    """Whether a sum of squares in float64 has lost nothing; NaN is what it is."""
    return not (square < LEAST or square == math.inf)


def scaled_squares(values: np.ndarray) -> tuple[float, float]:
    """Return a power of two, and the sum of squares in units of its square; 0, Inf and NaN are (1, themselves)."""
    flat, top, total = values.reshape(-1), 0.0, 0.0
    pieces = [slice(start, start + PIECE) for start in range(0, flat.size, PIECE)]
    with np.errstate(all="ignore"):
        for piece in pieces:
            top = float(np.maximum(top, np.abs(flat[piece].astype(np.float64)).max()))
        if not 0.0 < top < math.inf:
            return 1.0, top
        scale = math.ldexp(1.0, min(max(math.frexp(top)[1], -1000), 1000))
        for piece in pieces:
            total += float(np.sum((flat[piece].astype(np.float64) / scale) ** 2))
    return scale, total


def length(values: np.ndarray) -> float:
    """Return the Euclidean norm, whatever the squares are."""
    scale, square = scaled_squares(values)
    return scale * math.sqrt(square)
