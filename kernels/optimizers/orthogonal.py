"""Muon's middle pass: a matrix made orthogonal, approximately, by products of matrices alone (NumPy's BLAS)."""

from collections.abc import Callable
from math import sqrt

import numpy as np

# What the rate is multiplied by, for an n × m matrix (torch's names): Jordan et al. 2024; Liu et al. 2025, equation 4.
ADJUSTMENTS: dict[str, Callable[[int, int], float]] = {
    "original": lambda n, m: sqrt(max(1.0, n / max(m, 1))),
    "match_rms_adamw": lambda n, m: 0.2 * sqrt(max(n, m)),
}


WIDE = 2  # columns per row from which a product with the matrix costs more than a few of the small square ones
HALVED = 512  # rows from which BLAS's half of M Mᵀ saves more than NumPy's copy of the other half takes


def newton_schulz(update: np.ndarray, coefficients: tuple[float, float, float], steps: int, eps: float) -> None:
    """Replace a matrix by U Vᵀ of its singular value decomposition, up to 30% in length, in place.

    X ← (a I + b A + c A²) X with A = X Xᵀ, from X = update / ‖update‖; A is formed on the shorter side.
    """
    tall = update.shape[0] > update.shape[1]
    with np.errstate(all="ignore"):  # NaN and Inf travel: through the length, to every element
        length, scale = float(np.linalg.norm(update)), 1.0
        if not 0.0 < length < np.inf:  # its squares may have left the range of the type: again, with scale
            scale = float(np.abs(update).max(initial=0.0))
            scale = scale if 0.0 < scale < np.inf else 1.0
            length = float(np.linalg.norm(update / update.dtype.type(scale)))
        x = (update.T if tall else update) / update.dtype.type(scale)
        x /= update.dtype.type(max(length, eps / scale))
        while steps:
            together = (steps if steps <= 3 else 2) if x.shape[1] > WIDE * len(x) else 1
            x = _product_of_iterations(x @ x.T, coefficients, together) @ x
            steps -= together
    update[...] = x.T if tall else x


def _product_of_iterations(gram: np.ndarray, coefficients: tuple[float, float, float], together: int) -> np.ndarray:
    """Return what X is multiplied by in a few iterations: P = a I + b A + c A², Q ← P Q, A ← P² A.

    X itself, the largest matrix, is read for A = X Xᵀ before them and for Q X behind them alone. P, Q and A are
    polynomials of one symmetric matrix: they are symmetric, and their order doesn't matter. So A² may be written A Aᵀ,
    of which BLAS computes one half. An error in A grows by a² in an iteration (12 at a = 3.4): after three, A is formed
    from X again at the latest.
    """
    product = step = _polynomial(gram, coefficients)
    for _ in range(together - 1):
        gram = (step @ step.T) @ gram
        step = _polynomial(gram, coefficients)
        product = step @ product
    return product


def _polynomial(gram: np.ndarray, coefficients: tuple[float, float, float]) -> np.ndarray:
    a, b, c = map(gram.dtype.type, coefficients)
    result = gram @ (gram.T if len(gram) >= HALVED else gram)
    result *= c
    result += b * gram
    result.ravel()[:: len(result) + 1] += a
    return result
