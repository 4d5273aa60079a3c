"""NumPy's BLAS: which kernels it runs, and whether the environment chose them instead of the CPU."""

import os

CHOOSE = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
PRODUCTS = ("muon", "linear_cross_entropy", "orthogonal")  # ops whose time is that of products of matrices


def chosen() -> list[str]:
    """Return the variables that give NumPy's BLAS another kernel than this CPU's: a peer has a BLAS of its own."""
    return [f"{name}={os.environ[name]}" for name in CHOOSE if os.environ.get(name)]


def kernels() -> str:
    """Return the names of the BLAS libraries in this process, each with its version and kernel."""
    from threadpoolctl import threadpool_info

    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    words = (f"{one['internal_api']} {one['version']} {one.get('architecture') or ''}".strip() for one in found)
    return ", ".join(dict.fromkeys(words)) or "none that threadpoolctl knows"
