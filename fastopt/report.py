"""What this installation has and uses, for people and for bug reports."""

import platform
import sys
from typing import Any

from fastopt.kernels.runtime import settings
from fastopt.version import __version__

PEERS = ("torch", "scikit-learn", "jax", "keras", "optax")


def config() -> dict[str, Any]:
    """Return what this installation has and uses, as plain data. Nothing heavy is imported for it."""
    from importlib.metadata import version

    from fastopt.kernels.runtime import jit, launch

    return {
        "fastopt": __version__,
        "target": settings.get_target(),
        "targets": {name: why_not(name) or "available" for name in settings.TARGETS},
        "instruction_set": launch.instruction_set(),
        "device": device(),
        "threads": settings.get_num_threads(),
        "threads_from": settings.where_threads_come_from(),
        "crews": {"NumPy arrays": f"fastopt's pool ({launch.workers()} workers started)"}
        | {name: crew.found_in or "fastopt's pool (no OpenMP there)" for name, crew in launch.crews.items()},
        "blas": blas(),
        "kernel_cache": str(jit.cache_folder()),
        "versions": {
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "numba": installed("numba") or "not installed",
        },
        "peers": {name: installed(name) or "not installed" for name in PEERS},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Print what this installation has and uses.

    Targets, instruction set, threads and whose they are, NumPy's BLAS and its threads, versions.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print it, or return it as a dict (as NumPy's function of this name does).

    Returns
    -------
    dict or None
        Plain data that `json` can write, with mode="dicts".

    Raises
    ------
    ValueError
        If there is no such mode, or if FASTOPT_TARGET, FASTOPT_NUM_THREADS or OMP_NUM_THREADS holds a wrong value.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.show_config("dicts")["targets"]["cython"]
    'available'
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode: expected 'stdout' or 'dicts', got {mode!r}")
    found = config()
    if mode == "dicts":
        return found
    width = max(len(name) for name, _ in lines(found))
    sys.stdout.write("".join(f"{name:<{width}}  {value}\n" for name, value in lines(found)))
    return None


def lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a configuration as names and sentences."""
    targets = [(f"target {name}", state) for name, state in found["targets"].items()]
    versions = [*found["versions"].items(), *found["peers"].items()]
    return [
        ("fastopt", found["fastopt"]),
        ("target in use", found["target"]),
        *targets,
        ("instruction set", found["instruction_set"]),
        ("device", found["device"]),
        ("threads", f"{found['threads']} (from {found['threads_from']})"),
        *((f"workers for {name}", where) for name, where in found["crews"].items()),
        ("NumPy's BLAS", found["blas"]),
        ("kernel cache", found["kernel_cache"]),
        *versions,
        ("system", found["system"]),
    ]


def blas() -> str:
    """Return which BLAS libraries this process has, NumPy's among them, and how many threads each keeps."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        from numpy import show_config as numpys

        built_with: Any = numpys("dicts")
        return f"{built_with['Build Dependencies']['blas']['name']} (threadpoolctl, once installed, tells its threads)"
    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    each = (f"{one['internal_api']} {one['version']}, {one['num_threads']} threads" for one in found)
    return "; ".join(dict.fromkeys(each)) or "none that threadpoolctl knows"


def why_not(target: str) -> str | None:
    """Return the reason why a target can't be used here, or None."""
    if target == "cuda":
        return settings.why_no_cuda() or None
    if target == "numba":
        return settings.why_no_numba() or None
    return None


def installed(distribution: str) -> str | None:
    """Return the version of an installed distribution, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def device() -> str:
    """Return the processor's name."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
