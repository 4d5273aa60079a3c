"""The two settings of the process, target and threads, and a report of what this machine has."""

import os
from array import array
from contextvars import ContextVar
from functools import cache, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from numbers import Integral
from typing import Any

from fastopt.kernels.runtime.names import Function, Named, nearest, shown
from fastopt.kernels.runtime.whole import Innermost

TARGETS = ("cython", "numba", "reference", "cuda")
MAX_THREADS = 4096
_targets: ContextVar[tuple[str, ...]] = ContextVar("fastopt_targets", default=())  # the innermost block's is last
threads_cell = array(
    "i", [0, 0]
)  # read by the launcher: how many threads (0: nobody has asked), whether fastopt was told
_threads_from = ""


def available_cpus() -> int:
    """Return the number of CPUs this process may use: by affinity, and by the cgroup's quota."""
    return _cpus_and_origin()[0]


def _cpus_and_origin() -> tuple[int, str]:
    if hasattr(os, "sched_getaffinity"):
        cpus, origin = len(os.sched_getaffinity(0)), "CPU affinity"
    else:
        cpus, origin = os.cpu_count() or 1, "CPU count"
    for quota in (_quota_v2(), _quota_v1()):
        if quota is not None and max(1, int(quota)) < cpus:
            cpus, origin = max(1, int(quota)), f"cgroup quota of {quota:g} CPUs"
    return cpus, origin


def _read(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def _quota_v2() -> float | None:
    text = _read("/sys/fs/cgroup/cpu.max")
    if text is None or text.split()[0] == "max":
        return None
    quota, period = text.split()
    return float(quota) / float(period)


def _quota_v1() -> float | None:
    quota, period = _read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), _read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    if quota is None or period is None or int(quota) <= 0:
        return None
    return int(quota) / int(period)


def _check_threads(count: Any, name: str) -> int:
    if isinstance(count, bool) or not isinstance(count, Integral) or not 1 <= int(count) <= MAX_THREADS:
        raise ValueError(f"{name}: expected an integer from 1 to {MAX_THREADS}, got {shown(count)}")
    return int(count)


@nearest
def set_num_threads(count: int) -> None:
    """Set how many threads a call may use. Results don't depend on it.

    Parameters
    ----------
    count : int
        From 1 to 4096. The default is FASTOPT_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs this process may use.

    Raises
    ------
    ValueError
        If `count` is anything else.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.set_num_threads(2)
    >>> fo.get_num_threads()
    2
    """
    global _threads_from
    threads_cell[0], _threads_from = _check_threads(count, "count"), "set_num_threads"
    threads_cell[1] = 1


def get_num_threads() -> int:
    """Return how many threads a call may use.

    Returns
    -------
    int
        What `set_num_threads` set, else FASTOPT_NUM_THREADS, else OMP_NUM_THREADS (empty ones are as unset), else the
        CPUs this process may use by its affinity and its cgroup's quota.

    Examples
    --------
    >>> import fastopt as fo
    >>> fo.get_num_threads() >= 1
    True
    """
    global _threads_from
    if threads_cell[0] == 0:
        threads_cell[0], _threads_from = _default_threads()
        threads_cell[1] = _threads_from == "FASTOPT_NUM_THREADS"
    return threads_cell[0]


def _default_threads() -> tuple[int, str]:
    """Return how many threads a call may use where `set_num_threads` was not called, and what says so."""
    for name in ("FASTOPT_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").strip()
        if text:
            first = text.split(",")[0].strip() if name == "OMP_NUM_THREADS" else text  # OpenMP's: one for each level
            return _check_threads(int(first) if first.isdecimal() else text, name), name
    return _cpus_and_origin()


def where_threads_come_from() -> str:
    """Return what set the number of threads: a call, the environment, or the CPUs this process may use."""
    get_num_threads()
    return _threads_from


def _check_target(name: object, origin: str) -> str:
    if not isinstance(name, str) or name not in TARGETS:
        raise ValueError(f"{origin}: expected one of {', '.join(map(repr, TARGETS))}, got {shown(name)}")
    if name == "cuda" and (reason := why_no_cuda()):
        raise RuntimeError("target 'cuda' was asked for, but " + reason)
    if name == "numba" and (reason := why_no_numba()):
        raise RuntimeError("target 'numba' was asked for, but " + reason)
    return str(name)


@cache
def why_no_numba() -> str:
    """Return the reason why the Numba target can't be used here, or nothing. Numba is looked for, not imported."""
    from importlib.util import find_spec

    return "" if find_spec("numba") else "Numba is not installed; install it with: pip install 'fastopt[numba]'"


def why_no_cuda() -> str:
    """Return the reason why the CUDA target can't be used here; "" if it can."""
    from fastopt.kernels.runtime import driver

    return driver.why_not()


class target(Named, Innermost):
    """Run the calls of a `with` block, or of a function, on one target. An explicit request never falls back.

    By itself it changes nothing: whoever writes neither `with` nor a decorator is warned.

    Parameters
    ----------
    name : {"cython", "numba", "reference", "cuda"}
        Kernels compiled ahead of time (the default), just in time, the NumPy reference, or a GPU. Holds for this
        thread and this asyncio task alone. FASTOPT_TARGET sets the default of the process.

    Raises
    ------
    ValueError
        If there is no such target.
    RuntimeError
        If the target can't be used on this machine; the message says why.

    Warns
    -----
    RuntimeWarning
        If it is dropped without having been used.

    Examples
    --------
    >>> import fastopt as fo
    >>> with fo.target("reference"):
    ...     print(fo.get_target())
    reference
    """

    def __init__(self, name: str):
        block = f"fo.target({_check_target(name, 'target')!r})"
        super().__init__(_targets, name, f"{block} alone changes nothing; write `with {block}:`")

    def __call__(self, function: Function) -> Function:
        """Return the function, whose calls are to run on this target."""
        self.unused = False
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise TypeError(
                "function: expected one that has done its work when it returns, got a generator; "
                f"write `with fo.target({self.value!r}):` in it instead"
            )

        @wraps(function)
        def on_target(*arguments: Any, **keywords: Any) -> Any:
            with self:
                return function(*arguments, **keywords)

        @wraps(function)
        async def on_target_when_awaited(*arguments: Any, **keywords: Any) -> Any:
            with self:
                return await function(*arguments, **keywords)

        return on_target_when_awaited if iscoroutinefunction(function) else on_target  # type: ignore[return-value]


def get_target() -> str:
    """Return the name of the present target.

    Returns
    -------
    str
        The innermost `target` block's, else FASTOPT_TARGET, else "cython".

    Examples
    --------
    >>> import fastopt as fo
    >>> with fo.target("numba"):
    ...     fo.get_target()
    'numba'
    """
    targets = _targets.get()
    return targets[-1] if targets else _default_target()


@cache
def _default_target() -> str:
    return _check_target(os.environ.get("FASTOPT_TARGET", "cython"), "FASTOPT_TARGET")
