"""Muon's middle pass: a matrix made orthogonal, approximately, by products of matrices alone (NumPy's BLAS)."""

from collections.abc import Callable
from math import sqrt

import numpy as np

# What the rate is multiplied by, for an n × m matrix (torch's names): Jordan et al. 2024; Liu et al. 2025, equation 4.
ADJUSTMENTS: dict[str, Callable[[int, int], float]] = {
    "original": lambda n, m: sqrt(max(1.0, n / max(m, 1))),
    "match_rms_adamw": lambda n, m: 0.2 * sqrt(max(n, m)),
}


def newton_schulz(update: np.ndarray, coefficients: tuple[float, float, float], steps: int, eps: float) -> None:
    """Replace a matrix by U Vᵀ of its singular value decomposition, up to 30% in length, in place.

    X ← a X + (b A + c A²) X with A = X Xᵀ, from X = update / ‖update‖; A is formed on the shorter side.
    """
    a, b, c = map(update.dtype.type, coefficients)
    tall = update.shape[0] > update.shape[1]
    with np.errstate(all="ignore"):  # NaN and Inf travel: through the length, to every element
        length, scale = float(np.linalg.norm(update)), 1.0
        if not 0.0 < length < np.inf:  # its squares may have left the range of the type: again, with scale
            scale = float(np.abs(update).max(initial=0.0))
            scale = scale if 0.0 < scale < np.inf else 1.0
            length = float(np.linalg.norm(update / update.dtype.type(scale)))
        x = (update.T if tall else update) / update.dtype.type(scale)
        x /= update.dtype.type(max(length, eps / scale))
        gram, square, moved = np.empty((len(x), len(x)), x.dtype), np.empty((len(x), len(x)), x.dtype), np.empty_like(x)
        for _ in range(steps):
            np.matmul(x, x.T, out=gram)
            np.matmul(gram, gram, out=square)
            gram *= b
            square *= c
            gram += square
            np.matmul(gram, x, out=moved)
            x *= a
            x += moved
    update[...] = x.T if tall else x
